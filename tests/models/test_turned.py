"""Queries and keys that are normed and turned together equal those of the plain form."""

import pytest
import torch

from genwright.core.contracts import Space
from genwright.models import block
from genwright.models.layers import rotary
from genwright.models.ops import mixed
from genwright.models.presets import TransformerSettings
from genwright.models.turned import _plain, can_turn, turned


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


CASES = [(2, 2, 1e-6), (4, 2, 1e-6), (3, 1, None)]


@pytest.mark.parametrize(("queries", "keys", "eps"), CASES)
def test_it_equals_the_plain_form_forward_and_backward(queries, keys, eps):
    rope = rotary(5, 8, 100.0, False)
    found = []
    for form in (turned, _plain):
        cut = normal(3, 5, queries + 2 * keys, 8).requires_grad_()
        parts = form(cut, rope, queries, keys, eps)
        weights = [normal(*part.shape, seed=i) for i, part in enumerate(parts)]
        found.append([*parts, *torch.autograd.grad(parts, [cut], weights)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)


def test_it_can_be_differentiated_twice():
    rope = rotary(5, 8, 100.0, False)
    found = []
    for form in (turned, _plain):
        cut = normal(3, 5, 6, 8).requires_grad_()
        total = sum(part.square().sum() for part in form(cut, rope, 2, 2, 1e-6)[:2])
        total = total + form(cut, rope, 2, 2, 1e-6)[2].pow(3).sum()
        (first,) = torch.autograd.grad(total, [cut], create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), [cut])[0])
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("preset", ["nanochat", "llama", "speedrun"])
def test_a_network_computes_the_same_with_the_plain_form(preset, dtype, monkeypatch):
    torch.manual_seed(0)
    model = TransformerSettings(preset=preset, depth=2, width=32, heads=4, kv_heads=2).build(
        Space(vocabulary=19), 12
    )
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.1)
    model.to(dtype)
    tokens = torch.randint(19, (3, 12))
    taken = []

    def noted(cut, rope):
        taken.append(can_turn(cut, rope))
        return taken[-1]

    monkeypatch.setattr(block, "can_turn", noted)
    found = []
    for _ in range(2):
        model.zero_grad()
        loss = model(tokens, tokens).mean()
        loss.backward()
        found.append([loss.detach(), *(p.grad.float() for p in model.parameters())])
        monkeypatch.setattr(block, "can_turn", lambda cut, rope: False)
    assert taken == [True, True]
    for a, b in zip(*found, strict=True):
        room = 1e-5 if dtype == torch.float32 else 0.02 * float(b.abs().max())
        assert (a - b).abs().max() <= room


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_mix_equals_its_plain_form(dtype):
    found = []
    for form in (mixed, lambda x, first, mix: mix[0] * x + mix[1] * first):
        x = normal(3, 5, 8).to(dtype).requires_grad_()
        first = normal(3, 5, 8, seed=1).to(dtype).requires_grad_()
        mix = torch.tensor([0.75, -0.5], dtype=dtype, requires_grad=True)
        y = form(x, first, mix)
        weights = normal(*y.shape, seed=2).to(dtype)
        found.append([y, *torch.autograd.grad(y, [x, first, mix], weights)])
    room = 1e-5 if dtype == torch.float32 else 0.1
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=room, rtol=room)
