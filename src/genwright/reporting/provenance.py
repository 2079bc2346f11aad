"""Which run is which, and what each was really trained on: from its folder, its resolved recipe and
the summary of its data.

A recipe's description is written before anybody gives it data of their own, so it is quoted only
where the data are the recipe's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genwright.core.errors import GenwrightError
from genwright.recipe.shipped import shipped

if TYPE_CHECKING:
    from genwright.recipe.schema import Recipe
    from genwright.reporting.page import RunData

NOUNS = {"text": "documents", "images": "pictures", "music": "pieces", "points": "points"}
DATA = ("kind", "source", "path", "stacked", "field")  # settings that decide what is read
SPLIT = ("held_out", "split")  # settings that decide what is held out
ATTRIBUTES = 6  # that are named


def run_names(folders: Sequence[Path]) -> list[str]:
    """The folders' own names; where two are equal, with as many of the folders above them as tell
    them apart. Raises GenwrightError where one run is given twice.

    >>> run_names([Path("/a/run"), Path("/b/run"), Path("/b/other")])
    ['a/run', 'b/run', 'other']
    """
    parts = [folder.resolve().parts for folder in folders]
    for i, own in enumerate(parts):
        if own in parts[:i]:
            raise GenwrightError(f"{folders[i]} is given twice", "name each run once")
    names = []
    for own in parts:
        rest = [other for other in parts if other != own]
        size = next(
            (n for n in range(1, len(own)) if all(other[-n:] != own[-n:] for other in rest)),
            len(own),
        )
        names.append(Path(*own[-size:]).as_posix())
    return names


def data_facts(recipe: Recipe, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a run read, as a nested mapping. data: what the run's environment keeps of it (digest,
    summary)."""
    settings = recipe.data.model_dump(mode="json")
    facts: dict[str, Any] = {name: settings.get(name) or None for name in DATA}
    if paths := facts.get("path"):
        # notes/ is notes
        facts["path"] = [
            Path(path).as_posix() for path in ([paths] if isinstance(paths, str) else paths)
        ]
    split = {f"setting {name}": settings.get(name) for name in SPLIT}
    codec = {"codec": recipe.codec.model_dump(mode="json")}
    return facts | split | codec | {"digest": data.get("digest")} | dict(data.get("summary", {}))


def trained_on(recipe: Recipe, summary: Mapping[str, Any]) -> str:
    """What a run was trained on, as a sentence: how much, from where, with which attributes.

    Example: "Trained on 1,437 pictures from the folder mine; 360 more are held out; with label (10
    values)."
    """
    noun = NOUNS.get(recipe.data.kind, "examples")
    train, held_out = (_count(summary.get(split, {})) for split in ("train", "held_out"))
    parts = [
        f"Trained on {train:,} {_plural(noun, train)} from {_place(recipe)}"
        if train
        else f"Trained on {_place(recipe)}"
    ]
    if train:
        parts.append(
            f"{held_out:,} more {'is' if held_out == 1 else 'are'} held out"
            if held_out
            else "nothing is held out"
        )
    known = [
        f"{name} ({len(values):,} values)" for name, values in summary.get("attributes", {}).items()
    ]
    if known:
        more = [f"{len(known) - ATTRIBUTES} more attributes"] if len(known) > ATTRIBUTES else []
        parts.append("with " + ", ".join(known[:ATTRIBUTES] + more))
    return "; ".join(parts) + "."


def _plural(noun: str, count: int) -> str:
    return noun.removesuffix("s") if count == 1 else noun


def _count(split: Mapping[str, Any]) -> int:
    """Of documents or pieces, which a person counts, rather than of the windows that are cut from
    them."""
    return int(
        next((split[name] for name in ("documents", "pieces", "examples") if name in split), 0)
    )


def _place(recipe: Recipe) -> str:
    """Where the data came from. Of paths the last part: a report is handed on, and says nothing of
    the disk it was made on."""
    data = recipe.data
    paths = (
        [data.path]
        if isinstance(getattr(data, "path", ()), str)
        else list(getattr(data, "path", ()))
    )
    if data.source == "files" and paths:
        names = [Path(path).name or Path(path).resolve().name for path in paths]
        found = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"the {_kind_of(paths)} {found}"
    return f"the source {data.source}"


