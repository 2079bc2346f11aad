"""What recognises the groups of an audit in samples: rules, and judges of what the data say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from genwright.audit.corrected import check_correctable
from genwright.audit.found import GroupsFound
from genwright.audit.groups import Grouping
from genwright.audit.judged import Judged, judged_samples
from genwright.audit.opened import Opening
from genwright.core.content import Sample
from genwright.core.errors import GenwrightError
from genwright.core.groups import Audited, Judge


def judges_of(
    of: Opening, asked: Sequence[Grouping]
) -> tuple[dict[str, Judge], dict[str, GenwrightError]]:
    """What recognises groups that only the data say; and, of those that it cannot tell apart, what
    is to be said."""
    said = [grouping.name for grouping in asked if grouping.rule is None]
    judges: dict[str, Judge] = {}
    refused: dict[str, GenwrightError] = {}
    if not said or not isinstance(of.content, Audited):
        return judges, refused
    for name, judge in of.content.judges(of.dataset, said).items():
        try:
            check_correctable(judge)
        except GenwrightError as problem:
            refused[name] = problem
            continue
        judges[name] = judge
    return judges, refused


def judged_by(
    grouping: Grouping, judges: dict[str, Judge], samples: Sequence[Sample], own: GroupsFound
) -> Judged | None:
    """Samples by a rule, or by a judge; None where nothing recognises the groups."""
    if grouping.rule is None and grouping.name not in judges:
        return None
    order = [share.group for share in own.shares]
    return judged_samples(grouping, judges.get(grouping.name), samples, order)


def unrecognised(name: str, refused: Mapping[str, GenwrightError]) -> str:
    """What is to be said of a grouping that nothing recognises."""
    if name in refused:
        return f"{name}: {refused[name].what}: nothing is said of the model"
    return f"{name} is known of the data and recognised in no sample: nothing is said of the model"
