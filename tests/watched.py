"""Tiny real training runs, watched: what the alarms are proved by."""

from types import SimpleNamespace

import numpy as np
import torch

from genwright.core.content import Opened
from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.registry import content_of
from genwright.data.examples import ExampleStream, HeldOutExamples, Split
from genwright.evaluation.held_out import measure
from genwright.models.autoencoder import MlpVae
from genwright.models.mlp import MLPDiscriminator, MLPGenerator
from genwright.models.velocity import MlpVelocity
from genwright.models.vq import VQSettings
from genwright.objectives.adversarial import Adversarial
from genwright.objectives.flow import Flow
from genwright.objectives.quantised import VectorQuantised
from genwright.objectives.variational import Variational
from genwright.runs.alarms import Alarms, rows_of
from genwright.runs.watch import Watch
from genwright.sampling.drawing import Drawing
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.hooks import Evaluate
from genwright.training.records import Records
from genwright.training.settings import Optimizer, Schedule, Training, Watching


def split(x):
    return Split(
        np.arange(len(x)), lambda i: x[torch.from_numpy(i)], lambda i: f"example {i}", None
    )


class Dataset:
    """Tensors as a dataset."""

    def __init__(self, train, held_out, content):
        self.splits = {"train": split(train), "held_out": split(held_out)}
        self.codec = SimpleNamespace(space=Space(shape=tuple(train.shape[1:])), content=content)
        self.settings = SimpleNamespace(cache=None)
        self.means = None

    def split(self, name):
        return self.splits[name]

    def stream(self, size, seed):
        return ExampleStream(self.splits["train"], size, seed, self.codec.content)

    def held_out(self):
        return HeldOutExamples(self.splits["held_out"])


def ring(train=2000, held_out=300, std=0.1):
    def points(count, seed):
        draws = Draws(seed, 0, torch.arange(count))
        angle = draws.integers("mode", 8) * torch.pi / 4
        return torch.stack([angle.cos(), angle.sin()], 1) + std * draws.normal("noise", 2)

    return Dataset(points(train, 0), points(held_out, 1), "points")


def squares(train=1000, held_out=200):
    """8x8 grey pictures of a bright square of 3x3 somewhere, a little noisy."""

    def drawn(count, seed):
        draws = Draws(seed, 0, torch.arange(count))
        at = draws.integers("at", 6, 2)
        line = torch.arange(8)
        inside = [(line >= at[:, i : i + 1]) & (line < at[:, i : i + 1] + 3) for i in (0, 1)]
        x = (
            (inside[0][:, :, None] & inside[1][:, None, :]).float() * 1.6
            - 0.8
            + 0.05 * draws.normal("noise", 8, 8)
        )
        return x[:, None].clamp(-1, 1)

    return Dataset(drawn(train, 0), drawn(held_out, 1), "images")


def gan(space, **settings):
    torch.manual_seed(0)
    chosen = Adversarial(latent=2, **({"r1": 0.1, "r2": 0.1} | settings))
    nets = {
        "generator": MLPGenerator(width=64, depth=2).build(space, latent=2),
        "discriminator": MLPDiscriminator(width=64, depth=2).build(space, packing=chosen.packing),
    }
    return chosen.build(nets, space)


def flow(space):
    torch.manual_seed(0)
    return Flow().build({"model": MlpVelocity(width=48, depth=2).build(space)}, space)


def cloud(train, held_out=300):
    """N(0, I) in the plane."""
    return Dataset(
        *(Draws(i, 0, torch.arange(n)).normal("x", 2) for i, n in enumerate((train, held_out))),
        "points",
    )


def vae(space, **settings):
    torch.manual_seed(0)
    return Variational(**settings).build(
        {"model": MlpVae(units=6, width=64, depth=1).build(space, outputs=2)}, space
    )


def vq(space, codes, **settings):
    torch.manual_seed(0)
    return VectorQuantised(**settings).build(
        {"model": VQSettings(width=8, blocks=0, codes=codes, halvings=2).build(space)}, space
    )


def adam(rate, *betas):
    return Optimizer(kind="adamw", learning_rate=rate, betas=betas or (0.0, 0.9))


class Pixels:
    """Stands in for an extractor: examples are their own features."""

    def features(self, x):
        return x.flatten(1)


def watch(folder, objective, dataset, watching, drawing=None, seed=0, engine=None):
    """What watches a run of these points or pictures."""
    opened = Opened(objective, dataset.codec, drawing or Drawing(), lambda: dataset)
    kind = "points" if len(dataset.codec.space.shape) == 1 else "image"
    watcher = content_of(kind).watcher(opened, watching.samples, seed)
    watcher.measures.extractor = Pixels
    return Watch(folder, objective, watcher, engine or Engine("cpu"))


def play(folder, objective, dataset, watching=None, until=None, hooks=(), **training):
    """Trains and watches; returns (events, rows of the history). Stops where an alarm says so."""
    settings = Training(
        **(
            {
                "steps": 300,
                "batch_size": 64,
                "optimizer": adam(1e-3),
                "schedule": Schedule(kind="constant"),
                "precision": "fp32",
                "ema": 0.9,
            }
            | {"evaluate_every": 50}
            | training
        )
    )
    watching, engine = watching or Watching(samples=200), Engine("cpu")
    records, events = Records(folder / "metrics.jsonl"), []
    drawing = Drawing(steps=8)

    watching_run = watch(folder, objective, dataset, watching, drawing, engine=engine)
    watched = watching.samples and hasattr(objective, "decode")
    windows = dataset.held_out()

    def held_out(step):
        found = measure(objective, windows, batch=64, engine=engine)
        return found | (watching_run(step) if watched else {})

    def note(record):
        events.append((record["step"], record["event"]))
        records.append(record)

    alarms = Alarms(watching, engine, folder / "metrics.jsonl", note)
    evaluate = Evaluate(held_out, settings.evaluate_every, settings.steps, records)
    state = loop.start(objective, settings, engine, seed=1)
    every = [records, evaluate, alarms, *hooks]
    loop.run(
        objective,
        dataset.stream(settings.batch_size, 1),
        state,
        until or settings.steps,
        settings=settings,
        engine=engine,
        hooks=every,
    )
    records.flush()
    return events, rows_of(alarms.records)
