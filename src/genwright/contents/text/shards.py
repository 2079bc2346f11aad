"""Shards: the tokens of some megabytes of documents, in a folder named by its content, written once
and never changed.

    <cache>/shards/<key>/train.bin      flat little-endian uint16 or uint32 token ids
                         held_out.bin
                         documents.npy  an entry a document and split: where it begins, which file
                                        and row it is, its digest
                         shard.json     counts, SHA-256 of the files above, names of the sources

The key is the SHA-256 of all that decides the content: the sources' digests and ranges, the split,
the codec.

Worker processes import this module: it must not import torch.
"""

import functools
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from tokenizers import Tokenizer

from genwright.contents.text.encoding import Encoder
from genwright.contents.text.units import AT_ONCE, Unit, divide, files_of
from genwright.core.files import check_unchanged, digest, json_text
from genwright.data.cache import SPLITS, publish
from genwright.data.npy import NpyWriter
from genwright.data.readers import Remarks
from genwright.data.workers import Work

# split: index in SPLITS; continued: the document began in an earlier shard; source: which of the
# unit's parts; row: -1 where the file is the document; start: its first token in the shard's split;
# digest: the first 128 bits of its text's SHA-256
DOCUMENT = np.dtype(
    [
        ("split", "u1"),
        ("continued", "u1"),
        ("source", "<u4"),
        ("row", "<i8"),
        ("start", "<i8"),
        ("digest", "V16"),
    ]
)
DIGEST_BYTES = 16


class Side:
    """The tokens of one split while they are written, and what is counted of them."""

    def __init__(self, file: BinaryIO, dtype: np.dtype):
        self.file = file
        self.dtype = dtype
        self.tokens = 0
        self.bytes = 0
        self.characters = 0
        self.largest = -1
        self.documents = 0

    def add(self, text: str, ids: bytes) -> None:
        """Writes a piece of a document. ids: its tokens, as the bytes of an array of `dtype`."""
        self.file.write(ids)
        tokens = np.frombuffer(ids, self.dtype)
        self.tokens += len(tokens)
        self.largest = max(self.largest, int(tokens.max(initial=0)))
        self.characters += len(text)
        self.bytes += len(text) if text.isascii() else len(text.encode())

    def counts(self) -> dict[str, int]:
        """What shard.json says of the split."""
        return {
            "tokens": self.tokens,
            "bytes": self.bytes,
            "characters": self.characters,
            "largest": self.largest,
            "documents": self.documents,
        }


@functools.lru_cache(2)
def encoder_of(tokenizer: str) -> Encoder:
    """What makes text tokens. tokenizer: the path of its file."""
    return Encoder(Tokenizer.from_file(tokenizer))


def write(unit: Unit, tokenizer: str, end: int | None, folder: str) -> None:
    """Tokenises a unit's documents into the shard `folder`; an end token (if `end`) follows each.
    tokenizer: a path. Raises GenwrightError for a row that cannot be used, where those are not
    passed over, and for a file that has changed."""
    encoder = encoder_of(tokenizer)

    def fill(draft: Path) -> None:
        _fill(draft, unit, encoder, end)

    publish(Path(folder), fill)


def _fill(draft: Path, unit: Unit, encoder: Encoder, end: int | None) -> None:
    """Writes a shard's files into the folder `draft`."""
    skipped: list[str] = []
    remarks: Remarks = defaultdict(Counter)
    with (
        open(draft / "train.bin", "wb") as train,
        open(draft / "held_out.bin", "wb") as held_out,
        open(draft / "documents.npy", "wb") as table,
    ):
        sides = [Side(train, encoder.dtype), Side(held_out, encoder.dtype)]
        documents = NpyWriter(table, DOCUMENT)
        for some in _tokenise(unit, encoder, end, sides, skipped, remarks):
            documents.add(some)
        documents.close()
    check_unchanged({part.path: part.stamp for part in unit.parts})
    names = ("train.bin", "held_out.bin", "documents.npy")
    facts: dict[str, Any] = {
        "sha256": {name: digest(draft / name) for name in names},
        "dtype": encoder.dtype.str,
        "sources": [part.name for part in unit.parts],
        "skipped": skipped,
    }
    for split, side in zip(SPLITS, sides, strict=True):
        facts[split] = side.counts()
    facts["remarks"] = remarks
    (draft / "shard.json").write_text(json_text(facts), encoding="utf-8")


def _tokenise(
    unit: Unit,
    encoder: Encoder,
    end: int | None,
    sides: list[Side],
    skipped: list[str],
    remarks: Remarks,
) -> Iterator[np.ndarray]:
    """Writes the tokens of each split. Gives the documents, arrays (n,) of dtype DOCUMENT."""
    stop = b"" if end is None else np.array([end], encoder.dtype).tobytes()
    documents = []
    begun = set()  # (part, split) of a file that is one document and comes in several pieces
    for split, index, piece in divide(unit, skipped, remarks):
        part = unit.parts[index]
        side = sides[split]
        row = piece.row >= 0
        if row or (index, split) not in begun:
            continued = not row and part.start > 0
            if row:
                content = hashlib.sha256(piece.text.encode()).digest()[:DIGEST_BYTES]
            else:
                content = bytes.fromhex(part.text[: 2 * DIGEST_BYTES])
                begun.add((index, split))
            documents.append((split, continued, index, piece.row, side.tokens, content))
            if len(documents) == AT_ONCE:
                yield np.array(documents, DOCUMENT)
                documents = []
            if not continued:
                side.documents += 1
        ids = encoder.encode(piece.text)
        side.add(piece.text, ids + stop if piece.ends else ids)
    yield np.array(documents, DOCUMENT)


WRITE = Work(write, "tokenising", files_of)
