"""Attributes of content as a vector: one column for each value of each attribute, 1 where it has
it. All columns of an attribute at 0 says nothing about it, which is how a model is asked about some
attributes and not about others.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor

from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError, did_you_mean

Chosen = Mapping[str, str | Iterable[str]]  # attribute -> a value, or several


def spans(attributes: Mapping[str, tuple[str, ...]]) -> dict[str, slice]:
    """attribute -> its columns in a condition."""
    columns = {}
    start = 0
    for name, values in attributes.items():
        columns[name] = slice(start, start + len(values))
        start += len(values)
    return columns


def encode(attributes: Mapping[str, tuple[str, ...]], chosen: Chosen) -> Tensor:
    """(columns,) float32. Raises GenwrightError for an attribute or a value that is not known."""
    columns = spans(attributes)
    out = torch.zeros(sum(len(values) for values in attributes.values()))
    for name, wanted in chosen.items():
        if name not in attributes:
            remedy = "it has no attributes: leave out the condition"
            if attributes:
                remedy = did_you_mean(name, attributes)
            raise GenwrightError(f"there is no attribute {name!r} in this data", remedy)
        values = attributes[name]
        for value in [wanted] if isinstance(wanted, str) else wanted:
            if value not in values:
                raise GenwrightError(
                    f"{name} is never {value!r} in this data", did_you_mean(value, values)
                )
            out[columns[name]][values.index(value)] = 1.0
    return out


def read_wanted(words: str | Mapping[str, object]) -> Mapping[str, object]:
    """ "group=food|animals,name=cat" -> {"group": ["food", "animals"], "name": ["cat"]}, ",," being
    a comma of a value; a mapping as it is. Raises GenwrightError for a word without a value, and
    for an attribute that is named twice."""
    if not isinstance(words, str):
        return words
    out: dict[str, object] = {}
    for word in words.replace(",,", "\0").split(","):
        if not word:
            continue
        name, equals, values = word.replace("\0", ",").partition("=")
        name = name.strip()
        if not equals or not values:
            remedy = (
                "write attribute=value, or attribute=value|other,attribute=value, "
                "and a comma of a value as two"
            )
            raise GenwrightError(f"{name!r} says no value of an attribute", remedy)
        if name in out:
            raise GenwrightError(
                f"{name} is asked for twice", f"write {name}=value|other for several values of it"
            )
        out[name] = [value.strip() for value in values.split("|")]
    return out


def wanted_row(
    attributes: Mapping[str, tuple[str, ...]], words: str | Mapping[str, object] | None
) -> Tensor | None:
    """(1, columns) of what is asked for, as `read_wanted` takes it; None for nothing. Raises
    GenwrightError."""
    if not words:
        return None
    return encode(attributes, read_wanted(words))[None]  # type: ignore[arg-type]


def even_rows(
    attributes: Mapping[str, tuple[str, ...]],
    names: Sequence[str],
    wanted: Tensor | None,
    numbers: Sequence[int],
) -> Tensor:
    """(numbers, columns): what samples of these numbers are asked for, so that all values of the
    named attributes (of several: all their combinations) come in turn. wanted: (1, columns) of
    what all are asked for. Raises GenwrightError for an attribute that there is not, or of which a
    value is wanted already."""
    columns = spans(attributes)
    for name in names:
        if name not in attributes:
            remedy = "it has no attributes: leave it out"
            if attributes:
                remedy = did_you_mean(name, attributes)
            raise GenwrightError(f"there is no attribute {name!r} in this data", remedy)
        if wanted is not None and wanted[:, columns[name]].any():
            raise GenwrightError(
                f"a value of {name} is asked for, and all its values in turn",
                "leave one of them out",
            )
    combinations = list(itertools.product(*(attributes[name] for name in names)))
    rows = []
    for number in numbers:
        values = combinations[number % len(combinations)]
        rows.append(encode(attributes, dict(zip(names, values, strict=True))))
    asked = torch.stack(rows)
    if wanted is not None:
        asked = asked + wanted
    return asked


def decode(attributes: Mapping[str, tuple[str, ...]], row: Tensor) -> dict[str, list[str]]:
    """The values that a (columns,) vector holds, by attribute; attributes without one are left
    out."""
    found = {}
    for name, columns in spans(attributes).items():
        places = (row[columns] > 0).nonzero()[:, 0].tolist()
        if places:
            found[name] = [attributes[name][place] for place in places]
    return found


def attribute_tokens(
    condition: Tensor | None, count: int, size: int, first: int, none: int
) -> Tensor:
    """The tokens that stand before content and say which attributes are asked for: (count, size)
    int64, one place for each value.

    condition: (count, columns), 1 for each value that is asked for; None asks for nothing. Of more
    values than places, the first are taken. first: the token of column 0. none: the token of a
    place that is free."""
    out = torch.full((count, size), none)
    if condition is None or not size:
        return out
    columns = condition.shape[1]
    # the columns asked for come first, in their order; the others count as one past the last
    numbers = torch.where(condition > 0, torch.arange(columns), columns)
    found = numbers.sort(1).values[:, :size]
    out[:, : found.shape[1]] = torch.where(found < columns, first + found, none)
    return out


def random_subset(condition: Tensor, draws: Draws) -> Tensor:
    """condition (n, columns) with some of its values left out at random: each stays with
    probability min(1, 2u), where u is drawn evenly for every example, so that often all stay and
    sometimes none."""
    share = draws.uniform("share", 1)  # (n, 1)
    stays = draws.uniform("shown", condition.shape[1]) < 2 * share
    return condition * stays


def drop(
    attributes: Mapping[str, tuple[str, ...]], condition: Tensor, draws: Draws, rate: float
) -> Tensor:
    """Condition (n, columns) with attributes left out at random: all of them with probability
    `rate`, and each one with `rate`, so that a model learns to do without any (Ho and Salimans,
    arXiv 2207.12598, per attribute)."""
    if not attributes or rate <= 0:
        return condition
    keeps_attribute = draws.uniform("drop attribute", len(attributes)) >= rate
    keeps_any = draws.uniform("drop all", 1) >= rate
    kept = keeps_attribute & keeps_any  # (n, attributes)
    sizes = torch.tensor([len(values) for values in attributes.values()], device=condition.device)
    return condition * kept.repeat_interleave(sizes, 1).to(condition.dtype)
