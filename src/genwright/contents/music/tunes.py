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

OFF = 0  # the note ends
HOLD = 1  # nothing happens
PITCHED = 2  # the first token of a pitch
VOCABULARY = 38
LOWEST = 48  # MIDI pitch
OCTAVES = 3
TONIC = 14  # the token of the middle C
STEPS = 32  # sixteenths of a melody
BAR = 8  # sixteenths of a motif
MOTIF = 3  # different pitches that make a bar a motif
LEAP = 7  # semitones, at least
APART = 6  # sixteenths after which a leap back resolves
LAGS = (1, 2, 3)  # of autocorrelations

Statistic = tuple[np.ndarray, np.ndarray]  # (pieces,) what counts, (pieces,) of how many


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
    heard = score.grid()[0][:, 0].astype(int)  # (grid steps,) the whole voice
    key = key_of(np.bincount(heard[heard != REST] % 12, minlength=12))
    pitch, onset = _sixteenths(score, steps)
    first_pitch = pitch[np.arange(steps), onset.argmax(1)]  # of the notes that begin there

    begins = onset.any(1)
    silent = pitch[:, 0] == REST
    silent_before = np.append(True, (silent & ~begins)[:-1])
    ends = silent & ~silent_before
    notes = PITCHED + _folded(first_pitch + _to_c(key) - LOWEST)
    return np.where(begins, notes, np.where(ends, OFF, HOLD))


def melody_steps(score: Score, steps: int = STEPS) -> np.ndarray:
    """(steps,) the step of the score's grid at which each of `melody_tokens` is settled: where its
    note begins, else the last step of its sixteenth."""
    _, onset = _sixteenths(score, steps)
    each = onset.shape[1]  # grid steps of a sixteenth
    inside = np.where(onset.any(1), onset.argmax(1), each - 1)
    return np.arange(steps) * each + inside


