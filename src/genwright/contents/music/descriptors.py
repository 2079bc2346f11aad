"""What a piece of music is like, and how alike two sets of pieces are.

Descriptors follow MusPy (Dong et al. 2020), keys the profiles of Krumhansl and Kessler 1982; sets
are compared by the area that their densities share (Yang and Lerch 2018), with a bootstrap over
pieces. What a piece took from training is in `novelty`.
"""

from collections.abc import Sequence
from functools import cache

import numpy as np

from genwright.contents.music.score import Score, edges, notes_of

SCALE = np.isin(np.arange(12), (0, 2, 4, 5, 7, 9, 11))
# how well each degree fits, from the tonic
MAJOR = (6.35, 2.23, 3.48, 2.33, 4.38, 4.09, 2.52, 5.19, 2.39, 3.66, 2.29, 2.88)
MINOR = (6.33, 2.68, 3.52, 5.38, 2.60, 3.53, 2.54, 4.75, 3.98, 2.69, 3.34, 3.17)
LONGEST_DURATION = 32  # sixteenths; all that is longer counts there


def key_of(weight: np.ndarray) -> int:
    """(12,) how long each pitch class sounds -> tonic 0 to 11, + 12 in minor: the profile of the
    highest correlation. 0 in silence."""
    centred, norms = _profiles()
    likeness = centred @ (weight - np.mean(weight)) / norms
    return int(likeness.argmax())


@cache
def _profiles() -> tuple[np.ndarray, np.ndarray]:
    """The profiles of all keys less their means, (24, 12), and how long each is, (24,). Made once,
    for keys are asked for piece by piece."""
    major = [np.roll(MAJOR, tonic) for tonic in range(12)]
    minor = [np.roll(MINOR, tonic) for tonic in range(12)]
    turned = np.stack([*major, *minor])
    centred = turned - turned.mean(1, keepdims=True)
    return centred, np.linalg.norm(centred, axis=1)


def descriptors(score: Score) -> dict[str, float]:
    """Of one piece:
    pitch-class entropy: bits, of the notes' pitch classes.
    scale consistency: the largest share of notes inside one of the 24 major and natural minor
        scales.
    groove consistency: 1 - the share of steps at which just one of two neighbouring bars of equal
        length has an onset, averaged over such pairs.
    nan where there is no note, or no pair."""
    notes = notes_of(score)
    counts = np.bincount([note.pitch % 12 for note in notes], minlength=12)
    share = counts / (len(notes) or np.nan)  # (12,) of each pitch class
    entropy = abs((share * np.log2(np.maximum(share, 1e-12))).sum())
    in_scale = [share[scale].sum() for scale in _scales()]
    return {
        "pitch-class entropy": float(entropy),
        "scale consistency": float(max(in_scale)),
        "groove consistency": _groove_consistency(score),
    }


@cache
def _scales() -> list[np.ndarray]:
    """Of each of the 12 major scales (12,) bool: the pitch classes in it."""
    return [np.roll(SCALE, tonic) for tonic in range(12)]


def _groove_consistency(score: Score) -> float:
    """See `descriptors`."""
    bars = edges(score)
    starts = [note.start for note in notes_of(score)]
    onset = np.isin(np.arange(bars[-1]), starts)  # (steps,)
    agreeing = []
    for first, second, end in zip(bars, bars[1:], bars[2:], strict=False):
        if end - second == second - first:
            agreeing.append((onset[first:second] == onset[second:end]).mean())
    return float(np.mean(agreeing)) if agreeing else np.nan


def histograms(scores: Sequence[Score]) -> dict[str, np.ndarray]:
    """Shares of each piece's notes. pitch: (pieces, 128). duration: (pieces, 33), of 0 to 32 or
    more sixteenths, rounded."""
    pitch = np.zeros((len(scores), 128))
    duration = np.zeros((len(scores), LONGEST_DURATION + 1))
    for piece, score in enumerate(scores):
        for note in notes_of(score):
            sixteenths = round(4 * note.length / score.per_quarter)
            pitch[piece, note.pitch] += 1
            duration[piece, min(sixteenths, LONGEST_DURATION)] += 1
    return {"pitch": _shares(pitch), "duration": _shares(duration)}


def _shares(counts: np.ndarray) -> np.ndarray:
    """Rows of counts as rows of sum 1; rows of nothing stay."""
    return counts / np.maximum(counts.sum(1, keepdims=True), 1)


def overlap(
    a: np.ndarray, b: np.ndarray, seed: int = 0, rounds: int = 500
) -> tuple[float, float, float]:
    """The area that the mean rows of a (n, bins) and b (m, bins) share, 0 to 1, and its 95%
    interval (basic bootstrap over pieces: it corrects for resamples that overlap less). A row: the
    histogram or density of a piece, of sum 1."""
    rng = np.random.default_rng(seed)
    resampled_a = _resampled_means(a, rng, rounds)
    resampled_b = _resampled_means(b, rng, rounds)
    areas = np.minimum(resampled_a, resampled_b).sum(1)  # (rounds,)
    low, high = np.quantile(areas, (0.025, 0.975))
    area = float(np.minimum(a.mean(0), b.mean(0)).sum())
    return area, max(2 * area - float(high), 0.0), min(2 * area - float(low), 1.0)


def _resampled_means(rows: np.ndarray, rng: np.random.Generator, rounds: int) -> np.ndarray:
    """(rounds, bins) means of as many rows drawn with replacement."""
    size = len(rows)
    drawn = rng.multinomial(size, np.full(size, 1 / size), rounds)  # (rounds, n) how often each
    return drawn / size @ rows


def densities(a: np.ndarray, b: np.ndarray, bins: int = 256) -> tuple[np.ndarray, np.ndarray]:
    """(n,) and (m,) values, nan left out -> rows for `overlap`: a Gaussian about each value, of its
    set's width by Scott's rule."""
    a = np.asarray(a, float)
    b = np.asarray(b, float)
    a = a[~np.isnan(a)]
    b = b[~np.isnan(b)]
    width_a = 1.06 * a.std() * len(a) ** -0.2
    width_b = 1.06 * b.std() * len(b) ** -0.2
    margin = 3 * max(width_a, width_b, 1e-6)
    grid = np.linspace(min(a.min(), b.min()) - margin, max(a.max(), b.max()) + margin, bins)
    return _gaussians(a, width_a, grid), _gaussians(b, width_b, grid)


def _gaussians(values: np.ndarray, width: float, grid: np.ndarray) -> np.ndarray:
    """(n, bins) a Gaussian about each value, of sum 1, at least as wide as a bin."""
    width = max(width, grid[1] - grid[0])
    rows = np.exp(-0.5 * ((grid - values[:, None]) / width) ** 2)
    return rows / rows.sum(1, keepdims=True)
