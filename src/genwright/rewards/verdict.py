"""What is to be said of a run that learned from rewards, in one sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from genwright.evaluation.figure import number
from genwright.rewards.alarm import GAMED
from genwright.rewards.before_after import BeforeAfter, difference
from genwright.rewards.measured import mean_of

SURE = 2.0  # standard errors by which the reward must have changed
FAR = 3.0  # and by which one of many other measures must have moved away from real data
NAMED = 3  # measures that are named
HELD_OUT = "held_out"


def verdict(found: BeforeAfter, records: Sequence[Mapping[str, Any]], step: int) -> str:
    """records: of the run. step: of the checkpoint that was measured. Plain text."""
    parts = [_reward(found)]
    for more in (_held_out(records, step), _moved(found)):
        if more:
            parts.append(more)
    sentence = parts[-1]
    if len(parts) > 1:
        sentence = f"{', '.join(parts[:-1])} and {sentence}"
    capital = sentence[:1].upper() + sentence[1:]
    return f"{gamed(records, step)}{capital}."


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
    before = found.before.mean_reward
    after = found.after.mean_reward
    change, error = difference(found.before.reward, found.after.reward)
    values = f"from {number(before)} to {number(after)}"
    if not abs(change) > SURE * error:
        what = f"the reward did not change beyond chance ({values})"
    elif change > 0:
        what = f"the reward rose {values}"
    else:
        what = f"the reward fell {values}"
    real = found.real.mean_reward
    if math.isfinite(real):
        what += f", where real data have {number(real)}"
    return what


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
        error = _error(before, after)
        if further > FAR * error:
            moved.append((further / error if error else math.inf, name))
    return [name for _, name in sorted(moved, reverse=True)]


def _error(before: Tensor, after: Tensor) -> float:
    """The standard error of the difference of two means; NaN where there is none."""
    square = 0.0
    for values in (before, after):
        known = values[~values.isnan()]
        if len(known) < 2:
            return math.nan
        square += float(known.var()) / len(known)
    return math.sqrt(square)


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
    return f"{len(moved)} of {count} measures that were not rewarded moved away: {names}{more}"
