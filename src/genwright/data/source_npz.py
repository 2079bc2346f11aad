"""Pictures in an npz file, as digits are handed about: arrays of uint8 pictures (n, height, width[, channels]) and of their labels, with or
without a split of their own (names with "train" and "test").

Stacked digits (Metz et al., arXiv 1611.02163; PacGAN's protocol): 128,000 pictures whose red, green and blue are three digits drawn at
random from all of them, which makes 1000 modes that are known. They are put together when they are asked for.
"""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from genwright.data.pictures import save, square
from genwright.draws import Draws
from genwright.errors import GenwrightError

STACKED = {"train": 128_000, "held_out": 26_000}


def arrays(path: str) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
    """{"train": (pictures, labels or None), "test": ...}, or {"all": ...} where the file has no split. Raises GenwrightError."""
    remedy = "save uint8 arrays named x_train, y_train, x_test, y_test (or x, y) with numpy.savez_compressed"
    try:
        with np.load(path, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        raise GenwrightError(f"{path} cannot be read: {error}", remedy) from None
    out: dict[str, tuple[np.ndarray, np.ndarray | None]] = {}
    for part in ("train", "test", "all"):
        mine = {name: array for name, array in found.items() if part == "all" or part in name.lower()}
        pictures = [array for array in mine.values() if array.ndim in (3, 4) and array.dtype == np.uint8]
        if part == "all" and out:
            break
        if len(pictures) == 1:
            labels = [array for array in mine.values() if array.ndim == 1 and len(array) == len(pictures[0])]
            out[part] = (pictures[0], labels[0] if labels else None)
    if not out or "test" in out and "train" not in out or any(x.ndim == 4 and x.shape[3] not in (1, 3, 4) for x, _ in out.values()):
        shapes = ", ".join(f"{name} {array.dtype} {array.shape}" for name, array in found.items())
        raise GenwrightError(f"{path} holds no uint8 pictures (n, height, width[, channels]): {shapes or 'nothing'}", remedy)
    return out


def write(folder: Path, path: str, codec: dict[str, Any]) -> None:
    """Makes the shard: all pictures in the codec's shape, their names, labels, and how many are for training where the file says so."""
    parts = arrays(path)
    pixels: list[np.ndarray] = []
    names: list[str] = []
    for part, (x, _) in parts.items():
        x = x[..., 0] if x.shape[-1] == 1 and x.ndim == 4 else x
        pixels += [square(Image.fromarray(picture), **codec) for picture in x]
        names += [f"{part} {i}" for i in range(len(x))]
    labels = [y for _, y in parts.values()]
    known = [str(label) for y in labels if y is not None for label in y.tolist()] if all(y is not None for y in labels) else []
    train = len(parts["train"][0]) if "test" in parts else None
    save(folder, pixels, codec, {"names": names, "bad": [], "labels": known, "train": train})


class Stacked:
    """Grey pictures as the channels of others. `numbers`: which three a stacked one is made of."""

    def __init__(self, grey: Any):
        self.grey, self.files = grey, grey.files
        self.numbers = Draws(0, 0, torch.arange(sum(STACKED.values()))).integers("stacked", int(grey.bounds[-1]), 3).numpy()

    def take(self, indices: np.ndarray) -> np.ndarray:
        """(n, 3, size, size) uint8."""
        chosen = self.numbers[indices]
        pixels = self.grey.take(chosen.reshape(-1))
        return pixels.reshape(len(chosen), 3, *pixels.shape[2:])
