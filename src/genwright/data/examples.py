"""Examples of a dataset (or windows of them): their order in training, and their batches, as a
pure function of (seed, position): nothing is iterated, nothing saved.

An order is a bijection on k bits (multiplications by odd numbers and xor-shifts, as in the
finalisers of hash functions) that walks on while it lands outside of the range ("cycle walking",
Black and Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002).
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from genwright.core.contracts import Batch, Codec, Source
from genwright.core.draws import Draws, key
from genwright.core.errors import GenwrightError
from genwright.data.balance import SAMPLING, WEIGHTS, Balance
from genwright.data.cache import digest_of
from genwright.data.split import HeldOut

Change = Callable[[Batch, Draws], Batch]
_ROUNDS = 3
AHEAD = 8192  # examples whose places in the order are computed at once, at most
SMALL = 1 << 15  # numbers in the examples of some batches that are taken at once, at most
GROWTH = 4  # as many batches as the last time


def permute(index: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """(n,) indices in [0, size) -> their places in the order of an epoch: a bijection of [0, size).
    int64 in and out."""
    bits = max(1, (size - 1).bit_length())
    mask = (1 << bits) - 1
    shift = bits // 2 + 1
    keys = _epoch_keys(seed, epoch, mask)
    out = index.copy()
    todo = np.arange(len(index))
    while todo.size:
        x = out[todo]
        for add, multiply in keys:
            x = ((x + add) * multiply) & mask  # wraps at 64 bits, which keeps the low `bits` exact
            x ^= x >> shift
        out[todo] = x
        todo = todo[x >= size]
    return out


@lru_cache(64)
def _epoch_keys(seed: int, epoch: int, mask: int) -> list[tuple[int, int]]:
    """(added, odd factor) of each round."""
    keys = []
    for i in range(_ROUNDS):
        added = key(seed, epoch, "add", i) & mask
        factor = key(seed, epoch, "multiply", i) & mask
        keys.append((added, factor | 1))
    return keys


def visits(numbers: np.ndarray, size: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts of visits since the beginning -> their epochs, and which of `size` things each is
    to."""
    epochs, index = np.divmod(numbers, size)
    order = np.empty_like(index)
    if not epochs.size:
        return epochs, order
    for epoch in range(int(epochs.min()), int(epochs.max()) + 1):
        here = epochs == epoch
        order[here] = permute(index[here], size, seed, epoch)
    return epochs, order


class Examples(Protocol):
    """What batches are taken from, by indices that count from 0: a `Split`, or windows of one."""

    def __len__(self) -> int: ...

    def batch(self, indices: np.ndarray) -> Batch:
        """Those examples. indices: (n,) int64."""

    def sources(self, indices: np.ndarray) -> list[Source]:
        """Where those examples come from: of each in turn every document that it touches."""


class Split:
    """One side of a dataset, with random access by indices that count from 0 in the split.

    numbers: (n,) which of the data's examples are in it; take: numbers -> (n, *shape) float32;
    name: number -> what it is called; conditions: (examples of the data, columns) uint8, None where
    there are no attributes; source: number -> where it comes from (default: its name alone)."""

    def __init__(
        self,
        numbers: np.ndarray,
        take: Callable[[np.ndarray], Tensor],
        name: Callable[[int], str],
        conditions: np.ndarray | None,
        source: Callable[[int], Source] | None = None,
    ):
        self.numbers = numbers
        self.take = take
        self.name = name
        self.conditions = conditions
        self.source = source or self._named

    def __len__(self) -> int:
        return len(self.numbers)

    def _named(self, number: int) -> Source:
        return Source(self.name(number))

    def x(self, indices: Any) -> Tensor:
        """(n, *shape) float32."""
        return self.take(self.numbers[np.asarray(indices)])

    def condition(self, indices: Any) -> Tensor | None:
        """(n, columns) float32, 0 or 1."""
        if self.conditions is None:
            return None
        conditions = self.conditions[self.numbers[np.asarray(indices)]]
        return torch.from_numpy(conditions.astype(np.float32))

    def names(self, indices: Any) -> list[str]:
        """What each example is called."""
        return [self.name(number) for number in self.numbers[np.asarray(indices)].tolist()]

    def sources(self, indices: Any) -> list[Source]:
        """Of each example the document that it is."""
        return [self.source(number) for number in self.numbers[np.asarray(indices)].tolist()]

    def every_source(self) -> Iterator[Source]:
        """Of each example in turn the document that it is."""
        return map(self.source, self.numbers.tolist())

    def batch(self, indices: np.ndarray) -> Batch:
        """{"x": (n, *shape) float32 and, where there are attributes, "condition": (n, columns)}."""
        batch = {"x": self.x(indices)}
        condition = self.condition(indices)
        if condition is not None:
            batch["condition"] = condition
        return batch


