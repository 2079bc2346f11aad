"""What the program wrote itself is no data, though it lies in the folder that a person names."""

import os
import threading

import numpy as np
import pytest
from composed import tunes
from PIL import Image

import genwright
from genwright import api_audit
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.music.codec_event import Event
from genwright.contents.music.data import MusicData
from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
from genwright.data import own_output as module
from genwright.data.own_output import page_of_ours
from genwright.data.source_files import own_output
from genwright.reporting.page import document

WORDS = ["alpha", "beta", "gamma", "delta", "x", "y"]
TINY = {
    "codec": "bytes",
    "model.depth": 1,
    "model.width": 16,
    "model.heads": 1,
    "training.steps": 4,
    "training.batch_size": 2,
    "training.precision": "fp32",
    "training.checkpoint_every": 2,
    "training.evaluate_every": 2,
    "data.context": 16,
    "data.held_out": 0.2,
}


def run_in(folder, sample=None):
    """A run's folder, as docs/files.md says."""
    (folder / "checkpoints" / "step-00000000").mkdir(parents=True)
    (folder / "samples").mkdir()
    for name in ("recipe.yaml", "environment.json", "metrics.jsonl"):
        (folder / name).write_text("{}\n")
    if sample:
        sample(folder / "samples")
    return folder


def texts(folder, count=20):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        (folder / f"{i}.txt").write_text(
            " ".join(np.random.default_rng(i).choice(WORDS, 60)) + "\n"
        )
    return folder


def test_a_run_inside_its_own_data_is_resumed_and_evaluated(tmp_path, monkeypatch, caplog):
    """`genwright train docs data.path=.`, with the cache in the same folder."""
    monkeypatch.chdir(texts(tmp_path / "project"))
    settings = TINY | {"data.path": ".", "data.cache": "cache"}
    run = genwright.train("docs", until=2, **settings)
    assert run.folder.resolve() == tmp_path / "project" / "runs" / "docs"
    assert run.dataset().summary["files"] == 20
    caplog.set_level("INFO", "genwright")
    assert genwright.train("docs", resume=True, **settings).step == 4
    assert "2 passed over, the first: cache (prepared data of genwright)" in caplog.text
    genwright.load("runs/docs").report("report.html")
    genwright.load("runs/docs").evaluate()
    other = genwright.train("docs", run="runs/other", until=2, quiet=True, **settings)
    assert other.dataset().summary["files"] == 20 and other.dataset().digest == run.dataset().digest


def test_samples_of_a_run_are_no_training_pictures(tmp_path):
    folder = tmp_path / "in"
    for name in ("cats", "dogs"):
        (folder / name).mkdir(parents=True)
        for i in range(6):
            noise = np.random.default_rng(i + len(name)).integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(noise).save(folder / name / f"{i}.png")

    def sample(place):
        return Image.new("RGB", (4, 4), "red").save(place / "step-00000000.png")

    run_in(folder / "runs" / "flow", sample)
    run_in(folder / "cats" / "gan", sample)
    data = ImagesData(
        path=str(folder), cache=str(folder / "cache"), workers=1, held_out=0.2
    ).prepare(ImageSettings(size=4))
    assert data.summary["files"] == 12 and data.codec.space.attributes == {
        "class": ("cats", "dogs")
    }
    expected = [
        "cache (prepared data of genwright)",
        "cats/gan (a run of genwright)",
        "runs/flow (a run of genwright)",
    ]
    assert sorted(data.summary["skipped"]) == expected
    again = ImagesData(
        path=str(folder / "**" / "*.png"), cache=str(folder / "cache"), workers=1, held_out=0.2
    )
    assert again.prepare(ImageSettings(size=4)).summary["files"] == 12
    named = ImagesData(
        path=str(folder / "runs" / "flow" / "samples"),
        cache=str(folder / "cache"),
        workers=1,
        held_out=0,
    )
    assert named.prepare(ImageSettings(size=4)).summary["files"] == 1, "what a person names is read"


def test_samples_of_a_run_are_no_training_music(tmp_path):
    pytest.importorskip("music21")
    folder = tunes(tmp_path / "tunes")
    run_in(folder / "runs" / "mine", lambda place: tunes(place, 3))
    data = MusicData(path=str(folder), cache=str(tmp_path / "cache"), minimum=2, workers=1).prepare(
        Event()
    )
    assert len(data.names) == 16 and data.summary["skipped"] == ["runs/mine (a run of genwright)"]


