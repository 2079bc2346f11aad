"""The reward rules of RL Tuner (Jaques, Gu, Turner, Eck 2016, arXiv 1611.02796, and the program
that was published with it), step by step, of the strings of `tunes`.

1. Each rule gives what a token earns, given the tokens before it; a melody's reward is the sum.
2. What a step is told by is of `tunes`: leaps, motifs, repetitions, the key.
3. Values are those of the program, before its scale of 0.1.

Noise beats real tunes in some of them (motifs, unique extremes), so no sum means anything but
beside both. In the published evaluation, not in these rewards, thirds in the key were counted
nowhere, since a comparison was bracketed wrongly; here each interval is counted as what it is.
"""

import numpy as np

from genwright.contents.music.descriptors import SCALE
from genwright.contents.music.tunes import (
    BAR,
    HOLD,
    LAGS,
    MOTIF,
    OFF,
    PITCHED,
    TONIC,
    VOCABULARY,
    different_pitches,
    heard_before,
    leaps,
    repeated,
)

OUT_OF_KEY = -1.0
TONIC_PLACED = 3.0
ENDING = 4  # the last steps, which the tonic is to begin
REPEATED = -100.0
CORRELATED = -3.0  # times the correlation
CORRELATION = 0.15  # below it, nothing is taken off
MOTIF_PLAYED = 3.0
MOTIF_RICHER = 0.3  # for each pitch more than MOTIF
MOTIF_REPEATED = 4.0
MOTIF_REPEATED_RICHER = 1.0
LEAP_RESOLVED = 5.0
LEAP_DOUBLED = -5.0
UNIQUE = 3.0
PREFERENCE = 5.0  # times what stands here
# semitones -> how welcome the interval is; others are neither, and beyond an octave see TOO_WIDE
INTERVALS = {2: 0.08, 4: 0.09, 5: 0.07, 7: 0.02, 9: 0.05, 11: -0.3}
TOO_WIDE = -1.0
FIFTH_IN_KEY = 0.1  # from the tonic or the fifth
THIRD_IN_KEY = 0.15  # from the tonic or the third
RESTED = (0.05, 0.15)  # after any note, after the tonic or the fifth
HELD = (0.075, 0.3)


def rules(tokens: np.ndarray) -> dict[str, np.ndarray]:
    """(pieces, steps) tokens -> for each rule (pieces, steps) float64, what each step earns."""
    highest, lowest = _unique(tokens)
    return {
        "key": _key(tokens),
        "tonic": _tonic(tokens),
        "repeating": np.where(repeated(tokens), REPEATED, 0.0),
        "autocorrelation": _autocorrelation(tokens),
        "motif": _motif(tokens),
        "repeated motif": _repeated_motif(tokens),
        "preferred intervals": PREFERENCE * _intervals(tokens),
        "leaps": _leaps(tokens),
        "unique highest": highest,
        "unique lowest": lowest,
    }


def _key(tokens: np.ndarray) -> np.ndarray:
    """A note outside of C major."""
    degree = (tokens - TONIC) % 12
    return np.where((tokens >= PITCHED) & ~SCALE[degree], OUT_OF_KEY, 0.0)


def _tonic(tokens: np.ndarray) -> np.ndarray:
    """The middle C at the first step and at the fourth last one; after that, that it is held, and
    in the last two steps that nothing new begins."""
    steps = tokens.shape[1]
    last = steps - ENDING
    right = np.zeros(tokens.shape, bool)
    right[:, last + 1 :] = tokens[:, last + 1 :] == HOLD
    right[:, last + 2 :] |= tokens[:, last + 2 :] == OFF
    for step in (0, last):
        right[:, step] = tokens[:, step] == TONIC
    return np.where(right, TONIC_PLACED, 0.0)


