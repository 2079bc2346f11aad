"""MusicXML, element by element, with the values that the standard gives them; and beside music21 on
scores that are no chorales."""

from __future__ import annotations

import io
import sys
import zipfile
from fractions import Fraction
from pathlib import Path

import pytest

from genwright.contents.music import musicxml
from genwright.contents.music.codec_grid import Grid
from genwright.contents.music.draft import BadMusic
from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Key, Meter, Note, Score, Tempo
from genwright.contents.music.write import to_musicxml
from genwright.core.errors import GenwrightError

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def note(step: str, octave: int, duration: int | str, more: str = "") -> str:
    return (
        f"<note><pitch><step>{step}</step><octave>{octave}</octave></pitch>"
        f"<duration>{duration}</duration>{more}</note>"
    )


def rest(duration: int) -> str:
    return f"<note><rest/><duration>{duration}</duration></note>"


def at(staff: int, voice: int = 1) -> str:
    return f"<voice>{voice}</voice><staff>{staff}</staff>"


def back(duration: int) -> str:
    return f"<backup><duration>{duration}</duration></backup>"


def bars(*measures: str) -> str:
    return "".join(f"<measure>{elements}</measure>" for elements in measures)


def xml(*parts: str, head: str = "") -> bytes:
    body = "".join(f'<part id="P{i}">{part}</part>' for i, part in enumerate(parts))
    return f"<score-partwise>{head}{body}</score-partwise>".encode()


def read(data: bytes | str, per_quarter: int = 4) -> tuple[Score, dict[str, int]]:
    score, counts = musicxml.read(data.encode() if isinstance(data, str) else data).score(
        per_quarter
    )
    return score, dict(+counts)


def meter(*pairs: tuple[str, str]) -> str:
    counts = "".join(
        f"<beats>{beats}</beats><beat-type>{unit}</beat-type>" for beats, unit in pairs
    )
    return f"<attributes><time>{counts}</time></attributes>"


# Voices


def test_two_staves_that_both_call_their_voice_1_are_two_voices():
    hands = note("C", 5, 2, at(1)) + note("D", 5, 2, at(1)) + back(4) + note("C", 3, 4, at(2))
    score, counts = read(xml(bars(hands)))
    assert score.voices == ((Note(0, 8, 72), Note(8, 8, 74)), (Note(0, 16, 48),)) and counts == {
        "notes": 3
    }


def test_the_grid_codec_keeps_the_left_hand():
    hands = note("C", 5, 2, at(1)) + note("D", 5, 2, at(1)) + back(4) + note("C", 3, 4, at(2))
    score, _ = read(xml(bars(hands)))
    codec = Grid().learn([score], {})
    assert codec.voices == 2 and codec.lost_notes(score) == 0
    again = codec.decode(codec.encode(score))
    assert [[n[:3] for n in voice] for voice in again.voices] == [
        [(0, 8, 72), (8, 8, 74)],
        [(0, 16, 48)],
    ]


def test_a_voice_that_crosses_to_the_other_staff_stays_one():
    right = note("C", 5, 1, at(1)) + note("G", 3, 1, at(2)) + note("C", 5, 2, at(1))
    score, _ = read(xml(bars(right + back(4) + note("C", 3, 4, at(2, 5)))))
    assert score.voices == ((Note(0, 4, 72), Note(4, 4, 55), Note(8, 8, 72)), (Note(0, 16, 48),))


def test_a_note_of_a_chord_is_in_the_voice_of_the_note_before_it():
    chord = note("C", 3, 4, at(2, 3)) + note("G", 3, 4, "<chord/><staff>2</staff>")
    score, _ = read(xml(bars(note("C", 5, 4, at(1)) + back(4) + chord)))
    assert score.voices == ((Note(0, 16, 72),), (Note(0, 16, 48), Note(0, 16, 55)))


