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
from genwright.core.registry import kinds
from genwright.data.cache import SPLITS
from genwright.data.content import ALL
from genwright.data.settings import DataSettings
from genwright.recipe.shipped import shipped

if TYPE_CHECKING:
    from genwright.recipe.schema import Recipe
    from genwright.reporting.page import RunData

HELD_OUT = SPLITS[1]
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
        others = [other for other in parts if other != own]
        names.append(Path(*own[-_telling_size(own, others) :]).as_posix())
    return names


def _telling_size(own: tuple[str, ...], others: Sequence[tuple[str, ...]]) -> int:
    """How many of the last parts of a path tell it apart from others."""
    for size in range(1, len(own)):
        if all(other[-size:] != own[-size:] for other in others):
            return size
    return len(own)


def what_is_read() -> tuple[str, ...]:
    """The settings that decide what is read, of any kind of data."""
    names: list[str] = []
    for cls in kinds("data").values():
        if issubclass(cls, DataSettings):  # others are refused where a recipe uses them
            names += cls.what_is_read
    return tuple(dict.fromkeys(names))


def data_facts(recipe: Recipe, data: Mapping[str, Any]) -> dict[str, Any]:
    """What a run read, as a nested mapping. data: what the run's environment keeps of it (digest,
    summary)."""
    settings = recipe.data.model_dump(mode="json")
    facts: dict[str, Any] = {name: settings.get(name) or None for name in what_is_read()}
    paths = facts.get("path")
    if isinstance(paths, str):
        paths = [paths]
    if paths:
        facts["path"] = [Path(path).as_posix() for path in paths]  # notes/ is notes
    for name in SPLIT:
        facts[f"setting {name}"] = settings.get(name)
    facts["codec"] = recipe.codec.model_dump(mode="json")
    facts["digest"] = data.get("digest")
    return facts | dict(data.get("summary", {}))


def trained_on(recipe: Recipe, summary: Mapping[str, Any], thing: str = "example") -> str:
    """What a run was trained on, as a sentence (`data_in_words`)."""
    return f"Trained on {data_in_words(recipe, summary, thing)}."


def data_in_words(recipe: Recipe, summary: Mapping[str, Any], thing: str = "example") -> str:
    """Data, in words: how much, from where, with which attributes. thing: what an example is
    called.

    Example: "1,437 examples from the folder mine; 360 more are held out; with label (10 values)"
    """
    counted = recipe.data.counted
    train = _count(summary.get("train", {}), counted)
    held_out = _count(summary.get("held_out", {}), counted)
    parts = []
    if not train:
        parts.append(_place(recipe))
    else:
        parts.append(f"{train:,} {_plural(thing, train)} from {_place(recipe)}")
        if not held_out:
            parts.append("nothing is held out")
        else:
            verb = "is" if held_out == 1 else "are"
            parts.append(f"{held_out:,} more {verb} held out")
    known = []
    for name, values in summary.get("attributes", {}).items():
        known.append(f"{name} ({len(values):,} values)")
    if len(known) > ATTRIBUTES:
        known[ATTRIBUTES:] = [f"{len(known) - ATTRIBUTES} more attributes"]
    if known:
        parts.append(f"with {', '.join(known)}")
    return "; ".join(parts)


def _plural(thing: str, count: int) -> str:
    if count == 1:
        return thing
    return f"{thing}s"


def _count(split: Mapping[str, Any], counted: str) -> int:
    """The size of a split. counted: what a person counts of these data, as of
    `DataSettings.counted`."""
    return int(split.get(counted, split.get("examples", 0)))


def _place(recipe: Recipe) -> str:
    """Where the data came from. Of paths the last part: a report is handed on, and says nothing of
    the disk it was made on."""
    data = recipe.data
    paths = getattr(data, "path", ())
    if isinstance(paths, str):
        paths = [paths]
    if data.source != "files" or not paths:
        return f"the source {data.source}"
    names = [Path(path).name or Path(path).resolve().name for path in paths]
    text = f"the {_kind_of(paths)} {', '.join(names[:3])}"
    if len(names) > 3:
        text += f" and {len(names) - 3} more"
    return text


def _kind_of(paths: Sequence[str]) -> str:
    # data may be gone when a report is written
    folders = [Path(path).is_dir() or not Path(path).suffix for path in paths]
    if len(paths) > 1:
        return "files and folders" if any(folders) else "files"
    if folders[0]:
        return "folder"
    return "file"


