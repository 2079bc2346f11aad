"""One more token a row: what a causal network computes for its newest position, with everything
before it cached."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from genwright.core.errors import GenwrightError
from genwright.core.threads import threads
from genwright.models.transformer import Transformer
from genwright.sampling.folded import FoldedStepper, can_fold

# multiplications of a step; measured on 2 cores: 1 row of 0.8 million is as fast on one, 16 rows
# are not
_WORTH_SHARING = 4_000_000


class Stepper(Protocol):
    """Reads prompts, then token by token."""

    def start(self, tokens: Tensor, real: Tensor | None, length: int) -> Tensor:
        """Reads tokens (rows, time) int64, left-padded where not `real` (None: all are), and makes
        room for `length` positions in all. Returns the last position's logits, (rows, vocabulary)
        in fp32."""

    def step(self, tokens: Tensor) -> Tensor:
        """Reads one more token a row, (rows,) int64; returns logits, (rows, vocabulary) in fp32."""


def stepper(model: nn.Module) -> Stepper:
    """The fastest that can do `model`, from its weights of this moment."""
    model = getattr(model, "_orig_mod", model)  # compiling is for the shapes of training
    if isinstance(model, Transformer) and can_fold(model):
        return FoldedStepper(model)
    return CachedStepper(model)


class CachedStepper:
    """Steps of any network that keeps a cache of its own: `model(tokens, padding=, cache=, last=)`,
    `model.new_cache(rows, length)`."""

    def __init__(self, model: Any):
        self.model = model
        self.cache: Any = None

    def start(self, tokens: Tensor, real: Tensor | None, length: int) -> Tensor:
        """See `Stepper`."""
        self.cache = self.model.new_cache(len(tokens), length)
        logits: Tensor = self.model(tokens, padding=real, cache=self.cache, last=True)
        return logits[:, -1]

    def step(self, tokens: Tensor) -> Tensor:
        """See `Stepper`."""
        logits: Tensor = self.model(tokens[:, None], cache=self.cache, last=True)
        return logits[:, -1]


def needs_causal(model: nn.Module, instead: str = "use a run with objective=causal") -> None:
    """Raises GenwrightError, with what to do instead, for a model that sees both sides: it cannot
    go on from a prompt."""
    if not getattr(getattr(model, "settings", None), "causal", True):
        raise GenwrightError(
            "this model sees both sides of a token and cannot go on from a prompt",
            instead,
        )


def needs_bidirectional(model: nn.Module, instead: str = "use a run with objective=masked") -> None:
    """Raises GenwrightError, with what to do instead, for a model that sees only what stands
    before: it cannot fill gaps."""
    if getattr(getattr(model, "settings", None), "causal", False):
        raise GenwrightError(
            "this model reads left to right and cannot fill gaps",
            instead,
        )


@contextmanager
def threads_for(model: nn.Module, rows: int) -> Iterator[None]:
    """One thread within, where a step is so little work that handing parts of it to others takes
    longer than doing it; and then a busy machine, on which others do not answer at once, cannot
    hold it up either."""
    alone = torch.get_num_threads() == 1
    if alone or rows * sum(p.numel() for p in model.parameters()) >= _WORTH_SHARING:
        yield
        return
    with threads(1):
        yield
