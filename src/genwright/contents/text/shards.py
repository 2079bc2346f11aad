"""Shards: the tokens of some megabytes of documents, in a folder named by its content, written once
and never changed.

    <cache>/shards/<key>/train.bin      flat little-endian uint16 or uint32 token ids
                         held_out.bin
                         documents.npy  an entry a document and split: where it begins, which file and row it is, its digest
                         shard.json     counts, SHA-256 of the files above, names of the sources

The key is the SHA-256 of all that decides the content: the sources' digests and ranges, the split,
the codec.

Worker processes import this module: it must not import torch.
"""

import functools
import hashlib
import io
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from genwright.contents.text.encoding import Encoder
from genwright.core.files import check_unchanged, digest, json_text, write_whole
from genwright.data.cache import SPLITS, publish, writing
from genwright.data.readers import Part, Piece, Remarks, kind_of, read
from genwright.data.workers import Work, at_file

# the first 64 bits of the text's SHA-256, its bytes, and of a part of a whole file which of the
# unit's parts it is, from 1
ENTRY = np.dtype([("key", "<u8"), ("size", "<u8"), ("part", "<u4")])
# continued: the document began in an earlier shard
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


def entries(
    unit: dict, skipped: list[str], remarks: Remarks | None = None
) -> Iterator[tuple[int, int, Piece]]:
    """(number of the entry, index of the part, piece) for the documents of a unit: {"parts",
    "field", "skip": whether rows that cannot be used are added to `skipped`, ...}. An entry is a
    row, or a part of a file that is one document. `remarks`: see `read`."""
    number = 0
    for index, entry in enumerate(unit["parts"]):
        at_file(index)
        part = Part(*entry)
        whole = kind_of(part.path) == "text"
        for piece in read(part, unit["field"], skipped if unit["skip"] else None, remarks):
            yield number, index, piece
            number += not whole
        number += whole


def survey(unit: dict) -> np.ndarray:
    """(entries,) of dtype ENTRY, in the order of `entries`. Files that are one document are not
    read again."""
    keys = array("Q")
    sizes = array("Q")
    parts = array("L")
    for index, entry in enumerate(unit["parts"], start=1):
        part = Part(*entry)
        if kind_of(part.path) == "text":
            keys.append(int(part.text[:16], 16))
            sizes.append(part.size if part.last else 0)
            parts.append(index)
            continue
        for piece in read(part, unit["field"], [] if unit["skip"] else None):
            text = piece.text.encode()
            keys.append(int.from_bytes(hashlib.sha256(text).digest()[:8], "big"))
            sizes.append(len(text))
            parts.append(0)
    table = np.empty(len(keys), ENTRY)
    table["key"], table["size"], table["part"] = keys, sizes, parts
    return table


def divide(
    unit: dict, skipped: list[str], remarks: Remarks | None = None
) -> Iterator[tuple[int, int, Piece]]:
    """(split, index of the part, piece) for the documents of a unit (see `entries`) with "held" or
    "cut". "held": the numbers of the entries that are held out. "cut" puts as many characters, the
    first, into train, in the middle of a document if need be."""
    left = unit.get("cut")
    held = set(unit.get("held", ()))
    for number, index, piece in entries(unit, skipped, remarks):
        if left is None:
            yield int(number in held), index, piece
            continue
        before = piece.text[: max(0, left)]
        after = piece.text[max(0, left) :]
        left -= len(piece.text)
        if before:
            yield 0, index, Piece(piece.row, before, piece.ends and not after)
        if after:
            yield 1, index, Piece(piece.row, after, piece.ends)


def count_characters(unit: dict) -> int:
    """Characters of a unit's documents."""
    return sum(len(piece.text) for _, _, piece in entries(unit, []))


def write_survey(unit: dict, table: str) -> None:
    """Writes a unit's entries (see `survey`) into the file `table`."""
    content = io.BytesIO()
    np.save(content, survey(unit), allow_pickle=False)
    with writing(Path(table).parent):
        write_whole(Path(table), content.getvalue())


@functools.lru_cache(2)
def _encoder(tokenizer: str) -> Encoder:
    return Encoder(Tokenizer.from_file(tokenizer))


def write(unit: dict, tokenizer: str, end: int | None, folder: str) -> None:
    """Tokenises a unit's documents into the shard `folder`; an end token (if `end`) follows
    each."""
    encoder = _encoder(tokenizer)
    parts = [Part(*entry) for entry in unit["parts"]]
    stop = b"" if end is None else np.array([end], encoder.dtype).tobytes()

    def fill(draft: Path) -> None:
        skipped: list[str] = []
        remarks: Remarks = defaultdict(Counter)
        # begun: (part, split) of a document that comes in several pieces
        documents = []
        begun = set()
        counts = [
            {"tokens": 0, "bytes": 0, "characters": 0, "largest": -1, "documents": 0}
            for _ in SPLITS
        ]
        with (
            open(draft / "train.bin", "wb") as train,
            open(draft / "held_out.bin", "wb") as held_out,
        ):
            for split, index, piece in divide(unit, skipped, remarks):
                part = parts[index]
                to = counts[split]
                if piece.row >= 0 or (index, split) not in begun:
                    begun.add((index, split))
                    row = (
                        hashlib.sha256(piece.text.encode()).digest()[:16] if piece.row >= 0 else b""
                    )
                    own = row or bytes.fromhex(part.text[:32])
                    continued = piece.row < 0 and part.start > 0
                    documents.append((split, continued, index, piece.row, to["tokens"], own))
                    to["documents"] += not continued
                ids = encoder.encode(piece.text) + (stop if piece.ends else b"")
                (held_out if split else train).write(ids)
                to["tokens"] += len(ids) // encoder.dtype.itemsize
                to["largest"] = max(
                    to["largest"], int(np.frombuffer(ids, encoder.dtype).max(initial=0))
                )
                to["characters"] += len(piece.text)
                to["bytes"] += len(piece.text) if piece.text.isascii() else len(piece.text.encode())
        check_unchanged({part.path: part.stamp for part in parts})
        np.save(draft / "documents.npy", np.array(documents, DOCUMENT))
        shas = {
            name: digest(draft / name) for name in ("train.bin", "held_out.bin", "documents.npy")
        }
        facts = {
            "sha256": shas,
            "dtype": encoder.dtype.str,
            "sources": [part.name for part in parts],
            "skipped": skipped,
        }
        facts |= dict(zip(SPLITS, counts, strict=True))
        facts["remarks"] = remarks
        (draft / "shard.json").write_text(json_text(facts), encoding="utf-8")

    publish(Path(folder), fill)


def _files_of(job: dict[str, Any]) -> list[str]:
    return [part[0] for part in job["unit"]["parts"]]


COUNT = Work(count_characters, "counting", _files_of)
SURVEY = Work(write_survey, "counting", _files_of)
WRITE = Work(write, "tokenising", _files_of)
