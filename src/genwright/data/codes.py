"""Pictures as rows of codes: each is encoded once, and a batch is what its attributes say, then its codes, which alone count in a loss.

In training any subset of a picture's values may stand before it: each is shown with probability min(1, 2u), where u is drawn evenly for
every picture, so that often all are known and sometimes none. Held-out pictures show all of theirs.
"""

from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from genwright.codecs.attributes import shown
from genwright.codecs.codes import CodesCodec
from genwright.contracts import Batch
from genwright.data.examples import Change, ExampleDataset, Split
from genwright.data.shards import SPLITS, digest_of
from genwright.draws import Draws

_AT_ONCE = 1024  # pictures that are read together


class Encoded(Split):
    """A split whose x are codes, (n, places) int64; made when first asked for."""

    def __init__(self, images: Split, codec: CodesCodec):
        super().__init__(images.numbers, images.take, images.name, images.conditions)
        self.codec = codec

    @cached_property
    def codes(self) -> Tensor:
        found = [torch.empty(0, self.codec.places, dtype=torch.int64)]
        for start in range(0, len(self), _AT_ONCE):
            found.append(self.codec.codes_of(self.take(self.numbers[start : start + _AT_ONCE])))
        return torch.cat(found)

    def x(self, indices: Any) -> Tensor:
        return self.codes[indices]


class CodesDataset(ExampleDataset):
    """`split` opens the pictures themselves; `parts` are their codes. images: their dataset, made as the pictures of `found` were."""

    def __init__(self, images: Any, found: CodesCodec, prefix: int):
        self.codec = codec = CodesCodec(images.codec, found.network, found.settings, prefix)
        self.images, self.shards, self.summary, self.verify = images, images.shards, images.summary, images.verify
        self.digest = digest_of(images.digest, codec.digest)
        self.parts = {name: Encoded(images.split(name), codec) for name in SPLITS}

    def tokens(self, batch: Batch, draws: Draws, lookahead: int, hide: bool) -> Batch:
        """x (n, places) and condition -> tokens (n, lookahead + prefix + places) int64; counted, alike, bool."""
        codes, condition = batch["x"], batch.get("condition")
        if condition is not None and hide:
            condition = shown(condition, draws)
        tokens = torch.cat([self.codec.before(condition, len(codes), lookahead), codes], 1)
        counted = torch.arange(tokens.shape[1]) >= lookahead + self.codec.prefix
        return {"tokens": tokens, "counted": counted.expand_as(tokens)}

    def split(self, name: str) -> Split:
        return self.images.split(name)

    def change(self, lookahead: int, training: bool) -> Change | None:
        return lambda batch, draws: self.tokens(batch, draws, lookahead, hide=training)
