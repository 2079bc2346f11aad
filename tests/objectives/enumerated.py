"""A policy so small that every sequence it can draw is written down: expectations and their
gradients are exact sums."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

VOCABULARY = 3
END = 0
LONGEST = 4
WIDTH = 5


def sequences() -> tuple[Tensor, Tensor]:
    """Every sequence: tokens (31, 4) int64, 0 behind the end, and mask (31, 4) bool, True up to the
    end token; a sequence of four other tokens is over as well."""
    rows = set()
    for row in itertools.product(range(VOCABULARY), repeat=LONGEST):
        length = row.index(END) + 1 if END in row else LONGEST
        rows.add(row[:length])
    ordered = sorted(rows)
    tokens = torch.zeros(len(ordered), LONGEST, dtype=torch.int64)
    mask = torch.zeros(len(ordered), LONGEST, dtype=torch.bool)
    for number, row in enumerate(ordered):
        tokens[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = True
    return tokens, mask


class Policy:
    """A recurrent network of random weights in float64, whose next token depends on all before."""

    def __init__(self, seed: int):
        random = torch.Generator().manual_seed(seed)

        def weights(*shape: int) -> Tensor:
            values = torch.randn(*shape, generator=random, dtype=torch.float64)
            return values.requires_grad_()

        self.start = weights(WIDTH)
        self.embedding = weights(VOCABULARY, WIDTH)
        self.recurrent = weights(WIDTH, WIDTH)
        self.head = weights(VOCABULARY, WIDTH)
        self.parameters = [self.start, self.embedding, self.recurrent, self.head]

    def logits(self, tokens: Tensor) -> Tensor:
        """(n, t, 3), of each token given those before it."""
        state = self.start.expand(len(tokens), WIDTH)
        places = []
        for place in range(tokens.size(1)):
            places.append(state @ self.head.T)
            state = torch.tanh(state @ self.recurrent.T + self.embedding[tokens[:, place]])
        return torch.stack(places, 1)

    def logprobs(self, tokens: Tensor) -> Tensor:
        """(n, t), of the tokens themselves."""
        log_probability = self.logits(tokens).log_softmax(-1)
        return log_probability.gather(2, tokens[..., None])[..., 0]

    def gradient(self, value: Tensor) -> Tensor:
        """d value / d parameters, as one vector."""
        parts = torch.autograd.grad(value, self.parameters, retain_graph=True)
        return torch.cat([part.flatten() for part in parts])


def probabilities(logprobs: Tensor, mask: Tensor) -> Tensor:
    """(n,), of whole sequences."""
    return logprobs.where(mask, 0).sum(1).exp()


class Network(nn.Module):
    """The same kind of policy as a module that reads a prompt, padded on the left, and what was
    drawn behind it; float64."""

    def __init__(self, seed: int):
        super().__init__()
        values = Policy(seed)
        self.start = nn.Parameter(values.start.detach())
        self.embedding = nn.Parameter(values.embedding.detach())
        self.recurrent = nn.Parameter(values.recurrent.detach())
        self.head = nn.Parameter(values.head.detach())

    def forward(
        self, tokens: Tensor, padding: Tensor | None = None, targets: Tensor | None = None
    ) -> Tensor:
        """(n, length, 3) logits of the token behind each of tokens (n, length); what is not real by
        `padding` (n, length) leaves no trace. With targets, (n, length) nats of them, 0 where they
        are -100."""
        state = self.start.expand(len(tokens), WIDTH)
        places = []
        for place in range(tokens.size(1)):
            after = torch.tanh(state @ self.recurrent.T + self.embedding[tokens[:, place]])
            if padding is not None:
                after = after.where(padding[:, place, None], state)
            state = after
            places.append(state @ self.head.T)
        logits = torch.stack(places, 1)
        if targets is None:
            return logits
        logprobs = logits.log_softmax(-1).gather(2, targets.clamp(min=0)[..., None])[..., 0]
        return -logprobs.where(targets >= 0, 0)

    def logprobs(self, prompt: Sequence[int], drawn: Tensor) -> Tensor:
        """(n, t) of drawn tokens (n, t) behind a prompt, without any padding."""
        before = torch.tensor(prompt).expand(len(drawn), -1)
        logits = self(torch.cat([before, drawn], 1))[:, len(prompt) - 1 : -1]
        return logits.log_softmax(-1).gather(2, drawn[..., None])[..., 0]

    def gradient(self, value: Tensor) -> Tensor:
        """d value / d parameters, as one vector."""
        parts = torch.autograd.grad(value, list(self.parameters()), retain_graph=True)
        return torch.cat([part.flatten() for part in parts])
