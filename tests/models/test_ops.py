"""The hand-written forms equal the plain ones, forward and backward."""

import pytest
import torch
import torch.nn.functional as F

from genwright.models.ops import attention, rms_norm, squared_relu


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


def test_squared_relu():
    x = torch.tensor([-1.0, 0.0, 3.0], requires_grad=True)
    squared_relu(x).sum().backward()
    assert squared_relu(x).tolist() == [0, 0, 9] and x.grad.tolist() == [0, 0, 6]


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
