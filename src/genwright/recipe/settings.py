"""Values that were read, as settings of a class; without torch, so that commands which need none
answer at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from genwright.core.errors import GenwrightError
from genwright.recipe.refusals import refusal
from genwright.recipe.words import read_words


def settings_from(
    cls: type[BaseModel], values: Any, where: str, everywhere: Callable[[], Iterable[str]]
) -> Any:
    """An instance of a settings class. Raises GenwrightError that names the dotted setting, `where`
    being the class's own place. everywhere: all dotted settings, to find a misplaced one."""
    if not isinstance(values, Mapping):
        raise GenwrightError(
            f"{where or 'the recipe'} is {values!r}", "write settings as key: value, one a line"
        )
    try:
        return cls.model_validate(read_words(cls, values, where))
    except ValidationError as error:
        raise refusal(cls, error, where, everywhere) from None
