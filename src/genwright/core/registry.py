"""Kinds of codec, source, data, model, objective, content, options and measure: what there is to
choose from.

Each kind stands in one file, beside its settings, which say what they are of:

    class Causal(Settings, family="objective"):
        kind: Literal["causal"] = "causal"

What has no settings calls `register`. Dropping a file into the family's package is enough; there is
no list to keep. An installed package adds kinds through an entry point of the group
`genwright.plugins`, which names a module that defines or registers them (docs/extending.md).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeVar

from pydantic import BaseModel, ConfigDict

from genwright.core.errors import GenwrightError, did_you_mean

if TYPE_CHECKING:  # --help is quick without torch
    from genwright.core.contracts import Codec

# of each family: the packages that hold its files, and how their names begin; "contents.*" is every
# room of contents
PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "codec": (("contents.*", "codec"),),
    "source": (("contents.*", "source"),),
    "data": (("contents.*", "data"),),
    "model": (("models", ""),),
    "objective": (("objectives", ""),),
    "content": (("contents.*", "content"),),
    "options": (("contents.*", "options"),),
    "measure": (("contents.*", "measures"),),
    "measure_kind": (("contents.*", "measures"),),
    "corpus": (("contents.*", "corpus"),),
    "attributes": (("contents.*", "corpus"),),
    "rules": (("contents.*", "corpus"),),
    "raw": (("curation.sources", ""),),
    "stream": (("rewards", "rollout"),),
    "watcher": (("rewards", "watching"),),
    "group_watch": (("audit", "watching"),),
    "page": (("rewards", "page"),),
}
Found = TypeVar("Found", bound=Callable[..., Any])
PLUGINS = "genwright.plugins"  # the group of entry points
OPTIONS = ".options"  # how the name of a module ends that holds options alone
_known: dict[str, dict[str, Any]] = {family: {} for family in PLACES}
_default: dict[str, str] = {}  # family -> the kind that is meant where none is named


class Settings(BaseModel):
    """Base of every settings class: frozen, unknown keys refused, a `kind` that picks the class.
    Each field has a docstring under it (`core/meanings.py`)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    content: ClassVar[str] = ""  # of data and codecs: which kind of content they are for
    # of objectives: tokens a window holds beyond the context, such as the last target
    lookahead: ClassVar[int] = 0
    # likewise: the kind of stream it learns from (family "stream"); "": that of the data
    streams: ClassVar[str] = ""
    # likewise: whether it must begin with trained weights
    begins: ClassVar[bool] = False
    # fields that are a number of steps or, below 1, a share of the run
    spans: ClassVar[tuple[str, ...]] = ()
    # likewise, and what they warm up must be reached in the run
    warmups: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, family: str = "", default: bool = False, **config: Any):
        """family: registers the class; default: its kind is meant where none is named, which one
        class of a family may say."""
        super().__init_subclass__(**config)
        if family:
            kind = cls.__dict__["kind"]  # its default; the fields are not made yet
            if default and _default.setdefault(family, kind) != kind:
                raise TypeError(f"{family} has two defaults, {_default[family]} and {kind}")
            _known[family][kind] = cls

    def in_steps(self, steps: int) -> Self:
        """These settings for a run of `steps`: spans and warm-ups in steps, and a warm-up that
        would fill the run shortened to half."""
        changed = {}
        for name in (*self.spans, *self.warmups):
            changed[name] = span_steps(getattr(self, name), steps)
        for name in self.warmups:
            if changed[name] >= steps:
                changed[name] = steps / 2
        return self.model_copy(update=changed)


class CodecSettings(Settings):
    """Base of the settings of every codec. A codec is `content` of some kind, and is opened from
    the folder that a run keeps it in (`load`)."""

    # the file that brings a codec of this kind with weights to start from, read through a setting
    # `path`; "" for codecs that come with no weights
    file_of_weights: ClassVar[str] = ""

    def load(self, folder: str | Path) -> Codec:
        """The codec that was saved in a folder. Raises GenwrightError for damaged files."""
        raise NotImplementedError

    def kept_in(self, folder: Path) -> Self:
        """These settings for a run that keeps its codec in `folder`, which need not be there yet:
        what they name outside is read from the copy there. Without being overridden: these
        settings, which name nothing outside."""
        return self


def span_steps(span: float, steps: int) -> float:
    """A span in steps: from 1 it is that already, below 1 it is a share of a run of `steps`."""
    if span >= 1:
        return span
    return span * steps


def register(family: str, kind: str, thing: Any) -> None:
    """Adds a kind that has no settings class of its own."""
    _known[family][kind] = thing


