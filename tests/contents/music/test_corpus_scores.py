"""Corpora of music: read, measured, compared, mixed, shown, trained on."""

import random
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest

import genwright
from decided import decisions, reasons
from genwright.contents.music import corpus_scores
from genwright.contents.music.codec_event import Event
from genwright.contents.music.corpus_measures import measured, silence
from genwright.contents.music.data import MusicData
from genwright.contents.music.documents import form_of, score_of
from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Note, Score, Tempo
from genwright.contents.music.tune_shingles import tune_shingles
from genwright.contents.music.write import to_musicxml
from genwright.core.corpus import Document, Unread
from genwright.core.errors import GenwrightError
from genwright.curation.build import build
from genwright.curation.built import built
from genwright.curation.groups import clusters
from genwright.curation.look import dropped, trace
from genwright.curation.page import write_page
from genwright.curation.settings import CorpusRecipe, Filter, rule_sets

HEAD = "X:1\nT:{}\nM:4/4\nL:1/8\n{}K:C\n"


def tune(number, title="", fields=""):
    """A tune of ABC of 16 bars by chance, another one for each number."""
    rng = random.Random(number)
    bars = []
    for _ in range(16):
        bars.append("".join(rng.choice("CDEFGABcdefg") for _ in range(8)))
    return HEAD.format(title or f"tune {number}", fields) + "|".join(bars) + "|\n"


def abc(body, fields=""):
    return HEAD.format("a test", fields) + body + "\n"


def moved(data, semitones, longer=1):
    """The piece of a document in another key, and in other note values."""
    score, _ = score_of(data, 4)
    voices = []
    for voice in score.voices:
        voices.append(
            tuple(
                Note(note.start * longer, note.length * longer, note.pitch + semitones)
                for note in voice
            )
        )
    return Score(tuple(voices), score.length * longer, facts=dict(score.facts))


BROKEN = {
    "cut.mid": ("is cut short", lambda: to_midi(moved(tune(1).encode(), 0))[:60]),
    "rests.abc": ("holds no note", lambda: abc("z8|z8|").encode()),
    "page.xml": ("no MusicXML", lambda: b"<html/>"),
}


@pytest.fixture
def folder(tmp_path):
    tunes = tmp_path / "tunes"
    more = tmp_path / "more"
    for name in (tunes / "airs", tunes / "reels", more):
        name.mkdir(parents=True)
    for number in range(12):
        (tunes / "airs" / f"{number}.abc").write_text(tune(number))
    (tunes / "reels" / "book.abc").write_text("\n".join(tune(number) for number in range(20, 30)))
    (more / "up.mid").write_bytes(to_midi(moved(tune(0).encode(), 3)))
    (more / "slow.musicxml").write_text(to_musicxml(moved(tune(21).encode(), -5, 2)))
    (more / "same.abc").write_text(tune(1))
    (more / "own.abc").write_text(tune(99))
    (more / "one.abc").write_text(abc("CCCC CCCC|" * 8))
    (more / "short.abc").write_text(abc("CDEF GABc|"))
    (more / "few.abc").write_text(abc("C8|D8|E8|"))
    (more / "fast.abc").write_text(tune(50, fields="Q:1/4=900\n"))
    (more / "hole.abc").write_text(abc("CDEF GABc|" * 3 + "z8|" * 20))
    for name, (_, data) in BROKEN.items():
        (more / name).write_bytes(data())
    (more / "notes.txt").write_text("not looked at")
    return tmp_path


def recipe(folder, **changes):
    values = {
        "name": "mine",
        "kind": "music",
        "sources": [
            {"kind": "files", "path": str(folder / "tunes")},
            {"kind": "files", "path": str(folder / "more")},
        ],
        "filters": ["scores"],
        "mix": {"held_out": 0.2, "weights": {"source": {"more": 3}}},
    }
    return CorpusRecipe(**values | changes)


@pytest.fixture
def mixed(folder):
    corpus, _ = build(recipe(folder), folder / "mine", workers=1)
    return corpus


def test_what_becomes_of_pieces(mixed):
    assert reasons(mixed) == {
        "up.mid": "copies.near",
        "slow.musicxml": "copies.near",
        "same.abc": "copies.exact",
        "one.abc": "scores.monotone",
        "short.abc": "scores.short",
        "few.abc": "scores.few",
        "fast.abc": "scores.fast",
        "hole.abc": "scores.empty",
    }
    unread = {file: what for file, _, what in mixed.unread}
    assert set(unread) == set(BROKEN)
    for name, (what, _) in BROKEN.items():
        assert what in unread[name]


def test_a_copy_in_another_key_is_found_with_similarity_one(mixed):
    rows = pq.read_table(mixed.folder / "near" / "clusters.parquet").to_pylist()
    near = [row["similarity"] for row in rows if row["kind"] == "near"]
    assert near == [1.0, 1.0]


