"""Options of a command, read from what was given: by name, type and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from genwright.core.errors import GenwrightError
from genwright.core.options import Options, option_name
from genwright.recipe.refusals import refusal

T = TypeVar("T", bound=Options)


def read_options(cls: type[T], given: Mapping[str, Any]) -> T:
    """The options of a class. Raises GenwrightError that names the option as it is typed."""
    try:
        return cls.model_validate(dict(given))
    except ValidationError as error:
        problem = refusal(cls, error, "", lambda: ())
        field = problem.what.split(" ", 1)[0].rstrip(":").split(".")[0]
        if field not in cls.model_fields:
            raise problem from None
        name = option_name(cls, field).split(",")[0]
        raise GenwrightError(name + problem.what[len(field) :], problem.remedy) from None
