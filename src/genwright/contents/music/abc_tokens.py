"""The signs of ABC music code, as ABC 2.1 defines them in section 4
(https://abcnotation.com/wiki/abc:standard:v2.1).

`tokens` turns a line of music code into typed tokens, from left to right, each sign once: a regular
expression says where a token ends, a function makes it. Whatever is no sign of ABC raises
`BadMusic` with the offending text. The work is linear in the text, and numbers are small enough
that their sums stay cheap. What the signs mean over time is for `abc_voice.py`.
"""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from genwright.contents.music.draft import BadMusic

ALTERATIONS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
# in lengths and tuplets; common denominators of larger ones would make sums of times slow
LARGEST_NUMBER = 1024


class Note(NamedTuple):
    """A note. letter: A to G. octave: 0 is that of C (middle C), 1 that of c. alteration:
    semitones, None where none is written.
    length: in unit note lengths. text: as it is written."""

    letter: str
    octave: int
    alteration: int | None
    length: Fraction
    text: str


class Rest(NamedTuple):
    """z or x. length: in unit note lengths."""

    length: Fraction


class BarRest(NamedTuple):
    """Z or X: a rest of so many bars."""

    bars: int


class Chord(NamedTuple):
    """Notes in brackets, with what their brackets hold.

    length: of the first of them, by which the chord lasts, times the length written after the
    brackets. unequal: whether another of them has another length. ties: indices of the notes that a
    tie follows inside the brackets."""

    notes: tuple[Note, ...]
    length: Fraction
    unequal: bool
    ties: tuple[int, ...]
    marks: "tuple[Decoration | Quoted, ...]"


class Grace(NamedTuple):
    """The notes of a group in braces; they take no time."""

    notes: tuple[Note, ...]


class Bar(NamedTuple):
    """A bar line, as it is written, without the numbers of an ending that follow it."""

    text: str


class Ending(NamedTuple):
    """Numbers of a variant ending: [1, |1, [2-4; or its name, ["Coda", where no chord follows."""

    numbers: str


class Broken(NamedTuple):
    """> or <, once or several times. signs: how many."""

    longer_first: bool
    signs: int


class Tuplet(NamedTuple):
    """p notes in the time of q for the next r notes; None where it is not written."""

    p: int
    q: int | None
    r: int | None
    text: str


class Tie(NamedTuple):
    """A hyphen."""


class Overlay(NamedTuple):
    """& signs. bars: how many."""

    bars: int


class Field(NamedTuple):
    """An information field, on its own line or in brackets."""

    letter: str
    text: str


class Decoration(NamedTuple):
    """A name between exclamation marks, or a sign or letter that stands for one (4.14, 4.16); the
    text is without the marks.

    symbol: it is a sign or letter."""

    text: str
    symbol: bool


class Quoted(NamedTuple):
    """A chord symbol, or an annotation, which begins with ^ _ < > or @."""

    text: str


class Number(NamedTuple):
    """A number that belongs to no note: of an ending, if it begins a line and the line before ends
    with a bar line."""

    text: str


class Ignored(NamedTuple):
    """A sign that has no effect: the reserved # * ; ? @ (8.1), a line break of old ($ or a single
    !), a stray sign: an accidental, an octave mark, a colon, a bracket that belongs to nothing."""

    text: str


Token: TypeAlias = (
    Note
    | Rest
    | BarRest
    | Chord
    | Grace
    | Bar
    | Ending
    | Broken
    | Tuplet
    | Tie
    | Overlay
    | Field
    | Decoration
    | Quoted
    | Number
    | Ignored
)