class ExampleStream:
    """See `contracts.Stream`. Every epoch visits each example once, in an order of its own; or as
    often, or with the weight, that `balance` says. `change(batch, draws)` alters a batch, from
    numbers drawn by (seed, position, example). Raises GenwrightError for an empty split."""

    units = 1

    def __init__(
        self,
        split: Examples,
        size: int,
        seed: int,
        unit: str,
        change: Change | None = None,
        balance: Balance | None = None,
    ):
        if not len(split):
            raise GenwrightError(
                "there is nothing to train on: everything is held out",
                "lower data.held_out or add data",
            )
        self.split = split
        self.size = size
        self.seed = seed
        self.unit = unit
        self.change = change
        self.balance = balance
        # whose indices were computed ahead: of the batches from `first` on, for `rows` of each
        self.rows: Tensor | None = None
        self.first = 0
        self.ahead = np.empty((0, 0), np.int64)
        self.taken: Batch | None = None  # those examples, where they are small
        self.numbers: int | None = None  # that the examples of a batch are made of

    def indices(self, position: int, examples: Tensor) -> np.ndarray:
        """(n,) which examples of the split those rows are."""
        place = position - self.first
        if examples is not self.rows or not 0 <= place < len(self.ahead):
            count = 1
            if examples is self.rows and position == self.first + len(self.ahead):
                count = GROWTH * len(self.ahead)  # a short run computes few in vain
            self.rows = examples
            self.first = position
            self.ahead = self._indices(position, count, examples.numpy())
            self.taken = None
            place = 0
        return self.ahead[place]

    def _indices(self, position: int, count: int, rows: np.ndarray) -> np.ndarray:
        """(k, n) those of `count` batches from a position on, of an epoch at most: one operation on
        many of them takes hardly longer than on those of a small batch."""
        most = min(AHEAD, len(self.split)) // max(1, len(rows))
        count = max(1, min(count, most))
        positions = np.arange(position, position + count)
        numbers = (positions[:, None] * self.size + rows).reshape(-1)
        epochs, order = visits(numbers, len(self.split), self.seed)
        if self.balance is not None and self.balance.by == SAMPLING:
            order = self.balance.taken(epochs, order, self.seed)
        return order.reshape(count, len(rows))

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        """Those rows of the batch at a position, altered as in training."""
        indices = self.indices(position, examples)
        batch = self._examples(position - self.first, indices)
        if self.change is not None:
            batch = self.change(batch, Draws(self.seed, position, examples))
        if self.balance is not None and self.balance.by == WEIGHTS:
            weight = self.balance.weights[indices].astype(np.float32)  # (n,)
            batch = batch | {"weight": torch.from_numpy(weight)}
        return batch

    def _examples(self, place: int, indices: np.ndarray) -> Batch:
        """Those examples, before they are altered. place: of the batch among those whose indices
        are known; small examples of all of them are taken at once."""
        count = len(self.ahead)
        if count < 2 or self.numbers is None or self.numbers * count > SMALL:
            batch = self.split.batch(indices)
            self.numbers = sum(value.numel() for value in batch.values())
            return batch
        if self.taken is None:
            flat = self.split.batch(self.ahead.reshape(-1))
            self.taken = {name: value.unflatten(0, (count, -1)) for name, value in flat.items()}
        return {name: value[place].clone() for name, value in self.taken.items()}

    def sources(self, position: int, examples: Tensor) -> list[Source]:
        """Where those rows come from."""
        return self.split.sources(self.indices(position, examples))


class Order(Protocol):
    """Indices of examples, in an order: an array, or what gives some of them as one does."""

    def __len__(self) -> int: ...

    def __getitem__(self, numbers: Any) -> np.ndarray: ...


class HeldOutExamples:
    """The examples of a split in a fixed `order` (their indices), each once; `windows`: how many.
    As a rule the order follows nothing, so that the first ones stand for all, however the source is
    sorted."""

    def __init__(self, split: Examples, change: Change | None = None, order: Order | None = None):
        self.split = split
        self.change = change
        if order is None:
            order = permute(np.arange(len(split)), len(split), 0, -1)
        self.order: Any = order
        self.windows = len(self.order)

    def batch(self, start: int, stop: int) -> Batch:
        """The examples from start to before stop, in the fixed order."""
        indices = np.arange(start, min(stop, self.windows))
        batch = self.split.batch(self.order[indices])
        if self.change is None:
            return batch
        return self.change(batch, Draws(0, -1, torch.from_numpy(indices)))


class ExampleDataset:
    """What datasets of examples have in common; see `core.dataset.Dataset`. parts: their splits by
    name."""

    codec: Codec
    digest: str
    shards: Mapping[str, str]
    summary: Mapping[str, Any]
    parts: dict[str, Split]
    held: HeldOut | None = None  # where it was not the source that said so
    unit: str  # what its examples are called, in the plural
    balance: Balance | None = None  # of the training split
    _own_digest = ""  # before it was balanced

    def split(self, name: str) -> Split:
        """ "train" or "held_out", with random access."""
        return self.parts[name]

    def rebalance(self, balance: Balance | None) -> None:
        """Lets training examples count as `balance` says, which becomes part of the digest; None:
        as they are."""
        if balance is None:
            return
        self._own_digest = self.digest
        self.balance = balance
        self.digest = digest_of(self.digest, balance.digest)

    @property
    def own_digest(self) -> str:
        """The digest of the examples, however they are balanced: figures of runs with and without
        a balance are made with the same networks."""
        return self._own_digest or self.digest

    @property
    def originals(self) -> "ExampleDataset":
        """The examples as a person sees them: these, unless they are codes of others."""
        return self

    def verify(self) -> None:
        """Raises GenwrightError where prepared files are no longer what was written; called before
        a run goes on. Without being overridden: nothing is looked at."""

    def change(self, lookahead: int, training: bool) -> Change | None:
        """What alters a batch."""
        return None

    def stream(self, batch_size: int, seed: int, lookahead: int = 1) -> ExampleStream:
        """Batches of the training split."""
        change = self.change(lookahead, training=True)
        return ExampleStream(self.parts["train"], batch_size, seed, self.unit, change, self.balance)

    def held_out(self, lookahead: int = 1, split: str = "held_out") -> HeldOutExamples:
        """The examples of a split, each once."""
        return HeldOutExamples(self.parts[split], self.change(lookahead, training=False))