def test_each_tune_of_a_file_is_a_document(mixed):
    names = [name for name in decisions(mixed) if name.startswith("reels/book.abc")]
    assert names == [f"reels/book.abc tune {number}" for number in range(1, 11)]
    name = next(iter(dropped(mixed, "scores.monotone").documents)).id
    told = str(trace(mixed, name))
    assert "a test, 8 bars, 1 voice, ABC" in told


def test_files_of_one_piece_stay_byte_by_byte(mixed, folder):
    for shard in mixed.shards:
        for row in pq.read_table(shard.documents).to_pylist():
            if not row["place"]:
                path = folder / row["source"] / row["file"]
                assert row["data"] == path.read_bytes()


def test_a_damaged_tune_costs_itself_alone():
    data = "\n".join([tune(1), abc("z8|"), tune(2)]).encode()
    first, bad, last = corpus_scores.documents("book.abc", data)
    assert isinstance(first, Document)
    assert first.place == "tune 1"
    assert bad == Unread("tune 2", "holds no note")
    assert isinstance(last, Document)
    assert last.place == "tune 3"


def test_pieces_of_archives(folder):
    with zipfile.ZipFile(folder / "all.zip", "w") as archive:
        archive.writestr("a/1.abc", tune(1))
        archive.writestr("a/book.abc", tune(2) + "\n" + tune(3))
    sources = [{"kind": "archive", "path": str(folder / "all.zip")}]
    changes = {"sources": sources, "mix": {"held_out": 0}}
    corpus, _ = build(recipe(folder, **changes), folder / "mine", workers=1)
    places = pq.read_table(corpus.shards[0].documents)["place"].to_pylist()
    assert places == ["entry a/1.abc", "entry a/book.abc, tune 1", "entry a/book.abc, tune 2"]


