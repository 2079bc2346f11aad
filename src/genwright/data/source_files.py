"""What a person points at: files, folders and globs of their own."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
from pydantic import Field, PrivateAttr

from genwright.core.brackets import unbalanced
from genwright.core.errors import GenwrightError
from genwright.core.files import cache_folder
from genwright.data.own_output import Own, holder, page_of_ours, what_is
from genwright.data.scans import roots_of
from genwright.data.settings import DataSettings
from genwright.data.split import HeldOut, held_before, held_out_of, keys_held, records_of
from genwright.data.split_blocks import Sides, held_before_in_blocks, held_out_of_blocks
from genwright.data.split_clusters import Blocks

# Of files that are neither text nor rows. A file that is named, or matched by a glob, is read
# whatever its suffix.
_SUFFIXES = """
    .7z .a .aac .avi .avif .bin .bmp .bz2 .class .ckpt .db .dll .doc .docx .dylib .egg .eot
    .epub .exe .flac .gif .h5 .heic .icns .ico .idx .jar .jpeg .jpg .lib .m4a .mid .midi .mkv
    .mo .mov .mp3 .mp4 .mpeg .mpg .npy .npz .o .obj .odt .ogg .onnx .otf .pack .pdf .pickle .pkl
    .png .ppt .pptx .psd .pt .pth .pyc .pyd .pyo .rar .rlib .safetensors .so .sqlite .sqlite3
    .svgz .tar .tgz .tif .tiff .ttf .wasm .wav .webm .webp .whl .woff .woff2 .xls .xlsx .xz .zip
"""
BINARY = frozenset(_SUFFIXES.split())


class SourceFile(NamedTuple):
    """path: where it is; name: what it is called in the data, the same wherever the folder
    stands."""

    path: str
    name: str


def source_file(path: str, name: str) -> SourceFile:
    """A file. Bytes of its name that are no UTF-8 are written as \\xff: a name is hashed, recorded
    and printed."""
    return SourceFile(path, os.fsencode(name).decode("utf-8", "backslashreplace"))


class FilesData(DataSettings):
    """What data that may be a person's files have in common."""

    kind: str
    source: str = "files"
    path: str | tuple[str, ...] = ()
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of it that is never trained on, 0 to 1; parts that the data have of their own (train,
    val, test) go before it."""
    on_bad_file: Literal["stop", "skip"] = "stop"
    """What to do about a file, row or piece that cannot be used: `stop` and name it, or `skip` and
    list it."""
    workers: int = Field(0, ge=0, le=1024)
    """Processes that prepare; 0: one a core."""
    cache: str | None = None
    """Folder that keeps prepared data. Default: $GENWRIGHT_CACHE or ~/.cache/genwright."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Raises GenwrightError for a path beside another source."""
        if self.path and self.source != "files":
            kind = self.source.partition(":")[0]
            raise GenwrightError(
                f"data.path is given, but data.source is {kind}",
                "set data.source=files to read your own files",
            )
        if isinstance(self.path, str):
            return (self.path,) if self.path else ()
        return self.path

    _held: Path | None = PrivateAttr(None)  # a file of a run, which says what was held out for it

    def held_as(self, keys: Path) -> Self:
        """These settings, with what is held out as in a run: keys is the file that `Run.held_out`
        names, if it is there."""
        settings = self.model_copy()
        settings._held = keys if keys.is_file() else None
        return settings

    def hold_out(
        self, columns: Sequence[np.ndarray], sizes: np.ndarray, unit: str, *more: object
    ) -> HeldOut:
        """What is held out: as in a run, or else as `split.held_out_of` decides with the records of
        these settings. more: other settings that the sides depend on."""
        if self._held:
            mask = held_before(columns, self._held)
        else:
            records = self._records(*more)
            mask = held_out_of(columns, sizes, self.held_out, unit, records)
        share = float(sizes[mask].sum() / max(1, sizes.sum()))
        return HeldOut(mask, keys_held(columns, mask), share, self.held_out)

    def hold_out_blocks(self, blocks: Blocks, unit: str, scratch: Path, *more: object) -> Sides:
        """`hold_out` of more examples than fit into memory. scratch: a folder that is there as long
        as the result is used."""
        if self._held:
            return held_before_in_blocks(blocks, self._held, scratch)
        return held_out_of_blocks(blocks, self.held_out, unit, self._records(*more), scratch)

    def _records(self, *more: object) -> list[Path]:
        """Where earlier decisions are kept. more: other settings that the sides depend on."""
        settings = (self.kind, self.source, self.held_out, *more)
        return records_of(cache_folder(self.cache), self.roots, *settings)

    @property
    def roots(self) -> list[str]:
        """The folders that `path` names or lies in, absolute and real."""
        return roots_of(self.paths)


