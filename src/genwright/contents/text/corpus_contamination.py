"""Documents that hold parts of evaluation sets: the rule set `contamination`.

    filters: [{contamination: evals/}]
    filters: [{contamination: {path: evals/, words: 8, at_most: 0.01}}]

A document whose words could be learned by heart from an evaluation set makes a figure on that set
worthless. Two texts have an n-gram in common where the same `words` words follow one another in
both. Brown et al., 2020, arXiv 2005.14165 (GPT-3), appendix C: n-grams of 13 words, which are what
white space separates, in small letters and without punctuation (`corpus_ngrams`).

1. Once a corpus: all n-grams of all evaluation texts, as hashes in order, each with the first text
   that it stands in. Memory: some 40 bytes for each different n-gram; on disk 14 to 16.
2. Of each document: the share of the words that stand in an n-gram which is among them. A table of
   bits says which beginnings of hashes occur, 16 bits for each n-gram or more; what passes it is
   looked for by binary search. The files are mapped, so that processes share them.

With `at_most: 0` one n-gram is enough. The paper did so first, and found it to be hard on long
documents; it then cut out what is shared, with 200 characters around it, and it ignored n-grams
that more than 10 training documents hold (common phrases, legal notices). Neither is done here: put
a share that is larger than 0 for books.

Texts of fewer words than an n-gram has are not looked for; how many there are is said. Of different
n-grams a pair in 10^19 has equal hashes: of 10^9 words beside 10^7 n-grams, one in 2,000 corpora
has such a pair.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import Field

from genwright.contents.text.corpus_ngrams import Words
from genwright.contents.text.corpus_quality_pieces import batches, share
from genwright.contents.text.corpus_texts import Texts, short_digest
from genwright.core.corpus import (
    Attributes,
    Column,
    Compute,
    Rule,
    RuleSet,
    add_attributes,
    add_rules,
)
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text
from genwright.core.registry import Settings
from genwright.data.tables import counted

FORMAT = 1  # raise it when the same texts would give other n-grams
SOURCE = "n-grams of 13 words: Brown et al. 2020, arXiv 2005.14165, appendix C"
QUOTED = 200  # characters of a document, in a note
TOGETHER = 1 << 18  # characters of evaluation texts that are looked at at once, about
MERGED = 1 << 22  # n-grams that are gathered before equal ones are put together
GRAMS = "ngrams.npy"  # (n-grams,) uint64, rising
BITS = "bits.npy"  # uint8: bit i of them all is 1 where a hash begins with the bits of i
TEXTS = "texts.npy"  # (n-grams,) uint32: the first text of each
PLACES = "places.npy"  # (texts, 2) int64: the number of its file, and its row
FILES = "files.json"  # names


class Contamination(Settings):
    """What documents may share with evaluation sets."""

    path: str
    """The evaluation sets: a file, a folder or a glob, outside of the sources."""
    words: int = Field(13, ge=2, le=100)
    """Words of an n-gram."""
    at_most: float = Field(0.0, ge=0, lt=1)
    """Share of a document's words that may stand in n-grams of evaluation texts."""
    field: str = ""
    """Of rows, which field holds the text. Default: all texts of a row."""


class Known(NamedTuple):
    """The n-grams of evaluation texts, mapped from disk. names: of the files; the others: see
    GRAMS, BITS, TEXTS, PLACES."""

    grams: np.ndarray
    bits: np.ndarray
    texts: np.ndarray
    places: np.ndarray
    names: list[str]

    @classmethod
    def read(cls, folder: Path) -> Known:
        """What `EvaluationGrams.write` wrote."""
        grams, bits, texts, places = (
            np.load(folder / name, mmap_mode="r", allow_pickle=False)
            for name in (GRAMS, BITS, TEXTS, PLACES)
        )
        names = json.loads((folder / FILES).read_text(encoding="utf-8"))
        return cls(grams, bits, texts, places, names)

    def find(self, hashes: np.ndarray) -> np.ndarray:
        """(hashes,) the place of each in `grams`; -1 where it is not there."""
        byte, bit = _bits_of(hashes, len(self.bits))
        likely = np.flatnonzero(self.bits[byte] & bit)
        places = np.searchsorted(self.grams, hashes[likely])
        places[places == len(self.grams)] = 0
        equal = self.grams[places] == hashes[likely]
        found = np.full(len(hashes), -1, np.int64)
        found[likely[equal]] = places[equal]
        return found

    def place_of(self, gram: int) -> str:
        """Where an n-gram stands, for a person."""
        file, row = self.places[self.texts[gram]].tolist()
        if row < 0:
            return self.names[file]
        return f"{self.names[file]}, row {row:,} (from 0)"


