"""Short runs whose figures are compared with independent computations: their settings, and what is
read of them."""

import json
import math

import numpy as np
import torch

from genwright.core.draws import Draws

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
