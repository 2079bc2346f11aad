"""A person's own music through every command, and what is refused on the way."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from composed import TINY, chorales, jsb, tunes

from commands import command
from genwright import load
from genwright.cli import main
from genwright.contents.music import notes_likelihood, sampler
from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Meter, Note, Score, from_plain, to_plain
from genwright.contents.music.write import to_musicxml
from genwright.core import progress
from rooms_here import needs

pytest.importorskip("music21")
pytest.importorskip("verovio")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    import os

    place = tmp_path_factory.mktemp("music")
    os.environ["GENWRIGHT_CACHE"] = str(place / "cache")
    sources = {
        "tunes": tunes(place / "mine"),
        "xml": chorales(place / "four"),
        "jsb": jsb(place / "jsb.json"),
    }
    recipes = {"tunes": "folk-tunes", "xml": "chorales-masked", "jsb": "jsb"}
    for name, recipe in recipes.items():
        with pytest.raises(SystemExit) as stopped:
            main(
                [
                    "train",
                    recipe,
                    f"data.path={sources[name]}",
                    *TINY,
                    "--run",
                    str(place / name),
                    "--quiet",
                ]
            )
        assert stopped.value.code == 0
    score = Score(
        (tuple(Note(4 * i, 4, 67 + i % 3) for i in range(16)),),
        64,
        bars=(0, 16, 32, 48),
        meters=(Meter(0, 4, 4),),
    )
    (place / "melody.musicxml").write_text(to_musicxml(score))
    low = replace(
        score,
        voices=tuple(
            tuple(n._replace(pitch=n.pitch - 24) for n in notes) for notes in score.voices
        ),
    )
    (place / "low.musicxml").write_text(to_musicxml(low))
    (place / "theme.mid").write_bytes(to_midi(score))
    return place


def test_tunes_the_whole_way(place, capsys):
    code, said, _ = command(capsys, "inspect", "folk-tunes", f"data.path={place / 'mine'}", *TINY)
    assert code == 0 and "key (2 values), metre (2 values), type (2 values)" in said
    words = [
        "--condition",
        "key=G",
        "metre=6/8",
        "type=jig",
        "--bars",
        4,
        "--tempo",
        80,
        "-n",
        2,
        "--seed",
        3,
    ]
    code, said, _ = command(capsys, "sample", place / "tunes", *words)
    endings = [".mid", ".musicxml", ".svg", "-roll.svg", ".wav"]
    assert code == 0 and [line.rpartition("/")[2] for line in said.split()] == [
        f"000{i}{end}" for i in (1, 2) for end in endings
    ]
    assert "<svg" in (place / "tunes" / "samples" / "0001.svg").read_text()
    assert (place / "tunes" / "samples" / "0001.wav").read_bytes()[:4] == b"RIFF"
    code, said, error = command(
        capsys, "sample", place / "tunes", "--continue", place / "theme.mid", "-n", 1
    )
    assert code == 0, error
    code, said, _ = command(capsys, "evaluate", place / "tunes", "--samples", 4)
    assert (
        code == 0
        and "nats/token" in said
        and "held-out music" in said
        and "noise" in said
        and "in motif" in said
    )
    code, said, _ = command(capsys, "report", place / "tunes")
    page = (place / "tunes" / "report.html").read_text()
    assert (
        code == 0
        and page.count("<audio") >= 2
        and "media-src data:" in page
        and 'aria-label="notation"' in page
        and "<script" not in page
    )


def test_harmonised_filled_and_new(place, capsys):
    code, said, _ = command(
        capsys, "sample", place / "xml", "--harmonise", place / "melody.musicxml", "-n", 1
    )
    assert code == 0 and said.split()[0].endswith("harmonised-0001.mid")
    four = next((place / "four").iterdir())
    code, _, error = command(capsys, "sample", place / "xml", "--harmonise", four, "-n", 1)
    assert code == 0 and f"note: {four} has 4 voices; the first is taken" in error
    code, said, _ = command(
        capsys, "sample", place / "xml", "--fill", four, "--bars", "2-3", "-n", 1
    )
    assert code == 0 and said.split()[0].endswith("filled-0001.mid")
    code, said, _ = command(capsys, "sample", place / "xml", "--bars", 2, "-n", 1)
    assert code == 0 and len(said.split()) == 5
    code, said, _ = command(capsys, "evaluate", place / "xml", "--samples", 2)
    assert (
        code == 0
        and "harmonising: loss of a note" in said
        and "bigram given the soprano" in said
        and "parallel fifths" in said
    )
    code, said, _ = command(capsys, "report", place / "xml")
    assert code == 0 and "Harmonised: " in (place / "xml" / "report.html").read_text()


def test_four_pitches_a_sixteenth(place, capsys):
    code, said, _ = command(capsys, "evaluate", place / "jsb", "--samples", 2)
    assert code == 0 and "loss of changed notes, held out" in said and "nats/frame" in said
    faults = next(line for line in said.splitlines() if "faults, held out" in line)
    assert "↓" in faults and "chance/token" in faults and "%" not in faults
    assert '"faults": 0.' in (place / "jsb" / "metrics.jsonl").read_text(), (
        "it learns that parallels are unlikely"
    )
    code, said, _ = command(capsys, "sample", place / "jsb", "-n", 1, "--bars", 2, "--rules")
    assert code == 0


REFUSED = {
    ("tunes", "--condition", "key=X"): "key is never 'X' in this data",
    ("tunes", "--condition", "mood=sad"): "there is no attribute 'mood'",
    ("tunes", "--bars", "0"): "--bars is 0; give a number of bars",
    ("tunes", "--bars", "4", "--tempo", "0"): "tempo",
    ("tunes", "more"): "'more' is not expected here",
    (
        "tunes",
        "--rules",
    ): (
        "this run's codec writes one note after the other; "
        "leave it out, or train with codec.kind=grid"
    ),
    ("tunes", "--continue", "theme.mid", "--bars", "1"): "bars already; give --bars",
    (
        "tunes",
        "--harmonise",
        "melody.musicxml",
    ): "--harmonise is not for this run, whose model is causal",
    ("tunes", "--walk", "9"): "--walk is for ",
    ("xml", "--continue", "theme.mid"): "--continue is not for this run, whose model is masked",
    ("xml", "--harmonise", "gone.mid"): "gone.mid does not exist",
    ("xml", "--fill", "four/0.musicxml"): "--fill needs the bars to rewrite",
    (
        "xml",
        "--fill",
        "four/0.musicxml",
        "--bars",
        "3-9",
    ): "there are no bars 3-9: the piece has 1 to 4",
    (
        "xml",
        "--fill",
        "melody.musicxml",
        "--bars",
        "2-3",
    ): "the piece has 1 voices, and the model 4",
    ("xml", "--harmonise", "low.musicxml"): "outside of what the model knows of this voice",
    (
        "xml",
        "--harmonise",
        "melody.musicxml",
        "--fill",
        "melody.musicxml",
    ): "--harmonise and --fill were both given",
    (
        "xml",
        "--rules",
    ): (
        "this run's masked model writes all places at once; "
        "leave it out, or train with objective=causal"
    ),
    ("xml", "--soundfont", "gone.sf2", "--bars", "1", "-n", "1"): "gone.sf2",
}


@needs("text")
def test_an_option_of_text_is_refused(place, capsys):
    code, _, error = command(capsys, "sample", place / "tunes", "--prompt", "x")
    assert code == 2 and "--prompt is for text" in error


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_refused_in_a_sentence(place, capsys, words):
    there = [str(place / word) if "." in word and "=" not in word else word for word in words[1:]]
    before = sorted((place / words[0]).rglob("*"))
    code, _, error = command(capsys, "sample", place / words[0], *there)
    assert code == 2 and REFUSED[words] in error and error.count("\n") == 1
    assert sorted((place / words[0]).rglob("*")) == before


def test_scores_of_noise_are_of_the_pieces_shape():
    score = Score((tuple(Note(2 * i, 2, 60 + i % 7) for i in range(40)),), 80)
    made = sampler.noise([score, score])
    assert [len(s.voices) for s in made] == [1, 1] and made[0] != made[1] and made[0].length == 80
    pitches = np.array([n.pitch for n in made[0].voices[0]])
    assert pitches.min() >= 60 and pitches.max() <= 66 and 25 <= len(pitches) <= 55


class ExactConditionals(torch.nn.Module):
    """Of four places, each 0 or 1, with the joint `p`: what each is, given those that are not
    hidden (2). Left to right: `context`."""

    def __init__(self, context: int):
        super().__init__()
        self.context, self.row, self.dummy = context, 1, torch.nn.Parameter(torch.zeros(()))
        self.states = torch.cartesian_prod(*[torch.arange(2)] * 4)
        self.p = torch.rand(16, generator=torch.Generator().manual_seed(0)).double()

    def forward(self, tokens):
        row = tokens[0]
        fits = ((row == 2) | (self.states[:, : len(row)] == row)).all(1) * self.p
        return (
            torch.stack(
                [(fits @ (self.states[:, : len(row)] == value).double()) for value in (0, 1)], -1
            )
            .log()[None]
            .float()
        )


@pytest.mark.parametrize("context", [4, 8])
def test_nats_of_a_harmonisation_are_those_of_its_joint_probability(context):
    model, row = ExactConditionals(context), np.array([0, 1, 1, 0])
    kept = torch.tensor([True, False, False, False])

    def before(condition, count, start):
        return torch.zeros(1, 0, dtype=torch.long)

    codec = SimpleNamespace(
        before=before, kept=lambda tokens, *_: kept, prefix=0, id={("mask",): 2}
    )
    dataset = SimpleNamespace(codec=codec, row=lambda piece: row, conditions=torch.zeros(1, 0))
    found = notes_likelihood.hidden_nats(SimpleNamespace(model=model), dataset, 0, orders=4000)
    whole = (
        model.p[(model.states == torch.tensor(row)).all(1)]
        / model.p[model.states[:, 0] == row[0]].sum()
    )
    assert len(found) == 3
    if context == 8:  # all in one window
        assert found.sum() == pytest.approx(-float(whole.log()), rel=0.02)
    else:  # two windows of two: the chain rule, the second given the first
        first = (
            model.p[(model.states[:, :2] == torch.tensor(row[:2])).all(1)].sum()
            / model.p[model.states[:, 0] == row[0]].sum()
        )
        assert found[0] == pytest.approx(-float(first.log()), rel=1e-5)
        assert found.sum() == pytest.approx(-float(whole.log()), rel=0.02)


def test_an_evaluation_keeps_its_number_and_its_pieces(place, capsys, monkeypatch):
    """What is drawn by `evaluate` is what the report shows; nothing is drawn again."""
    code, said, _ = command(capsys, "evaluate", place / "xml", "--samples", 3)
    assert code == 0 and "drawn: 3 samples, 1 harmonised melodies;" in said
    path = next((place / "xml" / "evaluations").glob("*.json"))
    first = json.loads(path.read_text())
    assert first["counts"] == {"samples": 3, "harmonised melodies": 1}
    assert path.read_text().count("\n") < 1000, "a piece is a line"
    code, said, _ = command(capsys, "evaluate", place / "xml")
    again = json.loads(path.read_text())
    assert code == 0 and again == first, "as many again, and the same"
    monkeypatch.setattr(sampler, "rewrite", None)
    monkeypatch.setattr(notes_likelihood, "rewrite", None)
    code, said, error = command(capsys, "report", place / "xml")
    assert code == 0, error
    page = (place / "xml" / "report.html").read_text()
    titles = [piece["title"] for piece in first["samples"]]
    assert (
        titles[:3] == ["Sample 1", "Sample 2", "Sample 3"]
        and titles[3].startswith("Harmonised: ")
        and len(titles) == 4
    )
    assert all(title in page for title in titles)
    score = from_plain(first["samples"][0]["score"])
    assert score == from_plain(json.loads(json.dumps(to_plain(score)))) and isinstance(
        score.voices[0][0], Note
    )


def test_sample_i_is_the_same_whatever_their_number(place):
    for name in ("tunes", "xml"):
        run = load(place / name)
        whole = run.sample(n=5, bars=2, temperature=1.0)
        assert run.sample(n=2, bars=2, temperature=1.0, first=3) == whole[3:]
        assert len({score.voices for score in whole}) > 1


def test_an_evaluation_says_how_far_it_is(place, capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    code, said, error = command(capsys, "evaluate", place / "xml", "--samples", 2)
    assert (
        code == 0
        and "measuring held-out data: " in error
        and "drawing samples: " in error
        and "passes: 1 of 2" in error
    )
    code, said, error = command(capsys, "evaluate", place / "xml", "--samples", 2, "--quiet")
    assert code == 0 and error == ""
    code, said, error = command(capsys, "report", place / "xml")
    assert code == 0 and "engraving pieces: " in error
    code, said, error = command(capsys, "sample", place / "xml", "--bars", 1, "-n", 1)
    assert code == 0 and "passes: " in error
