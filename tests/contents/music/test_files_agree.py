"""What the files of one piece hold, counted by nothing of ours: how many notes, how long they last,
how long the piece is in seconds."""

from __future__ import annotations

import base64
import io
import re
import wave
from collections.abc import Iterator
from fractions import Fraction
from xml.etree import ElementTree

import pytest

from genwright.contents.music.score import Key, Meter, Note, Score, Tempo
from genwright.contents.music.shown import files_of
from genwright.contents.music.sound import RELEASE, player

pytest.importorskip("verovio")

# the first 74 ends where the second begins
UPPER = (Note(0, 4, 72), Note(4, 12, 74), Note(8, 8, 74), Note(16, 16, 76), Note(16, 16, 79))
LOWER = (Note(0, 24, 48),)  # over the bar line
PIECE = Score(
    (UPPER, LOWER),
    32,
    bars=(0, 16),
    meters=(Meter(0, 4, 4),),
    keys=(Key(0, 0, "major"),),
    tempo=90,
    tempos=(Tempo(16, 45.0),),
)
NOTES = 6
QUARTERS = [Fraction(1), Fraction(1), Fraction(2), Fraction(4), Fraction(4), Fraction(6)]
SECONDS = 4 * 60 / 90 + 4 * 60 / 45  # 4 quarter notes at 90 a minute, 4 at 45: 8 seconds
FADING = 0.5  # seconds that a recording goes on after the last bar


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    made = files_of(PIECE, tmp_path_factory.mktemp("files"), "piece")
    return {path.name.removeprefix("piece"): path.read_bytes() for path in made}


def events(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """(track, tick, event) of a MIDI file without running status and system exclusive, which ours
    has not."""
    place, number = 14, -1
    while place < len(data):
        end, number, tick = (
            place + 8 + int.from_bytes(data[place + 4 : place + 8], "big"),
            number + 1,
            0,
        )
        place += 8
        while place < end:
            delta = 0
            while True:
                delta, place = delta << 7 | data[place] & 0x7F, place + 1
                if data[place - 1] < 0x80:
                    break
            tick += delta
            size = 3 + data[place + 2] if data[place] == 0xFF else 3
            yield number, tick, data[place : place + size]
            place += size


def test_midi_holds_the_notes_and_lasts_as_long(files):
    found = list(events(files[".mid"]))
    per_quarter = int.from_bytes(files[".mid"][12:14], "big")
    begun: dict[tuple[int, int], int] = {}
    lengths = []
    for track, tick, event in found:
        if event[0] & 0xF0 == 0x90:
            assert (track, event[1]) not in begun, "a pitch begins while it sounds"
            begun[track, event[1]] = tick
        elif event[0] & 0xF0 == 0x80:
            lengths.append(Fraction(tick - begun.pop((track, event[1])), per_quarter))
    assert not begun and sorted(lengths) == QUARTERS and len(lengths) == NOTES
    tempos = [
        (tick, int.from_bytes(event[3:], "big"))
        for _, tick, event in found
        if event[:2] == b"\xff\x51"
    ]
    ends = {tick for _, tick, event in found if event[:2] == b"\xff\x2f"}
    assert ends == {8 * per_quarter}, "every track ends with the piece"
    micros = sum(
        (stop - start) * tempo
        for (start, tempo), (stop, _) in zip(tempos, [*tempos[1:], (max(ends), 0)], strict=True)
    )
    assert micros / per_quarter / 1e6 == pytest.approx(SECONDS, abs=1e-4)


def test_musicxml_holds_the_notes_and_lasts_as_long(files):
    root = ElementTree.fromstring(files[".musicxml"])
    divisions = int(root.findtext(".//divisions"))
    lengths: list[int] = []
    for part in root.iter("part"):
        held: dict[tuple[str, str], int] = {}  # a pitch that is tied on -> its place in `lengths`
        for note in (note for note in part.iter("note") if note.find("rest") is None):
            pitch = note.findtext("pitch/step"), note.findtext("pitch/octave")
            kinds = [tie.get("type") for tie in note.findall("tie")]
            place = held.pop(pitch) if "stop" in kinds else len(lengths)
            lengths[place : place + 1] = [
                sum(lengths[place : place + 1]) + int(note.findtext("duration"))
            ]
            if "start" in kinds:
                held[pitch] = place
    assert sorted(Fraction(n, divisions) for n in lengths) == QUARTERS and len(lengths) == NOTES
    bars, now, tempos = [Fraction(0)], Fraction(0), []
    for measure in root.find("part").findall("measure"):
        tempos += [(now, float(sound.get("tempo"))) for sound in measure.iter("sound")]
        now += Fraction(
            sum(
                int(n.findtext("duration"))
                for n in measure.findall("note")
                if n.find("chord") is None
            ),
            divisions,
        )
        bars.append(now)
    assert bars == [0, 4, 8]
    minutes = sum(
        (stop - start) / tempo
        for (start, tempo), (stop, _) in zip(tempos, [*tempos[1:], (now, 0)], strict=True)
    )
    assert 60 * minutes == pytest.approx(SECONDS, abs=1e-4)


def test_a_recording_lasts_as_long(files):
    with wave.open(io.BytesIO(files[".wav"])) as sound:
        assert sound.getnframes() / sound.getframerate() == pytest.approx(
            SECONDS + FADING, abs=1e-3
        )
    assert RELEASE < FADING


def test_the_player_of_a_report_lasts_as_long():
    soundfile = pytest.importorskip("soundfile")
    shown = re.search('base64,([^"]+)', player(PIECE))[1]
    with soundfile.SoundFile(io.BytesIO(base64.b64decode(shown))) as sound:
        # MP3 is made of frames of so many samples, some of them before the first
        frame = 1152 / sound.samplerate
        assert sound.frames / sound.samplerate == pytest.approx(SECONDS + FADING, abs=3 * frame)


def test_the_piano_roll_shows_every_note(files):
    notes = ElementTree.fromstring(files["-roll.svg"]).findall(".//{*}rect")
    assert len(notes) == NOTES


def test_the_notation_shows_every_tempo(files):
    text = "".join(ElementTree.fromstring(files[".svg"]).itertext())
    assert "90" in text and "45" in text
