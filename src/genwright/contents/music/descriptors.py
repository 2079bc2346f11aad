"""What a piece of music is like, how alike two sets of pieces are, and what a piece took from the
pieces a model was trained on.

Descriptors follow MusPy (Dong et al. 2020), keys the profiles of Krumhansl and Kessler 1982; sets
are compared by the area that their densities share (Yang and Lerch 2018), with a bootstrap over
pieces.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from genwright.contents.music.likeness import near_copies
from genwright.contents.music.score import Note, Score, edges
from genwright.evaluation.token_samples import longest_spans

SCALE = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))
# how well each degree fits, from the tonic
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
SHINGLE, PITCHES = 5, 256  # notes of a top voice in a row; moved by an octave or not


def key_of(weight: np.ndarray) -> int:
    """(12,) how long each pitch class sounds -> tonic 0 to 11, + 12 in minor: the profile of the
    highest correlation. 0 in silence."""
    turned = np.stack(
        [np.roll(profile, tonic) for profile in (MAJOR, MINOR) for tonic in range(12)]
    )
    centred = turned - turned.mean(1, keepdims=True)
    return int((centred @ (weight - np.mean(weight)) / np.linalg.norm(centred, axis=1)).argmax())


def descriptors(score: Score) -> dict[str, float]:
    """pitch-class entropy: bits, of the notes' pitch classes. scale consistency: the largest share
    of notes inside one of the 24 major and natural minor scales. groove consistency: 1 - the share
    of steps at which just one of two neighbouring bars of equal length has an onset, averaged over
    such pairs. nan where there is no note, or no pair."""
    notes = [note for voice in score.voices for note in voice]
    bars = edges(score)
    share = np.bincount([note.pitch % 12 for note in notes], minlength=12) / (len(notes) or np.nan)
    onset = np.isin(np.arange(bars[-1]), [note.start for note in notes])
    pairs = [
        (onset[a:b] == onset[b:c]).mean()
        for a, b, c in zip(bars, bars[1:], bars[2:], strict=False)
        if c - b == b - a
    ]
    return {
        "pitch-class entropy": float(abs((share * np.log2(np.maximum(share, 1e-12))).sum())),
        "scale consistency": float(max(share[np.roll(SCALE, tonic)].sum() for tonic in range(12))),
        "groove consistency": float(np.mean(pairs)) if pairs else np.nan,
    }


def histograms(scores: Sequence[Score]) -> dict[str, np.ndarray]:
    """Shares of each piece's notes. pitch: (pieces, 128). duration: (pieces, 33), of 0 to 32 or
    more sixteenths, rounded."""
    out = {"pitch": np.zeros((len(scores), 128)), "duration": np.zeros((len(scores), 33))}
    for i, score in enumerate(scores):
        for note in (note for voice in score.voices for note in voice):
            out["pitch"][i, note.pitch] += 1
            out["duration"][i, min(round(4 * note.length / score.per_quarter), 32)] += 1
    return {name: rows / np.maximum(rows.sum(1, keepdims=True), 1) for name, rows in out.items()}


def overlap(
    a: np.ndarray, b: np.ndarray, seed: int = 0, rounds: int = 500
) -> tuple[float, float, float]:
    """The area that the mean rows of a (n, bins) and b (m, bins) share, 0 to 1, and its 95%
    interval (basic bootstrap over pieces: it corrects for resamples that overlap less). A row: the
    histogram or density of a piece, of sum 1."""
    rng = np.random.default_rng(seed)
    means = [
        rng.multinomial(len(x), np.full(len(x), 1 / len(x)), rounds) / len(x) @ x for x in (a, b)
    ]
    area = float(np.minimum(a.mean(0), b.mean(0)).sum())
    low, high = np.quantile(np.minimum(*means).sum(1), (0.025, 0.975))
    return area, max(2 * area - float(high), 0.0), min(2 * area - float(low), 1.0)


def densities(a: np.ndarray, b: np.ndarray, bins: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """(n,) and (m,) values, nan left out -> rows for `overlap`: a Gaussian about each value, of its
    set's width by Scott's rule."""
    a, b = (np.asarray(x, float)[~np.isnan(x)] for x in (a, b))
    widths = [1.06 * x.std() * len(x) ** -0.2 for x in (a, b)]
    margin = 3 * max(*widths, 1e-6)
    grid = np.linspace(min(a.min(), b.min()) - margin, max(a.max(), b.max()) + margin, bins)
    rows = [
        np.exp(-0.5 * ((grid - x[:, None]) / max(w, grid[1] - grid[0])) ** 2)
        for x, w in zip((a, b), widths, strict=True)
    ]
    return rows[0] / rows[0].sum(1, keepdims=True), rows[1] / rows[1].sum(1, keepdims=True)


class Novelty(NamedTuple):
    """bars: of the longest run that a training piece holds too, note for note, at one transposition
    of up to an octave: from bar `start` of the piece and bar `at` of training piece `source`,
    counted from 0 (-1: none). A silent bar ends a run. nearest: the training piece that shares most
    of the top voice's runs of SHINGLE notes (`near_copies`), and which `share` (-1, 0.0: none)."""

    bars: int
    start: int
    source: int
    at: int
    nearest: int
    share: float


def novelty(pieces: Sequence[Score], train: Sequence[Score]) -> list[Novelty]:
    """Of every piece, on the training pieces' grid; seconds for hundreds of them."""
    names: dict[tuple, int] = {}
    known, asked = ([_named(score, names) for score in scores] for scores in (train, pieces))
    row = np.concatenate([[0], *(np.append(piece, 0) for piece in known)])
    first = np.cumsum([1, *(len(piece) + 1 for piece in known)])
    moved = [np.where(piece > 0, piece + move, 1) for piece in asked for move in range(-12, 13)]
    spans = longest_spans(moved, row, PITCHES * (len(names) + 2))
    near = {piece: found for piece, *found in near_copies(train, pieces, SHINGLE, 0.0)}
    out = []
    for i in range(len(pieces)):
        start, bars, at = max(spans[25 * i : 25 * (i + 1)], key=lambda span: span.length)
        source = int(np.searchsorted(first, at, "right")) - 1
        where = (start, source, int(at - first[source])) if bars else (-1, -1, -1)
        out.append(Novelty(bars, *where, *near.get(i, (-1, 0.0))))
    return out


def _named(score: Score, names: dict[tuple, int]) -> np.ndarray:
    """(bars,) the name of what sounds in a bar seen from its first voice's first pitch, * PITCHES +
    that pitch; 0: silence. names grows."""
    bars = edges(score)
    out = []
    inside: list[list[tuple[int, Note]]] = [[] for _ in bars[1:]]
    for v, note in ((v, note) for v, voice in enumerate(score.voices) for note in voice):
        for bar in range(
            bisect_right(bars, note.start) - 1, bisect_left(bars, note.start + note.length)
        ):
            inside[bar].append((v, note))
    for start, stop, held in zip(bars, bars[1:], inside, strict=False):
        key = [score.per_quarter, stop - start]
        for v, n in held:
            key += [
                v,
                max(n.start - start, -1),
                min(n.start + n.length, stop) - start,
                n.pitch - held[0][1].pitch,
            ]
        out.append(
            PITCHES * names.setdefault(tuple(key), len(names) + 1) + 64 + held[0][1].pitch
            if held
            else 0
        )
    return np.array(out, np.int64)
