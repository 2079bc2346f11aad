"""HTML from templates. A text is escaped wherever it is put into a template; only what is `Markup`
already, because a template made it, stands as it is. So a name or a sample with markup in it cannot
get through where somebody forgot to escape it.

Templates are files of Jinja2 macros beside the module that uses them. Line breaks in them, with the
spaces around, stand for nothing. Small shapes of inline SVG, of which a page has thousands, are
constants of `Markup` that are formatted: `Markup.format` escapes its arguments too.

Jinja2 is imported when the first page is made.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from jinja2 import Environment

__all__ = ["Markup", "Templates", "escape", "joined", "trusted"]


class Templates:
    """The macros of a file, as attributes: `HTML.tile(value, name)` gives Markup. Nothing is read
    before a macro is called.

    package, name: of the file, whose macros know nothing of other files."""

    def __init__(self, package: str, name: str):
        self._place = package, name

    def __getattr__(self, macro: str) -> Callable[..., Markup]:
        found: Callable[..., Markup] = getattr(_module(*self._place), macro)
        return found


def joined(parts: Iterable[str], between: str = "") -> Markup:
    """Parts one after another; what is no markup is escaped."""
    return Markup(between).join(parts)


def trusted(html: str) -> Markup:
    """HTML that this program made by other means than a template (notation, a style sheet), or that
    a kind of content gave as HTML (`core.content.Fragment`): it must have been escaped there."""
    return Markup(html)


def package_text(package: str, name: str) -> str:
    """What a file beside the modules of a package says."""
    from importlib.resources import files  # it takes 8 ms, and drawing samples needs no page

    return files(package).joinpath(name).read_text(encoding="utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, StrictUndefined

    return Environment(autoescape=True, undefined=StrictUndefined)


@cache
def _module(package: str, name: str) -> object:
    source = package_text(package, name)
    return _environment().from_string(re.sub(r"\s*\n\s*", "", source)).module