def is_text(path: str) -> bool:
    """Whether a file of a folder is read as text or rows: below the suffix of a compression, any
    but those that hold neither."""
    inner = Path(path.removesuffix(".gz").removesuffix(".zst"))
    return inner.suffix.lower() not in BINARY and may_be_read(path)


def walk(
    folder: str,
    passed_over: frozenset[str] = frozenset(),
    own: list[Own] | None = None,
    closed: list[SourceFile] | None = None,
) -> Iterator[SourceFile]:
    """The files of a folder, named relative to it; hidden ones, the folders named in `passed_over`
    and what this program wrote (see `own_output`) left out. own: the folders and reports of this
    program are added to it.

    Folders behind symbolic links follow after the others. Each is entered once, and none that holds
    `folder` itself, so that no link leads round in a circle or to all of the disk. closed: gets the
    folders that cannot be listed; where it is not given, they raise OSError."""

    def unlisted(error: OSError) -> None:
        if closed is None:
            raise error
        where = os.fsdecode(error.filename)
        closed.append(source_file(where, _relative(where, folder)))

    root = os.path.realpath(folder)
    entered: set[str] = set()  # real paths
    waiting = [folder]
    while waiting:
        for where, folders, files in os.walk(waiting.pop(0), onerror=unlisted):
            real = os.path.realpath(where)
            if real in entered:
                folders.clear()
                continue
            entered.add(real)
            what = what_is(where, {*folders, *files}) if where != folder else ""
            if what:
                if own is not None:
                    own.append(Own(_relative(where, folder), what))
                folders.clear()
                continue
            there = [name for name in sorted(folders) if _is_seen(name) and name not in passed_over]
            links = [name for name in there if os.path.islink(os.path.join(where, name))]
            folders[:] = [name for name in there if name not in links]
            for name in links:
                path = os.path.join(where, name)
                if not holds(os.path.realpath(path), root):
                    waiting.append(path)
            yield from _files_in(where, sorted(filter(_is_seen, files)), folder, own)


def _files_in(where: str, names: list[str], folder: str, own: list[Own] | None) -> list[SourceFile]:
    """The files of these names, named relative to `folder`, without this program's pages, which
    are added to `own`."""
    found = []
    for name in names:
        path = str(Path(where, name))
        below = _relative(path, folder)
        ours = page_of_ours(path)
        if not ours:
            found.append(source_file(path, below))
        elif own is not None:
            own.append(Own(below, ours))
    return found


def _is_seen(name: str) -> bool:
    """Whether a file or folder is not hidden."""
    return not name.startswith(".")


def _relative(path: str, folder: str) -> str:
    return Path(path).relative_to(folder).as_posix()


def own_output(paths: Sequence[str]) -> list[Own]:
    """What `collect` passes over in folders and globs because this program wrote it."""
    own: list[Own] = []
    for path in map(os.path.expanduser, paths):
        if os.path.isdir(path):
            for _ in walk(path, own=own):
                pass
        elif not os.path.exists(path):
            own += _own_in_glob(path)
    return own


def _own_in_glob(pattern: str) -> Iterator[Own]:
    """The same of what a glob matches."""
    root = _root_of(pattern)
    known: dict[str, str] = {}
    folders: set[str] = set()
    pages: list[str] = []
    for path in sorted(glob.glob(pattern, recursive=True)):
        folder = holder(path, root, known)
        if folder:
            folders.add(folder)
        elif page_of_ours(path):
            pages.append(path)
    for folder in sorted(folders):
        yield Own(_below(folder, root), what_is(folder, os.listdir(folder)))
    for path in pages:
        yield Own(_below(path, root), page_of_ours(path))


