"""Audits of samples that were asked for values in turn."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import genwright
from commands import command
from genwright.audit.card_audits import audits_of
from genwright.core.content import Sample
from genwright.core.registry import measures_of

SETTINGS = {
    "codec.size": 8,
    "model.width": 8,
    "training.steps": 2,
    "training.batch_size": 8,
    "training.precision": "fp32",
    "watching.samples": 0,
    "sampling.steps": 2,
}
COUNT = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of pictures in three colours."""
    place = tmp_path_factory.mktemp("evenly")
    dice = np.random.default_rng(0)
    for channel, name in enumerate(("blue", "green", "red")):
        (place / "mine" / name).mkdir(parents=True)
        for number in range(12):
            pixels = dice.integers(0, 60, (8, 8, 3), dtype=np.uint8)
            pixels[:, :, 2 - channel] += 150
            Image.fromarray(pixels).save(place / "mine" / name / f"{number}.png")
    changes = SETTINGS | {"data.path": str(place / "mine"), "data.cache": str(place / "cache")}
    genwright.train("emoji-flow", run=place / "run", quiet=True, **changes)
    return place / "run"


def audited(capsys: pytest.CaptureFixture[str], run: Path, *words: str) -> tuple[int, str, str]:
    own = ("--groups", "main hue", "-n", str(COUNT), "--quiet", *words)
    return command(capsys, "audit", "run", str(run), *own)


def test_what_is_asked_for_in_turn_is_judged_and_said_to_be_asked_for(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said, _ = audited(capsys, run, "--evenly", "class")
    assert code == 0
    assert "asked for class in turn" in said
    assert "no rates of its own" in " ".join(said.split())
    page = (run / "audit-evenly.html").read_text()
    assert "that were asked for class in turn" in page
    assert not (run / "audit.html").exists()

    (path,) = (run / "audits").glob("evenly-*.json")
    kept = json.loads(path.read_text())
    assert kept["evenly"] == "class"
    loaded = genwright.load(run)
    drawn = loaded.sample(n=COUNT, evenly="class")
    samples = [Sample(picture) for picture in drawn]
    own = Counter(measures_of("image")["main hue"].values(samples))
    shares = {each["group"]: each["count"] for each in kept["groups"][0]["samples"]["shares"]}
    assert {group: count for group, count in shares.items() if count} == own


def test_a_run_is_compared_with_itself_asked_in_turn(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, problem = command(capsys, "audit", "compare", run, run, "--evenly")
    assert code != 0 and "was not audited" in problem
    assert audited(capsys, run)[0] == 0
    assert audited(capsys, run, "--evenly", "class")[0] == 0
    code, said, _ = command(capsys, "audit", "compare", run, run, "--evenly")
    words = " ".join(said.split())
    assert code == 0
    assert f"before: run, {COUNT} samples; after: run, asked for class in turn" in words
    assert "no rates of its own" in words
    code, said, _ = command(capsys, "audit", "compare", run, run)
    assert code == 0 and "in turn" not in said, "without the option the ordinary audit is read"


def test_a_card_shows_rates_of_the_model_alone(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audited(capsys, run, "--evenly", "class")[0] == 0
    before = len(audits_of(run))
    assert audited(capsys, run)[0] == 0
    assert len(audits_of(run)) == max(before, 1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--evenly", "colour"), "there is no attribute 'colour'"),
        (("--evenly", "class", "--prompt", "x"), "none begins with a prompt"),
    ],
)
def test_bad_requests_are_one_sentence(
    run: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], expected: str
) -> None:
    code, _, problem = audited(capsys, run, *words)
    assert code != 0 and expected in problem and "Traceback" not in problem
