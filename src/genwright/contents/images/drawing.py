"""Pictures for a person's eyes, as the bytes of PNG files: grids with labels, animations, 2-D
points.

Small pictures are enlarged by whole factors with nearest neighbour, so that every pixel is seen as
it is. Animations are APNG, in full colour: every current browser plays them in an <img>; a viewer
that cannot play shows the first frame. Their names end in .png.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from genwright.contents.images.codec import to_uint8
from genwright.core.files import write_whole

CELL, GAP = 96, 3  # pixels: about the side of an enlarged picture, and between pictures
BACK = (226, 228, 231)
INK = (40, 44, 52)
REAL = (150, 156, 164)
MADE = (37, 99, 235)


@dataclass(frozen=True)
class Picture:
    """A picture of a report. caption: what is seen, for a person. png: the file's bytes. small:
    several stand side by side."""

    title: str
    caption: str
    png: bytes
    small: bool = False


def _file(image: Image.Image, **options) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def _enlarged(x: Tensor, cell: int) -> np.ndarray:
    """(n, 1 or 3, height, width) in [-1, 1] -> (n, height, width, 3) uint8, enlarged to about
    `cell`."""
    factor = max(1, cell // max(x.shape[-2:]))
    return (
        to_uint8(x)
        .expand(-1, 3, -1, -1)
        .permute(0, 2, 3, 1)
        .numpy()
        .repeat(factor, 1)
        .repeat(factor, 2)
    )


def grid(
    x: Tensor, columns: int, rows: Sequence[str] = (), heads: Sequence[str] = (), cell: int = CELL
) -> bytes:
    """Pictures (n, C, H, W) in reading order. rows, heads: labels left of each row and above each
    column."""
    drawn = _enlarged(x, cell)
    height, width = drawn.shape[1:3]
    font = ImageFont.load_default(15)
    left = GAP + max((int(font.getlength(text)) + 12 for text in rows), default=0)
    top = GAP + 22 * bool(heads)
    sheet = Image.new(
        "RGB",
        (left + columns * (width + GAP), top - (-len(drawn) // columns) * (height + GAP)),
        BACK,
    )
    for i, picture in enumerate(drawn):
        sheet.paste(
            Image.fromarray(picture),
            (left + i % columns * (width + GAP), top + i // columns * (height + GAP)),
        )
    pen = ImageDraw.Draw(sheet)
    for i, text in enumerate(rows):
        pen.text((8, top + i * (height + GAP) + height / 2), text, INK, font, anchor="lm")
    for i, text in enumerate(heads):
        pen.text((left + i * (width + GAP) + width / 2, top / 2), text, INK, font, anchor="mm")
    return _file(sheet)


def single(x: Tensor) -> bytes:
    """One picture (C, H, W) as it is."""
    return _file(Image.fromarray(_enlarged(x[None], 1)[0]))


def animation(x: Tensor, seconds: float = 0.08, cell: int = 2 * CELL) -> bytes:
    """Frames (n, C, H, W) as an APNG that repeats for ever. seconds: of a frame."""
    first, *others = [Image.fromarray(frame) for frame in _enlarged(x, cell)]
    return _file(first, save_all=True, append_images=others, duration=round(seconds * 1000), loop=0)


def scatter(made: Tensor, real: Tensor, side: int = 640) -> bytes:
    """Samples (n, 2) in blue over real points (m, 2) in grey. The frame is the real points' and a
    quarter more; a sample outside of it stands on its edge."""
    low = real.min(0).values
    high = real.max(0).values
    middle = (low + high) / 2
    reach = float((high - low).max()) * 0.625 or 1.0
    # drawn twice as large, then reduced: smooth edges
    sheet = Image.new("RGB", (side * 2, side * 2), (255, 255, 255))
    pen = ImageDraw.Draw(sheet)
    for points, colour, radius in ((real, REAL, 5), (made, MADE, 3)):
        places = (points.detach().cpu().float().nan_to_num(1e9) - middle.cpu()) * torch.tensor(
            [side / reach, -side / reach]
        ) + side
        for a, b in places.clamp(6, side * 2 - 6).tolist():
            pen.ellipse((a - radius, b - radius, a + radius, b + radius), colour)
    return _file(sheet.resize((side, side), Image.Resampling.BOX))


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, data)
