"""The rows of a CSV as examples, some of them held out."""

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field

from genwright.core.contracts import Batch, Source
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.data.cache import check_digest, digest_of
from genwright.data.examples import Change, ExampleDataset, Split
from genwright.data.settings import DataSettings
from genwright_tables.codec import TableCodec, TableTokens, TableVector
from genwright_tables.rows import mark
from genwright_tables.table import read_table


class TableData(DataSettings, family="data"):
    kind: Literal["table"] = "table"
    """Which data: rows of a table."""
    source: Literal["files"] = "files"
    """Where they come from."""
    path: str = ""
    """A CSV with a header line."""
    categories: dict[str, list[str]] = {}
    """Column: the values it may have. Default: those of the file, where most are no numbers."""
    held_out: float = Field(0.1, ge=0, lt=1)
    """Share of the rows that are never trained on; which ones depends on what they say alone."""
    content: ClassVar[str] = "table"
    usual: ClassVar[dict[str, str]] = {
        "codec": "table-tokens",
        "model": "transformer",
        "objective": "causal",
    }

    def prepare(
        self, codec_settings: TableVector | TableTokens, expect: str | None = None
    ) -> "TableDataset":
        """Reads the file. expect: the digest that a run was made with. Raises GenwrightError."""
        table = read_table(self.path, self.categories)
        marks = [mark(row) for row in table.rows]
        order = sorted(range(len(marks)), key=lambda i: (marks[i], table.lines[i]))
        rows = [table.rows[i] for i in order]
        first = held_out_rows([marks[i] for i in order], self.held_out)
        if first == len(rows):
            raise GenwrightError(f"{self.path} has no row to train on", "lower data.held_out")
        codec = codec_settings.fitted(table.columns, rows[first:])
        lines = [table.lines[i] for i in order]
        dataset = TableDataset(self, codec, rows, lines, first)
        check_digest(dataset.digest, expect)
        return dataset


def held_out_rows(marks: list[str], share: float) -> int:
    """How many of the rows, sorted by their marks, are held out: equal rows are never parted."""
    first = round(len(marks) * share)
    while 0 < first < len(marks) and marks[first] == marks[first - 1]:
        first += 1
    return first


class TableDataset(ExampleDataset):
    """rows: those before `first` are held out. lines: where they stand in the file."""

    unit = "rows"

    def __init__(
        self, settings: TableData, codec: TableCodec, rows: list[dict], lines: list[int], first: int
    ):
        self.settings = settings
        self.codec = codec
        self.lines = lines
        codes = [codec.encode(row) for row in rows]
        if codec.space.shape:
            self.codes = torch.tensor(codes).reshape(-1, *codec.space.shape)
        else:
            self.codes = torch.tensor(codes)
        self.digest = digest_of("table", 1, codec.digest, [list(r.values()) for r in rows], first)
        self.shards: dict[str, str] = {}
        sides = {"train": np.arange(first, len(rows)), "held_out": np.arange(first)}
        self.parts = {
            name: Split(numbers, self._take, self._name, None, self._source)
            for name, numbers in sides.items()
        }
        self.summary: dict[str, Any] = {
            name: {"examples": len(numbers)} for name, numbers in sides.items()
        }
        self.summary["columns"] = codec.names
        self.summary["skipped"] = []

    def _take(self, numbers: np.ndarray) -> torch.Tensor:
        return self.codes[torch.from_numpy(numbers)]

    def _name(self, number: int) -> str:
        return f"line {self.lines[number]}"

    def _source(self, number: int) -> Source:
        return Source(self._name(number), self.settings.path)

    def change(self, lookahead: int, training: bool) -> Change | None:
        """Of tokens: x (n, columns) -> tokens (n, columns + 2), an end on both sides."""
        if self.codec.space.shape:
            return None

        def to_tokens(batch: Batch, draws: Draws) -> Batch:
            return {"tokens": between_ends(batch["x"], self.codec.end)}

        return to_tokens


def between_ends(rows: torch.Tensor, end: int) -> torch.Tensor:
    """(n, columns) -> (n, columns + 2)."""
    edge = rows.new_full((len(rows), 1), end)
    return torch.cat([edge, rows, edge], 1)
