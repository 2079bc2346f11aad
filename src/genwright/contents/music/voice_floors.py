"""What tables of counts reach on voices over time: the floors of a model of chorales, each voice
with tables of its own.

Bigram: after the voice's pitch of the frame before (a table over tokens counts a token's left
neighbour, in a frame of four another voice's). Given the soprano: after its pitches of both frames
too, which a harmonisation may look at. Each table backs off to the one before, the first to
uniform, by a Dirichlet prior of weight 1 (MacKay and Peto 1995):
p(x | c) = (count(c, x) + p'(x)) / (count(c) + 1).
"""

from collections.abc import Sequence

import numpy as np

TABLES = ("unigram", "bigram", "bigram and soprano", "given the soprano")


def changed(pitch: np.ndarray) -> np.ndarray:
    """(frames, voices) pitches -> bool: unlike the frame before, which the first frame is not."""
    return np.diff(pitch, axis=0, prepend=pitch[:1]) != 0


def voice_floors(
    train: Sequence[np.ndarray], held_out: Sequence[np.ndarray], size: int = 128
) -> dict[str, list[np.ndarray]]:
    """For each of TABLES the (frames, voices) nats of each held-out piece.

    train, held_out: pieces of (frames, voices) pitches, -1 for a rest, or other numbers below
    `size`, the soprano first. The soprano's own nats, given itself, are no floor of anything."""
    base = size + 2  # a rest, and what is before a piece
    seen, seen_contexts = _coded(train, base)
    asked, asked_contexts = _coded(held_out, base)
    piece_ends = np.cumsum([len(piece) for piece in held_out])[:-1]
    probability = np.full(asked.shape, 1 / (base - 1))
    floors = {}
    for name, seen_context, asked_context in zip(
        TABLES, seen_contexts, asked_contexts, strict=True
    ):
        together = _count(seen_context * base + seen, asked_context * base + asked)
        alone = _count(seen_context, asked_context)
        probability = (together + probability) / (alone + 1)
        floors[name] = np.split(-np.log(probability), piece_ends)
    return floors


def _coded(pieces: Sequence[np.ndarray], base: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """(n, voices) the pitches of all frames of all pieces in a row, from 0; and for each of TABLES
    the codes, (n, voices), of what they are counted after: numbers whose digits, to that base, are
    the voice and the pitches."""
    shifted = [piece.astype(np.int64) + 1 for piece in pieces]
    beginning = base - 1
    now = np.concatenate(shifted)
    before = np.concatenate([np.insert(piece, 0, beginning, 0)[:-1] for piece in shifted])
    voice = np.broadcast_to(np.arange(now.shape[1]), now.shape)
    own_before = voice * base + before
    with_soprano = own_before * base + now[:, :1]
    with_both = with_soprano * base + before[:, :1]
    return now, [voice, own_before, with_soprano, with_both]


def _count(seen: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """How often each of `asked`, codes of any shape, is among `seen`."""
    codes, counts = np.unique(seen, return_counts=True)
    place = np.minimum(np.searchsorted(codes, asked), len(codes) - 1)
    return np.where(codes[place] == asked, counts[place], 0)
