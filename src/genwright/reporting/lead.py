"""What stands first on the page of a run that did more than learn its data: a verdict, its figures,
and sections before the curves. A room above this one makes it (family "page")."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from genwright.core.content import Section
from genwright.evaluation.figure import Figure


@dataclass(frozen=True)
class Lead:
    """verdict: one sentence, plain text. figures: stand before the others. sections: before the
    curves. beside: name of what was recorded -> name -> value, lines in its curve. curves: names of
    what was recorded whose curves come first. labels: name of what was recorded -> what its curve
    is called, where the name alone does not say it. own_loss: what its steps record as loss is no
    likelihood, and cannot be drawn with that of held-out data."""

    verdict: str = ""
    figures: Sequence[Figure] = ()
    sections: Sequence[Section] = ()
    beside: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    curves: Sequence[str] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    own_loss: bool = False
