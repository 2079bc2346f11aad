"""Which modes of a known distribution samples reach, and how evenly: 2-D mixtures and stacked digits.

Protocol of PacGAN (Lin et al., arXiv 1712.04086, `MetricLogger` in its extensions.py): a sample belongs to its nearest mean, is of high
quality when less than 3 standard deviations away from it, and a mode counts with one such sample. The reverse KL is that of the shares of
the modes *among samples of high quality* to uniform; samples elsewhere lower the share of high quality, not the KL.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

PERFECT = 1 - math.exp(-4.5)  # share of a 2-D Gaussian within 3 standard deviations: what a perfect sampler reaches


class Modes(NamedTuple):
    """modes: reached. high_quality: share of samples. kl: nats; infinite without a sample of high quality."""

    modes: int
    high_quality: float
    kl: float


def reverse_kl(counts: Tensor) -> float:
    """KL(shares || uniform) in nats of counts (modes,)."""
    shares = counts.double() / counts.sum()
    return float(torch.special.xlogy(shares, shares * len(counts)).sum()) if counts.sum() else math.inf


def kl_floor(modes: int, samples: int) -> float:
    """What `reverse_kl` is on average for `samples` from a uniform sampler (Miller 1955, first order)."""
    return (modes - 1) / (2 * max(samples, 1))


def mixture(samples: Tensor, means: Tensor, std: float) -> Modes:
    """samples (n, 2), means (modes, 2), one standard deviation for all."""
    distance, mode = torch.cdist(samples.double(), means.double(), compute_mode="donot_use_mm_for_euclid_dist").min(1)
    good = distance < 3 * std
    counts = torch.bincount(mode[good], minlength=len(means))
    return Modes(int((counts > 0).sum()), float(good.double().mean()), reverse_kl(counts))


def stacked(labels: Tensor) -> Modes:
    """labels (n, 3): the digit that a classifier sees in each channel; every sample is of one of 1,000 modes."""
    counts = torch.bincount(labels @ torch.tensor([100, 10, 1], device=labels.device), minlength=1000)
    return Modes(int((counts > 0).sum()), 1.0, reverse_kl(counts))
