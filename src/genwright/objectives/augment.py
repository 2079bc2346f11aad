"""Augmentation of what a discriminator sees (ADA, Karras et al., arXiv 2006.06676), with a few plain transforms.

Each transform is applied to each picture with a probability; as both real and generated pictures go through the same, the generator
learns the pictures as they are. All is linear in the pictures and made of gathers and products, so gradients can be differentiated again
(torch's own `grid_sample` cannot). Random numbers come from outside.
"""

import math

import torch
from torch import Tensor

NUMBERS = 12  # uniform random numbers for a picture: 4 decisions, then 8 amounts


def augment(x: Tensor, numbers: Tensor, probability: Tensor) -> Tensor:
    """Pictures (n, channels, height, width) in [-1, 1], transformed. numbers (n, NUMBERS) in [0, 1); probability: () of each of shift,
    turn and scale, cutout, and colour. Never mirrored, which letters and digits would not bear."""
    shifted, turned, cut, coloured = (numbers[:, :4] < probability).float().unbind(1)
    amount = numbers[:, 4:] * 2 - 1
    shift = shifted[:, None] * amount[:, 2:4] / 4  # of half a side: an eighth of the side
    out = resample(x, turned * amount[:, 0] * (math.pi / 12), torch.exp2(turned * amount[:, 1] * 0.25), shift)
    contrast, brightness = torch.exp2(coloured * amount[:, 4] * 0.5), coloured * amount[:, 5] * 0.3
    out = out * contrast.view(-1, 1, 1, 1) + brightness.view(-1, 1, 1, 1)
    return out * kept(x, amount[:, 6:8], cut)


def resample(x: Tensor, angle: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """Bilinear resampling of (n, c, h, w) turned by `angle` (n,), enlarged by `scale`, shifted by (n, 2) half sides (x, y). Beyond an edge
    the picture is reflected."""
    n, c, h, w = x.shape
    v, u = (t.flatten() for t in torch.meshgrid(_centres(h, x), _centres(w, x), indexing="ij"))
    u, v = u - shift[:, :1], v - shift[:, 1:]
    cos, sin = (angle.cos() / scale)[:, None], (angle.sin() / scale)[:, None]
    column, row = _reflected((cos * u + sin * v + 1) * (w / 2), w), _reflected((cos * v - sin * u + 1) * (h / 2), h)
    left, top = column.floor(), row.floor()
    right, down = column - left, row - top
    pixels = x.flatten(2)
    out = torch.zeros_like(pixels)
    for dy, wy in ((0, 1 - down), (1, down)):
        for dx, wx in ((0, 1 - right), (1, right)):
            index = (top + dy).clamp(max=h - 1) * w + (left + dx).clamp(max=w - 1)
            out = out + pixels.gather(2, index.long()[:, None].expand(n, c, -1)) * (wy * wx)[:, None]
    return out.view_as(x)


def _centres(size: int, x: Tensor) -> Tensor:
    """Of pixels, on an axis from -1 to 1."""
    return (torch.arange(size, device=x.device) + 0.5) * 2 / size - 1


def _reflected(place: Tensor, size: int) -> Tensor:
    """Places in [0, size] (edges of pixels), reflected into it -> coordinates of pixel centres in [0, size - 1]."""
    place = (place.remainder(2 * size) - size).abs()
    return (size - place - 0.5).clamp(0, size - 1)


def kept(x: Tensor, centre: Tensor, cut: Tensor) -> Tensor:
    """(n, 1, h, w): 0 in a square of half the side around `centre` (n, 2) in [-1, 1] where `cut` (n,) is 1, else 1."""
    v, u = _centres(x.shape[2], x), _centres(x.shape[3], x)
    inside = ((v - centre[:, 1:]).abs() < 0.5)[:, :, None] & ((u - centre[:, :1]).abs() < 0.5)[:, None, :]
    return (1 - inside.float() * cut.view(-1, 1, 1))[:, None]
