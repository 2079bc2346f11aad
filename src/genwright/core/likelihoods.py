"""How likely a model finds given texts, as types: what a kind of content has besides, so that an
audit can compare pairs of texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np


class TextScore(NamedTuple):
    """A text under a model. tokens: (n,) int64, its own tokens, without those that stand around it.
    logs: (n,) float64, of each the log-probability in nats; NaN of one that is not predicted."""

    tokens: np.ndarray
    logs: np.ndarray

    @property
    def total(self) -> float:
        """Nats, summed over the predicted tokens."""
        return float(np.nansum(self.logs))

    @property
    def predicted(self) -> int:
        """How many tokens are predicted."""
        return int(np.isfinite(self.logs).sum())


class TextScorer(Protocol):
    """A model that says how likely texts are."""

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def causal(self) -> bool:
        """Whether a token is predicted from those before it, else from all others."""

    @property
    def room(self) -> int:
        """Tokens of a text that are seen at once."""

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has. Raises GenwrightError for what cannot be encoded."""

    def scores(self, texts: Sequence[str]) -> list[TextScore]:
        """Of each text, whatever the others are. Raises GenwrightError for what cannot be
        encoded."""


class Twin(NamedTuple):
    """A text with its listed words exchanged: itself where it holds none. firsts, seconds: how many
    words of the first and of the second column of the list it held."""

    text: str
    firsts: int
    seconds: int


class Twins(Protocol):
    """A list of pairs of words."""

    @property
    def names(self) -> tuple[str, str]:
        """Of its columns."""

    def of(self, text: str) -> Twin:
        """A text and its listed words."""


@runtime_checkable
class Scoring(Protocol):
    """What a kind of content has besides, whose models give probabilities of texts: methods of a
    subclass of `runs.content.Content`."""

    def scorer(self, run: Any) -> TextScorer:
        """Of a trained run (`runs.trained.TrainedRun`). Raises GenwrightError for one whose
        objective gives no probability."""

    def scorer_of_weights(self, folder: Path) -> TextScorer:
        """Of a Hugging Face folder. Raises GenwrightError."""

    def twins(self, path: str | Path) -> Twins:
        """A person's list of pairs of words. Raises GenwrightError."""
