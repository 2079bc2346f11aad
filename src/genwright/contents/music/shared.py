"""What several measures need of the same pieces, computed once."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from genwright.contents.music.score import Score
from genwright.core.content import Sample

Found = TypeVar("Found")


class OfScores(Generic[Found]):
    """A function of pieces that remembers the last ones it was asked about, since terms of a reward
    are asked about the same samples one after another."""

    def __init__(self, compute: Callable[[Sequence[Score]], Found]):
        self.compute = compute
        self._last: tuple[list[Score], Found] | None = None

    def __call__(self, samples: Sequence[Sample]) -> Found:
        """What the function gives of the samples' scores."""
        scores: list[Score] = [sample.content for sample in samples]
        if self._last is not None and _same(self._last[0], scores):
            return self._last[1]
        found = self.compute(scores)
        self._last = (scores, found)
        return found


def _same(scores: Sequence[Score], others: Sequence[Score]) -> bool:
    """Whether they are the very same objects (a piece does not change)."""
    if len(scores) != len(others):
        return False
    return all(score is other for score, other in zip(scores, others, strict=True))
