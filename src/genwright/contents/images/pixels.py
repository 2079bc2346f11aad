"""What can be counted in the pixels of pictures: light, colour, what is drawn, symmetry.

Pictures are (n, channels, height, width) in [-1, 1], channels 1 (grey) or 3 (RGB). Every function
gives a number for each picture, (n,) float32, which depends on that picture alone.

1. Values are taken to [0, 1] as they are stored (sRGB), as the field's figures of pictures are.
2. The background is the median colour of the outermost ring of pixels; ink is what differs from it.
   This needs no word of how a picture was made: it holds for drawings on white and for digits on
   black. A picture that fills its frame (a photograph) has no background in this sense.
3. Hue, saturation and value are those of HSV.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

# of [0, 1], in the channel that differs most: less is what a codec adds to a flat background
INK = 0.1
LUMA = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709
# names of hues by where they end, in degrees; what lies above the last is red again
HUES = (
    (20.0, "red"),
    (45.0, "orange"),
    (70.0, "yellow"),
    (165.0, "green"),
    (195.0, "cyan"),
    (255.0, "blue"),
    (290.0, "purple"),
    (345.0, "pink"),
    (360.0, "red"),
)
GREY = "grey"
LEAST_CHROMA = 0.1  # mean chroma of the ink below which a picture is called grey
SIDE = 8  # pixels of a side of a thumbnail


def rgb(x: Tensor) -> Tensor:
    """Pictures in [-1, 1] -> (n, 3, height, width) in [0, 1]; what lies outside is clipped, and
    what is not a number is 0, as when a picture is written."""
    values = x.detach().float().add(1).div(2).nan_to_num(0.0, 1.0, 0.0).clamp(0, 1)
    return values.expand(-1, 3, -1, -1)


def ink(values: Tensor) -> Tensor:
    """(n, 3, height, width) in [0, 1] -> (n, height, width) bool: what is not background."""
    ring = torch.cat(
        [
            values[:, :, 0, :],
            values[:, :, -1, :],
            values[:, :, 1:-1, 0],
            values[:, :, 1:-1, -1],
        ],
        dim=2,
    )  # (n, 3, pixels of the ring)
    background = ring.median(2).values  # (n, 3)
    difference = (values - background[:, :, None, None]).abs()
    return difference.amax(1) > INK


def mean_of_ink(values: Tensor) -> Tensor:
    """(n, 3, height, width) in [0, 1] -> (n, 3), the mean colour of what is drawn; NaN of a picture
    in which nothing is."""
    drawn = ink(values)[:, None]  # (n, 1, height, width)
    total = (values * drawn).sum((2, 3))
    return total / drawn.sum((2, 3))


def brightness(x: Tensor) -> Tensor:
    """Mean luma, 0 (black) to 1 (white)."""
    weights = torch.tensor(LUMA)[:, None, None]
    return (rgb(x) * weights).sum(1).mean((1, 2))


def saturation(x: Tensor) -> Tensor:
    """Mean saturation of HSV, 0 (grey) to 1."""
    values = rgb(x)
    highest = values.amax(1)
    chroma = highest - values.amin(1)
    share = torch.where(highest > 0, chroma / highest.clamp(min=1e-12), 0.0)
    return share.mean((1, 2))


def colourfulness(x: Tensor) -> Tensor:
    """Hasler and Suesstrunk's M3 ("Measuring colourfulness in natural images", SPIE 5007, 2003),
    of values of 0 to 255: 0 is none, 15 slight, 33 moderate, 59 quite, 109 extreme."""
    red, green, blue = rgb(x).mul(255).unbind(1)  # (n, height, width) each
    opponent = torch.stack([red - green, (red + green) / 2 - blue], 1).flatten(2)  # (n, 2, pixels)
    spread = opponent.var(2, correction=0).sum(1).sqrt()
    shift = opponent.mean(2).square().sum(1).sqrt()
    return spread + 0.3 * shift


def ink_share(x: Tensor) -> Tensor:
    """The share of pixels that are not background."""
    return ink(rgb(x)).float().mean((1, 2))


def symmetry(x: Tensor) -> Tensor:
    """The correlation of a picture with its mirror image (left and right), over all values: 1 where
    they are equal; NaN of a picture of one colour."""
    values = rgb(x)
    # each channel around its own mean, so that a colour alone is no symmetry
    centred = values - values.mean((2, 3), keepdim=True)
    product = (centred * centred.flip(3)).sum((1, 2, 3))
    power = centred.square().sum((1, 2, 3))
    return torch.where(power > 1e-6, product / power, math.nan)


def hue_names(x: Tensor) -> list[str]:
    """The name of the hue that most of a picture's colour is of, weighted by chroma over what is
    drawn; "grey" where that has hardly any colour, and where nothing is drawn."""
    values = rgb(x)
    drawn = ink(values)
    highest = values.amax(1)
    chroma = (highest - values.amin(1)) * drawn  # (n, height, width)
    hue = _degrees(values)
    weight = torch.zeros(len(values), len(HUES))
    begin = 0.0
    for column, (end, _) in enumerate(HUES):
        inside = (hue >= begin) & (hue < end)
        weight[:, column] = (chroma * inside).sum((1, 2))
        begin = end
    weight[:, 0] += weight[:, -1]  # both ends of the circle are red
    weight[:, -1] = 0
    mean_chroma = chroma.sum((1, 2)) / drawn.sum((1, 2)).clamp(min=1)
    best = weight.argmax(1).tolist()
    names = []
    for column, mean in zip(best, mean_chroma.tolist(), strict=True):
        names.append(HUES[column][1] if mean >= LEAST_CHROMA else GREY)
    return names


def _degrees(values: Tensor) -> Tensor:
    """(n, 3, height, width) in [0, 1] -> hues of HSV (n, height, width) in [0, 360); 0 of greys."""
    red, green, blue = values.unbind(1)
    highest, which = values.max(1)
    chroma = (highest - values.amin(1)).clamp(min=1e-12)
    by_channel = torch.stack(
        [
            (green - blue) / chroma,
            (blue - red) / chroma + 2,
            (red - green) / chroma + 4,
        ],
        1,
    )
    sextant = by_channel.gather(1, which[:, None])[:, 0]
    return torch.remainder(60 * sextant, 360)


def nearness(x: Tensor, colour: tuple[float, float, float]) -> Tensor:
    """How near the mean colour of what is drawn is to a colour (in [0, 1]): 1 where they are equal,
    0 at the colour that is farthest from it; NaN of a picture in which nothing is drawn.

    Distances are Euclidean, between values as they are stored."""
    target = torch.tensor(colour)
    farthest = torch.maximum(target, 1 - target).norm()
    distance = (mean_of_ink(rgb(x)) - target).norm(dim=1)
    return 1 - distance / farthest


def thumbnails(x: Tensor) -> Tensor:
    """(n, 3 * 8 * 8): the picture at 8 pixels a side, averaged by area, in [0, 1]: near for
    pictures that look alike."""
    return F.adaptive_avg_pool2d(rgb(x), SIDE).flatten(1)
