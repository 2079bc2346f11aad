"""Settings that a command line or a call changes: `key=value` words, and dotted keys in nested
settings."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.recipe.words import Word, opened


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words of a command line -> {key: Word(value)}, to be read by the type of the
    setting; `key:=json` -> {key: value}. Raises GenwrightError for a word without `=`."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        exact = key.endswith(":")
        key = key.removesuffix(":").strip()
        if not equals or not key:
            raise GenwrightError(
                f"{word!r} is not a setting", "write key=value, for example training.steps=500"
            )
        if exact:
            found[key] = _json(key, text)
        else:
            found[key] = Word(text)
    return found


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise GenwrightError(
            f"{key}:={text} is not JSON", f"write {key}=VALUE, or JSON after := as in {key}:=null"
        ) from None


def override(values: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key in nested settings, in place. Raises GenwrightError for a key inside of a
    single value."""
    *parents, last = key.split(".")
    place = values
    for depth, name in enumerate(parents, start=1):
        inner = place.get(name)
        if isinstance(inner, Word):
            inner = opened(inner)
        if isinstance(inner, str) and (depth == 1 or (depth == 2 and parents[0] == "model")):
            inner = {"kind": inner}  # of a part, or of one of several networks
        elif inner is not None and not isinstance(inner, Mapping):
            above = ".".join(parents[:depth])
            raise GenwrightError(f"{key} is not a setting", f"{above} holds one value, {inner!r}")
        place[name] = dict(inner or {})
        place = place[name]
    place[last] = value


def override_all(values: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Sets every override in nested settings of a recipe, in place; gives the settings back. Raises
    GenwrightError."""
    for key, value in overrides.items():
        override(values, key, value)
    if "data.path" in overrides and "data.source" not in overrides:
        # a person's own files, whatever the recipe usually learns from
        values["data"].pop("source", None)
    return values


def value_at(values: Any, key: str) -> Any:
    """What stands at a dotted key of nested settings."""
    for name in key.split("."):
        values = values[name]
    return values
