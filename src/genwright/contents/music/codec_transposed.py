"""Which token of a music codec each one becomes when the music is transposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from genwright.contents.music.codec_tokens import KEYS, PITCHED, Token, key_name
from genwright.contents.music.score import moved_key

NO_TOKEN = -2  # of a pitch that leaves the vocabulary


def transposition_table(
    tokens: Sequence[Token], ids: Mapping[Token, int], semitones: int
) -> Tensor:
    """(vocabulary,) the number of each token that many semitones higher, NO_TOKEN where there is
    none. tokens: of the codec; ids: the number of each."""
    moved: dict[Token, Token] = {}
    for key in KEYS:
        higher = moved_key(key, semitones)
        moved["key", key.sharps, key.mode] = ("key", higher.sharps, higher.mode)
        moved["asked", "key", key_name(key)] = ("asked", "key", key_name(higher))
    numbers = []
    for token in tokens:
        kind, *value = token
        if kind in PITCHED and value:
            pitch, *voice = value
            higher_token: Token = (kind, pitch + semitones, *voice)
        else:
            higher_token = moved.get(token, token)
        missing = ids["none",] if kind == "asked" else NO_TOKEN
        numbers.append(ids.get(higher_token, missing))
    return torch.tensor(numbers)
