"""A step from the stream to its record: prepare, observe, settle, and turns that see what the last
one measured."""

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from genwright.core.contracts import Mean, Turn
from genwright.training import gradients, loop, precision
from genwright.training.engine import Engine
from genwright.training.precision import choose
from genwright.training.settings import Optimizer
from training import test_loop, toys
from training.ranks import on_two_ranks
from training.toy_run import session

STEPS = 12
LIMIT = 0.004  # nats that a policy may move in a step: two to six epochs


class Keep(loop.Hook):
    def __init__(self):
        self.records = []

    def after_step(self, state, record):
        self.records.append(dict(record))


def trained(objective, engine=None, stream=None, steps=STEPS, **training):
    """The weights after some steps, by module, and the records."""
    engine = engine or Engine.alone()
    _, usual, settings = toys.make("ppo", steps=steps, **training)
    state = loop.start(objective, settings, engine, seed=3)
    keep = Keep()
    loop.run(
        objective,
        stream or usual,
        state,
        steps,
        settings=settings,
        engine=engine,
        hooks=[keep],
    )
    return state, keep.records


def weights_of(state):
    """All that is trained, in one vector."""
    return torch.cat([weights.master for weights in state.weights.values() if weights.trained])


class Stopping(toys.PPO):
    """Epochs over a batch, until the policy has moved too far from the one that drew it."""

    trained = ("policy",)

    def __init__(self, limit, most=6):
        torch.manual_seed(0)
        super().__init__()
        self.limit = limit
        self.most = most
        self.epochs = []  # of each step
        self.seen = []  # what each turn was told

    def turns(self, step):
        self.epochs.append(0)
        for _ in range(self.most):
            self.epochs[-1] += 1
            measured = yield Turn(("policy",), self.loss)
            self.seen.append(dict(measured))
            if measured["kl"] > self.limit:
                return

    def loss(self, batch):
        out = super().loss(batch)
        difference = toys.log_chances(self.modules["policy"], batch) - batch["old"]
        kl = (difference.exp() - 1 - difference).detach()
        return out._replace(metrics={**out.metrics, "kl": Mean(kl, torch.ones_like(kl))})


def test_a_turn_sees_what_the_last_one_measured():
    objective = Stopping(LIMIT)
    state, records = trained(objective, clip=None)
    assert len(objective.epochs) == STEPS
    assert len(set(objective.epochs)) > 1  # the number of epochs adapts
    assert state.weights["policy"].updates == sum(objective.epochs)
    # the first epoch is at the policy that drew the batch; the last one was over the limit
    assert objective.seen[0]["kl"] == pytest.approx(0, abs=1e-6)
    first = objective.epochs[0]
    assert objective.seen[first - 1]["kl"] > LIMIT >= objective.seen[first - 2]["kl"]
    # the record has the mean over the turns of the step
    mean = sum(seen["kl"] for seen in objective.seen[:first]) / first
    assert records[0]["kl"] == pytest.approx(mean)


@pytest.mark.parametrize("micro", [None, 2, 5])
def test_a_stop_is_the_same_for_any_split_and_number_of_ranks(micro):
    one = Stopping(LIMIT)
    expected, _ = trained(one)
    other = Stopping(LIMIT)
    found = [(other, trained(other, micro_batch=micro)[0])]
    found += on_two_ranks(
        lambda: Stopping(LIMIT),
        lambda engine, other: (other, trained(other, engine, micro_batch=micro)[0]),
    )
    for other, state in found:
        assert other.epochs == one.epochs
        assert torch.allclose(weights_of(state), weights_of(expected), atol=1e-5)


def test_what_is_observed_and_settled_is_the_same_for_any_split_and_number_of_ranks():
    objective = toys.Regularised()
    expected, records = trained(objective)
    assert objective.sizes == [12] * STEPS
    for micro, sizes in ((2, [2] * 6), (5, [5, 5, 2])):
        objective = toys.Regularised()
        state, others = trained(objective, micro_batch=micro)
        assert objective.sizes == sizes * STEPS
        assert torch.allclose(weights_of(state), weights_of(expected), atol=1e-5)
        losses = [record["loss"] for record in records]
        assert [record["loss"] for record in others] == pytest.approx(losses, abs=1e-5)
    on_ranks = on_two_ranks(
        toys.Regularised, lambda engine, made: trained(made, engine, micro_batch=4)
    )
    for state, _ in on_ranks:
        assert torch.allclose(weights_of(state), weights_of(expected), atol=1e-5)


def test_the_reference_decides():
    """Another reference gives another policy: what was observed is what is learned from."""
    first, _ = trained(toys.Regularised())
    other = toys.Regularised()
    for parameter in other.modules["reference"].parameters():
        parameter.data.add_(0.5)
    second, _ = trained(other)
    assert not torch.allclose(weights_of(first), weights_of(second), atol=1e-4)


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_weights_observed_and_settled_in_two_processes(strategy, tmp_path, forks):
    """Ranks have unequal numbers of examples that are not left out, and sharded modules meet."""
    common = ("--steps", 6, "--strategy", strategy, "--micro", 2)
    forks.run_ranks(2, test_loop.words_of("weighed", tmp_path / "two", *common), tmp_path)
    session("weighed", tmp_path / "one", steps=6).train()
    assert test_loop.near(
        test_loop.final(tmp_path / "one", 6), test_loop.final(tmp_path / "two", 6)
    )
    losses = [
        [r["loss"] for r in test_loop.history(tmp_path / x) if "loss" in r] for x in ("one", "two")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=1e-5) and len(losses[0]) == 6


# ---- looking at the device


