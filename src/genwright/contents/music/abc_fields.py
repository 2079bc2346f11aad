"""The information fields of ABC that change how notes are read: metre, unit note length, key,
tempo, voice (ABC 2.1, 3.1 and 7).

Each function takes the text of a field, without its letter, and gives what it says. What a field
says wrongly is `BadMusic` where pitch or length of notes hang on it (keys, unit lengths); else
None, and the reader counts it.
"""

import re
from fractions import Fraction
from typing import NamedTuple

from genwright.contents.music.abc_tokens import ALTERATIONS, LARGEST_NUMBER
from genwright.contents.music.draft import BadMusic

FIFTHS = "FCGDAEB"  # the order in which sharps are added, and flats from the end
_MODES = {
    "maj": 0,
    "ion": 0,
    "min": -3,
    "aeo": -3,
    "m": -3,
    "mix": -1,
    "dor": -2,
    "phr": -4,
    "lyd": 1,
    "loc": -5,
}
_MAJOR = ("", "maj", "ion")
_MINOR = ("m", "min", "aeo")


class Metre(NamedTuple):
    """beats of 4 / unit quarter notes a bar; beats is 0 in free metre (M:none)."""

    beats: int
    unit: int

    @property
    def bar(self) -> Fraction:
        """The length of a bar in whole notes; 0 in free metre."""
        return Fraction(self.beats, self.unit)

    @property
    def compound(self) -> bool:
        """Whether beats fall into threes, by which 4.13 sets the length of tuplets of 5, 7 and
        9."""
        return self.beats % 3 == 0 and self.beats > 3


class Properties(NamedTuple):
    """How the notes of a voice sound beside how they are written (4.6); None where a field does not
    say.

    octave: octaves up, by `octave=`. clef_octave: of a clef with +8 or -8. semitones: up, by
    `transpose=`. unpitched: a clef of percussion. unread: properties that move pitches in other
    dialects."""

    octave: int | None = None
    clef_octave: int | None = None
    semitones: int | None = None
    unpitched: bool | None = None
    unread: int = 0


class KeyField(NamedTuple):
    """alterations: letter -> semitones, None where the field changes no key (a clef alone). sharps:
    of the signature, None where it is none of the circle of fifths. mode: major, minor or "" for
    another."""

    alterations: dict[str, int] | None
    sharps: int | None
    mode: str
    properties: Properties


FREE = Metre(0, 4)


_METRE_SIGNS = {"C": Metre(4, 4), "c": Metre(4, 4), "C|": Metre(2, 2), "c|": Metre(2, 2)}


def metre(text: str) -> Metre | None:
    """M:6/8, C, C|, none, (2+3)/8, 3/8+2/8 (3.1.6); None where it is none of them."""
    text = text.strip()
    if text in _METRE_SIGNS:
        return _METRE_SIGNS[text]
    if text.lower() in ("none", ""):
        return FREE
    if not re.fullmatch(r"[\d+/() ]{1,60}", text):
        return None
    parts = re.findall(r"\(?([\d+ ]+?)\)?\s*/\s*(\d{1,3})", text)  # (beats, unit) of each
    plain = re.sub(r"[() ]", "", text)
    if not parts or plain != "".join(_written(above, unit) for above, unit in parts):
        return None
    units = [int(unit) for _, unit in parts]
    if not all(units):
        return None
    largest = max(units)
    beats = 0  # in the smallest unit
    for (above, _), unit in zip(parts, units, strict=True):
        counts = [int(count) for count in above.split("+") if count.strip()]
        if largest % unit or any(count > LARGEST_NUMBER for count in counts):
            return None
        beats += sum(counts) * largest // unit
    return Metre(beats, largest) if beats else None


def _written(above: str, unit: str) -> str:
    """A part of a metre as it was written, without spaces and parentheses."""
    return f"{above}/{unit}".replace(" ", "")


