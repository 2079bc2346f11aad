"""Problems of arithmetic, made up: "12+34=46", a document each. Nothing is downloaded, and what is
made is a pure function of the words behind `arithmetic:`.

    data.source: arithmetic
    data.source: arithmetic:digits=3,operations=+-,problems=20000,seed=1

digits: of the largest numbers, from 0 on. operations: of + - *. problems: how many, no two of which
are equal; without it 20,000, or all that there are. Of a + b and b + a only one is ever made, so
that a problem that is held out stands on the other side in neither order. The smaller number is
taken from the larger one.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

from genwright.core.draws import key
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.core.registry import source
from genwright.data.cache import digest_of, publish
from genwright.data.source_files import SourceFile, walk

FILE = "arithmetic.jsonl"
USUAL = 20_000  # problems, at most, where no number is given
MOST_DIGITS = 6
MOST = 1_000_000  # problems


class Wanted(NamedTuple):
    """Which problems; see the module."""

    digits: int = 2
    operations: str = "+"
    problems: int = 0
    seed: int = 0

    @property
    def there_are(self) -> int:
        """How many problems there are of these digits and operations, each in one order."""
        numbers = 10**self.digits
        return len(self.operations) * numbers * (numbers + 1) // 2


@source("arithmetic")
def arithmetic(paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
    """A file of problems, a row each. Raises GenwrightError for words that cannot be understood."""
    wanted = wanted_of(name)
    folder = cache / "sources" / f"arithmetic-{digest_of(1, *wanted)[:16]}"
    if not folder.is_dir():
        publish(folder, partial(_write, wanted=wanted))
    return list(walk(str(folder)))


def _write(draft: Path, wanted: Wanted) -> None:
    rows = [json_text({"text": problem}) + "\n" for problem in problems(wanted)]
    write_whole(draft / FILE, "".join(rows))


def wanted_of(words: str) -> Wanted:
    """What "digits=3,operations=+-" asks for. Raises GenwrightError."""
    values: dict[str, int | str] = {}
    for word in words.split(",") if words else []:
        name, _, value = word.partition("=")
        if name == "operations":
            values[name] = value
        elif name in Wanted._fields and value.isdecimal():
            values[name] = int(value)
        else:
            raise _refused(words, f"has {word!r}")
    wanted = Wanted(**values)  # type: ignore[arg-type]
    operations = set(wanted.operations)
    if not operations or not operations <= set("+-*") or len(operations) < len(wanted.operations):
        raise _refused(words, f"has the operations {wanted.operations!r}")
    if not 1 <= wanted.digits <= MOST_DIGITS:
        raise _refused(words, f"has {wanted.digits} digits, and 1 to {MOST_DIGITS} can be")
    there_are = min(wanted.there_are, MOST)
    if wanted.problems > there_are:
        raise _refused(words, f"has {wanted.problems} problems, and {there_are} can be made")
    if wanted.problems:
        return wanted
    return wanted._replace(problems=min(wanted.there_are, USUAL))


def _refused(words: str, what: str) -> GenwrightError:
    return GenwrightError(
        f"data.source=arithmetic:{words} {what}",
        "write it as in arithmetic:digits=3,operations=+-,problems=20000,seed=1",
    )


def problems(wanted: Wanted) -> list[str]:
    """Problems with their results, in no order. wanted: with a number of problems that there are.
    Where that is all of them, each is drawn some ten times before the last is found."""
    found: dict[tuple[str, int, int], str] = {}  # operation, smaller, larger -> as it is written
    numbers = 10**wanted.digits
    drawn = 0
    while len(found) < wanted.problems:
        bits = key("arithmetic", wanted.seed, drawn) & ((1 << 62) - 1)
        drawn += 1
        bits, first = divmod(bits, numbers)
        bits, second = divmod(bits, numbers)
        operation = wanted.operations[bits % len(wanted.operations)]
        smaller, larger = sorted((first, second))
        name = (operation, smaller, larger)
        if name not in found:
            if operation == "-":
                first, second = larger, smaller
            found[name] = f"{first}{operation}{second}={_result(first, operation, second)}"
    return list(found.values())


def _result(first: int, operation: str, second: int) -> int:
    if operation == "+":
        return first + second
    if operation == "-":
        return first - second
    return first * second
