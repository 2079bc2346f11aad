"""Which sequences of tokens are valid content, where tokens may be parts of its smallest units
(bytes of characters, say): a finite automaton over tokens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Automaton(NamedTuple):
    """A state is what the unit that was begun still lacks; 0: between units.

    fits: (states, vocabulary) bool, the token may come in that state. after: (states, vocabulary)
    int64, the state after it, also where it does not fit. memory: so many tokens before a place
    decide its state, whatever stands before them.
    """

    fits: Tensor
    after: Tensor
    memory: int

    def state(self, tokens: Sequence[int]) -> int:
        """The state after some tokens. One that is outside the vocabulary ends a unit."""
        state = 0
        for token in tokens[-self.memory :]:
            state = int(self.after[state, token]) if token < self.after.shape[1] else 0
        return state

    def widened(self, vocabulary: int) -> Automaton:
        """The automaton for a model that has more tokens than the codec: those stand for nothing,
        between units."""
        more = vocabulary - self.fits.shape[1]
        if more <= 0:
            return self
        between = self.fits.new_zeros(len(self.fits), more)
        between[0] = True
        fits = torch.cat([self.fits, between], 1)
        after = torch.cat([self.after, self.after.new_zeros(len(self.after), more)], 1)
        return Automaton(fits, after, self.memory)