def _below(path: str, root: str) -> str:
    return Path(os.path.relpath(path, root or ".")).as_posix()


def holds(outer: str, inner: str) -> bool:
    """Whether a folder is another one, or holds it at any depth. Both real paths."""
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


def collect(
    paths: tuple[str, ...],
    wanted: Callable[[str], bool],
    again: list[str] | None = None,
    closed: list[SourceFile] | None = None,
    where: str = "data.path",
    own: list[Own] | None = None,
) -> list[SourceFile]:
    """Files, globs, and of folders the files whose path is `wanted`; each once, no two of one name.

    again: gets the names of files that links of one folder reach a second time; closed, own: see
    `walk`; where: the setting that names the paths. Raises GenwrightError for a path that is not
    there."""
    found: dict[str, SourceFile] = {}  # real path -> file
    for path in map(os.path.expanduser, paths):
        first: dict[str, SourceFile] = {}
        for file in _files_at(path, wanted, len(paths) > 1, closed, where, own):
            real = os.path.realpath(file.path)
            if real not in first:
                first[real] = file
            elif again is not None:
                again.append(file.name)
        found |= first
    return _distinct(list(found.values()))


def _files_at(
    path: str,
    wanted: Callable[[str], bool],
    several: bool,
    closed: list[SourceFile] | None,
    where: str,
    own: list[Own] | None,
) -> list[SourceFile]:
    """The files that one path means. several: it is one of several, of which two may be folders
    that hold files of one name: those are named with their folder."""
    if os.path.isdir(path):
        files = [file for file in walk(path, own=own, closed=closed) if wanted(file.path)]
        if not several:
            return files
        above = os.path.basename(os.path.abspath(path))
        return [source_file(file.path, f"{above}/{file.name}") for file in files]
    if os.path.exists(path):
        return [source_file(path, os.path.basename(path))]
    if own is not None:
        own += _own_in_glob(path)
    return _matches(path, where)


def _distinct(files: list[SourceFile]) -> list[SourceFile]:
    """Files that have one name (a/train/1.png and b/train/1.png) named by where they are below the
    folder that holds them all."""
    counts = Counter(file.name for file in files)
    alike = [file for file in files if counts[file.name] > 1]
    if not alike:
        return files
    above = os.path.commonpath([os.path.dirname(os.path.abspath(file.path)) for file in alike])
    distinct = []
    for file in files:
        if counts[file.name] > 1:
            file = source_file(file.path, Path(os.path.relpath(file.path, above)).as_posix())
        distinct.append(file)
    return distinct


def _matches(pattern: str, where: str) -> list[SourceFile]:
    """The files that a glob matches, without what this program wrote."""
    is_glob = glob.has_magic(pattern)
    root = _root_of(pattern)
    known: dict[str, str] = {}
    matched = []
    for path in glob.glob(pattern, recursive=True) if is_glob else ():
        if may_be_read(path) and not holder(path, root, known) and not page_of_ours(path):
            matched.append(source_file(path, _below(path, root)))
    if not matched:
        what = "matches no file" if is_glob else "does not exist"
        remedy = "give a file, a folder or a glob that is there"
        unclosed = unbalanced(pattern) if pattern[:1] in "[{" else ""
        if unclosed:
            remedy += f", or, if it is a list, mend it: {unclosed}"
        raise GenwrightError(f"{where}: {pattern} {what}", remedy)
    return matched


def _root_of(pattern: str) -> str:
    """The folder of a glob before its first sign."""
    signs = [pattern.find(sign) for sign in "*?[" if sign in pattern]
    return os.path.dirname(pattern[: min(signs, default=len(pattern))])


def may_be_read(path: str) -> bool:
    """Whether this is a file, or something like a named pipe or a link to nothing, which its reader
    then refuses by name."""
    return os.path.lexists(path) and not os.path.isdir(path)
