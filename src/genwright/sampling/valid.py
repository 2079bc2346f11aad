"""Drawing valid content where tokens may be parts of its units (`core.automaton`): from left to
right (`ValidTokens`), and in gaps between tokens that are there (`may_fill`).

From left to right: a token that does not fit is drawn again, among those that fit; all others stay
as they were drawn. Without top-k, top-p and min-p that is a draw from the model's own distribution
without what does not fit: p(token) + p(none fits) p(token) / p(fits) = p(token) / p(fits). With
them the first draw is cut as always, and the second one among what fits. A model that has learned
what is valid is hardly ever asked twice, so that its samples and its speed stay as they were.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from genwright.core.automaton import Automaton
from genwright.core.draws import Draws
from genwright.sampling.drawing import Decoding
from genwright.sampling.warp import choose, likeliest, warp


class ValidTokens:
    """Keeps the rows of a batch valid while they are drawn.

    tokens, real: the prompts, (rows, length), and which of their tokens are (None: all). draws: one
    example a row; a second draw is as reproducible as the first.

    starts: (rows,) int64, of every row of the batch where the part of its state begins in `table`
    (state * vocabulary): the state itself, in the form that a step looks up.
    """

    def __init__(
        self,
        automaton: Automaton,
        tokens: Tensor,
        real: Tensor | None,
        settings: Decoding,
        draws: Draws,
    ):
        self.settings = settings
        self.draws = draws
        self.fits = automaton.fits.to(tokens.device)  # (states, vocabulary)
        self.after = automaton.after.to(tokens.device)  # (states, vocabulary)
        self.vocabulary = self.fits.shape[1]
        # one table of both, for one look-up a step: the next `starts`, -1 where a token does not
        # fit
        self.table = torch.where(self.fits, self.after * self.vocabulary, -1).flatten()
        self.starts = self._states_after(tokens, real, automaton.memory) * self.vocabulary

    def _states_after(self, tokens: Tensor, real: Tensor | None, memory: int) -> Tensor:
        """(rows,) states after the prompts."""
        states = torch.zeros(len(tokens), dtype=torch.int64, device=tokens.device)
        length = tokens.shape[1]
        for column in range(max(0, length - memory), length):
            after = self.after[states, tokens[:, column]]
            states = after if real is None else torch.where(real[:, column], after, states)
        return states

    def mended(
        self,
        starts: Tensor,
        rows: Tensor,
        number: int,
        logits: Tensor,
        seen: Tensor | None,
        token: Tensor,
        score: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The next tokens of some rows, those drawn again that do not fit; their log-probabilities;
        and the rows' next `starts`.

        starts: (rows,), of `self.starts`. rows: (rows,) which of the batch. number: of the token in
        its sample. logits: (rows, vocabulary) before `warp`. seen: as `warp` takes it. token,
        score: (rows,), what was drawn.
        """
        following = self.table.index_select(0, starts + token)
        if int(following.min()) >= 0:
            return token, score, following
        wrong = (following < 0).nonzero()[:, 0]
        states = starts[wrong].div(self.vocabulary, rounding_mode="floor")
        logits = logits[wrong]
        seen = None if seen is None else seen[wrong]
        fitting = warp(logits.masked_fill(~self.fits[states], float("-inf")), self.settings, seen)
        if self.settings.temperature > 0:
            asked = replace(self.draws, examples=self.draws.examples[rows[wrong]])
            found, chosen = choose(fitting, asked.uniform("token again", 1, first=number)[:, 0])
        else:
            found, chosen = likeliest(fitting)
        own = own_score(logits, self.settings, seen, found)
        own = own.where(chosen.isfinite(), chosen)  # what could not be drawn shows as such
        next_starts = self.after[states, found] * self.vocabulary
        return (
            token.index_copy(0, wrong, found),
            score.index_copy(0, wrong, own),
            following.index_copy(0, wrong, next_starts),
        )


def own_score(logits: Tensor, settings: Decoding, seen: Tensor | None, token: Tensor) -> Tensor:
    """(rows,) log-probability of tokens under the model's own distribution, whatever fits: after
    penalty, temperature and truncation, and of a token that truncation leaves out, before
    truncation."""
    untruncated = settings.model_copy(update={"top_k": 0, "top_p": 1.0, "min_p": 0.0})
    own = _score(logits, settings, seen, token)
    before = _score(logits, untruncated, seen, token)
    return own.where(own.isfinite(), before)


def _score(logits: Tensor, settings: Decoding, seen: Tensor | None, token: Tensor) -> Tensor:
    """(rows,) log-probability of tokens after `warp`."""
    return warp(logits, settings, seen).log_softmax(-1).gather(1, token[:, None])[:, 0]


def may_fill(
    automaton: Automaton, tokens: Tensor, open_: Tensor, never: Sequence[int] = ()
) -> Tensor:
    """Which tokens may come into gaps, so that all gaps together can still be filled with valid
    content.

    tokens: (rows, time) int64. open_: (rows, time) bool, the gaps. never: tokens that do not come
    in. Returns (gaps, vocabulary) bool, in the order of `open_.nonzero()`; all True in a gap beside
    tokens that nothing makes a unit of.

    A row is read from both sides: which states can be reached before each place, and from which
    states after it the rest fits. A token may fill a gap if it leads from one of the former to one
    of the latter.
    """
    fits = automaton.fits.to(tokens.device)
    after = automaton.after.to(tokens.device)
    fits_gap = fits.clone()
    fits_gap[:, list(never)] = False
    moves = _moves(fits, after, tokens, open_, fits_gap)
    before, behind = _both_sides(moves)
    may = torch.zeros(int(open_.sum()), fits.shape[1], dtype=torch.bool, device=tokens.device)
    for state in range(len(fits)):
        # (gaps, vocabulary): the rest fits after what the token leads to
        fitting_after = behind[open_][:, after[state]]
        may |= before[open_][:, state, None] & fits_gap[state] & fitting_after
    return may | ~may.any(-1, keepdim=True)


def _moves(fits: Tensor, after: Tensor, tokens: Tensor, open_: Tensor, fits_gap: Tensor) -> Tensor:
    """(rows, time, from, to) bool: the token that is there, or in a gap some token, leads from one
    state to another."""
    states = len(fits)
    given = F.one_hot(after[:, tokens], states).bool()  # (from, rows, time, to)
    given = (given & fits[:, tokens][..., None]).permute(1, 2, 0, 3)
    any_token = torch.zeros(states, states, dtype=torch.bool, device=tokens.device)
    for state in range(states):
        any_token[state, after[state, fits_gap[state]]] = True
    return torch.where(open_[..., None, None], any_token, given)


def _both_sides(moves: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, time, states) bool, two of them: the states that can be reached before each place, and
    those after it from which the rest fits. Where nothing fits, reading begins anew."""
    rows, time, states, _ = moves.shape
    between = torch.zeros(rows, states, dtype=torch.bool, device=moves.device)
    between[:, 0] = True  # a row begins and ends between units
    before = [between]
    for place in range(time - 1):
        reached = (before[-1][:, :, None] & moves[:, place]).any(1)
        before.append(torch.where(reached.any(1, keepdim=True), reached, between))
    behind = [between]
    for place in range(time - 1, 0, -1):
        reached = (moves[:, place] & behind[-1][:, None, :]).any(2)
        behind.append(torch.where(reached.any(1, keepdim=True), reached, between))
    return torch.stack(before, 1), torch.stack(behind[::-1], 1)
