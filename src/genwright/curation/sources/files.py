"""Files, folders and globs of a person's own: texts, and rows of tables.

A text file is one document; each row of .jsonl, .csv, .tsv and .parquet is one; any of them may be
compressed (.gz, .zst), but for Parquet, which is by itself. Of a folder every file is read but
those whose suffix says that they hold no text. What is read, and how, is as in training.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from genwright.core.corpus import RawFile
from genwright.core.corpus_content import CorpusContent
from genwright.core.registry import Settings
from genwright.curation.raw import (
    LONGEST,
    BytesOfFiles,
    Found,
    documents_of,
    found_at,
    guarded,
    of_parquet,
)
from genwright.data.readers import kind_of, raw_chunks
from genwright.data.source_files import is_text


class Files(Settings, family="raw", default=True):
    """A person's own files: texts and rows, or what the kind of the corpus is."""

    kind: Literal["files"] = "files"
    """Which source: files, folders and globs."""
    path: str | tuple[str, ...]
    """Files, folders and globs (`**` goes into folders)."""
    field: str = "text"
    """Of rows, which field or column holds the text."""
    longest: float = Field(LONGEST, ge=1, le=256)
    """Megabytes of text in one document, about; a longer text is several ("part 1", ...)."""

    def find(self) -> list[RawFile]:
        """The files, and the folders that cannot be listed, which `read` then names. Raises
        GenwrightError for a path that is not there, and where there is no file."""
        return found_at(self.path, is_text, "text")

    def read(self, file: RawFile) -> Iterator[Found]:
        """The documents of a file, in order."""
        return guarded(file.path, self._documents(file.path))

    def of_bytes(self, content: CorpusContent) -> BytesOfFiles:
        """See `ReadsBytes`."""
        return BytesOfFiles(self.path, content)

    def _documents(self, path: str) -> Iterator[Found]:
        if kind_of(path) == "parquet":
            yield from of_parquet(path, self.field)
        else:
            yield from documents_of(path, raw_chunks(path), self.field, self.longest)
