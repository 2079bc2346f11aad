"""The figures of pictures against independent computations from arrays: samples, real
examples, and what networks give.

Sets are of one size and below every limit, so that a figure is of all of them.
"""

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
    memorised,
    nats,
    near,
    prdc,
)
from short_runs import SHORT, by_name, real

scipy = pytest.importorskip("scipy")


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
