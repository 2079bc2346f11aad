"""Audits of a run, for its cards: what lies in its folder, and nothing that is measured anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genwright.audit.card_places import without_places
from genwright.audit.crossed import BETWEEN
from genwright.audit.kept import FOLDER, is_newest
from genwright.core.errors import GenwrightError
from genwright.core.files import read_json


@dataclass(frozen=True)
class GroupShare:
    """A group in an audit, with its shares and intervals; None where there is none. too_few: fewer
    examples or samples than a rate can be told from."""

    grouping: str
    group: str
    data: Mapping[str, float] | None
    samples: Mapping[str, float] | None
    difference: Mapping[str, float] | None
    too_few: bool


@dataclass(frozen=True)
class Intersection:
    """Two groupings, crossed. how: what the counts of samples are worth; corrected: whether they
    are right but for chance. rows: of each combination."""

    groupings: Sequence[str]
    how: str
    corrected: bool
    rows: Sequence[GroupShare]


@dataclass(frozen=True)
class Audit:
    """An audit that lies in a run's folder. samples: how many; at: which checkpoint, in words.
    intersections: of every two of its groupings."""

    at: str
    samples: int
    rows: Sequence[GroupShare]
    remarks: Sequence[str] = ()
    intersections: Sequence[Intersection] = ()


def audits_of(folder: Path) -> list[Audit]:
    """The audits in a run's folder, by name: of each choice of groups the newest. Raises
    GenwrightError for a file that holds none."""
    found = []
    for path in sorted((folder / FOLDER).glob("step-*.json")):
        if not is_newest(path):
            continue
        remedy = "delete it, and run genwright audit run again"
        values = read_json(path.read_text(encoding="utf-8"), path, remedy)
        try:
            found.append(_audit(values))
        except (AttributeError, KeyError, TypeError, ValueError):
            raise GenwrightError(f"{path} is no audit of a run", remedy) from None
    return found


def _audit(values: Mapping[str, Any]) -> Audit:
    rows: list[GroupShare] = []
    for grouping in values["groups"]:
        rows += _rows(str(grouping["grouping"]), grouping)
    remarks = [without_places(str(text)) for text in values.get("remarks", ())]
    for grouping in values["groups"]:
        remarks += [without_places(str(text)) for text in grouping.get("warnings", ())]
    at = f"step {int(values['step']):,}, {values['weights']} weights"
    crossed = [_intersection(each) for each in values.get("crossed") or ()]
    return Audit(at, int(values.get("samples", 0)), rows, remarks, crossed)


def _intersection(crossed: Mapping[str, Any]) -> Intersection:
    names = [str(name) for name in crossed["names"]]
    rows = []
    for cell in crossed["cells"]:
        group = BETWEEN.join(str(name) for name in cell["groups"])
        few = any(bool(cell[side].get("small")) for side in ("data", "samples"))
        rows.append(
            GroupShare(
                BETWEEN.join(names), group, cell["data"], cell["samples"], cell["difference"], few
            )
        )
    return Intersection(names, str(crossed["how"]), bool(crossed["corrected"]), rows)


def _rows(name: str, grouping: Mapping[str, Any]) -> list[GroupShare]:
    """The groups of one grouping: of data, of samples, and how they differ."""
    of_data = _shares(grouping.get("data"))
    of_samples = _shares(grouping.get("samples"))
    differences = {}
    for each in grouping.get("amplified") or ():
        of_data.setdefault(each["group"], each["data"])
        of_samples.setdefault(each["group"], each["samples"])
        differences[each["group"]] = each["difference"]
    rows = []
    for group in dict.fromkeys([*of_data, *of_samples]):
        shares = [of_data.get(group), of_samples.get(group)]
        too_few = any(share is not None and bool(share.get("small")) for share in shares)
        rows.append(
            GroupShare(name, str(group), shares[0], shares[1], differences.get(group), too_few)
        )
    return rows


def _shares(found: Mapping[str, Any] | None) -> dict[str, Mapping[str, float]]:
    """group -> its share, of what was found in one set."""
    if not found:
        return {}
    return {str(each["group"]): each for each in found["shares"]}
