"""Likelihoods of arrays and bounds on them, as pure functions. All in nats.

Bernoulli: an array of 0 and 1, values independent given the latents. Discretised logistic: 256
levels, each with the mass that a logistic distribution puts between its neighbours' midpoints, the
outermost with the whole tails (Kingma et al., arXiv 1606.04934).
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from genwright.core.draws import Draws, mix


def bernoulli(logits: Tensor, x: Tensor) -> Tensor:
    """log p(x), (n, k): logits (n, k, 1, *shape), x (n, *shape) in [0, 1]."""
    logits = logits.flatten(2)
    return (logits @ x.flatten(1)[:, :, None])[..., 0] - F.softplus(logits).sum(2)


def logistic(parameters: Tensor, x: Tensor) -> Tensor:
    """log p(x), (n, k): parameters (n, k, 2, *shape) are mean and log scale; x (n, *shape) of the
    levels uint8 / 127.5 - 1.

    With a and b the standardised lower and upper edge, sigma(b) - sigma(a) = (1 - e^(a-b)) sigma(b)
    sigma(-a): exact in fp32."""
    mean, log_scale = parameters.flatten(3).unbind(2)
    x = x.flatten(1)[:, None]  # (n, 1, values)
    narrow = (-log_scale.clamp(-7, 7)).exp()
    upper = (x + 1 / 255 - mean) * narrow
    lower = (x - 1 / 255 - mean) * narrow
    # log of the mass under the upper edge
    below = torch.where(x > 254 / 255, 0.0, -F.softplus(-upper))
    above = torch.where(x < -254 / 255, 0.0, -F.softplus(lower))
    inside = torch.where(x.abs() > 254 / 255, 0.0, (-torch.expm1(-2 / 255 * narrow)).log())
    return (below + above + inside).sum(2)


def importance_bound(log_weights: Tensor) -> Tensor:
    """(n, k) log p(x, z) - log q(z|x) -> (n,) log of their mean weight: a lower bound on log p(x)
    in expectation that rises with k (Burda et al., arXiv 1509.00519); k = 1 is the evidence lower
    bound."""
    return log_weights.logsumexp(1) - math.log(log_weights.size(1))


def binarised(x: Tensor, draws: Draws) -> Tensor:
    """Arrays in [-1, 1] -> 0 and 1, each value 1 with its intensity as the probability
    (Salakhutdinov and Murray, 2008), within 2^-16. Four values share the 64 bits of one draw."""
    size = x[0].numel()
    bits = draws.bits("binarise", -(-size // 4)).view(torch.int16)[:, :size].view_as(x)
    return (bits.float() + 32768 < (x + 1) * 32768).float()


def fixed_draws(x: Tensor) -> Draws:
    """Draws that an example's own 256 levels seed, so that it is binarised alike whenever and
    wherever it is seen."""
    levels = ((x.flatten(1) + 1) * 127.5).round().long()  # (n, values), 0 to 255
    place = torch.arange(1, levels.size(1) + 1, device=x.device)
    return Draws(0, 0, (levels * mix(place)).sum(1))
