"""What the codecs of music share: a vocabulary of named tokens (`codec_tokens`), conditions before
the music, transposition, and what a run keeps.

The vocabulary begins with the content. What follows is special, so never masked and never a random
replacement:

1. what a codec adds of its own (places in a bar, metres, keys, the end),
2. a token ("asked", attribute, value) for each value that music can be conditioned on,
3. `start`, `none` (an empty place) and `mask`.

Voices, their ranges and the metres are those of the music that a codec learns from.
"""

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor

from genwright.contents.music.codec_tokens import (
    KEYS,
    Token,
    pitch_of,
    token_name,
    trait_table,
    voice_of,
)
from genwright.contents.music.codec_transposed import NO_TOKEN, transposition_table
from genwright.contents.music.score import Key, Meter, Score
from genwright.core.attributes import attribute_tokens
from genwright.core.contracts import Codec, Space
from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import json_text
from genwright.core.registry import CodecSettings

FILE = "music.json"
FOUR_VOICES = ("Soprano", "Alto", "Tenor", "Bass")


class Learned(BaseModel):
    """What a codec knows of its corpus: lowest and highest pitch of each voice; metres (beats,
    unit); attributes and their values."""

    ranges: tuple[tuple[int, int], ...] = Field(min_length=1)
    meters: tuple[tuple[int, int], ...] = ()
    attributes: dict[str, tuple[str, ...]] = {}


