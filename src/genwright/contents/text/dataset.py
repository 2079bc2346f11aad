"""A prepared corpus, opened: its tokens, its documents, and batches of windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np

from genwright.contents.text.codec import TextCodec
from genwright.contents.text.documents import Documents
from genwright.contents.text.remarks import row_remarks
from genwright.contents.text.settings import CorpusSettings
from genwright.contents.text.windows import Repeated, SideBySide, TextStream, Tokens, Windows
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.data.cache import SPLITS, damaged, digest_of, verify
from genwright.data.examples import HeldOutExamples
from genwright.data.split_blocks import HeldKeys

_COUNTS = ("documents", "tokens", "bytes", "characters")  # of a split, in the summary


class TextDataset:
    """Token shards, opened.

    digest: SHA-256 over the codec and all shards, in order. shards: file -> its SHA-256. summary:
    files, skipped files and rows, rows without text and cells in quotes of a .tsv (by file), and a
    split's documents, tokens, bytes and characters. held: what is held out, where it was not the
    source that said so."""

    held: HeldKeys | None = None
    _balanced: Repeated | None = None  # what is trained on in place of the row of tokens

    def __init__(
        self,
        settings: CorpusSettings,
        codec: TextCodec,
        folder: Path,
        shards: dict[str, dict[str, Any]],
        files: int,
        skipped: list[str],
    ):
        self.settings = settings
        self.codec = codec
        self.folder = folder
        self.context = settings.context
        self.isolate_documents = settings.isolate_documents
        self.shards: dict[str, str] = {}
        for key, facts in shards.items():
            for name, sha in facts["sha256"].items():
                self.shards[f"{key}/{name}"] = sha
        self.digest = digest_of(codec.digest, list(self.shards.values()))
        self.summary = _summary(shards, files, skipped)
        self._facts = shards
        self._tokens = {split: self._open(split) for split in SPLITS}
        self._documents = {split: Documents(folder, shards, split) for split in SPLITS}

    def _open(self, split: str) -> Tokens:
        """Maps the tokens of a split. Raises GenwrightError for a damaged shard."""
        arrays = []
        dtype = np.dtype("<u2")
        for key, facts in self._facts.items():
            path = self.folder / key / f"{split}.bin"
            counts = facts[split]
            dtype = np.dtype(facts["dtype"])
            if path.stat().st_size != counts["tokens"] * dtype.itemsize:
                raise damaged(path)
            if counts["largest"] >= self.codec.space.vocabulary:
                raise GenwrightError(
                    f"{path} holds token {counts['largest']}, outside of the vocabulary of"
                    f" {self.codec.space.vocabulary}",
                    "the codec is not the one it was prepared with: delete the file's folder and"
                    " prepare again",
                )
            if counts["tokens"]:
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
        windows = self._windows("train", lookahead)
        if self._balanced is not None:
            row = self._balanced
            windows = Windows(row, row, self.context + lookahead, self.isolate_documents)
        return TextStream(windows, self.context, self.codec.space.vocabulary, batch_size, seed)

    def held_out(self, lookahead: int = 1, split: str = "held_out") -> HeldOutExamples:
        """Windows side by side that cover a whole split, so that every token after the first is a
        target exactly once (lookahead 1) or every token stands in one window (lookahead 0)."""
        targets = max(0, len(self.tokens(split)) - lookahead)
        count = -(-targets // self.context)  # rounded up
        order = SideBySide(count, self.context)
        return HeldOutExamples(self._windows(split, lookahead), order=order)

    def _windows(self, split: str, lookahead: int) -> Windows:
        width = self.context + lookahead
        return Windows(self.tokens(split), self._documents[split], width, self.isolate_documents)

    @property
    def training_documents(self) -> Documents:
        """Where the documents of the training split begin."""
        return self._documents["train"]

    def rebalance(self, row: Repeated, digest: str) -> None:
        """Lets batches of training come from a row in which documents stand as often as they count.
        digest: of how often that is, which becomes part of the dataset's."""
        self._balanced = row
        self.digest = digest_of(self.digest, digest)

    def document_at(self, split: str, token: int) -> tuple[str, int]:
        """(name of the document, offset in it) of a token of the split. A row is named FILE:ROW,
        counted from 0."""
        if not 0 <= token < len(self.tokens(split)):
            raise IndexError(f"token {token} of {len(self.tokens(split))}")
        source = self._documents[split].sources(token, token + 1)[0]
        return source.document, source.offset

    def documents(self, split: str) -> Iterator[tuple[str, np.ndarray]]:
        """(name, tokens) of each document of a split, in order."""
        for number in range(self.document_count(split)):
            yield self.document(split, number)

    def document_count(self, split: str) -> int:
        """How many documents a split has."""
        return len(self._documents[split])

    def document(self, split: str, number: int) -> tuple[str, np.ndarray]:
        """(name, tokens) of one document of a split, counted from 0."""
        return self.name(split, number), self.document_tokens(split, number)

    def document_tokens(self, split: str, number: int) -> np.ndarray:
        """The tokens of one document of a split, counted from 0."""
        documents = self._documents[split]
        tokens = self.tokens(split)
        start = int(documents.starts[number])
        stop = len(tokens)
        if number + 1 < len(documents):
            stop = int(documents.starts[number + 1])
        return tokens[start:stop]

    def document_lengths(self, split: str) -> np.ndarray:
        """(documents,) int64: the tokens of each document of a split, with that which ends it."""
        starts = np.asarray(self._documents[split].starts)
        return np.diff(starts, append=len(self.tokens(split))).astype(np.int64)

    def name(self, split: str, number: int) -> str:
        """The name of one document of a split, counted from 0."""
        return self._documents[split].name(number)


def _summary(
    shards: Mapping[str, dict[str, Any]], files: int, skipped: list[str]
) -> dict[str, Any]:
    """See `TextDataset`."""
    skipped = list(skipped)
    for facts in shards.values():
        skipped += facts["skipped"]
    summary: dict[str, Any] = {"files": files, "skipped": skipped}
    for remark in ("empty", "quoted"):
        rows: Counter[str] = Counter()  # by file
        for facts in shards.values():
            rows.update(facts["remarks"].get(remark, {}))
        summary[remark] = dict(rows)
    summary["remarks"] = row_remarks(summary)
    for split in SPLITS:
        counts = dict.fromkeys(_COUNTS, 0)
        for facts in shards.values():
            for name in _COUNTS:
                counts[name] += facts[split][name]
        summary[split] = counts
    return summary


def corpus_of(dataset: Dataset) -> TextDataset:
    """The data of a run that makes text, as what they are."""
    return cast(TextDataset, dataset)
