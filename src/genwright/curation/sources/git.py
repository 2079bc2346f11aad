"""Checkouts of git: the text files that are tracked, each a document.

1. Of a working tree the files are read as they stand there; of a bare repository as in its last
   commit. What is ignored, or was not added yet, is no part of it.
2. The date of a document is that of the last commit that changed its file.
3. Links and submodules are passed over: what they lead to is read where it is. So are files whose
   suffix says that they hold no text.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from genwright.core.corpus import Document, RawFile
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings
from genwright.curation.git_objects import (
    Repository,
    blob,
    check_git,
    decisive_file,
    repository_at,
    tracked,
)
from genwright.curation.raw import LONGEST, MEGABYTE, Found, Unreadable, guarded, texts_of
from genwright.data.readers import COMPRESSED, kind_of, raw_chunks
from genwright.data.source_files import BINARY, holds, source_file

_POINTER = "version https://git-lfs.github.com/spec/"
_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([\w.+-]+)[ \t]*(?:\*/|-->)?[ \t\r]*$", re.M)
_HEAD = 2048  # characters of a file in which its licence is looked for


class Git(Settings, family="raw"):
    """Text files that are tracked in checkouts of git."""

    kind: Literal["git"] = "git"
    """Which source: checkouts of git."""
    path: str
    """A checkout, with a working tree or bare, or a folder of checkouts."""
    suffixes: tuple[str, ...] = ()
    """Suffixes of the files that are read, as in [.py, .md]; without any, all but those of files
    that hold no text."""
    largest: float = Field(8, gt=0, le=1024)
    """Megabytes of a file; a larger one is named and not read."""

    def find(self) -> list[RawFile]:
        """The tracked files; a repository that cannot be read is one that `read` names. Raises
        GenwrightError where git is not installed, for a path that is not there, and where there is
        no checkout or no file."""
        check_git()
        found: list[RawFile] = []
        for repository in _repositories(self.path):
            try:
                found += self._files_of(repository)
            except Unreadable:
                found.append(_whole(repository))
        if not found:
            raise GenwrightError(
                f"the source {self.path} tracks no text file", "give another path or suffixes"
            )
        return sorted(found, key=_name)

    def read(self, file: RawFile) -> Iterator[Found]:
        """The document of a file. Raises GenwrightError where git is not installed."""
        check_git()
        return guarded(file.path, self._documents(file))

    def _files_of(self, repository: Repository) -> Iterator[RawFile]:
        """The raw files of a repository. Of a bare one each has the path of the file that says
        which commit is the last."""
        decisive = decisive_file(repository) if repository.is_bare else ""
        root = os.path.realpath(repository.folder)
        for path, date in tracked(repository):
            if not self._is_wanted(os.fsdecode(path)):
                continue
            where = decisive or os.path.join(repository.folder, os.fsdecode(path))
            is_inside = holds(root, os.path.realpath(where))
            if decisive or (is_inside and not os.path.islink(where)):
                yield RawFile(where, _name_of(repository, path), date=date)

    def _is_wanted(self, path: str) -> bool:
        suffix = Path(path).suffix.lower()
        if self.suffixes:
            return suffix in self.suffixes
        return suffix not in BINARY and suffix not in COMPRESSED and kind_of(path) != "parquet"

    def _documents(self, file: RawFile) -> Iterator[Document]:
        chunks = self._chunks(file)
        for document in texts_of(self._bounded(chunks), LONGEST):
            if document.text.startswith(_POINTER):
                raise Unreadable("is a pointer of Git LFS, and the file is elsewhere")
            licence = _SPDX.search(document.text[:_HEAD])
            yield document._replace(licence=licence[1] if licence else "", date=file.date)

    def _chunks(self, file: RawFile) -> Iterator[bytes]:
        """The bytes of a raw file. Raises Unreadable."""
        for repository in _repositories(self.path):
            if file == _whole(repository):
                tracked(repository)  # raises what is wrong
                raise Unreadable("could not be read before, and now can: build again")
            if repository.is_bare and file.path == decisive_file(repository):
                return blob(repository, _path_of(repository, file.name))
        return raw_chunks(file.path)

    def _bounded(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        size = 0
        for chunk in chunks:
            size += len(chunk)
            if size > self.largest * MEGABYTE:
                raise Unreadable(f"is larger than {self.largest:g} MB: raise `largest` to read it")
            yield chunk


def _name(file: RawFile) -> str:
    return file.name


def _repositories(path: str) -> list[Repository]:
    """The checkout at a path, or those in its folders. Raises GenwrightError where there is
    none."""
    path = os.path.expanduser(path)
    one = repository_at(path)
    if one is not None:
        return [one]
    found = []
    if os.path.isdir(path):
        for name in sorted(os.listdir(path)):
            repository = repository_at(os.path.join(path, name), name)
            if repository is not None:
                found.append(repository)
    if not found:
        what = "is no checkout of git, and holds none" if os.path.isdir(path) else "is no folder"
        raise GenwrightError(
            f"the path of a source: {path} {what}", "give a folder that git clone made"
        )
    return found


def _name_of(repository: Repository, path: bytes) -> str:
    """What a file is called in the source."""
    name = os.fsdecode(path)
    if repository.name:
        name = f"{repository.name}/{name}"
    return source_file("", name).name


def _path_of(repository: Repository, name: str) -> bytes:
    """The path in a repository of a file that is called so."""
    path = os.fsencode(name.removeprefix(f"{repository.name}/") if repository.name else name)
    if b"\\" not in path:
        return path
    for each in tracked(repository):  # bytes that are no UTF-8 are written as \xff
        if _name_of(repository, each.path) == name:
            return each.path
    return path


def _whole(repository: Repository) -> RawFile:
    """Stands for a repository that cannot be read."""
    name = repository.name or os.path.basename(os.path.abspath(repository.folder))
    return RawFile(decisive_file(repository), source_file("", name).name)
