"""Rules of voice-leading as masks on what may come next: voice ranges, and no parallel fifths,
octaves or unisons.

Two voices are in parallel where both move, in the same direction, from a perfect interval (octaves
and unisons are one, fifths the other, octaves apart or not) to the same one. A voice may always
stay or rest, so that something is always allowed.

`faults` marks them in whole windows, for a figure; `Rules` hands them to `sampling.decode` token by
token, with the grammar of the codec's rows, so that what is drawn reads as music without a fault.
Both are for codecs of rows.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genwright.contents.music.codec import MusicCodec
from genwright.contents.music.codec_tokens import NONE, Token

_BACK = 3  # rows to look back for the step before: a metre and a key may stand between
# kind of a row's first token -> kinds that the next row may begin with; all others: a place
_NEXT_ROWS = {
    "start": ("place", "meter", "key"),
    "place": ("place", "meter", "key", "end"),
    "meter": ("place", "key"),
    "end": ("end",),
}


def parallel(a: Any, b: Any, next_a: Any, next_b: Any) -> Any:
    """Whether voices that go from a and b to next_a and next_b are in parallel fifths, octaves or
    unisons: bool, of arrays or tensors of MIDI pitches (negative: silent) that broadcast."""
    interval = abs(a - b) % 12
    next_interval = abs(next_a - next_b) % 12
    all_sound = (a >= 0) & (b >= 0) & (next_a >= 0) & (next_b >= 0)
    perfect = (interval == 0) | (interval == 7)
    same_direction = (next_a - a) * (next_b - b) > 0
    return all_sound & (interval == next_interval) & perfect & same_direction


def faults(codec: MusicCodec, tokens: Tensor) -> Tensor:
    """(n, time, vocabulary) bool: which token at a place would make its voice parallel to one
    before it in the row.

    tokens: (n, time) windows that begin with `start` or with a row's last token; -1 for none."""
    n, time = tokens.shape
    none = codec.id["none",]
    # The windows are filled up to whole rows, (n, rows, row_length).
    front = -(1 + codec.prefix) % codec.row_length
    back = -(time + front) % codec.row_length
    filled = F.pad(tokens.where(tokens >= 0, none), (front, back), value=none)
    rows = filled.view(n, -1, codec.row_length)

    pitch_table = codec.pitch.to(tokens.device, torch.int16)  # products of two fit; it is faster
    pitch = pitch_table[rows[..., codec.row_head :]]  # (n, rows, voices)
    pitch_before = _pitch_of_step_before(codec, rows, pitch)

    # Of many tokens few pitches: each pitch is asked about once.
    pitches, pitch_index = pitch_table.unique(return_inverse=True)  # (pitches,), (vocabulary,)
    ones = torch.ones(codec.voices, codec.voices, dtype=torch.bool, device=tokens.device)
    is_earlier = ones.tril(-1)  # (voice, other voice): the other one stands before it in the row
    found = parallel(
        pitch_before[:, :, None, :, None],  # of the other voice
        pitch_before[:, :, :, None, None],
        pitch[:, :, None].where(is_earlier, NONE)[..., None],  # of the other voice
        pitches,
    )  # (n, rows, voices, other voices, pitches)
    by_token = found.any(3)[..., pitch_index]  # (n, rows, voices, vocabulary)
    whole_rows = F.pad(by_token, (0, 0, codec.row_head, 0))  # (n, rows, row_length, vocabulary)
    return whole_rows.flatten(1, 2)[:, front : front + time]


def _pitch_of_step_before(codec: MusicCodec, rows: Tensor, pitch: Tensor) -> Tensor:
    """(n, rows, voices) the pitches of the last row before each that takes time.

    rows: (n, rows, row_length) tokens; pitch: (n, rows, voices)."""
    takes_time = codec.takes_time.to(rows.device)[rows[..., 0]]  # (n, rows)
    number = torch.arange(rows.shape[1], device=rows.device)
    last_step = number.where(takes_time, 0).cummax(1).values  # the row itself, where it takes time
    step_before = F.pad(last_step[:, :-1], (1, 0))
    return pitch.gather(1, step_before[..., None].expand_as(pitch))


def _may_follow(before: Token, token: Token) -> bool:
    """Whether a row may begin with `token` after one that began with `before`."""
    if token[0] not in _NEXT_ROWS.get(before[0], ("place",)):
        return False
    if before[0] == "place" and token[0] == "place":
        begins_bar = token[1] <= 0
        return begins_bar or token[1] - before[1] in (0, 1)
    return True