def test_globs_pass_over_runs_and_reports_too(tmp_path):
    folder = texts(tmp_path / "in")
    run_in(folder / "runs" / "one", lambda place: (place / "sample.txt").write_text("drawn"))
    (folder / "report.html").write_text(document("all runs", "<p>text</p>"))
    (folder / "report-2020.html").write_text("<!doctype html><p>a report of somebody's own")
    given = {"cache": str(tmp_path / "cache"), "context": 8, "held_out": 0.2}
    passed_over = ["report.html (a report of genwright)", "runs/one (a run of genwright)"]
    for path in (folder, folder / "**" / "*"):
        data = TextData(path=str(path), **given).prepare(Bytes())
        assert data.summary["files"] == 21 and sorted(data.summary["skipped"]) == passed_over
    assert sorted(map(str, own_output([str(folder / "**")]))) == passed_over


@pytest.mark.parametrize("name", ["report.html", "audit-shares.csv", module.TAG])
def test_pipes_that_are_called_like_our_files_hang_nothing(tmp_path, name):
    folder = texts(tmp_path / "in", 3)
    os.mkfifo(folder / name)
    (folder / "below").mkdir()
    os.mkfifo(folder / "below" / name)
    given = {"cache": str(tmp_path / "cache"), "context": 8, "on_bad_file": "skip"}
    found: list[list[str]] = []
    reading = threading.Thread(
        target=lambda: found.append(
            TextData(path=str(folder), **given).prepare(Bytes()).summary["skipped"]
        ),
        daemon=True,
    )
    reading.start()
    reading.join(60)
    assert found and all("named pipe" in text for text in found[0]) and len(found[0]) == 2


def test_folders_that_look_a_little_like_runs_are_read(tmp_path):
    folder = texts(tmp_path / "in", 3)
    for name in ("recipe.yaml", "metrics.jsonl"):
        (folder / name.partition(".")[0]).mkdir()
        (folder / name.partition(".")[0] / name).write_text('{"text": "mine"}\n')
    (folder / "cached").mkdir()
    (folder / "cached" / module.TAG).write_text(
        module.SIGNATURE.splitlines()[0] + "\n# of another program\n"
    )
    (folder / "cached" / "a.txt").write_text("read")
    assert own_output([str(folder)]) == []
    assert (
        TextData(path=str(folder), cache=str(tmp_path / "cache"), context=8, held_out=0)
        .prepare(Bytes())
        .summary["files"]
        == 7
    )
    assert not page_of_ours(folder / "0.txt") and not page_of_ours(tmp_path / "report.html")


def test_a_start_that_was_stopped_early_is_a_run_too(tmp_path):
    folder = texts(tmp_path / "in", 3)
    (folder / "runs" / "x" / "codec").mkdir(parents=True)
    for name in (".lock", "environment.json", "codec/tokenizer.json"):
        (folder / "runs" / "x" / name).write_text("{}")
    assert [own.name for own in own_output([str(folder)])] == ["runs/x"]
    assert os.path.isdir(folder / "runs")


def test_pages_and_shares_of_audits_are_no_data(tmp_path, monkeypatch):
    folder = texts(tmp_path / "in")
    (folder / "mine").mkdir()
    for number in range(8):
        line = f"Line {number}: she sings to {number * 7919 % 1000} birds.\n"
        (folder / "mine" / f"{number}.txt").write_text(line)
    (folder / "words.csv").write_text("word,group\nshe,female\nhe,male\n")
    monkeypatch.chdir(folder)
    settings = {"data.path": "mine", "data.cache": str(tmp_path / "cache"), "codec": "bytes"}
    settings |= {"data.source": "files", "data.held_out": 0.2, "data.context": 8}
    for _ in range(2):
        _, page = api_audit.audit_of_data("shakespeare", groups="words.csv", **settings)
    assert page.as_posix() == "audits/shakespeare.html"
    api_audit.audit_of_data("shakespeare", groups="words.csv", output="gender.htm", **settings)
    (folder / "words.csv").unlink()
    given = {"cache": str(tmp_path / "cache"), "context": 8, "held_out": 0.2}
    passed_over = [
        "audits/shakespeare-shares.csv (shares of genwright)",
        "audits/shakespeare.1-shares.csv (shares of genwright)",
        "audits/shakespeare.1.html (a page of genwright)",
        "audits/shakespeare.html (a page of genwright)",
        "gender-shares.csv (shares of genwright)",
        "gender.htm (a page of genwright)",
    ]
    (folder / "their-shares.csv").write_text("text\nof somebody's own\n")
    for path in (folder, folder / "**" / "*"):
        data = TextData(path=str(path), **given).prepare(Bytes())
        assert data.summary["files"] == 29 and sorted(data.summary["skipped"]) == passed_over
