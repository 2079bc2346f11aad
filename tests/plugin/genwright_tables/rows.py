"""A row of a table, and what is known of its columns."""

import csv
import io
from dataclasses import dataclass
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.data.cache import digest_of


class Row(dict):
    """Column -> a number or a category, in the order of the columns.

    known: marks of the rows that were trained on (see `mark`), shared by the rows of a codec.
    """

    def __init__(self, values: dict[str, Any], known: frozenset[str] = frozenset()):
        super().__init__(values)
        self.known = known

    @property
    def copied(self) -> bool:
        """Whether this row was trained on."""
        return mark(self) in self.known


def mark(row: dict[str, Any]) -> str:
    """16 hexadecimal digits that stand for the values of a row."""
    return digest_of(list(row.values()))[:16]


@dataclass(frozen=True)
class Column:
    """One column. categories: its values, sorted; () where it is numeric.

    low, high: of the training rows. decimals: digits after the point, as the file writes them.
    edges, middles: of n + 1 bins, the n numbers at which the next bin begins, and the training
    value in the middle of each.
    """

    name: str
    categories: tuple[str, ...] = ()
    decimals: int = 0
    low: float = 0.0
    high: float = 0.0
    edges: tuple[float, ...] = ()
    middles: tuple[float, ...] = ()

    @property
    def numeric(self) -> bool:
        return not self.categories

    def rounded(self, value: float) -> float | int:
        """A number as the file would write it."""
        return round(value, self.decimals) if self.decimals else round(value)


def as_csv(values: list[Any]) -> str:
    """A line of CSV, without its end."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(values)
    return line.getvalue()


def chosen(names: str | None, columns: list[str]) -> list[str]:
    """The columns that `--columns a,b,c` names; all of them without it. Raises GenwrightError."""
    if not names:
        return columns
    wanted = [name.strip() for name in names.split(",")]
    for name in wanted:
        if name not in columns:
            raise GenwrightError(
                f"--columns: there is no column {name!r}", f"choose from {', '.join(columns)}"
            )
    return wanted