def _kind_of(paths: Sequence[str]) -> str:
    # data may be gone when a report is written
    folders = [Path(path).is_dir() or not Path(path).suffix for path in paths]
    if len(paths) > 1:
        return "files and folders" if any(folders) else "files"
    return "folder" if folders[0] else "file"


def own_description(recipe: Recipe, overrides: Mapping[str, Any]) -> str:
    """The recipe's description where it is about this run's data; "" where the data were replaced.
    overrides: settings that the command line changed."""
    shipped_recipes = {name for name, _ in shipped()}
    replaced = any(f"data.{name}" in overrides or "data" in overrides for name in DATA)
    if recipe.name in shipped_recipes:
        original = type(recipe).load(recipe.name).data
        replaced = replaced or any(
            getattr(original, name, None) != getattr(recipe.data, name, None) for name in DATA
        )
    return "" if replaced else recipe.description


# ---- runs beside each other


def differences(runs: Sequence[RunData]) -> list[str]:
    """What keeps the figures of several runs from being compared, as sentences: other data, another
    held-out split, another codec, other numbers of samples."""
    if len(runs) < 2:
        return []
    first = runs[0]
    found = list[str]()
    for run in runs[1:]:
        found += _between(first, run)
    return list(dict.fromkeys(found))


def _between(a: RunData, b: RunData) -> list[str]:
    pair = f"{a.name} and {b.name}"
    out = list[str]()
    one = a.data
    other = b.data
    codec = [f"{a.name} {_said(one, 'codec')}", f"{b.name} {_said(other, 'codec')}"]
    codecs_differ = one.get("codec") != other.get("codec")
    read = [name for name in DATA if one.get(name) != other.get(name)]
    sizes = [name for name in ("files", "train") if _size(one, name) != _size(other, name)]
    split = [name for name in SPLIT if one.get(f"setting {name}") != other.get(f"setting {name}")]
    held_out = _size(one, "held_out") != _size(other, "held_out")
    if one.get("digest") == other.get("digest"):
        return _samples(a, b)
    if read or sizes:
        what = [f"{name}: {_said(one, name)} and {_said(other, name)}" for name in read]
        what += [
            f"{_named(name)}: {_size(one, name):,} and {_size(other, name):,}" for name in sizes
        ]
        out.append(
            f"{pair} saw different data ({'; '.join(what)}): their figures cannot be compared directly"
        )
    elif not codecs_differ and not split:
        out.append(
            f"{pair} saw different data (as many files, other contents): their figures cannot be compared directly"
        )
    if split or held_out:
        what = [
            f"data.{name}: {_said(one, f'setting {name}')} and {_said(other, f'setting {name}')}"
            for name in split
        ]
        what += [f"{_size(one, 'held_out'):,} and {_size(other, 'held_out'):,} examples"] * held_out
        out.append(
            f"{pair} hold out different data ({'; '.join(what)}): their held-out figures cannot be compared directly"
        )
    if codecs_differ:
        told = "what is counted in tokens, pixels or codes cannot be compared directly; bits per byte can, of the same data"
        doubt = (
            ""
            if read or sizes
            else "; whether the contents are the same is not known where codecs differ"
        )
        out.append(f"{pair} have different codecs ({', '.join(codec)}): {told}{doubt}")
    return out + _samples(a, b)


def _samples(a: RunData, b: RunData) -> list[str]:
    """Figures of sets (coverage, recall, distinct n-grams) depend on how many samples there are."""
    counts = {f.name: f.count for f in a.figures if f.counted == "samples"}
    for figure in b.figures:
        if figure.counted == "samples" and counts.get(figure.name, figure.count) != figure.count:
            both = f"{counts[figure.name]:,} of {a.name}, {figure.count:,} of {b.name}"
            return [
                f"{figure.name} and the like were measured on different numbers of samples ({both}): evaluate both with one --samples"
            ]
    return []


def _size(data: Mapping[str, Any], name: str) -> int:
    found = data.get(name) or 0
    return _count(found) if isinstance(found, Mapping) else int(found)


def _named(name: str) -> str:
    return "training examples" if name == "train" else name


def _said(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if isinstance(value, Mapping):
        return str(value.get("kind", value))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
