"""What text's data say of documents: the folder that they come from; of a corpus also source,
licence and language as it keeps them.

What a document shows of itself (its language, the licence that it names, words of a list) is found
by rules that samples are judged by, too: attributes of corpora that are labels, and lists of words.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genwright.contents.text.dataset import TextDataset, corpus_of
from genwright.contents.text.documents import TWIN
from genwright.contents.text.generate import Generated
from genwright.core.content import Sample
from genwright.core.dataset import Dataset
from genwright.core.groups import Known, Lengths
from genwright.data.selection import SELECTION, is_corpus, selected_labels, selections

FOLDER = "folder"
OF_CORPUS = ("source", "licence", "language")


def known_attributes(dataset: Dataset) -> list[str]:
    """`folder`, or what a corpus keeps of its documents."""
    if _corpus(corpus_of(dataset)):
        return list(OF_CORPUS)
    return [FOLDER]


def known(dataset: Dataset, split: str, attributes: Sequence[str]) -> Known:
    """Of every document of a split. Each is a cluster of its own, with its twin of swapped words
    where it has one."""
    texts = corpus_of(dataset)
    count = texts.document_count(split)
    names = [texts.name(split, number) for number in range(count)]
    corpus = _corpus(texts)
    values: dict[str, list[tuple[str, ...]]] = {}
    if corpus:
        values |= _of_corpus(corpus, names, [name for name in attributes if name in OF_CORPUS])
    if FOLDER in attributes:
        values[FOLDER] = [_folder_of(name) for name in names]
    return Known(names, _clusters(names), values)


def examples(dataset: Dataset, split: str, numbers: Sequence[int]) -> list[Sample]:
    """Documents of a split."""
    texts = corpus_of(dataset)
    found = []
    for number in numbers:
        name, tokens = texts.document(split, int(number))
        ids = tuple(np.asarray(tokens).tolist())
        content = Generated("", texts.codec.decode(list(ids)), ids, "end", 0.0)
        found.append(Sample(content, name, number=int(number), tokens=ids))
    return found


def lengths(dataset: Dataset, split: str) -> Lengths:
    """Tokens of documents beside those of a window."""
    texts = corpus_of(dataset)
    return Lengths(texts.document_lengths(split), texts.context, "data.context")


def behind_end(sample: Sample, end: int | None, longest: int) -> Sample:
    """A document behind the token that ends the one before, so that its first token is predicted,
    too. longest: tokens of the model's window; what is longer is cut."""
    before = () if end is None else (end,)
    tokens = (*before, *sample.tokens)[: longest + 1]
    return sample._replace(tokens=tokens)


def _clusters(names: Sequence[str]) -> np.ndarray:
    """(documents,) int64, the same for a document and its twin."""
    if not any(name.endswith(TWIN) for name in names):
        return np.arange(len(names))
    _, clusters = np.unique([name.removesuffix(TWIN) for name in names], return_inverse=True)
    return clusters.astype(np.int64)


def _corpus(texts: TextDataset) -> str:
    """The corpus that the data are; "" where they are none."""
    paths = texts.settings.paths
    return paths[0] if len(paths) == 1 and is_corpus(paths[0]) else ""


def _folder_of(name: str) -> tuple[str, ...]:
    """The first folder of a file's name; () where it lies in none."""
    folder, slash, _ = name.partition("/")
    return (folder,) if slash else ()


def _of_corpus(
    corpus: str, names: Sequence[str], attributes: Sequence[str]
) -> dict[str, list[tuple[str, ...]]]:
    """attribute -> of each document its value. names: FILE.selection:ROW."""
    wanted: dict[str, dict[int, list[int]]] = {}  # name of a selection -> row -> places
    names = [name.removesuffix(TWIN) for name in names]
    for place, name in enumerate(names):
        file, _, row = name.rpartition(":")
        wanted.setdefault(Path(file).name, {}).setdefault(int(row), []).append(place)
    values: dict[str, list[tuple[str, ...]]] = {}
    for attribute in attributes:
        values[attribute] = [()] * len(names)
    sides = {Path(file).parent.name for file in (name.rpartition(":")[0] for name in names)}
    for path in selections(corpus):
        rows = wanted.get(path.name)
        if path.suffix != SELECTION or rows is None or path.parent.name not in sides:
            continue
        for number, labels in selected_labels(path, list(attributes)):
            for place in rows.get(number, ()):
                for attribute in attributes:
                    if labels[attribute]:
                        values[attribute][place] = (labels[attribute],)
    return values
