"""A corpus in miniature, for tests of curation: a source of lists of texts, and rules of words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from genwright.core.corpus import (
    Attributes,
    Column,
    Document,
    Edit,
    RawFile,
    Rule,
    RuleSet,
    Unread,
    add_attributes,
    add_rules,
)
from genwright.core.registry import Settings, register


class Listed(Settings):
    """Files of which each line is a document; a line `?` cannot be read."""

    kind: Literal["listed"] = "listed"
    path: str

    def find(self) -> list[RawFile]:
        return [RawFile(str(path), path.name) for path in sorted(Path(self.path).glob("*.txt"))]

    def read(self, file: RawFile) -> Iterator[Document | Unread]:
        lines = Path(file.path).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, start=1):
            if line == "?":
                yield Unread(f"line {number}", "is a question mark")
            else:
                yield Document(line, f"line {number}")


def counted(texts):
    """How many words; and an edit of each word `secret`."""
    words = np.array([len(text.split()) for text in texts], float)
    edits = []
    for text in texts:
        found = []
        at = text.find("secret")
        while at >= 0:
            found.append(Edit(at, at + 6, "<gone>"))
            at = text.find("secret", at + 6)
        edits.append(found)
    return {"toy words": words, "toy edits": edits}


COLUMNS = (Column("toy words", unit="words"), Column("toy edits", "edits"))
RULES = (
    Rule("toy.short", "toy words", at_least=3),
    Rule("toy.long", "toy words", at_most=12),
)


def add_toys():
    """Registers attributes and rules; what a test does first."""
    register("raw", "listed", Listed)
    add_attributes("text", Attributes("toy counts", COLUMNS, counted))
    add_rules("text", RuleSet("toy", RULES, ("toy counts",), edits=("toy edits",)))


def write_files(folder: Path, count: int, lines: int = 30) -> list[str]:
    """Raw files; gives all their documents."""
    folder.mkdir(parents=True, exist_ok=True)
    every = []
    for number in range(count):
        texts = []
        for line in range(lines):
            words = [f"word{(number * 31 + line * 7 + place) % 97}" for place in range(line % 15)]
            texts.append(" ".join(["start", *words, f"n{number}x{line}"]))
        (folder / f"{number:03}.txt").write_text("\n".join(texts) + "\n", encoding="utf-8")
        every += texts
    return every
