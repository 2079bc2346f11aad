"""Text: the settings of a corpus, and the prepared dataset: batches, held-out windows, and which
document a token came from.

Held-out text: `documents` takes whole documents, equal ones together, until their bytes are the
wanted share (`data/split.py`). `tail` takes the last share of all characters, as is customary for
one long document. An end token follows each document, save where the corpus is a single file under
`tail`: neither the cut nor the end of that one document is worth predicting.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from genwright.contents.text.codec import TextCodec
from genwright.contents.text.prepare import Preparation
from genwright.contents.text.windows import TextStream, Tokens, Windows
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.data.cache import SPLITS, check_digest, damaged, digest_of, verify
from genwright.data.examples import HeldOutExamples
from genwright.data.source_files import FilesData
from genwright.data.split import HeldOut


class TextData(FilesData, family="data"):
    """Text or code: where it comes from, what is held out, and the windows that a model sees."""

    kind: Literal["text"] = "text"
    """Which data: documents of text, as windows of tokens."""
    source: str = "files"
    """`files` (see `path`), `python-stdlib`, `python-docs`, or `hf:NAME` (a Hugging Face
    dataset)."""
    path: str | tuple[str, ...] = ()
    """Files, folders or globs: text of any suffix, jsonl, csv, parquet; also .gz and .zst."""
    field: str = "text"
    """Which field of a jsonl row, or column of csv and parquet, holds the text."""
    context: int = Field(256, ge=1, le=1 << 20)
    """Tokens of a window."""
    isolate_documents: bool = False
    """Whether attention is cut between the documents of a window."""
    held_out: float = Field(0.05, ge=0, lt=1)
    """Share of the corpus that is never trained on, 0 to 1."""
    split: Literal["documents", "tail"] = "documents"
    """What is held out: whole `documents`, in the order of a hash, until the share is reached; or
    the last characters of the corpus."""
    content: ClassVar[str] = "text"
    usual: ClassVar[dict[str, str]] = {
        "codec": "bpe",
        "model": "transformer",
        "objective": "causal",
    }

    def space(self, codec: Any) -> Space:
        """What windows of this data are, for a network."""
        return replace(codec.space, length=self.context)

    def prepare(self, codec_settings: Any, expect: str | None = None) -> TextDataset:
        """The dataset of this source, split and codec, from the cache or made now. `expect`: the
        digest a run was made with."""
        prepared = Preparation(self)
        codec, shards = prepared.run(codec_settings)
        dataset = TextDataset(
            self, codec, prepared.cache / "shards", shards, prepared.files, prepared.skipped
        )
        dataset.summary |= prepared.copies | {"remarks": prepared.remarks}
        dataset.held = prepared.held
        check_digest(dataset.digest, expect)
        return dataset


class TextDataset:
    held: HeldOut | None = None  # where it was not the source that said so

    """Token shards, opened. `digest`: SHA-256 over the codec and all shards, in order; `shards`:
    file -> its SHA-256; `summary`: files, skipped files and rows, rows without text and cells in
    quotes of a .tsv (by file), and a split's documents, tokens, bytes and characters."""

    def __init__(
        self,
        settings: TextData,
        codec: TextCodec,
        folder: Path,
        shards: dict[str, dict],
        files: int,
        skipped: list[str],
    ):
        self.codec = codec
        self.folder = folder
        self.context = settings.context
        self.isolate_documents = settings.isolate_documents
        self.shards = {
            f"{key}/{name}": sha
            for key, facts in shards.items()
            for name, sha in facts["sha256"].items()
        }
        self.digest = digest_of(codec.digest, list(self.shards.values()))
        self.summary: dict[str, Any] = {
            "files": files,
            "skipped": skipped + [row for facts in shards.values() for row in facts["skipped"]],
        }
        for remark in ("empty", "quoted"):
            by_file = (Counter(facts["remarks"].get(remark)) for facts in shards.values())
            self.summary[remark] = dict(sum(by_file, Counter()))
        for split in SPLITS:
            counts = [facts[split] for facts in shards.values()]
            self.summary[split] = {
                name: sum(its[name] for its in counts)
                for name in ("documents", "tokens", "bytes", "characters")
            }
        self._facts = shards
        self._tokens = {split: self._open(split) for split in SPLITS}

    def _open(self, split: str) -> Tokens:
        arrays = []
        dtype = np.dtype("<u2")
        for key, facts in self._facts.items():
            path = self.folder / key / f"{split}.bin"
            dtype = np.dtype(facts["dtype"])
            if path.stat().st_size != facts[split]["tokens"] * dtype.itemsize:
                raise damaged(path)
            if facts[split]["largest"] >= self.codec.space.vocabulary:
                what = f"{path} holds token {facts[split]['largest']}, outside of the vocabulary of {self.codec.space.vocabulary}"
                raise GenwrightError(
                    what,
                    "the codec is not the one it was prepared with: delete the file's folder and prepare again",
                )
            if facts[split]["tokens"]:
                arrays.append(np.memmap(path, dtype, "r").view(np.ndarray))
        return Tokens(arrays, dtype)

    def verify(self) -> None:
        """Reads every shard and compares its SHA-256. Raises GenwrightError for the first that
        differs."""
        verify({self.folder / name: sha for name, sha in self.shards.items()})

    def tokens(self, split: str) -> Tokens:
        """The tokens of "train" or "held_out", memory-mapped."""
        return self._tokens[split]

    def stream(self, batch_size: int, seed: int, lookahead: int = 1) -> TextStream:
        """Batches of the training split. `lookahead`: tokens beyond the context (1: causal, 0:
        masked)."""
        return TextStream(self, batch_size, seed, lookahead)

    def held_out(self, lookahead: int = 1, split: str = "held_out") -> HeldOutExamples:
        """Windows side by side that cover a whole split, so that every token after the first is a
        target exactly once (lookahead 1) or every token stands in one window (lookahead 0)."""
        count = -(-max(0, len(self.tokens(split)) - lookahead) // self.context)
        return HeldOutExamples(
            Windows(self, split, self.context + lookahead), order=np.arange(count) * self.context
        )

    @cached_property
    def _index(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """split -> (where each document begins, the shard, source and row that it is of), the
        documents in order."""
        found: dict[str, tuple[list, list]] = {split: ([], []) for split in SPLITS}
        base = dict.fromkeys(SPLITS, 0)
        for number, (key, facts) in enumerate(self._facts.items()):
            table = np.load(self.folder / key / "documents.npy", allow_pickle=False)
            for code, split in enumerate(SPLITS):
                # A document that goes on from the shard before is no new one, unless its beginning
                # went to the other split.
                its = table[
                    (table["split"] == code)
                    & ((table["continued"] == 0) | (base[split] + table["start"] == 0))
                ]
                found[split][0].append(its["start"] + base[split])
                found[split][1].append(
                    np.stack([np.full(len(its), number), its["source"], its["row"]], 1)
                )
                base[split] += facts[split]["tokens"]
        return {
            split: (np.concatenate(starts), np.concatenate(its))
            for split, (starts, its) in found.items()
        }

    def document_ids(self, split: str, positions: np.ndarray) -> np.ndarray:
        """int64, of the shape of `positions`: the number of the document that each token is
        from."""
        return np.searchsorted(self._index[split][0], positions, side="right") - 1

    def _name(self, split: str, document: int) -> str:
        shard, source, row = self._index[split][1][document].tolist()
        name = list(self._facts.values())[shard]["sources"][source]
        return name if row < 0 else f"{name}:{row}"

    def document_at(self, split: str, token: int) -> tuple[str, int]:
        """(name of the document, offset in it) of a token of the split. A row is named FILE:ROW,
        counted from 0."""
        if not 0 <= token < len(self.tokens(split)):
            raise IndexError(f"token {token} of {len(self.tokens(split))}")
        document = int(self.document_ids(split, np.array(token)))
        return self._name(split, document), token - int(self._index[split][0][document])

    def documents(self, split: str) -> Iterator[tuple[str, np.ndarray]]:
        """(name, tokens) of each document of a split, in order."""
        starts = self._index[split][0].tolist()
        for document, (start, stop) in enumerate(
            zip(starts, [*starts[1:], len(self.tokens(split))], strict=True)
        ):
            yield self._name(split, document), self.tokens(split)[start:stop]