def test_reading_needs_no_torch():
    check = (
        "import sys; from genwright.core.corpus_content import corpus_content;"
        "assert corpus_content('music'); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True)


def test_the_bytes_say_what_a_document_is():
    score = moved(tune(3).encode(), 0)
    assert form_of(to_midi(score)) == "MIDI"
    assert form_of(to_musicxml(score).encode()) == "MusicXML"
    assert form_of(b"\xef\xbb\xbf\n<?xml version='1.0'?>") == "MusicXML"
    assert form_of(b"!!!OTL: x\n**kern\n*clefG2\n4c\n*-\n") == "**kern"
    assert form_of(tune(3).encode()) == "ABC"


# ---- what is measured


def test_measures_by_hand():
    body = abc("[CE]2 z2 D4|z8|", "Q:1/4=90\n")
    found = {name: value[0] for name, value in measured([body.encode()]).items()}
    assert found["quarters"] == 8
    assert found["notes"] == 3
    assert found["pitches"] == 3
    assert found["silence"] == pytest.approx(5 / 8)
    assert found["slowest"] == found["fastest"] == 90
    assert found["voices"] == 1
    assert found["density"] == pytest.approx(3 / 8)


def test_all_tempos_count():
    score = moved(tune(3).encode(), 0)
    score = replace(score, tempo=100.0, tempos=(Tempo(8, 15.0), Tempo(16, 600.0)))
    found = measured([to_midi(score)])
    assert found["slowest"][0] == pytest.approx(15, abs=0.1)
    assert found["fastest"][0] == pytest.approx(600, abs=0.1)


def test_silence_of_voices_that_overlap():
    voices = ((Note(0, 4, 60),), (Note(2, 4, 50),))
    assert silence(Score(voices, 12)) == pytest.approx(0.5)
    assert np.isnan(silence(Score((), 0)))


def test_what_is_no_music_has_no_values():
    assert np.isnan(measured([b"", b"<html/>"])["notes"]).all()


def test_bounds_can_be_set():
    (rules,) = rule_sets("music", [Filter(rules="scores", settings={"short": 99, "few": None})])
    bounds = {rule.reason: rule.at_least for rule in rules.rules}
    assert bounds["scores.short"] == 99
    assert "scores.few" not in bounds
    with pytest.raises(GenwrightError, match="filters.scores"):
        rule_sets("music", [Filter(rules="scores", settings={"shrt": 99})])


# ---- by what pieces are alike


def shingles_of(*pitches, lengths=None):
    """Of a voice of notes of these pitches, of these lengths in steps, one after another."""
    lengths = lengths or [2] * len(pitches)
    notes = []
    start = 0
    for pitch, length in zip(pitches, lengths, strict=True):
        notes.append(Note(start, length, pitch))
        start += length
    return tune_shingles(Score((tuple(notes),), start))


def test_another_key_and_other_note_values_change_no_shingle():
    lengths = [2, 2, 4, 2, 6, 2, 2, 4]
    pitches = [60, 62, 64, 60, 67, 65, 64, 62]
    own = shingles_of(*pitches, lengths=lengths)
    assert len(own) == len(set(own)) == 3  # 8 notes, 7 steps, 5 at once
    higher = [pitch + 7 for pitch in pitches]
    twice = [2 * length for length in lengths]
    assert shingles_of(*higher, lengths=twice) == own
    other = shingles_of(60, 62, 64, 60, 67, 65, 64, 63, lengths=lengths)
    assert other[:2] == own[:2]
    assert other[2] != own[2]
    assert not set(shingles_of(*pitches)) & set(own)  # of even notes


def test_a_short_voice_has_one_shingle():
    assert len(shingles_of(60, 62, 64)) == 1
    assert shingles_of(60, 62, 64) == shingles_of(65, 67, 69)
    assert shingles_of(60) == []


def test_voices_are_compared_each_by_itself():
    first = tuple(Note(2 * place, 2, 60 + place) for place in range(8))
    second = tuple(Note(4 * place, 4, 48 - place) for place in range(8))
    both = tune_shingles(Score((first, second), 32))
    assert sorted(both) == sorted(
        tune_shingles(Score((first,), 32)) + tune_shingles(Score((second,), 32))
    )


# ---- looking at it


def test_the_page_shows_notes(mixed):
    page = write_page(mixed, mixed.folder / "report.html").read_text()
    assert '<svg role="img" aria-label="' in page or 'aria-label="piano roll"' in page
    assert "in whatever key and note values" in page
    assert "holds no note" in page
    assert "<audio" not in page


def test_without_verovio_the_page_shows_a_piano_roll(monkeypatch):
    monkeypatch.setitem(sys.modules, "verovio", None)
    assert 'aria-label="piano roll"' in corpus_scores.shown(tune(1).encode())


def test_the_terminal_shows_what_is_alike(mixed):
    text = str(clusters(mixed))
    assert "more/up.mid" in text
    assert "tune 0, 16 bars, 1 voice, MIDI" in text
    assert "not read" in str(built(mixed))


# ---- training


def data(corpus, tmp_path, **changes):
    settings = MusicData(
        path=str(corpus.folder), cache=str(tmp_path / "cache"), workers=1, minimum=2, **changes
    )
    return settings.prepare(Event())


def test_training_takes_what_the_mix_says(mixed, tmp_path):
    counts = built(mixed).counts
    dataset = data(mixed, tmp_path, context=4096)
    assert len(dataset.pieces["train"]) == counts["kept"]["train"]
    assert len(dataset.pieces["held_out"]) == counts["kept"]["held_out"] > 0
    listed = decisions(mixed)
    times = sum(each["times"] for each in listed.values() if each["split"] == "train")
    assert len(dataset.parts["train"]) == times  # a window a piece
    assert listed["own.abc"]["split"] == "train"
    assert listed["own.abc"]["times"] == 3


def test_a_piece_is_traced_to_its_file(mixed, tmp_path):
    dataset = data(mixed, tmp_path)
    source = dataset.source(0, 0)
    assert source.digest
    found = trace(mixed, source.document)
    assert found.facts["raw file"].endswith(".abc")


def test_folders_of_the_music_and_no_sides_are_conditions(mixed, tmp_path):
    attributes = data(mixed, tmp_path).codec.space.attributes
    assert attributes["folder"] == ("airs", "reels")


def test_a_corpus_with_nothing_held_out(folder, tmp_path):
    corpus, _ = build(recipe(folder, mix={"held_out": 0}), folder / "mine", workers=1)
    with pytest.raises(GenwrightError, match="nothing of the corpus is held out"):
        data(corpus, tmp_path)
    assert len(data(corpus, tmp_path, held_out=0).pieces["held_out"]) == 0


def test_a_run_trains_on_a_corpus(mixed, tmp_path, monkeypatch):
    monkeypatch.setenv("GENWRIGHT_CACHE", str(tmp_path / "cache"))
    written = tmp_path / "tiny.yaml"
    written.write_text(
        "data: {kind: music, path: none, context: 32}\n"
        "codec: {kind: event}\n"
        "model: {kind: transformer, depth: 1, width: 16, heads: 1}\n"
        "objective: causal\n"
        "training: {steps: 2, batch_size: 4, evaluate_every: 2}\n"
    )
    run = genwright.train(
        written, run=tmp_path / "run", quiet=True, **{"data.path": str(mixed.folder)}
    )
    assert run.dataset().summary["train"]["examples"] > 20
    assert not run.dataset().summary["remarks"]
