"""What a turn measures, from its micro-batches to a line of metrics.

1. `Added` adds up the losses of a turn's micro-batches: sums and counts, on the device.
2. `Added.over_ranks` exchanges them once, as one vector.
3. `Measured` holds that vector for one turn. On a CPU its numbers are Python floats at once, since
   looking costs nothing there; on another device they stay until somebody looks.
4. `means` adds up the turns of a step, and divides sums by counts, once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from genwright.core.contracts import Loss, Mean
from genwright.training.engine import Engine

# On a CPU Python floats, on another device a float64 tensor there.
Number = float | Tensor  # ()
Numbers = list[float] | Tensor  # (n,)


class Added:
    """What the micro-batches of a turn add up to. losses: total and count of the losses, None
    before the first. metrics: name -> scalars. sums: as of `Loss`."""

    def __init__(self) -> None:
        self.losses: Mean | None = None
        self.metrics: dict[str, Mean] = {}
        self.sums: dict[str, Tensor] = {}

    def add(self, loss: Loss) -> None:
        """Adds one micro-batch."""
        counts: dict[int, Tensor] = {}  # of tensors by identity: metrics often share one
        losses = _over_examples(loss.total, loss.count, counts)
        self.losses = losses if self.losses is None else _both(self.losses, losses)
        for name, (total, count) in loss.metrics.items():
            mean = _over_examples(total, count, counts)
            if name in self.metrics:
                mean = _both(self.metrics[name], mean)
            self.metrics[name] = mean
        for name, tensor in loss.sums.items():
            if name in self.sums:
                tensor = self.sums[name] + tensor
            self.sums[name] = tensor

    def over_ranks(self, engine: Engine, on_host: bool) -> tuple[list[str], Numbers]:
        """The metrics' names, sorted; and total and count of the losses, then total and count of
        each metric, summed over the ranks in one exchange. Counts are exact up to 2^53."""
        assert self.losses is not None, "every turn has a micro-batch"
        names = sorted(self.metrics)
        scalars = list(self.losses)
        for name in names:
            scalars += self.metrics[name]
        if on_host and engine.size == 1:
            return names, [float(scalar) for scalar in scalars]
        numbers = engine.sum_(torch.stack([scalar.double() for scalar in scalars]))
        return names, numbers.tolist() if on_host else numbers


def _over_examples(total: Tensor, count: Tensor, counts: dict[int, Tensor]) -> Mean:
    """(examples,) each, or scalars -> scalars, without a graph. counts: sums of counts that were
    seen before, by the tensor's identity."""
    total = total.detach()
    if total.ndim:
        total = total.sum()
    if id(count) not in counts:
        counts[id(count)] = count.sum() if count.ndim else count
    return Mean(total, counts[id(count)])


def _both(a: Mean, b: Mean) -> Mean:
    return Mean(a.total + b.total, a.count + b.count)


class Measured(Mapping[str, float]):
    """What one turn has measured, over micro-batches and ranks: name -> mean, of what counted at
    all. Looking waits for the device.

    names: of the metrics. numbers: HEAD, then total and count of each metric."""

    HEAD = 3  # total of the losses; what gradients were divided by; norm of the divided gradient

    def __init__(self, names: Sequence[str], numbers: Numbers) -> None:
        self.names = names
        self.numbers = numbers

    @classmethod
    def of(cls, names: Sequence[str], numbers: Sequence[Number]) -> "Measured":
        """numbers: HEAD and pairs, one by one; the first decides where they are."""
        first = numbers[0]
        if not isinstance(first, Tensor):
            return cls(names, [float(number) for number in numbers])
        scalars = []
        for number in numbers:
            if not isinstance(number, Tensor):
                number = torch.full_like(first, number)
            scalars.append(number.double())
        return cls(names, torch.stack(scalars))

    @property
    def on_host(self) -> bool:
        """Whether looking costs nothing any more."""
        return not isinstance(self.numbers, Tensor)

    def look(self) -> list[float]:
        """The numbers, brought here."""
        if isinstance(self.numbers, Tensor):
            self.numbers = self.numbers.tolist()
        return self.numbers

    @property
    def total(self) -> float:
        """Of the losses."""
        return self.look()[0]

    @property
    def divisor(self) -> float:
        """What gradients were divided by."""
        return self.look()[1]

    @property
    def norm(self) -> float:
        """Of the gradient, before clipping."""
        return self.look()[2]

    @property
    def finite(self) -> bool:
        """Whether loss and gradient are numbers; if not, nothing was updated."""
        return math.isfinite(self.total) and math.isfinite(self.norm)

    def pairs(self) -> Iterator[tuple[str, float, float]]:
        """Name, total and count of each metric."""
        pairs = self.look()[self.HEAD :]
        return zip(self.names, pairs[::2], pairs[1::2], strict=True)

    def __getitem__(self, name: str) -> float:
        return means([self])[name]

    def __iter__(self) -> Iterator[str]:
        return iter(means([self]))

    def __len__(self) -> int:
        return len(means([self]))


def look_at(turns: Sequence[Measured]) -> None:
    """Brings the numbers of several turns here, with one wait for the device."""
    waiting = [turn for turn in turns if isinstance(turn.numbers, Tensor)]
    if len(waiting) < 2:
        return  # a single one is brought by whoever looks at it
    numbers = torch.cat([torch.as_tensor(turn.numbers) for turn in waiting]).tolist()
    for turn in waiting:
        size = len(turn.numbers)
        turn.numbers = numbers[:size]
        numbers = numbers[size:]


def means(turns: Sequence[Measured]) -> dict[str, float]:
    """name -> mean over all the turns that measure it."""
    sums: dict[str, tuple[float, float]] = {}
    for turn in turns:
        for name, total, count in turn.pairs():
            if name in sums:
                before = sums[name]
                total = before[0] + total
                count = before[1] + count
            sums[name] = (total, count)
    return {name: total / count for name, (total, count) in sums.items() if count}