def unit_length(text: str) -> Fraction:
    """L:1/8, in whole notes (3.1.7). Raises BadMusic."""
    match = re.fullmatch(r"\s*(\d{1,4})(?:\s*/\s*(\d{1,4}))?\s*", text)
    above = int(match[1]) if match else 0
    below = int(match[2] or 1) if match else 0
    if not above or not below or max(above, below) > LARGEST_NUMBER:
        raise BadMusic(f"sets the unit note length {text.strip()[:20]!r}, which is none")
    return Fraction(above, below)


def usual_length(metre: Metre) -> Fraction:
    """The unit note length where no L: sets one (3.1.7): a sixteenth in bars shorter than three
    quarters, else an eighth."""
    if 0 < metre.bar < Fraction(3, 4):
        return Fraction(1, 16)
    return Fraction(1, 8)


def tempo(text: str, unit: Fraction) -> float | None:
    """Quarter notes a minute of Q:1/4=120, "Slow" 1/4 3/8=40.5, and of the outdated 120, C=120 and
    C3=40, whose beats are unit note lengths (3.1.8, 10.1); None where it sets none that can be
    read."""
    text = re.sub(r'"[^"]*"', " ", text).strip()
    match = re.fullmatch(r"(?:([\d/ ]+|C\d{0,3}|C\d/\d)\s*=)?\s*(\d{1,9}(?:\.\d{1,9})?)", text)
    if not match:
        return None
    speed = float(match[2])
    beat = _beat(match[1] or "C", unit)
    if beat is None:
        return None
    return float(4 * beat) * speed


def _beat(text: str, unit: Fraction) -> Fraction | None:
    """How long the beat of a tempo is, in whole notes: 1/4, 1/4 3/8, and C, C3 in unit note
    lengths; None where it says none."""
    text = text.strip()
    if text.startswith("C"):
        if text.endswith("/0"):
            return None
        return unit * Fraction(text[1:] or "1")
    lengths = text.split()
    if not 0 < len(lengths) < 9:
        return None
    if not all(re.fullmatch(r"[1-9]\d{0,3}(/[1-9]\d{0,3})?", length) for length in lengths):
        return None
    return sum(map(Fraction, lengths), Fraction(0))


# a name in small letters, but no mode before an accidental, as in D mix =c
_PROPERTY = re.compile(
    r"""
    (?<!\S)
    (?! maj|min|mix|dor|phr|lyd|loc|aeo|ion|exp|m\s*= )
    ([a-z][a-z-]*) \s*=\s* ("[^"]*"|[^\s"]+)
    """,
    re.VERBOSE,
)
_CLEF = re.compile(
    r"""
    (?:treble|alto|tenor|bass|mezzosoprano|soprano|baritone|perc|none|[GCFP])?
    \d? ([+^_-](?:8|15))?
    """,
    re.IGNORECASE | re.VERBOSE,
)
_CLEF_WORD = re.compile(r"(?:treble|alto|tenor|bass|perc)\d?(?:[+^_-](?:8|15))?", re.I)
_UNREAD = ("score", "sound", "shift", "instrument", "map")


def properties(text: str) -> tuple[Properties, str]:
    """The properties that a V: or K: field names, and its other words. Raises BadMusic for a number
    that is none."""
    found = {name.lower(): value.strip('"') for name, value in _PROPERTY.findall(text)}
    kept: list[str] = []
    clef = found.get("clef", found.get("cl"))
    for word in _PROPERTY.sub(" ", text).split():
        if _CLEF_WORD.fullmatch(word):
            clef = word
        else:
            kept.append(word)
    clef_octave, unpitched = _clef(clef)
    unread = sum(name in _UNREAD for name in found)
    if clef is not None and clef_octave is None:
        unread += 1
    octave = _small(found.get("octave"), "octave")
    semitones = _small(found.get("transpose", found.get("t")), "transpose")
    return Properties(octave, clef_octave, semitones, unpitched, unread), " ".join(kept)


