"""What a person should know of the rows that a corpus was read from, as sentences."""

from __future__ import annotations

from collections.abc import Mapping


def row_remarks(summary: Mapping[str, Mapping[str, int]]) -> list[str]:
    """summary: "empty", rows without text, and "quoted", cells of a .tsv in quotes; how many of
    each file."""
    empty = _remark(
        summary["empty"],
        "1 row holds no text and is no document",
        "{} rows hold no text and are no documents",
    )
    quoted = _remark(
        summary["quoted"],
        "1 cell stands in quotes, which .tsv keeps",
        "{} cells stand in quotes, which .tsv keeps",
    )
    return empty + quoted


def _remark(files: Mapping[str, int], one: str, many: str) -> list[str]:
    """What is said of rows. files: how many of each file. one, many: of one row, and of more."""
    if not files:
        return []
    rows = sum(files.values())
    first = next(iter(files))
    where = f"in {first}"
    if len(files) > 1:
        where = f"in {len(files):,} files, the first: {first}"
    what = one
    if rows != 1:
        what = many.format(f"{rows:,}")
    return [f"{what} ({where})"]
