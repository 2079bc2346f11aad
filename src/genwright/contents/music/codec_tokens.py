"""The tokens of the codecs of music, and tables over a vocabulary of them.

A token is a tuple of its kind and its value: ("onset", 60), ("meter", 3, 4), ("end",). The tables
say, for each token of a vocabulary, which pitch it has, which voice it belongs to, and what it
shares with other tokens.
"""

import math
from collections.abc import Sequence
from itertools import product
from typing import Any

import torch
from torch import Tensor

from genwright.contents.music.score import REST, Key

Token = tuple[Any, ...]

PITCHED = ("onset", "hold", "fermata", "pitch")  # kinds of token whose value is a MIDI pitch
NONE = -2  # the pitch of a token, or of a voice, that has none yet: not even a rest
AROUND = ("start", "none", "asked")  # kinds that may stand beside music without being unread
MODES = ("major", "minor", "")
KEYS = [Key(0, sharps, mode) for mode, sharps in product(MODES, range(-7, 8))]
# Periods of the waves that tell how high a pitch is, in semitones: half an octave to five.
WAVES = (6.0, 10.0, 18.0, 32.0, 60.0)
# The major keys of 7 flats to 7 sharps, then the tonics that only minor keys have.
FIFTHS = (
    *("Cb", "Gb", "Db", "Ab", "Eb", "Bb", "F", "C", "G", "D", "A", "E", "B", "F#", "C#"),
    *("G#", "D#", "A#"),
)


def key_name(key: Key) -> str:
    """G, Em, or 2 sharps for a signature without a mode: the values of the attribute `key`."""
    if key.mode == "major":
        return FIFTHS[key.sharps + 7]
    if key.mode == "minor":
        return FIFTHS[key.sharps + 10] + "m"
    accidentals = "flats" if key.sharps < 0 else "sharps"
    return f"{abs(key.sharps)} {accidentals}"


def token_name(token: Token) -> str:
    """What a vocabulary calls a token: "place 0", and "key=G" for a condition."""
    if token[0] == "asked":
        return "=".join(token[1:])
    return " ".join(str(part) for part in token)


def pitch_of(token: Token) -> int:
    """The MIDI pitch of a token; REST of a rest, NONE of anything else.

    The event codec has a token ("fermata",) without a value, which has no pitch."""
    kind, *value = token
    if kind in PITCHED and value:
        return value[0]
    if kind == "rest":
        return REST
    return NONE


def voice_of(token: Token) -> int:
    """Which voice alone may say a token, ("pitch", 60, voice); -1 where any voice may."""
    if token[0] == "pitch" and len(token) > 2:
        return token[2]
    return -1


def _traits_of(token: Token, pitch: int) -> set[Any]:
    """What a token may share with others: its kind and its value; of a pitch its kind, its voice
    and its pitch class."""
    kind, *value = token
    if pitch >= 0:
        voice = value[1:]
        return {kind, ("class", pitch % 12), *voice}
    if value:
        return {kind, tuple(value)}
    return {kind}


def trait_table(tokens: Sequence[Token], pitch: Tensor) -> Tensor:
    """(vocabulary, traits) float32: 1 where a token has a trait; then, for tokens with a pitch,
    sine and cosine waves of its height. Tokens that share traits begin with alike embeddings.

    pitch: (vocabulary,) MIDI pitches, negative where a token has none."""
    token_traits = [
        _traits_of(token, height) for token, height in zip(tokens, pitch.tolist(), strict=True)
    ]
    traits = sorted(set().union(*token_traits), key=str)
    column = {trait: number for number, trait in enumerate(traits)}
    has_trait = torch.zeros(len(tokens), len(traits))
    for number, own in enumerate(token_traits):
        has_trait[number, [column[trait] for trait in own]] = 1.0

    angle = 2 * math.pi * pitch[:, None] / torch.tensor(WAVES)  # (vocabulary, waves)
    pitched = (pitch >= 0)[:, None]
    waves = torch.cat((angle.sin(), angle.cos()), 1) * pitched / math.sqrt(len(WAVES))
    return torch.cat((has_trait, waves), 1)