def _autocorrelation(tokens: np.ndarray) -> np.ndarray:
    """How strongly the string so far, this token included, is correlated with itself."""
    found = np.zeros(tokens.shape)
    for length in range(2, tokens.shape[1] + 1):
        so_far = tokens[:, :length]
        deviation = so_far - so_far.mean(1, keepdims=True)
        variance = np.maximum(so_far.var(1), 1e-12)  # of one token only: nothing deviates
        for lag in LAGS:
            if lag >= length:
                continue
            products = (deviation[:, :-lag] * deviation[:, lag:]).sum(1)
            strength = abs(products / length / variance)
            found[:, length - 1] += np.where(strength > CORRELATION, strength, 0.0)
    return CORRELATED * found


def _motif(tokens: np.ndarray) -> np.ndarray:
    """The last BAR steps hold MOTIF different pitches or more."""
    pitches = different_pitches(tokens)  # (pieces, bars)
    earned = MOTIF_PLAYED + MOTIF_RICHER * np.maximum(pitches - MOTIF, 0)
    return _at_last_steps(np.where(pitches >= MOTIF, earned, 0.0), tokens)


def _repeated_motif(tokens: np.ndarray) -> np.ndarray:
    """And the same steps were there before."""
    pitches = different_pitches(tokens)
    again = (pitches >= MOTIF) & heard_before(tokens)
    earned = MOTIF_REPEATED + MOTIF_REPEATED_RICHER * np.maximum(pitches - MOTIF, 0)
    return _at_last_steps(np.where(again, earned, 0.0), tokens)


def _at_last_steps(of_bars: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """(pieces, bars) of a bar from each step -> (pieces, steps), at the step that ends it."""
    found = np.zeros(tokens.shape)
    found[:, BAR - 1 :] = of_bars
    return found


def _intervals(tokens: np.ndarray) -> np.ndarray:
    """How welcome the interval from the note before is, or a rest or hold after it; 0 before there
    is a note."""
    before = _notes_before(tokens)
    degree = (before - TONIC) % 12  # of the note before
    from_tonic = degree == 0
    from_third = degree == 4
    from_fifth = degree == 7
    size = abs(tokens - before)

    welcome = np.zeros(VOCABULARY)
    for semitones, value in INTERVALS.items():
        welcome[semitones] = value
    welcome[13:] = TOO_WIDE
    found = welcome[np.minimum(size, VOCABULARY - 1)]
    found = np.where((size == 7) & (from_tonic | from_fifth), FIFTH_IN_KEY, found)
    found = np.where((size == 4) & (from_tonic | from_third), THIRD_IN_KEY, found)

    stable = from_tonic | from_fifth
    found = np.where(tokens == OFF, np.where(stable, RESTED[1], RESTED[0]), found)
    found = np.where(tokens == HOLD, np.where(stable, HELD[1], HELD[0]), found)
    return np.where(before < PITCHED, 0.0, found)


def _notes_before(tokens: np.ndarray) -> np.ndarray:
    """(pieces, steps) the last token of a pitch before each step, 0 where there is none."""
    before = np.zeros_like(tokens)
    for step in range(1, tokens.shape[1]):
        newest = tokens[:, step - 1]
        before[:, step] = np.where(newest >= PITCHED, newest, before[:, step - 1])
    return before


def _leaps(tokens: np.ndarray) -> np.ndarray:
    """A leap is resolved, or followed by one more the same way."""
    resolved, doubled = leaps(tokens)
    return np.where(resolved, LEAP_RESOLVED, 0.0) + np.where(doubled, LEAP_DOUBLED, 0.0)


def _unique(tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At the last step: the highest token stands once, the lowest pitch stands once."""
    pitches = np.where(tokens >= PITCHED, tokens, VOCABULARY)
    lowest = pitches.min(1, keepdims=True)
    highest = tokens.max(1, keepdims=True)
    earned_high = np.zeros(tokens.shape)
    earned_low = np.zeros(tokens.shape)
    earned_high[:, -1] = np.where((tokens == highest).sum(1) == 1, UNIQUE, 0.0)
    earned_low[:, -1] = np.where((tokens == lowest).sum(1) == 1, UNIQUE, 0.0)
    return earned_high, earned_low
