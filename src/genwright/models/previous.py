"""Embeddings of the tokens that stand before each one, added to its own.

A layer of attention learns only slowly to look at the token before, yet short runs of tokens say
most of what small models learn first. Each of the last `count` tokens has a table of its own, and
what stands at the beginning is an embedding too. The price is a lookup for each; see the n-gram
features of Bengio et al., "A neural probabilistic language model", JMLR 3, 2003.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from genwright.models.cache import Cache


class Previous(nn.Module):
    """count: tokens before each one. vocabulary: of the tokens. embedding: (count, vocabulary + 1,
    width), of the token one before, two before, ...; the last row of each is of nothing: before the
    beginning, in another document, in padding."""

    def __init__(self, count: int, vocabulary: int, width: int):
        super().__init__()
        self.count = count
        self.nothing = vocabulary
        self.embedding = nn.Parameter(torch.empty(count, vocabulary + 1, width))

    def initialise(self, scale: float) -> None:
        """Half as large as the tokens' own, whose scale this is, and less the further back; 0 of
        nothing."""
        for back, table in enumerate(self.embedding, 1):
            table.normal_(0, 0.5 * scale / back)
        self.embedding[:, self.nothing] = 0

    def ids(
        self,
        tokens: Tensor,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        cache: Cache | None = None,
    ) -> list[Tensor]:
        """What stands one before, two before, ... each of tokens (B, T): (B, T) int64 each, rows of
        the tables. Arguments as of `Transformer.forward`; a cache remembers these tokens."""
        if padding is not None:
            tokens = tokens.masked_fill(~padding, self.nothing)
        time = tokens.size(1)
        before = tokens.new_full((len(tokens), self.count), self.nothing)
        if cache is not None and cache.newest is not None:
            before = cache.newest
        line = torch.cat((before, tokens), 1)  # (B, count + T)
        if cache is not None:
            cache.newest = line[:, time:]
        found = []
        for back in range(1, self.count + 1):
            ids = line[:, self.count - back : self.count - back + time]
            if documents is not None:
                other = documents[:, back:] != documents[:, :-back]
                ids = ids.masked_fill(F.pad(other, (min(back, time), 0)), self.nothing)
            found.append(ids)
        return found

    def forward(
        self,
        tokens: Tensor,
        documents: Tensor | None = None,
        padding: Tensor | None = None,
        cache: Cache | None = None,
    ) -> Tensor:
        """The sum of the embeddings, (B, T, width); arguments as of `ids`."""
        ids = self.ids(tokens, documents, padding, cache)
        tables = self.embedding.unbind()
        total = F.embedding(ids[0], tables[0])
        for rows, table in zip(ids[1:], tables[1:], strict=True):
            total = total + F.embedding(rows, table)
        return total
