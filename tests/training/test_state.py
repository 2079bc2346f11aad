"""What a state promises: modules that are trained, frozen ones, and starting more than once."""

import copy

import pytest
import torch

from genwright.core.errors import GenwrightError
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.modules import persistent_buffers
from genwright.training.settings import Optimizer, Training
from genwright.training.state import State, start
from training import toys

SETTINGS = Training(
    steps=6,
    batch_size=8,
    ema=0.9,
    precision="fp32",
    optimizer=Optimizer(kind="muon", matrix_rate=0.02, learning_rate=0.01),
)
DTYPES = (torch.float32, torch.bfloat16)


def trained(objective, dtype=torch.float32, steps=6, state=None, position=0):
    engine = Engine.alone()
    state = state or start(objective, SETTINGS, engine, seed=3, dtype=dtype)
    stream = toys.Points(8, seed=position)
    loop.run(objective, stream, state, steps, settings=SETTINGS, engine=engine)
    return state


def values(objective):
    """All parameters and buffers, as copies."""
    return {
        (module, name): tensor.detach().clone()
        for module, network in objective.modules.items()
        for name, tensor in network.state_dict().items()
    }


def same(a, b):
    return a.keys() == b.keys() and all(
        a[key].dtype == b[key].dtype and torch.equal(a[key], b[key]) for key in a
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_module_that_first_moves_in_a_later_step_is_trained(dtype):
    objective = toys.Distillation()
    before = values(objective)
    state = trained(objective, dtype)
    assert state.weights["critic"].updates == 4
    state.release()
    after = values(objective)
    for name, parameter in objective.modules["critic"].named_parameters():
        assert not torch.equal(before["critic", name], after["critic", name])
        assert parameter.dtype == torch.float32


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_frozen_stays_as_it_was(dtype):
    objective = toys.Distillation()
    before = values(objective)
    state = trained(objective, dtype)
    assert not any(part.training for part in objective.modules["reference"].modules())
    assert not any(p.requires_grad for p in objective.modules["reference"].parameters())
    assert objective.modules["student"][0].weight.dtype == dtype
    assert torch.equal(
        state.weights["student"].kept("frozen")["0.weight"], before["student", "0.weight"]
    )
    state.release()
    after = values(objective)
    frozen = [key for key in before if key[0] == "reference"]
    frozen += [("student", "0.weight"), ("student", "0.bias")]
    assert all(torch.equal(before[key], after[key]) for key in frozen)
    assert objective.modules["reference"].training
    assert all(p.requires_grad for p in objective.modules["reference"].parameters())
    assert not objective.modules["student"][0].weight.requires_grad
    assert objective.modules["student"][2].weight.requires_grad


def test_a_turn_that_moves_a_frozen_module_is_refused():
    objective = toys.Distillation()
    objective.trained = ("student",)
    with pytest.raises(
        GenwrightError,
        match="a turn of step 3 moves module 'critic', which the objective does not train; name",
    ):
        trained(objective)


def test_an_objective_that_trains_what_it_has_not_is_refused():
    objective = toys.Distillation()
    objective.trained = ("studnet",)
    with pytest.raises(GenwrightError, match="trains 'studnet'.*did you mean 'student'"):
        start(objective, SETTINGS, Engine.alone())


@pytest.mark.parametrize("first", DTYPES)
@pytest.mark.parametrize("second", DTYPES)
@pytest.mark.parametrize("kept", [True, False])
def test_two_starts_in_one_process_are_those_of_two_processes(first, second, kept):
    objective = toys.Distillation()
    state = trained(objective, first)
    if not kept:  # nobody holds the first state any more
        del state
    state = trained(objective, second)
    state.release()

    alone = toys.Distillation()
    trained(alone, first).release()
    fresh = toys.Distillation(seed=1)
    for name, network in fresh.modules.items():
        network.load_state_dict(alone.modules[name].state_dict())
    trained(fresh, second).release()
    assert same(values(objective), values(fresh))
    assert all(tensor.dtype != torch.bfloat16 for tensor in values(objective).values())
    for network in objective.modules.values():
        assert not network._forward_pre_hooks
        assert all(p.grad is None for p in network.parameters())


def test_an_older_state_of_the_same_modules_trains_no_more():
    objective = toys.Distillation()
    old = start(objective, SETTINGS, Engine.alone())
    new = start(objective, SETTINGS, Engine.alone())
    with pytest.raises(GenwrightError, match="no longer those of their module"):
        trained(objective, state=old)
    old.release()  # which is no longer its to give back
    trained(objective, state=new)


def test_a_copy_of_a_module_in_training_starts_from_full_precision():
    objective = toys.Distillation()
    trained(objective, torch.bfloat16)
    other = copy.deepcopy(objective)
    start(objective, SETTINGS, Engine.alone())
    start(other, SETTINGS, Engine.alone())
    assert same(values(objective), values(other))


def test_a_run_leaves_the_callers_random_numbers_and_all_gradients_allowed():
    objective = toys.Distillation()
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    state = start(objective, SETTINGS, Engine.alone())
    trained(objective, state=state)
    assert torch.equal(torch.rand(3), expected)
    for name in objective.trained:
        assert all(p.requires_grad for p in state.weights[name].parameters.values())


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_that_is_trained_is_read_and_written_as_one_vector(dtype):
    objective = toys.Distillation()
    state = trained(objective, dtype)
    flat = state.read()
    count = sum(
        tensor.numel()
        for name in objective.trained
        for tensor in [
            *state.weights[name].parameters.values(),
            *persistent_buffers(objective.modules[name]).values(),
        ]
    )
    assert flat.shape == (count,) and flat.dtype == torch.float32
    kept = flat.clone()
    trained(objective, state=state, steps=12)
    assert not torch.equal(state.read(), kept)
    assert torch.equal(flat, kept), "what was read is a copy"
    state.write(kept)
    assert torch.equal(state.read(), kept)
    assert objective.modules["student"].idle.tolist() == [6, 6, 6]
    torch.testing.assert_close(
        objective.modules["student"].codebook,
        toys.Distillation().modules["student"].codebook * 0.9**6,
    )
    state.write(torch.full_like(kept, 0.6))  # an average of whole numbers need not be whole
    assert objective.modules["student"].idle.tolist() == [1, 1, 1]
    with pytest.raises(GenwrightError, match="was written to a state of"):
        state.write(kept[1:])


@pytest.mark.parametrize("dtype", DTYPES)
def test_clients_share_one_set_of_buffers(dtype):
    """Two clients after each other on one state, as each would train in a process of its own."""
    objective = toys.Distillation()
    state = start(objective, SETTINGS, Engine.alone(), seed=3, dtype=dtype)
    given = state.read()
    found = []
    for client in (1, 2):
        state.write(given)
        state.begin_again()
        trained(objective, state=state, position=client)
        found.append(state.read())
    for client, vector in zip((1, 2), found, strict=True):
        alone = trained(toys.Distillation(), dtype, position=client)
        assert torch.equal(alone.read(), vector)


def test_a_whole_number_that_float32_cannot_hold_is_refused():
    objective = toys.Distillation()
    objective.modules["student"].idle.fill_(1 << 25)
    with pytest.raises(GenwrightError, match="buffer idle holds a whole number over 16,777,216"):
        start(objective, SETTINGS, Engine.alone()).read()


def test_a_state_without_anything_trained_reads_as_nothing():
    assert State({}).read().shape == (0,)
