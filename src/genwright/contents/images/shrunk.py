"""A picture in grey, and shrunk: what rules of corpora and fingerprints look at.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import numpy as np

from genwright.contents.images.pictures import BAND, Picture, opaque, overlap

WHITE = np.array([255, 255, 255], np.float32)


def grey(picture: Picture, longest: int) -> np.ndarray:
    """(height, width) float32 from 0 to 255, on white; where the longer side has more than so many
    pixels it is shrunk to that many, by area."""
    rows, columns = fitted(picture, longest)
    return shrunk(picture, rows, columns, 1)[:, :, 0]


def fitted(picture: Picture, longest: int) -> tuple[int, int]:
    """The height and the width of a picture whose longer side has no more than so many pixels."""
    height, width = picture.values.shape[:2]
    scale = min(1.0, longest / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrunk(picture: Picture, rows: int, columns: int, channels: int) -> np.ndarray:
    """(rows, columns, 1 or 3 channels) float32 from 0 to 255, on white, by area, whatever the
    picture's own shape. No more than `BAND` pixels of it are numbers of 32 bits at once."""
    height, width = picture.values.shape[:2]
    down = np.zeros((rows, width * channels), np.float32)
    by_rows = overlap(height, height, rows)  # (rows, height)
    band = max(1, BAND // width)
    for start in range(0, height, band):
        part = opaque(picture.values[start : start + band], channels, WHITE)
        floats = part.astype(np.float32).reshape(len(part), -1)
        down += by_rows[:, start : start + band] @ floats
    across = overlap(width, width, columns)  # (columns, width)
    found: np.ndarray = across @ down.reshape(rows, width, channels)
    return found
