"""Options of the command line, made from the settings classes of kinds of content
(`core/options.py`): an option for each field, with its help; options of one name are one option."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

import typer

from genwright.core.errors import GenwrightError
from genwright.core.meanings import meaning
from genwright.core.options import Options, joined_by, listed, option_name
from genwright.core.registry import options_of
from genwright.sampling.drawing import Decoding, Drawing

# settings of sampling, which a recipe decides where no option is given
SAMPLING = {*Decoding.model_fields, *Drawing.model_fields}
Parameters = Mapping[str, tuple[Any, Any]]  # name -> (annotation, default)


def command_function(
    command: str, function: Callable[..., None], doc: str, first: Parameters, last: Parameters
) -> Callable[..., None]:
    """A function that typer makes a command of: `function` with the parameters `first`, every
    option of the command, and `last`. The options that were given are handed on as `given`."""
    options = option_parameters(command)
    every = {**first, **options, **last}

    def call(**values: Any) -> None:
        given = {name: values.pop(name) for name in options}
        given = {name: value for name, value in given.items() if was_given(value)}
        function(**values, given=single_values(command, given))

    parameters = []
    for name, (annotation, default) in every.items():
        empty = inspect.Parameter.empty if default is ... else default
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters.append(inspect.Parameter(name, kind, default=empty, annotation=annotation))
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {name: annotation for name, (annotation, _) in every.items()}
    call.__doc__ = doc
    call.__name__ = command
    return call


def single_values(command: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a command, each of which was read as a list so that none is lost: the value of
    one that takes a single value; several values joined, where they can be. Raises GenwrightError
    for any other that is given twice."""
    classes = options_of(command).values()
    found = {}
    for name, value in given.items():
        owner = next(cls for cls in classes if name in cls.model_fields)
        takes_several = get_origin(typed(owner.model_fields[name].annotation)) is list
        if not isinstance(value, list) or takes_several:
            found[name] = value
            continue
        between = joined_by(owner, name)
        if len(value) > 1 and not between:
            flag = option_name(owner, name).split(",")[0]
            raise GenwrightError(f"{flag} is given {len(value)} times", "give it once")
        found[name] = between.join(value) if between else value[0]
    return found


def was_given(value: Any) -> bool:
    """Whether an option was on the command line; options that were not are None, False or []."""
    return value is not None and value is not False and value != []


def option_parameters(command: str) -> dict[str, tuple[Any, Any]]:
    """Field -> (annotation, default) for typer, of every kind of content."""
    classes = options_of(command)
    fields: dict[str, list[type[Options]]] = {}
    for cls in classes.values():
        for name in cls.model_fields:
            fields.setdefault(name, []).append(cls)
    every = len(classes)
    return {name: _parameter(name, owners, every) for name, owners in fields.items()}


def _parameter(name: str, owners: list[type[Options]], every: int) -> tuple[Any, Any]:
    """An option of these classes, of so many."""
    first = owners[0]
    metavar = "|".join(dict.fromkeys(filter(None, (_metavar(cls, name) for cls in owners))))
    flags = option_name(first, name).split(",")
    words = help_of(name, owners, every)
    wanted = typed(first.model_fields[name].annotation)
    several = get_origin(wanted) is list
    if not metavar and wanted is not bool and not several:
        metavar = f"<{wanted.__name__}>"
    option = typer.Option(*flags, help=words, metavar=metavar or None)
    if wanted is bool:
        return Annotated[bool, option], False
    annotation = wanted if several else list[wanted]  # type: ignore[valid-type]  # `single_values`
    return Annotated[Union[annotation, None], option], None  # noqa: UP007


def _metavar(cls: type[Options], name: str) -> str:
    """What stands for an option's value; "" where only its type is said."""
    extra = cls.model_fields[name].json_schema_extra
    return str(extra.get("metavar") or "") if isinstance(extra, dict) else ""


def help_of(name: str, owners: list[type[Options]], every: int) -> str:
    """What an option does; for which kinds of content, where it is not for all of them in the same
    way; its bounds, and what is meant without it."""
    things_of: dict[str, list[str]] = {}  # help -> what it is for
    for cls in owners:
        words = " ".join(meaning(cls, name).split())
        things_of.setdefault(words, []).append(cls.of(name))
    parts: list[str] = []
    whole = all(cls.of(name) == cls.things for cls in owners)
    if len(things_of) == 1 and len(owners) == every and whole:
        parts += things_of
    else:
        for words, things in things_of.items():
            start = words[:2] if words[1:2].isupper() else words[:2].lower()
            parts.append(f"{_capital(listed(things))}: {start}{words[2:]}")
    return " ".join(filter(None, [*parts, bounds_of(name, owners), default_of(name, owners)]))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def bounds_of(name: str, owners: list[type[Options]]) -> str:
    """What values an option takes, in words: "From 0 to 100."; "" where there are no bounds."""
    found: dict[str, list[str]] = {}  # bounds -> what has them
    for cls in owners:
        words = _bounds(cls.model_fields[name].metadata)
        found.setdefault(words, []).append(cls.of(name))
    return _told(found)


def _bounds(metadata: list[Any]) -> str:
    """The bounds of a field of pydantic."""
    known = {}
    for bound in metadata:
        for kind in ("ge", "gt", "le", "lt"):
            if hasattr(bound, kind):
                known[kind] = f"{getattr(bound, kind):,}"
    if "ge" in known and "le" in known:
        return f"from {known['ge']} to {known['le']}"
    words = {"ge": "at least", "gt": "more than", "le": "at most", "lt": "less than"}
    return " and ".join(f"{words[kind]} {known[kind]}" for kind in words if kind in known)


def default_of(name: str, owners: list[type[Options]]) -> str:
    """What is meant where an option is not given: "Default: as the recipe says."; "" where that is
    nothing, or where its help says it."""
    found: dict[str, list[str]] = {}  # default -> what has it
    for cls in owners:
        if name in cls.usual:
            words = f"{cls.usual[name]}"
        elif name in SAMPLING:
            words = "as the recipe says"
        else:
            continue
        found.setdefault(words, []).append(cls.of(name))
    told = _told(found)
    return f"Default: {told[:1].lower()}{told[1:]}" if told else ""


def _told(found: Mapping[str, list[str]]) -> str:
    """Words and what they are of, as a sentence: `1 (of some), 4 (of others).`"""
    if not any(found):
        return ""
    if len(found) == 1:
        return f"{_capital(next(iter(found)))}."
    parts = [f"{words} ({listed(things)})" for words, things in found.items() if words]
    return f"{_capital(', '.join(parts))}."


def typed(annotation: Any) -> Any:
    """The type that a word of the command line is read as: the first of a union that is no None;
    lists of it may be given several times. Bounds and choices are the settings class's."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return typed(get_args(annotation)[0])
    if origin in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return typed(members[0])
    if origin in (tuple, list):
        return list[typed(get_args(annotation)[0])]  # type: ignore[misc]
    return annotation if annotation in (int, float, bool) else str
