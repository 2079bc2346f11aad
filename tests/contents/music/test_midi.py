"""MIDI files, byte by byte: what each of them says, and that every reader finds in ours what we say
we wrote."""

from __future__ import annotations

import io
import struct
import wave
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.contents.music import midi
from genwright.contents.music.draft import BadMusic, Raw
from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Key, Meter, Note, Score, Tempo, apart, seconds
from genwright.contents.music.sound import to_wav
from genwright.contents.music.write import to_musicxml
from genwright.core.errors import GenwrightError

symusic = pytest.importorskip("symusic")


def number(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.insert(0, value & 0x7F | 0x80)
    return bytes(out)


def track(*events: tuple[int, bytes]) -> bytes:
    """events: (ticks since the one before, bytes)."""
    body = b"".join(number(delta) + event for delta, event in events) + b"\0\xff\x2f\0"
    return b"MTrk" + struct.pack(">I", len(body)) + body


def file(*tracks: bytes, kind: int = 1, division: int = 480) -> bytes:
    return b"MThd" + struct.pack(">IHHH", 6, kind, len(tracks), division) + b"".join(tracks)


def on(pitch: int, velocity: int = 90, channel: int = 0) -> bytes:
    return bytes((0x90 + channel, pitch, velocity))


def off(pitch: int, channel: int = 0) -> bytes:
    return bytes((0x80 + channel, pitch, 0))


def meta(kind: int, data: bytes) -> bytes:
    return bytes((0xFF, kind, len(data))) + data


def tempo(micros: int) -> bytes:
    return meta(0x51, micros.to_bytes(3, "big"))


def read(data: bytes, per_quarter: int = 4) -> tuple[Score, dict[str, int]]:
    score, counts = midi.read(data).score(per_quarter)
    return score, dict(+counts)


QUARTER = ((0, on(60)), (480, off(60)))


# What a file says


def test_a_file_without_a_tempo_is_at_120():
    score, _ = read(file(track(*QUARTER)))
    assert (score.tempo, score.tempos) == (120, ()) and seconds(score)[-1] == pytest.approx(0.5)


def test_before_its_first_tempo_a_file_is_at_120():
    score, counts = read(
        file(track((960, tempo(1_000_000))), track(*QUARTER, (480, on(62)), (480, off(62))))
    )
    assert (score.tempo, score.tempos) == (120, (Tempo(8, 60.0),))
    assert seconds(score)[-1] == pytest.approx(2 * 0.5 + 1.0) and "changes of tempo" not in counts


def test_every_change_of_tempo_is_kept_and_those_that_fall_on_one_step_are_counted():
    changes = (
        (0, tempo(600_000)),
        (480, tempo(500_000)),
        (10, tempo(400_000)),
        (470, tempo(400_000)),
    )
    score, counts = read(file(track(*changes), track((0, on(60)), (1920, off(60)))))
    assert (score.tempo, score.tempos) == (100, (Tempo(4, 150.0),))
    assert counts == {"notes": 1, "changes of tempo": 1}


def test_of_two_tempos_at_one_tick_the_later_holds():
    score, _ = read(file(track((0, tempo(600_000)), (0, tempo(1_000_000)), *QUARTER)))
    assert (score.tempo, score.tempos) == (60, ())


def test_an_hour_is_counted_by_the_tempos_that_hold():
    slow = file(track((480, tempo(6_000_000))), track((0, on(60)), (480 * 600, off(60))))
    read(slow)  # a quarter at 120 and 599 at 10 a minute: 3,594.5 seconds
    too_long = file(track((480, tempo(6_000_000))), track((0, on(60)), (480 * 601, off(60))))
    with pytest.raises(
        BadMusic,
        match="is 601 quarter notes long, more than the 8,000 or the hour that a piece may have",
    ):
        read(too_long)


def test_bars_are_where_they_are_on_a_grid_that_does_not_divide_them():
    fives = ((0, meta(0x58, b"\5\4\x18\x08")),)  # 5/16: 5/4 of a quarter note, 2 and a half steps
    score, _ = read(file(track(*fives), track((0, on(62)), (480 * 5, off(62)))), per_quarter=2)
    assert score.bars == (0, 3, 5, 8)


def test_a_pickup_is_a_bar_of_a_shorter_metre():
    metres = ((0, meta(0x58, b"\1\2\x18\x08")), (480, meta(0x58, b"\3\2\x18\x08")))
    score, counts = read(file(track(*metres), track(*QUARTER, (0, on(62)), (480 * 6, off(62)))))
    assert (score.bars, score.meters) == ((0, 4, 16), (Meter(0, 3, 4),)) and counts == {"notes": 2}
    later = ((0, meta(0x58, b"\3\2\x18\x08")), (480 * 3, meta(0x58, b"\2\2\x18\x08")))
    score, _ = read(file(track(*later), track((0, on(62)), (480 * 7, off(62)))))
    assert (score.bars, score.meters) == ((0, 12, 20), (Meter(0, 3, 4), Meter(12, 2, 4))), (
        "the second metre is the shorter one"
    )


@pytest.mark.parametrize(
    ("pickup", "meters", "said"),
    [
        (4, (Meter(0, 3, 4),), [(0, 1, 4), (4, 3, 4)]),
        (2, (Meter(0, 3, 4),), [(0, 1, 8), (2, 3, 4)]),
        (6, (Meter(0, 6, 8),), [(0, 3, 8), (6, 6, 8)]),
        (4, (Meter(0, 4, 4), Meter(20, 2, 4)), [(0, 1, 4), (4, 4, 4), (20, 2, 4)]),
    ],
)
def test_a_pickup_is_written_and_read(pickup, meters, said):
    size = meters[0].beats * 16 // meters[0].unit
    bars = (0, pickup, pickup + size) + ((28,) if len(meters) > 1 else ())
    length = 36 if len(meters) > 1 else pickup + 2 * size
    score = Score(
        ((Note(0, pickup, 67), Note(pickup, length - pickup, 60)),),
        length,
        bars=bars,
        meters=meters,
    )
    found = symusic.Score.from_midi(to_midi(score))
    assert [
        (4 * m.time // found.tpq, m.numerator, m.denominator) for m in found.time_signatures
    ] == said
    again, _ = read(to_midi(score))
    assert (again.bars, again.meters) == (bars, meters)


def test_channels_of_one_track_are_voices():
    notes = (
        (0, on(60, channel=0)),
        (0, on(76, channel=1)),
        (480, off(60, channel=0)),
        (0, off(76, channel=1)),
    )
    score, _ = read(file(track(*notes), kind=0))
    assert score.voices == ((Note(0, 4, 76, 90),), (Note(0, 4, 60, 90),))


def test_a_change_of_instrument_does_not_part_a_voice():
    notes = ((0, b"\xc0\x28"), *QUARTER, (0, b"\xc0\x2d"), (0, on(62)), (480, off(62)))
    score, _ = read(file(track(*notes)))
    assert score.voices == ((Note(0, 4, 60, 90), Note(4, 4, 62, 90)),)


def test_drums_are_counted():
    score, counts = read(
        file(track(*QUARTER), track((0, on(36, channel=9)), (480, off(36, channel=9))))
    )
    assert len(score.voices) == 1 and counts == {"notes": 1, "unpitched notes": 1}


def test_running_status_and_a_note_on_without_velocity():
    score, _ = read(
        file(
            track(
                (0, on(60, 10)), (480, bytes((60, 0))), (0, bytes((62, 80))), (240, bytes((62, 0)))
            )
        )
    )
    assert score.voices == ((Note(0, 4, 60, 10), Note(4, 2, 62, 80)),)


def test_a_note_that_never_ends_lasts_until_its_pitch_begins_anew_or_the_track_ends():
    events = (
        (0, on(60)),
        (480, on(60)),
        (480, off(60)),
        (0, on(64)),
        (480, meta(0x01, b"the end")),
    )
    score, counts = read(file(track(*events)))
    assert score.voices == ((Note(0, 4, 60, 90), Note(4, 4, 60, 90), Note(8, 4, 64, 90)),)
    assert counts == {"notes": 3, "notes without an end": 2}


def test_a_lost_end_does_not_shift_the_ends_that_follow():
    events = [(0, on(60))] + [(240, on(60)), (240, off(60))] * 3
    assert read(file(track(*events)))[0].voices[0] == tuple(
        Note(start, n, 60, 90) for start, n in ((0, 2), (2, 2), (6, 2), (10, 2))
    )


def test_of_overlapping_notes_of_one_pitch_the_first_ends_first():
    events = ((0, on(60, 10)), (240, on(60, 20)), (240, off(60)), (480, off(60)))
    score, counts = read(file(track(*events)))
    assert score.voices == ((Note(0, 4, 60, 10), Note(2, 6, 60, 20)),) and counts == {"notes": 2}


def test_a_note_without_length_is_a_step_long_and_counted_as_moved():
    score, counts = read(file(track((0, on(60)), (0, off(60)), (480, on(62)), (480, off(62)))))
    assert score.voices == ((Note(0, 1, 60, 90), Note(4, 4, 62, 90)),) and counts == {
        "notes": 2,
        "notes moved": 1,
    }


def test_keys_metres_and_tempos_that_are_none_are_counted():
    keys = ((0, meta(0x59, b"\x09\x00")), (0, meta(0x59, b"\x01\x05")))
    metres = ((0, meta(0x58, b"\0\2\x18\x08")), (0, meta(0x58, b"\3\x09\x18\x08")))
    right = ((0, meta(0x59, b"\xfd\x01")), (0, meta(0x58, b"\3\2\x18\x08")), (0, meta(0x51, b"\1")))
    score, counts = read(file(track(*keys, *metres, *right, *QUARTER)))
    assert (score.keys, score.meters) == ((Key(0, -3, "minor"),), (Meter(0, 3, 4),))
    assert counts == {
        "notes": 1,
        "keys that are none": 1,
        "metres that are none": 2,
        "tempos, metres and keys that are damaged": 2,
    }


def test_names_title_rights_and_bends():
    head = track((0, meta(0x03, b"A tune")), (0, meta(0x02, b"N. N.")))
    bends = ((0, b"\xe0\x00\x40"), (0, b"\xe0\x00\x50"))
    score, counts = read(
        file(head, track((0, meta(0x03, "Flöte".encode("latin-1"))), *bends, *QUARTER))
    )
    assert (
        score.names == ("Flöte",)
        and score.facts == {"title": "A tune", "rights": "N. N."}
        and counts["bends of the pitch"] == 1
    )


def test_system_exclusive_other_chunks_long_headers_and_riff_are_passed_over():
    notes = track((0, b"\xf0\x03\x01\x02\xf7"), *QUARTER, (0, b"\xf7\x01\x01"))
    plain = file(notes)
    longer = (
        b"MThd"
        + struct.pack(">IHHHH", 8, 1, 1, 480, 0)
        + b"XFIH"
        + struct.pack(">I", 3)
        + b"abc"
        + notes
    )
    wrapped = (
        b"RIFF"
        + struct.pack("<I", 8 + 4 + len(plain))
        + b"RMIDdata"
        + struct.pack("<I", len(plain))
        + plain
    )
    assert read(plain)[0] == read(longer)[0] == read(wrapped)[0]


def test_tracks_that_the_header_announces_and_that_are_not_there_are_counted():
    data = bytearray(file(track(*QUARTER)))
    data[11] = 3
    assert read(bytes(data))[1] == {"notes": 1, "tracks that are missing": 2}


GOOD = file(track(*QUARTER))
BAD = {
    "is no MIDI file: it does not begin with MThd": (b"", b"hello", b"RIFF" + bytes(20)),
    "is cut short in its header": (b"MThd", GOOD[:13]),
    "is cut short: 3 bytes of a track are missing": (GOOD[:-3],),
    "ends a track in the middle of an event": (file(b"MTrk\0\0\0\3\0\x90\x3c"),),
    "counts time in SMPTE frames": (file(track(*QUARTER), division=0xE728),),
    "has 0 ticks a quarter note": (file(track(*QUARTER), division=0),),
    "is of MIDI format 2": (file(track(*QUARTER), track(*QUARTER), kind=2),),
    "is of MIDI format 7": (file(track(*QUARTER), kind=7),),
    "holds a number of more than four bytes": (file(b"MTrk\0\0\0\x06\xff\xff\xff\xff\xff\0"),),
    "holds an event of no kind": (file(b"MTrk\0\0\0\3\0\x3c\x40"),),
    "holds an event whose values are out of range": (file(track((0, b"\x90\xc8\x40"))),),
    "holds a message \\(0xF4\\) that has no place in a file": (file(track((0, b"\xf4"))),),
    "holds no note": (file(track()), file()),
    "sets a tempo of 0": (file(track((0, tempo(0)), *QUARTER)),),
}


@pytest.mark.parametrize("words", BAD)
def test_a_damaged_file_is_a_sentence_of_ours(tmp_path, words):
    from genwright.contents.music import sources as source_music

    for data in BAD[words]:
        (tmp_path / "a.mid").write_bytes(data)
        with pytest.raises(GenwrightError, match=f"^a.mid {words}.*; (mend|export) .*") as caught:
            source_music.read_file(str(tmp_path / "a.mid"), 4)
        assert "symusic" not in str(caught.value).lower() and "cannot be read" not in str(
            caught.value
        )


# Beside other readers


def by_symusic(data: bytes) -> list[list[tuple[Fraction, Fraction, int, int]]]:
    found = symusic.Score.from_midi(data)
    tracks = [
        [
            (Fraction(n.time, found.tpq), Fraction(n.duration, found.tpq), n.pitch, n.velocity)
            for n in t.notes
        ]
        for t in found.tracks
    ]
    return [sorted(notes) for notes in tracks if notes]


def by_music21(data: bytes) -> list[list[tuple[Fraction, Fraction, int]]]:
    """By the events themselves: music21's streams are quantised."""
    from music21 import midi as their_midi

    found = their_midi.MidiFile()
    found.readstr(data)
    tracks = []
    for one in found.tracks:
        time, notes, sounding = 0, [], {}
        for event in one.events:
            if event.type == "DeltaTime":
                time += event.time
            elif event.isNoteOn():
                assert event.pitch not in sounding, "two notes of one pitch sound at once"
                sounding[event.pitch] = time
            elif event.isNoteOff():
                start = sounding.pop(event.pitch)
                notes.append(
                    (
                        Fraction(start, found.ticksPerQuarterNote),
                        Fraction(time - start, found.ticksPerQuarterNote),
                        event.pitch,
                    )
                )
        assert not sounding
        tracks.append(sorted(notes))
    return [notes for notes in tracks if notes]


def said(score: Score) -> list[list[tuple[Fraction, Fraction, int, int]]]:
    """What we say we wrote: velocities from 1."""
    unit = score.per_quarter
    voices = (
        [
            (Fraction(n.start, unit), Fraction(n.length, unit), n.pitch, max(1, n.velocity))
            for n in apart(v)
        ]
        for v in score.voices
    )
    return [sorted(voice) for voice in voices if voice]


def test_two_notes_of_one_pitch_do_not_overlap():
    voice = (
        Note(0, 8, 60, 70),
        Note(4, 2, 60),
        Note(4, 8, 64),
        Note(6, 4, 60),
        Note(6, 1, 60),
        Note(10, 2, 60),
    )
    assert apart(voice) == [
        Note(0, 4, 60, 70),
        Note(4, 2, 60),
        Note(4, 8, 64),
        Note(6, 4, 60),
        Note(10, 2, 60),
    ]
    data = to_midi(Score((voice,), 12))
    expected = [(0, 4, 60), (4, 2, 60), (4, 8, 64), (6, 4, 60), (10, 2, 60)]
    quarters = [(Fraction(a, 4), Fraction(b, 4), pitch) for a, b, pitch in expected]
    assert (
        [[note[:3] for note in notes] for notes in by_symusic(data)]
        == by_music21(data)
        == [quarters]
    )
    again, counts = read(data)
    assert [n[:3] for n in again.voices[0]] == expected and counts == {"notes": 5}
    assert [n[:3] for n in read_xml(to_musicxml(Score((voice,), 12))).voices[0]] == expected


def read_xml(text: str) -> Score:
    from genwright.contents.music import musicxml

    return musicxml.read(text.encode()).score(4)[0]


notes = st.builds(
    Note, st.integers(0, 60), st.integers(1, 12), st.integers(58, 64), st.integers(0, 127)
)
scores = st.builds(
    lambda voices, per_quarter, more: Score(
        tuple(tuple(sorted(voice)) for voice in voices),
        max(n.start + n.length for v in voices for n in v) + more,
        per_quarter,
    ),
    st.lists(st.lists(notes, min_size=1, max_size=12), min_size=1, max_size=18),
    st.sampled_from([1, 4, 7, 12, 96]),
    st.integers(0, 9),
)


@given(scores)
@settings(max_examples=100, deadline=None)
def test_every_reader_finds_what_we_say_we_wrote(score):
    data = to_midi(score)
    assert sorted(by_symusic(data)) == sorted(said(score))
    assert sorted(by_music21(data)) == sorted([note[:3] for note in voice] for voice in said(score))
    draft = midi.read(data)
    assert [
        sorted((n.start, n.length, n.pitch, n.velocity) for n in notes) for _, notes in draft.voices
    ] == said(score)
    assert not +draft.lost


messages = st.lists(
    st.tuples(
        st.integers(0, 300),
        st.sampled_from([0x80, 0x90, 0x90]),
        st.integers(0, 3),
        st.integers(60, 62),
        st.integers(0, 127),
    ),
    max_size=40,
)


@given(messages)
@settings(max_examples=100, deadline=None)
def test_what_others_wrote_is_what_symusic_reads_where_every_note_ends(events):
    data = file(
        track(
            *(
                (delta, bytes((kind + channel, pitch, velocity)))
                for delta, kind, channel, pitch, velocity in events
            )
        )
    )
    draft, theirs = midi.read(data), [note for notes in by_symusic(data) for note in notes]
    ours = [(n.start, n.length, n.pitch, n.velocity) for _, notes in draft.voices for n in notes]
    begun = sum(kind == 0x90 and velocity > 0 for _, kind, _, _, velocity in events)
    assert len(ours) == begun, "no note vanishes"
    assert draft.lost["notes without an end"] == begun - len(theirs), (
        "symusic leaves out what does not end"
    )
    if begun == len(theirs):
        assert sorted(ours) == sorted(theirs)


# How long it lasts


CHANGING = Score(
    ((Note(0, 4, 69), Note(4, 4, 57), Note(12, 4, 69)),),
    20,
    tempo=60,
    tempos=(Tempo(4, 120.0), Tempo(12, 30.0)),
    meters=(Meter(0, 4, 4),),
)  # 4 steps at 60: 1 s; 8 at 120: 1 s; 8 at 30: 4 s


def test_seconds_are_counted_by_the_tempos_that_hold():
    assert seconds(CHANGING)[[0, 2, 4, 8, 12, 20]].tolist() == [0, 0.5, 1, 1.5, 2, 6]


def test_tempos_and_the_end_of_the_piece_are_written_and_read():
    found = symusic.Score.from_midi(to_midi(CHANGING))
    assert [(4 * t.time // found.tpq, t.qpm) for t in found.tempos] == [(0, 60), (4, 120), (12, 30)]
    again, _ = read(to_midi(CHANGING))
    assert (again.tempo, again.tempos) == (60, (Tempo(4, 120.0), Tempo(12, 30.0)))


def test_each_track_ends_with_the_piece():
    draft = Fraction(20 * 120, 480)
    *_, first, second = to_midi(Score(((Note(0, 4, 60),), (Note(0, 16, 64),)), 20)).split(b"MTrk")
    for data in (first[4:], second[4:]):
        *_, last = midi._events(data)
        assert (last.kind, Fraction(last.tick, 480)) == (0x2F, draft)


def test_a_wav_follows_the_tempos():
    with wave.open(io.BytesIO(to_wav(CHANGING))) as sound:
        # and half a second to fade
        assert sound.getnframes() / sound.getframerate() == pytest.approx(6.5, abs=0.001)
        import numpy as np

        x, rate = (
            np.frombuffer(sound.readframes(sound.getnframes()), "<i2") / 32768,
            sound.getframerate(),
        )
    loud = [
        float(np.abs(x[int(a * rate) : int(b * rate)]).max())
        for a, b in ((0.0, 0.9), (1.0, 1.4), (1.7, 1.95), (2.0, 3.9), (4.3, 6.0))
    ]
    assert [level > 0.2 for level in loud] == [True, True, False, True, False]


def test_a_raw_note_is_exact():
    draft = midi.read(file(track((7, on(60)), (11, off(60))), division=96))
    assert draft.voices == [("", [Raw(Fraction(7, 96), Fraction(11, 96), 60, 90)])]
