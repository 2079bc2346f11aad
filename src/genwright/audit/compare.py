"""Two audited runs side by side: what changed between them, with intervals, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genwright.audit.evenly import KIND, asked_in_words, remark_on
from genwright.audit.found import plain
from genwright.audit.kept import FOLDER
from genwright.audit.placebo import bounds, permuted_shares
from genwright.audit.prices import Price, group_prices, incomparable, run_prices
from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import read_json
from genwright.evaluation.intervals import Difference, Share, difference, wilson
from genwright.runs.run import Run, load

# of audits that are read as one
SAME = ("step", "weights", "samples", "seed", "target", "evenly")
SEED = 0  # of permutations
ROUNDING = 1e-9


@dataclass(frozen=True)
class Changed:
    """A group's share in samples of both runs. change: after minus before. placebo_low,
    placebo_high: where that lies in 95% of cases with labels permuted between the runs; None where
    one of them says nothing."""

    group: str
    before: Share
    after: Share
    change: Difference
    placebo_low: float | None = None
    placebo_high: float | None = None


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


def newest_audit(folder: str | Path, evenly: bool = False) -> Mapping[str, Any]:
    """The last audit of a run, with the groupings of earlier audits of the same weights and as many
    samples; and "encoding", which is equal for runs whose losses can be compared. evenly: of
    samples that were asked for values in turn. Raises GenwrightError where there is none, or one
    cannot be read."""
    run = load(folder)
    kind = KIND if evenly else "step"
    kept = sorted((run.folder / FOLDER).glob(f"{kind}-*.json"), key=_when)
    if not kept:
        how = " with --evenly" if evenly else ""
        option = "--evenly ... " if evenly else ""
        raise GenwrightError(
            f"{folder} was not audited{how}",
            f"run genwright audit run {folder} {option}--groups ... first",
        )
    newest = _read(kept[-1], folder)
    groups = list(newest["groups"])
    for path in reversed(kept[:-1]):
        earlier = _read(path, folder)
        if not _is_alike(earlier, newest):
            continue
        known = {found["grouping"] for found in groups}
        added = [found for found in earlier["groups"] if found["grouping"] not in known]
        if _examples_of(earlier) != _examples_of(newest):
            # they number examples that the newest audit did not measure
            added = [{**found, "members": {}} for found in added]
        groups += added
    return {**newest, "groups": groups, "encoding": _encoding_of(run)}


def _is_alike(earlier: Mapping[str, Any], newest: Mapping[str, Any]) -> bool:
    """Whether two audits of a run are read as one."""
    if _prompts_of(earlier) != _prompts_of(newest):
        return False
    # what earlier versions did not write was nothing
    return all((earlier.get(name) or None) == (newest.get(name) or None) for name in SAME)


def _prompts_of(audit: Mapping[str, Any]) -> list[str]:
    """What samples begin with; audits of earlier versions do not say that it is nothing."""
    return list(audit.get("prompts") or ())


def _examples_of(audit: Mapping[str, Any]) -> str:
    """The digest of the held-out examples that were measured; "" of none."""
    return str((audit.get("held_out") or {}).get("examples", ""))


def _encoding_of(run: Run) -> str:
    """The digest of what tokens mean, or the shape of arrays."""
    space = run.codec.space
    return run.codec.digest if space.vocabulary else str(space.shape)


def _read(path: Path, folder: str | Path) -> dict[str, Any]:
    remedy = f"delete it and run genwright audit run {folder} again"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise GenwrightError(f"{path} cannot be read ({in_words(problem)})", remedy) from problem
    found = read_json(text, path, remedy)
    if not isinstance(found, dict) or not isinstance(found.get("groups"), list):
        raise GenwrightError(f"{path} is no audit", remedy)
    return found


def _when(path: Path) -> tuple[int, str]:
    return path.stat().st_mtime_ns, path.name


def share_of(kept: Mapping[str, Any]) -> Share:
    """A share as it was kept."""
    values: dict[str, Any] = {}
    for name, value in kept.items():
        values[name] = math.nan if value is None else value
    return Share(**values)


def compare(before: str | Path, after: str | Path, evenly: bool = False) -> Comparison:
    """The newest audits of two runs. evenly: of the second one that of samples that were asked for
    values in turn; it may be the same run. Raises GenwrightError for runs that were not audited, or
    not by a common grouping, and for audits of another version of the program."""
    one = newest_audit(before)
    other = newest_audit(after, evenly)
    try:
        return _comparison(before, after, one, other)
    except (KeyError, TypeError, AttributeError) as problem:
        raise GenwrightError(
            f"an audit of {before} or {after} is not as this version writes them ({problem})",
            "run genwright audit run again for both",
        ) from problem


def _comparison(
    before: str | Path, after: str | Path, one: Mapping[str, Any], other: Mapping[str, Any]
) -> Comparison:
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
        _named(other),
        (int(one["samples"]), int(other["samples"])),
        groups,
        run_prices(one, other),
        _remarks(one, other),
    )


def _named(audit: Mapping[str, Any]) -> str:
    """The run's name; and how samples were asked for, where that was for something."""
    evenly = str(audit.get("evenly") or "")
    if not evenly:
        return str(audit["run"])
    return f"{audit['run']}, {asked_in_words(evenly)}"


