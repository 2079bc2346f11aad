"""What rollouts of text begin with (`Question`), and which token a character came with.

A question's tokens are those that `genwright sample` reads for the same prompt, so that what is
learned is what is sampled: the prompt's own, or the end token, which begins a document, where there
is no prompt.
"""

from __future__ import annotations

import tempfile
from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, overload

import numpy as np

from genwright.contents.text.dataset import TextDataset
from genwright.contents.text.generate import Reader, prompt_tokens
from genwright.core.content import Opened, Question, Sample
from genwright.core.errors import GenwrightError
from genwright.core.groups import Lengths
from genwright.data.npy import NpyWriter, mapped
from genwright.objectives.terms import Rollout

SPLITS_IN_WORDS = {"train": "the training data", "held_out": "the held-out data"}


def questions_of(opened: Opened, rollout: Rollout, split: str) -> Sequence[Question]:
    """The prompts of a rollout; else the documents of a split, each cut behind the first
    `cut_after`; else the beginning of a document, one question. Raises GenwrightError where there
    is none that fits into the model's context with its sample."""
    codec = opened.codec
    room = _room(opened, rollout)
    if rollout.prompts and rollout.cut_after:
        raise GenwrightError(
            "rollout.prompts and rollout.cut_after were both given",
            "prompts are texts of your own, cut_after takes them from the data: leave one out",
        )
    if rollout.cut_after:
        return CutDocuments(opened.dataset(), split, rollout.cut_after, room)
    asked = []
    for prompt in rollout.prompts or ("",):
        tokens = prompt_tokens(codec, prompt)
        if len(tokens) > room:
            raise _too_long(prompt, len(tokens), rollout, opened)
        asked.append(Question(tuple(tokens), prompt))
    return asked


def _room(opened: Opened, rollout: Rollout) -> int:
    """Tokens that a prompt may have, so that its samples fit into the context too."""
    context: int = opened.objective.modules["model"].context  # type: ignore[assignment]
    room = context - rollout.max_tokens
    if room < 1:
        raise GenwrightError(
            f"rollout.max_tokens is {rollout.max_tokens}, and {opened.name} sees {context} tokens",
            f"give at most {context - 1}",
        )
    return room


def _too_long(prompt: str, length: int, rollout: Rollout, opened: Opened) -> GenwrightError:
    context = opened.objective.modules["model"].context
    return GenwrightError(
        f"the prompt {prompt[:20]!r} has {length} tokens, which with rollout.max_tokens ="
        f" {rollout.max_tokens} is longer than the context of {context} tokens",
        "shorten the prompt, or lower rollout.max_tokens",
    )


class CutDocuments(Sequence[Question]):
    """The documents of a split that hold a text within the first tokens, cut behind the first of
    it: what stands before is the prompt, what follows the answer. A document is decoded whole when
    its question is asked for. room: tokens that a prompt may have; documents whose prompt is longer
    are left out. Raises GenwrightError where none is left."""

    def __init__(self, dataset: Any, split: str, cut_after: str, room: int):
        self.dataset = dataset
        self.split = split
        self.cut_after = cut_after
        self.room = room
        self.chosen = self._numbers()
        if not len(self.chosen):
            raise GenwrightError(
                f"no document of {SPLITS_IN_WORDS[split]} holds rollout.cut_after = {cut_after!r}"
                f" within its first {room} tokens",
                "give a text that documents hold, or a lower rollout.max_tokens",
            )

    def _numbers(self) -> np.ndarray:
        """(n,) int64: the documents that have such a prompt, in a file, for they may be many."""
        with tempfile.TemporaryDirectory(prefix="genwright-") as folder:
            path = Path(folder) / "chosen.npy"
            with open(path, "wb") as file:
                writer = NpyWriter(file, np.int64)
                for number in range(self.dataset.document_count(self.split)):
                    if self._fits(self.dataset.document(self.split, number)[1]):
                        writer.add(np.array([number]))
                writer.close()
            return mapped(path)  # it stays when the file is deleted

    def _fits(self, tokens: np.ndarray) -> bool:
        """Whether a document has a prompt that is not too long."""
        codec = self.dataset.codec
        text = codec.decode(tokens[: self.room].tolist())
        prompt, found, _ = text.partition(self.cut_after)
        return bool(found) and len(codec.encode(prompt + found)) <= self.room

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> Question: ...

    @overload
    def __getitem__(self, index: slice) -> list[Question]: ...

    def __getitem__(self, index: int | slice) -> Question | list[Question]:
        if isinstance(index, slice):
            return [self._question(number) for number in self.chosen[index].tolist()]
        return self._question(int(self.chosen[index]))

    def _question(self, number: int) -> Question:
        codec = self.dataset.codec
        _, tokens = self.dataset.document(self.split, number)
        before, found, answer = codec.decode(tokens.tolist()).partition(self.cut_after)
        prompt = before + found
        return Question(tuple(prompt_tokens(codec, prompt)), prompt, answer=answer)


def prompt_lengths(dataset: TextDataset, split: str, rollout: Rollout) -> Lengths | None:
    """The tokens of each document's prompt beside those that a prompt may have, -1 of a document
    without one; None where prompts are no documents. Reads them all."""
    if not rollout.cut_after:
        return None
    codec = dataset.codec
    found = np.full(dataset.document_count(split), -1, np.int64)
    for number in range(len(found)):
        text = codec.decode(dataset.document_tokens(split, number).tolist())
        before, cut, _ = text.partition(rollout.cut_after)
        if cut:
            found[number] = len(codec.encode(before + cut))
    return Lengths(found, dataset.context - rollout.max_tokens, "data.context - rollout.max_tokens")


def token_at(codec: Any, sample: Sample, place: int) -> int:
    """The index in `sample.tokens` of the token with which the character at `place` of the
    sample's own text is there; of what lies beyond its text, the last one."""
    last = len(sample.tokens) - 1
    ends = _ends(codec, str(sample.prompt or ""), sample.tokens)
    return min(bisect_right(ends, place), last)


@lru_cache(256)
def _ends(codec: Any, prompt: str, tokens: tuple[int, ...]) -> list[int]:
    """How many characters of a sample's text are there with each of its tokens."""
    end: int = codec.space.special["end"]
    reader = Reader(codec, prompt_tokens(codec, prompt), end, (), None)
    ends = []
    for token in tokens:
        reader.feed([token])
        ends.append(len(reader.text))
    return ends
