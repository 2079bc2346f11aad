"""Reading music: every format beside music21's own reading of it, what the grid loses, and what is
refused with which words."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.contents.music import abc_file, abc_reader, formats, musicxml
from genwright.contents.music import midi as midi_file
from genwright.contents.music import sources as source_music
from genwright.contents.music.draft import LONGEST, Draft, Raw
from genwright.contents.music.likeness import contour, fingerprint, near_copies
from genwright.contents.music.score import Key, Meter, Note, Score, Tempo
from genwright.core.errors import GenwrightError
from genwright.data.source_files import SourceFile

DOCTYPE = (
    '<!DOCTYPE score-partwise PUBLIC "-//Recordare//DTD MusicXML 3.1 Partwise//EN" '
    '"http://www.musicxml.org/dtds/partwise.dtd">'
)
NOTE = "<note><pitch><step>{}</step><octave>{}</octave></pitch><duration>{}</duration>{}</note>"


def xml(*parts: str, head: str = "", prolog: str = DOCTYPE) -> bytes:
    body = "".join(f'<part id="P{i}">{part}</part>' for i, part in enumerate(parts))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{prolog}'
        f"<score-partwise>{head}{body}</score-partwise>"
    ).encode()


def measure(*elements: str) -> str:
    return f"<measure>{''.join(elements)}</measure>"


def note(step: str, octave: int, duration: int, more: str = "") -> str:
    return NOTE.format(step, octave, duration, more)


def midi(*tracks: bytes, per_quarter: int = 480) -> bytes:
    chunks = b"".join(
        b"MTrk" + struct.pack(">I", len(track) + 4) + track + b"\0\xff\x2f\0" for track in tracks
    )
    return b"MThd" + struct.pack(">IHHH", 6, 1, len(tracks), per_quarter) + chunks


def quarter(pitch: int, channel: int = 0, length: bytes = b"\x83\x60") -> bytes:
    return bytes((0, 0x90 + channel, pitch, 90)) + length + bytes((0x80 + channel, pitch, 0))


def read(tmp_path: Path, name: str, data: bytes | str, per_quarter: int = 4) -> list[Score]:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return source_music.read_file(str(path), per_quarter)


def one(draft: Draft, per_quarter: int = 4) -> tuple[Score, Counter[str]]:
    return draft.score(per_quarter)


# Beside music21


def exact(value) -> Fraction:
    return Fraction(value).limit_denominator(10_080)


def by_music21(stream) -> list[list[tuple[Fraction, Fraction, int]]]:
    parts = []
    for part in stream.parts:
        sounding = [
            n
            for n in part.flatten().stripTies(matchByPitch=True).notes
            if not n.duration.isGrace and "ChordSymbol" not in n.classes
        ]
        parts.append(
            sorted(
                (exact(n.offset), exact(n.duration.quarterLength), p.midi)
                for n in sounding
                for p in n.pitches
            )
        )
    return parts


def ours(draft: Draft, per_quarter: int = 48) -> list[list[tuple[Fraction, Fraction, int]]]:
    """Of a piece whose times are all on a grid that fine."""
    score, counts = draft.score(per_quarter)
    assert not counts["notes moved"]
    return [
        sorted(
            (Fraction(n.start, per_quarter), Fraction(n.length, per_quarter), n.pitch)
            for n in notes
        )
        for notes in score.voices
    ]


@pytest.mark.parametrize("name", ["bwv269", "bwv101.7", "bwv1.6"])
def test_musicxml_is_what_music21_reads(name):
    from music21 import converter

    path = next(
        file.path for file in source_music.find("chorales") if file.name == f"bach/{name}.mxl"
    )
    draft = musicxml.read(Path(path).read_bytes())
    theirs = converter.parse(path, format="musicxml", forceSource=True)
    assert ours(draft) == by_music21(theirs.toSoundingPitch())
    for (_, notes), part in zip(draft.voices, theirs.parts, strict=True):
        marked = [
            exact(n.offset)
            for n in part.flatten().notes
            if any("Fermata" in e.classes for e in n.expressions)
        ]
        assert [raw.start for raw in notes if raw.fermata] == marked
    top = theirs.parts[0]
    assert sorted(set(draft.bars)) == [exact(m.offset) for m in top.getElementsByClass("Measure")]
    assert [key[:2] for key in draft.keys] == [
        (exact(k.getOffsetInHierarchy(top)), k.sharps)
        for k in top.recurse().getElementsByClass("KeySignature")
    ]


def test_kern_is_what_music21_reads():
    from music21 import converter

    path = next(
        file.path
        for file in source_music.find("palestrina")
        if file.name == "palestrina/Agnus_00.krn"
    )
    draft = formats.kern(Path(path).read_bytes())
    theirs = converter.parseData(Path(path).read_text(encoding="latin-1"), format="humdrum")
    assert sorted(ours(draft)) == sorted(by_music21(theirs))
    assert (
        draft.facts["composer"].startswith("Palestrina") and "John Miller" in draft.facts["rights"]
    )


def test_kern_voices_that_split_marks_and_what_is_left_out(tmp_path):
    lines = [
        "!!!OTL: A tune",
        "**kern\t**kern",
        "*k[f#]\t*k[f#]",
        "*M3/4\t*M3/4",
        "4C\t[4g;",
        "=1\t=1",
        "*\t*^",
        "2.D\t4g]\t2.e",
        ".\tqa\t.",
    ]
    lines += [".\t6b\t.", ".\t6cc\t.", ".\t6dd\t.", "*\t*v\t*v", "=2\t=2", "00DD#\t0r", "*-\t*-"]
    (score,) = read(tmp_path, "a.krn", "\n".join(lines) + "\n", 12)
    upper = (
        Note(0, 24, 67, 80, True),
        Note(12, 36, 64),
        Note(24, 8, 71),
        Note(32, 8, 72),
        Note(40, 8, 74),
    )
    assert score.voices == (upper, (Note(0, 12, 48), Note(12, 36, 50), Note(48, 192, 39)))
    assert (score.bars, score.meters, score.keys) == (
        (0, 12, 48),
        (Meter(0, 3, 4),),
        (Key(0, 1),),
    ) and score.facts == {"title": "A tune"}
    assert one(formats.kern("\n".join(lines).encode()), 12)[1] == {
        "notes": 8,
        "grace notes": 1,
        "tuplets": 3,
        "notes moved": 0,
        "changes of tempo": 0,
        "repeats not played out": 0,
    }


def test_kern_tempos_repeats_and_additive_metres():
    lines = [
        "**kern\t**kern",
        "*M3/8+2/8\t*M3/8+2/8",
        "*MM90\t*MM90",
        "4c\t4e",
        "4.d\t4.f",
        "=2:|!\t=2:|!",
        "*MM60\t*MM60",
        "4c\t4e",
        "4.d\t4.f",
    ]
    score, counts = one(formats.kern("\n".join([*lines, "==\t==", "*-\t*-", ""]).encode()))
    assert (score.meters, score.bars) == ((Meter(0, 5, 8),), (0, 10))
    assert (score.tempo, score.tempos) == (90, (Tempo(10, 60.0),))
    assert +counts == {"notes": 8, "repeats not played out": 1}


@pytest.mark.parametrize(
    ("book", "number"),
    [
        ("airdsAirs/book1.abc", 6),
        ("ryansMammoth/AcaciaReel.abc", 0),
        ("oneills1850/0900-0950.abc", 3),
    ],
)
def test_abc_is_what_music21_reads(book, number):
    from music21 import converter

    path = next(file.path for file in source_music.find("folk-tunes") if file.name == book)
    tune = abc_file.tunes(Path(path).read_bytes())[number]
    draft, theirs = abc_reader.read(tune), converter.parseData(tune, format="abc")
    assert ours(draft) == by_music21(theirs)
    assert {key[1] for key in draft.keys} == {
        key.sharps for key in theirs.recurse().getElementsByClass("KeySignature")
    }


# Formats


def test_chorales_have_four_voices_fermatas_and_a_licence():
    files = [
        file
        for file in source_music.find("chorales")
        if file.name in ("bach/bwv1.6.mxl", "bach/bwv269.mxl")
    ]
    (piece,) = source_music.pieces("chorales", files, 4)  # bwv1.6 has horns
    assert piece.name == "bach/bwv269.mxl" and isinstance(piece.score, Score)
    assert piece.score.names == ("Soprano", "Alto", "Tenor", "Bass")
    assert (
        piece.score.bars[:3] == (0, 4, 16)
        and piece.score.meters == (Meter(0, 3, 4),)
        and piece.score.keys == (Key(0, 1, "major"),)
    )
    assert sum(note.fermata for note in piece.score.voices[0]) >= 4
    assert "commercial" in piece.score.facts["licence"] == source_music.licence("chorales")
    assert (
        piece.counts["notes"] == sum(map(len, piece.score.voices))
        and not piece.counts["notes moved"]
    )


def test_musicxml_voices_chords_ties_and_transposition(tmp_path):
    attributes = (
        "<attributes><divisions>2</divisions><key><fifths>2</fifths>"
        "<mode>major</mode></key><time><beats>3+2</beats>"
    )
    attributes += (
        "<beat-type>4</beat-type></time><transpose><chromatic>-2</chromatic>"
        "</transpose></attributes>"
    )
    second = note("C", 4, 10, "<voice>2</voice><tie type='start'/>")
    first = measure(
        attributes,
        note("D", 5, 6),
        note("F", 5, 6, "<chord/>"),
        note("E", 5, 4),
        "<backup><duration>10</duration></backup>",
        second,
    )
    after = measure(
        note("D", 4, 2, "<tie type='stop'/><voice>2</voice>"),
        note("C", 4, 4, "<voice>2</voice>"),
        note("G", 5, 1, "<grace/>"),
    )
    tied = measure(
        note("C", 4, 2, "<voice>2</voice><tie type='stop'/><notations><fermata/></notations>")
    )
    head = (
        "<work><work-title> A  tune </work-title></work><identification>"
        '<creator type="composer">N. N.</creator></identification>'
    )
    head += (
        '<part-list><score-part id="P0"><part-name>Clarinet</part-name></score-part></part-list>'
    )
    tempo = '<direction><sound tempo="72"/></direction>'
    (score,) = read(
        tmp_path,
        "a.musicxml",
        xml(
            first + tied + after.replace("</measure>", tempo + "</measure>"),
            measure(note("C", 2, 5)),
            head=head,
        ),
    )
    assert score.voices[0] == (Note(0, 12, 72), Note(0, 12, 75), Note(12, 8, 74))
    # tied to a D, a C is a new note
    assert score.voices[1] == (Note(0, 24, 58, 80, True), Note(24, 4, 60), Note(28, 8, 58))
    assert score.voices[2] == (Note(0, 20, 36),)  # divisions are a part's own
    assert (score.bars, score.meters, score.keys, score.tempo) == (
        (0, 20, 24),
        (Meter(0, 5, 4),),
        (Key(0, 0, "major"),),
        72,
    )
    assert score.names == ("Clarinet", "Clarinet", "") and score.facts == {
        "title": "A tune",
        "composer": "N. N.",
    }


def test_musicxml_in_utf_16_without_a_doctype(tmp_path):
    text = xml(measure(note("C", 4, 1)), prolog="").decode().replace("UTF-8", "UTF-16")
    assert read(tmp_path, "a.xml", text.encode("utf-16"))[0].voices == ((Note(0, 4, 60),),)


def test_an_mxl_is_unpacked(tmp_path):
    assert read(tmp_path, "a.mxl", packed(xml(measure(note("C", 4, 1)))))[0].voices == (
        (Note(0, 4, 60),),
    )


def packed(score: bytes, name: str = "score.xml") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            "META-INF/container.xml",
            f'<container><rootfiles><rootfile full-path="{name}"/></rootfiles></container>',
        )
        archive.writestr("score.xml", score)
    return out.getvalue()


def test_abc_tune_type_key_tempo_chords_and_marks(tmp_path):
    tune = (
        "X:1\nT:One\nT:Or another\nR:Jig\nM:6/8\nL:1/8\nQ:3/8=80\nK:Em\n"
        'E|">"G2A {c}B>c d|[EG]3-[EG]3:|\n\n'
    )
    second = "X:2\nT:Two\nM:C|\nK:D dorian\n(3ABc d2 d-e|\n"
    first, other = read(tmp_path, "a.abc", tune + second, 12)
    assert (
        first.facts == {"title": "One", "type": "jig"}
        and first.keys == (Key(0, 1, "minor"),)
        and first.tempo == 120
    )
    assert first.voices[0][:5] == (
        Note(0, 6, 64),
        Note(6, 12, 67),
        Note(18, 6, 69),
        Note(24, 9, 71),
        Note(33, 3, 72),
    )
    assert first.bars == (0, 6, 42) and first.meters == (Meter(0, 6, 8),)
    assert other.voices[0] == (
        Note(0, 4, 69),
        Note(4, 4, 71),
        Note(8, 4, 72),
        Note(12, 12, 74),
        Note(24, 6, 74),
        Note(30, 6, 76),
    )
    assert other.keys == (Key(0, 0, ""),) and other.meters == (Meter(0, 2, 2),)


def test_abc_accidentals_hold_until_the_bar_ends_and_fermatas_are_kept(tmp_path):
    text = 'X:1\nT:Half a Hag\nM:4/4\nL:1/4\nK:D\n^G G HA "Hb"!fermata!B|G H[ce] z2|\n'
    (score,) = read(tmp_path, "a.abc", text.encode())
    assert [n.pitch for n in score.voices[0]] == [68, 68, 69, 71, 67, 73, 76] and score.facts[
        "title"
    ] == "Half a Hag"
    assert [n.fermata for n in score.voices[0]] == [False, False, True, True, False, True, True]


def test_abc_voices_that_take_turns_are_two(tmp_path):
    (score,) = read(
        tmp_path, "a.abc", "X:1\nM:2/4\nL:1/4\nK:C\nV:1\nc d|\nV:2\nC D|\nV:1\ne f|\nV:2\nE F|\n"
    )
    assert [[n.pitch for n in notes] for notes in score.voices] == [
        [72, 74, 76, 77],
        [60, 62, 64, 65],
    ]
    assert score.bars == (0, 8) and score.names == ("1", "2")


def test_midi_voices_are_tracks_by_height_without_drums(tmp_path):
    head = (
        b"\0\xff\x51\x03\x09\x27\xc0"
        + b"\0\xff\x58\x04\x03\x02\x18\x08"
        + b"\0\xff\x59\x02\xfe\x01"
    )  # 600,000 us, 3/4, two flats, minor
    data = midi(head, quarter(40) * 4, quarter(72) * 4, quarter(38, channel=9))
    (score,) = read(tmp_path, "a.mid", data)
    assert score.voices == tuple(
        tuple(Note(4 * i, 4, pitch, 90) for i in range(4)) for pitch in (72, 40)
    )
    assert (score.tempo, score.bars, score.meters, score.keys) == (
        100,
        (0, 12),
        (Meter(0, 3, 4),),
        (Key(0, -2, "minor"),),
    )
    assert one(midi_file.read(data))[1]["unpitched notes"] == 1
    # 4/4 where nothing is said
    assert one(midi_file.read(midi(quarter(60) * 5)))[0].bars == (0, 16)


def test_jsb_json_keeps_its_splits(tmp_path):
    frames = [[67, 62, 59, -1]] * 4 + [[69, 62, 57, 50]] * 4
    path = tmp_path / "jsb.json"
    path.write_text(json.dumps({"train": [frames], "valid": [frames[4:]], "test": []}))
    first, second = source_music.pieces("files", source_music.find("files", (str(path),)), 4)
    assert isinstance(first.score, Score) and isinstance(second.score, Score)
    assert (first.name, second.name) == (
        "jsb.json/train/0",
        "jsb.json/valid/0",
    ) and second.score.facts == {"split": "valid"}
    assert first.score.grid()[0].tolist() == frames


def test_what_is_written_is_read(tmp_path):
    from genwright.contents.music.midi_write import to_midi
    from genwright.contents.music.write import to_musicxml

    file = next(file for file in source_music.find("chorales") if file.name == "bach/bwv269.mxl")
    (score,) = source_music.read_file(file.path, 4)
    (again,) = read(tmp_path, "a.musicxml", to_musicxml(score))
    assert again.voices == score.voices and (again.bars, again.meters, again.keys) == (
        score.bars,
        score.meters,
        score.keys,
    )
    (heard,) = read(tmp_path, "a.mid", to_midi(score))
    assert heard.voices == tuple(
        tuple(note._replace(fermata=False) for note in notes) for notes in score.voices
    )


# The grid


def test_what_a_file_loses_on_the_grid_is_logged(tmp_path, caplog):
    from genwright.contents.music.midi_write import to_midi

    caplog.set_level("INFO", "genwright")
    swift = Score((tuple(Note(3 * i, 3, 60 + i) for i in range(4)), (Note(0, 12, 48),)), 12, 12)
    read(tmp_path, "swift.mid", to_midi(swift))
    assert not caplog.messages, "sixteenths fit"
    odd = Score((tuple(Note(4 * i, 4, 60 + i) for i in range(3)), (Note(0, 12, 48),)), 12, 12)
    read(tmp_path, "odd.mid", to_midi(odd))
    (message,) = caplog.messages
    assert message.endswith("odd.mid, of 4 notes, on 4 steps a quarter note: notes moved 3")


def test_what_the_grid_loses_is_counted():
    times = [
        (Fraction(0), Fraction(1, 8)),
        (Fraction(1, 8), Fraction(1, 8)),
        (Fraction(1, 4), Fraction(1, 3)),
        (Fraction(7, 12), Fraction(5, 12)),
    ]
    draft = Draft(
        [
            (
                "",
                [
                    Raw(start, length, 60 + i, tuplet=i == 2)
                    for i, (start, length) in enumerate(times)
                ],
            )
        ],
        lost=Counter({"grace notes": 2}),
    )
    score, counts = one(draft)
    assert score.voices == ((Note(0, 1, 60), Note(1, 1, 62), Note(2, 2, 63)),)
    assert (
        +counts
        == {"notes": 4, "notes moved": 4, "notes dropped": 1, "tuplets": 1, "grace notes": 2}
        or score.voices[0][0].pitch == 61
    )
    fine, counts = one(draft, 24)
    assert +counts == {"notes": 4, "tuplets": 1, "grace notes": 2} and fine.voices[0][2] == Note(
        6, 8, 62
    )


def test_of_notes_in_turn_on_one_step_the_longer_stays_but_a_chord_stays_whole():
    short, long = Raw(Fraction(0), Fraction(1, 16), 60), Raw(Fraction(1, 16), Fraction(1), 62)
    score, counts = one(Draft([("", [short, long])]))
    assert score.voices == ((Note(0, 4, 62),),) and counts["notes dropped"] == 1
    # played one after another, sounding together
    rolled = [Raw(Fraction(i, 40), Fraction(1), 60 + 4 * i) for i in range(3)]
    score, counts = one(Draft([("", rolled)]))
    assert (
        score.voices == (tuple(Note(0, 4, 60 + 4 * i) for i in range(3)),)
        and not counts["notes dropped"]
    )


def test_a_tie_finds_its_note_beside_another_of_its_pitch():
    notes = [
        Raw(Fraction(0), Fraction(2), 60),
        Raw(Fraction(1), Fraction(1, 2), 60),
        Raw(Fraction(2), Fraction(1), 60, tied=True),
    ]
    score, counts = one(Draft([("", notes)]))
    assert score.voices == ((Note(0, 12, 60), Note(4, 2, 60)),) and counts["notes"] == 2


def test_a_repeat_sign_within_a_bar_does_not_part_it():
    bars = [Fraction(b) for b in (0, 1, 5, 8, 9, 13)]  # a pickup, 4, 3 + 1, 4, a last one of 3
    score, _ = one(
        Draft([("", [Raw(Fraction(0), Fraction(16), 60)])], bars=bars, meters=[(Fraction(0), 4, 4)])
    )
    assert score.bars == (0, 4, 20, 36, 52)


@given(
    st.lists(
        st.tuples(st.integers(1, 8), st.integers(0, 127), st.booleans()), min_size=1, max_size=30
    ),
    st.sampled_from([1, 4, 12]),
)
@settings(max_examples=50, deadline=None)
def test_what_is_on_the_grid_stays_as_it_is(steps, per_quarter):
    notes, now = [], 0
    for length, pitch, rest in steps:
        notes += (
            [] if rest else [Raw(Fraction(now, per_quarter), Fraction(length, per_quarter), pitch)]
        )
        now += length
    if notes:
        score, counts = one(Draft([("", notes)], end=Fraction(now, per_quarter)), per_quarter)
        assert score.voices[0] == tuple(
            Note(int(n.start * per_quarter), int(n.length * per_quarter), n.pitch) for n in notes
        )
        assert score.length == now and +counts == {"notes": len(notes)}


# Likeness


def tune(pitches, lengths, shift: int = 0, rest: int = 0) -> Score:
    starts = rest + np.cumsum([0, *lengths[:-1]])
    notes = tuple(
        Note(int(s), int(n), int(p) + shift)
        for s, n, p in zip(starts, lengths, pitches, strict=True)
    )
    return Score((notes, (Note(0, 4, 40),)), int(starts[-1] + lengths[-1]))


def test_a_fingerprint_knows_a_tune_in_every_key_and_no_other():
    pitches, lengths = [60, 62, 64, 60, 67], [4, 4, 2, 2, 4]
    assert contour(tune(pitches, lengths)) == [(2, 4, 4), (2, 4, 4), (-4, 2, 2), (7, 2, 2)]
    same = {
        fingerprint(tune(pitches, lengths, shift, rest)) for shift in (-7, 0, 5) for rest in (0, 4)
    }
    assert len(same) == 1
    others = (tune([60, 62, 64, 60, 65], lengths), tune(pitches, [4, 2, 4, 2, 4]))
    assert not same & {fingerprint(other) for other in others} and fingerprint(
        Score((), 4)
    ) == fingerprint(Score((), 8))


def test_near_copies_are_found_transposed_and_with_their_share():
    random = np.random.default_rng(0)
    pitches, lengths = random.integers(55, 80, (3, 40)), random.integers(1, 5, (3, 40))
    train = [tune(p, n) for p, n in zip(pitches[:2], lengths[:2], strict=True)]
    changed = pitches[1].copy()
    changed[33:] += random.integers(1, 5, 7)
    held = [
        tune(pitches[2], lengths[2]),
        tune(changed, lengths[1], shift=3),
        tune(pitches[0][:5], lengths[0][:5]),
    ]
    ((piece, like, share),) = near_copies(train, held)
    # of 33 runs of 8 notes those that end before the 34th
    assert (piece, like) == (1, 1) and share == pytest.approx(26 / 33)
    assert near_copies(train, held, share=0.9) == [] and near_copies([], held) == []


# Sources and bad input


def test_a_folder_is_walked_and_a_bad_file_is_named(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "A.MID").write_bytes(midi(quarter(60)))
    (tmp_path / "b.abc").write_text("X:1\nK:C\nc|\n\nX:2\nK:C\n[ce\n")
    (tmp_path / "notes.txt").write_text("no music")
    files = source_music.find("files", (str(tmp_path),))
    assert [file.name for file in files] == ["b.abc", "sub/A.MID"]
    pieces = {piece.name: piece.score for piece in source_music.pieces("files", files, 4)}
    assert list(pieces) == ["b.abc#1", "b.abc#2", "sub/A.MID"]
    assert isinstance(pieces["b.abc#1"], Score) and str(pieces["b.abc#2"]).startswith(
        "b.abc#2 holds '[ce', which is no music of ABC"
    )
    with pytest.raises(
        GenwrightError, match="data.path is not set; give a folder of MIDI, MusicXML or ABC"
    ):
        source_music.find("files")
    with pytest.raises(
        GenwrightError,
        match=(
            "there is no music in .*; give a path that holds .krn, .mid, .midi, "
            ".musicxml, .mxl, .xml, .abc files"
        ),
    ):
        source_music.find("files", (str(tmp_path / "sub") + "/../empty",)) if (
            tmp_path / "empty"
        ).mkdir() is None else None


def test_collections_need_music21(monkeypatch):
    monkeypatch.setattr(source_music, "find_spec", lambda name: None)
    with pytest.raises(
        GenwrightError,
        match=(
            r"data.source=chorales needs music21, which is not installed; "
            r"pip install 'genwright\[music\]'"
        ),
    ):
        source_music.find("chorales")


LAUGHS = '<!DOCTYPE score-partwise [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'
OUTSIDE = '<!DOCTYPE score-partwise [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
PARAMETER = (
    '<!DOCTYPE score-partwise SYSTEM "http://localhost:9/x.dtd" [<!ENTITY % a SYSTEM '
    '"http://localhost:9/a">%a;]>'
)
HUGE = measure(note("C", 4, 1), "<forward><duration>1e300</duration></forward>")
BAD = {
    "laughs.musicxml": (xml(measure(), prolog=LAUGHS), "declares entities in its doctype"),
    "outside.xml": (xml(measure(), prolog=OUTSIDE), "declares entities in its doctype"),
    "utf16.xml": (
        xml(measure(), prolog=OUTSIDE).decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        "declares entities in its doctype",
    ),
    "parameter.xml": (xml(measure(), prolog=PARAMETER), "declares entities in its doctype"),
    "packed.mxl": (packed(xml(measure(), prolog=OUTSIDE)), "declares entities in its doctype"),
    "bomb.mxl": (
        packed(xml(measure()) + b" " * (musicxml.LARGEST + 1)),
        "unpacks to more than 32 MB, as zip bombs do",
    ),
    "lost.mxl": (
        packed(b"", name="other.xml"),
        "is a damaged archive (There is no item named 'other.xml' in the archive)",
    ),
    "cut.mxl": (packed(xml(measure()))[:60], "is a damaged archive (File is not a zip file)"),
    "html.xml": (b"<html/>", "is XML, but no MusicXML (its root is <html>)"),
    "no.xml": (b"not xml", "is no well-formed XML (syntax error: line 1, column 0)"),
    "many.xml": (xml(*["<measure/>"] * 257), "has 257 parts, more than any orchestra"),
    "empty.musicxml": (xml(measure()), "holds no note"),
    "still.musicxml": (xml(measure('<sound tempo="0"/>', note("C", 4, 1))), "sets a tempo of 0"),
    "nan.musicxml": (
        xml(measure('<sound tempo="nan"/>', note("C", 4, 1))),
        "sets a tempo of 0, or one that is none",
    ),
    "huge.musicxml": (xml(HUGE), f"more than the {LONGEST:,} or the hour that a piece may have"),
    "hours.musicxml": (
        xml(measure('<sound tempo="40"/>', note("C", 4, 7200))),
        "7,200 quarter notes long, more than the 8,000 or the hour",
    ),
    "high.musicxml": (
        xml(measure(note("C", 12, 1))),
        "holds a note before it begins, or outside of MIDI's pitches",
    ),
    "drums.mid": (midi(quarter(38, channel=9)), "holds drums and no note with a pitch"),
    "silent.mid": (midi(b""), "holds no note"),
    "still.mid": (midi(b"\0\xff\x51\x03\0\0\0" + quarter(60)), "sets a tempo of 0"),
    "hours.mid": (
        midi(quarter(60) + b"\x85\xf3\x8f\0" + quarter(62)[1:]),
        "is 25,777 quarter notes long, more than the 8,000",
    ),
    "none.abc": ("", "holds no note"),
    "prose.abc": ("X:1\nK:C\nJÖ|\n", "holds 'Ö|', which is no music of ABC"),
    "still.abc": ("X:1\nQ:1/4=0\nK:C\nc|\n", "sets a tempo of 0"),
    "empty.krn": ("", "holds no note"),
    "other.krn": ("**text\nno\n*-\n", "holds no note"),
    "ragged.json": (
        '{"train": [[[60, 55], [60]]]}',
        "holds train/0, whose steps are no rows of as many whole pitches each",
    ),
    "half.json": ('{"train": [[[60, 55.5], [60, 55]]]}', "holds train/0, whose steps are no rows"),
    "null.json": ('{"train": [[[60, null], [60, 55]]]}', "holds train/0, whose steps are no rows"),
    "deep.json": ("[" * 100_000, "is no JSON (maximum recursion depth exceeded"),
    "long.json": ('{"train": [[[' + "6" * 5000 + "]]]}", "is no JSON (Exceeds the limit"),
    "list.json": ("[1, 2]", "is no json of chorales"),
    "song.mp3": (
        "",
        "is of no known type: known are .krn, .mid, .midi, .musicxml, .mxl, .xml, .abc and .json",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, name):
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("something was fetched"))
    data, words = BAD[name]
    with pytest.raises(GenwrightError) as caught:
        read(tmp_path, name, data)
    assert str(caught.value).startswith(f"{name} ") and words in str(caught.value)
    assert str(caught.value).endswith("; mend the file, or go without it.")


def test_a_file_that_is_too_large_or_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(musicxml, "LARGEST", 1 << 20)
    with pytest.raises(GenwrightError, match="a.mid is larger than 1 MB"):
        read(tmp_path, "a.mid", b"0" * ((1 << 20) + 1))
    with pytest.raises(
        GenwrightError,
        match="nowhere.mid does not exist; give a MIDI, MusicXML or ABC file that is there",
    ):
        source_music.read_file("nowhere.mid", 4)


def test_a_missing_reader_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "music21.humdrum.spineParser", None)
    with pytest.raises(
        GenwrightError,
        match=(
            r"a.krn needs a package that is not installed: music21.*; "
            r"pip install 'genwright\[music\]'"
        ),
    ):
        read(tmp_path, "a.krn", "**kern\n4c\n*-\n")


@given(st.sampled_from(["a.mid", "a.musicxml", "a.mxl", "a.krn", "a.json"]), st.data())
@settings(max_examples=60, deadline=None)
def test_damaged_bytes_give_a_score_or_a_sentence(tmp_path_factory, name, data):
    score = xml(
        measure(
            "<attributes><divisions>2</divisions></attributes>", note("C", 4, 3), note("E", 4, 1)
        )
    )
    whole = {
        "a.mid": midi(quarter(60) * 3),
        "a.musicxml": score,
        "a.mxl": packed(score),
        "a.krn": b"**kern\n*M4/4\n4c\n[2.dd-\n=1\n4dd-]\n",
    }
    damaged = bytearray(whole.get(name, b'{"train": [[[60, 55], [62, -1]]]}'))
    for place, byte in data.draw(
        st.lists(st.tuples(st.integers(0, len(damaged) - 1), st.integers(0, 255)), max_size=4)
    ):
        damaged[place] = byte
    path = tmp_path_factory.mktemp("damaged") / name
    path.write_bytes(
        damaged[: data.draw(st.integers(0, len(damaged)))] if data.draw(st.booleans()) else damaged
    )
    for piece in source_music.pieces("files", [SourceFile(str(path), name)], 4):
        assert isinstance(piece.score, (Score, GenwrightError))
