"""Counterfactual augmentation: training documents that a swap list changes are trained on a second
time, with its words exchanged (`counterfactual.swapped`).

Twins are shards of their own beside those of the documents, so that a list more or less costs
tokenising the twins alone:

1. Only what is trained on has twins: what is held out stays as it is, and is what it is without.
2. A twin that equals a held-out document is left out.
3. Of a file that is read in several parts, each part has a twin of its own.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.contents.text.counterfactual import Swaps, swapped
from genwright.contents.text.encoding import Encoder
from genwright.contents.text.shards import DIGEST_BYTES, DOCUMENT, Side, encoder_of
from genwright.contents.text.units import AT_ONCE, Unit, divide, files_of
from genwright.core.files import check_unchanged, digest, json_text
from genwright.data.cache import SPLITS, publish
from genwright.data.npy import NpyWriter, blocks_of, mapped
from genwright.data.workers import Work

FORMAT = 1  # raise it when the same documents would give other shards


class _Twin(NamedTuple):
    """A twin of a document, or of a part of one. part: index of the unit's part; row: as of
    `readers.Piece`; ends: whether the document ends with it."""

    part: int
    row: int
    text: str
    ends: bool


def write_twins(
    unit: Unit, tokenizer: str, end: int | None, folder: str, swaps: Swaps, held: str
) -> None:
    """Tokenises the twins of a unit's training documents into the shard `folder`, as `shards.write`
    does the documents. held: a file of `write_held`."""
    encoder = encoder_of(tokenizer)

    def fill(draft: Path) -> None:
        _fill(draft, unit, encoder, end, swaps, mapped(Path(held)))

    publish(Path(folder), fill)


def _fill(
    draft: Path, unit: Unit, encoder: Encoder, end: int | None, swaps: Swaps, held: np.ndarray
) -> None:
    stop = b"" if end is None else np.array([end], encoder.dtype).tobytes()
    left_out = 0
    found = []
    with (
        open(draft / "train.bin", "wb") as train,
        open(draft / "held_out.bin", "wb") as held_out,
        open(draft / "documents.npy", "wb") as table,
    ):
        sides = [Side(train, encoder.dtype), Side(held_out, encoder.dtype)]
        side = sides[0]
        documents = NpyWriter(table, DOCUMENT)
        for twin in _twins(unit, swaps):
            content = hashlib.sha256(twin.text.encode()).digest()[:DIGEST_BYTES]
            if _is_in(held, content):
                left_out += 1
                continue
            found.append((0, False, twin.part, twin.row, side.tokens, content))
            side.documents += 1
            ids = encoder.encode(twin.text)
            side.add(twin.text, ids + stop if twin.ends else ids)
            if len(found) == AT_ONCE:
                documents.add(np.array(found, DOCUMENT))
                found = []
        documents.add(np.array(found, DOCUMENT))
        documents.close()
    check_unchanged({part.path: part.stamp for part in unit.parts})
    names = ("train.bin", "held_out.bin", "documents.npy")
    facts: dict[str, Any] = {
        "sha256": {name: digest(draft / name) for name in names},
        "dtype": encoder.dtype.str,
        "sources": [part.name for part in unit.parts],
        "skipped": [],
        "swapped": True,
        "left_out": left_out,
    }
    for split, each in zip(SPLITS, sides, strict=True):
        facts[split] = each.counts()
    facts["remarks"] = {}
    (draft / "shard.json").write_text(json_text(facts), encoding="utf-8")


def _twins(unit: Unit, swaps: Swaps) -> Iterator[_Twin]:
    """The twins of a unit's training documents, without those that the list leaves as they are."""
    texts: list[str] = []  # of the part of a whole file that is being read
    twins: list[str] = []
    at = -1
    ends = False
    for split, part, piece in divide(unit, []):
        if split != 0:
            continue
        if part != at and twins:
            if twins != texts:
                yield _Twin(at, -1, "".join(twins), ends)
            texts = []
            twins = []
        at = part
        twin = swapped(piece.text, swaps)
        if piece.row < 0:
            texts.append(piece.text)
            twins.append(twin)
            ends = piece.ends
        elif twin != piece.text:
            yield _Twin(part, piece.row, twin, piece.ends)
    if twins != texts:
        yield _Twin(at, -1, "".join(twins), ends)


def _key(content: bytes) -> int:
    """A digest of a document's text, shortened to 64 bits."""
    return int.from_bytes(content[:8], "little")


def _is_in(held: np.ndarray, content: bytes) -> bool:
    key = np.uint64(_key(content))
    place = int(np.searchsorted(held, key))
    return place < len(held) and bool(held[place] == key)


def write_held(tables: Sequence[Path], path: Path) -> str:
    """Writes the digests of all held-out documents, sorted, and gives a digest of them. tables: the
    documents of each shard."""
    parts = [np.zeros(0, np.uint64)]
    for table in tables:
        for block in blocks_of(mapped(table), AT_ONCE):
            own = np.ascontiguousarray(block["digest"][block["split"] == 1])
            parts.append(own.view("<u8").reshape(-1, 2)[:, 0])
    held = np.unique(np.concatenate(parts))
    np.save(path, held, allow_pickle=False)
    return hashlib.sha256(held.tobytes()).hexdigest()


WRITE_TWINS = Work(write_twins, "tokenising swapped documents", files_of)
