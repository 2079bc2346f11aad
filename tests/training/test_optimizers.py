"""The update rules against torch's own and against the singular value decomposition."""

import pytest
import torch
from torch import nn

from genwright.training.optimizers import orthogonalise
from genwright.training.settings import Optimizer
from genwright.training.weights import Weights


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (2, 48, 12)])
def test_orthogonalised_matrices_have_singular_values_near_one_and_the_same_directions(shape):
    torch.manual_seed(0)
    x = torch.randn(shape)
    y = orthogonalise(x, 8)
    u, s, v = torch.linalg.svd(x, full_matrices=False)
    assert torch.linalg.svdvals(y).sub(1).abs().max() < 0.15
    assert (u @ v - y).norm() / (u @ v).norm() < 0.15
    assert torch.equal(orthogonalise(torch.zeros(shape)), torch.zeros(shape))


def test_muon_follows_its_definition():
    torch.manual_seed(0)
    net = nn.Linear(8, 24, bias=False)
    start = net.weight.detach().clone()
    w = Weights(
        net,
        Optimizer(kind="muon", matrix_rate=0.1, learning_rate=0.1, weight_decay=0.5, momentum=0.9),
    )
    buffer, expected = torch.zeros_like(start), start.clone()
    for _ in range(3):
        gradient = torch.randn(24, 8)
        w.zero()
        net.weight.grad.copy_(gradient * 4)
        w.update(0.5, 0.25)
        buffer = 0.9 * buffer + 0.1 * gradient
        update = orthogonalise((0.1 * gradient + 0.9 * buffer)[None])[0]
        expected = expected * (1 - 0.05 * 0.5) - 0.05 * 3**0.5 * update
    assert torch.allclose(net.weight, expected, atol=1e-5)


def test_adamw_equals_torch_over_twenty_steps():
    torch.manual_seed(0)
    ours = nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 5), nn.Linear(5, 3))
    theirs = nn.Sequential(nn.Embedding(11, 6), nn.Linear(6, 5), nn.Linear(5, 3))
    theirs.load_state_dict(ours.state_dict())
    w = Weights(
        ours,
        Optimizer(kind="adamw", learning_rate=0.01, weight_decay=0.1, eps=1e-8, betas=(0.9, 0.99)),
    )
    matrices, vectors = (
        [p for p in theirs.parameters() if p.ndim > 1],
        [p for p in theirs.parameters() if p.ndim == 1],
    )
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    adam = torch.optim.AdamW(groups, lr=0.01, betas=(0.9, 0.99), eps=1e-8)
    for _ in range(20):
        x = torch.randint(0, 11, (7,))
        w.zero()
        ours(x).square().sum().backward()
        w.update(1.0, 1 / 7)
        adam.zero_grad()
        theirs(x).square().sum().div(7).backward()
        adam.step()
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-6)


def test_equal_shapes_are_one_stack_without_a_copy():
    net = nn.ModuleList([nn.Linear(5, 7, bias=False) for _ in range(3)])
    w = Weights(net, Optimizer(learning_rate=0.1))
    (bucket,) = w.buckets
    stack = w.stack(w.master, bucket)
    assert stack.shape == (3, 7, 5)
    for i, layer in enumerate(net):
        assert torch.equal(stack[i], layer.weight)
        assert stack[i].data_ptr() == layer.weight.data_ptr()


def test_frozen_and_tied_parameters():
    a, b = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    b.weight = a.weight
    net = nn.ModuleList([a, b, nn.Linear(4, 4)])
    net[2].requires_grad_(False)
    w = Weights(net, Optimizer(learning_rate=0.1))
    assert list(w.parameters) == ["0.weight"]
    assert a.weight.data_ptr() == b.weight.data_ptr() == w.master.data_ptr()
    assert set(w.tensors("weights")) == {"0.weight", "2.weight", "2.bias"}


def test_a_missing_learning_rate_is_a_fault_of_the_program():
    with pytest.raises(ValueError, match="resolved"):
        Weights(nn.Linear(2, 2), Optimizer())


def test_the_average_follows_its_recursion():
    net = nn.Linear(2, 2, bias=False)
    w = Weights(net, Optimizer(kind="adamw", learning_rate=0.1), ema=0.6)
    expected = net.weight.detach().clone()
    for step in range(1, 12):
        w.zero()
        net.weight.grad.fill_(1.0)
        w.update(1.0, 1.0)
        w.move_average()
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * net.weight.detach()
    assert torch.allclose(w.tensors("ema")["weight"], expected, atol=1e-6)
    raw = net.weight.detach().clone()
    with w.averaged():
        assert torch.allclose(net.weight, expected, atol=1e-6)
    assert torch.equal(net.weight, raw)
