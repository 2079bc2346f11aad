"""Several processes learn from a rollout what one does."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from policy_run import POLICY, SIZE, first_step
from safetensors.torch import load_file, save_file
from toy import objective, stream

from genwright.core.errors import GenwrightError
from genwright.rewards.rollout import rollouts
from genwright.training.engine import Engine

SCRIPT = str(Path(__file__).with_name("policy_run.py"))


@pytest.fixture
def two_processes(forks, tmp_path):
    """words -> the gradient and the record of two processes."""

    def run(*words):
        out = tmp_path / "two.safetensors"
        forks.run_ranks(2, [SCRIPT, str(out), *map(str, words)], tmp_path)
        return load_file(out)["gradient"], json.loads(out.with_suffix(".json").read_text())

    return run


def assert_same(one, two, names):
    for name in names:
        assert two[name] == pytest.approx(one[name], abs=1e-5), name


MEANT = (
    "loss",
    "data_loss",
    "reward",
    "reward/share of a",
    "kl",
    "entropy",
    "length",
    "distinct_4",
    "ratio",
)


def test_two_processes_have_the_gradient_of_one_on_a_given_rollout(tmp_path, two_processes):
    built = objective(POLICY)
    rollout = stream(POLICY, built, SIZE).batch(0, torch.arange(SIZE), built)
    # the ranks' parts are of different lengths, so that a mean of means would be seen
    lengths = rollout["mask"].sum(1)
    assert lengths[:8].sum() != lengths[8:].sum()
    save_file(rollout, tmp_path / "rollout.safetensors")
    gradient, record = first_step(Engine.alone("cpu"), rollout)
    other, of_two = two_processes("--rollout", tmp_path / "rollout.safetensors")
    assert gradient.abs().max() > 1e-3
    assert (gradient - other).abs().max() <= 1e-5
    assert_same(record, of_two, MEANT)


def test_two_processes_draw_the_samples_of_one(two_processes):
    gradient, record = first_step(Engine.alone("cpu"))
    other, of_two = two_processes()
    assert (gradient - other).abs().max() <= 1e-5
    assert_same(record, of_two, MEANT)


def test_weights_that_are_split_over_processes_are_refused():
    recipe = SimpleNamespace(training=SimpleNamespace(strategy="fsdp"))
    with pytest.raises(GenwrightError, match="set training.strategy=ddp"):
        rollouts(recipe, None)
