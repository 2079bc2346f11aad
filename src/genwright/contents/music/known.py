"""What music's data say of pieces. What a piece itself shows (its key by how long each pitch class
sounds, its metre) are measures that give labels (`measures.py`)."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from genwright.contents.music.dataset import pieces_of
from genwright.contents.music.prepare import PIECES
from genwright.core.attributes import decode
from genwright.core.content import Sample
from genwright.core.dataset import Dataset
from genwright.core.groups import Known, Lengths


def known_attributes(dataset: Dataset) -> list[str]:
    """Those that pieces may be conditioned on."""
    return list(pieces_of(dataset).codec.space.attributes)


def known(dataset: Dataset, split: str, attributes: Sequence[str]) -> Known:
    """Of every piece of a split. A cluster is a tune: pieces of equal top voices."""
    pieces = pieces_of(dataset)
    facts = json.loads((pieces.folder / PIECES).read_text(encoding="utf-8"))
    tunes = np.array(facts["tunes"])
    _, clusters = np.unique(tunes, return_inverse=True)
    numbers = pieces.pieces[split]
    possible = pieces.codec.space.attributes
    values: dict[str, list[tuple[str, ...]]] = {name: [] for name in attributes}
    for number in numbers.tolist():
        own = decode(possible, pieces.conditions[number])
        for name in attributes:
            values[name].append(tuple(own.get(name, ())))
    names = [pieces.names[number] for number in numbers.tolist()]
    return Known(names, clusters[numbers].astype(np.int64), values)


def lengths(dataset: Dataset, split: str) -> Lengths:
    """Tokens of pieces beside those of a window."""
    pieces = pieces_of(dataset)
    return Lengths(pieces.piece_lengths(split), pieces.context, "data.context")


def examples(dataset: Dataset, split: str, numbers: Sequence[int]) -> list[Sample]:
    """Pieces of a split, as the codec keeps them."""
    pieces = pieces_of(dataset)
    found = []
    for place in numbers:
        row = pieces.row(pieces.pieces[split][place]).tolist()
        found.append(Sample(pieces.codec.decode(row), number=int(place)))
    return found
