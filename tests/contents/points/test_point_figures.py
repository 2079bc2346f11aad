"""Figures of points beside what real ones reach and what needs no learning."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import genwright
from genwright.contents.points import evaluate as points
from genwright.contents.points.codec import Points
from genwright.contents.points.data import PointsData
from genwright.core.contracts import Space
from genwright.data.examples import Split
from genwright.evaluation import arrays

ATTRIBUTES = {"kind": ("a", "b")}


def split(x, condition):
    return Split(
        np.arange(len(x)),
        lambda numbers: x[torch.from_numpy(numbers)],
        str,
        condition.numpy().astype(np.uint8),
    )


def test_points_have_modes():
    data = PointsData(points=2000, held_out=500).prepare(Points())
    found = {f.name: f for f in points.compare(data, data.draw(1000, 7))}
    assert (
        found["modes"].value == 8
        and found["reverse KL"].value < 0.02
        and found["high quality"].value > 0.97
    )
    assert found["reverse KL"].floors["one mode"] == pytest.approx(math.log(8))
    assert found["precision"].floors["independent coordinates"] < 0.5 < found["precision"].value
    assert "memorised, by features" not in found and "memorised, by values" in found


def test_a_run_from_its_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GENWRIGHT_CACHE", str(tmp_path / "cache"))
    changes = {
        "training.steps": 2,
        "training.evaluate_every": 0,
        "data.points": 3000,
        "data.held_out": 300,
        "watching.samples": 0,
    }
    run = genwright.train("ring-gan", run=str(tmp_path / "ring"), quiet=True, **changes)
    found = {f.name: f for f in run.evaluate().figures}
    assert {
        "modes",
        "high quality",
        "reverse KL",
        "precision",
        "coverage",
        "sliced Wasserstein",
        "held-out wins",
    } <= set(found)
    assert found["high quality"].value < 0.5, "two steps teach nothing"
    assert found["held-out wins"].floors.keys() == {"untrained"}
    few = run.evaluate(samples=100)
    assert few.counts == {"samples": 100} and run.evaluate().to_json() == few.to_json()
    assert (
        "100 samples against 100 training examples"
        in {f.name: f for f in few.figures}["precision"].detail
    )


def test_samples_that_are_compared_are_of_all_that_were_asked_for():
    """A class a folder: train and held-out examples sorted by class, and fewer of these than
    samples."""
    clusters = torch.tensor([[-5.0, 0.0], [5.0, 0.0]])

    def sorted_split(n, seed):
        kind = torch.arange(n) * 2 // n
        x = clusters[kind] + 0.1 * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
        return split(x, torch.nn.functional.one_hot(kind, 2))

    splits = {"train": sorted_split(1000, 1), "held_out": sorted_split(120, 2)}
    space = Space(shape=(2,), attributes=ATTRIBUTES)
    data = SimpleNamespace(
        codec=SimpleNamespace(space=space), digest="clusters", split=splits.get, means=None
    )
    data.originals = data
    found = {f.name: f for f in points.compare(data, sorted_split(800, 3).x(np.arange(800)))}
    assert (
        found["recall"].count == 120
        and found["recall"].value > 0.9
        and found["coverage"].value > 0.8
    )
    assert found["Frechet distance"].value < 1


def test_copies_are_looked_for_among_all_training_examples(monkeypatch):
    data = PointsData(points=30_000, held_out=500).prepare(Points())
    x = data.split("train").x(np.arange(30_000))
    seen = np.linspace(0, 29_999, 20_000).astype(np.int64)
    copies = x[np.setdiff1d(np.arange(30_000), seen)[:1000]]
    found = {f.name: f for f in points.compare(data, copies)}["memorised, by values"]
    assert found.value == 1 and "of 30,000 training examples" in found.detail
    monkeypatch.setattr(arrays, "SEARCHED", 20_000)
    found = {f.name: f for f in points.compare(data, copies)}["memorised, by values"]
    assert found.value < 1 and "of 10,000 of the 30,000 training examples" in found.detail
