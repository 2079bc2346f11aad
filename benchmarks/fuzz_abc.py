"""Generated ABC through the reader. Whole tunes are written from a known list of notes, rests, bars
and signs, and must be read as that list, note by note and count by count; damaged ones must be a
piece or a sentence. No traceback, no hang, nothing lost in silence.

    python benchmarks/fuzz_abc.py --examples 10000
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common import finish
from genwright.contents.music import abc_file, abc_reader
from genwright.contents.music.draft import BadMusic, Draft

SLOWEST = 5.0  # CPU seconds that one example may take
LENGTHS = {
    "": Fraction(1),
    "2": Fraction(2),
    "/": Fraction(1, 2),
    "/2": Fraction(1, 2),
    "3/2": Fraction(3, 2),
    "//": Fraction(1, 4),
    "/4": Fraction(1, 4),
    "3": Fraction(3),
    "4": Fraction(4),
    "3/": Fraction(3, 2),
    "7/4": Fraction(7, 4),
    "1": Fraction(1),
}
ACCIDENTALS = {"": None, "^": 1, "_": -1, "=": 0, "^^": 2, "__": -2}
BROKEN = {">": (Fraction(3, 2), Fraction(1, 2)), "<": (Fraction(1, 2), Fraction(3, 2))}
BROKEN |= {">>": (Fraction(7, 4), Fraction(1, 4)), "<<<": (Fraction(1, 8), Fraction(15, 8))}
KEYS = {  # by hand: which letters are sharp (+) or flat (-)
    "C": "",
    "G": "F+",
    "D": "F+C+",
    "F": "B-",
    "Bb": "B-E-",
    "Am": "",
    "Em": "F+",
    "Gm": "B-E-",
    "A": "F+C+G+",
    "D dor": "",
    "Amix": "F+C+",
    "E phr": "",
    "B loc": "",
    "Flyd": "",
    "Eb": "B-E-A-",
    "C minor": "B-E-A-",
    "none": "",
    "D =c": "F+",
    "D exp _b _e ^f": "B-E-F+",
    "F# min": "F+C+G+",
    "Hp": "F+C+",
}
METRES = {
    "4/4": (4, 4),
    "C": (4, 4),
    "C|": (2, 2),
    "3/4": (3, 4),
    "6/8": (6, 8),
    "2+3/8": (5, 8),
    "(2+2+3)/8": (7, 8),
    "9/8": (9, 8),
}
UNITS = {"1/8": Fraction(1, 2), "1/4": Fraction(1), "1/16": Fraction(1, 4)}  # in quarter notes
IN_THE_TIME_OF = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}
COUNTED = {  # text -> what it is counted as
    '"Am"': "chord symbols",
    '"C#m7/G"': "chord symbols",
    '"^slowly"': "annotations",
    '"@1,2 here [x"': "annotations",
    "!trill!": "decorations",
    "~": "decorations",
    ".": "decorations",
    "u": "decorations",
    "!f!": "decorations",
    "{g}": "grace notes",
    "{/^c}": "grace notes",
}
SPACES = (
    "",
    "",
    "",
    " ",
    "`",
    "  ",
    "y ",
    "\n",
    "\\\n",
    "\n% a bad egg\n",
    "\nr:a bad egg\n",
    "\n%%begintext\nabc\n\nX:7\n%%endtext\n",
)
BARS = ("|", "||", "|]", ":|", "::", "|:", "[|", "|1 ", ":|2 ", "[|]", ".|")
REPEATS = (":|", "::", ":|2 ")


class Note(NamedTuple):
    """accidental, length: as they are written."""

    letter: str
    octave: int
    accidental: str
    length: str

    @property
    def place(self) -> str:
        letter = self.letter.lower() if self.octave > 0 else self.letter
        return letter + "'" * (self.octave - 1) + "," * -self.octave


class Item(NamedTuple):
    """What is written: one of KINDS, its notes, and its sign. before: what is counted, ahead of it;
    space: after it."""

    kind: str
    notes: tuple[Note, ...]
    sign: str
    before: tuple[str, ...]
    space: str


class Sound(NamedTuple):
    start: Fraction
    length: Fraction
    pitch: int
    tied: bool


class Voice:
    """A voice as it is written, and what must be read."""

    def __init__(self, unit: Fraction, metre: str, key: str):
        self.unit, self.metre = unit, METRES[metre]
        self.alterations = _signature(key)
        self.text: list[str] = []
        self.sounds: list[Sound] = []
        self.bars: list[Fraction] = []
        self.counts: Counter[str] = Counter()
        self.now = Fraction(0)
        self.bar: dict[str, int] = {}  # accidentals of the bar
        self.tied: dict[tuple[str, int], int] = {}  # what a tie stands after

    def add(self, item: Item) -> None:
        for sign in item.before:
            if sign == "{/^c}":
                self.bar["C"] = 1
            if sign == "." and "bar" in item.kind:
                continue  # it would be of the bar line
            self.text.append(sign)
            self.counts[COUNTED[sign]] += 1
        getattr(self, f"_{item.kind}")(item)
        self.text.append(item.space)

    def _sound(self, notes: tuple[Note, ...], length: Fraction, tie_from: bool = True) -> None:
        tied, self.tied = self.tied, {}
        for note in notes:
            carried = tied.get((note.letter, note.octave))
            written = ACCIDENTALS[note.accidental]
            if written is not None:
                self.bar[note.letter] = written
            alteration = self.bar.get(note.letter, self.alterations.get(note.letter, 0))
            pitch = (
                60
                + 12 * note.octave
                + dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))[note.letter]
                + alteration
            )
            if carried is not None and written is None:
                pitch = carried
            self.sounds.append(Sound(self.now, length, pitch, pitch in tied.values()))
            self.last = {
                **(self.last if note is not notes[0] else {}),
                (note.letter, note.octave): pitch,
            }
        self.now += length

    def _note(self, item: Item) -> None:
        note = item.notes[0]
        self.text.append(f"{note.accidental}{note.place}{note.length}")
        self._sound(item.notes[:1], LENGTHS[note.length] * self.unit)

    def _rest(self, item: Item) -> None:
        self.text.append(f"{'x' if item.sign == '<' else 'z'}{item.notes[0].length}")
        self.tied = {}
        self.now += LENGTHS[item.notes[0].length] * self.unit

    def _chord(self, item: Item) -> None:
        notes = tuple({note.letter: note for note in item.notes}.values())
        length = item.notes[0].length
        self.text.append(f"[{''.join(note.accidental + note.place for note in notes)}]{length}")
        self._sound(notes, LENGTHS[length] * self.unit)

    def _broken(self, item: Item) -> None:
        first, second = item.notes[:2]
        sign = item.sign if item.sign in BROKEN else ">"
        length = first.length
        self.text.append(
            f"{first.accidental}{first.place}{length}{sign}{second.accidental}{second.place}{length}"
        )
        for note, share in zip((first, second), BROKEN[sign], strict=True):
            self._sound((note,), LENGTHS[length] * self.unit * share)

    def _tuplet(self, item: Item) -> None:
        p = len(item.notes)
        compound = self.metre[0] % 3 == 0 and self.metre[0] > 3
        q = IN_THE_TIME_OF.get(p, 3 if compound else 2)
        self.text.append(f"({p}")
        for note in item.notes:
            self.text.append(f"{note.accidental}{note.place}{note.length}")
            self._sound((note,), LENGTHS[note.length] * self.unit * Fraction(q, p))

    def _tie(self, item: Item) -> None:
        note = item.notes[0]
        again = note._replace(accidental="")
        bar = item.sign if item.sign in BARS[:3] else ""
        self.text.append(
            f"{note.accidental}{note.place}{note.length}-{bar}{again.place}{again.length}"
        )
        self._sound((note,), LENGTHS[note.length] * self.unit)
        self.tied = dict(self.last)
        if bar:
            self._bar_line(bar)
        self._sound((again,), LENGTHS[note.length] * self.unit)

    def _bar(self, item: Item) -> None:
        sign = item.sign if item.sign in BARS else "|"
        self.text.append(f" {sign}")
        self._bar_line(sign)

    def _bar_line(self, sign: str) -> None:
        self.bar = {}
        self.bars.append(self.now)
        self.counts["repeats not played out"] += sign in REPEATS

    def _bars_of_rest(self, item: Item) -> None:
        bars = 1 + len(item.notes)
        size = Fraction(4 * self.metre[0], self.metre[1])
        self.text.append(f" |Z{bars}|")
        self._bar_line("|")
        self.bars += [self.now + i * size for i in range(1, bars)]
        self.now += bars * size
        self.tied = {}
        self._bar_line("|")

    def _field(self, item: Item) -> None:
        choice = LENGTHS[item.notes[0].length].numerator % 3
        if choice == 0:
            self.text.append("[L:1/16]")
            self.unit = Fraction(1, 4)
        elif choice == 1:
            key = list(KEYS)[len(item.notes) + item.notes[0].octave]
            self.text.append(f"[K:{key}]")
            self.alterations = _signature(key)
            self.bar = {}
        else:
            self.text.append("[M:3/4]")
            self.metre = (3, 4)


KINDS = (
    "note",
    "note",
    "note",
    "note",
    "rest",
    "chord",
    "broken",
    "tuplet",
    "tie",
    "bar",
    "bar",
    "bars_of_rest",
    "field",
)
NOTES = st.builds(
    Note,
    st.sampled_from("CDEFGAB"),
    st.integers(-1, 2),
    st.sampled_from(["", "", "", *ACCIDENTALS]),
    st.sampled_from(list(LENGTHS)),
)
ITEMS = st.builds(
    Item,
    st.sampled_from(KINDS),
    st.lists(NOTES, min_size=2, max_size=9).map(tuple),
    st.sampled_from([*BROKEN, *BARS]),
    st.lists(st.sampled_from(list(COUNTED)), max_size=2).map(tuple),
    st.sampled_from(SPACES),
)


class Written(NamedTuple):
    """A file of one tune, and what must be read of it."""

    text: str
    voices: list[list[Sound]]
    bars: list[Fraction]
    counts: dict[str, int]


def _signature(key: str) -> dict[str, int]:
    marks = KEYS[key]
    return {marks[i]: 1 if marks[i + 1] == "+" else -1 for i in range(0, len(marks), 2)}


def written(metre: str, unit: str, key: str, parts: list[list[Item]]) -> Written:
    """The items of each voice, one voice after the other, as a tune."""
    lines = [f"X:1\nT:A bad egg\nM:{metre}\nL:{unit}\nK:{key}\n"]
    voices = []
    counts: Counter[str] = Counter()
    for name, items in enumerate(parts, 1):
        voice = Voice(UNITS[unit], metre, key)
        for item in items:
            voice.add(item)
        music = "".join(voice.text).rstrip("\n")  # an empty line would end the tune
        lines.append(f"V:{name}\n{music}\n")
        voices.append(voice)
        if name > 1:
            del voice.counts["repeats not played out"]  # they are counted once, in the first
        counts += voice.counts
    bars = sorted({Fraction(0), *voices[0].bars})
    return Written("".join(lines), [voice.sounds for voice in voices], bars, dict(counts))


WHOLE = st.builds(
    written,
    st.sampled_from(list(METRES)),
    st.sampled_from(list(UNITS)),
    st.sampled_from(list(KEYS)),
    st.lists(st.lists(ITEMS, min_size=1, max_size=12), min_size=1, max_size=3),
)
PIECES = (
    "C",
    "c'",
    "^F,",
    "_b2",
    "=A/2",
    "z",
    "Z",
    "Z99999",
    "x4",
    "C99999999999",
    "C/////////",
    "d0",
    "(3",
    "(9999",
    "(3:2:2",
    "(5:0",
    "[CE]",
    "[",
    "]",
    "{",
    "}",
    "{a",
    "[K:",
    "[K:G]",
    "[M:none]",
    "[M:9999/1]",
    "[L:1/0]",
    "[V:2]",
    "[V:x octave=99]",
    "[Q:1/4=1e9]",
    ">",
    "<<<<",
    "-",
    "&",
    "&&&",
    "(&",
    "|",
    ":|",
    "|:",
    "[1",
    "|2",
    '"',
    '"Am',
    "!",
    "!f!",
    "+",
    "+CE+",
    "~",
    "$",
    "\\",
    "%",
    "\n",
    "\nV:1\n",
    "\nK:\n",
    "\nX:2\nK:D\n",
    "\nw:a bad egg\n",
    "\n+:more\n",
    "\nm:~g=abc\n",
    "\nU:k=!f!\n",
    "\n%%begintext\n",
    "\n\n",
    "H",
    "k",
    "\t",
    "\r",
    "\0",
    "é",
    "\u2028",
    "1",
    "=20",
    "=3D",
    "=\n",
)
SOUP = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=30).map(
    lambda pieces: "X:1\nM:4/4\nK:C\n" + "".join(pieces)
)


@st.composite
def damages(draw) -> str:
    """A tune in which something is wrong: signs in any order, or a whole one with pieces cut out,
    put in or repeated many times."""
    if draw(st.booleans()):
        return draw(SOUP)
    text = draw(WHOLE).text
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        stop = start + draw(st.integers(0, 6))
        piece = draw(st.sampled_from(PIECES)) * draw(st.sampled_from([0, 1, 1, 1, 2, 3000]))
        text = text[:start] + piece + text[stop:]
    return text


class Tally:
    """What was seen; `slowest`: CPU seconds of one example."""

    def __init__(self) -> None:
        self.whole = self.notes = self.refused = self.read_though_damaged = 0
        self.slowest = 0.0


def timed(tally: Tally, text: str) -> list[Draft | str]:
    """Each tune of the text, or the sentence that says why it is none."""
    started = time.process_time()
    found: list[Draft | str] = []
    try:
        tunes = abc_file.tunes(text.encode("utf-8", "surrogatepass"))
    except BadMusic as problem:
        tunes, found = [], [str(problem)]
    for tune in tunes:
        try:
            draft = abc_reader.read(tune)
            draft.score(12)
            found.append(draft)
        except BadMusic as problem:
            found.append(str(problem))
    seconds = time.process_time() - started
    tally.slowest = max(tally.slowest, seconds)
    assert seconds < SLOWEST, f"{seconds:.1f} s"
    return found


def check_whole(tally: Tally, wanted: Written) -> None:
    (tune,) = abc_file.tunes(wanted.text.encode())
    draft = abc_reader.read(tune)
    found = [
        [Sound(raw.start, raw.length, raw.pitch, raw.tied) for raw in notes]
        for _, notes in draft.voices
    ]
    assert found == wanted.voices, wanted.text
    assert sorted(set(draft.bars)) == wanted.bars, wanted.text
    assert {kind: count for kind, count in draft.lost.items() if count} == {
        k: n for k, n in wanted.counts.items() if n
    }, wanted.text
    timed(tally, wanted.text)
    tally.whole += 1
    tally.notes += sum(map(len, wanted.voices))


def check_damaged(tally: Tally, text: str) -> None:
    for found in timed(tally, text):
        if isinstance(found, str):
            assert found and "\n" not in found, found
            tally.refused += 1
        else:
            tally.read_though_damaged += 1


def fuzz(examples: int) -> Tally:
    """Half of the examples whole, half damaged. Raises AssertionError with hypothesis's smallest
    example for the first that fails."""
    tally = Tally()
    often = settings(
        max_examples=max(1, examples // 2),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )

    @often
    @given(WHOLE)
    def whole(wanted):
        check_whole(tally, wanted)

    @often
    @given(damages())
    def damaged(text):
        check_damaged(tally, text)

    whole()
    damaged()
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--json", help="where to keep the result")
    arguments = parser.parse_args()
    started = time.perf_counter()
    tally = fuzz(arguments.examples)
    figures = {
        "whole tunes, read as they were made": tally.whole,
        "notes of them": tally.notes,
        "damaged, refused in a sentence": tally.refused,
        "damaged, and read": tally.read_though_damaged,
        "slowest, CPU seconds": round(tally.slowest, 3),
        "seconds": round(time.perf_counter() - started),
    }
    sys.exit(finish("fuzz_abc", figures, arguments.json))


if __name__ == "__main__":
    main()
