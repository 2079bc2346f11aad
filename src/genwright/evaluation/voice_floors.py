"""What tables of counts reach on voices over time: the floors of a model of chorales, each voice with tables of its own.

Bigram: after the voice's pitch of the frame before (`floors.py` counts a token's left neighbour, in a frame of four another voice's). Given
the soprano: after its pitches of both frames too, which a harmonisation may look at. Each table backs off to the one before, the first to
uniform, by a Dirichlet prior of weight 1 (MacKay and Peto 1995): p(x | c) = (count(c, x) + p'(x)) / (count(c) + 1).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

PITCHES = 129  # MIDI and a rest
TABLES = ("unigram", "bigram", "bigram and soprano", "given the soprano")


def changed(pitch: np.ndarray) -> np.ndarray:
    """(frames, voices) pitches -> bool: unlike the frame before, which the first frame is not."""
    return np.diff(pitch, axis=0, prepend=pitch[:1]) != 0


def voice_floors(train: Sequence[np.ndarray], held_out: Sequence[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Pieces of (frames, voices) pitches, -1 for a rest, the soprano first -> for each of TABLES the (frames, voices) nats of each held-out
    piece. The soprano's own, given itself, are no floor of anything."""
    out = []
    for voice in range(train[0].shape[1]):
        (seen, known), (asked, context) = _coded(train, voice), _coded(held_out, voice)
        tables = [np.full(len(asked), 1 / PITCHES)]
        for c, q in zip(known, context, strict=True):
            tables.append((_counted(c * PITCHES + seen, q * PITCHES + asked) + tables[-1]) / (_counted(c, q) + 1))
        out.append(tables[1:])
    cuts = np.cumsum([len(piece) for piece in held_out])[:-1]
    return {name: np.split(-np.log(np.stack(p, 1)), cuts) for name, *p in zip(TABLES, *out, strict=True)}


def _coded(pieces: Sequence[np.ndarray], voice: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """(n,) the voice in all frames of all pieces in a row, and for each of TABLES the (n,) codes of what it is counted after."""
    now = [piece[:, [voice, 0]].astype(np.int64) + 1 for piece in pieces]
    before = np.concatenate([np.insert(piece, 0, PITCHES, 0)[:-1] for piece in now])
    own, soprano = np.concatenate(now).T
    both = before[:, 0] * PITCHES + soprano
    return own, [0 * own, before[:, 0], both, both * (PITCHES + 1) + before[:, 1]]


def _counted(seen: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(n,) and (m,) codes -> (m,) how often each of `asked` is among `seen`."""
    codes, counts = np.unique(seen, return_counts=True)
    at = np.minimum(np.searchsorted(codes, asked), len(codes) - 1)
    return np.where(codes[at] == asked, counts[at], 0)
