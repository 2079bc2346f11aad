import base64
import io
import re
from fractions import Fraction
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Key, Meter, Note, Score, edges, first_number
from genwright.contents.music.signs import TYPES
from genwright.contents.music.spelling import SIGNS, spell
from genwright.contents.music.write import to_musicxml
from genwright.core.errors import GenwrightError

music21 = pytest.importorskip("music21")
symusic = pytest.importorskip("symusic")
verovio = pytest.importorskip("verovio")


def read(source, per_quarter):
    """A score as music21 reads it."""
    found = music21.converter.parse(source, forceSource=True)
    voices, first = (
        [heard(part.flatten().notes, per_quarter) for part in found.parts],
        found.parts[0],
    )
    bars = tuple(
        exact(Fraction(m.offset) * per_quarter) for m in first.getElementsByClass("Measure")
    )
    meters = first.recurse().getElementsByClass("TimeSignature")
    keys = first.recurse().getElementsByClass("KeySignature")
    return Score(
        tuple(voices),
        exact(Fraction(found.highestTime) * per_quarter),
        per_quarter,
        bars,
        tuple(
            Meter(exact(m.getOffsetInHierarchy(first) * per_quarter), m.numerator, m.denominator)
            for m in meters
        ),
        tuple(
            Key(
                exact(k.getOffsetInHierarchy(first) * per_quarter),
                k.sharps,
                getattr(k, "mode", "") or "",
            )
            for k in keys
        ),
        names=tuple(part.partName for part in found.parts),
    )


def heard(sounds, per_quarter):
    """The notes of a voice in time's order, ties merged pitch by pitch (music21's own stripTies
    merges chords as wholes)."""
    notes, tied = [], {}
    for sound in sounds:
        held = any(isinstance(e, music21.expressions.Fermata) for e in sound.expressions)
        start, length = (
            exact(Fraction(t) * per_quarter) for t in (sound.offset, sound.quarterLength)
        )
        for one in getattr(sound, "notes", [sound]):
            kind = one.tie.type if one.tie else ""
            begun, before = (
                tied.pop(one.pitch.midi) if kind in ("stop", "continue") else (start, False)
            )
            if kind in ("start", "continue"):
                tied[one.pitch.midi] = begun, held or before
            else:
                notes.append(
                    Note(begun, start + length - begun, one.pitch.midi, 80, held or before)
                )
    assert not tied
    return tuple(sorted(notes))


def exact(time, off=1e-6):
    assert abs(time - round(time)) < off, "off the grid"
    return round(time)


def sounded(midi, per_quarter):
    """(start, length, pitch) of each track that has notes, as symusic reads a MIDI file."""
    file = symusic.Score.from_midi(midi)
    step = file.tpq / per_quarter  # verovio ends a note a tick or two early
    notes = (
        [(exact(n.time / step, 0.45), exact(n.duration / step, 0.45), n.pitch) for n in track.notes]
        for track in file.tracks
    )
    return [sorted(track) for track in notes if track]


def engraved(xml, per_quarter):
    """What verovio understands of MusicXML: the notes of all parts, as it would play them."""
    verovio.enableLog(verovio.LOG_OFF)
    toolkit = verovio.toolkit()
    assert toolkit.loadData(xml)
    return sorted(
        note
        for track in sounded(base64.b64decode(toolkit.renderToMIDI()), per_quarter)
        for note in track
    )


def plain(score):
    return [sorted(note[:3] for note in voice) for voice in score.voices if voice]


@pytest.fixture(scope="module")
def chorales():
    """A pickup and 3/4; sharps; many accidentals; a voice that rests; bars shortened by repeats."""
    return {
        n: read(str(music21.corpus.getWork(f"bach/bwv{n}")), 4)
        for n in ("269", "253", "66.6", "10.7", "278")
    }


def test_chorales_come_back_whole_from_music21(chorales):
    for number, score in chorales.items():
        again = read(to_musicxml(score), 4)
        assert again == score, number
        assert sum(note.fermata for voice in score.voices for note in voice) >= 4


def test_chorales_come_back_from_midi_and_from_verovio(chorales):
    for score in chorales.values():
        assert sounded(to_midi(score), 4) == plain(score)
        everything = sorted(note for voice in plain(score) for note in voice)
        assert everything == engraved(to_musicxml(score), 4)
        assert (
            len(
                {note[:1] + note[2:] for note in everything}
                ^ {note[:1] + note[2:] for note in engraved(to_musicxml(score, True), 4)}
            )
            == 0
        )


