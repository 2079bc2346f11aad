r"""Generated MIDI and MusicXML, 10,000 of each kind: no error but BadMusic, no hang, and no note
that goes without a word.

    python benchmarks/fuzz_music.py [--examples 10000] [--kind midi] \
        [--json benchmarks/results/fuzz_music.json]

1. midi, musicxml: whole files with wild values, of which the generator knows every note: those read
   and those counted are all of them, and of MusicXML each stands where it should.
2. midi-damaged, musicxml-damaged: the same files cut, with bytes changed or put in, packed or not:
   a piece or a BadMusic.
3. midi-written, musicxml-written: scores that are written and read again, MIDI by symusic too: the
   same notes, tempos, metres and keys.

The readers are called below the guard of `contents/music/sources.py`, which would turn any error
into a sentence. Hypothesis generates, the same each time, and makes a failing example small; an
example that takes more than SECONDS is a failure, one that never ends stops the command with a
traceback.
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from common import finish
from genwright.contents.music import midi, musicxml
from genwright.contents.music.draft import SEMITONES, BadMusic, Draft
from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Key, Meter, Note, Score, Tempo, apart
from genwright.contents.music.write import to_musicxml

SECONDS = 10  # of the processor, that reading one small file may take
HANGS = 120  # seconds after which the command stops itself
GRIDS = (1, 4, 12, 96)  # steps a quarter note


class Dice:
    """Choices that bytes make, 0 where they are used up, so that Hypothesis generates, and makes
    smaller, no more than bytes."""

    def __init__(self, choices: bytes):
        self.choices, self.place = choices, 0

    def more(self) -> bool:
        return self.place < len(self.choices)

    def below(self, count: int) -> int:
        size = max(1, (count - 1).bit_length() + 7 >> 3)
        taken = self.choices[self.place : self.place + size]
        self.place += size
        return int.from_bytes(taken, "big") % count

    def within(self, low: int, high: int) -> int:
        return low + self.below(high - low + 1)

    def pick(self, options: Sequence) -> Any:
        return options[self.below(len(options))]

    def some_bytes(self, most: int) -> bytes:
        return bytes([self.below(256) for _ in range(self.below(most + 1))])


def material(most: int) -> st.SearchStrategy[bytes]:
    return st.integers(0, most).flatmap(lambda size: st.binary(min_size=size, max_size=size))


# ---- MIDI

META = (1, 2, 3, 5, 0x20, 0x21, 0x51, 0x54, 0x58, 0x59, 0x7F)


class MidiFile(NamedTuple):
    """notes: how many begin, drums included; drums: how many of them are drums."""

    data: bytes
    notes: int
    drums: int


def variable(value: int) -> bytes:
    """A number as MIDI writes it, 7 bits a byte."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.insert(0, value & 0x7F | 0x80)
    return bytes(out)


def event_of(dice: Dice) -> bytes:
    kind = dice.pick(["strike"] * 12 + ["three", "two", "meta", "tempo", "system"])
    channel = dice.pick([0, 0, 0, 1, 2, 9, 15])
    if kind == "strike":
        pitch = dice.pick([dice.within(58, 62), dice.below(128)])
        return bytes([dice.pick([0x90, 0x90, 0x80]) | channel, pitch, dice.below(128)])
    if kind == "three":
        return bytes([dice.pick([0xA0, 0xB0, 0xE0]) | channel, dice.below(128), dice.below(128)])
    if kind == "two":
        return bytes([dice.pick([0xC0, 0xD0]) | channel, dice.below(128)])
    if kind == "tempo":
        return b"\xff\x51\x03" + dice.within(100_000, 2_000_000).to_bytes(3, "big")
    data = dice.some_bytes(9)
    head = bytes([0xFF, dice.pick(META)]) if kind == "meta" else bytes([dice.pick([0xF0, 0xF7])])
    return head + variable(len(data)) + data