def own_description(recipe: Recipe, overrides: Mapping[str, Any]) -> str:
    """The recipe's description where it is about this run's data; "" where the data were replaced.
    overrides: settings that the command line changed."""
    if "data" in overrides or any(f"data.{name}" in overrides for name in what_is_read()):
        return ""
    if recipe.name in {name for name, _ in shipped()}:
        original = type(recipe).load(recipe.name).data
        for name in what_is_read():
            if getattr(original, name, None) != getattr(recipe.data, name, None):
                return ""
    return recipe.description


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
    if a.data.get("digest") == b.data.get("digest"):
        return _samples(a, b)
    pair = f"{a.name} and {b.name}"
    one = a.data
    other = b.data
    content = _same_content(one, other)
    codecs_differ = one.get("codec") != other.get("codec")
    read = _what_was_read(one, other)
    split = [name for name in SPLIT if one.get(f"setting {name}") != other.get(f"setting {name}")]
    out = []
    if content is None and read:
        out.append(_other_data(pair, read))
    elif content is None and not codecs_differ and not split:
        out.append(_other_data(pair, ["as many files, other contents"]))
    elif content is False:
        out.append(_other_data(pair, read or ["as many files, other contents"]))
    what = _splits(one, other, split, content)
    if what:
        out.append(
            f"{pair} hold out different data ({'; '.join(what)}): "
            "their held-out figures cannot be compared directly"
        )
    if codecs_differ:
        codecs = f"{a.name} {_text(one, 'codec')}, {b.name} {_text(other, 'codec')}"
        out.append(
            f"{pair} have different codecs ({codecs}): "
            f"what is counted in tokens, values or codes cannot be compared directly"
            f"{_bits(content, bool(read), bool(what))}"
        )
    if not out:  # names, order, attributes, balance: another digest, and the same contents
        out.append(
            f"{pair} read the same contents and hold out the same, but made other training data of"
            " them (order, attributes or balance)"
        )
    return out + _samples(a, b)


def _other_data(pair: str, what: Sequence[str]) -> str:
    return (
        f"{pair} saw different data ({'; '.join(what)}): their figures cannot be compared directly"
    )


def _same_content(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool | None:
    """Whether two runs read the same contents (`data/content.py`), on whichever side; None where
    one of them does not say what it read."""
    contents = [data.get("content") or {} for data in (one, other)]
    if not all(ALL in content for content in contents):
        return None
    return bool(contents[0][ALL] == contents[1][ALL])


def _what_was_read(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """How two runs differ in what they were told to read, and in how much that was."""
    found = []
    for name in what_is_read():
        if one.get(name) != other.get(name):
            found.append(f"{name}: {_text(one, name)} and {_text(other, name)}")
    for name in ("files", "train"):
        sizes = [_size(data, name) for data in (one, other)]
        if sizes[0] != sizes[1]:
            found.append(f"{_named(name)}: {sizes[0]:,} and {sizes[1]:,}")
    return found


def _bits(content: bool | None, read: bool, split: bool) -> str:
    """Whether bits per byte can be compared where codecs differ. content: of `_same_content`; read,
    split: whether the runs were told to read different data, or hold out different ones."""
    if content and not split:
        return "; bits per byte can, for the contents are the same"
    if content is not None:
        return ""
    if read:
        return "; bits per byte can, of the same data"
    return (
        "; bits per byte can, of the same data; whether the contents are the same is not known, for"
        " a run of an earlier version does not say what it read"
    )


def _splits(
    one: Mapping[str, Any],
    other: Mapping[str, Any],
    settings: Sequence[str],
    content: bool | None,
) -> list[str]:
    """How two splits differ: in these settings, and in what they hold out. content: of
    `_same_content`."""
    if content and one["content"][HELD_OUT] == other["content"][HELD_OUT]:
        return []
    what = []
    for name in settings:
        values = [_text(data, f"setting {name}") for data in (one, other)]
        what.append(f"data.{name}: {values[0]} and {values[1]}")
    sizes = [_size(data, "held_out") for data in (one, other)]
    if sizes[0] != sizes[1]:
        what.append(f"{sizes[0]:,} and {sizes[1]:,} examples")
    if content and not what:
        what.append("as many examples, others of the same contents")
    return what


def _samples(a: RunData, b: RunData) -> list[str]:
    """Figures of sets (coverage, recall, distinct n-grams) depend on how many samples there are."""
    counts = {f.name: f.count for f in a.figures if f.counted == "samples"}
    for figure in b.figures:
        if figure.counted == "samples" and counts.get(figure.name, figure.count) != figure.count:
            both = f"{counts[figure.name]:,} of {a.name}, {figure.count:,} of {b.name}"
            return [
                f"{figure.name} and the like were measured on different numbers of samples "
                f"({both}): evaluate both with one --samples"
            ]
    return []


def _counted(kind: str | None) -> str:
    """What is counted of a kind of data; of one that is not known here, examples."""
    counted: str = kinds("data").get(str(kind), DataSettings).counted
    return counted


def _size(data: Mapping[str, Any], name: str) -> int:
    found = data.get(name) or 0
    if isinstance(found, Mapping):
        return _count(found, _counted(data.get("kind")))
    return int(found)


def _named(name: str) -> str:
    if name == "train":
        return "training examples"
    return name


def _text(data: Mapping[str, Any], name: str) -> str:
    """A fact of the data, for a person."""
    value = data.get(name)
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return str(value.get("kind", value))
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return str(value)