_PATTERN = re.compile(
    r"""
      # beams, spacers and slurs move nothing
      (?P<space>    [ \t`]+ | y\d*/*\d* | \((?![\d&]) | \) )
    | (?P<note>     (?:\^\^? | __? | =)? [A-Ga-g] [,']* \d*/*\d* )
    | (?P<rest>     [zx] \d*/*\d* )
    | (?P<barrest>  [ZX] \d* )
    | (?P<bar>      \.?(?: \[\|[\]:|]* | :*\|[\]:|]* | ::+ ) (?: \d+(?:[,-]\d+)* )? )
    | (?P<ending>   \[ (?: \d+(?:[,-]\d+)* | "[^"]*" (?= [^\]|\[]* (?:\||\Z) ) ) )
    | (?P<field>    \[ [A-Za-z]: [^\]]* \] )
    | (?P<chord>    \[ (?=[^\]]*\]) (?=[ \t"!.~^_=A-Ga-gH-Wh-w]) )
    | (?P<tie>      - )
    | (?P<broken>   >+ | <+ )
    | (?P<tuplet>   \( \d+ (?: :\d* ){0,2} )
    | (?P<grace>    \{ [^}]* \} )
    | (?P<quoted>   "[^"]*" )
    | (?P<named>    ! (?: [^!\s|]+ | D\.[CS]\.[ ]?al[ ]?\w+ ) ! )
    | (?P<plus>     \+ [^+\s|]+ \+ )
    | (?P<symbol>   [.~H-Wh-w] )
    | (?P<overlay>  &+ (?!\)) )
    | (?P<number>   \d+(?:[,-]\d+)* )
    | (?P<ignored>  [\#*;?@$!\]}:=^_,'+\\] )
    """,
    re.VERBOSE,
)
_CHORD_END = re.compile(r"\](\d*/*\d*)")


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a line of music code. Raises BadMusic for what is no sign of ABC."""
    place = 0
    while place < len(text):
        match = _PATTERN.match(text, place)
        if match is None:
            raise BadMusic(f"holds {_excerpt(text, place)}, which is no music of ABC")
        kind = match.lastgroup
        place = match.end()
        assert kind is not None
        if kind == "space":
            continue
        if kind == "chord":
            chord, place = _chord(text, match.start())
            yield chord
        elif kind == "bar":
            yield from _bar(match[0])
        else:
            yield _MAKERS[kind](match[0])


def _excerpt(text: str, place: int) -> str:
    """The word at a place, cut short, as it is shown to a person."""
    words = text[place : place + 20].split()
    return repr(words[0] if words else text[place])


@lru_cache(maxsize=4096)
def length(text: str) -> Fraction:
    """A note's length as it is written, "3/2", "/", "//", "" (4.3). Raises BadMusic."""
    if not text:
        return Fraction(1)
    slashes = text.count("/")
    above, _, after = text.partition("/")
    below = after.lstrip("/")
    if slashes > 1 and below or slashes > 8:
        raise BadMusic(f"holds the length {text[:20]!r}, which is no length of ABC")
    top = number(above, "the length") if above else 1
    bottom = number(below, "the length") if below else 2**slashes
    if not top or not bottom:
        raise BadMusic(f"holds the length {text[:20]!r}, which is none")
    return Fraction(top, bottom)


def number(digits: str, what: str) -> int:
    """A number from 0 to LARGEST_NUMBER. Raises BadMusic, which says of `what` it is."""
    if len(digits) > 12 or int(digits) > LARGEST_NUMBER:
        raise BadMusic(f"holds {what} {digits[:20]}, which is larger than {LARGEST_NUMBER}")
    return int(digits)


_NOTE_PARTS = re.compile(r"([\^_=]*)([A-Ga-g])([,']*)(.*)")


@lru_cache(maxsize=16384)
def _note(text: str) -> Note:
    parts = _NOTE_PARTS.fullmatch(text)
    assert parts is not None
    sign, letter, marks, written = parts.groups()
    octave = int(letter.islower()) + marks.count("'") - marks.count(",")
    return Note(letter.upper(), octave, ALTERATIONS.get(sign), length(written), text)


def _bar(text: str) -> Iterator[Token]:
    """A bar line, and the ending whose numbers may follow it."""
    line = text.rstrip("0123456789,-")
    yield Bar(line.lstrip("."))
    numbers = text[len(line) :]
    if numbers:
        yield Ending(numbers)


