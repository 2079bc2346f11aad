"""The words that a corpus is made of, as types: raw files, documents, attributes, edits, rules.

1. A raw source finds files and reads documents out of them; what it cannot read it names.
2. Attributes are computed of documents, once, and kept beside them: numbers, labels, edits, notes.
   A document is never rewritten: an edit says what stands in place of some of its characters. What
   attributes need that is computed once a corpus (`Preparation`) is kept beside them, too.
3. A rule is an attribute with bounds. Which rules hold is decided last, so that a bound changes
   without anything being computed again.

What is particular to a kind of content lies in its room, in files whose names begin with `corpus`.
Worker processes import this module and those: they must not import torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from genwright.core.kept_files import Input
from genwright.core.registry import Settings, kinds, register


class RawFile(NamedTuple):
    """What a source reads at once. path: where it is; name: what it is called in the source, the
    same wherever the folder stands. licence, date: as of `Document`, where they are known before it
    is read."""

    path: str
    name: str
    licence: str = ""
    date: str = ""


class Document(NamedTuple):
    """A document of a raw file.

    text: of it; "" where the content is no text. place: which part of the file it is, "" for all of
    it: "row 12", "entry a/b.txt". licence: an SPDX identifier. date: as ISO 8601 writes it.
    language: ISO 639-1. data: its bytes, where it is no text. The last four may be unknown: ""."""

    text: str
    place: str = ""
    licence: str = ""
    date: str = ""
    language: str = ""
    data: bytes = b""


class Unread(NamedTuple):
    """What cannot be read of a raw file, and why. place: as of `Document`."""

    place: str
    what: str


class RawSource(Protocol):
    """Settings of a source (family "raw"), `kind` and `path` among them."""

    def find(self) -> list[RawFile]:
        """The raw files, sorted by name. Raises GenwrightError for a path that is not there."""

    def read(self, file: RawFile) -> Iterator[Document | Unread]:
        """The documents of a file, in order, in memory that does not grow with it. Called in worker
        processes. Raises nothing for what is in the file: that is `Unread`."""


class Edit(NamedTuple):
    """What stands in place of characters start to before stop of a document's text."""

    start: int
    stop: int
    text: str


Kind = Literal["number", "label", "edits", "note"]
# contents of documents (of text: str) -> name of a column -> (documents,) float64, or a list of
# labels or notes, or a list of lists of `Edit`, in order and apart
Compute = Callable[[Sequence[Any]], Mapping[str, Any]]


@dataclass(frozen=True)
class Column:
    """One attribute. name: as rules and reports call it, unique among those of a content. kind:
    what it gives of a document: a number (NaN: nothing can be said), a label, edits, or a note: a
    text that is shown with the document, and that no rule asks for and no page counts. unit,
    detail: for a person. label: of a label, which label of documents (licence, language) it says;
    where it is not "" it counts, in place of what the source says."""

    name: str
    kind: Kind = "number"
    unit: str = ""
    detail: str = ""
    label: str = ""


class Preparation(Protocol):
    """What attributes need that is computed once a corpus, before any document is measured, and
    kept in a folder of it: the n-grams of evaluation sets, a trained classifier. All that decides
    it must be in the name of the attributes, as a digest."""

    def write(self, folder: Path) -> Sequence[str]:
        """Fills an empty folder. Gives sentences for a person about what it found. Raises
        GenwrightError."""

    def read(self, folder: Path) -> Compute:
        """What computes the attributes, by a folder that was filled; in each process."""


@dataclass(frozen=True)
class Attributes:
    """Attributes that are computed together, because they share work.

    of: what computes them (see `Compute`), a pure function of each document alone: it does not
    matter which others are beside it. version: raise it when the same document would get other
    values. prepared: in place of `of`, what has to be computed before."""

    name: str
    columns: tuple[Column, ...]
    of: Compute | None = None
    version: int = 1
    prepared: Preparation | None = None


@dataclass(frozen=True)
class Rule:
    """What documents must satisfy: at_least <= attribute <= at_most, each where it is given. A NaN
    satisfies every rule. reason: "SET.NAME", under which a document is dropped. detail: for a
    person, in words. otherwise: of an attribute that is a label, the label of the document itself
    (licence, language, source) that stands in its place where it is "". note: a column of the same
    group that says more about the value, which is shown beside it."""

    reason: str
    attribute: str
    at_least: float | None = None
    at_most: float | None = None
    detail: str = ""
    otherwise: str = ""
    note: str = ""

    def asked(self, values: np.ndarray, labels: Mapping[str, np.ndarray]) -> np.ndarray:
        """(documents,) what `breaks` judges: values of the attribute, and the documents' own labels
        where `otherwise` says so. labels: name -> (documents,) of str objects."""
        if not self.otherwise:
            return values
        return np.where(values == "", labels[self.otherwise], values)

    def breaks(self, values: np.ndarray) -> np.ndarray:
        """(documents,) bool: which are dropped. values: (documents,), as of `asked`."""
        broken = np.zeros(len(values), bool)
        if self.at_least is not None:
            broken |= values < self.at_least
        if self.at_most is not None:
            broken |= values > self.at_most
        return broken


@dataclass(frozen=True)
class RuleSet:
    """Rules of one paper or purpose, which a person names at once. source: of the numbers.
    attributes: names of the `Attributes` that they need. edits: columns whose edits are made in the
    documents that stay. options: what may be asked for with it (`personal-data: redact`), the first
    being meant where nothing is said. settings: in place of options, a class of settings
    (`contamination: {path: evals/}`); a word alone is its first field. make: an option, or such
    settings -> the set as it is then. apart: files and folders that no source may read, such as
    evaluation sets. files: that the option names, of which a corpus keeps copies, and inputs: what
    else it names, of which a corpus keeps digests (`core.kept_files`)."""

    name: str
    rules: tuple[Rule, ...]
    attributes: tuple[str, ...]
    source: str = ""
    edits: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    make: Callable[[Any], RuleSet] | None = None
    settings: type[Settings] | None = None
    apart: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    inputs: tuple[Input, ...] = ()


def add_attributes(content: str, *groups: Attributes) -> None:
    """Registers attributes of a kind of content."""
    for group in groups:
        register("attributes", f"{content} {group.name}", group)


def add_rules(content: str, *sets: RuleSet) -> None:
    """Registers sets of rules of a kind of content."""
    for each in sets:
        register("rules", f"{content} {each.name}", each)


def attributes_of(content: str) -> dict[str, Attributes]:
    """Name -> attributes, of a kind of content."""
    return _of(content, "attributes")


def rules_of(content: str) -> dict[str, RuleSet]:
    """Name -> set of rules, of a kind of content."""
    return _of(content, "rules")


def _of(content: str, family: str) -> dict[str, Any]:
    beginning = f"{content} "
    found = kinds(family)
    return {
        name.removeprefix(beginning): thing
        for name, thing in found.items()
        if name.startswith(beginning)
    }


def edited(text: str, edits: Sequence[Edit]) -> str:
    """A text with its edits made. edits: in order and apart."""
    pieces = []
    at = 0
    for edit in edits:
        pieces += [text[at : edit.start], edit.text]
        at = edit.stop
    pieces.append(text[at:])
    return "".join(pieces)