def midi_file(choices: bytes) -> MidiFile:
    """A file of whole events."""
    dice = Dice(choices)
    kind, division = dice.pick([b"\0\0", b"\0\1"]), dice.pick([480, 1, 24, 96, 32_767])
    tracks: list[bytes] = []
    notes = drums = 0
    while dice.more() and len(tracks) < 5:
        body, running, shortens = bytearray(), b"", dice.below(2)
        for _ in range(dice.within(1, 40)):
            event = event_of(dice)
            status = event[0]
            body += variable(
                dice.pick([0, 1, dice.below(2000), dice.below(2000), dice.below(2**14)])
            )
            body += event[1:] if shortens and running == event[:1] else event
            running = event[:1] if status < 0xF0 else b""
            begins = status & 0xF0 == 0x90 and event[2] > 0
            notes += begins
            drums += begins and status & 0x0F == 9
        body += dice.pick([b"\0\xff\x2f\0", b""])
        tracks.append(b"MTrk" + len(body).to_bytes(4, "big") + bytes(body))
    if dice.below(2):
        tracks.insert(0, b"XFIH\0\0\0\2ab")
    header = kind + len(tracks).to_bytes(2, "big") + division.to_bytes(2, "big")
    return MidiFile(b"MThd\0\0\0\6" + header + b"".join(tracks), notes, drums)


midi_files = material(800).map(midi_file)


def whole_midi(file: MidiFile, per_quarter: int) -> bool:
    """All notes are read or counted; only a piece may be refused, for its length, its tempos or its
    silence. Whether it was read."""
    draft = midi.read(file.data)
    read = sum(len(notes) for _, notes in draft.voices)
    assert read == file.notes - file.drums and draft.lost["unpitched notes"] == file.drums
    assert all(note.length >= 0 for _, notes in draft.voices for note in notes)
    return placed(draft, per_quarter, read)


def placed(draft: Draft, per_quarter: int, notes: int | None = None) -> bool:
    """On the grid stand all notes but those that are counted as merged or dropped. Whether it is a
    piece."""
    try:
        score, counts = draft.score(per_quarter)
    except BadMusic:
        return False
    there = sum(map(len, score.voices))
    assert there + counts["notes merged"] + counts["notes dropped"] == counts["notes"]
    assert notes is None or counts["notes"] == notes
    assert all(
        0 <= note.start < note.start + note.length <= score.length
        for voice in score.voices
        for note in voice
    )
    assert list(score.bars) == sorted(set(score.bars))
    return True


# ---- MusicXML


class Scored(NamedTuple):
    """text: of a MusicXML file. sounds: (onset, length, pitch) of its notes. lost: what a reader
    should count."""

    text: str
    sounds: Counter[tuple[Fraction, Fraction, int]]
    lost: Counter[str]


KINDS_OF_NOTES = ["note"] * 6 + ["chord", "chord", "rest", "grace", "cue", "unpitched"]
METRONOME = "<metronome><beat-unit>half</beat-unit><per-minute>{tempo}</per-minute></metronome>"
BESIDE = (
    *[""] * 12,
    '<direction><sound tempo="{tempo}"/></direction>',
    f"<direction><direction-type>{METRONOME}</direction-type></direction>",
    "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>",
    '<barline><repeat direction="forward"/></barline>',
    "<attributes><time><beats>3+2</beats><beat-type>8</beat-type></time></attributes>",
    "<unknown><note/></unknown>",
    "<print/>",
    "<attributes><key><fifths>-3</fifths><mode>minor</mode></key></attributes>",
)
PLACES = [(1, 1), (2, 1), (1, 2), (2, 2)]  # staff, voice


