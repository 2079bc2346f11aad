"""Augmentation of what a discriminator sees (ADA, Karras et al., arXiv 2006.06676), with a few
plain transforms.

Each transform is applied to each array with a probability; as both real and generated arrays go
through the same, the generator learns the arrays as they are. All is linear in the arrays and
made of gathers and products, so gradients can be differentiated again (torch's own `grid_sample`
cannot). Random numbers come from outside.
"""

import math

import torch
from torch import Tensor

NUMBERS = 14  # uniform random numbers for an array: 5 decisions, then 9 amounts


def augment(x: Tensor, numbers: Tensor, probability: Tensor, flips: bool = False) -> Tensor:
    """Arrays (n, channels, height, width) in [-1, 1], transformed. numbers (n, NUMBERS) in [0,
    1); probability: () of each of shift, turn and scale, cutout, colour and (with `flips`) left to
    right."""
    chosen = (numbers[:, :5] < probability).float()
    amount = numbers[:, 5:] * 2 - 1
    shifted, turned, cut, coloured, flipped = chosen.unbind(1)
    angle = turned * amount[:, 0] * (math.pi / 12)
    scale = torch.exp2(turned * amount[:, 1] * 0.25)
    mirror = 1 - 2 * flipped * float(flips)
    shift = shifted[:, None] * amount[:, 2:4] / 4  # of half a side: an eighth of the side
    out = resample(x, angle, scale, mirror, shift)
    contrast = torch.exp2(coloured * amount[:, 4] * 0.5)
    brightness = coloured * amount[:, 5] * 0.3
    out = out * contrast.view(-1, 1, 1, 1) + brightness.view(-1, 1, 1, 1)
    return out * kept(x, amount[:, 6:8], cut)


def resample(x: Tensor, angle: Tensor, scale: Tensor, mirror: Tensor, shift: Tensor) -> Tensor:
    """Bilinear resampling of (n, c, h, w) turned by `angle` (n,), enlarged by `scale`, mirrored
    where -1, shifted by (n, 2) half sides (x, y). Beyond an edge the array is reflected."""
    n, c, h, w = x.shape
    v, u = torch.meshgrid(_centres(h, x), _centres(w, x), indexing="ij")
    u = u.flatten() - shift[:, :1]  # (n, places)
    v = v.flatten() - shift[:, 1:]
    cos = (angle.cos() / scale)[:, None]
    sin = (angle.sin() / scale)[:, None]
    column = _reflected((mirror[:, None] * (cos * u + sin * v) + 1) * (w / 2), w)
    row = _reflected((cos * v - sin * u + 1) * (h / 2), h)
    left = column.floor()
    top = row.floor()
    right = column - left  # weight of the place to the right
    down = row - top
    flat = x.flatten(2)  # (n, c, places)
    out = torch.zeros_like(flat)
    for dy, weight_y in ((0, 1 - down), (1, down)):
        for dx, weight_x in ((0, 1 - right), (1, right)):
            y = (top + dy).clamp(max=h - 1)
            index = y * w + (left + dx).clamp(max=w - 1)  # (n, places)
            neighbour = flat.gather(2, index.long()[:, None].expand(n, c, -1))
            out = out + neighbour * (weight_y * weight_x)[:, None]
    return out.view_as(x)


def _centres(size: int, x: Tensor) -> Tensor:
    """(size,) coordinates of the places' centres along a side, in (-1, 1), on the device of x."""
    return (torch.arange(size, device=x.device) + 0.5) * 2 / size - 1


def _reflected(place: Tensor, size: int) -> Tensor:
    """Places in [0, size] (edges of places), reflected into it -> coordinates of their centres in
    [0, size - 1]."""
    place = (place.remainder(2 * size) - size).abs()
    return (size - place - 0.5).clamp(0, size - 1)


def kept(x: Tensor, centre: Tensor, cut: Tensor) -> Tensor:
    """(n, 1, h, w): 0 in a square of half the side around `centre` (n, 2) in [-1, 1] where `cut`
    (n,) is 1, else 1."""
    rows = (_centres(x.shape[2], x) - centre[:, 1:]).abs() < 0.5  # (n, h)
    columns = (_centres(x.shape[3], x) - centre[:, :1]).abs() < 0.5  # (n, w)
    inside = rows[:, :, None] & columns[:, None, :]
    return (1 - inside.float() * cut.view(-1, 1, 1))[:, None]
