"""Cards of runs: every number on them computed a second time, what is unknown stated, nothing of
the disk said, nothing that a person typed run."""

import csv
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from safetensors import safe_open

import genwright
from commands import command
from genwright.api_card import card
from genwright.audit.card_answers import QUESTIONS, Answers, Unknown
from genwright.audit.card_data import data_card
from genwright.audit.card_facts import _earned, facts_of
from genwright.audit.card_model import model_card, plain
from genwright.audit.card_places import plain_settings, without_places
from genwright.core.errors import GenwrightError
from pages import Page
from rooms_here import needs

pytestmark = needs("images", "text")
HOSTILE = "<script>alert(1)</script>"
FEW = {
    "training.steps": 2,
    "training.batch_size": 4,
    "training.threads": 1,
    "training.precision": "fp32",
    "training.evaluate_every": 0,
    "watching.samples": 0,
}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A run of 24 pictures with two attributes, one of whose values is markup; not evaluated."""
    folder = tmp_path_factory.mktemp("hidden-place")
    place = folder / "photos"
    place.mkdir()
    with open(place / "attributes.csv", "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "tone", "shape"])
        for number in range(24):
            Image.new("RGB", (8, 8), (10 * number, 40, 200)).save(place / f"{number:02}.png")
            tone = "dark" if number % 4 == 0 else "light"
            shape = HOSTILE if number % 3 == 0 else ""
            table.writerow([f"{number:02}.png", tone, shape])
    changes = {
        "data.source": "files",
        "data.path": str(place),
        "data.cache": str(folder / "cache"),
        "data.held_out": 0.25,
        "data.minimum": 2,
        "codec.size": 8,
        "model.width": 8,
        "model.depth": 1,
    }
    return genwright.train("emoji-vae", run=folder / "runs" / "mine", quiet=True, **FEW, **changes)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """A run of texts, evaluated."""
    folder = tmp_path_factory.mktemp("hidden-place")
    place = folder / "notes"
    place.mkdir()
    for number in range(20):
        (place / f"{number}.txt").write_text(f"Note {number} of {number * number}. " * 12)
    changes = {
        "data.path": str(place),
        "data.cache": str(folder / "cache"),
        "data.held_out": 0.2,
        "data.context": 32,
        "codec": "bytes",
        "model.depth": 1,
        "model.width": 16,
        "model.heads": 1,
        "sampling.max_tokens": 8,
    }
    run = genwright.train("docs", run=folder / "runs" / "texts", quiet=True, **FEW, **changes)
    run.evaluate(samples=2)
    return genwright.load(run.folder)


def written(run, tmp_path, **given):
    """(croissant, model card, page) as they stand on the disk."""
    card(run.folder, output=tmp_path / "card", **given)
    folder = tmp_path / "card"
    data = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    model = json.loads((folder / "model-card.json").read_text(encoding="utf-8"))
    return data, model, (folder / "card.html").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def forgotten(pictures, texts):
    """No answer of one test is there in the next."""
    yield
    for run in (pictures, texts):
        (run.folder / "card.yaml").unlink(missing_ok=True)


def records_of(data, name):
    """A table of Croissant as tuples, in the order of its fields."""
    (found,) = [each for each in data["recordSet"] if each["@id"] == name]
    places = [each["@id"] for each in found["field"]]
    return [tuple(row[place] for place in places) for row in found["data"]]


def test_counts_are_those_of_the_raw_files(pictures, tmp_path):
    data, model, page = written(pictures, tmp_path)
    path = Path(pictures.recipe.data.path) / "attributes.csv"
    with open(path, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    counted = Counter()
    for line in lines:
        for name in ("tone", "shape"):
            if line[name]:
                counted[name, line[name]] += 1
    found = {(name, value): count for name, value, count in records_of(data, "attributes")}
    assert found == counted and counted["shape", HOSTILE] == 8
    splits = {name: count for name, unit, count in records_of(data, "splits")}
    assert sum(splits.values()) == len(lines) == 24
    held_out = len(pictures.dataset().split("held_out"))
    assert splits == {"training": 24 - held_out, "held out": held_out} and held_out
    assert model["training_data"]["attributes"]["tone"] == {"dark": 6, "light": 18}
    text = Page(page).text
    assert "18 (75.0%)" in text and "6 (25.0%)" in text
    assert f"{held_out} of 24 pictures are held out." in data["rai:dataLimitations"]


def test_parameters_digests_and_figures_are_those_on_the_disk(texts, tmp_path):
    data, model, page = written(texts, tmp_path)
    details = model["model_details"]
    count = 0
    with safe_open(texts.checkpoint / "weights.safetensors", "pt") as file:
        for name in file.keys():  # noqa: SIM118 - not a mapping
            size = 1
            for side in file.get_slice(name).get_shape():
                size *= side
            count += size
    assert details["parameters"] == {"model": count, "all_networks": count}
    for name, sha in details["sha256_of_checkpoint_files"].items():
        assert sha == hashlib.sha256((texts.checkpoint / name).read_bytes()).hexdigest()
    assert "weights.safetensors" in details["sha256_of_checkpoint_files"]
    cache = Path(texts.recipe.data.cache) / "shards"
    assert len(data["distribution"]) > 1
    for file in data["distribution"]:
        assert file["sha256"] == hashlib.sha256((cache / file["@id"]).read_bytes()).hexdigest()
    (stored,) = (texts.folder / "evaluations").iterdir()
    kept = json.loads(stored.read_text())["figures"]
    figures = model["quantitative_analyses"]["figures"]
    assert [each["name"] for each in figures] == [each["name"] for each in kept]
    for figure, before in zip(figures, kept, strict=True):
        assert {name: figure[name] for name in before} == before
    assert [each["name"] for each in model["metrics"]] == [each["name"] for each in kept]
    loss = kept[0]["value"]
    assert f"{loss:.4g}" in Page(page).text
    bytes_held = sum(path.stat().st_size for path in Path(texts.recipe.data.path).iterdir())
    sides = {(side, unit): number for side, unit, number in records_of(data, "splits")}
    assert sides["training", "bytes"] + sides["held out", "bytes"] == bytes_held


def test_what_was_not_measured_is_unknown_and_says_what_measures_it(pictures, texts, tmp_path):
    found = card(pictures.folder, output=tmp_path / "card")
    _, model, page = written(pictures, tmp_path)
    unknown = {"unknown": "its quality is not measured", "remedy": "run genwright evaluate RUN"}
    assert model["metrics"] == model["quantitative_analyses"]["figures"] == unknown
    assert f"its quality is not measured: run genwright evaluate {pictures.folder}\n" in str(found)
    assert "Its quality is not measured: run genwright evaluate RUN" in Page(page).text
    assert "Its quality was not measured." in str(model["caveats_and_recommendations"])
    _, measured, _ = written(texts, tmp_path)
    assert isinstance(measured["metrics"], list)
    assert "audit run" in measured["quantitative_analyses"]["groups"]["remedy"]
    assert "no attributes" in measured["factors"]["counted_in_the_data"]["unknown"]


def test_what_only_a_person_knows_is_asked_for_by_name(pictures, tmp_path):
    found = card(pictures.folder, output=tmp_path / "card")
    data, model, page = written(pictures, tmp_path)
    assert set(found.missing) == set(QUESTIONS)
    assert set(model["asked_for"]) == {f"card.{name}" for name in QUESTIONS}
    text = Page(page).text
    for name in QUESTIONS:
        assert f"card.{name} " in str(found) and f"card.{name}" in text
    assert data["rai:dataCollection"].startswith("unknown: only a person knows it; give card.")
    assert data["license"].startswith("unknown: ")
    for name in ("url", "version", "datePublished", "creator", "citeAs"):
        assert name not in data
    assert "url (card.url), version (card.version)" in data["description"]


def test_answers_are_kept_for_the_next_card(pictures, tmp_path):
    about = tmp_path / "about.yaml"
    about.write_text(
        "card:\n  licence: MIT\n  version: 1.0\n  data_biases: [few, old]\n  creator: Ada\n"
    )
    given = {"intended_use": "tests", "card.data_licence": "CC0-1.0", "licence": "Apache-2.0"}
    data, model, page = written(pictures, tmp_path, about=about, **given)
    again, model_again, page_again = written(pictures, tmp_path)
    assert (data, model, page) == (again, model_again, page_again)
    assert model["intended_use"]["primary_uses_and_users"] == "tests"
    assert model["model_details"]["licence"] == "Apache-2.0"  # the call comes after the file
    assert (data["license"], data["version"]) == ("CC0-1.0", "1.0")
    assert data["creator"] == {"@type": "sc:Person", "name": "Ada"}
    assert data["rai:dataBiases"][-2:] == ["few", "old"]
    assert "card.version" not in data["description"]
    _, taken_back, _ = written(pictures, tmp_path, intended_use="")
    assert "unknown" in taken_back["intended_use"]["primary_uses_and_users"]
    assert "intended_use" not in (pictures.folder / "card.yaml").read_text()


def test_a_licence_that_the_source_says_is_taken(texts):
    facts = facts_of(texts)
    recipe = {**facts.recipe, "data": {**facts.recipe["data"], "source": "elsewhere"}}
    known = replace(facts, recipe=recipe, summary={**facts.summary, "licence": "CC-BY-4.0"})
    assert data_card(known, Answers({}))["license"] == "CC-BY-4.0"
    own = replace(facts, summary={**facts.summary, "licence": "the user's own files"})
    assert data_card(own, Answers({}))["license"].startswith("unknown: the data do not say it")


def test_croissant_has_what_the_specification_asks_for(pictures, texts, tmp_path):
    for run in (pictures, texts):
        data, _, _ = written(run, tmp_path)
        assert data["@type"] == "sc:Dataset"
        assert data["conformsTo"] == [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ]
        for name in ("name", "description", "license", "@context"):
            assert data[name]
        prefixes = {"cr", "rai", "sc", "dct"}
        assert prefixes < set(data["@context"])
        ids = set()
        for file in data["distribution"]:
            assert file["@type"] == "cr:FileObject"
            assert re.fullmatch("[0-9a-f]{64}", file["sha256"])
            assert file["contentUrl"] and file["encodingFormat"] and file["@id"] not in ids
            ids.add(file["@id"])
        for records in data["recordSet"]:
            assert records["@type"] == "cr:RecordSet" and records["@id"] not in ids
            ids.add(records["@id"])
            fields = {each["@id"]: each["dataType"] for each in records["field"]}
            types = {"sc:Text": str, "sc:Integer": int}
            assert records["data"]
            for row in records["data"]:
                assert row.keys() == fields.keys()
                for place, value in row.items():
                    assert type(value) is types[fields[place]]
        used = {key for key in data if key.startswith("rai:")}
        assert len(used) >= 10 and all(data[key] for key in used)


def test_croissants_own_validator_finds_no_error(pictures, texts, tmp_path):
    croissant = pytest.importorskip("mlcroissant")
    answers = {
        "creator": "Ada",
        "publisher": "Home",
        "url": "https://example.org/data",
        "version": "1.0.0",
        "date_published": "2026-11-30",
        "citation": "Ada, 2026",
    }
    for run, given in ((pictures, {}), (texts, answers)):
        data, _, _ = written(run, tmp_path, **given)
        found = croissant.Dataset(jsonld=str(tmp_path / "card" / "croissant.json"))
        assert not found.metadata.issues.errors
        if given:
            assert not found.metadata.issues.warnings
        rows = list(found.records("splits"))
        assert [row["splits/count"] for row in rows] == [
            count for _, _, count in records_of(data, "splits")
        ]
    del data["distribution"][0]["encodingFormat"]
    (tmp_path / "bad.json").write_text(json.dumps(data))
    with pytest.raises(croissant.ValidationError):
        croissant.Dataset(jsonld=str(tmp_path / "bad.json"))


def test_nothing_of_the_disk_stands_on_a_card(pictures, texts, tmp_path):
    for run in (pictures, texts):
        card(run.folder, output=tmp_path / "card")
        for path in (tmp_path / "card").iterdir():
            text = path.read_text(encoding="utf-8")
            assert "hidden-place" not in text and str(tmp_path) not in text
            assert str(Path.home()) + "/" not in text
    assert plain_settings({"path": ["/a/b", "c/d/"], "cache": "/x", "note": "see /a/b/c.txt"}) == {
        "path": ["b", "d"],
        "cache": "x",
        "note": "see c.txt",
    }
    for text in ("3/4 and and/or", "https://example.org/a/b", "a / b", "nats/token"):
        assert without_places(text) == text
    assert without_places("from ~/notes/a and ../b: gone") == "from a and b: gone"


def test_nothing_on_the_page_is_markup_that_is_not_ours(pictures, tmp_path):
    answer = f'{HOSTILE}" onload="x &amp;'
    _, _, page = written(pictures, tmp_path, limitations=answer, creator=[HOSTILE])
    read = Page(page)
    assert "script" not in read.tags and "iframe" not in read.tags
    assert not [each for each in read.attributes if each[1].startswith("on")]
    assert answer in read.text and read.text.count(HOSTILE) == 3


def test_cards_are_the_same_bytes_again(texts, tmp_path):
    for name in ("a", "b"):
        card(texts.folder, output=tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    assert not (texts.folder / "card.yaml").exists()  # nobody has answered anything


def share(group, count, total, small=False):
    return {
        "group": group,
        "count": count,
        "total": total,
        "share": count / total,
        "low": 0.1,
        "high": 0.9,
        "small": small,
    }


def test_an_audit_is_shown_by_group(pictures, tmp_path):
    folder = pictures.folder / "audits"
    folder.mkdir()
    amplified = {"group": "dark", "difference": {"value": 0.25, "low": -0.1, "high": 0.6}}
    amplified |= {"data": share("dark", 6, 24), "samples": share("dark", 4, 8, True)}
    found = {
        "step": 2,
        "weights": "ema",
        "samples": 8,
        "remarks": ["few samples"],
        "groups": [
            {
                "grouping": "tone",
                "data": {"shares": [share("dark", 6, 24), share("light", 18, 24)]},
                "samples": {"shares": [share("dark", 4, 8, True)]},
                "amplified": [amplified],
                "warnings": ["the judge is unsure"],
            }
        ],
        "crossed": [
            {
                "names": ["tone", "gender"],
                "how": "each is counted by its rule",
                "corrected": True,
                "cells": [
                    {
                        "groups": ["dark", "woman"],
                        "data": share("dark × woman", 3, 24),
                        "samples": share("dark × woman", 1, 8, True),
                        "difference": {"value": 0.0, "low": -0.2, "high": 0.2},
                    }
                ],
            }
        ],
    }
    path = folder / "step-00000002-ema.json"
    path.write_text(json.dumps(found))
    try:
        _, model, page = written(pictures, tmp_path)
        (audit,) = model["quantitative_analyses"]["groups"]
        dark, light = audit["rows"]
        assert dark["difference"]["value"] == 0.25 and dark["too_few"]
        assert light["samples"] is None and light["data"]["count"] == 18
        assert audit["remarks"] == ["few samples", "the judge is unsure"]
        assert model["factors"]["audited"] == ["tone"]
        (crossed,) = audit["intersections"]
        assert crossed["groupings"] == ["tone", "gender"] and crossed["corrected"]
        assert crossed["rows"][0]["group"] == "dark × woman" and crossed["rows"][0]["too_few"]
        text = Page(page).text
        assert "Intersections of tone and gender: 1 combination" in text
        assert "25.0% (10.0% to 90.0%)" in text and "+25.0% (-10.0% to +60.0%)" in text
        assert "too few to speak of" in text and "not measured" in text
        path.write_text('{"groups": [1]}')
        with pytest.raises(GenwrightError, match="is no audit of a run; delete it"):
            card(pictures.folder, output=tmp_path / "card")
    finally:
        path.unlink()
        folder.rmdir()


def test_a_balance_of_the_data_is_named(pictures):
    facts = facts_of(pictures)
    balanced = replace(facts, summary={**facts.summary, "balance": ["tone: by weights"]})
    card_of = plain(model_card(balanced, Answers({})))
    assert card_of["training_data"]["balance"] == ["tone: by weights"]
    assert "tone: by weights" in data_card(balanced, Answers({}))["rai:dataPreprocessingProtocol"]


def test_rewards_and_what_was_earned_are_named(texts):
    records = [{"step": step, "reward": float(step)} for step in range(1, 21)]
    assert _earned(records) == (1.5, 19.5)  # the first two and the last two
    assert _earned([{"step": 1, "loss": 2.0}]) is None
    term = {"measure": "words", "weight": -1.0, "name": "", "target": None, "options": {}}
    facts = replace(facts_of(texts), rewards=[term], earned=(1.5, 19.5))
    details = plain(model_card(facts, Answers({})))["model_details"]
    assert details["rewards"] == [{"measure": "words", "weight": -1.0}]
    assert details["reward_while_learning"] == {"first_steps": 1.5, "last_steps": 19.5}


def test_alarms_and_early_ends_are_caveats(texts):
    facts = replace(facts_of(texts), last_step=1, steps=2, events=["the loss rose"])
    found = model_card(facts, Answers({}))["caveats_and_recommendations"]["found_by_measuring"]
    assert found[:2] == ["Training stopped at step 1 of 2.", "the loss rose"]
    losses = [each for each in found if each.startswith("loss, held out")]
    assert losses and "is no better than" in losses[0]  # after two steps


@pytest.mark.parametrize(
    "given, sentence",
    [
        (
            {"intended_us": "x"},
            "intended_us is not a setting of cards; did you mean 'card.intended",
        ),
        ({"version": "one"}, "card.version is one; give a version such as 1.0.0."),
        ({"date_published": "30.11.2026"}, "card.date_published is 30.11.2026; give a date such"),
        ({"url": "example.org"}, "card.url is example.org; give an address such as https://"),
        ({"limitations": {"a": 1}}, "card.limitations is no text; give a text, or a list"),
        ({"about": "missing.yaml"}, "missing.yaml cannot be read (No such file or directory); "),
        ({"about": "broken.yaml"}, "broken.yaml, line 3: expected"),
        ({"about": "other.yaml"}, "other.yaml: card.colour is not a setting of cards; "),
        ({"about": "latin.yaml"}, "latin.yaml is not UTF-8 text (byte 3); save it as UTF-8."),
        ({"output": "broken.yaml"}, "broken.yaml is no folder; name another one with --output."),
    ],
)
def test_bad_answers_are_refused_in_one_sentence(pictures, tmp_path, monkeypatch, given, sentence):
    monkeypatch.chdir(tmp_path)
    Path("broken.yaml").write_text("licence: MIT\ncontact: [a\n")
    Path("other.yaml").write_text("card.colour: red\n")
    Path("latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(GenwrightError) as problem:
        card(pictures.folder, **given)
    assert str(problem.value).startswith(sentence)
    assert "\n" not in str(problem.value)
    assert not (pictures.folder / "card.yaml").exists()
    assert not (pictures.folder / "card").exists()


def test_a_broken_file_of_kept_answers_is_named(pictures, tmp_path):
    (pictures.folder / "card.yaml").write_text("- a\n")
    with pytest.raises(GenwrightError, match="card.yaml holds no settings"):
        card(pictures.folder, output=tmp_path / "card")


def test_what_is_no_run_and_a_run_without_checkpoint(pictures, tmp_path, capsys):
    code, _, error = command(capsys, "card", tmp_path)
    assert code == 2 and "is neither a run nor a corpus" in error and error.count("\n") == 1
    started = tmp_path / "started"
    started.mkdir()
    (started / "recipe.yaml").write_text((pictures.folder / "recipe.yaml").read_text())
    (started / "codec").symlink_to(pictures.folder / "codec")
    code, _, error = command(capsys, "card", started)
    assert code == 2 and "has no checkpoint yet" in error


def test_the_command_line_writes_and_asks(texts, capsys, tmp_path):
    text = "a, b: [c] = {d}"
    code, out, _ = command(
        capsys,
        "card",
        texts.folder,
        f"card.contact={text}",
        "--output",
        tmp_path / "out",
        "--quiet",
    )
    assert code == 0 and out.count(": written\n") == 3 and "card.contact " not in out
    model = json.loads((tmp_path / "out" / "model-card.json").read_text())
    assert model["model_details"]["contact"] == text
    code, _, error = command(capsys, "card", texts.folder, "contact")
    assert code == 2 and "'contact' is not a setting" in error


def test_an_unknown_fact_says_why():
    asked = Answers({"contact": "me"}).of("licence")
    assert isinstance(asked, Unknown)
    assert (
        str(asked) == "unknown: only a person knows it; give card.licence: the licence of the model"
    )