def _clef(text: str | None) -> tuple[int | None, bool | None]:
    """(octaves up, whether it is one of percussion) of a clef; None for both where it is none."""
    match = _CLEF.fullmatch(text) if text is not None else None
    if text is None or match is None:
        return None, None
    octaves = 0
    if match[1]:  # such as +8 or _15
        octaves = 2 if match[1][1:] == "15" else 1
        if match[1][0] in "-_":
            octaves = -octaves
    return octaves, text.lower().startswith(("perc", "p"))


def _small(text: str | None, name: str) -> int | None:
    """A number of octaves or semitones. name: of the property. Raises BadMusic."""
    if text is None:
        return None
    if not re.fullmatch(r"[+-]?\d{1,3}", text):
        raise BadMusic(f"sets {name}={text[:20]}, which is no number")
    return int(text)


def signature(sharps: int) -> dict[str, int]:
    """letter -> semitones of so many sharps, or flats where negative; from eight on letters are
    altered twice."""
    return {letter: (sharps - place - 1) // 7 + 1 for place, letter in enumerate(FIFTHS)}


_KEY = re.compile(
    r"([A-G])([#b]?)\s*(maj|ion|min|aeo|mix|dor|phr|lyd|loc|m(?![a-z])|exp|)([a-z]*)(.*)",
    re.I | re.S,
)
_ACCIDENTALS = re.compile(r"(\^\^?|__?|=)([A-Ga-g])")
_SHARPS_OF_SIGN = {"b": -7, "": 0, "#": 7}  # of the signature, beside that of the natural tonic


def key(text: str) -> KeyField:
    """K:G, F# mix, Am, D Phr ^f, D exp _b _e ^f, Hp, none, with a clef and other properties
    (3.1.14, 4.6). Raises BadMusic."""
    moved, words = properties(text)
    if words in ("", "none"):
        clef_alone = words == "" and text.strip() != ""
        return KeyField(None if clef_alone else signature(0), None, "", moved)
    # the pipes sound F and C sharp, whether the sharps are printed or not
    if words in ("HP", "Hp"):
        return KeyField(signature(2), 2, "", moved)
    match = _KEY.fullmatch(words)
    if match is None or not match[1].isupper():
        if not _changes(words):
            raise _no_key(text)
        return _altered(signature(0), words, text, moved)
    tonic, sign, mode, rest_of_mode, changes = match.groups()
    mode = mode.lower()
    is_other_word = mode in ("", "m") and rest_of_mode
    if is_other_word or sign not in _SHARPS_OF_SIGN:
        raise _no_key(text)
    if mode == "exp":
        return _altered(signature(0), changes, text, moved)
    sharps = FIFTHS.index(tonic) - 1 + _SHARPS_OF_SIGN[sign] + _MODES.get(mode, 0)
    if changes.strip():
        return _altered(signature(sharps), changes, text, moved)
    return KeyField(signature(sharps), sharps, _mode_name(mode), moved)


def _no_key(text: str) -> BadMusic:
    return BadMusic(f"sets the key {text.strip()[:20]!r}, which is none of ABC")


def _mode_name(mode: str) -> str:
    """As a score calls a mode: major, minor, or "" for another."""
    if mode in _MAJOR:
        return "major"
    if mode in _MINOR:
        return "minor"
    return ""


def _changes(words: str) -> list[tuple[str, str]] | None:
    """The accidentals of a key, or None where there is something else."""
    others = _ACCIDENTALS.sub("", words)
    return None if others.strip() else _ACCIDENTALS.findall(words)


def _altered(alterations: dict[str, int], words: str, text: str, moved: Properties) -> KeyField:
    """A key with accidentals of its own; it is one of the circle of fifths where those make it
    so."""
    changes = _changes(words)
    if changes is None:
        raise _no_key(text)
    for sign, letter in changes:
        alterations[letter.upper()] = ALTERATIONS[sign]
    sharps = next((n for n in range(-7, 8) if signature(n) == alterations), None)
    return KeyField(alterations, sharps, "", moved)
