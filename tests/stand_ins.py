"""A stand-in for a language model: logits are a fixed random table's row, picked by a hash of the
last tokens, so that every answer can be computed by hand; and a codec of ten letters."""

import pytest
import torch
from torch import nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError


class Table(nn.Module):
    """Logits at t depend on all real tokens up to t (by a sum), and on nothing else."""

    def __init__(self, vocabulary=12, seed=0, context=10**6):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.table = nn.Parameter(2 * torch.randn(97, vocabulary, generator=generator))
        self.context = context
        self.longest = 0

    def new_cache(self, batch, length):
        return {"room": length}

    def forward(self, tokens, padding=None, cache=None, last=False):
        if cache is not None:  # remembers the tokens themselves
            padding = torch.ones_like(tokens, dtype=torch.bool) if padding is None else padding
            tokens = cache["tokens"] = (
                torch.cat([cache["tokens"], tokens], 1) if "tokens" in cache else tokens
            )
            padding = cache["padding"] = (
                torch.cat([cache["padding"], padding], 1) if "padding" in cache else padding
            )
            assert tokens.shape[1] <= cache["room"]
        self.longest = max(self.longest, tokens.shape[1])
        real = torch.ones_like(tokens) if padding is None else padding.long()
        # a token's place in its own row: the sum below is not invariant to it
        order = real.cumsum(1)
        return self.table[((tokens * tokens + 3) * (order + 1) * real).cumsum(1) % 97]


class Letters:
    """'a'..'j' are 0..9; 10 ends, 11 masks."""

    space = Space(vocabulary=12, special={"end": 10, "mask": 11})

    def encode(self, text):
        if set(text) - set("abcdefghij"):
            raise GenwrightError("a character is unknown", "use a to j")
        return [ord(c) - 97 for c in text]

    def decode(self, tokens):
        return "".join(chr(97 + t) for t in tokens if t < 10)


@pytest.fixture
def table():
    return Table()


@pytest.fixture
def letters():
    return Letters()


def greedy_by_hand(model, prompt, count, end=10):
    """The likeliest tokens after a prompt, one by one."""
    row = list(prompt)
    for _ in range(count):
        row.append(int(model(torch.tensor([row]))[0, -1].argmax()))
        if row[-1] == end:
            break
    return row[len(prompt) :]
