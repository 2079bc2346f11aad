"""Pictures as rows of codes, by a network that was trained before: what a model of tokens learns
pictures from."""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genwright.contents.images.codec_codes import CodesCodec
from genwright.core.attributes import random_subset
from genwright.core.contracts import Batch
from genwright.core.draws import Draws
from genwright.data.cache import SPLITS, digest_of
from genwright.data.examples import Change, ExampleDataset, Split

_AT_ONCE = 1024  # pictures that are read together, to be made codes


class CodesDataset(ExampleDataset):
    """Pictures as rows of codes: each is encoded once, and a batch is what its attributes say, then
    its codes, which alone count in a loss. In training any subset of a picture's values may stand
    before it (`attributes.random_subset`); held-out pictures show all of theirs.

    `split` opens the pictures themselves; `parts` are their codes. images: their dataset, made as
    the pictures of `found` were."""

    unit = "images"
    codec: CodesCodec

    def __init__(self, images: Any, found: CodesCodec, prefix: int):
        self.codec = codec = CodesCodec(images.codec, found.network, found.settings, prefix)
        self.images = images
        self.settings = images.settings
        self.shards = images.shards
        self.summary = images.summary
        self.held = images.held
        self.balance = images.balance
        self.digest = digest_of(images.digest, codec.digest)
        self.parts = {name: _encoded(images.split(name), codec) for name in SPLITS}

    @property
    def originals(self) -> ExampleDataset:
        """The pictures."""
        pictures: ExampleDataset = self.images
        return pictures

    def verify(self) -> None:
        """As of the pictures."""
        self.originals.verify()

    def split(self, name: str) -> Split:
        """The pictures themselves."""
        return self.images.split(name)

    def change(self, lookahead: int, training: bool) -> Change:
        """x (n, places) and condition -> tokens (n, lookahead + prefix + places) int64; counted,
        alike, bool."""

        def tokens(batch: Batch, draws: Draws) -> Batch:
            codes = batch["x"]
            condition = batch.get("condition")
            if condition is not None and training:
                condition = random_subset(condition, draws)
            before = self.codec.before(condition, len(codes), lookahead)
            tokens = torch.cat([before, codes], 1)
            counted = torch.arange(tokens.shape[1]) >= lookahead + self.codec.prefix
            return {"tokens": tokens, "counted": counted.expand_as(tokens)}

        return tokens


def _encoded(images: Split, codec: CodesCodec) -> Split:
    """The split whose x are codes, (n, places) int64; made when first asked for."""

    @cache
    def codes() -> Tensor:
        parts = [torch.empty(0, codec.places, dtype=torch.int64)]
        for start in range(0, len(images), _AT_ONCE):
            numbers = images.numbers[start : start + _AT_ONCE]
            parts.append(codec.codes_of(images.take(numbers)))
        return torch.cat(parts)

    def take(numbers: np.ndarray) -> Tensor:
        return codes()[np.searchsorted(images.numbers, numbers)]

    return Split(images.numbers, take, images.name, images.conditions, images.source)