def _compared(
    found: Mapping[str, Any],
    then: Mapping[str, Any],
    one: Mapping[str, Any],
    other: Mapping[str, Any],
) -> Compared:
    changed = _changed(found, then)
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
        group_prices(found, then, one, other),
    )


def _changed(found: Mapping[str, Any], then: Mapping[str, Any]) -> list[Changed]:
    """The shares of all groups that can be found in samples of both runs."""
    before = _samples(found)
    after = _samples(then)
    groups = list(dict.fromkeys([*before, *after]))
    groups = [group for group in groups if _is_found(group, found) and _is_found(group, then)]
    ours = [before.get(group) or _unseen(group, before) for group in groups]
    theirs = [after.get(group) or _unseen(group, after) for group in groups]
    by_chance = permuted_shares(theirs, ours, SEED)
    changed = []
    for place, (own, now) in enumerate(zip(ours, theirs, strict=True)):
        low, high = bounds(by_chance, place)
        changed.append(Changed(own.group, own, now, difference(now, own), low, high))
    return changed


def _samples(found: Mapping[str, Any]) -> dict[str, Share]:
    return {kept["group"]: share_of(kept) for kept in found["samples"]["shares"]}


def _is_found(group: str, found: Mapping[str, Any]) -> bool:
    """Whether samples of a run would be told to be of a group: all groups but those of the data
    that its judge did not learn."""
    if group in _samples(found):
        return True
    return all(kept["group"] != group for kept in found["data"]["shares"])


def _unseen(group: str, beside: Mapping[str, Share]) -> Share:
    """The share of a group that neither data nor samples of a run have. beside: its other groups,
    by name."""
    total = max((share.total for share in beside.values()), default=0)
    size = min((share.effective for share in beside.values()), default=0.0)
    if not total or size <= 0:
        return Share(group, 0, total, math.nan, 0.0, 1.0, 0.0, 0, True)
    low, high = wilson(0, size)
    return Share(group, 0, total, 0.0, low, high, size, 0, True)


def _number(kept: Mapping[str, Any], name: str) -> float:
    value = kept.get(name)
    return math.nan if value is None else float(value)


def _other_aims(found: Mapping[str, Any], then: Mapping[str, Any]) -> list[str]:
    """What is to be said where the distances of the two runs are not to the same shares."""
    name = found["grouping"]
    aims = (found["samples"]["target"], then["samples"]["target"])
    if aims[0] and aims[1]:
        if _are_apart(*aims):
            return [f"{name}: the two were audited with different targets"]
        return []
    if _are_apart(_data_of(found), _data_of(then)):
        return [
            f"{name}: the training data of the two differ in their groups; each run is compared"
            " with its own"
        ]
    return []


def _data_of(found: Mapping[str, Any]) -> dict[str, float]:
    return {kept["group"]: kept["share"] or 0.0 for kept in found["data"]["shares"]}


def _are_apart(one: Mapping[str, float], other: Mapping[str, float]) -> bool:
    """Whether shares are not the same; a group that one of them does not name has 0 in it."""
    names = {*one, *other}
    return any(abs(one.get(name, 0.0) - other.get(name, 0.0)) > ROUNDING for name in names)


def _remarks(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    remarks = _otherwise_drawn(one, other)
    apart = incomparable(one, other)
    if apart:
        remarks.append(apart)
    theirs = {found["grouping"]: found for found in other["groups"]}
    for found in one["groups"]:
        then = theirs.get(found["grouping"])
        if then is not None:
            remarks += _other_aims(found, then)
            if found["samples"]["how"] != then["samples"]["how"]:
                remarks.append(
                    f"{found['grouping']}: not told alike in samples of the two:"
                    f" {found['samples']['how']}; and {then['samples']['how']}"
                )
    for audit in (one, other):
        for found in audit["groups"]:
            remarks += [f"{audit['run']}: {warning}" for warning in found["warnings"]]
    return remarks


def _otherwise_drawn(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """What is to be said where samples of the two were not drawn alike."""
    remarks = []
    if one["samples"] != other["samples"]:
        remarks.append(
            f"{one['samples']:,} samples were drawn of one and {other['samples']:,} of the other"
        )
    asked = [_prompts_of(audit) for audit in (one, other)]
    if asked[0] != asked[1]:
        said = [_prompts_in_words(prompts) for prompts in asked]
        remarks.append(
            f"samples of the one begin with {said[0]} and of the other with {said[1]}: part of the"
            " change may be the prompts'"
        )
    if one.get("evenly") != other.get("evenly"):
        remarks += remark_on(str(other.get("evenly") or ""))
    if one.get("seed") != other.get("seed"):
        remarks.append(
            f"the seeds are {one.get('seed')} and {other.get('seed')}: part of the change is chance"
            " of the seeds"
        )
    if one.get("weights") != other.get("weights"):
        remarks.append(
            f"{one.get('weights')} weights of one and {other.get('weights')} weights of the other"
            " were audited: audit both with the same --weights"
        )
    return remarks


def _prompts_in_words(prompts: list[str]) -> str:
    if not prompts:
        return "nothing"
    return ", ".join(repr(prompt) for prompt in prompts)
