"""What a person should know of prepared data, as sentences."""

from collections.abc import Mapping
from typing import Any

from genwright.core.dataset import Dataset
from genwright.runs.content import registered

NAMED = 3  # things passed over that are named; environment.json lists them all


def left_out(summary: Mapping[str, Any]) -> list[str]:
    """What preparing the data passed over, as sentences for a person."""
    skipped = list(summary.get("skipped", ()))
    rare = summary.get("rare", 0)
    none = summary.get("unlabelled", 0)
    out = []
    if skipped:
        out.append(f"{len(skipped):,} passed over, the first: {'; '.join(skipped[:NAMED])}")
    out += summary.get("remarks", ())
    if rare:
        out.append(f"attribute values that are too rare to be a condition (data.minimum): {rare:,}")
    if none and summary.get("attributes"):
        out.append(f"examples without an attribute: {none:,}")
    return out


def balanced(summary: Mapping[str, Any]) -> list[str]:
    """How training examples count, where that is not alike, as sentences for a person."""
    return list(summary.get("balance", ()))


def on_both_sides(dataset: Dataset) -> list[str]:
    """Copies in the data, what stands both in training and among what is held out, and a share held
    out that is far from what was asked for, as sentences for a person."""
    summary = dataset.summary
    held = dataset.held
    copies = summary.get("copies", 0)
    across = summary.get("copies across the split", 0)
    out = []
    if copies:
        out.append(f"{copies:,} equal to an earlier one")
    if across:
        out.append(f"{across:,} held out equal a training one, for the split is the source's own")
    out += registered(dataset.codec.content).split_remarks(summary)
    if held and not held.wanted / 2 <= held.share <= held.wanted * 2:
        out.append(
            f"{held.share:.1%} are held out, for data.held_out = {held.wanted:g} cannot be had"
            " from whole documents"
        )
    return out