def xml_score(choices: bytes) -> Scored:
    """Without ties: they are for what is written and read again."""
    dice = Dice(choices)
    found = Scored("", Counter(), Counter())
    bars, divisions = dice.within(1, 4), dice.within(1, 6)
    size = dice.within(1, 4) * divisions  # of a bar, in divisions: all voices fill it
    parts = []
    for part in range(dice.within(1, 3)):
        transposed = dice.pick([0, 0, -2, 7, -12])
        rows = [
            (
                f"<attributes><divisions>{divisions}</divisions><transpose>"
                f"<chromatic>{transposed}</chromatic></transpose></attributes>"
            )
        ]
        rows += [""] * (bars - 1)
        for bar in range(bars):
            begins = Fraction(bar * size, divisions)
            for staff, voice in PLACES[: dice.within(0, len(PLACES))]:
                where = f"<voice>{voice}</voice><staff>{staff}</staff>"
                rows[bar] += xml_voice(dice, begins, size, divisions, transposed, where, found)
                rows[bar] += f"<backup><duration>{size}</duration></backup>"
            rows[bar] += f"<forward><duration>{size}</duration></forward>"
        parts.append(
            f'<part id="P{part}">'
            + "".join(f"<measure>{row}</measure>" for row in rows)
            + "</part>"
        )
    return found._replace(text=f"<score-partwise>{''.join(parts)}</score-partwise>")


def xml_voice(
    dice: Dice,
    begins: Fraction,
    size: int,
    divisions: int,
    transposed: int,
    where: str,
    found: Scored,
) -> str:
    """What one voice does in one bar; adds to what is found there."""
    out, now, last = "", 0, 0  # last: the length of the note that a chord may join
    while now < size:
        kind = dice.pick(KINDS_OF_NOTES) if last and dice.more() else dice.pick(["note", "rest"])
        step, octave, alter = dice.pick("CDEFGAB"), dice.within(2, 7), dice.within(-2, 2)
        pitch = f"<pitch><step>{step}</step><alter>{alter}</alter><octave>{octave}</octave></pitch>"
        mark = dice.pick(BESIDE).format(tempo=dice.within(20, 300))
        found.lost["chord symbols"] += "<harmony>" in mark
        out += mark
        if kind == "grace":
            found.lost["grace notes"] += 1
            out += f"<note><grace/>{pitch}{where}</note>"
            continue
        length = last if kind == "chord" else dice.within(1, size - now)
        onset = now - last if kind == "chord" else now
        what = {
            "rest": "<rest/>",
            "unpitched": "<unpitched/>",
            "cue": "<cue/>" + pitch,
            "chord": "<chord/>" + pitch,
        }.get(kind, pitch)
        out += f"<note>{what}<duration>{length}</duration>{where}</note>"
        found.lost["cue notes"] += kind == "cue"
        found.lost["unpitched notes"] += kind == "unpitched"
        if kind in ("note", "chord"):
            sounding = 12 + 12 * octave + SEMITONES[step] + alter + transposed
            found.sounds[
                begins + Fraction(onset, divisions), Fraction(length, divisions), sounding
            ] += 1
        now, last = onset + length, length
    return out


xml_scores = material(500).map(xml_score)


def whole_xml(score: Scored, per_quarter: int) -> bool:
    draft = musicxml.read(score.text.encode())
    read = Counter(
        (note.start, note.length, note.pitch) for _, notes in draft.voices for note in notes
    )
    assert read == score.sounds
    for kind in ("grace notes", "cue notes", "unpitched notes", "chord symbols"):
        assert draft.lost[kind] == score.lost[kind], kind
    return placed(draft, per_quarter, score.sounds.total())


ODD = (
    "",
    "0",
    "-1",
    "1e9",
    "1e999",
    "nan",
    "inf",
    "x",
    "9" * 40,
    "9" * 5000,
    "0.1",
    "\u0663",
    " 2 ",
    "1_0",
    "+3",
    "2.5",
    "-0",
    "1/2",
    "\u00bd",
)
NUMBERS = (
    "duration",
    "divisions",
    "octave",
    "alter",
    "beats",
    "beat-type",
    "fifths",
    "chromatic",
    "per-minute",
    "step",
    "staff",
    "voice",
)
ENCODINGS = ("utf-8", "utf-8", "utf-8-sig", "utf-16")


