"""Pictures that tests draw, as the bytes of files."""

import io

import numpy as np
from PIL import Image


def png(image, **options):
    """The bytes of a file. options: those of Pillow; format, PNG unless said."""
    out = io.BytesIO()
    image.save(out, **{"format": "PNG", **options})
    return out.getvalue()


def scene(number, side=64):
    """A picture of some coloured rectangles, another one for each number, with fine stripes."""
    rng = np.random.default_rng(number)
    values = np.full((side, side, 3), rng.integers(90, 250, 3), np.uint8)
    for _ in range(10):
        top, left = rng.integers(0, side - 8, 2)
        tall, wide = rng.integers(8, side // 2, 2)
        values[top : top + tall, left : left + wide] = rng.integers(0, 255, 3)
    values[::4, ::2] //= 2
    return Image.fromarray(values)
