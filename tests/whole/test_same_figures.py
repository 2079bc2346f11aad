"""Trained runs: the same held-out figures whatever is measured at once, on the way and
afterwards."""

import numpy as np
import pytest
from PIL import Image

import genwright

SHORT = {
    "training.steps": 6,
    "training.evaluate_every": 3,
    "training.checkpoint_every": 3,
    "training.precision": "fp32",
    "training.threads": 1,
    "watching.samples": 0,
}
MOONS = SHORT | {
    "data.points": 500,
    "data.held_out": 300,
    "training.batch_size": 64,
    "model.width": 16,
}


def measured(run):
    """step -> held-out figures, as recorded."""
    return {record["step"]: record["held_out"] for record in run.records if "held_out" in record}


def near(found, expected):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5, abs=1e-6), name


def test_a_flow_resumed_with_other_micro_batches_measures_the_same(tmp_path):
    """moons-flow resumed with training.micro_batch=8 went from 2.380 to 2.897."""
    whole = genwright.train("moons-flow", run=tmp_path / "whole", quiet=True, **MOONS)
    genwright.train("moons-flow", run=tmp_path / "parts", until=3, quiet=True, **MOONS)
    parts = genwright.train(
        "moons-flow",
        run=tmp_path / "parts",
        resume=True,
        quiet=True,
        **MOONS | {"training.micro_batch": 8},
    )
    assert parts.recipe.training.micro_batch == 8
    for step, found in measured(parts).items():
        near(found, measured(whole)[step])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    place, dice = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, (low, high) in {"dark": (0, 120), "light": (120, 256)}.items():
        (place / "mine" / name).mkdir(parents=True)
        for i in range(30):
            Image.fromarray(dice.integers(low, high, (16, 16, 3), dtype=np.uint8)).save(
                place / "mine" / name / f"{i}.png"
            )
    return {
        "data.path": str(place / "mine"),
        "data.cache": str(place / "cache"),
        "data.held_out": 0.4,
        "codec.size": 16,
        "training.batch_size": 12,
        "sampling.steps": 2,
    }


RUNS = {
    "moons-flow": MOONS,
    "ring-gan": SHORT
    | {"data.points": 500, "data.held_out": 301, "objective.packing": 3, "training.batch_size": 12},
    "emoji-flow": SHORT | {"model.width": 8, "objective.pairing": "optimal-transport"},
    "emoji-gan": SHORT | {"objective.packing": 5, "training.batch_size": 10},
    "emoji-vae": SHORT,
    "emoji-vq": SHORT | {"model.width": 8},
}


@pytest.mark.parametrize("recipe", RUNS)
def test_what_training_recorded_is_what_evaluate_measures(recipe, pictures, tmp_path, monkeypatch):
    given = (pictures if recipe.startswith("emoji") else {}) | RUNS[recipe]
    run = genwright.train(recipe, run=tmp_path / "run", quiet=True, **given)
    # of samples, which are not asked about here
    monkeypatch.setattr("genwright.contents.images.evaluate.compare", lambda *a: [])
    samples = None if recipe == "emoji-vq" else 16  # which draws none
    found = {f.name: f.value for f in run.evaluate(samples=samples).figures}
    recorded = measured(run)[run.step]
    assert recorded
    for name, value in recorded.items():
        assert found[f"held-out {name.replace('_', ' ')}"] == pytest.approx(
            value, rel=1e-5, abs=1e-6
        ), name