def xml_wild(choices: bytes, score: Scored) -> bytes:
    """The score, some of whose numbers are anything."""
    dice, text = Dice(choices), score.text
    for _ in range(dice.within(1, 4)):
        tag = dice.pick(NUMBERS)
        pieces = text.split(f"<{tag}>")
        if len(pieces) > 1:
            i = dice.within(1, len(pieces) - 1)
            pieces[i] = dice.pick(ODD) + pieces[i][pieces[i].index("</") :]
            text = f"<{tag}>".join(pieces)
    if dice.below(2):
        text = text.replace('tempo="', f'tempo="{dice.pick(ODD)}')
    return text.encode(dice.pick(ENCODINGS))


# ---- damage


def damaged(choices: bytes, whole: bytes) -> bytes:
    dice, data = Dice(choices), bytearray(whole)
    for _ in range(dice.pick([0, 0, 1, 1, 2, 4])):
        place = dice.below(max(1, len(data)))
        way = dice.pick(["change", "insert", "delete", "repeat"])
        if way == "change" and data:
            data[place] = dice.below(256)
        elif way == "insert":
            data[place:place] = dice.some_bytes(6)
        elif way == "delete":
            del data[place : place + dice.within(1, 20)]
        else:
            data[place:place] = data[place : place + dice.within(1, 40)]
    if dice.below(8) == 7:
        del data[dice.below(len(data) + 1) :]
    return bytes(data)


def packed(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml",
            '<container><rootfiles><rootfile full-path="a.xml"/></rootfiles></container>',
        )
        archive.writestr("a.xml", data)
    return out.getvalue()


noise = material(60)
whole_bytes = midi_files.map(lambda file: file.data)
midi_bytes = st.one_of(
    whole_bytes, whole_bytes, whole_bytes, noise.map(lambda data: b"MThd" + data), noise
)
wild_bytes = st.builds(xml_wild, material(12), xml_scores)
xml_bytes = st.one_of(
    wild_bytes, wild_bytes.map(packed), xml_scores.map(lambda score: score.text.encode())
)


def survives(read: Callable[[bytes], Draft], data: bytes, per_quarter: int) -> bool:
    """A piece or BadMusic, and nothing else. Which of them."""
    try:
        draft = read(data)
    except BadMusic:
        return False
    return placed(draft, per_quarter)


# ---- written and read again

TEMPOS = (60.0, 30.0, 90.5, 120.0, 200.0)


def written(choices: bytes, most: int) -> Score:
    """most: voices."""
    dice = Dice(choices)
    per_quarter, voices = dice.pick([4, 1, 2, 6, 12]), []
    for _ in range(dice.within(1, most)):
        notes = [
            Note(dice.below(61), dice.within(1, 30), dice.within(57, 66), dice.within(1, 127))
            for _ in range(dice.within(1, 12))
        ]
        voices.append(tuple(sorted(notes)))
    # a file ends with its last note
    length = max(note.start + note.length for voice in voices for note in apart(voice))
    tempos = {
        place: Tempo(place, dice.pick(TEMPOS))
        for place in sorted(dice.below(length) for _ in range(dice.below(4)))
    }
    about: dict[str, Any] = {
        "keys": (Key(0, dice.within(-7, 7), dice.pick(["major", "minor"])),),
        "meters": (Meter(0, dice.within(1, 7), dice.pick([2, 4])),),
        "tempo": dice.pick(TEMPOS),
        "tempos": tuple(tempo for place, tempo in tempos.items() if place),
    }
    return Score(tuple(voices), length, per_quarter, **about)


def sounded(score: Score) -> list[list[tuple[int, int, int]]]:
    return sorted(sorted(note[:3] for note in voice) for voice in score.voices)


