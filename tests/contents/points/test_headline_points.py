"""The figures of points against independent computations from arrays: samples, real examples, and
what networks give.

Sets are of one size and below every limit, so that a figure is of all of them.
"""

import math

import numpy as np
import pytest
import torch

import genwright
from genwright.core.draws import Draws
from independent import (
    frechet_by_roots,
    kernel_distance,
    memorised,
    near,
    prdc,
    sliced_wasserstein,
)
from short_runs import COUNT, GOLDEN, SHORT, by_name, real, shuffled, stored

scipy = pytest.importorskip("scipy")


@pytest.fixture(scope="module")
def ring(tmp_path_factory):
    given = {
        "data.points": COUNT,
        "data.held_out": COUNT,
        "data.std": 0.15,
        "objective.packing": 3,
        "training.steps": 60,
    }
    run = genwright.train(
        "ring-gan", run=tmp_path_factory.mktemp("ring") / "run", quiet=True, **SHORT | given
    )
    return run, run.evaluate(samples=COUNT)


def test_distances_of_points(ring):
    run, found = ring
    figures, kept = by_name(found), stored(run)
    train, held_out, made = (
        real(run, "train").numpy(),
        real(run, "held_out").numpy(),
        run.sample(n=COUNT).numpy(),
    )
    pixels = shuffled(real(run, "train"))
    directions = Draws(0, 0, torch.arange(128)).normal("directions", 2).double().numpy()
    measures = {
        "Frechet distance": lambda x: frechet_by_roots(train, x),
        "kernel distance": lambda x: kernel_distance(train.astype(float), x.astype(float)),
        "sliced Wasserstein": lambda x: sliced_wasserstein(train, x, directions),
    }
    for name in ("precision", "recall", "density", "coverage"):
        measures[name] = lambda x, name=name: prdc(train.astype(float), x.astype(float))[name]
    for name, measure in measures.items():
        assert figures[name].value == near(measure(made)), name
        assert kept[name]["value"] == near(measure(made)), name
        assert figures[name].ceilings["real"] == near(measure(held_out)), name
        assert figures[name].floors["independent coordinates"] == near(measure(pixels)), name
        assert figures[name].count == COUNT
    page = run.report().read_text()
    for name in ("Frechet distance", "sliced Wasserstein"):
        assert f"<b>{measures[name](made):.4g}</b>" in page, name
    share, floor = memorised(made, train, held_out)
    assert figures["memorised, by values"].value == near(share)
    assert figures["memorised, by values"].ceilings["real"] == near(floor)


def test_modes_of_a_ring(ring):
    run, found = ring
    figures, made = by_name(found), run.sample(n=COUNT).numpy()
    means = [(math.cos(i * math.pi / 4), math.sin(i * math.pi / 4)) for i in range(8)]
    reached = []
    for x, y in made.tolist():
        distance, mode = min((math.hypot(x - a, y - b), i) for i, (a, b) in enumerate(means))
        if distance < 3 * 0.15:
            reached.append(mode)
    shares = [reached.count(mode) / len(reached) for mode in range(8)]
    assert figures["modes"].value == len(set(reached))
    assert figures["high quality"].value == near(len(reached) / COUNT)
    assert figures["reverse KL"].value == near(sum(p * math.log(8 * p) for p in shares if p))


@torch.no_grad()
def test_what_a_discriminator_thinks_of_held_out_points(ring):
    run, found = ring
    figures, modules = by_name(found), run.objective.modules
    order = run.dataset().held_out().order
    x = real(run, "held_out")[order]
    size = run.objective.settings.latent
    latent = Draws(run.recipe.seed, -1, torch.arange(COUNT)).normal("latent", 2, size)[:, 0]
    scores, wins = {"real": [], "fake": []}, []
    for i in range(0, COUNT, 3):
        fake = modules["generator"](latent[i : i + 3], None)
        for kind, pack in (("real", x[i : i + 3]), ("fake", fake)):
            scores[kind].append(float(modules["discriminator"](pack.reshape(1, 6), None)))
        wins.append(scores["real"][-1] > scores["fake"][-1])
    assert figures["held-out wins"].value == near(np.mean(wins))
    assert figures["held-out score real"].value == near(np.mean(scores["real"]))
    assert figures["held-out score fake"].value == near(np.mean(scores["fake"]))


@pytest.mark.parametrize("pairing", ["independent", "optimal-transport"])
@torch.no_grad()
def test_the_loss_of_a_flow(pairing, tmp_path):
    """Squared error of the velocity on lines from noise to held-out points; with optimal transport
    among each 256 of them."""
    from scipy.optimize import linear_sum_assignment

    given = {"data.points": 300, "data.held_out": 300, "objective.pairing": pairing}
    run = genwright.train("moons-flow", run=tmp_path / "run", quiet=True, **SHORT | given)
    x = real(run, "held_out")[run.dataset().held_out().order].numpy().astype(float)
    start = Draws(run.recipe.seed, -1, torch.arange(300)).normal("noise", 2).numpy().astype(float)
    if pairing == "optimal-transport":
        for first in (0, 256):
            block = slice(first, first + 256)
            cost = ((x[block, None] - start[None, block]) ** 2).sum(2)
            start[block] = start[block][linear_sum_assignment(cost)[1]]
    shift = float(Draws(run.recipe.seed, -1, torch.zeros(1, dtype=torch.int64)).uniform("time", 1))
    errors = []
    for i in range(300):
        time = (shift + i * GOLDEN) % 1
        at = (1 - time) * start[i] + time * x[i]
        velocity = run.model(
            torch.tensor(at[None], dtype=torch.float32),
            time=torch.tensor([time], dtype=torch.float32),
            condition=None,
        )
        errors.append(((velocity[0].numpy() - (x[i] - start[i])) ** 2).mean())
    figures = by_name(run.evaluate(samples=COUNT))
    assert figures["held-out loss"].value == near(np.mean(errors))
