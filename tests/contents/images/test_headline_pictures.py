"""The figures of points and pictures against independent computations from arrays: samples, real
examples, and what networks give.

Sets are of one size and below every limit, so that a figure is of all of them.
"""

import json
import math

import numpy as np
import pytest
import torch
from PIL import Image

import genwright
from genwright.contents.images import recognised as images
from genwright.contents.images.sampler import drawer_of
from genwright.core.draws import Draws
from genwright.evaluation.features import extractor
from genwright.objectives.likelihoods import binarised, fixed_draws
from genwright.runs import objective_figures
from independent import (
    frechet,
    frechet_by_roots,
    kernel_distance,
    memorised,
    nats,
    near,
    prdc,
    sliced_wasserstein,
)

scipy = pytest.importorskip("scipy")

COUNT = 120  # training examples, held-out ones, samples
SHORT = {
    "training.steps": 30,
    "training.evaluate_every": 0,
    "training.checkpoint_every": 0,
    "training.precision": "fp32",
    "training.threads": 1,
    "training.batch_size": 24,
    "watching.samples": 0,
}
GOLDEN = (math.sqrt(5) - 1) / 2


def by_name(found):
    return {figure.name: figure for figure in found.figures}


def stored(run):
    """What the file says."""
    (path,) = (run.folder / "evaluations").iterdir()
    return {figure["name"]: figure for figure in json.loads(path.read_text())["figures"]}


def real(run, split):
    dataset = run.dataset()
    return dataset.split(split).x(np.arange(len(dataset.split(split))))


def shuffled(x):
    """Examples whose every value is that of another one at the same place: the floor's own draw."""
    flat = x.reshape(len(x), -1).numpy()
    rows = Draws(0, 0, torch.arange(len(x))).integers("row", len(x), flat.shape[1]).numpy()
    return np.stack([[flat[rows[i, j], j] for j in range(flat.shape[1])] for i in range(len(flat))])


# ---- points


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


