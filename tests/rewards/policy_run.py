"""One process, or one of several, that takes the first step of the toy's policy: for the tests of
ranks.

python policy_run.py OUT [--rollout FILE: the batch that is learned from; without it, what the
policy draws]
"""

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from toy import add_toy, objective, settings, stream

from genwright.cli import leave
from genwright.core.contracts import Source
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.gradients import PlainGradients
from genwright.training.settings import Optimizer, Training

SIZE = 16
POLICY = settings(kl=0.3, updates=2, data=0.5)


class Given:
    """A stream of one batch, which is there already."""

    units = 1
    unit = "samples"
    size = SIZE

    def __init__(self, batch):
        self.whole = batch

    def batch(self, position, examples, policy=None):
        return {name: value[examples.cpu()] for name, value in self.whole.items()}

    def sources(self, position, examples):
        return [Source("given") for _ in examples]


class Kept(PlainGradients):
    """Keeps the first gradient."""

    first = None

    def finish(self, moving, count, draws, engine):
        if self.first is None:
            parts = [weights.grad.flatten() for weights in moving]
            self.first = (torch.cat(parts) / count).clone()
        return super().finish(moving, count, draws, engine)


class Records(loop.Hook):
    def __init__(self):
        self.lines = []

    def after_step(self, state, record):
        self.lines.append(dict(record))


def first_step(engine, rollout=None):
    """(the gradient as one vector, the step's record)."""
    built = objective(POLICY)
    rollouts = stream(POLICY, built, SIZE)
    if rollout is not None:
        rollouts = Given(rollout)
    adam = Optimizer(kind="adamw", learning_rate=0.01)
    training = Training(steps=1, batch_size=SIZE, micro_batch=4, precision="fp32", optimizer=adam)
    state = loop.start(built, training, engine, 0, torch.float32)
    gradients = Kept()
    records = Records()
    loop.run(
        built,
        rollouts,
        state,
        1,
        settings=training,
        engine=engine,
        hooks=[records],
        gradients=gradients,
    )
    return gradients.first, records.lines[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--rollout")
    a = parser.parse_args()
    torch.set_num_threads(1)
    add_toy()
    engine = Engine("cpu", "ddp")
    gradient, record = first_step(engine, load_file(a.rollout) if a.rollout else None)
    if engine.main:
        save_file({"gradient": gradient}, a.out)
        Path(a.out).with_suffix(".json").write_text(json.dumps(record))
    engine.close()
    leave(0)