def test_a_chorale_on_two_staves_keeps_its_notes_and_prints_a_shared_fermata_once(chorales):
    score = chorales["269"]
    xml = to_musicxml(score, closed=True)
    parts = ElementTree.fromstring(xml).findall("part")
    assert len(parts) == 2 and xml.count("<fermata") * 2 == to_musicxml(score).count("<fermata")
    apart = [p.voicesToParts() for p in music21.converter.parse(xml, forceSource=True).parts]
    found = [
        [(n.offset * 4, n.quarterLength * 4, n.pitch.midi) for n in v.stripTies().flatten().notes]
        for part in apart
        for v in part.parts
    ]
    assert found == plain(score)


@pytest.mark.parametrize("closed", [False, True])
def test_accidentals_say_what_is_meant_and_no_more(chorales, closed):
    """Read as a musician reads: a sign holds on its line until the bar ends, else the signature (by
    music21) does; none says it again."""
    printed = 0
    for score in chorales.values():
        signature = music21.key.KeySignature(score.keys[0].sharps)
        for measure in ElementTree.fromstring(to_musicxml(score, closed)).iter("measure"):
            held, now, notes = {}, 0, []
            for element in measure:
                length = int(element.findtext("duration") or 0)
                if element.find("pitch") is not None:
                    notes.append((now, len(notes), element))
                now += -length if element.tag == "backup" else length
            for _, _, note in sorted(notes, key=lambda n: n[:2]):
                step, alter, octave = (
                    note.findtext(f"pitch/{tag}") for tag in ("step", "alter", "octave")
                )
                sign = note.findtext("accidental")
                by_key = signature.accidentalByStep(step)
                before = held.get((step, octave), by_key.alter if by_key else 0)
                if "stop" not in {tie.get("type") for tie in note.findall("tie")}:
                    assert (before == int(alter or 0)) == (sign is None)
                    assert sign is None or SIGNS[int(alter or 0)] == sign
                    held[step, octave] = int(alter or 0)
                    printed += sign is not None
    assert printed > 40


def signs(xml):
    """(type with dots, tuplet, beams, accidental, ties) of each note and rest."""
    out = []
    for note in ElementTree.fromstring(xml).iter("note"):
        kind = (note.findtext("type") or "-") + "." * len(note.findall("dot"))
        beams = "".join(
            {"begin": "<", "continue": "=", "end": ">", "forward hook": "/", "backward hook": "\\"}[
                b.text
            ]
            for b in note.findall("beam")
        )
        ties = "".join(t.get("type")[2] for t in note.findall("tie"))  # o: from before, a: goes on
        out.append(
            (
                kind,
                note.findtext("time-modification/actual-notes") or "",
                beams,
                note.findtext("accidental") or "",
                ties,
            )
        )
    return out


FOUR = Meter(0, 4, 4)


def run(lengths, meter=FOUR, per_quarter=4, **about):
    """One voice of notes (positive) and rests (negative), one after another."""
    starts = [sum(map(abs, lengths[:i])) for i in range(len(lengths))]
    notes = tuple(
        Note(start, n, 60 + i % 2)
        for i, (start, n) in enumerate(zip(starts, lengths, strict=True))
        if n > 0
    )
    return Score((notes,), sum(map(abs, lengths)), per_quarter, meters=(meter,), **about)


@pytest.mark.parametrize(
    ("score", "kinds"),
    [
        (run([16]), "whole"),
        (run([2, 4, 4, 4, 2]), "eighth quarter quarter quarter eighth"),  # syncopation
        (run([5, 3, 8]), "quarter 16th eighth. half"),
        (run([2, 8, 6]), "eighth eighth quarter eighth eighth quarter"),  # the beats stay seen
        (run([20, 12]), "whole quarter half."),
        (run([-16, 16]), "- whole"),
        (run([6, 6], Meter(0, 6, 8)), "quarter. quarter."),
        (run([2, 6, 4], Meter(0, 6, 8)), "eighth quarter eighth quarter"),
        (run([4, 4, 4, 36], per_quarter=12), "eighth eighth eighth half."),
        (run([8, 16, 24], per_quarter=12), "quarter eighth quarter half"),
        (run([3, 3, 6, 36], per_quarter=12), "16th 16th eighth half."),
    ],
)
def test_signs_by_hand(score, kinds):
    assert " ".join(kind for kind, *_ in signs(to_musicxml(score))) == kinds


def test_beams_ties_and_brackets_by_hand():
    assert [s[2] for s in signs(to_musicxml(run([2, 2, 1, 1, 2, 3, 1, 4])))] == [
        "<",
        ">",
        "<<",
        "=>",
        ">",
        "<",
        ">\\",
        "",
    ]
    assert [s[4] for s in signs(to_musicxml(run([12, 10, 10])))] == ["", "a", "o", "a", "o"]
    xml = to_musicxml(run([4, 4, 4, 12, 12, 12], per_quarter=12))
    assert [s[1] for s in signs(xml)] == ["3"] * 3 + [""] * 3
    assert re.findall('<tuplet type="(.*?)"/>', xml) == ["start", "stop"] and [
        s[2] for s in signs(xml)
    ][:3] == ["<", "=", ">"]


