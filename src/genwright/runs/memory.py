"""A run that does not fit into memory, and what can be done about it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from genwright.core.errors import GenwrightError, out_of_memory
from genwright.recipe.schema import Recipe


@contextmanager
def explaining_memory(recipe: Recipe, unit: int) -> Iterator[None]:
    """Inside, an error that says there is not enough memory becomes one with a remedy. unit: as of
    an objective. Raises GenwrightError."""
    try:
        yield
    except Exception as error:
        if out_of_memory(error):
            raise too_large(recipe, max(1, unit)) from error
        raise


def too_large(recipe: Recipe, unit: int) -> GenwrightError:
    """What to do about a run that does not fit into memory. unit: examples that must stay
    together."""
    training = recipe.training
    at_once = training.micro_batch or training.batch_size or unit
    smaller = "the model's width or depth"
    if recipe.data.length_field:
        smaller += f", or data.{recipe.data.length_field}"
    what = f"out of memory, with {at_once} examples at once"
    if at_once <= unit:
        return GenwrightError(what, f"lower {smaller}")
    half = max(unit, at_once // 2 // unit * unit)
    return GenwrightError(
        what,
        f"set training.micro_batch={half} or less (the result stays; --resume takes it),"
        f" then lower {smaller}",
    )