def test_the_notes_of_a_chord_have_their_own_lengths():
    chord = note("C", 4, 4) + note("G", 4, 2, "<chord/>") + note("D", 4, 4)
    assert read(xml(bars(chord)))[0].voices == (
        (Note(0, 8, 67), Note(0, 16, 60), Note(16, 16, 62)),
    )


def test_the_notes_of_a_chord_that_are_written_alike_last_alike():
    dotted = "<type>half</type><dot/>"
    chord = (
        note("C", 4, 3, dotted)
        + note("G", 4, 2, "<chord/>" + dotted)
        + note("B", 4, 2, "<chord/><type>half</type>")
    )
    assert read(xml(bars(chord)))[0].voices == ((Note(0, 8, 71), Note(0, 12, 60), Note(0, 12, 67)),)


def test_a_tie_goes_from_voice_to_voice():
    first = note("C", 5, 4, at(1, 1) + "<tie type='start'/>")
    second = note("C", 5, 2, at(1, 2) + "<tie type='stop'/><tie type='start'/>") + note(
        "E", 5, 2, at(1, 2)
    )
    third = note("C", 5, 2, at(1, 1) + "<tie type='stop'/>")
    score, counts = read(xml(bars(first, second + back(2) + third)))
    assert score.voices == ((Note(0, 32, 72),), (Note(24, 8, 76),)) and counts == {"notes": 2}


def test_a_tie_that_is_only_printed_counts_and_one_without_a_beginning_is_a_note():
    printed = "<notations><tied type='{}'/></notations>"
    score, _ = read(
        xml(
            bars(note("C", 4, 1, printed.format("start")) + note("C", 4, 1, printed.format("stop")))
        )
    )
    assert score.voices == ((Note(0, 8, 60),),)
    score, _ = read(xml(bars(note("D", 4, 1) + note("C", 4, 1, "<tie type='stop'/>"))))
    assert score.voices == ((Note(0, 4, 62), Note(4, 4, 60)),)


def test_parts_have_their_own_divisions_which_may_change_within_a_bar():
    change = "<attributes><divisions>{}</divisions></attributes>"
    first = (
        change.format(1) + note("C", 5, 1) + change.format(4) + note("D", 5, 2) + note("E", 5, 2)
    )
    score, _ = read(
        xml(bars(first), bars(change.format(3) + note("C", 4, 1) + note("D", 4, 5))), 12
    )
    assert score.voices == (
        (Note(0, 12, 72), Note(12, 6, 74), Note(18, 6, 76)),
        (Note(0, 4, 60), Note(4, 20, 62)),
    )


# Metres, bars


@pytest.mark.parametrize(
    ("pairs", "beats", "unit"),
    [
        ([("3", "8"), ("2", "8"), ("3", "4")], 11, 8),
        ([("3+2", "8")], 5, 8),
        ([("3 + 2 + 2", "8"), ("1", "4")], 9, 8),
        ([("2", "4"), ("3", "8")], 7, 8),
        ([(" 6 ", " 8 ")], 6, 8),
    ],
)
def test_additive_metres_have_their_whole_length(pairs, beats, unit):
    score, counts = read(xml(bars(meter(*pairs) + note("C", 4, 12))))
    assert score.meters == (Meter(0, beats, unit),) and counts == {"notes": 1}


def test_an_interchangeable_metre_is_no_part_of_the_sum():
    other = "<interchangeable><beats>6</beats><beat-type>8</beat-type></interchangeable>"
    score, _ = read(
        xml(bars(meter(("3", "4")).replace("</time>", other + "</time>") + note("C", 4, 3)))
    )
    assert score.meters == (Meter(0, 3, 4),)


@pytest.mark.parametrize(
    "pairs",
    [
        [("0", "4")],
        [("3", "")],
        [("x", "4")],
        [("3", "4"), ("1", "3")],
        [("3", "0")],
        [("3", "7")],
        [("400", "4")],
    ],
)
def test_a_metre_that_is_none_is_counted(pairs):
    score, counts = read(xml(bars(meter(*pairs) + note("C", 4, 3))))
    assert score.meters == () and counts == {"notes": 1, "metres that are none": 1}


