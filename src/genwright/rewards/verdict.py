"""What is to be said of a run that learned from rewards, in a few sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from genwright.evaluation.figure import number, with_error
from genwright.rewards.alarm import GAMED
from genwright.rewards.before_after import BeforeAfter, difference
from genwright.rewards.measured import Measured, error_of, mean_of

SURE = 2.0  # standard errors by which the reward must have changed
FAR = 3.0  # and by which one of many other measures must have moved away from real data
NAMED = 3  # measures that are named
HELD_OUT = "held_out"


def verdict(found: BeforeAfter, records: Sequence[Mapping[str, Any]], step: int) -> str:
    """records: of the run. step: of the checkpoint that was measured. Plain text."""
    parts = [_reward(found), _fell(found), _held_out(records, step), _moved(found)]
    sentences = [f"{part[:1].upper()}{part[1:]}." for part in parts if part]
    return gamed(records, step) + " ".join(sentences)


def gamed(records: Sequence[Mapping[str, Any]], step: int) -> str:
    """Sentences on the first alarm, with a space behind; "" where none rang. The arguments: as of
    `verdict`."""
    for record in records:
        text = str(record.get("event", ""))
        if text.startswith(GAMED):
            what = text.removeprefix(GAMED).partition(";")[0]
            at = int(record["step"])
            if step == 0:
                shown = "the model of before, for no checkpoint behind it was good"
            elif step < at:
                shown = "the last good one"
            else:
                shown = "after that"
            return (
                f"It gamed its reward: at step {at:,} {what}. What follows is of step {step:,},"
                f" {shown}. "
            )
    return ""


def _reward(found: BeforeAfter) -> str:
    change, error = difference(found.before.reward, found.after.reward, found.candidates)
    before, after = [_mean(of, error) for of in (found.before, found.after)]
    values = f"from {before} to {after}"
    if not abs(change) > SURE * error:
        what = f"the reward did not change beyond chance ({values})"
    elif change > 0:
        what = f"the reward rose {values}"
    else:
        what = f"the reward fell {values}"
    real = found.real.mean_reward
    if math.isfinite(real):
        what += f"; real data have {_mean(found.real, error)}"
    return what


def _mean(of: Measured, error: float) -> str:
    """The mean reward, to as many figures as the change has."""
    if not error > 0:
        return number(of.mean_reward)
    return with_error(of.mean_reward, error, "")[0]


def _fell(found: BeforeAfter) -> str:
    """The terms that earn less than before, beyond chance, where there are several: what one has
    won another may have paid."""
    if found.reward is None or len(found.reward.terms) < 2:
        return ""
    fallen = []
    for name, term in found.reward.terms.items():
        worth = []
        for state in (found.before, found.after):
            earned = [term.worth(value) for value in state.terms[name].tolist()]
            worth.append(torch.tensor(earned, dtype=torch.float64))
        change, error = difference(worth[0], worth[1], found.candidates)
        if change < -SURE * error:
            fallen.append(name)
    if not fallen:
        return ""
    verb = "earns" if len(fallen) == 1 else "earn"
    return f"of what is rewarded, {', '.join(fallen)} {verb} less than before"


def _held_out(records: Sequence[Mapping[str, Any]], step: int) -> str:
    """How likely real data are, before and now; "" where that was not measured."""
    losses = {}
    for record in records:
        if HELD_OUT in record and "loss" in record[HELD_OUT]:
            losses[int(record["step"])] = record[HELD_OUT]["loss"]
    if 0 not in losses or step not in losses or not losses[0]:
        return ""
    change = losses[step] / losses[0] - 1
    return (
        f"real held-out data cost {number(losses[step])} nats a token"
        f" ({number(losses[0])} before, {change:+.1%})"
    )


def known(found: BeforeAfter) -> list[str]:
    """The measures that are not rewarded and say something of real data, before and after."""
    names = []
    for name in found.after.watched:
        states = (found.real, found.before, found.after)
        if not any(math.isnan(mean_of(state.watched[name])) for state in states):
            names.append(name)
    return names


def moved_away(found: BeforeAfter) -> list[str]:
    """Measures that are not rewarded, and are further from real data than before, beyond chance;
    those that moved most first."""
    moved = []
    for name in known(found):
        after = found.after.watched[name]
        before = found.before.watched[name]
        real = mean_of(found.real.watched[name])
        further = abs(mean_of(after) - real) - abs(mean_of(before) - real)
        error = math.hypot(error_of(before, found.before.alike), error_of(after, found.after.alike))
        if further > FAR * error:
            moved.append((further / error if error else math.inf, name))
    return [name for _, name in sorted(moved, reverse=True)]


def _moved(found: BeforeAfter) -> str:
    """What the reward has cost elsewhere."""
    count = len(known(found))
    if not count:
        return ""
    moved = moved_away(found)
    if not moved:
        if count == 1:
            return "the one measure that was not rewarded did not move away from real data"
        return f"none of {count} measures that were not rewarded moved away from real data"
    names = ", ".join(moved[:NAMED])
    more = f" and {len(moved) - NAMED} more" if len(moved) > NAMED else ""
    return (
        f"{len(moved)} of {count} measures that were not rewarded moved away from real data:"
        f" {names}{more}"
    )
