"""How a word of the command line (`key=value`) is read: by the declared type of the setting that it
is for.

1. Text takes the word as it stands: `#`, quotes, colons, spaces, `yes`, `1e5` and nothing at all
   come through.
2. Whole numbers, numbers and truth values must be one from the first to the last character (YAML
   1.2: 1e-3, 010 is ten).
3. `null` or `none` is "not set", where a setting may be.
4. [in brackets] is a list where the setting may be one, {in braces} are key: value lines; what they
   hold is read by its own type in turn. Without brackets it is text, where the setting may be text
   too.

A word that does not fit is handed on as it is; the settings class then refuses it and says what
would fit.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from genwright.core.errors import GenwrightError
from genwright.recipe.yaml_text import plain, read_flow

_NOT_SET = ("null", "none")


class Word(str):
    """A value as a person typed it, whose meaning waits for the type of its setting."""

    __slots__ = ()


def opened(word: Word) -> Any:
    """What is in brackets or braces, with words for what it holds; any other word as it is."""
    if word[:1] + word[-1:] not in ("[]", "{}"):
        return word
    try:
        return _words(read_flow(word))
    except ValueError:
        return word


def _words(value: Any) -> Any:
    if isinstance(value, list):
        return [_words(item) for item in value]
    if isinstance(value, dict):
        return {key: _words(item) for key, item in value.items()}
    if isinstance(value, str):
        return Word(value)
    return value


def read_words(cls: type[BaseModel], values: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The settings of a class with every word in them read. where: the dotted place of the class,
    to name a setting in an error.

    Settings that the class does not know are left as they are. Raises GenwrightError for a truth
    value that is none."""
    out = dict(values)
    for name, value in values.items():
        if name in cls.model_fields:
            key = f"{where}.{name}" if where else name
            out[name] = _read(cls.model_fields[name].annotation, value, key)
    return out


def _read(wanted: Any, value: Any, key: str) -> Any:
    """A value in which every word is read as `wanted`, a type as it stands in an annotation."""
    choices = _choices(wanted)
    if isinstance(value, Word):
        if value.lower() in _NOT_SET and type(None) in choices:
            return None
        if _may_be_opened(choices, value):
            value = opened(value)
    if isinstance(value, Mapping):
        return _read_mapping(choices, value, key)
    if isinstance(value, (list, tuple)):
        items = []
        for place, item in enumerate(value):
            items.append(_read(_inner(choices, place), item, f"{key}.{place}"))
        return items
    if bool in choices:
        _check_truth(value, choices, key)
    if isinstance(value, Word):
        return _scalar(choices, value)
    return value


def _choices(wanted: Any) -> list[Any]:
    """The types that a value may have, in the order of their declaration; of lists and mappings
    with what they hold."""
    origin = get_origin(wanted)
    if origin is Annotated:
        return _choices(get_args(wanted)[0])
    if origin in (Union, types.UnionType):
        choices = []
        for member in get_args(wanted):
            choices += _choices(member)
        return choices
    return [wanted]


def _may_be_opened(choices: list[Any], word: Word) -> bool:
    """Whether brackets or braces mean something where these types may stand: text alone keeps
    them."""
    if Any in choices:
        return True
    if word.startswith("["):
        return any(get_origin(choice) in (list, tuple) for choice in choices)
    if word.startswith("{"):
        return any(_is_settings(choice) or get_origin(choice) is dict for choice in choices)
    return False


def _is_settings(choice: Any) -> bool:
    return isinstance(choice, type) and issubclass(choice, BaseModel)


def _read_mapping(choices: list[Any], value: Mapping[Any, Any], key: str) -> Any:
    """Key: value lines: of a settings class, of one type by name, or (a recipe's parts) for a class
    that is found out later."""
    for choice in choices:
        if _is_settings(choice):
            return read_words(choice, value, key)
        if get_origin(choice) is dict:
            inner = get_args(choice)[1]
            return {name: _read(inner, item, f"{key}.{name}") for name, item in value.items()}
    return dict(value)


def _inner(choices: list[Any], place: int) -> Any:
    """The type of a list's item."""
    for choice in choices:
        items = get_args(choice)
        if get_origin(choice) is tuple and Ellipsis not in items:
            return items[min(place, len(items) - 1)]
        if get_origin(choice) in (list, tuple):
            return items[0]
    return Any


def _scalar(choices: list[Any], word: Word) -> Any:
    """What a word means, the first of the types that it fits; the word itself as text where it fits
    none."""
    text = str(word)
    value = plain(text)
    for choice in choices:
        if choice is str:
            return text
        if get_origin(choice) is Literal:
            for option in get_args(choice):
                if str(option) == word:
                    return option
        elif choice is Any or choice is type(value) or (choice is float and type(value) is int):
            return value
        elif choice is int and type(value) is float and value.is_integer():
            return int(value)  # training.steps=1e4
    if isinstance(value, bool):  # true is no 1
        return text
    return value


def _check_truth(value: Any, choices: list[Any], key: str) -> None:
    """`yes`, `on` and 1 are taken for truth values by pydantic, and are none here."""
    if isinstance(value, str):
        value = plain(value)
    known = isinstance(value, bool) or (value is None and type(None) in choices)
    if not known and set(choices) <= {bool, type(None)}:
        raise GenwrightError(f"{key} is {value!r}", "it must be true or false")
