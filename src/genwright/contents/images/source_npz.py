"""Pictures in an npz file, as digits are handed about: arrays of pictures and of their labels, with
or without parts of their own (x_train, x_val, x_test: what is not called train is held out). See
`npz_arrays` for what is read.

Stacked digits (Metz et al., arXiv 1611.02163; PacGAN's protocol): 128,000 pictures whose red, green
and blue are three digits drawn at random from all of them, which makes 1000 modes that are known.
They are put together when they are asked for.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from genwright.contents.images.npz_arrays import Labels, Part, parts_of
from genwright.contents.images.pictures import Picture, save, square
from genwright.core.draws import Draws
from genwright.core.files import check_unchanged

STACKED = {"train": 128_000, "held_out": 26_000}


def write(folder: Path, path: str, codec: dict[str, Any], stamps: Mapping[str, list[int]]) -> None:
    """Makes the shard: all pictures in the codec's shape, their names, attribute -> labels (None:
    not known), how many are for training where the file says so, problems and notes. stamps: see
    `check_unchanged`. Raises GenwrightError."""
    parts, problems, notes = parts_of(path)
    pixels: list[np.ndarray] = []
    names: list[str] = []
    for part in parts:
        pixels += [square(Picture(values), **codec) for values in part.pictures]
        names += [f"{part.name} {i}" for i in range(len(part.pictures))]
    check_unchanged(stamps)
    facts = {
        "names": names,
        "bad": [],
        "remarks": {},
        "labels": _joined(parts),
        "problems": problems,
        "notes": notes,
        "train": len(parts[0].pictures) if len(parts) > 1 else None,
    }
    save(folder, pixels, codec, facts)


def _joined(parts: list[Part]) -> dict[str, Labels]:
    """attribute -> the labels of all pictures, None where a part has none."""
    out: dict[str, Labels] = {}
    for part in parts:
        for name in part.labels:
            out[name] = []
    for name, labels in out.items():
        for part in parts:
            unknown: Labels = [None] * len(part.pictures)
            labels += part.labels.get(name) or unknown
    return out


class Stacked:
    """Grey pictures as the channels of others. `numbers`: which three a stacked one is made of."""

    def __init__(self, grey: Any):
        self.grey = grey
        self.files = grey.files
        draws = Draws(0, 0, torch.arange(sum(STACKED.values())))
        self.numbers = draws.integers("stacked", int(grey.bounds[-1]), 3).numpy()

    def take(self, indices: np.ndarray) -> np.ndarray:
        """(n, 3, size, size) uint8."""
        chosen = self.numbers[indices]
        pixels = self.grey.take(chosen.reshape(-1))
        return pixels.reshape(len(chosen), 3, *pixels.shape[2:])
