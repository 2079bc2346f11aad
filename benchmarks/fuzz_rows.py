"""Tables and rows that a person may have, generated and damaged: what is read is right, and what is
not read is named.

    python benchmarks/fuzz_rows.py [--examples 10000] [--seed 0] [--out FILE]

1. `whole`: known cells, written by Python's csv.writer, by json.dumps and as tab-separated lines,
   in any encoding, come back exactly.
2. `damaged`: in one line letters are put in or taken out. Every line is in a row that was read or
   in one that is named, and the rows of the other lines come back as they were written (where a
   stray quote makes them doubtful they are named).
3. `quotes`: a table in which each cell is quoted loses a quote, or has one too many. That row is
   named, and all others are read.
4. `noise`: lines of commas, quotes, brackets and letters that nobody would write. As 2, without
   known cells.

Attribute tables of pictures are read by the same reader and are fuzzed along with 1 and 4.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from common import finish
from genwright.contents.images import attribute_table
from genwright.core.errors import GenwrightError
from genwright.data import file_parts, readers
from genwright.data.tables import BadTable, Fault, Table

MARKS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16-le": b"\xff\xfe",
    "utf-16-be": b"\xfe\xff",
    "utf-32-le": b"\xff\xfe\0\0",
}
letters = st.sampled_from('ab"",,\n\r\t \'\\;é日😀\ufeff\u2028[]{}:0')
cells = st.text(
    st.one_of(letters, st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    max_size=8,
)
plain = st.text(st.sampled_from("abc é日😀"), min_size=1, max_size=6)  # needs no quotes
encodings = st.sampled_from(sorted(MARKS))
FOUND: Counter[str] = Counter()  # what was generated, so that a run says what it covered


def read(path: Path, skip: bool = True) -> tuple[dict[int, str], list[str], int]:
    """(row -> text, what is named, rows without text) of a file, read as training reads it."""
    facts = file_parts.scan(str(path))
    if facts["bad"]:
        return {}, [facts["bad"]], 0
    skipped: list[str] = []
    remarks: readers.Remarks = defaultdict(Counter)
    found = {}
    for start, end, row in facts["parts"]:
        part = readers.Part(str(path), path.name, facts["sha"], start, end, row, True, 0)
        for piece in readers.read(part, "text", skipped if skip else None, remarks):
            assert piece.row not in found
            found[piece.row] = piece.text
    return found, skipped, remarks["empty"].total()


def write(folder: Path, name: str, text: str, encoding: str = "utf-8") -> Path:
    path = folder / name
    path.write_bytes(MARKS[encoding] + text.encode(encoding))
    return path


def as_csv(table: list[list[str]], end: str = "\r\n", everything: bool = False) -> str:
    out = io.StringIO(newline="")
    quoting = csv.QUOTE_ALL if everything else csv.QUOTE_MINIMAL
    csv.writer(out, lineterminator=end, quoting=quoting).writerows(table)
    return out.getvalue()


def whole(rows: list[tuple[str, str]], encoding: str, everything: bool, block: int) -> None:
    """Known cells come back, from every format."""
    FOUND["whole"] += 1
    readers.BLOCK = block
    texts = [text for _, text in rows]
    kept = {number: text for number, text in enumerate(texts) if text}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        table = as_csv([["id", "text"], *map(list, rows)], everything=everything)
        assert read(write(folder, "a.csv", table, encoding)) == (kept, [], len(texts) - len(kept))
        lines = "".join(
            json.dumps({"id": key, "text": text}, ensure_ascii=everything) + "\n"
            for key, text in rows
        )
        assert read(write(folder, "a.jsonl", lines, encoding)) == (kept, [], len(texts) - len(kept))
        tabs = [
            [cell.translate(dict.fromkeys(map(ord, "\t\r\n"), " ")) for cell in row] for row in rows
        ]
        content = "id\ttext\n" + "".join("\t".join(row) + "\n" for row in tabs)
        found, named, empty = read(write(folder, "a.tsv", content, encoding))
        expected = {number: text for number, (_, text) in enumerate(tabs) if text}
        assert (found, named, empty) == (expected, [], len(tabs) - len(expected))
        known = [[f"{number}.png", key, text] for number, (key, text) in enumerate(rows)]
        path = write(folder, "attributes.csv", as_csv([["file", "id", "text"], *known]), encoding)
        given_back = attribute_table.read_table(str(path))
        values = {name: {"id": _values(key), "text": _values(text)} for name, key, text in known}
        assert given_back == {
            name: {key: value for key, value in its.items() if value}
            for name, its in values.items()
        }


def _values(cell: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.strip() for text in cell.split("|") if text.strip()))


def check_lines(content: str, tabs: bool) -> None:
    """Every line of a table but the first, its header, is in one row that was read or is named;
    only blank ones may be in none."""
    try:
        table = Table([content.encode()], tabs)
    except BadTable:
        return
    ends = content.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff").split("\n")
    covered: set[int] = set()
    firsts = []
    for row in table:
        firsts.append(row.line)
        if isinstance(row.cells, Fault):
            last = row.cells.last or row.line
        else:
            last = row.line + sum(
                cell.replace("\r\n", "\n").count("\r") + cell.replace("\r\n", "\n").count("\n")
                for cell in row.cells
            )
        span = set(range(row.line, last + 1))
        assert not span & covered, "a line is in two rows"
        covered |= span
    assert firsts == sorted(firsts)
    lost = [
        number
        for number, line in enumerate(ends, start=1)
        if line and number > 1 and number not in covered
    ]
    assert max(covered, default=0) <= len(ends)
    assert not lost, f"lines {lost} are in no row"


def damaged(rows: list[tuple[str, str]], data: st.DataObject, name: str) -> None:
    """One line of a file without quotes is damaged: the others come back."""
    FOUND["damaged"] += 1
    gap = "\t" if name == "a.tsv" else ","
    if name == "a.jsonl":
        lines = [json.dumps({"id": key, "text": text}, ensure_ascii=False) for key, text in rows]
    else:
        lines = [f"{key}{gap}{text}" for key, text in rows]
    hurt = data.draw(st.integers(0, len(lines) - 1))
    line = lines[hurt]
    at = data.draw(st.integers(0, len(line)))
    put = data.draw(st.text(st.sampled_from('",\t{}[]:\\x '), max_size=4))
    taken = data.draw(st.integers(0, 3))
    lines[hurt] = line[:at] + put + line[at + taken :]
    header = [] if name == "a.jsonl" else [f"id{gap}text"]
    content = "\n".join([*header, *lines]) + "\n"
    with tempfile.TemporaryDirectory() as folder:
        found, named, empty = read(write(Path(folder), name, content))
        if not lines[hurt].strip(" \t" if name == "a.jsonl" else ""):  # a blank line
            assert len(found) == len(rows) - 1 and not named
            return
        expected = {number: text for number, (_, text) in enumerate(rows) if number != hurt}
        if name == "a.csv" and '"' in put:
            _check_quotes(content, list(found.values()), named, [text for _, text in rows])
            return
        assert {number: text for number, text in found.items() if number != hurt} == expected
        assert len(found) + len(named) + empty == len(rows)
        if named:
            FOUND["damaged and named"] += 1
            place = f"{name} line {hurt + 1 + len(header)} (row {hurt} from 0)"
            assert named[0].startswith(place)
            try:
                read(Path(folder) / name, skip=False)
            except GenwrightError as error:
                assert place in error.what
            else:
                raise AssertionError("a bad row was not refused")


def _check_quotes(content: str, found: list[str], named: list[str], written: list[str]) -> None:
    """What is read was written, in its order, but for at most the one row that was damaged; and
    what is missing is named."""
    check_lines(content, tabs=False)
    strange = [text for text in found if text not in written]
    assert len(strange) <= 1
    assert named or strange or len(found) >= len(written) - 1


def quotes(rows: list[tuple[str, str]], data: st.DataObject) -> None:
    """A quote of a table in which every cell is quoted is lost, or one too many: the row is named,
    and the next ones are read."""
    FOUND["quotes"] += 1
    one_line = {ord("\r"): " ", ord("\n"): " "}
    # further lines of each cell
    inner = data.draw(
        st.lists(st.sampled_from(["", "p,q", 'said "no"', "p", '"p","q"']), max_size=2)
    )
    rows = [
        ("k" + key.translate(one_line), "\n".join(["x" + text.translate(one_line), *inner]))
        for key, text in rows
    ]
    lines = [as_csv([list(row)], end="", everything=True) for row in rows]
    hurt = data.draw(st.integers(0, len(rows) - 1))
    if data.draw(st.booleans()):
        lines[hurt] = lines[hurt][:-1]  # the last quote of the row is lost
    else:
        lines[hurt] = '"' + lines[hurt]  # one too many: `""a","b"`
    lines_before = sum(line.count("\n") + 1 for line in lines[:hurt])
    place = f"a.csv line {2 + lines_before} (row {hurt} from 0)"
    lines.insert(0, "id,text")
    content = "\n".join(lines) + "\n"
    check_lines(content, tabs=False)
    with tempfile.TemporaryDirectory() as folder:
        found, named, _ = read(write(Path(folder), "a.csv", content))
    assert list(found.values()) == [text for number, (_, text) in enumerate(rows) if number != hurt]
    assert len(named) == 1 and named[0].startswith(place)


def noise(text: str, name: str, block: int) -> None:
    """Whatever the letters, nothing but GenwrightError leaves the reader, and no line is lost."""
    FOUND["noise"] += 1
    readers.BLOCK = block
    header = {"a.csv": "text,id\n", "a.tsv": "text\tid\n", "t.csv": "file,x\n"}.get(name, "")
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), name, header + text)
        if name.startswith("t."):
            skipped: list[str] = []
            try:
                attribute_table.read_table(str(path), skipped)
            except GenwrightError:
                FOUND["noise refused"] += 1
            return
        found, named, empty = read(path)
        FOUND["noise named"] += bool(named)
        if name == "a.jsonl":
            lines = [
                line for line in text.removeprefix("\ufeff").split("\n") if line.strip(" \t\r")
            ]
            assert len(found) + len(named) + empty >= len(lines) - sum(
                not line.encode().strip() for line in lines
            )
        else:
            check_lines(header + text, tabs=name == "a.tsv")


names = ["a.csv", "a.tsv", "a.jsonl", "t.csv", "t.jsonl"]
CHECKS: dict[Callable, list[st.SearchStrategy]] = {
    whole: [
        st.lists(st.tuples(cells, cells), max_size=6),
        encodings,
        st.booleans(),
        st.sampled_from([7, 64, 1 << 20]),
    ],
    damaged: [
        st.lists(st.tuples(plain, plain), min_size=1, max_size=8),
        st.data(),
        st.sampled_from(names[:3]),
    ],
    quotes: [st.lists(st.tuples(cells, cells), min_size=2, max_size=8), st.data()],
    noise: [st.text(letters, max_size=60), st.sampled_from(names), st.sampled_from([5, 1 << 20])],
}


def fuzz(examples: int, number: int = 0) -> Counter[str]:
    """Runs each check on a quarter of `examples` generated inputs. Returns how many of which kind
    there were. Raises the first failure."""
    FOUND.clear()
    block = readers.BLOCK
    try:
        for check, strategies in CHECKS.items():
            options = settings(
                max_examples=examples // len(CHECKS),
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
                phases=[Phase.generate, Phase.shrink],
            )
            seed(number)(options(given(*strategies)(check)))()
    finally:
        readers.BLOCK = block
    return Counter(FOUND)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out")
    options = parser.parse_args()
    began = time.perf_counter()
    found = fuzz(options.examples, options.seed)
    figures = {"inputs": dict(found), "seconds": round(time.perf_counter() - began, 1)}
    sys.exit(finish("fuzz_rows", figures, options.out))


if __name__ == "__main__":
    main()