def test_an_accidental_holds_until_the_bar_ends():
    notes = tuple(Note(4 * i, 4, pitch) for i, pitch in enumerate((66, 66, 65, 66, 66, 65, 65, 65)))
    assert [s[3] for s in signs(to_musicxml(Score((notes,), 32)))] == [
        "sharp",
        "",
        "natural",
        "sharp",
        "sharp",
        "natural",
        "",
        "",
    ]
    assert [s[3] for s in signs(to_musicxml(Score((notes,), 32, keys=(Key(0, 1),))))] == [
        "",
        "",
        "natural",
        "sharp",
        "",
        "natural",
        "",
        "",
    ]


@pytest.mark.parametrize(
    "key", [Key(0, n, mode) for n in range(-7, 8) for mode in ("major", "minor")]
)
def test_spelling_is_the_keys_own(key):
    scale = music21.key.KeySignature(key.sharps).asKey(key.mode)
    for pitch in range(12, 128):
        step, alter, octave = spell(pitch, key)
        assert (
            12 * (octave + 1)
            + dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))[step]
            + alter
            == pitch
            and alter in SIGNS
        )
    raised = [scale.pitches[6].transpose("a1")] if key.mode == "minor" else []  # the leading note
    for degree in [*scale.pitches, *raised]:
        step, alter, octave = spell(degree.midi, key)
        assert f"{step}{'#' * alter}{'-' * -alter}{octave}" == degree.nameWithOctave


