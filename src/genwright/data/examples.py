"""Examples that stand alone (pictures, points): their order in training, and their batches, as a pure function of (seed, position)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genwright.contracts import Batch
from genwright.data.shards import share, within
from genwright.data.windows import permute, visits
from genwright.draws import Draws
from genwright.errors import GenwrightError

Change = Callable[[Batch, Draws], Batch]


class Split:
    """One side of a dataset, with random access by indices that count from 0 in the split.

    numbers: (n,) which of the source's examples are in it; take: numbers -> (n, *shape) float32; name: number -> what it is called;
    conditions: (examples of the source, columns) uint8, None where there are no attributes."""

    def __init__(
        self, numbers: np.ndarray, take: Callable[[np.ndarray], Tensor], name: Callable[[int], str], conditions: np.ndarray | None
    ):
        self.numbers, self.take, self.name, self.conditions = numbers, take, name, conditions

    def __len__(self) -> int:
        return len(self.numbers)

    def x(self, indices: Any) -> Tensor:
        """(n, *shape) float32."""
        return self.take(self.numbers[np.asarray(indices)])

    def condition(self, indices: Any) -> Tensor | None:
        """(n, columns) float32, 0 or 1."""
        if self.conditions is None:
            return None
        return torch.from_numpy(self.conditions[self.numbers[np.asarray(indices)]].astype(np.float32))

    def names(self, indices: Any) -> list[str]:
        return [self.name(number) for number in self.numbers[np.asarray(indices)].tolist()]

    def batch(self, indices: np.ndarray) -> Batch:
        condition = self.condition(indices)
        return {"x": self.x(indices)} | ({} if condition is None else {"condition": condition})


def held_out_of(groups: Sequence[str], wanted: float, unit: str = "picture") -> np.ndarray:
    """(n,) bool, by the hash of the group; at least one group on either side. Raises GenwrightError for a single group."""
    if not wanted:
        return np.zeros(len(groups), bool)
    shares = {group: share(group) for group in set(groups)}
    if len(shares) == 1:
        what = f"there is a single {unit}" if len(groups) == 1 else f"all {len(groups)} {unit}s are equal or of one group"
        raise GenwrightError(f"{what}, which cannot be held out and trained on", f"give more {unit}s, or set data.held_out=0")
    wanted = within(wanted, shares.values())
    return np.array([shares[group] < wanted for group in groups])


class ExampleStream:
    """See `contracts.Stream`. Every epoch visits each example once, in an order of its own. `change(batch, draws)` alters a batch
    (flips), from numbers drawn by (seed, position, example)."""

    units = 1

    def __init__(self, split: Split, size: int, seed: int, unit: str, change: Change | None = None):
        if not len(split):
            raise GenwrightError("there is nothing to train on: everything is held out", "lower data.held_out or add data")
        self.split, self.size, self.seed, self.unit, self.change = split, size, seed, unit, change

    def indices(self, position: int, examples: Tensor) -> np.ndarray:
        """(n,) which examples of the split those rows are."""
        return visits(position * self.size + examples.numpy(), len(self.split), self.seed)[1]

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        batch = self.split.batch(self.indices(position, examples))
        return self.change(batch, Draws(self.seed, position, examples)) if self.change else batch

    def describe(self, position: int, examples: Tensor) -> str:
        return ", ".join(self.split.names(self.indices(position, examples)))


class HeldOutExamples:
    """The examples of a split in a fixed order that follows nothing (`order`: their indices), so that the first ones stand for all, however
    the source is sorted; `windows`: how many."""

    def __init__(self, split: Split, change: Change | None = None):
        self.split, self.windows, self.change = split, len(split), change
        self.order = permute(np.arange(len(split)), len(split), 0, -1)

    def batch(self, start: int, stop: int) -> Batch:
        indices = np.arange(start, min(stop, self.windows))
        batch = self.split.batch(self.order[indices])
        return self.change(batch, Draws(0, -1, torch.from_numpy(indices))) if self.change else batch


class ExampleDataset:
    """What datasets of examples have in common: `parts`, their splits by name."""

    parts: dict[str, Split]
    unit = "images"

    def split(self, name: str) -> Split:
        """ "train" or "held_out", with random access."""
        return self.parts[name]

    def change(self, lookahead: int, training: bool) -> Change | None:
        """What alters a batch."""
        return None

    def stream(self, batch_size: int, seed: int, lookahead: int = 1) -> ExampleStream:
        """Batches of the training split."""
        return ExampleStream(self.parts["train"], batch_size, seed, self.unit, self.change(lookahead, training=True))

    def held_out(self, lookahead: int = 1, split: str = "held_out") -> HeldOutExamples:
        """The examples of a split, each once."""
        return HeldOutExamples(self.parts[split], self.change(lookahead, training=False))