def changes(score: Score) -> tuple:
    """Tempos, without those that change nothing."""
    every = [Tempo(0, score.tempo), *score.tempos]
    heard = [
        every[0],
        *(
            after
            for before, after in zip(every, every[1:], strict=False)
            if after.per_minute != before.per_minute
        ),
    ]
    return (
        tuple((tempo.start, round(tempo.per_minute, 3)) for tempo in heard),
        score.meters,
        score.keys,
    )


def midi_comes_back(score: Score) -> bool:
    import symusic

    said = Score(tuple(tuple(apart(voice)) for voice in score.voices), score.length)
    data = to_midi(score)
    again, counts = midi.read(data).score(score.per_quarter)
    assert sounded(again) == sounded(said) and changes(again) == changes(score)
    assert not counts["notes moved"] and not counts["notes dropped"]
    file = symusic.Score.from_midi(data)
    step = file.tpq // score.per_quarter
    theirs = (
        [(n.time // step, n.duration // step, n.pitch) for n in track.notes]
        for track in file.tracks
    )
    assert sorted(sorted(notes) for notes in theirs if notes) == sounded(said)
    return True


def xml_comes_back(score: Score) -> bool:
    said = Score(tuple(tuple(apart(voice)) for voice in score.voices), score.length)
    again, counts = musicxml.read(to_musicxml(score).encode()).score(score.per_quarter)
    assert [sorted(note[:3] for note in voice) for voice in again.voices] == [
        sorted(note[:3] for note in voice) for voice in said.voices
    ]
    assert changes(again) == changes(score)
    assert not counts["notes moved"] and not counts["notes dropped"]
    return True


# ---- running

steps = st.sampled_from(GRIDS)
damaged_midi = st.builds(damaged, material(30), midi_bytes)
damaged_xml = st.builds(damaged, material(30), xml_bytes)


KINDS: dict[str, tuple[Callable[..., bool], tuple[st.SearchStrategy, ...]]] = {
    "midi": (whole_midi, (midi_files, steps)),
    "midi-damaged": (
        lambda data, steps: survives(midi.read, data, steps),
        (damaged_midi, steps),
    ),
    "midi-written": (midi_comes_back, (st.builds(written, material(700), st.just(17)),)),
    "musicxml": (whole_xml, (xml_scores, steps)),
    "musicxml-damaged": (
        lambda data, steps: survives(musicxml.read, data, steps),
        (damaged_xml, steps),
    ),
    "musicxml-written": (xml_comes_back, (st.builds(written, material(160), st.just(3)),)),
}


def fuzz(kind: str, examples: int, watched: bool = False) -> dict:
    """Raises what an example raises. watched: one that never ends stops the process. How many
    examples, how many were refused, how long all and the slowest took to read."""
    check, strategies = KINDS[kind]
    times: list[float] = []
    pieces: list[bool] = []

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.tuples(*strategies))
    def one(values: tuple) -> None:
        begun = time.process_time()
        if watched:
            faulthandler.dump_traceback_later(HANGS, exit=True)
        try:
            pieces.append(check(*values))
        finally:
            if watched:
                faulthandler.cancel_dump_traceback_later()
        times.append(time.process_time() - begun)
        assert times[-1] < SECONDS, "reading took too long"

    one()
    return {
        "examples": len(times),
        "refused": pieces.count(False),
        "seconds reading": sum(times),
        "slowest": max(times),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=10_000, help="of each kind")
    parser.add_argument(
        "--kind", choices=[*KINDS], action="append", help="only this one (may be given again)"
    )
    parser.add_argument("--json", help="where to keep the result")
    args = parser.parse_args()
    figures = {}
    for kind in args.kind or KINDS:
        begun = time.perf_counter()
        figures[kind] = fuzz(kind, args.examples, watched=True) | {
            "seconds": time.perf_counter() - begun
        }
        print(f"{kind}: {figures[kind]}", file=sys.stderr)
    sys.exit(finish("fuzz_music", figures, args.json))


if __name__ == "__main__":
    main()