def test_a_pickup_is_as_long_as_its_notes():
    score, _ = read(
        xml(bars(meter(("3", "4")) + note("C", 4, 1), note("D", 4, 3), note("E", 4, 3)))
    )
    assert score.bars == (0, 4, 16)


def test_a_bar_that_only_some_parts_overfill_is_counted():
    first = meter(("2", "4")) + note("C", 5, 2), note("D", 5, 2)
    score, counts = read(xml(bars(*first), bars(note("C", 4, 4), note("D", 4, 2))))
    assert score.bars == (0, 16) and counts == {"notes": 4, "bars that some parts overfill": 1}
    _, counts = read(xml(bars(first[0], note("D", 5, 4)), bars(note("C", 4, 2), note("D", 4, 4))))
    assert counts == {"notes": 4}, "a cadenza is long in all parts"


def test_a_step_back_behind_the_bar_is_counted():
    score, counts = read(
        xml(bars(note("C", 5, 4), note("D", 5, 4) + back(8) + note("E", 4, 4, at(1, 2))))
    )
    assert score.voices == ((Note(0, 16, 72), Note(16, 16, 74)), (Note(16, 16, 64),))
    assert counts == {"notes": 3, "steps back behind a bar's start": 1}


# Tempo


def metronome(inner: str, sound: str = "") -> str:
    return (
        f"<direction><direction-type><metronome>{inner}</metronome>"
        f"</direction-type>{sound}</direction>"
    )


@pytest.mark.parametrize(
    ("inner", "tempo"),
    [
        ("<beat-unit>quarter</beat-unit><per-minute>96</per-minute>", 96),
        ("<beat-unit>quarter</beat-unit><beat-unit-dot/><per-minute>80</per-minute>", 120),
        (
            (
                "<beat-unit>half</beat-unit><beat-unit-dot/><beat-unit-dot/>"
                "<per-minute>40</per-minute>"
            ),
            140,
        ),
        ("<beat-unit>eighth</beat-unit><per-minute>ca. 92.5</per-minute>", 46.25),
        ("<beat-unit>half</beat-unit><per-minute>60-66</per-minute>", 120),
        (
            (
                "<beat-unit>half</beat-unit><beat-unit-tied><beat-unit>eighth</beat-unit>"
                "</beat-unit-tied><per-minute>40</per-minute>"
            ),
            100,
        ),
    ],
)
def test_a_metronome_without_a_sound_is_read(inner, tempo):
    score, counts = read(xml(bars(metronome(inner) + note("C", 4, 4))))
    assert (score.tempo, score.tempos) == (tempo, ()) and counts == {"notes": 1}


def test_what_sounds_counts_before_what_is_printed():
    mark = metronome(
        "<beat-unit>quarter</beat-unit><per-minute>96</per-minute>", '<sound tempo="90"/>'
    )
    assert read(xml(bars(mark + note("C", 4, 4))))[0].tempo == 90


@pytest.mark.parametrize(
    "inner",
    [
        "<beat-unit>quarter</beat-unit><beat-unit>quarter</beat-unit><beat-unit-dot/>",
        "<beat-unit>quarter</beat-unit><per-minute>as before</per-minute>",
        "<metronome-note><metronome-type>quarter</metronome-type></metronome-note>",
    ],
)
def test_a_metric_modulation_is_no_tempo_and_is_counted(inner):
    score, counts = read(xml(bars(metronome(inner) + note("C", 4, 4))))
    assert score.tempo == 100 and counts == {"notes": 1, "metronome marks without a number": 1}


