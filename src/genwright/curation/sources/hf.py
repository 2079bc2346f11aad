"""Data sets of the Hugging Face hub, and local folders that `datasets` (extra `hf`) reads.

The rows of a split are written into the cache as Parquet files of some megabytes, each of which is
a raw file: they are read by several processes, and again without a network.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from genwright.core.corpus import RawFile
from genwright.core.errors import GenwrightError
from genwright.core.files import cache_folder
from genwright.core.registry import Settings
from genwright.curation.raw import Found, guarded, of_parquet
from genwright.data.hub import hub_rows

PART = 32 << 20  # bytes of rows in a raw file, about


class HuggingFace(Settings, family="raw"):
    """Rows of a data set."""

    kind: Literal["hf"] = "hf"
    """Which source: a data set of the Hugging Face hub."""
    path: str
    """Its name there (owner/name), or a local folder."""
    config: str = ""
    """Which of several configurations."""
    split: str = "train"
    """Which split, as `datasets` writes it: train, train[:10%]."""
    field: str = "text"
    """Which column holds the text."""

    def find(self) -> list[RawFile]:
        """The rows, in the cache ($GENWRIGHT_CACHE or ~/.cache/genwright). Raises GenwrightError
        where `datasets` is not installed or cannot load it."""
        where = f"the source hf {self.path}"
        paths = hub_rows(self.path, self.config, cache_folder(None), where, self.split, PART)
        if not paths:
            raise GenwrightError(f"{where} has no rows", "give another split")
        return [RawFile(str(path), f"{self.split}/{path.name}") for path in paths]

    def read(self, file: RawFile) -> Iterator[Found]:
        """The rows of a part of it, in order."""
        return guarded(file.path, of_parquet(file.path, self.field))
