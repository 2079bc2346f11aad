"""The shares of groups among samples, as metrics of a run in training: their names in
metrics.jsonl, and when one is out of the band that it should be in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from genwright.core.lexicon import is_list

BEGINNING = "share of "
LOW = ", low"  # endings: the limits of its 95% interval
HIGH = ", high"

Band = tuple[float, float]  # shares, the lower one first


def grouping_name(key: str) -> str:
    """What a grouping is called: a list of words by its file without the suffix."""
    return Path(key).stem if is_list(key) else key


def share_name(group: str, grouping: str) -> str:
    """The metric of a group's share."""
    return f"{BEGINNING}{group} ({grouping})"


def is_share(name: str) -> bool:
    """Whether a metric is of a group, its limits among them."""
    return name.startswith(BEGINNING)


def is_limit(name: str) -> bool:
    """Whether a metric is a limit of a share's interval."""
    return is_share(name) and name.endswith((LOW, HIGH))


def metrics_of(
    group: str, grouping: str, share: float, low: float, high: float
) -> dict[str, float]:
    """A share with its interval, as metrics."""
    name = share_name(group, grouping)
    return {name: share, name + LOW: low, name + HIGH: high}


def side(row: Mapping[str, float], name: str, band: Band) -> int:
    """-1: the share is below its band, 1: above, 0: its interval reaches into the band, or nothing
    is known. row: metrics of an evaluation."""
    if not {name, name + LOW, name + HIGH} <= row.keys():
        return 0
    if row[name + HIGH] < band[0]:
        return -1
    if row[name + LOW] > band[1]:
        return 1
    return 0
