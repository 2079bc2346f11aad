"""The user's own files, folders and globs."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from genwright.errors import GenwrightError
from genwright.registry import Settings, register

# What a folder holds beside text. A file that is named, or matched by a glob, is read whatever its suffix.
_SUFFIXES = """
    .7z .a .aac .avi .avif .bin .bmp .bz2 .class .ckpt .db .dll .doc .docx .dylib .egg .eot .epub .exe .flac .gif .h5 .heic .icns .ico
    .idx .jar .jpeg .jpg .lib .m4a .mid .midi .mkv .mo .mov .mp3 .mp4 .mpeg .mpg .npy .npz .o .obj .odt .ogg .onnx .otf .pack .pdf .pickle
    .pkl .png .ppt .pptx .psd .pt .pth .pyc .pyd .pyo .rar .rlib .safetensors .so .sqlite .sqlite3 .svgz .tar .tgz .tif .tiff .ttf .wasm
    .wav .webm .webp .whl .woff .woff2 .xls .xlsx .xz .zip
"""
BINARY = frozenset(_SUFFIXES.split())


class SourceFile(NamedTuple):
    """path: where it is; name: what it is called in the data, the same wherever the folder stands."""

    path: str
    name: str


def walk(folder: str, passed_over: frozenset[str] = frozenset()) -> Iterator[SourceFile]:
    """The text files of a folder, named relative to it; hidden ones and the folders named in `passed_over` left out."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in passed_over)
        for name in files:
            if not name.startswith(".") and os.path.splitext(name.removesuffix(".gz").removesuffix(".zst"))[1].lower() not in BINARY:
                path = os.path.join(where, name)
                if os.path.isfile(path):
                    yield SourceFile(path, Path(path).relative_to(folder).as_posix())


@register("source", "files")
class Files(Settings):
    """Files, folders and globs (`**` goes into folders)."""

    kind: Literal["files"] = "files"
    """Which source: the files that data.path names."""

    def find(self, paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
        """Raises GenwrightError for a path that is not there."""
        if not paths:
            raise GenwrightError("data.path is not set", "give a file, a folder or a glob, as in data.path=notes/")
        found: dict[str, SourceFile] = {}
        for path in paths:
            path = os.path.expanduser(path)
            if os.path.isdir(path):
                files = list(walk(path))
            elif os.path.exists(path):
                files = [SourceFile(path, os.path.basename(path))]
            else:
                files = self._matches(path)
            if len(paths) > 1 and os.path.isdir(path):  # two folders may hold files of one name
                files = [SourceFile(file.path, f"{os.path.basename(os.path.abspath(path))}/{file.name}") for file in files]
            found |= {os.path.realpath(file.path): file for file in files}
        return list(found.values())

    def _matches(self, pattern: str) -> list[SourceFile]:
        matched = [path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)] if glob.has_magic(pattern) else []
        if not matched:
            what = "matches no file" if glob.has_magic(pattern) else "does not exist"
            raise GenwrightError(f"data.path: {pattern} {what}", "give a file, a folder or a glob that is there")
        root = os.path.dirname(pattern[: min(pattern.find(sign) for sign in "*?[" if sign in pattern)])
        return [SourceFile(path, Path(os.path.relpath(path, root or ".")).as_posix()) for path in matched]
