"""Runs are called by their folders, say what they were trained on, and what keeps them from being
compared."""

from pathlib import Path

import pytest

from genwright.core.errors import GenwrightError
from genwright.core.registry import content_of, kinds
from genwright.data.settings import DataSettings
from genwright.evaluation.figure import Figure
from genwright.recipe.schema import Recipe
from genwright.reporting.page import RunData
from genwright.reporting.provenance import (
    data_facts,
    differences,
    own_description,
    run_names,
    trained_on,
    what_is_read,
)
from pages import page_of


def test_names_are_the_folders_and_made_unique():
    assert run_names([Path("runs/zs"), Path("runs/from")]) == ["zs", "from"]
    assert run_names([Path("a/run"), Path("b/run"), Path("b/other")]) == ["a/run", "b/run", "other"]
    assert run_names([Path("x/a/run"), Path("y/a/run")]) == ["x/a/run", "y/a/run"]
    assert run_names([Path("/run"), Path("/b/run")]) == ["/run", "b/run"]
    with pytest.raises(GenwrightError, match="given twice"):
        run_names([Path("a/run"), Path("a/../a/run")])


SUMMARY = {
    "train": {"examples": 1437},
    "held_out": {"examples": 360},
    "files": 1797,
    "attributes": {"label": {"a": 1, "b": 2}},
}


def test_what_a_run_was_trained_on():
    mine = Recipe.load("digits-gan", {"data.path": "data/characters/zhuyin"})
    said = (
        "Trained on 1,437 pictures from the folder zhuyin; 360 more are held out; "
        "with label (2 values)."
    )
    assert trained_on(mine, SUMMARY, "picture") == said
    chorales = {
        "train": {"examples": 770, "pieces": 329},
        "held_out": {"examples": 100, "pieces": 35},
        "licence": "some rights.",
    }
    said = "Trained on 329 pieces from the source chorales; 35 more are held out."
    assert trained_on(Recipe.load("chorales-masked", {}), chorales, "piece") == said
    words = {"train": {"documents": 12, "tokens": 5}, "held_out": {"documents": 0}}
    single = Recipe.load("shakespeare", {"data.path": "a/x.txt"})
    one = {"train": {"documents": 1}, "held_out": {"documents": 1}}
    assert (
        trained_on(single, one, "document")
        == "Trained on 1 document from the file x.txt; 1 more is held out."
    )
    several = Recipe.load("shakespeare", {"data.path": ["a/x.txt", "b/y.txt", "z.txt", "w.txt"]})
    assert trained_on(several, words, "document") == (
        "Trained on 12 documents from the files x.txt, y.txt, z.txt and 1 more; "
        "nothing is held out."
    )


def test_every_kind_of_data_says_what_is_read_and_counted(monkeypatch):
    class Crates(DataSettings):
        source: str = "cellar"
        what_is_read = (*DataSettings.what_is_read, "shelf")
        counted = "crates"

    monkeypatch.setitem(kinds("data"), "crates", Crates)
    assert what_is_read()[:3] == ("kind", "source", "path") and what_is_read()[-1] == "shelf"
    recipe = Recipe.load("ring-gan", {})
    assert own_description(recipe, {"data.shelf": 3}) == ""
    crates = recipe.model_copy(update={"data": Crates()})
    sizes = {"train": {"crates": 12, "examples": 90}, "held_out": {"crates": 1, "examples": 7}}
    said = "Trained on 12 crates from the source cellar; 1 more is held out."
    assert trained_on(crates, sizes, "crate") == said


def test_a_recipe_speaks_only_of_its_own_data():
    digits = Recipe.load("digits-gan", {"data.path": "zhuyin"})
    assert "Handwritten digits" in digits.description and own_description(digits, {}) == ""
    chorales = Recipe.load("chorales-masked", {})
    assert own_description(chorales, {"training.steps": 5}) == chorales.description
    assert own_description(Recipe.load("chorales-masked", {"data.source": "folk-tunes"}), {}) == ""
    own = chorales.model_copy(update={"name": "mine", "description": "My songs"})
    assert (
        own_description(own, {}) == "My songs"
        and own_description(own, {"data.path": "others"}) == ""
    )


def run_of(name, recipe="ring-gan", digest="a", figures=(), summary=SUMMARY, **overrides):
    made = Recipe.load(recipe, {key.replace("__", "."): value for key, value in overrides.items()})
    return RunData(
        name, data=data_facts(made, {"digest": digest, "summary": summary}), figures=figures
    )


def test_runs_on_the_same_data_are_compared_in_peace():
    assert differences([run_of("a"), run_of("b")]) == [] and differences([run_of("a")]) == []


def test_other_data_are_named():
    (said,) = differences(
        [run_of("a", "digits-gan", data__path="x"), run_of("b", "digits-gan", "b", data__path="y")]
    )
    assert (
        said
        == "a and b saw different data (path: x and y): their figures cannot be compared directly"
    )
    fewer = SUMMARY | {"train": {"examples": 500}}
    (said,) = differences([run_of("a"), run_of("b", digest="b", summary=fewer)])
    assert "training examples: 1,437 and 500" in said
    (said,) = differences([run_of("a"), run_of("b", digest="b")])
    assert "as many files, other contents" in said


