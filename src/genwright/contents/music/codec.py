"""What the codecs of music share: named tokens, conditions before the music, transposition, and
what a run keeps.

A token is its kind and its value: ("onset", 60), ("meter", 3, 4), ("end",). Content comes first in
the vocabulary; what follows is special, so never masked and never a random replacement: what the
codec itself adds, a token for each value that music can be asked for, `start`, `none` (an empty
place) and `mask`. Voices, their ranges and the metres are those of the music that a codec learns
from.
"""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from genwright.contents.music.score import REST, Key, Meter, Score, moved_key
from genwright.core.attributes import placed
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text
from genwright.core.registry import Settings

FILE = "music.json"
PITCHED = ("onset", "hold", "fermata", "pitch")  # kinds of token whose value is a MIDI pitch
NONE = -2  # of a token, or of a voice that has none yet: no pitch at all, not even a rest
AROUND = ("start", "none", "asked")  # kinds that may stand beside music without being unread
KEYS = [Key(0, sharps, mode) for mode in ("major", "minor", "") for sharps in range(-7, 8)]
_FIFTHS = [
    "Cb",
    "Gb",
    "Db",
    "Ab",
    "Eb",
    "Bb",
    "F",
    "C",
    "G",
    "D",
    "A",
    "E",
    "B",
    "F#",
    "C#",
    "G#",
    "D#",
    "A#",
]
Token = tuple[Any, ...]


def key_name(key: Key) -> str:
    """G, Em; of a signature without a mode, 2 sharps: the values of the attribute `key`."""
    if not key.mode:
        return f"{abs(key.sharps)} {'flats' if key.sharps < 0 else 'sharps'}"
    return _FIFTHS[key.sharps + 7] if key.mode == "major" else _FIFTHS[key.sharps + 10] + "m"


class Learned(BaseModel):
    """What a codec knows of its corpus: lowest and highest pitch of each voice; metres (beats,
    unit); attributes and their values."""

    ranges: tuple[tuple[int, int], ...] = Field(min_length=1)
    meters: tuple[tuple[int, int], ...] = ()
    attributes: dict[str, tuple[str, ...]] = {}


