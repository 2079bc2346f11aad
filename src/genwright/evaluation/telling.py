"""Whether a figure can tell good samples from bad ones.

A figure stands between its floors (what needs no learning reaches) and its ceilings (what real data
reaches). Where a floor reaches the ceiling, or either is not finite, the value between them says
nothing: independent values may have a higher precision than real examples. Such a figure stays in
the table, with the reason, but is no headline.
"""

import math

from genwright.evaluation.figure import Figure, shown

# of "near" figures: a floor within this share of the only ceiling cannot be told from it
CLOSE = 0.01
# of "near" figures: a value so many times as far away as real sets are shows a fault, whatever the
# floors are
FAR = 3


def tells_nothing(figure: Figure) -> str:
    """Why a figure says nothing about its samples, as one sentence; "" where it does. A figure
    without floors or without ceilings cannot be doubted so."""
    for group in (figure.floors, figure.ceilings):
        for name, value in group.items():
            if not math.isfinite(value):
                return (
                    f"{figure.name} says nothing about these samples: for {name} it is not finite"
                )
    if not figure.floors or not figure.ceilings:
        return ""
    if figure.direction == "near":
        return _among_the_real(figure)
    higher = figure.direction == "higher"
    best = max if higher else min
    worst = min if higher else max
    floor = best(figure.floors, key=figure.floors.__getitem__)
    ceiling = worst(figure.ceilings, key=figure.ceilings.__getitem__)
    cheap = figure.floors[floor]
    reaches = best(cheap, figure.ceilings[ceiling]) == cheap
    if not reaches:
        return ""
    return _sentence(figure, floor, ceiling)


def can_lead(figure: Figure) -> bool:
    """Whether a figure may stand at the head of a report: it is finite, stands beside something,
    and tells something."""
    beside = bool(figure.floors or figure.ceilings)
    return math.isfinite(figure.value) and beside and not tells_nothing(figure)


def no_better_than(figure: Figure) -> str:
    """The name of a floor that the value does not beat, of figures that rise or fall; "" where it
    beats them all."""
    for name, floor in figure.floors.items():
        if figure.direction == "higher" and figure.value <= floor:
            return name
        if figure.direction == "lower" and figure.value >= floor:
            return name
    return ""


def _among_the_real(figure: Figure) -> str:
    """Of figures that are best near the first ceiling: a floor is as near to it as another set of
    real data is, and the value is not far away, which would show a fault that neither has."""
    (reference, wanted), *others = figure.ceilings.items()
    between_real = [abs(value - wanted) for _, value in others]
    reach = max([CLOSE * abs(wanted), *between_real])
    if abs(figure.value - wanted) > FAR * reach:
        return ""
    for name, floor in figure.floors.items():
        if abs(floor - wanted) <= reach:
            return _sentence(figure, name, reference)
    return ""


def _sentence(figure: Figure, floor: str, ceiling: str) -> str:
    cheap = shown(figure.floors[floor], figure.unit)
    real = shown(figure.ceilings[ceiling], figure.unit)
    return (
        f"{figure.name} says nothing about these samples: "
        f"for {floor} it is {cheap}, for {ceiling} {real}"
    )
