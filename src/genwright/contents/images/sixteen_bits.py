"""RGB pictures of 16 bits, of which Pillow keeps the high bytes: a picture is decoded twice, the
second time as if the bytes of each sample stood the other way round. Works where Pillow's decoder
names the order of the bytes (png, tiff)."""

import sys
from typing import Any

import numpy as np
from PIL.ImageFile import ImageFile

# the order that is not this machine's: L low byte first, B high byte first
_FOREIGN = "B" if sys.byteorder == "little" else "L"


def is_cut(image: ImageFile) -> bool:
    """Whether a picture that was opened, and not decoded yet, is RGB or RGBA of 16 bits."""
    return bool(image.tile) and all(_raw_mode(tile) in _swapped_modes() for tile in image.tile)


def decode(image: ImageFile, again: ImageFile) -> np.ndarray:
    """(height, width, 3 or 4) uint16. Both: the same picture, opened and not decoded yet, for which
    `is_cut` holds."""
    swapped = _swapped_modes()
    tiles = []
    for tile in again.tile:
        name = swapped[_raw_mode(tile)]
        arguments: Any = name
        if isinstance(tile[3], tuple):
            arguments = (name, *tile[3][1:])
        tiles.append(type(tile)(*tile[:3], arguments))
    again.tile = tiles
    image.load()
    again.load()
    return np.asarray(image).astype(np.uint16) << 8 | np.asarray(again)


def _raw_mode(tile: Any) -> str:
    """How the samples lie in the file, as in RGB;16B (high byte first)."""
    if isinstance(tile[3], tuple):
        return tile[3][0]
    return str(tile[3])


def _swapped_modes() -> dict[str, str]:
    """Raw mode -> the one of the other order of bytes."""
    swapped: dict[str, str] = {}
    for name in ("RGB", "RGBA"):
        swapped[f"{name};16L"] = f"{name};16B"
        swapped[f"{name};16B"] = f"{name};16L"
        swapped[f"{name};16N"] = f"{name};16{_FOREIGN}"
    return swapped