class MusicCodec(ABC):
    """score <-> tokens. tokens, id: number <-> token; size: how many are content; low, high: of all
    pitches; prefix: places of conditions.
    pitch: (vocabulary,) MIDI pitches, REST, NONE; says: (voices + 1, vocabulary) bool, content that
    a voice may say, at last what is no voice's; fits: what of it is in range; bar_tokens: of the
    longest bar, about. Of codecs of rows of equal length (`rows`; scores have all voices then):
    stride: of a row; lead: its tokens before the voices'; timed: (vocabulary,) bool, which begins a
    row that takes time; called: the names of four voices. period: tokens of a row or bar, with
    which windows of a piece begin."""

    content = "music"
    rows = True
    lead = 0
    bar_tokens = 96
    period = 0

    def __init__(self, settings: Any, learned: Learned):
        self.settings = settings
        self.learned = learned
        self.voices = len(learned.ranges)
        self.called = ("Soprano", "Alto", "Tenor", "Bass") if self.rows and self.voices == 4 else ()
        self.low = min(low for low, _ in learned.ranges)
        self.high = max(high for _, high in learned.ranges)
        asked = [
            ("asked", name, value)
            for name, values in learned.attributes.items()
            for value in values
        ]
        self.prefix = settings.prefix if asked else 0
        self.changes: list[Token] = [("meter", *meter) for meter in learned.meters] + [
            ("key", *key[1:]) for key in KEYS
        ]
        content, special = self.vocabulary()
        self.tokens: list[Token] = [*content, *special, *asked, ("start",), ("none",), ("mask",)]
        self.id = {token: i for i, token in enumerate(self.tokens)}
        self.size = len(content)
        self.stride = self.lead + self.voices
        self.timed = torch.tensor([not self.lead or t[0] == "place" for t in self.tokens])
        self.pitch = torch.tensor(
            [
                t[1] if t[0] in PITCHED and t[1:] else REST if t[0] == "rest" else NONE
                for t in self.tokens
            ]
        )
        # which voice's own token it is
        whose = torch.tensor([t[2] if t[0] == "pitch" and t[2:] else -1 for t in self.tokens])
        self.says = (torch.arange(len(whose)) < self.size) & (
            (whose < 0) | (whose == torch.arange(self.voices + 1)[:, None])
        )
        low, high = torch.tensor([*learned.ranges, (0, 127)])[:, :, None].unbind(1)
        self.fits = self.says & ((self.pitch < 0) | ((self.pitch >= low) & (self.pitch <= high)))
        names = ["=".join(t[1:]) if t[0] == "asked" else " ".join(map(str, t)) for t in self.tokens]
        ids = {names[i]: i for i in range(self.size, len(names))}
        self.space = Space(
            len(names), ids, alike=self._alike(), period=self.period, attributes=learned.attributes
        )
        self._saved = json_text(
            {"settings": settings.model_dump(), "learned": learned.model_dump()}, indent=1
        )
        self.digest = hashlib.sha256(self._saved.encode()).hexdigest()

    def _alike(self) -> Tensor:
        """(vocabulary, traits): of each token its kind and its value, or of a pitch its voice, its
        class, and waves for its height."""
        pairs = zip(self.tokens, self.pitch.tolist(), strict=True)
        traits = [
            {t[0], ("class", p % 12), *t[2:]} if p >= 0 else {t[0], t[1:] or t[0]} for t, p in pairs
        ]
        # half an octave to five
        angle = 2 * math.pi * self.pitch[:, None] / torch.tensor([6.0, 10.0, 18.0, 32.0, 60.0])
        waves = torch.cat((angle.sin(), angle.cos()), 1) * (self.pitch >= 0)[:, None] / math.sqrt(5)
        every = sorted({trait for its in traits for trait in its}, key=str)
        return torch.cat(
            (torch.tensor([[float(trait in its) for trait in every] for its in traits]), waves), 1
        )

    @abstractmethod
    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        """Tokens of content, and special ones of its own."""

    @abstractmethod
    def encode(self, score: Score) -> list[int]:
        """Raises GenwrightError for what does not fit: other voices, another grid, a pitch or a
        metre that is not known."""

    @abstractmethod
    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        """Any tokens -> the score, and how many could not be read as music. Conditions may stand
        before."""

    def decode(self, tokens: Sequence[int]) -> Score:
        return self.read(tokens)[0]

    def lost(self, score: Score) -> int:
        """Notes that do not come back as they are (of a chord, say), velocities aside. Raises as
        `encode`."""

        def bare(s):
            return Counter(
                (v, n._replace(velocity=0)) for v, notes in enumerate(s.voices) for n in notes
            )

        return (bare(score) - bare(self.decode(self.encode(score)))).total()

    def check(self, score: Score) -> None:
        """Raises GenwrightError for another grid, other voices, a pitch out of range."""
        count = len(score.voices)
        grid = self.settings.per_quarter
        if score.per_quarter != grid:
            raise GenwrightError(
                f"the score has {score.per_quarter} steps a quarter note, and the codec {grid}",
                f"read it with {grid}",
            )
        if count > self.voices or self.rows and count < self.voices:
            raise GenwrightError(
                f"the piece has {count} voices, and the model {self.voices}",
                f"give a piece with {self.voices}",
            )
        ranges = self.learned.ranges if self.rows else ((self.low, self.high),) * count
        for (low, high), notes in zip(ranges, score.voices, strict=False):
            for pitch in (note.pitch for note in notes if not low <= note.pitch <= high):
                what = f"MIDI pitch {pitch} is outside of what the model knows of this voice, {low} to {high}"
                raise GenwrightError(what, "transpose the piece into the range of the voices")

    def signs(self, score: Score) -> list[tuple[int, Token]]:
        """When metres, then keys change, and to what. Raises GenwrightError for what is not
        known."""
        signs = [(m.start, ("meter", *m[1:])) for m in score.meters] + [
            (k.start, ("key", *k[1:])) for k in score.keys
        ]
        for kind, *value in (token for _, token in signs if token not in self.id):
            known = ", ".join("/".join(map(str, t[1:])) for t in self.tokens if t[0] == kind)
            what = f"the {kind.replace('meter', 'metre')} {'/'.join(map(str, value))} is not in the music that the model learned"
            raise GenwrightError(
                what,
                f"known: {known}" if known else f"leave every {kind.replace('meter', 'metre')} out",
            )
        return signs

    def before(self, condition: Tensor | None, count: int, start: int = 1) -> Tensor:
        """What stands before the music: (count, start + prefix) int64. condition: see
        `attributes.placed`."""
        first = len(self.tokens) - 3 - self.space.columns
        none = self.id["none",]
        return torch.nn.functional.pad(
            placed(condition, count, self.prefix, first, none), (start, 0), value=self.id["start",]
        )

    def room(self, score: Score) -> tuple[int, int]:
        """By how many semitones a score may be transposed, from .. to, with each voice still in its
        range."""
        pairs = [
            ([n.pitch for n in notes], span)
            for notes, span in zip(score.voices, self.learned.ranges, strict=False)
            if notes
        ]
        down = [low - min(p) for p, (low, _) in pairs]
        up = [high - max(p) for p, (_, high) in pairs]
        return min(0, max(down, default=0)), max(0, min(up, default=0))

    def transpose(self, tokens: Tensor, semitones: int) -> Tensor:
        """Tokens (any shape; -1 where there is none) of the same music that many semitones higher,
        its keys and the condition `key` too (none where that key is no value of it). Raises
        GenwrightError where a pitch leaves the vocabulary."""
        table = self._moved(semitones).to(tokens.device)
        out = torch.where(tokens < 0, tokens, table[tokens])
        if bool((out < -1).any()):
            raise GenwrightError(
                f"{semitones:+d} semitones lead out of {self.low} to {self.high}",
                "stay within the codec's `room`",
            )
        return out

    @cache  # noqa: B019 - a run has one codec
    def _moved(self, semitones: int) -> Tensor:
        """(vocabulary,) each token that many semitones higher, -2 where there is none."""
        moved: dict[Token, Token] = {
            ("key", *key[1:]): ("key", *moved_key(key, semitones)[1:]) for key in KEYS
        }
        moved |= {
            ("asked", "key", key_name(key)): ("asked", "key", key_name(moved_key(key, semitones)))
            for key in KEYS
        }
        new = [
            (t[0], t[1] + semitones, *t[2:]) if t[0] in PITCHED and t[1:] else moved.get(t, t)
            for t in self.tokens
        ]
        return torch.tensor(
            [self.id.get(t, self.id["none",] if t[0] == "asked" else -2) for t in new]
        )

    def slots(self, tokens: Any, values: Any = None) -> np.ndarray:
        """A piece's tokens -> (steps, voices) of what each voice does, or of those places in
        `values`. Of codecs of rows."""
        rows = np.asarray(tokens)[: len(tokens) // self.stride * self.stride].reshape(
            -1, self.stride
        )
        its = rows if values is None else np.asarray(values)[: rows.size].reshape(rows.shape)
        return its[self.timed.numpy()[rows[:, 0]], self.lead :]

    def kept(
        self,
        tokens: Tensor,
        voices: Sequence[int] = (),
        steps: range | None = None,
        before: int = 0,
    ) -> Tensor:
        """What stays while a masked model writes the rest, bool: all that is not of a voice; these
        voices; and, where `steps` are given, what lies outside. tokens: (..., time), rows from
        `before` on; -1 and `mask` may stand among them. Of codecs of rows."""
        at = torch.arange(tokens.shape[-1], device=tokens.device) - before
        voice = at % self.stride - self.lead
        begins = (at >= 0) & (at % self.stride == 0)
        stays = (
            (at < 0)
            | (voice < 0)
            | (tokens < 0)
            | (tokens == self.id["none",])
            | torch.isin(voice, voice.new_tensor(voices))
        )
        step = (begins & self.timed.to(tokens.device)[tokens]).cumsum(-1) - 1
        return stays if steps is None else stays | (step < steps.start) | (step >= steps.stop)

    def save(self, folder: str | Path) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / FILE).write_text(self._saved + "\n", encoding="utf-8")


