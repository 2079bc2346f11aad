"""What a run asks of prepared data, whatever they are, as types.

`DataSettings.prepare` gives a `Dataset`: its training split as a stream, its held-out split in a
fixed order, its codec, and what a person should know of it. `data.examples.ExampleDataset` is the
usual one: its examples can also be taken by their numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from genwright.core.contracts import Batch, Codec, Stream


class HeldOutSplit(Protocol):
    """A split in a fixed order, each example once. windows: its examples, or windows of them."""

    @property
    def windows(self) -> int:
        """How many."""

    def batch(self, start: int, stop: int) -> Batch:
        """Those from `start` to before `stop`, on the CPU."""


class HeldOutShare(Protocol):
    """What was held out, where it was not the source that said so; `data.split.HeldOut` is one."""

    @property
    def keys(self) -> np.ndarray:
        """(n,) uint64, sorted: what a run keeps of its split."""

    @property
    def share(self) -> float:
        """Of all that is counted, 0 to 1."""

    @property
    def wanted(self) -> float:
        """The share that was asked for."""


@runtime_checkable
class Dataset(Protocol):
    """Prepared data."""

    @property
    def codec(self) -> Codec:
        """Between its content and tensors; learned from the training split where it is learned."""

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides the examples and their split."""

    @property
    def shards(self) -> Mapping[str, str]:
        """Files of prepared data -> their digests; empty where there are none."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """What a person is told: "train" and "held_out", each with what it holds; "skipped",
        sentences; and whatever else this kind of data says (`runs/remarks.py`)."""

    @property
    def held(self) -> HeldOutShare | None:
        """What was held out; None where it was the source that said so."""

    def stream(self, batch_size: int, seed: int, lookahead: int = 1) -> Stream:
        """Batches of the training split. lookahead: tokens beyond the context, such as the last
        target. Raises GenwrightError where there is nothing to train on."""

    def held_out(self, lookahead: int = 1, split: str = "held_out") -> HeldOutSplit:
        """The examples of a split, each once."""

    def verify(self) -> None:
        """Raises GenwrightError where prepared files are no longer what was written; called before
        a run goes on."""