@st.composite
def scores(draw):
    """One to three voices with chords, gaps and overlaps on any grid, in any metre, bars said or
    not; one pitch never twice at a time."""
    per_quarter = draw(st.sampled_from([1, 2, 3, 4, 5, 6, 12, 24, 480]))
    meters = draw(
        st.sampled_from(
            [
                m
                for m in ((4, 4), (3, 4), (6, 8), (2, 2), (5, 8), (9, 8))
                if 4 * per_quarter % m[1] == 0
            ]
        )
    )
    voices = []
    for _ in range(draw(st.integers(1, 3))):
        notes, free = [], dict.fromkeys(range(128), 0)
        for start, length, pitch in draw(
            st.lists(
                st.tuples(
                    st.integers(0, 6 * per_quarter),
                    st.integers(1, 5 * per_quarter),
                    st.integers(24, 100),
                ),
                max_size=8,
            )
        ):
            if start >= free[pitch]:
                notes.append(Note(start, length, pitch, fermata=draw(st.booleans())))
                free[pitch] = start + length
        voices.append(tuple(sorted(notes)))
    end = (
        -(-max([per_quarter * 4, *(n.start + n.length for v in voices for n in v)]) // per_quarter)
        * per_quarter
    )
    bars = draw(
        st.one_of(
            st.just(()),
            st.lists(st.integers(1, end), max_size=4).map(lambda some: (0, *sorted(set(some)))),
        )
    )
    key = Key(0, draw(st.integers(-7, 7)), draw(st.sampled_from(["major", "minor", ""])))
    return Score(
        tuple(voices),
        end,
        per_quarter,
        bars,
        (Meter(0, *meters),),
        (key,),
        names=tuple("abc")[: len(voices)],
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(scores())
def test_whatever_is_written_reads_back_exactly(score):
    assert sounded(to_midi(score), score.per_quarter) == plain(score)
    assert [sorted(voice) for voice in timed(to_musicxml(score))] == [
        sorted(v) for v in map(list, (sorted(n[:3] for n in v) for v in score.voices))
    ]


def timed(xml):
    """(start, length, pitch) of each part, straight from the MusicXML, ties merged; every bar must
    be full."""
    for part in ElementTree.fromstring(xml).findall("part"):
        notes, open_, now, onset = [], {}, 0, 0
        for note in part.iter("note"):
            length, pitch = int(note.findtext("duration")), note.find("pitch")
            if note.find("chord") is None:
                onset, now = now, now + length
            if pitch is None:
                continue
            midi = (
                12
                + 12 * int(pitch.findtext("octave"))
                + dict(zip("CDEFGAB", (0, 2, 4, 5, 7, 9, 11), strict=True))[pitch.findtext("step")]
            )
            midi += int(pitch.findtext("alter") or 0)
            kinds = {tie.get("type") for tie in note.findall("tie")}
            start = open_.pop(midi) if "stop" in kinds else onset
            if "start" in kinds:
                open_[midi] = start
            else:
                notes.append((start, onset + length - start, midi))
        assert not open_, "every tie ends"
        yield notes


@settings(max_examples=20, deadline=None, derandomize=True)
# it shortens bars that are overfull by fifths
@given(scores().filter(lambda s: not s.bars or s.per_quarter != 5))
def test_music21_reads_what_was_written(score):
    again = read(to_musicxml(score), score.per_quarter)
    assert plain(again) == plain(score)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(scores().filter(lambda s: s.per_quarter <= 24))
def test_verovio_reads_what_was_written(score):
    assert engraved(to_musicxml(score), score.per_quarter) == sorted(
        note for voice in plain(score) for note in voice
    )


@given(scores())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_signs_and_lengths_agree(score):
    """A sign's kind, dots and tuplet say its duration, and each tuplet closes on a plain place."""
    for part in ElementTree.fromstring(to_musicxml(score)).findall("part"):
        inside = Fraction(0)
        for note in part.iter("note"):
            if note.find("chord") is not None or note.find("type") is None:
                continue
            said = Fraction(8, 2 ** TYPES.index(note.findtext("type"))) * (
                2 - Fraction(1, 2 ** len(note.findall("dot")))
            )
            said *= Fraction(
                int(note.findtext("time-modification/normal-notes") or 1),
                int(note.findtext("time-modification/actual-notes") or 1),
            )
            assert said == Fraction(int(note.findtext("duration")), score.per_quarter)
            brackets = [t.get("type") for t in note.iter("tuplet")]
            inside += said if note.find("time-modification") is not None else 0
            if "stop" in brackets:
                plain_ = inside.denominator & (inside.denominator - 1) == 0
                assert plain_ or score.bars or score.per_quarter == 480, (
                    "a tuplet fills a plain length"
                )
                inside = Fraction(0)


def test_bars_come_from_the_metre_where_none_are_said():
    score = Score(((Note(0, 40, 60),),), 40, meters=(Meter(0, 3, 4), Meter(24, 2, 4)))
    assert edges(score) == [0, 12, 24, 32, 40] and first_number(score) == 1
    assert first_number(Score(score.voices, 40, bars=(0, 4, 20, 36))) == 0


def test_midi_says_what_is_known():
    about = {
        "tempo": 72.0,
        "meters": (Meter(0, 3, 4), Meter(12, 6, 8)),
        "keys": (Key(0, -3, "minor"),),
        "names": ("Sopran", ""),
    }
    score = Score(((Note(0, 12, 60, 101),), (Note(12, 6, 50, 0),)), 30, **about)
    file = symusic.Score.from_midi(to_midi(score))
    assert [t.qpm for t in file.tempos] == [pytest.approx(72)] and [
        t.name for t in file.tracks if len(t.notes)
    ] == ["Sopran", ""]
    assert [
        (t.time // (file.tpq // 4), t.numerator, t.denominator) for t in file.time_signatures
    ] == [(0, 3, 4), (12, 6, 8)]
    assert [(k.key, k.tonality) for k in file.key_signatures] == [(-3, 1)]
    assert [n.velocity for t in file.tracks for n in t.notes] == [101, 1], "0 would end the note"
    parsed = music21.midi.MidiFile()
    parsed.readstr(to_midi(score))
    assert parsed.format == 1 and len(parsed.tracks) == 3, "tempo, metres and keys have their own"
    to_midi(Score(score.voices, 30, names=("\ud800" * 200,)))
    many = Score(tuple((Note(0, 4, 60),) for _ in range(20)), 4)
    assert len(sounded(to_midi(many), 4)) == 20 and not any(
        t.is_drum for t in symusic.Score.from_midi(to_midi(many)).tracks
    )


def test_any_title_is_escaped():
    wild = 'A & B <script>"\x00\x0b\ud800'
    score = Score(
        ((Note(0, 4, 60),),),
        4,
        facts={"title": wild, "composer": wild, "rights": "]]>"},
        names=(wild,),
    )
    root = ElementTree.parse(io.StringIO(to_musicxml(score))).getroot()
    assert (
        root.findtext("work/work-title")
        == root.findtext("part-list/score-part/part-name")
        == 'A & B <script>"'
    )
    assert "<!" not in to_musicxml(score)


@pytest.mark.parametrize("write", [to_midi, to_musicxml])
def test_what_cannot_be_written_is_said(write):
    note = ((Note(0, 4, 60),),)
    with pytest.raises(
        GenwrightError,
        match="the score is empty: it has no voices or no length; give one of at least a bar",
    ):
        write(Score((), 16))
    with pytest.raises(GenwrightError, match="the score is empty"):
        write(Score(((),), 0))
    for tempo in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(
            GenwrightError,
            match="a tempo of .* quarter notes a minute cannot be played; give one from 4 to 10000",
        ):
            write(Score(note, 4, tempo=tempo))
    with pytest.raises(GenwrightError, match="4/3 is no metre; give 1 to 255 beats"):
        write(Score(note, 4, meters=(Meter(0, 4, 3),)))
    assert write(Score(((), ()), 16)), "silence is music"
