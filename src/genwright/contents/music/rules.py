"""Rules of voice-leading as masks on what may come next: voice ranges, and no parallel fifths,
octaves or unisons.

Two voices are in parallel where both move, in the same direction, from a perfect interval (octaves
and unisons are one, fifths the other, octaves apart or not) to the same one. A voice may always
stay or rest, so that something is always allowed. `Rules` hands this to `sampling.decode` step by
step, with the grammar of the codec's rows, so that what is drawn reads as music without a fault.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genwright.contents.music.codec_tokens import NONE

_BACK = 3  # rows to look back for the step before: a metre and a key may stand between
_FOLLOWS = {
    "start": ("place", "meter", "key"),
    "place": ("place", "meter", "key", "end"),
    "meter": ("place", "key"),
    "end": ("end",),
}


def parallel(a: Any, b: Any, next_a: Any, next_b: Any) -> Any:
    """Whether voices that go from a and b to next_a and next_b are in parallel fifths, octaves or
    unisons: bool, of arrays or tensors of MIDI pitches (negative: silent) that broadcast."""
    before = abs(a - b) % 12
    after = abs(next_a - next_b) % 12
    sound = (a >= 0) & (b >= 0) & (next_a >= 0) & (next_b >= 0)
    return (
        sound
        & (before == after)
        & ((before == 0) | (before == 7))
        & ((next_a - a) * (next_b - b) > 0)
    )


def faults(codec: Any, tokens: Tensor) -> Tensor:
    """(n, time) windows that begin with `start` or with a row's last token, -1 for none -> (n,
    time, vocabulary) bool: what would make its voice parallel to one before it in the row. Of
    codecs of rows."""
    none = codec.id["none",]
    front = -(1 + codec.prefix) % codec.row_length
    device = tokens.device
    whole = (front, -(tokens.shape[1] + front) % codec.row_length)
    rows = F.pad(tokens.where(tokens >= 0, none), whole, value=none).unflatten(
        1, (-1, codec.row_length)
    )
    pitch_of = codec.pitch.to(device, torch.int16)  # products of two fit, and it is faster
    pitch = pitch_of[rows[..., codec.row_head :]]
    timed = codec.takes_time.to(device)[rows[..., 0]]
    # the row of the step before
    last = torch.arange(rows.shape[1], device=device).where(timed, 0).cummax(1).values
    before = pitch.gather(1, F.pad(last[:, :-1], (1, 0))[..., None].expand_as(pitch))
    earlier = torch.ones(codec.voices, codec.voices, dtype=torch.bool, device=device).tril(-1)
    pitches, which = pitch_of.unique(return_inverse=True)
    sides = (
        before[:, :, None, :, None],
        before[..., None, None],
        pitch[:, :, None].where(earlier, NONE)[..., None],
        pitches,
    )
    found = parallel(*sides).any(3)[..., which]  # (n, rows, voices, vocabulary)
    return F.pad(found, (0, 0, codec.row_head, 0)).flatten(1, 2)[:, front : front + tokens.shape[1]]


def _follows(before: tuple, token: tuple) -> bool:
    """Whether a row may begin with `token` after one that began with `before`: of places the next,
    or a bar's first."""
    steps = before[0] == token[0] == "place"
    return token[0] in _FOLLOWS.get(before[0], ("place",)) and (
        not steps or token[1] <= 0 or token[1] - before[1] in (0, 1)
    )


class Rules:
    """A `sampling.decode.Constraint` for codecs of rows; each row of tokens has `start` and the
    codec's prefix before the music. strict: no parallels, and each voice in its range; one that is
    out of it (in a prompt) comes back or rests. Else the grammar alone."""

    def __init__(self, codec: Any, strict: bool = True):
        self.codec = codec
        self.strict = strict
        kinds = [token[0] for token in codec.tokens]
        follows = [[_follows(before, token) for token in codec.tokens] for before in codec.tokens]
        known = [
            torch.tensor(t)
            for t in ([k == "hold" for k in kinds], [k == "none" for k in kinds], follows)
        ]
        # of many tokens few pitches
        fits = codec.in_range if strict else codec.allowed_in_voice
        whole = codec.pitch.unique(return_inverse=True)
        self.tables = [codec.pitch, fits, codec.takes_time, *whole, *known]

    def __call__(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """(rows, length) int64 -> (rows, vocabulary) bool."""
        codec = self.codec
        time = tokens.shape[1]
        device = tokens.device
        self.tables = [table.to(device) for table in self.tables]
        pitch_of, fits, timed, pitches, which, hold, none, follows = self.tables
        # where the music begins
        begin = time - (tokens == codec.id["start",]).flip(1).int().argmax(1) + codec.prefix
        slot = (time - begin) % codec.row_length
        # the rows before this one, the newest last, and this one as far as it goes
        at = (time - slot)[:, None] + torch.arange(
            -_BACK * codec.row_length, codec.row_length, device=device
        )
        known = (at >= begin[:, None]) & (at < time)
        seen = (
            tokens.gather(1, at.clamp(0, time - 1))
            .where(known, codec.id["none",])
            .view(len(tokens), _BACK + 1, codec.row_length)
        )
        pitch = pitch_of[seen[:, :, codec.row_head :]]
        steps = timed[seen[:, :-1, 0]] & known.view(seen.shape)[:, :-1, 0]
        last = _BACK - 1 - steps.flip(1).int().argmax(1)
        previous = pitch[torch.arange(len(tokens), device=device), last].where(
            steps.any(1, keepdim=True), NONE
        )
        voice = (slot - codec.row_head).clamp(min=0)
        own = previous.gather(1, voice[:, None])
        allowed = fits[voice] & ~(hold & (pitch_of != own))
        if self.strict:
            allowed &= ~parallel(
                previous[:, :, None], own[:, :, None], pitch[:, -1, :, None], pitches
            ).any(1)[:, which]
        if not codec.row_head:
            return allowed
        before = seen[:, -2, 0].where(time > begin, codec.id["start",])
        return torch.where(
            (slot == 0)[:, None],
            follows[before],
            torch.where(timed[seen[:, -1, :1]], allowed, none),
        )
