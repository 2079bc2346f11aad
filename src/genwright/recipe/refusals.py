"""What pydantic refuses, said to a person: one sentence that names the dotted setting, and a
remedy."""

import typing
from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from genwright.core.brackets import unbalanced
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.meanings import meaning
from genwright.recipe.suggestions import settings_meant, written

_BOUNDS = {
    "greater_than": "more than",
    "greater_than_equal": "at least",
    "less_than": "less than",
    "less_than_equal": "at most",
}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "key: value lines",
}
# what pydantic calls a union's
_MEMBERS = ("int", "float", "str", "bool", "none", "tuple", "list", "dict")


def refusal(
    cls: type[BaseModel],
    error: ValidationError,
    where: str,
    everywhere: Callable[[], Iterable[str]],
) -> GenwrightError:
    """The first thing to put right; unknown keys come first, because a mistyped key also leaves a
    required one missing.

    cls: what was validated; where: its dotted place. everywhere: all dotted settings of a recipe,
    to find a misplaced one."""
    problems = error.errors()
    unknown = [problem for problem in problems if problem["type"] == "extra_forbidden"]
    problem = (unknown or problems)[0]
    path, owner = _place(cls, problem["loc"])
    key = ".".join([where, *path] if where else path)
    if unknown:
        remedy = _near(owner, key, problem["input"], everywhere)
        return GenwrightError(f"{key} is not a setting", remedy)
    if problem["type"] == "missing":
        words = meaning(owner, path[-1]) or "see `genwright recipe show`"
        return GenwrightError(
            f"{key} is not given, and has no default", f"set it ({words.removesuffix('.')})"
        )
    if problem["type"] in ("value_error", "assertion_error"):
        reason = problem.get("ctx", {}).get("error", problem["msg"])
        return GenwrightError(f"{key or 'the recipe'}: {reason}", "change that setting")
    return GenwrightError(f"{key} is {problem['input']!r}", _remedy(problem))


def _remedy(problem: ErrorDetails) -> str:
    """What a value must be."""
    kind = problem["type"]
    context = problem.get("ctx", {})
    if kind in _BOUNDS:
        (bound,) = context.values()
        return f"it must be {_BOUNDS[kind]} {bound}"
    if kind == "literal_error":
        return f"it must be {context['expected']}"
    unclosed = _unclosed(problem["input"])
    if kind in ("model_type", "model_attributes_type"):
        return unclosed or "write its settings as key: value"
    wanted = _KINDS.get(kind.rpartition("_")[0]) or _KINDS.get(kind.split("_")[0])
    if not wanted:
        return f"{problem['msg'][:1].lower()}{problem['msg'][1:]}"
    value = problem["input"]
    if unclosed and wanted in ("a list", "key: value lines"):
        return f"it must be {wanted}, and {unclosed}"
    if wanted == "text" and (value is None or isinstance(value, (int, float))):
        return f"it must be {wanted} (in quotes, if it looks like a number or begins with #)"
    if wanted == "a list" and isinstance(value, str) and value.isalnum():
        return f"it must be {wanted}, as in [{value}]"
    return f"it must be {wanted}"


def _unclosed(value: Any) -> str:
    """What the brackets of a value that is text lack, as words; "" for nothing."""
    if not isinstance(value, str):
        return ""
    return unbalanced(value)


def _place(cls: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[list[str], type[BaseModel]]:
    """The parts of a location that a person wrote (pydantic adds the names of union members), and
    the class that has the last one, or lacks it."""
    path = []
    here = [cls]
    owner = cls
    for depth, part in enumerate(loc):
        known = [settings for settings in here if part in settings.model_fields]
        owner = (known or here or [owner])[0]
        if known:
            here = []
            for settings in known:
                here += _settings_in(settings.model_fields[str(part)].annotation)
        is_member = "[" in str(part) or part in _MEMBERS
        if known or depth == 0 or isinstance(part, int) or not is_member:
            path.append(str(part))
    return path, owner


def _settings_in(annotation: Any) -> list[type[BaseModel]]:
    """The settings classes inside an annotation: X, X | None, dict[str, X]."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found = []
    for inner in typing.get_args(annotation):
        found += _settings_in(inner)
    return found


def _near(
    owner: type[BaseModel], key: str, value: Any, everywhere: Callable[[], Iterable[str]]
) -> str:
    """A remedy for an unknown key and its value: a near name beside it, else the same name
    elsewhere (also as other programs call it), else all that are known. The key itself may be a
    setting of another kind of part, which is no remedy."""
    word = key.rpartition(".")[2]
    if get_close_matches(word, owner.model_fields, n=1, cutoff=0.7):
        return did_you_mean(word, owner.model_fields)
    elsewhere = settings_meant(word, everywhere(), exact=True)
    elsewhere = [name for name in elsewhere if name != key]
    if elsewhere:
        return written(elsewhere[:1], _typed(value), word)
    return did_you_mean(word, owner.model_fields)


def _typed(value: Any) -> str | None:
    """A value as it is typed on a command line; None for one of several parts."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    return None


def dotted_names(cls: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every setting of a class, nested ones by their dotted name."""
    for name, field in cls.model_fields.items():
        yield prefix + name
        for inner in _settings_in(field.annotation):
            yield from dotted_names(inner, f"{prefix}{name}.")
