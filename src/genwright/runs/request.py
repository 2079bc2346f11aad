"""What a call of `train` asks for: the recipe, what it changes, and how far it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genwright.core.content import OwnMeasure
from genwright.recipe.schema import Recipe
from genwright.runs.run import Run


@dataclass(frozen=True)
class Request:
    """given: the recipe as it was named. recipe: with the overrides. folder: of the run. overrides:
    dotted settings that differ from the recipe, those from the start of a resumed run among them.
    named: dotted settings that this call names. measures: of the person's own. The others: as of
    `api.train`."""

    given: str | Path | Recipe
    recipe: Recipe
    folder: Path
    overrides: Mapping[str, Any]
    named: frozenset[str]
    resume: bool = False
    until: int | None = None
    start: str | None = None
    quiet: bool = False
    measures: tuple[OwnMeasure, ...] = ()

    @property
    def word(self) -> str:
        """The recipe's name, for a command line."""
        if isinstance(self.given, Recipe):
            return self.given.name
        return str(self.given)


def read_recipe(recipe: str | Path | Recipe, overrides: Mapping[str, Any]) -> Recipe:
    """The recipe of this name or file, with the overrides. Raises GenwrightError."""
    if not isinstance(recipe, Recipe):
        return Recipe.load(recipe, overrides)
    if overrides:
        return recipe.overridden(overrides)
    return recipe


def read_request(
    recipe: str | Path | Recipe,
    overrides: Mapping[str, Any],
    run: str | Path | None,
    resume: bool,
    until: int | None,
    start: str | None,
    quiet: bool,
) -> Request:
    """The arguments of `api.train`, read. Raises GenwrightError."""
    read = read_recipe(recipe, overrides)
    named = frozenset(overrides)
    if run is None:
        folder = Path("runs") / read.name
    else:
        folder = Path(run)
    if resume:  # what was overridden when the run was started need not be said again
        overrides = Run(folder).environment.get("overrides", {}) | overrides
        read = read_recipe(recipe, overrides)
    return Request(
        recipe, read, folder, read.settled(overrides), named, resume, until, start, quiet
    )