# ---- pictures


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Of two classes, grey, 16 pixels wide; as many are held out as are trained on, nearly."""
    place, dice = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, (low, high) in {"dark": (0, 150), "light": (90, 256)}.items():
        (place / "mine" / name).mkdir(parents=True)
        for i in range(130):
            Image.fromarray(dice.integers(low, high, (16, 16), dtype=np.uint8)).save(
                place / "mine" / name / f"{i}.png"
            )
    return {
        "data.path": str(place / "mine"),
        "data.cache": str(place / "cache"),
        "data.held_out": 0.5,
        "codec.size": 16,
        "codec.channels": 1,
        "sampling.steps": 2,
    }


def trained(recipe, folder, given, **changed):
    return genwright.train(
        recipe, run=folder, quiet=True, **SHORT | {"training.steps": 4} | given | changed
    )


def test_pictures_by_their_features_and_attributes(pictures, tmp_path, monkeypatch):
    # of the classifiers that learn from samples, which are not asked about
    monkeypatch.setattr(images, "TAUGHT", 1000)
    run = trained("emoji-flow", tmp_path / "run", pictures, **{"model.width": 8})
    dataset = run.dataset()
    train, held_out = dataset.split("train"), dataset.split("held_out")
    assert min(len(train), len(held_out)) >= 100
    count = len(held_out)
    figures = by_name(run.evaluate(samples=count))
    order = Draws(0, 0, torch.arange(count)).uniform("asked", 1)[:, 0].argsort()
    asked = held_out.condition(order)  # each held-out picture's once
    made = drawer_of(run.opened())(count, asked)
    seen = {"train": real(run, "train"), "held_out": real(run, "held_out"), "samples": made}
    network = extractor(run.dataset(), run.recipe.data.cache).network
    features = {name: network(x)[1].double().numpy() for name, x in seen.items()}
    scores = {name: network(x)[0].double().softmax(1).numpy() for name, x in seen.items()}
    assert figures["Frechet distance"].value == pytest.approx(
        frechet(features["train"], features["samples"]), rel=1e-4
    )
    few = features["train"][np.linspace(0, len(train) - 1, min(count, len(train))).astype(int)]
    for name, value in prdc(few, features["samples"]).items():
        assert figures[name].value == near(value), name
    for name, value in prdc(few, features["held_out"]).items():
        assert figures[name].ceilings["real"] == near(value), name
    asked_for, classes = asked.numpy(), held_out.condition(np.arange(count)).numpy()
    assert asked_for.sum(1).tolist() == [1] * count
    right = scores["samples"].argmax(1) == asked_for.argmax(1)
    assert figures["recognised class"].value == near(right.mean())
    right = scores["held_out"].argmax(1) == classes.argmax(1)
    assert figures["recognised class"].ceilings["real"] == near(right.mean())
    change = np.abs(scores["samples"].mean(0) - scores["train"].mean(0)).sum() / 2
    assert figures["balance of class"].value == near(change)
    flat = [seen[name].flatten(1).double().numpy() for name in ("samples", "train", "held_out")]
    for space, sets in (
        ("values", flat),
        ("features", [features[name] for name in ("samples", "train", "held_out")]),
    ):
        share, floor = memorised(*sets)
        assert figures[f"memorised, by {space}"].value == near(share)
        assert figures[f"memorised, by {space}"].ceilings["real"] == near(floor)


def gaussian_log(z, mean, log_scale):
    """log N(z; mean, exp(log_scale)^2), summed."""
    return (
        -0.5 * ((z - mean) / np.exp(log_scale)) ** 2 - log_scale - 0.5 * math.log(2 * math.pi)
    ).sum()


def logistic_log(levels, mean, log_scale):
    """log of the mass of 256 levels (0 to 255), summed: differences of the logistic distribution's
    own function, in float64."""

    def cdf(edge):
        return 1 / (1 + np.exp(-(edge - mean) / np.exp(log_scale)))

    centre = levels / 127.5 - 1
    upper = np.where(levels == 255, 1.0, cdf(centre + 1 / 255))
    lower = np.where(levels == 0, 0.0, cdf(centre - 1 / 255))
    return np.log(upper - lower).sum()


@pytest.mark.parametrize("likelihood", ["logistic", "bernoulli"])
@torch.no_grad()
def test_likelihood_of_pictures(likelihood, pictures, tmp_path, monkeypatch):
    """Bound and importance-sampled likelihood from the parameters that the network gives, one
    picture and one sample at a time."""
    monkeypatch.setattr(objective_figures, "WEIGHTS", 20)
    given = {
        "objective.likelihood": likelihood,
        "objective.drop": 1.0,
        "codec.size": 8,
        "model": "mlp-vae",
    }
    if likelihood == "bernoulli":
        given["objective.binarise"] = "fixed"
    run = trained("emoji-vae", tmp_path / "run", pictures | given)
    network, order = run.objective.network, run.dataset().held_out().order
    x = real(run, "held_out")[order][:256]
    assert len(order) <= 256, "all of them"
    found = by_name(run.evaluate(samples=100))
    if likelihood == "bernoulli":
        x = binarised(x, fixed_draws(x))
        assert set(x.unique().tolist()) <= {0.0, 1.0}
    numbers = torch.arange(len(x))
    one = Draws(run.recipe.seed, -1, numbers).normal("noise", 1, *run.objective.latent)
    several = Draws(run.recipe.seed, 0, numbers).normal("importance", 20, *run.objective.latent)
    losses, bounds, nlls = [], [], []
    for i in range(len(x)):
        for noise, out in ((one, losses), (several, None)):
            given_noise = noise[i : i + 1]
            sampled = network(x[i : i + 1], None, noise=given_noise)
            z = sampled.latent[0].double().numpy()
            centre = (
                network(x[i : i + 1], None, noise=torch.zeros_like(given_noise[:, :1]))
                .latent[0, 0]
                .double()
                .numpy()
            )
            edge = (
                network(x[i : i + 1], None, noise=torch.ones_like(given_noise[:, :1]))
                .latent[0, 0]
                .double()
                .numpy()
            )
            log_scale = np.log(edge - centre)  # of the posterior, from two of its points
            parameters = sampled.parameters[0].double().numpy()
            weights = []
            for k in range(len(z)):
                if likelihood == "bernoulli":
                    p = 1 / (1 + np.exp(-parameters[k, 0]))
                    picture = x[i].numpy()
                    log_p = np.log(np.where(picture == 1, p, 1 - p)).sum()
                else:
                    levels = np.rint((x[i].double().numpy() + 1) * 127.5)
                    log_p = logistic_log(levels, parameters[k, 0], np.clip(parameters[k, 1], -7, 7))
                weights.append(
                    log_p
                    + gaussian_log(z[k], 0.0, np.zeros_like(z[k]))
                    - gaussian_log(z[k], centre, log_scale)
                )
            if out is None:
                bounds.append(-np.mean(weights))
                nlls.append(
                    -(math.log(np.mean(np.exp(np.array(weights) - max(weights)))) + max(weights))
                )
            else:
                divergence = (0.5 * (np.exp(2 * log_scale) + centre**2 - 1) - log_scale).sum()
                losses.append(-log_p + divergence)
    assert found["held-out loss"].value == near(np.mean(losses))
    assert found["negative ELBO"].value == near(np.mean(bounds))
    assert found["negative log-likelihood"].value == near(np.mean(nlls))
    assert np.mean(nlls) < np.mean(bounds)


@torch.no_grad()
def test_a_codebook(pictures, tmp_path):
    run = trained(
        "emoji-vq",
        tmp_path / "run",
        pictures,
        **{"model.width": 8, "model.codes": 16, "training.steps": 10},
    )
    x, model = real(run, "held_out")[run.dataset().held_out().order], run.model
    errors, distances_to_codes, used = [], [], []
    book = model.bottleneck.codebook.double().numpy()
    for i in range(len(x)):
        z, codes = model(x[i : i + 1])
        latents, chosen = z[0].double().numpy(), codes[0].tolist()
        for latent, code in zip(latents, chosen, strict=True):
            assert code == int(((book - latent) ** 2).sum(1).argmin()), "the nearest entry"
        used += chosen
        errors.append(
            ((model(codes=codes)[0].double().numpy() - x[i].double().numpy()) ** 2).mean()
        )
        distances_to_codes.append(((latents - book[chosen]) ** 2).mean())
    figures, weight = by_name(run.evaluate()), run.recipe.objective.commitment
    shares = [used.count(code) / len(used) for code in set(used)]
    perplexity = math.exp(-sum(p * math.log(p) for p in shares))
    assert figures["held-out reconstruction"].value == near(np.mean(errors))
    assert figures["held-out loss"].value == near(
        np.mean(errors) + weight * np.mean(distances_to_codes)
    )
    assert figures["held-out perplexity"].value == near(perplexity)
    assert figures["codebook perplexity"].value == near(perplexity)


@torch.no_grad()
def test_pictures_as_codes(pictures, tmp_path):
    """Nats a code, of a model that reads the codes of held-out pictures from left to right after
    what is known of them."""
    coder = trained("emoji-vq", tmp_path / "vq", pictures, **{"model.width": 8, "model.codes": 16})
    given = {
        name: value
        for name, value in pictures.items()
        if not name.startswith(("codec", "sampling"))
    }
    small = {"codec.run": str(coder.folder), "model.depth": 1, "model.width": 32, "model.heads": 2}
    run = trained("emoji-codes", tmp_path / "codes", given, **small)
    x, dataset = real(coder, "held_out"), run.dataset()
    places, costs = dataset.codec.places, []
    order = dataset.held_out().order
    for number, i in enumerate(order):
        codes = coder.model(x[i : i + 1])[1][0].tolist()
        tokens = dataset.held_out().batch(number, number + 1)["tokens"][0].tolist()
        assert tokens[-places:] == codes
        logits = run.model(torch.tensor([tokens[:-1]]))[0].double().numpy()
        costs += [
            nats(logits[len(tokens) - 1 - places + place], codes[place]) for place in range(places)
        ]
    figures = by_name(run.evaluate(samples=20))
    assert (
        figures["held-out loss"].value == near(np.mean(costs))
        and figures["held-out loss"].unit == "nats/token"
    )