def _broken(text: str) -> Broken:
    if len(text) > 3:
        raise BadMusic(f"holds {text[:20]!r}, and a broken rhythm has at most three signs")
    return Broken(text[0] == ">", len(text))


def _tuplet(text: str) -> Tuplet:
    numbers: list[int | None] = []
    for part in text[1:].split(":"):
        numbers.append(number(part, "the tuplet number") if part else None)
    if 0 in numbers:
        raise BadMusic(f"holds the tuplet {text!r}, which is none")
    p, q, r = [*numbers, None, None][:3]
    assert p is not None
    return Tuplet(p, q, r, text)


def _grace(text: str) -> Grace:
    inner = text[1:-1].removeprefix("/")
    notes: list[Note] = []
    for token in tokens(inner):
        if isinstance(token, Note):
            notes.append(token)
        elif isinstance(token, Chord):
            notes.extend(token.notes)
        elif not isinstance(token, Rest | Broken | Tie | Decoration | Tuplet):
            raise BadMusic(f"holds grace notes {text[:20]!r} with something else among them")
    return Grace(tuple(notes))


def _chord(text: str, start: int) -> tuple[Chord, int]:
    """The chord whose opening bracket is at `start`, and where the text goes on."""
    stop = _chord_stop(text, start + 1)
    written = text[start : stop + 1][:20]
    notes: list[Note] = []
    lengths: list[Fraction] = []
    ties: list[int] = []
    marks: list[Decoration | Quoted] = []
    for token in tokens(text[start + 1 : stop]):
        if isinstance(token, Note):
            notes.append(token)
            lengths.append(token.length)
        elif isinstance(token, Rest):
            lengths.append(token.length)
        elif isinstance(token, Tie) and notes:
            ties.append(len(notes) - 1)
        elif isinstance(token, Decoration | Quoted):
            marks.append(token)
        else:
            raise BadMusic(f"holds the chord {written!r}, which is not made of notes")
    after = _CHORD_END.match(text, stop)
    if not notes or after is None:
        raise BadMusic(f"holds the chord {written!r}, which has no notes")
    unequal = any(each != lengths[0] for each in lengths)
    chord = Chord(tuple(notes), lengths[0] * length(after[1]), unequal, tuple(ties), tuple(marks))
    return chord, after.end()


def _chord_stop(text: str, place: int) -> int:
    """Where the closing bracket is, past brackets inside quotes."""
    quoted = False
    while place < len(text):
        if text[place] == '"':
            quoted = not quoted
        elif text[place] == "]" and not quoted:
            return place
        place += 1
    raise BadMusic(f"holds a chord that does not end: {text[-20:]!r}")


_NOTES = re.compile(r"(?:[\^_=]*[A-Ga-g][,']*[\d/]*)+")
_LOUD = ("f", "ff", "fff", "ffff")  # dynamics, which could be notes


def _plus(text: str) -> Token:
    """Between plus signs stand a decoration of ABC 2.0, or, before 2.0, the notes of a chord
    (10.2)."""
    inner = text[1:-1]
    if _NOTES.fullmatch(inner) and inner not in _LOUD:
        chord, _ = _chord(f"[{inner}]", 0)
        return chord
    return Decoration(inner, symbol=False)


_MAKERS: dict[str, Callable[[str], Token]] = {
    "note": _note,
    "rest": lambda text: Rest(length(text[1:])),
    "barrest": lambda text: BarRest(number(text[1:] or "1", "the rest of bars")),
    "ending": lambda text: Ending(text[1:]),
    "field": lambda text: Field(text[1], text[3:-1].strip()),
    "tie": lambda text: Tie(),
    "broken": _broken,
    "tuplet": _tuplet,
    "grace": _grace,
    "quoted": lambda text: Quoted(text[1:-1]),
    "named": lambda text: Decoration(text[1:-1], symbol=False),
    "plus": _plus,
    "symbol": lambda text: Decoration(text, symbol=True),
    "overlay": lambda text: Overlay(len(text)),
    "number": Number,
    "ignored": Ignored,
}
