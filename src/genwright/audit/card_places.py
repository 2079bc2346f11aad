"""What a card must not say: where on a disk something lies. A card is handed on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

# an absolute path of two parts at least, or one below ~, . or ..
_PATH = re.compile(
    r"""(?<![\w/.:~-])(?:~[\w.-]*/|\.{1,2}/|/[^/\s"'`;,:()\[\]{}]+/)[^\s"'`;,:()\[\]{}]*"""
)
PLACES = ("path", "cache")  # settings that are paths, whatever they look like


def last_part(path: str) -> str:
    """The name of what a path leads to.

    >>> last_part("/home/ada/notes/"), last_part(".")
    ('notes', 'a folder')
    """
    return PurePath(path).name.strip(".") or "a folder"


def without_places(text: str) -> str:
    """A text with the name of what a path leads to in place of the path.

    >>> without_places("run /home/ada/runs/first, step 10")
    'run first, step 10'
    """
    return _PATH.sub(_name_of, text)


def _name_of(found: re.Match[str]) -> str:
    return last_part(found.group())


def plain_settings(value: Any, key: str = "") -> Any:
    """Nested settings without any place of a disk. key: the name of the setting that they are."""
    if isinstance(value, Mapping):
        return {str(name): plain_settings(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_settings(each, key) for each in value]
    if isinstance(value, str) and value:
        if key in PLACES:
            return last_part(value)
        return without_places(value)
    return value
