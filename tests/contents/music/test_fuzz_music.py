"""A few hundred of the files that `benchmarks/fuzz_music.py` generates by the ten thousand."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

from genwright.contents.music import midi, musicxml
from genwright.contents.music.draft import Raw

pytest.importorskip("symusic")
BENCHMARKS = Path(__file__).parents[3] / "benchmarks"
EXAMPLES = {
    "midi": 200,
    "midi-damaged": 200,
    "midi-written": 40,
    "musicxml": 80,
    "musicxml-damaged": 120,
    "musicxml-written": 40,
}


@pytest.fixture
def fuzz_music(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    sys.modules.pop("fuzz_music", None)
    import fuzz_music

    return fuzz_music


@pytest.mark.parametrize("kind", EXAMPLES)
def test_generated_files_are_read_whole_or_refused_in_a_sentence(fuzz_music, kind):
    assert fuzz_music.fuzz(kind, EXAMPLES[kind])["examples"] >= EXAMPLES[kind] // 2


def test_every_kind_is_tried(fuzz_music):
    assert set(fuzz_music.KINDS) == set(EXAMPLES)


@pytest.mark.parametrize("kind", ["midi", "musicxml"])
def test_a_reader_that_loses_a_note_is_found_out(fuzz_music, kind, monkeypatch):
    reader = {"midi": midi, "musicxml": musicxml}[kind]
    honest = reader.read

    def careless(data):
        draft = honest(data)
        draft.voices = [
            (name, notes[:-1] if len(notes) > 2 else notes) for name, notes in draft.voices
        ]
        return draft

    monkeypatch.setattr(reader, "read", careless)
    with pytest.raises(AssertionError):
        fuzz_music.fuzz(kind, 100)


@pytest.mark.parametrize("kind", ["midi-damaged", "musicxml-damaged"])
def test_a_reader_that_trips_is_found_out(fuzz_music, kind, monkeypatch):
    reader = midi if kind == "midi-damaged" else musicxml
    honest = reader.read

    def clumsy(data):
        return honest(data) if len(data) % 3 else {}["no such key"]

    monkeypatch.setitem(
        fuzz_music.KINDS,
        kind,
        (lambda data, steps: fuzz_music.survives(clumsy, data, steps), fuzz_music.KINDS[kind][1]),
    )
    with pytest.raises(KeyError):
        fuzz_music.fuzz(kind, 60)


def test_the_generator_of_musicxml_knows_its_notes(fuzz_music):
    score = fuzz_music.Scored(
        "<score-partwise><part id='P'><measure><note><pitch><step>C</step><octave>4</octave>"
        "</pitch><duration>2</duration></note></measure>"
        "</part></score-partwise>",
        Counter({(0, 2, 60): 1}),
        Counter(),
    )
    fuzz_music.whole_xml(score, 4)
    with pytest.raises(AssertionError):
        fuzz_music.whole_xml(score._replace(sounds=Counter({(0, 2, 61): 1})), 4)
    assert Raw(0, 2, 60) == musicxml.read(score.text.encode()).voices[0][1][0]
