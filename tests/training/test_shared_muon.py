"""Ranks share out what Muon orthogonalises, and end with the weights of one process."""

import pytest
import torch
from torch import nn

from genwright.training import optimizers, shared_muon
from genwright.training.engine import Engine
from genwright.training.settings import Optimizer
from genwright.training.shared_muon import cost_of, deal
from genwright.training.weights import Weights
from training.ranks import on_two_ranks

SHAPES = [(24, 8), (8, 24), (24, 8), (8, 8), (8, 8), (8, 8), (30, 40)]


class Net(nn.Module):
    """Matrices of several shapes, and a vector."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.matrices = nn.ParameterList(torch.randn(shape) for shape in SHAPES)
        self.gain = nn.Parameter(torch.ones(5))


def buckets():
    return Weights(Net(), Optimizer(learning_rate=0.1)).buckets


@pytest.mark.parametrize("ranks", [1, 2, 3, 8, 20])
def test_every_matrix_is_dealt_out_once(ranks):
    dealt = deal(buckets(), ranks)
    assert len(dealt) == ranks
    names = [name for shares in dealt for share in shares for name in share.names]
    assert sorted(names) == [f"matrices.{i}" for i in range(len(SHAPES))]
    for shares in dealt:
        for share in shares:
            rows, columns = share.bucket.shape
            assert share.numel == len(share.names) * rows * columns


def test_costs_are_even():
    net = nn.ModuleList([nn.Linear(16, 16, bias=False) for _ in range(8)])
    net.extend([nn.Linear(16, 64, bias=False) for _ in range(4)])
    dealt = deal(Weights(net, Optimizer(learning_rate=0.1)).buckets, 4)
    costs = [sum(len(s.names) * cost_of(s.bucket.shape) for s in shares) for shares in dealt]
    assert len(set(costs)) == 1


def updated(engine, net, steps=3):
    """A net after some steps with gradients that all ranks have."""
    weights = Weights(net, Optimizer(learning_rate=0.1, weight_decay=0.1))
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        weights.grad.copy_(torch.randn(weights.size, generator=generator))
        weights.update(0.5, 2.0, engine=engine)
    return [p.detach().clone() for p in net.parameters()]


def test_two_ranks_do_half_each_and_equal_one(monkeypatch):
    done = []
    real = optimizers.orthogonalise

    def noted(x, iterations):
        done.append(len(x) * cost_of(x.shape[1:]))
        return real(x, iterations)

    monkeypatch.setattr(shared_muon, "orthogonalise", noted)
    alone = updated(Engine.alone(), Net())
    whole = sum(done)
    done.clear()
    first, second = on_two_ranks(Net, updated)
    assert sum(done) == whole  # not twice of it
    for one, a, b in zip(alone, first, second, strict=True):
        assert torch.equal(a, b)
        torch.testing.assert_close(a, one, atol=1e-6, rtol=1e-5)


def test_nothing_moves_where_a_step_is_not_finite():
    net = Net()
    before = [p.detach().clone() for p in net.parameters()]
    weights = Weights(net, Optimizer(learning_rate=0.1, weight_decay=0.1))
    weights.grad.fill_(torch.nan)
    weights.update(1.0, 1.0, torch.tensor(False))
    assert weights.first.eq(0).all()
    for a, b in zip(before, net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 32), (2, 48, 12)])
def test_one_matrix_at_a_time_through_onednn_equals_the_stack(shape, monkeypatch):
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    monkeypatch.setattr(optimizers, "onednn_is_faster", lambda: False)
    stacked = optimizers.orthogonalise(x)
    taken = []
    real = optimizers.onednn_product

    def noted(x, weight):
        taken.append(x.shape)
        return real(x, weight)

    monkeypatch.setattr(optimizers, "onednn_product", noted)
    monkeypatch.setattr(optimizers, "onednn_is_faster", lambda: True)
    monkeypatch.setattr(optimizers, "is_large", lambda *sizes: True)
    torch.testing.assert_close(optimizers.orthogonalise(x), stacked, atol=1e-5, rtol=1e-4)
    assert len(taken) == 3 * 5 * len(x)
