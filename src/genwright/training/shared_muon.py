"""Muon's costly part, shared out over the processes.

All ranks hold the same momenta, or can gather them, and orthogonalising is most of what Muon costs:

1. Matrices are dealt out by cost, the dearest first, each to the rank that has least to do. Those
   of one shape that a rank gets lie side by side, so that they stay one stack.
2. Each rank orthogonalises its own, and sends them to the others in the dtype it computes in. Other
   parameters are updated meanwhile.
3. Every rank adds all of them to its weights.

So ranks add the same numbers to their weights, whatever their processors round. Price: each update
travels once. One process copies and sends nothing.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from genwright.training.buckets import Bucket
from genwright.training.engine import Engine
from genwright.training.optimizers import orthogonalise


class Share(NamedTuple):
    """Matrices of a muon bucket, side by side, that one rank orthogonalises."""

    bucket: Bucket
    start: int
    stop: int

    @property
    def which(self) -> slice:
        """Their places in the bucket."""
        return slice(self.start, self.stop)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the matrices."""
        return self.bucket.names[self.which]

    @property
    def numel(self) -> int:
        """Elements of all of them."""
        rows, columns = self.bucket.shape
        return (self.stop - self.start) * rows * columns


# of each share, its orthogonalised matrices (n, rows, columns)
Updates = Iterable[tuple[Share, Tensor]]


def cost_of(shape: tuple[int, ...]) -> int:
    """Multiplications of one Newton-Schulz iteration of a matrix (rows, columns)."""
    short, long = sorted(shape)
    return short * short * (2 * long + short)


def deal(buckets: Sequence[Bucket], ranks: int) -> list[list[Share]]:
    """Of each rank, what it orthogonalises of these buckets; those of other rules are left out."""
    muon = [bucket for bucket in buckets if bucket.rule == "muon"]
    muon.sort(key=lambda bucket: -cost_of(bucket.shape))
    loads = [0] * ranks
    dealt: list[list[Share]] = [[] for _ in range(ranks)]
    for bucket in muon:
        counts = [0] * ranks  # matrices of this bucket, of each rank
        for _ in bucket.names:
            rank = loads.index(min(loads))
            loads[rank] += cost_of(bucket.shape)
            counts[rank] += 1
        start = 0
        for rank, count in enumerate(counts):
            if count:
                dealt[rank].append(Share(bucket, start, start + count))
            start += count
    return dealt


class SharedMuon:
    """What the ranks of an engine make together of the muon buckets. dtype: in which matrices are
    orthogonalised."""

    def __init__(self, buckets: Sequence[Bucket], engine: Engine, dtype: torch.dtype):
        self.engine = engine
        self.dtype = dtype
        self.dealt = deal(buckets, engine.size)

    def start(self, ahead: Callable[[Share], Tensor], iterations: int) -> Callable[[], Updates]:
        """Orthogonalises this rank's matrices and begins to send them. ahead: a share's matrices
        (n, rows, columns), as `ahead_of` gives them. What is returned waits for the other ranks'
        and gives the updates of all."""
        own = self.dealt[self.engine.rank]
        found = [orthogonalise(ahead(share).to(self.dtype), iterations) for share in own]
        if self.engine.size == 1:
            return partial(zip, own, found, strict=True)
        parts = [self._room(shares) for shares in self.dealt]  # of each rank
        for place, update in zip(views(parts[self.engine.rank], own), found, strict=True):
            place.copy_(update)
        wait = self.engine.exchange(parts)
        return partial(self._received, wait, parts)

    def _room(self, shares: Sequence[Share]) -> Tensor:
        """A flat buffer for a rank's updates."""
        numel = sum(share.numel for share in shares)
        return torch.empty(numel, dtype=self.dtype, device=self.engine.device)

    def _received(self, wait: Callable[[], None], parts: Sequence[Tensor]) -> Updates:
        wait()
        for shares, part in zip(self.dealt, parts, strict=True):
            yield from zip(shares, views(part, shares), strict=True)


def views(flat: Tensor, shares: Sequence[Share]) -> list[Tensor]:
    """A flat buffer, cut into the stacks (n, rows, columns) of shares."""
    parts = torch.split_with_sizes(flat, [share.numel for share in shares])
    pairs = zip(parts, shares, strict=True)
    return [part.view(-1, *share.bucket.shape) for part, share in pairs]
