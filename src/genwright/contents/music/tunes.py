"""The statistics of RL Tuner (Jaques, Gu, Turner, Eck 2016, arXiv 1611.02796, table 1) of melodies
as strings of 38 tokens, one a sixteenth (0: the note ends, 1: nothing happens, 2 to 37: a note from
MIDI 48 to 83 begins), in C major or A minor.

Noise reaches the ceiling of some (motifs: 25 of 32 steps) and beats real tunes in others: no value
means anything but beside both.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from genwright.contents.music.descriptors import SCALE, key_of
from genwright.contents.music.score import REST, Score
from genwright.core.errors import GenwrightError

OFF = 0
HOLD = 1
PITCHED = 2
VOCABULARY = 38
LOWEST = 48
TONIC = 14
# sixteenths; of a motif; semitones; sixteenths after which a leap back resolves
STEPS = 32
BAR = 8
LEAP = 7
APART = 6


def melody_tokens(score: Score, steps: int = STEPS) -> np.ndarray:
    """(steps,) tokens of the first voice's first sixteenths, moved by the fewest semitones to C
    major or A minor (`key_of` all the voice), then each note by octaves into the range; silent once
    the piece ends. Of the notes that begin in one sixteenth the first counts. Raises GenwrightError
    for a grid without sixteenths."""
    if score.per_quarter % 4:
        raise GenwrightError(
            f"a grid of {score.per_quarter} steps a quarter note has no sixteenths",
            "read the piece on one of 4, 8, 12",
        )
    pitch, onset = (array[:, 0] for array in score.grid())
    key = key_of(np.bincount(pitch[pitch != REST] % 12, minlength=12))
    size = steps * score.per_quarter // 4
    place = np.arange(size).reshape(steps, -1)
    pitch = np.append(pitch.astype(int), np.full(size, REST))[place]
    onset = np.append(onset, np.zeros(size, bool))[place]
    degree = (
        pitch[np.arange(steps), onset.argmax(1)] + (9 * (key >= 12) - key + 6) % 12 - 6 - LOWEST
    )
    folded = np.where(degree < 0, degree % 12, np.where(degree >= 36, 24 + degree % 12, degree))
    begins = onset.any(1)
    silent = pitch[:, 0] == REST
    ends = silent & ~np.append(True, (silent & ~begins)[:-1])
    return np.where(begins, PITCHED + folded, np.where(ends, OFF, HOLD))


def statistics(tokens: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """(pieces, steps) tokens -> for each statistic (pieces,) what counts and (pieces,) of how many;
    its value is the ratio of their sums.
    Of all steps, holds and rests among them: repeated, not in key, in motif, in repeated motif.
    leaps resolved: of those resolved or doubled. Of pieces: the rest; autocorrelations leave out a
    piece of one token only, which has none."""
    pitched = tokens >= PITCHED
    variance = tokens.var(1)
    x = tokens - tokens.mean(1, keepdims=True)
    degree = (tokens - TONIC) % 12
    bottom = np.where(pitched, tokens, VOCABULARY).min(1, keepdims=True)
    ordered = np.sort(sliding_window_view(np.where(pitched, tokens, OFF), BAR, axis=1), -1)
    motif = (np.diff(ordered, axis=-1, prepend=OFF) > 0).sum(-1) >= 3
    code = sliding_window_view(tokens, BAR, axis=1) @ VOCABULARY ** np.arange(BAR)
    # what is repeated ended before this bar began
    earlier = np.tri(code.shape[1], k=-BAR, dtype=bool)
    again = motif & ((code[:, :, None] == code[:, None]) & earlier).any(-1)
    resolved, doubled = _leaps(tokens)
    of_steps = {
        "repeated": _repeated(tokens),
        "not in key": pitched & ~SCALE[degree],
        "in motif": motif,
        "in repeated motif": again,
    }
    of_pieces = {
        "starts with tonic": tokens[:, 0] == TONIC,
        "starts with tonic of any octave": pitched[:, 0] & (degree[:, 0] == 0),
    }
    for name, extreme in (("highest", tokens.max(1, keepdims=True)), ("lowest", bottom)):
        of_pieces[f"unique {name}"] = (tokens == extreme).sum(1) == 1
    out = {
        name: (mark.sum(1), np.full(len(tokens), tokens.shape[1]))
        for name, mark in of_steps.items()
    }
    out |= {name: (mark, np.ones(len(tokens))) for name, mark in of_pieces.items()} | {
        "leaps resolved": (resolved, resolved + doubled)
    }
    for lag in (1, 2, 3):
        rho = (x[:, :-lag] * x[:, lag:]).sum(1) / np.maximum(variance, 1e-12) / tokens.shape[1]
        out[f"autocorrelation, lag {lag}"] = (rho, variance > 0)
    return {name: (np.asarray(a, float), np.asarray(b, float)) for name, (a, b) in out.items()}


def value_and_band(
    counted: np.ndarray, of: np.ndarray, seed: int = 0, rounds: int = 1000
) -> tuple[float, float, float]:
    """A statistic over all pieces and its 95% interval, the pieces drawn anew each round; nan where
    there is nothing to count."""
    again = np.random.default_rng(seed).integers(len(of), size=(rounds, len(of)))
    with np.errstate(invalid="ignore"):
        values = np.append(counted.sum() / of.sum(), counted[again].sum(1) / of[again].sum(1))
    low, high = (
        np.quantile(values[~np.isnan(values)], (0.025, 0.975)) if of.any() else (np.nan, np.nan)
    )
    return float(values[0]), float(low), float(high)


def _repeated(tokens: np.ndarray) -> np.ndarray:
    """(pieces, steps) bool: the token was there more than 4 times since the last other pitch, more
    than 6 if a rest or hold came between, or it is the third rest. Holds count like pitches: the
    sixth in a row is one too many."""
    out = np.zeros(tokens.shape, bool)
    for t in range(1, tokens.shape[1]):
        back = tokens[:, t - 1 :: -1]
        now = tokens[:, t, None]
        reached = np.logical_and.accumulate((back == now) | (back < PITCHED), 1)
        times = ((back == now) & reached).sum(1)
        between = ((back != now) & reached).any(1)
        out[:, t] = (times > np.where(between, 6, 4)) | ((now[:, 0] == OFF) & (times > 1))
    return out


def _leaps(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pieces,) leaps resolved and doubled. A leap is open until a leap back, which resolves it
    only after more than APART steps, or until a smaller step reaches where it came from, which
    always does; a leap the same way doubles it."""
    resolved, doubled, last, direction, origin, since = np.zeros((6, len(tokens)), int)
    for t, now in enumerate(tokens.T):
        pitched = now >= PITCHED
        way = np.sign(now - last)
        leap = pitched & (last > 0) & (abs(now - last) >= LEAP)
        back = leap & (direction == -way)
        opens = leap & (direction == 0)
        returns = pitched & ~leap & (direction != 0) & ((now - origin) * direction <= 0)
        resolved += (back & (since > APART)) | returns
        doubled += leap & (direction == way)
        direction = np.where(back | returns, 0, np.where(opens, way, direction))
        origin, since, last = (
            np.where(opens, last, origin),
            np.where(leap, 0, since + (t > 0)),
            np.where(pitched, now, last),
        )
    return resolved, doubled
