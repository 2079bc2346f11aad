"""Examples of each group, as a page shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from genwright.audit.found import GroupsFound
from genwright.audit.groups import Labels
from genwright.core.content import Sample
from genwright.evaluation.intervals import Share
from genwright.reporting.markup import Markup, trusted
from genwright.runs.content import Content

GROUPS = 8  # of a grouping, the commonest ones
EACH = 6  # examples of a group


class Shown(NamedTuple):
    """html: of each example."""

    grouping: str
    group: str
    html: list[Markup]


def examples_shown(
    found: GroupsFound,
    labels: Labels,
    take: Callable[[Sequence[int]], Sequence[Sample]],
    content: Content,
) -> list[Shown]:
    """Some examples of each group, from all over. take: numbers of examples -> samples."""
    commonest = sorted(found.shares, key=_count, reverse=True)[:GROUPS]
    shown = []
    for share in commonest:
        own = [number for number, groups in enumerate(labels) if share.group in groups]
        if not own:
            continue
        step = max(1, len(own) // EACH)
        numbers = own[::step][:EACH]
        html = [trusted(content.view.show(sample).html) for sample in take(numbers)]
        shown.append(Shown(found.grouping, share.group, html))
    return shown


def _count(share: Share) -> int:
    return share.count