def source(kind: str) -> Callable[[Found], Found]:
    """Registers a function that finds files: (paths, name, cache folder) -> files."""

    def add(find: Found) -> Found:
        register("source", kind, find)
        return find

    return add


@cache  # what is asked for every shard and rule must not read folders each time
def rooms() -> tuple[str, ...]:
    """The names of the rooms of contents, in order."""
    package = importlib.import_module("genwright.contents")
    found = pkgutil.iter_modules(package.__path__)
    return tuple(sorted(module.name for module in found if module.ispkg))


def kinds(family: str) -> dict[str, Any]:
    """kind -> settings class (or what was registered), of every file of the family and of installed
    plug-ins. Raises GenwrightError for a plug-in that cannot be imported."""
    _import_family(family)
    return _known[family]


def _kinds_with(family: str, word: str) -> dict[str, Any]:
    """The same, of those files only whose text holds a word: a start need not wait for modules that
    it does not use."""
    _import_family(family, word)
    return _known[family]


def _import_family(family: str, word: str = "") -> None:
    """Imports the files of a family whose text holds a word, then the plug-ins, whose kinds take
    the place of others of that name."""
    for place, beginning in PLACES[family]:
        packages = [place]
        if place == "contents.*":
            packages = [f"contents.{room}" for room in rooms()]
        for package in packages:
            _import_files(package, beginning, word)
    _import_plugins(of_options=family == "options")


@cache
def _import_plugins(of_options: bool) -> None:
    """Imports the modules that installed packages name. of_options: of a package that names its
    module of options by itself (`package.options`) that one alone, so that help stays quick."""
    entries = entry_points(group=PLUGINS)
    light = {_package_of(entry) for entry in entries if entry.value.endswith(OPTIONS)}
    for entry in entries:
        is_light = entry.value.endswith(OPTIONS)
        if _package_of(entry) in light and is_light != of_options:
            continue
        try:
            entry.load()
        except Exception as problem:
            raise GenwrightError(
                f"the plug-in {entry.name} of {_package_of(entry)} cannot be imported "
                f"({type(problem).__name__}: {problem})",
                "mend it, or uninstall that package",
            ) from problem


def _package_of(entry: EntryPoint) -> str:
    """The installed package that an entry point is of."""
    return entry.dist.name if entry.dist else entry.value


def default_kind(family: str) -> str | None:
    """The kind that is meant where none is named; None where no class says so."""
    _kinds_with(family, "default=True")
    return _default.get(family)


@cache
def _import_files(package: str, beginning: str, word: str) -> None:
    """Imports the files of a package whose names begin so, and whose text holds a word."""
    found = importlib.import_module(f"genwright.{package}")
    for module in pkgutil.iter_modules(found.__path__):
        if module.name.startswith(beginning) and _holds(found.__path__, module.name, word):
            importlib.import_module(f"{found.__name__}.{module.name}")


def _holds(folders: Iterable[str], module: str, word: str) -> bool:
    """Whether a word stands in the text of a module; true where there is no text to look at."""
    if not word:
        return True
    for folder in folders:
        file = Path(folder) / f"{module}.py"
        if file.exists():
            return word in file.read_text(encoding="utf-8")
    return True


def settings_of(family: str, kind: Any, where: str = "") -> type[Any]:
    """The settings class (a source: function) of a kind. where: the dotted place that says it.
    Raises GenwrightError for an unknown one."""
    known = _kinds_with(family, f'"{kind}"')
    if str(kind) not in known:  # its name is put together, or wrong
        known = kinds(family)
    if str(kind) not in known:
        raise GenwrightError(f"{where or family} is {kind!r}", did_you_mean(str(kind), known))
    found: type[Any] = known[str(kind)]
    return found


def content_of(kind: str) -> Any:
    """The kind of content of this name (`runs.content.Content`). Raises GenwrightError."""
    return settings_of("content", kind, "the codec's content")


def options_of(command: str) -> dict[str, Any]:
    """Kind of content -> the options class of a command of the command line."""
    found = {cls.content: cls for cls in kinds("options").values() if cls.command == command}
    return dict(sorted(found.items()))


def measures_of(content: str) -> dict[str, Any]:
    """Name -> measure, of a kind of content, in the order of their registration."""
    return _of_content("measure", content)


def measure_kinds_of(content: str) -> dict[str, Any]:
    """Name -> measure that takes settings (`core.content.MeasureKind`), of a kind of content."""
    return _of_content("measure_kind", content)


def _of_content(family: str, content: str) -> dict[str, Any]:
    beginning = f"{content} "
    found = {}
    for name, thing in kinds(family).items():
        if name.startswith(beginning):
            found[name.removeprefix(beginning)] = thing
    return found
