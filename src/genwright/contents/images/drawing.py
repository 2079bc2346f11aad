"""Pictures for a person to look at, as the bytes of PNG files: grids with labels, animations.

Small pictures are enlarged by whole factors with nearest neighbour, so that every pixel is seen as
it is. Animations are APNG, in full colour: every current browser plays them in an <img>; a viewer
that cannot play shows the first frame. Their names end in .png.
"""

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from genwright.contents.images.codec import to_uint8
from genwright.reporting.png import png_bytes

# pixels: about the side of an enlarged picture, and between pictures
CELL = 96
GAP = 3
HEAD = 22  # of the line of labels above
BACK = (226, 228, 231)
INK = (40, 44, 52)


def _enlarged(x: Tensor, cell: int) -> np.ndarray:
    """(n, 1 or 3, height, width) in [-1, 1] -> (n, height, width, 3) uint8, enlarged to about
    `cell`."""
    factor = max(1, cell // max(x.shape[-2:]))
    values = to_uint8(x).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
    return values.repeat(factor, 1).repeat(factor, 2)


def grid(
    x: Tensor, columns: int, rows: Sequence[str] = (), heads: Sequence[str] = (), cell: int = CELL
) -> bytes:
    """Pictures (n, C, H, W) in reading order. rows, heads: labels left of each row and above each
    column."""
    drawn = _enlarged(x, cell)
    height, width = drawn.shape[1:3]
    font = ImageFont.load_default(15)
    left = GAP + max((int(font.getlength(text)) + 12 for text in rows), default=0)
    top = GAP
    if heads:
        top += HEAD
    right_step = width + GAP
    down_step = height + GAP
    lines = math.ceil(len(drawn) / columns)
    sheet = Image.new("RGB", (left + columns * right_step, top + lines * down_step), BACK)
    for i, picture in enumerate(drawn):
        line, column = divmod(i, columns)
        place = (left + column * right_step, top + line * down_step)
        sheet.paste(Image.fromarray(picture), place)
    pen = ImageDraw.Draw(sheet)
    for i, text in enumerate(rows):
        middle = (8, top + i * down_step + height / 2)
        pen.text(middle, text, INK, font, anchor="lm")
    for i, text in enumerate(heads):
        middle = (left + i * right_step + width / 2, top / 2)
        pen.text(middle, text, INK, font, anchor="mm")
    return png_bytes(sheet)


def single(x: Tensor) -> bytes:
    """One picture (C, H, W) as it is."""
    return png_bytes(Image.fromarray(_enlarged(x[None], 1)[0]))


def animation(x: Tensor, seconds: float = 0.08, cell: int = 2 * CELL) -> bytes:
    """Frames (n, C, H, W) as an APNG that repeats for ever. seconds: of a frame."""
    first, *others = [Image.fromarray(frame) for frame in _enlarged(x, cell)]
    return png_bytes(
        first, save_all=True, append_images=others, duration=round(seconds * 1000), loop=0
    )