def _sixteenths(score: Score, steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Pitches and onsets of the first voice, (steps, grid steps of a sixteenth) each; silence after
    the piece."""
    pitches, onsets = score.grid()
    size = steps * score.per_quarter // 4
    pitch = np.append(pitches[:, 0].astype(int), np.full(size, REST))[:size]
    onset = np.append(onsets[:, 0], np.zeros(size, bool))[:size]
    return pitch.reshape(steps, -1), onset.reshape(steps, -1)


def _to_c(key: int) -> int:
    """By how many semitones, -6 to 5, a key (`key_of`) is moved to C major or A minor."""
    is_minor = key >= 12
    tonic = 9 if is_minor else 0
    return (tonic - key + 6) % 12 - 6


def _folded(height: np.ndarray) -> np.ndarray:
    """Semitones over LOWEST, by octaves into the range."""
    top = 12 * OCTAVES
    pitch_class = height % 12
    folded = np.where(height < 0, pitch_class, height)
    return np.where(height >= top, top - 12 + pitch_class, folded)


def statistics(tokens: np.ndarray) -> dict[str, Statistic]:
    """(pieces, steps) tokens -> for each statistic (pieces,) what counts and (pieces,) of how many;
    its value is the ratio of their sums.
    Of all steps, holds and rests among them: repeated, not in key, in motif, in repeated motif.
    leaps resolved: of those resolved or doubled. Of pieces: the rest; autocorrelations leave out a
    piece of one token only, which has none."""
    pieces, steps = tokens.shape
    of_steps = _of_steps(tokens)
    of_pieces = _of_pieces(tokens)
    resolves, doubles = leaps(tokens)  # (pieces, steps) each
    resolved = resolves.sum(1)
    doubled = doubles.sum(1)

    found: dict[str, Statistic] = {}
    for name, marked in of_steps.items():
        found[name] = (marked.sum(1), np.full(pieces, steps))
    for name, marked in of_pieces.items():
        found[name] = (marked, np.ones(pieces))
    found["leaps resolved"] = (resolved, resolved + doubled)

    variance = tokens.var(1)
    deviation = tokens - tokens.mean(1, keepdims=True)
    for lag in LAGS:
        products = (deviation[:, :-lag] * deviation[:, lag:]).sum(1)
        correlation = products / np.maximum(variance, 1e-12) / steps
        found[f"autocorrelation, lag {lag}"] = (correlation, variance > 0)
    return {
        name: (np.asarray(counted, float), np.asarray(of, float))
        for name, (counted, of) in found.items()
    }


def _of_steps(tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of steps: (pieces, steps) bool, or (pieces, bars) for bars from any step."""
    degree = (tokens - TONIC) % 12
    motif = different_pitches(tokens) >= MOTIF
    return {
        "repeated": repeated(tokens),
        "not in key": (tokens >= PITCHED) & ~SCALE[degree],
        "in motif": motif,
        "in repeated motif": motif & heard_before(tokens),
    }


def _of_pieces(tokens: np.ndarray) -> dict[str, np.ndarray]:
    """Statistics of pieces: (pieces,) bool."""
    first = tokens[:, 0]
    degree = (first - TONIC) % 12
    highest = tokens.max(1, keepdims=True)
    pitches = np.where(tokens >= PITCHED, tokens, VOCABULARY)
    lowest = pitches.min(1, keepdims=True)
    return {
        "starts with tonic": first == TONIC,
        "starts with tonic of any octave": (first >= PITCHED) & (degree == 0),
        "unique highest": (tokens == highest).sum(1) == 1,
        "unique lowest": (tokens == lowest).sum(1) == 1,
    }


def different_pitches(tokens: np.ndarray) -> np.ndarray:
    """(pieces, bars) how many different pitches a bar from that step holds; MOTIF make a motif. No
    bars of strings shorter than BAR."""
    if tokens.shape[1] < BAR:
        return np.zeros((len(tokens), 0), int)
    pitches = np.where(tokens >= PITCHED, tokens, OFF)
    ordered = np.sort(sliding_window_view(pitches, BAR, axis=1), -1)  # (pieces, bars, BAR)
    is_new = np.diff(ordered, axis=-1, prepend=OFF) > 0
    return is_new.sum(-1)


def heard_before(tokens: np.ndarray) -> np.ndarray:
    """(pieces, bars) bool: the same bar ended before this one began."""
    if tokens.shape[1] < BAR:
        return np.zeros((len(tokens), 0), bool)
    # a bar as one number, its tokens being the digits
    codes = sliding_window_view(tokens, BAR, axis=1) @ VOCABULARY ** np.arange(BAR)
    same = codes[:, :, None] == codes[:, None]  # (pieces, bars, bars)
    ended = np.tri(codes.shape[1], k=-BAR, dtype=bool)
    return (same & ended).any(-1)


def value_and_band(
    counted: np.ndarray, of: np.ndarray, seed: int = 0, rounds: int = 1000
) -> tuple[float, float, float]:
    """A statistic over all pieces and its 95% interval, the pieces drawn anew each round; nan where
    there is nothing to count."""
    again = np.random.default_rng(seed).integers(len(of), size=(rounds, len(of)))
    with np.errstate(invalid="ignore"):
        value = counted.sum() / of.sum()
        values = np.append(value, counted[again].sum(1) / of[again].sum(1))
    low = np.nan
    high = np.nan
    if of.any():
        low, high = np.quantile(values[~np.isnan(values)], (0.025, 0.975))
    return float(value), float(low), float(high)


def repeated(tokens: np.ndarray) -> np.ndarray:
    """(pieces, steps) bool: the token was there more than 4 times since the last other pitch, more
    than 6 if a rest or hold came between, or it is the third rest. Holds count like pitches: the
    sixth in a row is one too many."""
    too_often = np.zeros(tokens.shape, bool)
    for step in range(1, tokens.shape[1]):
        back = tokens[:, step - 1 :: -1]  # (pieces, step), the newest first
        now = tokens[:, step, None]
        same = back == now
        reached = np.logical_and.accumulate(same | (back < PITCHED), 1)
        times = (same & reached).sum(1)
        between = (~same & reached).any(1)
        allowed = np.where(between, 6, 4)
        third_rest = (now[:, 0] == OFF) & (times > 1)
        too_often[:, step] = (times > allowed) | third_rest
    return too_often


def leaps(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(pieces, steps) bool: a leap is resolved there; a leap is doubled there.

    A leap is open until a leap back, which resolves it only after more than APART steps, or until
    a smaller step reaches where it came from, which always does; a leap the same way doubles it."""
    pieces = len(tokens)
    resolved = np.zeros(tokens.shape, bool)
    doubled = np.zeros(tokens.shape, bool)
    last = np.zeros(pieces, int)  # the last pitch, 0 before the first
    open_way = np.zeros(pieces, int)  # 1, -1: of the leap that is open, 0: none is
    origin = np.zeros(pieces, int)  # where that leap came from
    since = np.zeros(pieces, int)  # steps since the last leap
    for step, now in enumerate(tokens.T):
        pitched = now >= PITCHED
        is_open = open_way != 0
        way = np.sign(now - last)
        leap = pitched & (last > 0) & (abs(now - last) >= LEAP)
        back = leap & (open_way == -way)
        opens = leap & ~is_open
        reaches_origin = (now - origin) * open_way <= 0
        returns = pitched & ~leap & is_open & reaches_origin

        resolved[:, step] = (back & (since > APART)) | returns
        doubled[:, step] = leap & (open_way == way)
        open_way = np.where(opens, way, open_way)
        open_way = np.where(back | returns, 0, open_way)
        origin = np.where(opens, last, origin)
        if step > 0:
            since = since + 1
        since = np.where(leap, 0, since)
        last = np.where(pitched, now, last)
    return resolved, doubled
