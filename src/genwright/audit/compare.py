"""Two audited runs side by side: what changed between them, with intervals, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genwright.audit.found import plain
from genwright.core.errors import GenwrightError
from genwright.core.files import read_json
from genwright.evaluation.intervals import Difference, Share, difference
from genwright.runs.run import load

FOLDER = "audits"  # of a run, as `audit.run` writes it


@dataclass(frozen=True)
class Changed:
    """A group's share in samples of both runs. change: after minus before."""

    group: str
    before: Share
    after: Share
    change: Difference


@dataclass(frozen=True)
class Price:
    """A figure of both runs. better: "lower" or "higher". NaN where one has none."""

    name: str
    unit: str
    before: float
    after: float
    better: str

    @property
    def worse(self) -> float:
        """By how much of the value before it is worse; negative where it is better."""
        if not self.before:
            return math.nan
        way = 1 if self.better == "lower" else -1
        return way * (self.after - self.before) / abs(self.before)


@dataclass(frozen=True)
class Compared:
    """One grouping. distance_before, distance_after: total variation to the target, or, where none
    was declared, to the training data of each run, with what chance gives (expected); target: which
    of the two."""

    grouping: str
    changed: list[Changed]
    target: str
    distance_before: float
    distance_after: float
    low_before: float
    high_before: float
    low_after: float
    high_after: float
    expected: float
    prices: list[Price]

    @property
    def reduced(self) -> float:
        """The share of the distance that is gone."""
        if not self.distance_before:
            return math.nan
        return 1 - self.distance_after / self.distance_before


@dataclass(frozen=True)
class Comparison:
    """What `audit compare` found. prices: of the runs as a whole."""

    before: str
    after: str
    samples: tuple[int, int]
    groups: list[Compared]
    prices: list[Price]
    remarks: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = plain(self)
        return found


def newest_audit(folder: str | Path) -> Mapping[str, Any]:
    """The last audit of a run. Raises GenwrightError where there is none, or it cannot be read."""
    run = load(folder)
    kept = sorted((run.folder / FOLDER).glob("step-*.json"), key=_when)
    if not kept:
        raise GenwrightError(
            f"{folder} was not audited", f"run genwright audit run {folder} --groups ... first"
        )
    remedy = f"delete it and run genwright audit run {folder} again"
    found: Mapping[str, Any] = read_json(kept[-1].read_text(encoding="utf-8"), kept[-1], remedy)
    if not isinstance(found, dict) or "groups" not in found:
        raise GenwrightError(f"{kept[-1]} is no audit", remedy)
    return found


def _when(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def share_of(kept: Mapping[str, Any]) -> Share:
    """A share as it was kept."""
    values: dict[str, Any] = {}
    for name, value in kept.items():
        values[name] = math.nan if value is None else value
    return Share(**values)


def compare(before: str | Path, after: str | Path) -> Comparison:
    """The newest audits of two runs. Raises GenwrightError for runs that were not audited, or not
    by a common grouping."""
    one = newest_audit(before)
    other = newest_audit(after)
    theirs = {found["grouping"]: found for found in other["groups"]}
    groups = [
        _compared(found, theirs[found["grouping"]], one, other)
        for found in one["groups"]
        if found["grouping"] in theirs
    ]
    if not groups:
        raise GenwrightError(
            f"{before} and {after} were audited by different groups",
            "audit both with the same --groups",
        )
    return Comparison(
        str(one["run"]),
        str(other["run"]),
        (int(one["samples"]), int(other["samples"])),
        groups,
        _prices(one, other),
        _remarks(one, other),
    )


def _compared(
    found: Mapping[str, Any],
    then: Mapping[str, Any],
    one: Mapping[str, Any],
    other: Mapping[str, Any],
) -> Compared:
    shares = {kept["group"]: share_of(kept) for kept in then["samples"]["shares"]}
    changed = []
    for kept in found["samples"]["shares"]:
        own = share_of(kept)
        if own.group in shares:
            now = shares[own.group]
            changed.append(Changed(own.group, own, now, difference(now, own)))
    declared = found["samples"]["distances"] and then["samples"]["distances"]
    if declared:
        first = found["samples"]["distances"]["tv"]
        second = then["samples"]["distances"]["tv"]
        target = one["target"] or "the target"
    else:
        first = found["apart"] or {}
        second = then["apart"] or {}
        target = "the training data"
    return Compared(
        found["grouping"],
        changed,
        target,
        _number(first, "value"),
        _number(second, "value"),
        _number(first, "low"),
        _number(first, "high"),
        _number(second, "low"),
        _number(second, "high"),
        _number(second, "expected"),
        _by_group(found, then),
    )


def _number(kept: Mapping[str, Any], name: str) -> float:
    value = kept.get(name)
    return math.nan if value is None else float(value)


def _by_group(found: Mapping[str, Any], then: Mapping[str, Any]) -> list[Price]:
    """Losses and coverage of each group."""
    prices = []
    losses = {kept["group"]: kept["mean"] for kept in then["losses"]}
    for kept in found["losses"]:
        now = losses.get(kept["group"])
        if kept["mean"] is not None and now is not None:
            name = f"held-out loss of {kept['group']}"
            prices.append(Price(name, "", kept["mean"], now, "lower"))
    quality = {kept["group"]: kept for kept in then["quality"]}
    for kept in found["quality"]:
        own = quality.get(kept["group"])
        if own is not None:
            name = f"coverage of {kept['group']} ({kept['equal']}, {own['equal']} of each)"
            prices.append(Price(name, "share", kept["coverage"], own["coverage"], "higher"))
    return prices


def _prices(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Price]:
    if one["loss"] is None or other["loss"] is None:
        return []
    return [Price("held-out loss", one["loss_unit"], one["loss"], other["loss"], "lower")]


def _remarks(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    remarks = []
    if one["samples"] != other["samples"]:
        remarks.append(
            f"{one['samples']:,} samples were drawn of one and {other['samples']:,} of the other"
        )
    if one["target"] != other["target"]:
        remarks.append("the two were audited with different targets")
    for audit in (one, other):
        for found in audit["groups"]:
            remarks += [f"{audit['run']}: {warning}" for warning in found["warnings"]]
    return remarks
