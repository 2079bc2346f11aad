"""Options of a command, read from what was given: by name, type and bounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from genwright.core.errors import GenwrightError
from genwright.core.options import Options, listed, option_name
from genwright.core.registry import options_of
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


def check_options(command: str, given: Iterable[str], content: str, run: str) -> None:
    """Raises GenwrightError for an option that is not for the kind of content that a run makes."""
    classes = options_of(command)
    own = classes.get(content)
    for name in given:
        if own is not None and name in own.model_fields:
            continue
        fit = [cls for cls in classes.values() if name in cls.model_fields]
        if not fit:
            continue  # not an option at all, which is said elsewhere
        option = option_name(fit[0], name).split(",")[0]
        things = listed([cls.of(name) for cls in fit])
        raise GenwrightError(f"{option} is for {things}, which {run} does not make", "leave it out")


def parameters_of(command: str) -> dict[str, str]:
    """Option -> its parameter in Python, of what a command takes for any kind of content."""
    names: dict[str, str] = {}
    for cls in options_of(command).values():
        names |= cls.parameters()
    return names