def _table_of_rows(codec: MusicCodec) -> Tensor:
    """(vocabulary, vocabulary) bool: whether a row may begin so after one that began so."""
    table = torch.zeros(len(codec.tokens), len(codec.tokens), dtype=torch.bool)
    for number, before in enumerate(codec.tokens):
        table[number] = torch.tensor([_may_follow(before, token) for token in codec.tokens])
    return table


class Rules:
    """A `sampling.decode.Constraint` for codecs of rows; each row of tokens has `start` and the
    codec's prefix before the music.

    strict: no parallels, and each voice in its range; one that is out of it (in a prompt) comes
    back or rests. Else the grammar alone: a row begins with what may follow, its other places are
    of their voice, and a hold is of the note before."""

    def __init__(self, codec: MusicCodec, strict: bool = True):
        self.codec = codec
        self.strict = strict
        self.pitch = codec.pitch  # (vocabulary,)
        self.takes_time = codec.takes_time  # (vocabulary,)
        self.in_voice = codec.in_range if strict else codec.allowed_in_voice
        # Of many tokens few pitches: each pitch is asked about once.
        self.pitches, self.pitch_index = codec.pitch.unique(return_inverse=True)
        self.is_hold = torch.tensor([token[0] == "hold" for token in codec.tokens])
        self.is_none = torch.tensor([token[0] == "none" for token in codec.tokens])
        self.may_follow = _table_of_rows(codec)

    def _to(self, device: torch.device) -> None:
        """Moves the tables to the device of what is drawn."""
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(self, name, value.to(device))

    def __call__(self, tokens: Tensor, rows: Tensor) -> Tensor:
        """(rows, length) int64, what is drawn so far -> (rows, vocabulary) bool, what may follow.
        rows: of a constraint, not needed here."""
        self._to(tokens.device)
        codec = self.codec
        length = tokens.shape[1]
        since_start = (tokens == codec.id["start",]).flip(1).int().argmax(1)  # (rows,)
        begin = length - since_start + codec.prefix  # where the music begins
        slot = (length - begin) % codec.row_length  # (rows,) place in the row of the next token
        recent, known = self._recent_rows(tokens, begin, slot)
        allowed = self._allowed_in_voice(recent, known, slot)
        if not codec.row_head:
            return allowed

        head = recent[:, -1, :1]  # (rows, 1) how this row begins
        head_before = recent[:, -2, 0].where(length > begin, codec.id["start",])
        voices = torch.where(self.takes_time[head], allowed, self.is_none)
        return torch.where((slot == 0)[:, None], self.may_follow[head_before], voices)

    def _recent_rows(self, tokens: Tensor, begin: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, _BACK + 1, row_length): the tokens of the last rows of music, the newest last, and
        of this one as far as it goes, `none` elsewhere; and bool, where there are any."""
        length = tokens.shape[1]
        size = self.codec.row_length
        offset = torch.arange(-_BACK * size, size, device=tokens.device)
        place = (length - slot)[:, None] + offset  # (rows, (_BACK + 1) * row_length)
        known = (place >= begin[:, None]) & (place < length)
        recent = tokens.gather(1, place.clamp(0, length - 1)).where(known, self.codec.id["none",])
        shape = (len(tokens), _BACK + 1, size)
        return recent.view(shape), known.view(shape)

    def _allowed_in_voice(self, recent: Tensor, known: Tensor, slot: Tensor) -> Tensor:
        """(rows, vocabulary) bool: what the voice of the next place may do."""
        n = len(recent)
        pitch = self.pitch[recent[:, :, self.codec.row_head :]]  # (rows, _BACK + 1, voices)
        is_step = self.takes_time[recent[:, :-1, 0]] & known[:, :-1, 0]  # (rows, _BACK)
        last_step = _BACK - 1 - is_step.flip(1).int().argmax(1)
        pitch_before = pitch[torch.arange(n, device=recent.device), last_step]  # (rows, voices)
        pitch_before = pitch_before.where(is_step.any(1, keepdim=True), NONE)

        voice = (slot - self.codec.row_head).clamp(min=0)  # (rows,)
        own_before = pitch_before.gather(1, voice[:, None])  # (rows, 1)
        holds_another = self.is_hold & (self.pitch != own_before)
        allowed = self.in_voice[voice] & ~holds_another
        if self.strict:
            found = parallel(
                pitch_before[:, :, None],
                own_before[:, :, None],
                pitch[:, -1, :, None],
                self.pitches,
            )  # (rows, other voices, pitches)
            allowed &= ~found.any(1)[:, self.pitch_index]
        return allowed
