"""What is said where a policy games its reward: in the records and on the terminal while it learns,
and when the command ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from genwright.objectives.terms import OFF
from genwright.rewards.gaming import Verdict
from genwright.runs.trained import TrainedRun
from genwright.training import checkpoint

GAMED = "gaming: "
GO_ON = "train --resume watching.on_gaming=warn"


def event_of(step: int, verdict: Verdict, good: int, result: int | None) -> dict[str, Any]:
    """A line of metrics.jsonl. good: the last good step. result: the step of the checkpoint that is
    the run's result, where the run ends; else None."""
    term = verdict.term.name.removesuffix(OFF)
    figures = [left.name for left in verdict.left]
    names = " and ".join(figures)
    text = (
        f"{GAMED}{verdict.text}; {remedy(term)};"
        f" where the change is wanted, name {names} in watching.may_change"
    )
    if result is not None:
        kept = f"its result is {place(result, good)}"
        text += f". The run ends; {kept}; to go on all the same: {GO_ON}"
    return {
        "step": step,
        "event": text,
        "gamed": term,
        "figures": figures,
        "good": good,
        "result": result,
    }


def remedy(term: str) -> str:
    """What a person can do. term: the name of the one that was gamed."""
    return f"weigh {term} less, raise objective.kl, or reward what went wrong too"


def place(result: int, good: int) -> str:
    """The run's result, in words. result: the step of its checkpoint. good: the last good step."""
    if result > 0:
        return f"the checkpoint of step {result:,}, the last good one"
    first = "the checkpoint of step 0, the model of before"
    if good > 0:
        return (
            f"{first}, for steps were good up to {good:,} and no checkpoint of them was kept"
            " (lower training.checkpoint_every)"
        )
    return f"{first}, for no later step is known to be good"


def ending(run: TrainedRun) -> str:
    """How a run ended that games its reward and was stopped for that; "" of any other."""
    root = run.folder / "checkpoints"
    reached = checkpoint.reached(root)
    alarm = alarm_at(run.records, reached)
    if alarm is None or alarm["result"] is None:
        return ""
    figures = alarm["figures"]
    bands = "their bands" if len(figures) > 1 else "its band"
    term = alarm["gamed"]
    return (
        f"stopped at step {reached:,} of {run.recipe.training.steps:,}, for it gamed {term}:"
        f" {' and '.join(figures)} left {bands}; the run's result is"
        f" {place(alarm['result'], alarm['good'])}; in another run {remedy(term)}"
    )


def alarm_at(records: Sequence[Mapping[str, Any]], step: int) -> Mapping[str, Any] | None:
    """What `event_of` wrote of a step; None where nothing was gamed there."""
    for record in reversed(records):
        if record.get("step") == step and "gamed" in record:
            return record
    return None
