"""A row <-> a vector, or tokens."""

import dataclasses
import json
from bisect import bisect_right
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.core.registry import CodecSettings
from genwright.data.cache import digest_of
from genwright_tables.rows import Column, Row, mark


class TableCodec:
    """What both have in common. known: marks of the rows that were trained on."""

    content = "table"
    space: Space

    def __init__(self, columns: list[Column], known: frozenset[str] = frozenset()):
        self.columns = columns
        self.known = known
        self.names = [column.name for column in columns]
        plain = [dataclasses.asdict(column) for column in columns]
        self.digest = digest_of(type(self).__name__, 1, plain)
        self.starts = np.cumsum([0, *map(self.width, columns)]).tolist()  # of each column's values

    def width(self, column: Column) -> int:
        """Numbers of the code that are a column's own."""
        raise NotImplementedError

    def knowing(self, rows: list[dict]) -> Self:
        """This codec, whose rows know which of them are among `rows` as it decodes them."""
        known = frozenset(mark(self.decode(self.encode(row))) for row in rows)
        return type(self)(self.columns, known)

    def encode(self, content: dict[str, Any]) -> list:
        raise NotImplementedError

    def decode(self, code: list) -> Row:
        raise NotImplementedError

    def category(self, column: Column, value: Any) -> int:
        if value not in column.categories:
            raise GenwrightError(
                f"{column.name} is {value!r}, which the table does not have",
                f"give one of {column.categories}",
            )
        return column.categories.index(value)

    def save(self, folder: str | Path) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        columns = [dataclasses.asdict(column) for column in self.columns]
        saved = {"columns": columns, "known": sorted(self.known)}
        (Path(folder) / "table.json").write_text(json.dumps(saved))

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        saved = json.loads((Path(folder) / "table.json").read_text())
        columns = [
            Column(**{key: tuple(v) if isinstance(v, list) else v for key, v in column.items()})
            for column in saved["columns"]
        ]
        return cls(columns, frozenset(saved["known"]))


class VectorCodec(TableCodec):
    """Numbers scaled to [-1, 1] by the training rows (and cut there), categories one-hot."""

    def __init__(self, columns: list[Column], known: frozenset[str] = frozenset()):
        super().__init__(columns, known)
        self.space = Space(shape=(self.starts[-1],), bounded=True)

    def width(self, column: Column) -> int:
        return 1 if column.numeric else len(column.categories)

    def encode(self, content: dict[str, Any]) -> list[float]:
        code = []
        for column in self.columns:
            value = content[column.name]
            if column.numeric:
                span = (column.high - column.low) or 1.0
                scaled = (float(value) - column.low) / span * 2 - 1
                code.append(float(np.float32(min(1.0, max(-1.0, scaled)))))
            else:
                place = self.category(column, value)
                code += [1.0 if i == place else -1.0 for i in range(len(column.categories))]
        return code

    def decode(self, code: list[float]) -> Row:
        values = {}
        for column, start in zip(self.columns, self.starts, strict=False):
            if column.numeric:
                span = (column.high - column.low) or 1.0
                inside = min(1.0, max(-1.0, code[start]))
                value = column.rounded(column.low + (inside + 1) / 2 * span)
                values[column.name] = min(column.high, max(column.low, value))
            else:
                own = code[start : start + len(column.categories)]
                values[column.name] = column.categories[int(np.argmax(own))]
        return Row(values, self.known)


class TokenCodec(TableCodec):
    """A token a column: the bin of a number, or the category. The last token of all is the end."""

    def __init__(self, columns: list[Column], known: frozenset[str] = frozenset()):
        super().__init__(columns, known)
        self.end = self.starts[-1]
        self.space = Space(
            vocabulary=self.end + 1, special={"end": self.end}, length=len(columns) + 1
        )

    def width(self, column: Column) -> int:
        return len(column.middles) if column.numeric else len(column.categories)

    def encode(self, content: dict[str, Any]) -> list[int]:
        code = []
        for column, start in zip(self.columns, self.starts, strict=False):
            value = content[column.name]
            if column.numeric:
                code.append(start + bisect_right(column.edges, float(value)))
            else:
                code.append(start + self.category(column, value))
        return code

    def decode(self, code: list[int]) -> Row:
        values = {}
        for column, start, token in zip(self.columns, self.starts, code, strict=False):
            choices = column.middles if column.numeric else column.categories
            values[column.name] = choices[token - start]
        return Row(values, self.known)


class TableVector(CodecSettings, family="codec"):
    kind: Literal["table-vector"] = "table-vector"
    """Which codec: a row is a vector."""
    content: ClassVar[str] = "table"

    def fitted(self, columns: list[Column], rows: list[dict]) -> VectorCodec:
        """The codec for a table with these training rows."""
        return VectorCodec([_measured(column, rows) for column in columns]).knowing(rows)

    def load(self, folder: str | Path) -> VectorCodec:
        """The codec that was saved with a run."""
        return VectorCodec.load(folder)


class TableTokens(CodecSettings, family="codec"):
    kind: Literal["table-tokens"] = "table-tokens"
    """Which codec: a row is a token a column."""
    bins: int = Field(16, ge=2, le=256)
    """Bins of a numeric column, of about as many training rows each."""
    content: ClassVar[str] = "table"

    def fitted(self, columns: list[Column], rows: list[dict]) -> TokenCodec:
        """The codec for a table with these training rows."""
        return TokenCodec([_measured(column, rows, self.bins) for column in columns]).knowing(rows)

    def load(self, folder: str | Path) -> TokenCodec:
        """The codec that was saved with a run."""
        return TokenCodec.load(folder)


def _measured(column: Column, rows: list[dict], bins: int = 0) -> Column:
    """A numeric column with its range and, if asked for, its bins."""
    if not column.numeric:
        return column
    values = sorted(row[column.name] for row in rows)
    column = dataclasses.replace(column, low=values[0], high=values[-1])
    if not bins:
        return column
    cuts = {values[len(values) * i // bins] for i in range(1, bins)} - {values[0]}
    edges = sorted(cuts)
    groups: list[list[float]] = [[] for _ in range(len(edges) + 1)]
    for value in values:
        groups[bisect_right(edges, value)].append(value)
    middles = tuple(group[len(group) // 2] for group in groups)  # none is empty: edges are values
    return dataclasses.replace(column, edges=tuple(edges), middles=middles)
