"""Reads a CSV: its columns, and its rows with their lines."""

import csv
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple

from genwright.core.errors import GenwrightError
from genwright_tables.rows import Column


class Table(NamedTuple):
    """columns; rows: a dict each, column -> number or category; lines: of each row, in the file."""

    columns: list[Column]
    rows: list[dict]
    lines: list[int]


def number(text: str) -> Decimal | None:
    """The finite number that a cell holds, if it does."""
    try:
        found = Decimal(text.strip())
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def read_table(path: str, categories: dict[str, list[str]]) -> Table:
    """The table in a file. categories: column -> the values it may have, for columns that should
    not be guessed. Raises GenwrightError, with the line.

    A column is numeric where more than half of its cells are numbers.
    """
    header, cells, lines = _read_cells(path)
    for name in categories:
        if name not in header:
            raise GenwrightError(
                f"data.categories: {path} has no column {name!r}",
                f"choose from {', '.join(header)}",
            )
    columns, by_column = [], []
    for place, name in enumerate(header):
        texts = [row[place] for row in cells]
        numbers = [number(text) for text in texts]
        if name in categories or sum(n is not None for n in numbers) * 2 <= len(texts):
            allowed = tuple(sorted(categories.get(name, set(texts))))
            _check(path, name, lines, [t in allowed for t in texts], texts, f"one of {allowed}")
            columns.append(Column(name, allowed))
            by_column.append(texts)
        else:
            found = [n is not None for n in numbers]
            _check(path, name, lines, found, texts, "a number")
            digits = max(-int(n.as_tuple().exponent) for n in numbers)
            columns.append(Column(name, decimals=min(12, max(0, digits))))
            by_column.append([columns[-1].rounded(float(n)) for n in numbers])
    rows = [dict(zip(header, row, strict=True)) for row in zip(*by_column, strict=True)]
    return Table(columns, rows, lines)


def _read_cells(path: str) -> tuple[list[str], list[list[str]], list[int]]:
    """The header, the cells of each row, the line of each row."""
    if not path or not Path(path).is_file():
        raise GenwrightError(f"data.path: {path!r} is no file", "give a CSV with a header line")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            read = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise GenwrightError(f"{path} is no CSV: {error}", "save it as UTF-8") from None
    if not all(header) or len(set(header)) < len(header) or not read:
        raise GenwrightError(
            f"{path} is no table", "give a line of column names, all different, then rows"
        )
    for line, row in read:
        if len(row) != len(header):
            raise GenwrightError(
                f"{path} line {line} has {len(row)} cells and the header {len(header)}",
                "give each row a cell for each column",
            )
    return header, [row for _, row in read], [line for line, _ in read]


def _check(path, name, lines, good, texts, wanted) -> None:
    """Refuses the first cell of a column that is not as it should be."""
    for line, fine, text in zip(lines, good, texts, strict=True):
        if not fine:
            what = f"is {text!r}" if text.strip() else "is missing"
            raise GenwrightError(f"{path} line {line}: {name} {what}", f"give {wanted}")