def _bits_of(hashes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """(hashes,) the byte of a table that each has a bit in, and that bit. size: bytes of the table,
    a power of two from 2."""
    first = hashes >> np.uint64(64 - (8 * size - 1).bit_length())
    byte = (first >> np.uint64(3)).astype(np.int64)
    bit = np.uint8(1) << (first & np.uint64(7)).astype(np.uint8)
    return byte, bit


def _table_of(grams: np.ndarray) -> np.ndarray:
    """BITS. grams: (n-grams,) uint64, some."""
    size = 2 << (len(grams) - 1).bit_length()  # two bytes for each, or more
    table = np.zeros(size, np.uint8)
    byte, bit = _bits_of(grams, size)
    np.bitwise_or.at(table, byte, bit)
    return table


@dataclass(frozen=True)
class EvaluationGrams:
    """See `core.corpus.Preparation`. column: beginning of the names of the attributes."""

    texts: Texts
    words: int
    column: str

    def write(self, folder: Path) -> list[str]:
        """GRAMS, BITS, TEXTS, PLACES and FILES. Raises GenwrightError for a text that cannot be
        read, and where no text has so many words."""
        places: list[tuple[int, int]] = []
        short = 0
        grams = np.zeros(0, np.uint64)
        owners = np.zeros(0, np.uint32)
        gathered: list[tuple[np.ndarray, np.ndarray]] = []
        for batch in _batches(self.texts, places):
            words = Words(batch)
            hashes, first = words.ngrams(self.words)
            owner = len(places) - len(batch) + words.document[first]
            gathered.append((hashes, owner.astype(np.uint32)))
            short += int((words.counts < self.words).sum())
            if sum(len(each) for each, _ in gathered) >= MERGED:
                grams, owners = _merged(grams, owners, gathered)
                gathered = []
        grams, owners = _merged(grams, owners, gathered)
        if not len(grams):
            raise GenwrightError(
                f"no text of {self.texts.path} has {self.words} words",
                "give fewer: {contamination: {path: ..., words: 8}}",
            )
        np.save(folder / GRAMS, grams, allow_pickle=False)
        np.save(folder / BITS, _table_of(grams), allow_pickle=False)
        np.save(folder / TEXTS, owners, allow_pickle=False)
        np.save(folder / PLACES, np.array(places, np.int64), allow_pickle=False)
        names = [file.name for file in self.texts.files]
        (folder / FILES).write_text(json_text(names), encoding="utf-8")
        about = (
            f"{self.texts.path}: {len(grams):,} different n-grams of {self.words} words in"
            f" {counted(len(places), 'evaluation text')} of {counted(len(names), 'file')}"
        )
        if short:
            about += f"; not looked for are {counted(short, 'text')} of fewer words"
        return [about]

    def read(self, folder: Path) -> Compute:
        """What measures documents."""
        return partial(overlaps, Known.read(folder), self.words, self.column)


def _batches(texts: Texts, places: list[tuple[int, int]]) -> Iterator[list[str]]:
    """Evaluation texts, some at a time; their places are added to `places`."""
    batch: list[str] = []
    size = 0
    for file, row, text in texts:
        places.append((file, row))
        batch.append(text)
        size += len(text)
        if size >= TOGETHER:
            yield batch
            batch = []
            size = 0
    if batch:
        yield batch


def _merged(
    grams: np.ndarray, owners: np.ndarray, more: Sequence[tuple[np.ndarray, np.ndarray]]
) -> tuple[np.ndarray, np.ndarray]:
    """N-grams in order, each once with its first text. grams: in order; more: of later texts."""
    every = np.concatenate([grams, *(hashes for hashes, _ in more)])
    of_every = np.concatenate([owners, *(texts for _, texts in more)])
    different, first = np.unique(every, return_index=True)  # the first of equal ones
    return different, of_every[first]


def overlaps(known: Known, n: int, column: str, texts: Sequence[str]) -> dict[str, Any]:
    """Of each text the share of words that stand in known n-grams, and a note of the longest run of
    them; a text without a word has no share."""
    shares = [np.zeros(0)]
    notes: list[str] = []
    for batch in batches(texts):
        words = Words(batch)
        hashes, first = words.ngrams(n)
        found = known.find(hashes)
        hits = first[found >= 0]  # first words of n-grams that are known
        grams = np.full(len(words.hashes), -1, np.int64)  # (words,) that begins at each
        grams[hits] = found[found >= 0]
        edges = np.zeros(len(words.hashes) + 1, np.int64)
        edges[hits] += 1
        edges[hits + n] -= 1
        covered = np.cumsum(edges)[:-1] > 0  # (words,)
        inside = np.bincount(words.document[covered], minlength=len(batch))
        shares.append(share(inside, words.counts))
        for document in range(len(batch)):
            note = ""
            if inside[document]:
                own = slice(words.first[document], words.first[document + 1])
                note = _note(known, words, own, covered[own], grams[own])
            notes.append(note)
    return {f"{column}-share": np.concatenate(shares), f"{column}-found": notes}


def _note(known: Known, words: Words, own: slice, covered: np.ndarray, grams: np.ndarray) -> str:
    """The longest run of words of a document that stand in known n-grams, and where. own: its
    words; covered: (words,) bool; grams: (words,) of that begin at each, or -1."""
    edges = np.flatnonzero(np.diff(covered, prepend=False, append=False))
    begins = edges[::2]
    ends = edges[1::2]
    longest = int(np.argmax(ends - begins))
    first = int(begins[longest])
    last = int(ends[longest]) - 1
    text = words.texts[int(words.document[own][0])]
    quoted = text[int(words.start[own][first]) : int(words.stop[own][last])]
    quoted = " ".join(quoted[: 4 * QUOTED].split())
    if len(quoted) > QUOTED:
        quoted = f"{quoted[:QUOTED]} ..."
    return f'{last - first + 1:,} words, "{quoted}", as in {known.place_of(int(grams[first]))}'


def contamination(settings: Contamination) -> RuleSet:
    """The set with its evaluation texts, whose attributes it registers, in each process that is to
    compute them. Raises GenwrightError where they are gone, and no corpus keeps their digest."""
    texts = Texts.at(settings.path, settings.field, "filters.contamination.path")
    name = f"contamination-{short_digest(FORMAT, texts.digest, settings.words)}"
    of = f"of words that stand in n-grams of {settings.path}"
    columns = (
        Column(f"{name}-share", unit="share", detail=of),
        Column(f"{name}-found", "note", detail="the longest run of such words"),
    )
    prepared = EvaluationGrams(texts, settings.words, name)
    add_attributes("text", Attributes(name, columns, prepared=prepared))
    if settings.at_most:
        most = f"at most {settings.at_most:.4g} of the words stand in {settings.words} in a row"
    else:
        most = f"no {settings.words} words in a row"
    rule = Rule(
        f"contamination.{texts.name}",
        f"{name}-share",
        at_most=settings.at_most,
        detail=f"{most} that stand in {settings.path}, too",
        note=f"{name}-found",
    )
    return RuleSet(
        "contamination", (rule,), (name,), SOURCE, apart=texts.apart, inputs=(texts.input,)
    )


add_rules(
    "text",
    RuleSet("contamination", (), (), SOURCE, settings=Contamination, make=contamination),
)
