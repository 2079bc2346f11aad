"""Examples that stand alone (pictures, points): their order in training, and their batches, as a pure function of (seed, position)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from genwright.contracts import Batch
from genwright.data.windows import permute
from genwright.draws import Draws
from genwright.errors import GenwrightError


class Split(Protocol):
    """One side of a dataset, with random access. `indices` count from 0 in the split."""

    def __len__(self) -> int: ...

    def x(self, indices: Any) -> Tensor: ...  # (n, *shape) float32

    def condition(self, indices: Any) -> Tensor | None: ...  # (n, columns) float32, None without attributes

    def names(self, indices: Any) -> Sequence[str]: ...


def batch_of(split: Split, indices: np.ndarray) -> Batch:
    condition = split.condition(indices)
    return {"x": split.x(indices)} | ({} if condition is None else {"condition": condition})


class ExampleStream:
    """See `contracts.Stream`. Every epoch visits each example once, in an order of its own. `change(batch, draws)` alters a batch
    (flips), from numbers drawn by (seed, position, example)."""

    units = 1

    def __init__(self, split: Split, size: int, seed: int, unit: str, change: Callable[[Batch, Draws], Batch] | None = None):
        if not len(split):
            raise GenwrightError("there is nothing to train on: everything is held out", "lower data.held_out or add data")
        self.split, self.size, self.seed, self.unit, self.change = split, size, seed, unit, change

    def indices(self, position: int, examples: Tensor) -> np.ndarray:
        """(n,) which examples of the split those rows are."""
        epochs, index = np.divmod(position * self.size + examples.numpy(), len(self.split))
        out = np.empty_like(index)
        for epoch in range(int(epochs.min()), int(epochs.max()) + 1) if len(epochs) else ():
            here = epochs == epoch
            out[here] = permute(index[here], len(self.split), self.seed, epoch)
        return out

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        batch = batch_of(self.split, self.indices(position, examples))
        return self.change(batch, Draws(self.seed, position, examples)) if self.change else batch

    def describe(self, position: int, examples: Tensor) -> str:
        return ", ".join(self.split.names(self.indices(position, examples)))


class HeldOutExamples:
    """The examples of a split in order; `windows`: how many."""

    def __init__(self, split: Split, change: Callable[[Batch, Draws], Batch] | None = None):
        self.split, self.windows, self.change = split, len(split), change

    def batch(self, start: int, stop: int) -> Batch:
        import torch

        indices = np.arange(start, min(stop, self.windows))
        batch = batch_of(self.split, indices)
        return self.change(batch, Draws(0, -1, torch.from_numpy(indices))) if self.change else batch