class Waits(TorchFunctionMode):
    """Counts what makes Python wait for a device: numbers that are brought to the host."""

    LOOKS = ("tolist", "item", "__float__", "__int__", "__bool__", "__index__", "cpu", "numpy")

    def __init__(self):
        self.count = 0

    def __torch_function__(self, function, types, args=(), kwargs=None):
        if getattr(function, "__name__", "") in self.LOOKS:
            self.count += 1
        return function(*args, **(kwargs or {}))


class Scalars(TorchDispatchMode):
    """Counts the same inside torch's own functions."""

    def __init__(self):
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function is torch.ops.aten._local_scalar_dense.default:
            self.count += 1
        return function(*args, **(kwargs or {}))


@pytest.fixture
def device(monkeypatch):
    """The loop treats the CPU as a device that it does not want to wait for."""
    before = loop._Step.__init__

    def init(self, *arguments):
        before(self, *arguments)
        self.on_host = False

    monkeypatch.setattr(loop._Step, "__init__", init)
    monkeypatch.setattr(gradients, "_on_host", lambda tensor: False)


def step_of(objective, stream, settings):
    engine = Engine.alone()
    state = loop.start(objective, settings, engine, seed=3)
    return loop._Step(objective, stream, state, settings, engine, loop.PlainGradients())


MUON = Optimizer(kind="muon", matrix_rate=0.02, learning_rate=0.01)


@pytest.mark.parametrize("optimizer", [toys.ADAM, MUON])
@pytest.mark.parametrize("name", ["gan", "vae", "ppo"])
def test_a_step_waits_once_for_the_device(name, optimizer, device):
    objective, stream, settings = toys.make(name)
    step = step_of(objective, stream, settings.model_copy(update={"optimizer": optimizer}))
    batches = step.batches.prepared
    prepared = {}
    for position in range(4):  # what streams and `prepare` do is their own affair
        prepared[position] = batches(position)
    step.batches.prepared = prepared.__getitem__
    objective.after_step = lambda metrics, sums: None
    for _ in range(2):
        with Waits() as waits, Scalars() as scalars:
            step()
        assert (waits.count, scalars.count) == (1, 0)


def test_a_step_whose_objective_looks_waits_once_a_turn(device):
    objective = Stopping(limit=1e9, most=3)
    _, stream, settings = toys.make("ppo")
    step = step_of(objective, stream, settings)
    prepared = step.batches.prepared(0)
    step.batches.prepared = lambda position: prepared
    with Waits() as waits, Scalars() as scalars:
        step()
    assert (waits.count, scalars.count) == (3, 0)


class Spoiled(toys.Points):
    """Points that are no numbers at some positions."""

    def batch(self, position, examples, policy=None):
        batch = super().batch(position, examples, policy)
        factor = float("nan") if position in (2, 7, 8) else 1.0
        return {"points": batch["points"] * factor}


@pytest.mark.parametrize("optimizer", [toys.ADAM, MUON])
@pytest.mark.parametrize("name", ["gan", "vae"])
def test_a_device_is_trained_as_the_host_is_also_where_steps_are_not_finite(
    name, optimizer, monkeypatch
):
    def run():
        objective, _, _ = toys.make(name)
        state, records = trained(
            objective, stream=Spoiled(12), optimizer=optimizer, clip=0.5, ema=0.9
        )
        kept = {
            (module, kind, n): tensor.clone()
            for module, weights in state.weights.items()
            for kind in ("weights", "ema", "first", "second")
            for n, tensor in weights.tensors(kind).items()
        }
        updates = {module: weights.updates for module, weights in state.weights.items()}
        clock = ("seconds", "points_per_second")
        records = [{k: v for k, v in record.items() if k not in clock} for record in records]
        return kept, updates, str(records)

    host = run()
    before = loop._Step.__init__

    def init(self, *arguments):
        before(self, *arguments)
        self.on_host = False

    monkeypatch.setattr(loop._Step, "__init__", init)
    there = run()
    assert host[1:] == there[1:]
    assert host[0].keys() == there[0].keys()
    assert all(torch.equal(host[0][key], there[0][key]) for key in host[0])
    assert host[2].count("skipped") >= 2 and all(t.isfinite().all() for t in host[0].values())


class SpoiledBandit(toys.Bandit):
    """One batch whose rewards are no numbers."""

    def batch(self, position, examples, policy=None):
        batch = super().batch(position, examples, policy)
        if position == 2:
            batch["reward"] = batch["reward"] * float("nan")
        return batch


def test_a_turn_that_was_not_finite_is_the_last_of_its_step_where_it_is_seen(device, monkeypatch):
    there = Stopping(LIMIT)
    state, records = trained(there, stream=SpoiledBandit(), steps=5)
    monkeypatch.undo()
    here = Stopping(LIMIT)
    wanted, others = trained(here, stream=SpoiledBandit(), steps=5)
    assert here.epochs[2] == 1 and there.epochs[2] == 2  # asked for, and not played
    assert torch.equal(weights_of(state), weights_of(wanted))
    assert (
        records[2]["skipped"]
        == others[2]["skipped"]
        == ("loss is not finite at step 3, position 2: pulls 2")
    )
    assert state.weights["policy"].updates == wanted.weights["policy"].updates
    assert state.weights["policy"].updates == sum(here.epochs) - 1


# ---- time


def test_precision_is_chosen_with_what_was_observed_and_settled(monkeypatch):
    monkeypatch.setattr(precision, "_has_bf16", lambda: True)
    _, stream, settings = toys.make("ppo", micro_batch=4)
    dtype, seconds = choose(toys.Regularised(), stream, settings, Engine.alone(), 0)
    assert dtype in (torch.float32, torch.bfloat16)
    assert seconds.keys() == {"fp32", "bf16"} and min(seconds.values()) > 0
