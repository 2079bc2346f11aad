"""What tables of counts reach on voices over time: the floors of a model of chorales, each voice
with tables of its own.

Bigram: after the voice's pitch of the frame before (`text.py` counts a token's left neighbour, in a
frame of four another voice's). Given the soprano: after its pitches of both frames too, which a
harmonisation may look at. Each table backs off to the one before, the first to uniform, by a
Dirichlet prior of weight 1 (MacKay and Peto 1995): p(x | c) = (count(c, x) + p'(x)) / (count(c) +
1).
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
    """Pieces of (frames, voices) pitches, -1 for a rest, or other numbers below `size`, the soprano
    first -> for each of TABLES the (frames, voices) nats of each held-out piece. The soprano's own,
    given itself, are no floor of anything."""
    base = size + 2  # a rest, and what is before a piece
    (seen, known), (asked, context) = _coded(train, base), _coded(held_out, base)
    cuts = np.cumsum([len(piece) for piece in held_out])[:-1]
    p = np.full(asked.shape, 1 / (base - 1))
    out = {}
    for name, c, q in zip(TABLES, known, context, strict=True):
        p = (_counted(c * base + seen, q * base + asked) + p) / (_counted(c, q) + 1)
        out[name] = np.split(-np.log(p), cuts)
    return out


def _coded(pieces: Sequence[np.ndarray], base: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """(n, voices) pitches of all frames of all pieces in a row, and for each of TABLES the codes of
    what they are counted after."""
    now = np.concatenate(pieces).astype(np.int64) + 1
    before = np.concatenate(
        [np.insert(piece.astype(np.int64) + 1, 0, base - 1, 0)[:-1] for piece in pieces]
    )
    voice = np.zeros_like(now) + np.arange(now.shape[1])
    own = voice * base + before
    both = own * base + now[:, :1]
    return now, [voice, own, both, both * base + before[:, :1]]


def _counted(seen: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """How often each of `asked`, codes of any shape, is among `seen`."""
    codes, counts = np.unique(seen, return_counts=True)
    at = np.minimum(np.searchsorted(codes, asked), len(codes) - 1)
    return np.where(codes[at] == asked, counts[at], 0)
