"""The hand-written forms equal the plain ones, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from genwright.models import ops
from genwright.models.ops import attention, product, rms_norm, squared_relu, swiglu


def both(f, plain, *inputs):
    """Outputs and gradients of the two, for the same random gradient."""
    results = []
    for g in (f, plain):
        leaves = [x.clone().requires_grad_() for x in inputs]
        out = g(*leaves)
        weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out.dtype)
        results.append([out, *torch.autograd.grad(out, leaves, weights)])
    return results


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0])
def test_rms_norm(scale):
    x, gain = normal(3, 5, 16) * scale, normal(16, seed=2)
    for a, b in zip(
        *both(lambda x: rms_norm(x, None, 1e-6), lambda x: F.rms_norm(x, (16,), None, 1e-6), x),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    for a, b in zip(
        *both(
            lambda x, w: rms_norm(x, w, 1e-6), lambda x, w: F.rms_norm(x, (16,), w, 1e-6), x, gain
        ),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-4)
    assert rms_norm(torch.zeros(2, 4, requires_grad=True), None, 1e-6).eq(0).all()


def test_gradients_by_differences():
    x = normal(2, 3, 8).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: squared_relu(x), x)


def differentiated_twice(f, plain, *inputs):
    """Of the two, the gradient of the squared gradient."""
    results = []
    for g in (f, plain):
        leaves = [x.clone().requires_grad_() for x in inputs]
        first = torch.autograd.grad(g(*leaves).square().sum(), leaves, create_graph=True)
        squares = sum(gradient.square().sum() for gradient in first)
        results.append(torch.autograd.grad(squares, leaves))
    return results


def test_squared_relu_equals_the_plain_form():
    for a, b in zip(
        *both(squared_relu, lambda x: F.relu(x).square(), normal(3, 5, 16)), strict=True
    ):
        torch.testing.assert_close(a, b)


def test_squared_relu_can_be_differentiated_twice():
    found = differentiated_twice(squared_relu, lambda x: F.relu(x).square(), normal(3, 5, 16))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_rms_norm_in_bfloat16():
    x = normal(3, 5, 64).bfloat16()
    for a, b in zip(
        *both(lambda x: rms_norm(x, None, 1e-6), lambda x: F.rms_norm(x, (64,), None, 1e-6), x),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=0.05, rtol=0.05)


def test_rms_norm_can_be_differentiated_twice():
    x = normal(3, 16)
    gain = 1 + 0.1 * normal(16, seed=2)
    found = differentiated_twice(
        lambda x, w: rms_norm(x, w, 1e-6), lambda x, w: F.rms_norm(x, (16,), w, 1e-6), x, gain
    )
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    frozen = rms_norm(x.requires_grad_(), gain, 1e-6)
    (alone,) = torch.autograd.grad(frozen.sum(), x)
    assert alone.shape == x.shape


def plain_swiglu(both):
    gate, up = both.chunk(2, -1)
    return gate * gate.sigmoid() * up


def test_swiglu():
    x = normal(2, 5, 12)
    for a, b in zip(*both(swiglu, plain_swiglu, x), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
    for a, b in zip(*differentiated_twice(swiglu, plain_swiglu, x), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(swiglu(x), plain_swiglu(x))


@pytest.fixture
def through_onednn(monkeypatch):
    """Every product, also small ones, and on processors where it is no faster."""
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        pytest.skip("this torch has no oneDNN")
    monkeypatch.setattr(ops, "is_large", lambda *sizes: True)
    monkeypatch.setattr(ops, "onednn_is_faster", lambda: True)
    taken = []
    real = ops._onednn

    def noted(x, weight):
        taken.append(x.shape)
        return real(x, weight)

    monkeypatch.setattr(ops, "_onednn", noted)
    return taken


@pytest.mark.parametrize("shape", [(3, 5, 8), (7, 8), (1, 1, 8)])
@pytest.mark.parametrize("outputs", [4, 20])
def test_products_through_onednn(through_onednn, shape, outputs):
    x = normal(*shape)
    weight = normal(outputs, 8, seed=2)
    for a, b in zip(*both(product, F.linear, x, weight), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    assert len(through_onednn) == 3  # forward, and by both inputs
    for a, b in zip(*differentiated_twice(product, F.linear, x, weight), strict=True):
        torch.testing.assert_close(a, b, atol=1e-3, rtol=1e-4)


def test_products_through_onednn_do_what_is_asked_only(through_onednn):
    x = normal(6, 8)
    weight = normal(4, 8, seed=2).requires_grad_()
    product(x, weight).sum().backward()
    assert len(through_onednn) == 2 and weight.grad is not None
    with torch.no_grad():
        assert not product(x, weight).requires_grad
    taken = len(through_onednn)
    product(x.double(), weight.double())
    product(x.bfloat16(), weight.bfloat16())
    torch.func.vmap(product, (0, None))(x[:, None], weight.detach())
    assert len(through_onednn) == taken


@pytest.mark.parametrize("large", [False, True])
def test_a_multiplier_multiplies(through_onednn, large, monkeypatch):
    if not large:
        monkeypatch.setattr(ops, "is_large", lambda *sizes: False)
    x = normal(6, 8)
    matrix = normal(8, 4, seed=2)
    multiplier = ops.Multiplier(matrix, 6)
    expected = x @ matrix
    first = multiplier.of(x)
    out = torch.empty(6, 4)
    multiplier.into(out, x)
    added = normal(6, 4, seed=3)
    before = added.clone()
    multiplier.add_to(added, x)
    multiplier.of(2 * x)  # leaves what it gave before
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(out, expected)
    torch.testing.assert_close(added, before + expected)
    assert len(through_onednn) == 4 * large


@pytest.mark.parametrize(
    ("rows", "inputs", "outputs", "taken"),
    [(64, 128, 256, True), (64, 128, 128, False), (16, 128, 768, False), (16, 128, 1024, True)],
)
def test_products_that_are_worth_it_go_through_onednn(monkeypatch, rows, inputs, outputs, taken):
    monkeypatch.setattr(ops, "onednn_is_faster", lambda: True)
    assert ops._by_onednn(normal(rows, inputs), normal(outputs, inputs)) == taken


def test_squared_relu():
    x = torch.tensor([-1.0, 0.0, 3.0], requires_grad=True)
    squared_relu(x).sum().backward()
    assert squared_relu(x).tolist() == [0, 0, 9] and x.grad.tolist() == [0, 0, 6]
    with torch.no_grad():
        assert squared_relu(x).tolist() == [0, 0, 9]
    assert x.tolist() == [-1, 0, 3]  # it is not written into what it was given


@pytest.mark.parametrize("kind", ["causal", "all", "mask", "masks"])
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_attention_in_bfloat16(kind, kv_heads):
    """Within bfloat16's precision of the fused kernel in fp32."""
    q, k, v = (
        normal(2, 4, 9, 8),
        normal(2, kv_heads, 9, 8, seed=1),
        normal(2, kv_heads, 9, 8, seed=2),
    )
    mask = {"mask": normal(9, 9, seed=3), "masks": normal(2, 1, 9, 9, seed=3)}.get(kind)
    causal = kind == "causal"

    def low(*qkv):
        return attention(
            *(t.bfloat16() for t in qkv), None if mask is None else mask.bfloat16(), causal
        ).float()

    def plain(*qkv):
        return F.scaled_dot_product_attention(*qkv, mask, is_causal=causal, enable_gqa=True)

    for a, b in zip(*both(low, plain, q, k, v), strict=True):
        assert (a - b).norm() < 0.02 * b.norm()