class MusicCodec(ABC):
    """score <-> tokens.

    Its vocabulary:
    tokens: the token of each number; id: the number of each token; kinds: (vocabulary,) str.
    size: how many tokens are content, the first ones.
    low, high: lowest and highest pitch of all voices.
    pitch: (vocabulary,) MIDI pitches, REST or NONE.
    takes_time: (vocabulary,) bool, the token begins a row that takes time.
    allowed_in_voice: (voices + 1, vocabulary) bool, content that a voice may hold; the last row is
        for places that belong to no voice. in_range: likewise, within the voice's range.

    Its layout:
    prefix: places of conditions before the music.
    rows: whether music is rows of equal length, one a step of time; scores have all voices then.
    row_length: tokens of such a row; row_head: those of them before the voices'.
    period: tokens of a row or bar, at multiples of which windows of a piece begin.
    bar_tokens: tokens of the longest bar, about.
    voice_names: of four voices in rows; else empty."""

    content = "music"
    rows = True
    row_head = 0
    bar_tokens = 96
    period = 0

    def __init__(self, settings: Any, learned: Learned):
        self.settings = settings
        self.learned = learned
        self.voices = len(learned.ranges)
        self.voice_names = FOUR_VOICES if self.rows and self.voices == 4 else ()
        self.row_length = self.row_head + self.voices
        self.low = min(low for low, _ in learned.ranges)
        self.high = max(high for _, high in learned.ranges)
        self.changes: list[Token] = [("meter", *meter) for meter in learned.meters]
        self.changes += [("key", key.sharps, key.mode) for key in KEYS]

        asked: list[Token] = []
        for name, values in learned.attributes.items():
            asked += [("asked", name, value) for value in values]
        self.prefix = settings.prefix if asked else 0

        content, special = self.vocabulary()
        self.size = len(content)
        self.tokens: list[Token] = [*content, *special, *asked, ("start",), ("none",), ("mask",)]
        self.id = {token: number for number, token in enumerate(self.tokens)}
        self._make_tables()
        self.space = self._make_space()

        self._transpositions: dict[int, Tensor] = {}  # semitones -> (vocabulary,) tokens
        saved = {"settings": settings.model_dump(), "learned": learned.model_dump()}
        self._saved = json_text(saved, indent=1)
        self.digest = hashlib.sha256(self._saved.encode()).hexdigest()

    def _make_tables(self) -> None:
        """Sets what the codec knows of each token."""
        self.kinds = np.array([token[0] for token in self.tokens])
        self.pitch = torch.tensor([pitch_of(token) for token in self.tokens])
        if self.row_head:
            self.takes_time = torch.tensor([token[0] == "place" for token in self.tokens])
        else:
            self.takes_time = torch.ones(len(self.tokens), dtype=torch.bool)

        voice = torch.tensor([voice_of(token) for token in self.tokens])  # (vocabulary,)
        rows = torch.arange(self.voices + 1)[:, None]  # (voices + 1, 1), the last one no voice's
        is_content = torch.arange(len(self.tokens)) < self.size
        self.allowed_in_voice = is_content & ((voice < 0) | (voice == rows))

        ranges = torch.tensor([*self.learned.ranges, (0, 127)])  # (voices + 1, 2)
        low = ranges[:, :1]
        high = ranges[:, 1:]
        inside = (self.pitch >= low) & (self.pitch <= high)  # (voices + 1, vocabulary)
        self.in_range = self.allowed_in_voice & ((self.pitch < 0) | inside)

    def _make_space(self) -> Space:
        special = {
            token_name(self.tokens[number]): number for number in range(self.size, len(self.tokens))
        }
        return Space(
            len(self.tokens),
            special,
            alike=trait_table(self.tokens, self.pitch),
            period=self.period,
            attributes=self.learned.attributes,
        )

    @abstractmethod
    def vocabulary(self) -> tuple[list[Token], list[Token]]:
        """Tokens of content, and special ones of its own. Also sets `period` and `bar_tokens` of a
        codec whose voices and metres decide them."""

    @abstractmethod
    def encode(self, score: Score) -> list[int]:
        """A score's tokens. Raises GenwrightError for what does not fit: other voices, another
        grid, a pitch or a metre that is not known."""

    @abstractmethod
    def read(self, tokens: Sequence[int]) -> tuple[Score, int]:
        """Any tokens -> the score, and how many could not be read as music. Conditions may stand
        before."""

    def decode(self, tokens: Sequence[int]) -> Score:
        """Any tokens -> the score."""
        score, _ = self.read(tokens)
        return score

    @abstractmethod
    def token_table(self, tokens: Sequence[int]) -> np.ndarray:
        """Any tokens -> (steps, voices) int64: of each step that `read` gives the score, with which
        of the tokens it is known what the voice does there. Of a note that is its last token, at
        the step where it begins."""

    def lost_notes(self, score: Score, tokens: Sequence[int] | None = None) -> int:
        """How many notes do not come back as they are (of a chord, say), velocities aside. tokens:
        of the score, where they are known. Raises as `encode`."""
        decoded = self.decode(self.encode(score) if tokens is None else tokens)
        missing = _notes_by_voice(score) - _notes_by_voice(decoded)
        return missing.total()

    def check(self, score: Score) -> None:
        """Raises GenwrightError for another grid, other voices, a pitch out of range."""
        grid = self.settings.per_quarter
        if score.per_quarter != grid:
            raise GenwrightError(
                f"the score has {score.per_quarter} steps a quarter note, and the codec {grid}",
                f"read it with {grid}",
            )
        count = len(score.voices)
        too_few = self.rows and count < self.voices
        if count > self.voices or too_few:
            raise GenwrightError(
                f"the piece has {count} voices, and the model {self.voices}",
                f"give a piece with {self.voices}",
            )
        if self.rows:
            ranges = self.learned.ranges
        else:
            ranges = ((self.low, self.high),) * count
        for (low, high), notes in zip(ranges, score.voices, strict=False):
            for note in notes:
                if not low <= note.pitch <= high:
                    raise GenwrightError(
                        f"MIDI pitch {note.pitch} is outside of what the model knows of this "
                        f"voice, {low} to {high}",
                        "transpose the piece into the range of the voices",
                    )

    def signatures(self, score: Score) -> list[tuple[int, Token]]:
        """(step, token) of each change of metre, then of each change of key. Raises GenwrightError
        for one that is not known."""
        signatures: list[tuple[int, Token]] = []
        for meter in score.meters:
            signatures.append((meter.start, ("meter", meter.beats, meter.unit)))
        for key in score.keys:
            signatures.append((key.start, ("key", key.sharps, key.mode)))
        for _, token in signatures:
            if token not in self.id:
                raise self._unknown_signature(token)
        return signatures

    def _unknown_signature(self, token: Token) -> GenwrightError:
        kind = token[0]
        word = "metre" if kind == "meter" else kind
        known = ", ".join(_value_text(other) for other in self.tokens if other[0] == kind)
        return GenwrightError(
            f"the {word} {_value_text(token)} is not in the music that the model learned",
            f"known: {known}" if known else f"leave every {word} out",
        )

    def before(self, condition: Tensor | None, count: int, start: int = 1) -> Tensor:
        """What stands before the music: `start` times the token `start`, then the conditions:
        (count, start + prefix) int64. condition: see `attributes.attribute_tokens`."""
        first_asked = len(self.tokens) - 3 - self.space.columns
        conditions = attribute_tokens(condition, count, self.prefix, first_asked, self.id["none",])
        return torch.nn.functional.pad(conditions, (start, 0), value=self.id["start",])

    def transposition_range(self, score: Score) -> tuple[int, int]:
        """By how many semitones a score may be transposed, from (at most 0) .. to (at least 0),
        with each voice still in its range."""
        lowest = []
        highest = []
        for notes, (low, high) in zip(score.voices, self.learned.ranges, strict=False):
            pitches = [note.pitch for note in notes]
            if pitches:
                lowest.append(low - min(pitches))
                highest.append(high - max(pitches))
        down = max(lowest, default=0)
        up = min(highest, default=0)
        return min(0, down), max(0, up)

    def transpose(self, tokens: Tensor, semitones: int) -> Tensor:
        """Tokens (any shape; -1 where there is none) of the same music that many semitones higher,
        its keys and the condition `key` too (none where that key is no value of it). Raises
        GenwrightError where a pitch leaves the vocabulary."""
        if semitones not in self._transpositions:
            self._transpositions[semitones] = transposition_table(self.tokens, self.id, semitones)
        table = self._transpositions[semitones].to(tokens.device)
        transposed = torch.where(tokens < 0, tokens, table[tokens])
        if bool((transposed == NO_TOKEN).any()):
            raise GenwrightError(
                f"{semitones:+d} semitones lead out of {self.low} to {self.high}",
                "stay within the codec's `transposition_range`",
            )
        return transposed

    def slots(self, tokens: Any, values: Any = None) -> np.ndarray:
        """Of a codec of rows: what each voice does at each step, (steps, voices).

        tokens: of a piece, without what stands before it. values: as many, of which those at the
        voices' places are given; None: the tokens themselves."""
        whole = len(tokens) // self.row_length * self.row_length
        rows = np.asarray(tokens)[:whole].reshape(-1, self.row_length)
        given = rows
        if values is not None:
            given = np.asarray(values)[:whole].reshape(rows.shape)
        takes_time = self.takes_time.numpy()[rows[:, 0]]  # (rows,)
        return given[takes_time, self.row_head :]

    def kept(
        self,
        tokens: Tensor,
        voices: Sequence[int] = (),
        steps: range | None = None,
        before: int = 0,
    ) -> Tensor:
        """Of a codec of rows: what stays while a masked model writes the rest, bool of the tokens'
        shape. Kept are all that is of no voice; these voices; and, where `steps` are given, what
        lies outside of them.

        tokens: (..., time), rows from `before` on; -1 and `mask` may stand among them."""
        place = torch.arange(tokens.shape[-1], device=tokens.device) - before  # (time,)
        voice = place % self.row_length - self.row_head  # negative: of no voice
        of_no_voice = (place < 0) | (voice < 0)
        empty = (tokens < 0) | (tokens == self.id["none",])
        kept = of_no_voice | empty | torch.isin(voice, voice.new_tensor(voices))
        if steps is None:
            return kept
        begins_row = (place >= 0) & (place % self.row_length == 0)
        begins_step = begins_row & self.takes_time.to(tokens.device)[tokens]
        step = begins_step.cumsum(-1) - 1  # (..., time)
        return kept | (step < steps.start) | (step >= steps.stop)

    def save(self, folder: str | Path) -> None:
        """Writes the codec's file into a folder, which is made."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / FILE).write_text(self._saved + "\n", encoding="utf-8")


def _value_text(token: Token) -> str:
    """The value of a token as a person writes it: 3/4 of ("meter", 3, 4)."""
    return "/".join(str(part) for part in token[1:])


def _notes_by_voice(score: Score) -> Counter[tuple[int, int, int, int, bool]]:
    """How often each (voice, start, length, pitch, fermata) stands in a piece."""
    counts: Counter[tuple[int, int, int, int, bool]] = Counter()
    for voice, notes in enumerate(score.voices):
        for start, length, pitch, _, fermata in notes:
            counts[voice, start, length, pitch, fermata] += 1
    return counts


def metres_and_keys(signatures: Iterable[tuple[int, Token]], length: int) -> dict[str, Any]:
    """`signatures` in the order of time -> the fields `meters` and `keys` of a score of that
    length; the first of each holds from the start."""
    meters: list[Meter] = []
    keys: list[Key] = []
    for step, (kind, *value) in signatures:
        if step >= max(1, length):
            continue
        if kind == "meter":
            meters.append(Meter(step if meters else 0, *value))
        elif kind == "key":
            keys.append(Key(step if keys else 0, *value))
    return {"meters": tuple(meters), "keys": tuple(keys)}


class MusicSettings(CodecSettings):
    """Settings that the codecs of music share."""

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
        ranges: list[tuple[int, int]] = []
        meters: set[tuple[int, int]] = set()
        for score in scores:
            meters.update((meter.beats, meter.unit) for meter in score.meters)
            for voice, notes in enumerate(score.voices):
                if voice == len(ranges):
                    ranges.append((127, 0))  # a voice without a note has no pitch in range
                pitches = [note.pitch for note in notes]
                low, high = ranges[voice]
                ranges[voice] = (min([low, *pitches]), max([high, *pitches]))
        if not any(low <= high for low, high in ranges):
            raise GenwrightError("there is not a note in this music", "give other files")
        learned = Learned(
            ranges=tuple(ranges), meters=tuple(sorted(meters)), attributes=dict(attributes or {})
        )
        return self.codec(self, learned)

    def load(self, folder: str | Path) -> MusicCodec:
        """The codec that was saved with a run. Raises GenwrightError."""
        path = Path(folder) / FILE
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            return self.codec(type(self)(**saved["settings"]), Learned(**saved["learned"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError) as problem:
            raise GenwrightError(
                f"the codec {path} is damaged ({in_words(problem)})",
                "bring the file back or train again",
            ) from problem


def music_codec(codec: Codec) -> MusicCodec:
    """The codec of a run that makes music, as what it is."""
    return cast(MusicCodec, codec)