def changes(signs: Iterable[tuple[int, Token]], length: int) -> dict[str, Any]:
    """`signs` in the order of time -> metres and keys of a score of that length; the first of each
    holds from the start."""
    held = [sign for sign in signs if sign[0] < max(1, length)]

    def of(kind, cls):
        return tuple(
            cls(s * (i > 0), *t[1:]) for i, (s, t) in enumerate(x for x in held if x[1][0] == kind)
        )

    return {"meters": of("meter", Meter), "keys": of("key", Key)}


class MusicSettings(Settings):
    content: ClassVar[str] = "music"
    codec: ClassVar[type[MusicCodec]]
    per_quarter: int = Field(4, ge=1, le=96)
    """Steps a quarter note."""
    prefix: int = Field(8, ge=0, le=1024)
    """Places before the music, each for one value that it is conditioned on."""

    def learn(
        self, scores: Iterable[Score], attributes: Mapping[str, tuple[str, ...]] | None = None
    ) -> MusicCodec:
        """The codec of some music, held-out pieces included. attributes: what it may be conditioned
        on; `key` by `key_name`. Raises GenwrightError where there is no note."""
        scores = list(scores)
        sung = [
            {n.pitch for notes in its for n in notes}
            for its in zip_longest(*(s.voices for s in scores), fillvalue=())
        ]
        if not any(sung):
            raise GenwrightError("there is not a note in this music", "give other files")
        ranges = tuple((min(p, default=127), max(p, default=0)) for p in sung)
        meters = tuple(sorted({meter[1:] for s in scores for meter in s.meters}))
        return self.codec(
            self, Learned(ranges=ranges, meters=meters, attributes=dict(attributes or {}))
        )

    def load(self, folder: str | Path) -> MusicCodec:
        """The codec that was saved with a run. Raises GenwrightError."""
        path = Path(folder) / FILE
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            return self.codec(type(self)(**saved["settings"]), Learned(**saved["learned"]))
        except (OSError, ValueError, LookupError, TypeError) as problem:
            raise GenwrightError(
                f"the codec {path} is damaged ({problem})", "bring the file back or train again"
            ) from problem
