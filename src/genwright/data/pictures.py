"""From a picture's file to a square of uint8, and from many files to a shard.

Whatever the file holds (any size, grey, palette, RGB, CMYK, 16 bits, transparent, turned by its camera, animated) becomes
(channels, size, size): the first frame, upright, composed on the background, resampled by area. The weight of a source pixel is the
exact area it shares with the target pixel, when shrinking and when enlarging, so that no line is lost or shifted between pixels; values
are averaged as they are stored (sRGB), as is the field's custom. What is not square is fitted in (`pad`) or its middle is taken (`crop`).

Worker processes import this module: it must not import torch.
"""

import hashlib
import io
import json
import os
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageColor, ImageOps

from genwright.data.shards import publish
from genwright.errors import GenwrightError
from genwright.files import digest, irregular

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"))
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
LARGEST = 100_000_000  # pixels of one picture; a few kilobytes of a "decompression bomb" can ask for more memory than there is
FORMAT = 1  # part of every shard's key: raise it when the same file would give other pixels


class BadPicture(Exception):
    """Why a file is no picture, to follow its name: "is truncated"."""


def read(path: str, size: int) -> Image.Image:
    """The first frame, upright. A drawing (.svg) is drawn `size` pixels wide. Raises BadPicture."""
    if os.path.exists(path) and (what := irregular(path)):  # to open a pipe would wait for ever
        raise BadPicture(what)
    try:
        source: Any = path
        if path.endswith(".svg"):
            from resvg_py import svg_to_bytes

            source = io.BytesIO(svg_to_bytes(svg_path=path, width=size, height=size, skip_system_fonts=True))
        # of Pillow's warnings: what matters below is raised, and a file's odd metadata does not matter
        with warnings.catch_warnings(action="ignore"), Image.open(source, formats=_FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise Image.DecompressionBombError
            image.load()
            return ImageOps.exif_transpose(image)
    except FileNotFoundError:
        raise BadPicture("does not exist") from None
    except Image.DecompressionBombError:
        raise BadPicture(f"claims more than {LARGEST // 1_000_000} million pixels, as decompression bombs do") from None
    except Image.UnidentifiedImageError:
        raise BadPicture("is empty" if not Path(path).stat().st_size else "is no picture (png, jpeg, webp, gif, bmp or tiff)") from None
    except Exception as error:  # decoders trip over damaged files in many ways
        raise BadPicture(f"is damaged ({str(error).strip() or type(error).__name__})") from None


def square(image: Image.Image, size: int, channels: int, background: str, fit: str) -> np.ndarray:
    """(channels, size, size) uint8. Raises BadPicture for numbers whose range is unknown (32 bits, floats)."""
    colour = ImageColor.getrgb(background)[:3]
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image)
        if image.mode == "F" or values.size and not 0 <= values.min() <= values.max() <= 65535:
            raise BadPicture("holds floats or 32-bit numbers, whose range is unknown: save it with 8 or 16 bits")
        image = Image.fromarray(np.round(values / 257).astype(np.uint8))
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*colour, 255)), image.convert("RGBA"))
    mode = "L" if channels == 1 else "RGB"
    image = image if image.mode in ("1", "L") else image.convert("RGB")
    pixels = np.asarray(image.convert(mode)).reshape(image.height, image.width, channels)
    if image.size != (size, size):
        side = (max if fit == "pad" else min)(image.size)
        rows, columns = _overlap(image.height, side, size), _overlap(image.width, side, size)
        behind = np.array(Image.new("RGB", (1, 1), colour).convert(mode)).reshape(channels)
        down = (rows @ pixels.reshape(image.height, -1).astype(np.float32)).reshape(size, image.width, channels)
        covered = rows.sum(1)[:, None, None] * columns.sum(1)[None, :, None]
        pixels = columns @ down + (1 - covered) * behind
        pixels = pixels.round().clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


@lru_cache(8)
def _overlap(length: int, side: int, size: int) -> np.ndarray:
    """(size, length) float32: which share of each of `size` target pixels each source pixel covers, where the targets divide a span of
    `side` source pixels about the middle. Rows sum to 1, or to less where the span is wider than the picture."""
    edges = np.arange(size + 1) * (side / size) + (length - side) / 2
    source = np.arange(length)
    shared = np.minimum(edges[1:, None], source + 1) - np.maximum(edges[:-1, None], source)
    return (shared.clip(0) * (size / side)).astype(np.float32)


def write(folder: str, files: list[tuple[str, str]], codec: dict) -> None:
    """Decodes (name, path) into a shard: pixels.npy, digests.npy (of each picture's pixels), shard.json (names, and what is bad)."""
    pixels, names, bad = [], [], []
    for name, path in files:
        try:
            pixels.append(square(read(path, codec["size"]), **codec))
            names.append(name)
        except BadPicture as problem:
            bad.append(f"{name} {problem}")
    save(folder, pixels, codec, {"names": names, "bad": bad})


def save(folder: str | Path, squares: list[np.ndarray], codec: dict, facts: dict) -> None:
    """Publishes a shard of squares, (channels, size, size) uint8 each."""
    pixels = np.array(squares, np.uint8).reshape(-1, codec["channels"], codec["size"], codec["size"])

    def fill(draft: Path) -> None:
        np.save(draft / "pixels.npy", pixels)
        digests = [hashlib.blake2b(picture.tobytes(), digest_size=8).digest() for picture in pixels]
        np.save(draft / "digests.npy", np.frombuffer(b"".join(digests), "<u8"))
        (draft / "shard.json").write_text(json.dumps(facts | {"sha256": digest(draft / "pixels.npy")}), encoding="utf-8")

    publish(Path(folder), fill)


def colour(text: str) -> str:
    """A colour's name as it was given. Raises GenwrightError for what is none."""
    try:
        ImageColor.getrgb(text)
    except ValueError:
        raise GenwrightError(f"background is {text!r}, which is no colour", "give a name or #rrggbb, as in white or #ffcc00") from None
    return text