def test_changes_of_tempo_stand_where_they_are_said_in_any_part():
    quarter = "<beat-unit>quarter</beat-unit><per-minute>{}</per-minute>"
    first = (
        metronome(quarter.format(60))
        + note("C", 4, 2)
        + metronome(quarter.format(90))
        + note("D", 4, 2)
    )
    moved = '<direction><offset sound="yes">2</offset><sound tempo="120"/></direction>'
    printed = '<direction><offset>1</offset><sound tempo="150"/></direction>'
    second = bars(rest(4), '<sound tempo="45"/>' + moved + rest(4))
    score, _ = read(xml(bars(first, note("E", 4, 4)), second))
    assert (score.tempo, score.tempos) == (60, (Tempo(8, 90.0), Tempo(16, 45.0), Tempo(24, 120.0)))
    score, _ = read(xml(bars(first, printed + note("E", 4, 4))))
    assert score.tempos == (Tempo(8, 90.0), Tempo(16, 150.0)), (
        "an offset of what is printed moves no sound"
    )


def test_the_first_tempo_holds_from_the_beginning_and_without_one_it_is_100():
    late = bars(note("C", 4, 4), '<sound tempo="72"/>' + note("C", 4, 4))
    assert (read(xml(late))[0].tempo, read(xml(bars(note("C", 4, 4))))[0].tempo) == (72, 100)


def test_tempos_and_notes_come_back_from_our_own_files():
    voices = ((Note(0, 4, 69), Note(4, 4, 57), Note(12, 4, 69)), (Note(0, 20, 45),))
    score = Score(
        voices,
        20,
        bars=(0, 16),
        meters=(Meter(0, 4, 4),),
        tempo=60,
        tempos=(Tempo(4, 120.5), Tempo(16, 30.0)),
    )
    again, _ = read(to_musicxml(score))
    assert (again.voices, again.tempo, again.tempos, again.bars) == (
        voices,
        60,
        score.tempos,
        score.bars,
    )


# Pitch


def test_transposing_instruments_sound_where_they_sound():
    clarinet = "<transpose><diatonic>-1</diatonic><chromatic>-2</chromatic></transpose>"
    bass = "<transpose><chromatic>0</chromatic><octave-change>-1</octave-change></transpose>"
    key = "<key><fifths>2</fifths><mode>major</mode></key>"
    score, _ = read(
        xml(
            bars(f"<attributes>{key}{clarinet}</attributes>" + note("D", 5, 4)),
            bars(f"<attributes>{bass}</attributes>" + note("C", 3, 4)),
        )
    )
    assert score.voices == ((Note(0, 16, 72),), (Note(0, 16, 36),)) and score.keys == (
        Key(0, 0, "major"),
    )


def test_each_staff_may_have_its_own_transposition():
    both = '<attributes><transpose number="2"><chromatic>-12</chromatic></transpose></attributes>'
    score, _ = read(xml(bars(both + note("C", 5, 4, at(1)) + back(4) + note("C", 5, 4, at(2)))))
    assert score.voices == ((Note(0, 16, 72),), (Note(0, 16, 60),))


def test_an_octave_sign_changes_no_pitch():
    sign = (
        '<direction><direction-type><octave-shift type="down" size="8"/>'
        "</direction-type></direction>"
    )
    assert read(xml(bars(sign + note("C", 6, 4))))[0].voices == ((Note(0, 16, 84),),)


def test_a_quarter_tone_is_counted():
    tone = note("C", 4, 4).replace("</step>", "</step><alter>0.5</alter>")
    assert read(xml(bars(tone)))[1] == {"notes": 1, "pitches between semitones": 1}


# What is not read is counted


def test_grace_cue_and_unpitched_notes_and_chord_symbols_are_counted():
    grace = "<note><grace/><pitch><step>C</step><octave>5</octave></pitch></note>"
    cue = note("E", 5, 2).replace("<note>", "<note><cue/>")
    drum = "<note><unpitched/><duration>2</duration></note>"
    chord = "<harmony><root><root-step>C</root-step></root><kind>major</kind></harmony>"
    score, counts = read(xml(bars(grace + note("D", 5, 2) + chord + cue + drum + note("F", 5, 2))))
    assert score.voices == ((Note(0, 8, 74), Note(24, 8, 77)),)
    assert counts == {
        "notes": 2,
        "grace notes": 1,
        "cue notes": 1,
        "unpitched notes": 1,
        "chord symbols": 1,
    }


