"""The recipe that a corpus keeps of itself, CORPUS/corpus.yaml: a person edits it, and a build
writes it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.core.files import read_json, write_whole
from genwright.curation.settings import CorpusRecipe, Filter, Mix, Near
from genwright.curation.store import AGAIN
from genwright.data.selection import COUNTS, MIX, RECIPE, SOURCES
from genwright.recipe.settings import settings_from
from genwright.recipe.yaml_text import read_yaml, write_yaml

log = logging.getLogger(__name__)


def dumped(recipe: CorpusRecipe) -> str:
    """A recipe as YAML, which reads back as the same."""
    values = recipe.model_dump(mode="json", exclude={"sources", "filters"})
    sources = []
    for each in recipe.sources:
        raw = each.raw.model_dump(mode="json")
        sources.append({"name": each.name, "licence": each.licence, **raw})
    values["sources"] = sources
    values["filters"] = [
        each.model_dump(mode="json", exclude_defaults=True) for each in recipe.filters
    ]
    return write_yaml(values)


def check_name(recipe: CorpusRecipe, folder: Path) -> None:
    """Raises GenwrightError where a folder holds a corpus that is called otherwise, which a build
    would write over."""
    values = _values(folder / RECIPE)
    if values is None:
        return
    name = str(values.get("name", folder.name))
    if name != recipe.name:
        raise GenwrightError(
            f"{folder} holds the corpus {name!r}, and this recipe is of the corpus {recipe.name!r}",
            "name another folder with --corpus, or bring that corpus up to date by genwright data"
            f" build {folder}",
        )


def keep_recipe(recipe: CorpusRecipe, folder: Path) -> None:
    """Writes the recipe of a corpus, unless what is there means the same: it may have comments.
    Where a person edited it since the corpus was made, a note says that it is replaced."""
    path = folder / RECIPE
    text = dumped(recipe)
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") != text:
        before = _stored(folder)
        if before is not None and dumped(before) == text:
            return
        if before is None or _was_edited(before, folder):
            log.warning(
                "%s was edited since the corpus was made: the recipe that was given is taken, and"
                " written there",
                path,
            )
    write_whole(path, text)


def _values(path: Path) -> dict[str, Any] | None:
    """What a recipe says; None where there is none, or none that can be read."""
    try:
        return read_yaml(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeError, GenwrightError):
        return None


def _stored(folder: Path) -> CorpusRecipe | None:
    """The recipe that a corpus keeps; None for one that cannot be read."""
    values = _values(folder / RECIPE)
    if values is None:
        return None
    values.setdefault("name", folder.name)
    try:
        recipe: CorpusRecipe = settings_from(CorpusRecipe, values, "", list)
    except GenwrightError:
        return None
    return recipe


def _was_edited(stored: CorpusRecipe, folder: Path) -> bool:
    """Whether a corpus was made by another recipe than it keeps, as far as what was made tells."""
    counts = folder / MIX / COUNTS
    sources = folder / SOURCES
    if not counts.is_file() or not sources.is_file():
        return (folder / RECIPE).read_text(encoding="utf-8") != dumped(stored)
    mixed = read_json(counts.read_text(encoding="utf-8"), counts, AGAIN)["recipe"]
    read = read_json(sources.read_text(encoding="utf-8"), sources, AGAIN)
    own = stored.model_dump(mode="json", include=set(mixed))
    named = [source.name for source in stored.sources]
    return own != mixed or named != [each["source"] for each in read]


def as_mixed(recipe: CorpusRecipe, counts: Mapping[str, Any]) -> CorpusRecipe:
    """The recipe by which the mix decided, which may have been edited since."""
    known = counts.get("recipe")
    if not known:
        return recipe
    filters = tuple(Filter(**each) for each in known["filters"])
    near = known["deduplicate"]
    changes = {
        "kind": known["kind"],
        "filters": filters,
        "deduplicate": None if near is None else Near(**near),
        "mix": Mix(**known["mix"]),
    }
    return recipe.model_copy(update=changes)
