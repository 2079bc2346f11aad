"""Random numbers of one batch after another, drawn for many of them at once.

They are those of `Draws`, bit for bit, for each is a function of (seed, position, example, name,
index). A small batch needs few of them, and then a dozen operations on few numbers take longer than
the numbers: 67 us for 128 normals, where a step of a small network takes 3 ms.

1. The first time that numbers are asked for they are drawn for that batch alone.
2. The next time they are drawn for some positions from there on, and kept; when those are used up,
   for `GROWTH` times as many, so that a short run draws few in vain; for as many as `LIMIT` allows.
3. What is given is a copy: whoever changes it in place changes nobody else's.
"""

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor

from genwright.core.draws import Draws, Wanted

LIMIT = 1 << 15  # numbers that are kept of a kind; a batch that needs more is drawn by itself
GROWTH = 4
KINDS = 64  # that are kept; an objective whose shapes differ from step to step asks for ever more


class _Block(NamedTuple):
    """Numbers (k, n, *shape) of the positions from `start` on; None: they were asked for once."""

    start: int
    numbers: Tensor | None


@dataclass(frozen=True)
class DrawsAhead:
    """Draws for the same rows of every batch. seed, examples: as of `Draws`."""

    seed: int
    examples: Tensor
    blocks: dict[Wanted, _Block] = field(default_factory=dict)

    def at(self, position: int) -> Draws:
        """Those of one batch; quick where positions follow one another."""
        return _Kept(self.seed, position, self.examples, self)


@dataclass(frozen=True)
class _Kept(Draws):
    """Draws of one position whose numbers may lie there already."""

    ahead: DrawsAhead

    def numbers(self, wanted: Wanted) -> Tensor:
        """As those of `Draws`."""
        if self.examples is not self.ahead.examples or self.seed != self.ahead.seed:
            return super().numbers(wanted)  # somebody has changed them with `dataclasses.replace`
        blocks = self.ahead.blocks
        block = blocks.get(wanted)
        if block is None:
            if len(blocks) >= KINDS:
                blocks.clear()
            blocks[wanted] = _Block(self.position, None)
            return super().numbers(wanted)
        place = self.position - block.start
        if block.numbers is None or not 0 <= place < len(block.numbers):
            most = LIMIT // max(1, len(self.examples) * math.prod(wanted.shape))
            before = 1 if block.numbers is None else len(block.numbers)
            count = min(GROWTH * before, most)
            if count < 2:
                return super().numbers(wanted)
            positions = range(self.position, self.position + count)
            block = _Block(self.position, wanted.of(self.seed, positions, self.examples))
            blocks[wanted] = block
            place = 0
        assert block.numbers is not None
        return block.numbers[place].clone()
