"""What an audit found, in one sentence a grouping: whether the shares are farther from the target
than chance alone would bring them."""

from __future__ import annotations

from collections.abc import Sequence

from genwright.audit.found import GroupsFound
from genwright.audit.run import ModelGroups


def data_verdicts(groups: Sequence[GroupsFound]) -> list[str]:
    """Of data; nothing of a grouping for which no target was declared."""
    found = []
    for each in groups:
        if each.distances is not None:
            tv = each.distances.tv
            found.append(_sentence(f"{each.grouping}, data", "the target", tv.value, tv.most))
    return found


def run_verdicts(groups: Sequence[ModelGroups]) -> list[str]:
    """Of samples: beside the target, or, where none was declared, beside the training data."""
    found = []
    for each in groups:
        name = f"{each.grouping}, samples"
        if each.samples.distances is not None:
            tv = each.samples.distances.tv
            found.append(_sentence(name, "the target", tv.value, tv.most))
        elif each.apart is not None:
            apart = each.apart
            found.append(_sentence(name, "the training data", apart.value, apart.most))
    return found


def _sentence(what: str, aim: str, value: float, most: float) -> str:
    """value: total variation; most: what it reaches by chance in 95% of cases."""
    away = f"{what}: {value:.1%} are in another group than in {aim}"
    if value <= most:
        return f"{away}; chance alone gives up to {most:.1%}, so no difference is shown"
    return f"{away}, more than chance alone gives ({most:.1%} at most)"