def test_another_held_out_split_and_codec_are_named():
    held_out = SUMMARY | {"held_out": {"examples": 20}}
    found = differences(
        [
            run_of("a", "folk-tunes"),
            run_of("b", "folk-tunes", "b", summary=held_out, data__held_out=0.02),
        ]
    )
    assert found == [
        "a and b hold out different data (data.held_out: 0.1 and 0.02; 360 and 20 examples): "
        "their held-out figures cannot be compared directly"
    ]
    (said,) = differences(
        [run_of("a", "shakespeare"), run_of("b", "shakespeare", "b", codec="bytes")]
    )
    assert said.startswith("a and b have different codecs (a ") and "bits per byte can" in said


def with_content(every, train, held_out, **more):
    """The summary of a run that says what it read."""
    return SUMMARY | {"content": {"all": every, "train": train, "held_out": held_out}} | more


def test_runs_of_different_codecs_are_known_to_have_read_the_same():
    same = with_content("a", "t", "h")
    one = run_of("a", "shakespeare", summary=same, data__path="x")
    (said,) = differences(
        [one, run_of("b", "shakespeare", "b", summary=same, codec="bytes", data__path="y")]
    )
    assert said.endswith("bits per byte can, for the contents are the same")
    other = with_content("b", "t2", "h2")
    data, codecs = differences(
        [one, run_of("b", "shakespeare", "b", summary=other, codec="bytes", data__path="x")]
    )
    assert data.startswith("a and b saw different data (as many files, other contents): ")
    assert "bits per byte" not in codecs
    before, codecs = differences(
        [one, run_of("b", "shakespeare", "b", codec="bytes", data__path="y")]
    )
    assert before.startswith("a and b saw different data (path: x and y): ")


def test_another_split_of_the_same_contents_is_named():
    one = run_of("a", "folk-tunes", summary=with_content("a", "t", "h"))
    (said,) = differences(
        [one, run_of("b", "folk-tunes", "b", summary=with_content("a", "t2", "h2"))]
    )
    assert said.startswith(
        "a and b hold out different data (as many examples, others of the same contents): "
    )


def test_the_same_contents_under_another_path_can_be_compared():
    same = with_content("a", "t", "h")
    (said,) = differences(
        [
            run_of("a", "folk-tunes", summary=same, data__path="x"),
            run_of("b", "folk-tunes", "b", summary=same, data__path="y", data__held_out=0.02),
        ]
    )
    assert said.startswith("a and b read the same contents and hold out the same, but made other ")


def test_other_numbers_of_samples_are_named():
    some, more = ([Figure("coverage", 0.5, "share", n, "samples")] for n in (200, 2000))
    (said,) = differences([run_of("a", figures=some), run_of("b", figures=more)])
    assert "(200 of a, 2,000 of b)" in said


def test_a_page_is_headed_by_the_folders_and_warns(tmp_path):
    zs, other = (
        run_of("zs", "digits-gan", data__path="x"),
        run_of("from", "digits-gan", "b", data__path="y"),
    )
    page, text = page_of(tmp_path, zs, other)
    assert (
        "<h1>zs and from</h1>" in text
        and "zs and from saw different data (path: x and y)" in page.text
    )
    page, text = page_of(tmp_path, zs)
    assert "saw different data" not in page.text and "Licence" not in page.text
    page, text = page_of(tmp_path, run_of("mine", summary=SUMMARY | {"licence": "some <rights>"}))
    assert "Licence of the data: some <rights>" in page.text


def test_curves_say_on_how_much_they_were_measured(tmp_path):
    recipe = Recipe.load("digits-gan", {"data.path": "x", "watching.samples": 200})
    watched_on = content_of("image").watched_on
    watched = watched_on(recipe, SUMMARY)
    assert watched["precision"] == "200 samples against 200 training examples, averaged weights"
    assert watched["memorised"] == "200 samples among 1,437 training examples, averaged weights"
    assert watched["loss"] == "marks: 360 held-out examples, averaged weights"
    assert watched_on(
        Recipe.load("digits-gan", {"data.path": "x", "watching.samples": 5000}), SUMMARY
    )["precision"].startswith("5,000 samples against 1,437")
    records = [{"step": i, "held_out": {"precision": 0.945, "loss": 1.0}} for i in (0, 10)]
    table = Figure(
        "precision",
        0.645,
        "share",
        1002,
        "samples",
        {"independent pixels": 0.1},
        {"real": 0.9},
        "higher",
    )
    run = RunData(
        "a", records=records, figures=[table], watched=watched, measured_at="step 10, ema weights"
    )
    page, text = page_of(tmp_path, run)
    chart = text[text.index('aria-label="precision by step"') :]
    assert "200 samples against 200 training examples" in chart[: chart.index("</div>")]
    assert "on 1,002 samples" in page.text and "At step 10, ema weights." in page.text
    other = RunData(
        "b", records=records, watched={"precision": "500 samples against 500 training examples"}
    )
    page, text = page_of(tmp_path, run, other)
    assert (
        "a: 200 samples against 200 training" in page.text
        and "b: 500 samples against 500 training" in page.text
    )