def test_a_part_on_the_channel_of_drums_has_no_pitches():
    instrument = '<midi-instrument id="I{0}"><midi-channel>{1}</midi-channel></midi-instrument>'
    listed = "".join(
        f'<score-part id="P{i}"><part-name/>{instrument.format(i, channel)}</score-part>'
        for i, channel in ((0, 10), (1, 1))
    )
    score, counts = read(
        xml(bars(note("C", 4, 4)), bars(note("E", 4, 4)), head=f"<part-list>{listed}</part-list>")
    )
    assert score.voices == ((Note(0, 16, 64),),) and counts == {"notes": 1, "unpitched notes": 1}


def test_metres_and_keys_are_those_of_the_first_part_with_a_pitch():
    drums = (
        "<attributes><key><fifths>0</fifths></key></attributes><note><unpitched/>"
        "<duration>4</duration></note>"
    )
    score, _ = read(
        xml(
            bars(drums),
            bars("<attributes><key><fifths>-3</fifths></key></attributes>" + note("C", 4, 4)),
        )
    )
    assert score.keys == (Key(0, -3),)


def test_repeats_that_are_not_played_out_are_counted_once_for_all_parts():
    end = '<barline><repeat direction="backward"/></barline>'
    music = bars(
        '<barline><repeat direction="forward"/></barline>' + note("C", 4, 4) + end,
        note("D", 4, 4) + '<sound dacapo="yes"/>',
    )
    assert read(xml(music, music))[1] == {"notes": 4, "repeats not played out": 2}


def test_keys_of_their_own_making_are_counted():
    keys = (
        "<attributes><key><key-step>B</key-step><key-alter>-1</key-alter></key></attributes>",
        "<attributes><key><fifths>9</fifths></key></attributes>",
    )
    score, counts = read(xml(bars(keys[0] + note("C", 4, 4), keys[1] + note("D", 4, 4))))
    assert score.keys == () and counts == {"notes": 2, "keys that are none": 2}


# Files


def test_a_timewise_score_is_the_same():
    by_time = (
        "<measure><part id='A'>{}</part><part id='B'>{}</part></measure>"
        "<measure><part id='B'>{}</part></measure>"
    )
    head = "<part-list><score-part id='B'><part-name>Bass</part-name></score-part></part-list>"
    measures = by_time.format(note("C", 5, 4), note("C", 3, 4), note("D", 3, 4))
    data = f"<score-timewise>{head}{measures}</score-timewise>"
    score, _ = read(data)
    assert score.voices == (
        (Note(0, 16, 72),),
        (Note(0, 16, 48), Note(16, 16, 50)),
    ) and score.names == ("", "Bass")


def test_a_namespace_makes_no_difference():
    data = xml(bars(note("C", 4, 4))).replace(
        b"<score-partwise>", b'<score-partwise xmlns="http://www.musicxml.org/ns">'
    )
    assert read(data)[0].voices == ((Note(0, 16, 60),),)


