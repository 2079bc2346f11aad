"""The settings of a corpus: where text comes from, what is held out, and the windows of it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from genwright.data.balance_settings import BalancedFiles


class CorpusSettings(BalancedFiles):
    """What decides the shards of a corpus, and how windows are cut from them."""

    kind: Literal["text"] = "text"
    """Which data: documents of text, as windows of tokens."""
    source: str = "files"
    """`files` (see `path`), `python-stdlib`, `python-docs`, `arithmetic` (problems, made up), or
    `hf:NAME` (a Hugging Face dataset)."""
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
    lexicons: dict[str, str] = {}
    """Lists of words with their groups (csv: word,group) that give documents groups to balance by:
    `data.lexicons.gender=words.csv data.balance.gender=uniform`."""
    swap: str | None = None
    """A csv of pairs of words (he,she): training documents that hold one are trained on a second
    time, with the words exchanged."""
    balance_to: str | None = None
    """Folder of texts that training documents are balanced to, each by how much likelier it is
    among those (in place of `balance`)."""