@pytest.mark.parametrize(
    "encoding", ["utf-8-sig", "utf-16", "utf-16-le", "latin-1", "windows-1252"]
)
def test_encodings(encoding):
    head = "<work><work-title>Frühling é</work-title></work>"
    said = {"latin-1": "ISO-8859-1", "windows-1252": "windows-1252"}.get(
        encoding, encoding.upper()[:6].rstrip("-")
    )
    text = (
        f'<?xml version="1.0" encoding="{said}"?>' + xml(bars(note("C", 4, 4)), head=head).decode()
    )
    data = text.encode(encoding) if encoding != "utf-16-le" else b"\xff\xfe" + text.encode(encoding)
    assert read(data)[0].facts["title"] == "Frühling é"


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def test_an_archive_without_a_container_holds_one_score():
    music = xml(bars(note("C", 4, 4)))
    assert read(packed({"a.xml": music, "picture.png": b""}))[0].voices == ((Note(0, 16, 60),),)
    with pytest.raises(
        BadMusic, match="is an archive that does not say which of its files is the score"
    ):
        musicxml.read(packed({"a.xml": music, "b.xml": music}))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (xml(bars(note("C", 4, "two"))), "says 'two' where a number belongs"),
        (xml(bars(note("C", 4, "nan"))), "says 'nan' where a number belongs"),
        (xml(bars(note("H", 4, 1))), "holds a note of step 'H' and octave 4, which is no pitch"),
        (
            xml(bars("<note><pitch><step>C</step></pitch><duration>1</duration></note>")),
            "says '?' where a number belongs",
        ),
        (xml(bars(note("C", 4, -1))), "holds a note before it begins"),
        (xml(bars(note("C", 4, "9" * 5000))), "is a thousand million or more quarter notes long"),
        (
            xml(bars("<attributes><divisions>1e-300</divisions></attributes>" + note("C", 4, 1))),
            "or more quarter notes long",
        ),
        (
            b'<?xml version="1.0" encoding="klingon"?><score-partwise/>',
            "is no well-formed XML (unknown encoding",
        ),
        (
            b'<?xml version="1.0" encoding="shift_jis"?><score-partwise/>',
            "is no well-formed XML (multi-byte encodings are not supported)",
        ),
        (b"<score-partwise><part>", "is no well-formed XML (no element found"),
    ],
)
def test_what_makes_no_sense_is_a_sentence_of_ours(data, words):
    with pytest.raises(BadMusic) as caught:
        read(data)
    assert words in str(caught.value)


# Beside music21


@pytest.mark.parametrize(
    "name",
    [
        "joplin/maple_leaf_rag.mxl",
        "schumann_robert/dichterliebe_no2.xml",
        "mozart/k80/movement3.mxl",
        "haydn/opus1no1/movement3.mxl",
        "monteverdi/madrigal.4.3.mxl",
    ],
)
def test_scores_are_what_music21_reads(name, monkeypatch):
    pytest.importorskip("music21")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sys.modules.pop("read_scores", None)
    import read_scores

    path = next(path for path in read_scores.scores() if path.as_posix().endswith(name))
    found = read_scores.compare(path)
    assert found["notes"] > 100 and not found["ours"]
    assert found["theirs"].total() == found["lost"].get("cue notes", 0), "music21 plays cues"


# Both kinds of file beside each other


def test_midi_and_musicxml_of_one_score_hold_the_same_notes():
    from genwright.contents.music import midi

    score, _ = read(
        xml(
            bars(
                note("C", 5, 2, at(1))
                + note("E", 5, 2, at(1) + "<chord/>")
                + note("D", 5, 2, at(1))
                + back(4)
                + note("C", 3, 4, at(2))
            )
        )
    )
    heard, _ = midi.read(to_midi(score)).score(4)
    assert heard.voices == read(to_musicxml(score))[0].voices == score.voices
    assert Fraction(score.length, score.per_quarter) == 4


def test_a_refusal_names_the_file(tmp_path):
    from genwright.contents.music import sources as source_music

    (tmp_path / "a.musicxml").write_bytes(xml(bars(note("C", 4, "two"))))
    with pytest.raises(
        GenwrightError,
        match="^a.musicxml says 'two' where a number belongs; mend the file, or go without it",
    ):
        source_music.read_file(str(tmp_path / "a.musicxml"), 4)


def test_a_part_of_thousands_of_voices_is_refused_at_once():
    """Each voice of a part is compared with all others, so that 20,000 of them took many
    minutes."""
    measure = "".join(note("C", 4, 1, at(staff)) + back(1) for staff in range(20_000))
    with pytest.raises(BadMusic, match="a part of more than 64 voices"):
        musicxml.read(xml(bars(measure)))
    few = "".join(note("C", 4, 1, at(staff)) + back(1) for staff in range(64))
    assert len(musicxml.read(xml(bars(few))).voices) == 64
