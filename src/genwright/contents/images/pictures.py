"""From a picture's file to a square of uint8, and from many files to a shard.

Whatever the file holds (any size, grey, palette, RGB, CMYK, 16 bits, transparent, turned by its
camera, animated) becomes (channels, size, size): the first frame, upright, composed on the
background, resampled by area. The weight of a source pixel is the exact area it shares with the
target pixel, when shrinking and when enlarging, so that no line is lost or shifted between pixels;
values are averaged as they are stored (sRGB), as is the field's custom, and rounded once, at the
end. What is not square is fitted in (`pad`) or its middle is taken (`crop`).

Worker processes import this module: it must not import torch.
"""

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageColor

from genwright.contents.images import png, sixteen_bits
from genwright.core.errors import GenwrightError
from genwright.core.files import check_unchanged, digest, irregular, json_text
from genwright.data.cache import publish
from genwright.data.workers import Work, at_file

# begins with nothing of its own, so only a name can say that a file is one
TGA = (".tga", ".icb", ".vda", ".vst")
_SUFFIXES = """
    .png .apng .jpg .jpeg .jpe .jfif .jif .mpo .webp .gif .bmp .dib .tif .tiff .pbm .pgm .ppm .pnm
"""
SUFFIXES = frozenset((*_SUFFIXES.split(), *TGA))
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "PPM")
# pixels of one picture; a few kilobytes of a "decompression bomb" can ask for more memory than
# there is
LARGEST = 100_000_000
LONGEST = 1 << 16  # pixels of a side
_LARGEST_FILE = 1 << 30  # bytes of a png, which is taken apart in memory
BAND = 4_000_000  # pixels that are turned into floats at once
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
FORMAT = 2  # part of every shard's key: raise it when the same file would give other pixels

SEVERAL_FRAMES = "have several frames, of which the first is read"
OTHER_COLOURS = (
    "carry a colour profile or a gamma that is not sRGB, and are read as if they were sRGB"
)
NUMBERS = "holds floats or 32-bit numbers, whose range is unknown: save it with 8 or 16 bits"


class BadPicture(Exception):
    """Why a file is no picture, to follow its name: "is truncated"."""


class Picture(NamedTuple):
    """values: (height, width, channels) uint8 or uint16, upright, of 1 (grey), 2 (grey, alpha), 3
    or 4 (RGB, alpha) channels; remarks: what was done to it that a person may not expect, to follow
    "these pictures"."""

    values: np.ndarray
    remarks: tuple[str, ...] = ()


_BEGINNINGS = {
    "png": (b"\x89PNG\r\n\x1a\n", b""),
    "jpg": (b"\xff\xd8\xff", b""),
    "gif": (b"GIF8", b""),
    "webp": (b"RIFF", b"WEBP"),
    "heic": (b"", b"ftyp"),
    "tif": (b"II*\0", b""),
    "tiff": (b"MM\0*", b""),
    "psd": (b"8BPS", b""),
    "jxl": (b"\0\0\0\x0cJXL ", b""),
    "jp2": (b"\0\0\0\x0cjP  ", b""),
}
# of ftyp; others are films
_BRANDS = (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")


def form_of(path: str) -> str:
    """The suffix that a file should have by its first bytes, where they are a picture's; else
    ""."""
    if irregular(path):
        return ""
    with open(path, "rb") as file:
        beginning = file.read(12)
    for form, (first, later) in _BEGINNINGS.items():
        place = 4 if form == "heic" else 8
        if not beginning.startswith(first):
            continue
        if later and beginning[place : place + 4] != later:
            continue
        if form == "heic" and beginning[8:] not in _BRANDS:
            return ""
        return form
    return ""


def read(path: str, size: int) -> Picture:
    """The first frame, upright. A drawing (.svg) is drawn `size` pixels wide. Raises BadPicture."""
    if os.path.exists(path) and (what := irregular(path)):  # to open a pipe would wait for ever
        raise BadPicture(what)
    with _faults(partial(_is_empty, path)):
        if path.lower().endswith(".svg"):
            return _read_drawing(path, size)
        with open(path, "rb") as file:
            is_png = file.read(len(png.SIGNATURE)) == png.SIGNATURE
        if is_png:
            if Path(path).stat().st_size > _LARGEST_FILE:
                raise BadPicture(f"is larger than {_LARGEST_FILE >> 30} GB")
            return _read_png(Path(path).read_bytes())
        return _read_other(lambda: path, ("TGA",) if path.lower().endswith(TGA) else _FORMATS)


def read_bytes(data: bytes) -> Picture:
    """The same of the bytes of a file, which say themselves what it is: no drawing and no TGA.
    Raises BadPicture."""
    with _faults(lambda: not data):
        if data.startswith(png.SIGNATURE):
            return _read_png(data)
        return _read_other(lambda: io.BytesIO(data), _FORMATS)


def _is_empty(path: str) -> bool:
    return not Path(path).stat().st_size


@contextmanager
def _faults(is_empty: Callable[[], bool]) -> Iterator[None]:
    """Makes whatever decoding raises a BadPicture. is_empty: whether there is no byte to decode."""
    try:
        # of Pillow's warnings: what matters below is raised, and a file's odd metadata does not
        # matter
        with warnings.catch_warnings(action="ignore"):
            yield
    except BadPicture:
        raise
    except FileNotFoundError:
        raise BadPicture("does not exist") from None
    except Image.DecompressionBombError:
        raise BadPicture(
            f"claims more than {LARGEST // 1_000_000} million pixels, as decompression bombs do"
        ) from None
    except Image.UnidentifiedImageError:
        what = "is empty" if is_empty() else "is no picture of a kind that is read"
        raise BadPicture(what) from None
    except Exception as error:  # decoders trip over damaged files in many ways
        raise BadPicture(f"is damaged ({str(error).strip() or type(error).__name__})") from None


def _read_drawing(path: str, size: int) -> Picture:
    from resvg_py import svg_to_bytes

    drawn = svg_to_bytes(svg_path=path, width=size, height=size, skip_system_fonts=True)
    values, _ = png.decode(png.parse(bytes(drawn)))
    return Picture(values)


def _read_png(data: bytes) -> Picture:
    parsed = png.parse(data)
    try:
        with Image.open(io.BytesIO(parsed.pixels), formats=("PNG",)) as image:
            _check_size(image)
    except Image.UnidentifiedImageError:
        raise ValueError("its header is broken") from None
    values, decoded = png.decode(parsed)
    remarks = _remarks(parsed.animated, parsed.coloured)
    return Picture(_upright(values, decoded), remarks)


def _read_other(source: Callable[[], str | io.BytesIO], formats: tuple[str, ...]) -> Picture:
    """source: gives a path, or the bytes from their beginning."""
    with Image.open(source(), formats=formats) as image:
        _check_size(image)
        # the second picture of a camera's file (MPO) is a preview or a map of brightness
        animated = image.format != "MPO" and getattr(image, "is_animated", False)
        profile = image.info.get("icc_profile") or b""
        if sixteen_bits.is_cut(image):
            with Image.open(source(), formats=formats) as again:
                values = sixteen_bits.decode(image, again)
        else:
            image.load()
            values = samples(image)
        coloured = bool(profile) and not png.is_srgb(profile)
        return Picture(_upright(values, image), _remarks(animated, coloured))


def _remarks(several_frames: bool, other_colours: bool) -> tuple[str, ...]:
    remarks = []
    if several_frames:
        remarks.append(SEVERAL_FRAMES)
    if other_colours:
        remarks.append(OTHER_COLOURS)
    return tuple(remarks)


def _check_size(image: Image.Image) -> None:
    if image.width * image.height > LARGEST:
        raise Image.DecompressionBombError
    if max(image.size) > LONGEST:
        raise BadPicture(f"is {max(image.size):,} pixels long, and {LONGEST:,} are the most")


def _upright(values: np.ndarray, image: Image.Image) -> np.ndarray:
    """Turned as the camera was held (Exif 2.32, tag Orientation). Where that cannot be read, as it
    is stored."""
    try:
        orientation = image.getexif().get(0x0112, 1)
    except Exception:  # odd metadata does not matter
        return values
    if orientation in (5, 6, 7, 8):  # rows and columns change places
        values = values.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def samples(image: Image.Image) -> np.ndarray:
    """(height, width, channels) as `Picture.values`. Raises BadPicture for numbers whose range is
    unknown (32 bits, floats)."""
    if image.mode == "F":
        raise BadPicture(NUMBERS)
    if image.mode.startswith("I"):
        numbers = np.asarray(image)
        if numbers.size and not 0 <= numbers.min() <= numbers.max() <= 65535:
            raise BadPicture(NUMBERS)
        values = numbers.astype(np.uint16)[:, :, None]
        hidden = image.info.get("transparency")  # a grey
        if hidden is None:
            return values
        alpha = np.where(values == hidden, 0, 65535).astype(np.uint16)
        return np.dstack([values, alpha])
    if image.has_transparency_data:
        mode = "RGBA"
    elif image.mode in ("1", "L"):
        mode = "L"
    else:
        mode = "RGB"
    return np.asarray(image.convert(mode)).reshape(image.height, image.width, -1)


def square(
    picture: Image.Image | Picture, size: int, channels: int, background: str, fit: str
) -> np.ndarray:
    """(channels, size, size) uint8. Raises BadPicture for numbers whose range is unknown (32 bits,
    floats)."""
    values = picture.values if isinstance(picture, Picture) else samples(picture)
    colour = np.array(ImageColor.getrgb(background)[:3], np.float32)
    if values.shape[:2] == (size, size):
        pixels = opaque(values, channels, colour)
    else:
        pixels = _resampled(values, size, channels, colour, fit)
    if pixels.dtype != np.uint8:
        pixels = pixels.round().clip(0, 255).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _resampled(
    values: np.ndarray, size: int, channels: int, colour: np.ndarray, fit: str
) -> np.ndarray:
    """(height, width, any channels) -> (size, size, channels) floats from 0 to 255, rows first,
    then columns."""
    height, width = values.shape[:2]
    if fit == "pad":
        side = max(height, width)
    else:
        side = min(height, width)
    rows = overlap(height, side, size)  # (size, height)
    columns = overlap(width, side, size)  # (size, width)
    down = np.zeros((size, width * channels), np.float32)
    band = max(1, BAND // width)
    for start in range(0, height, band):
        floats = opaque(values[start : start + band], channels, colour).astype(np.float32)
        down += rows[:, start : start + band] @ floats.reshape(len(floats), -1)
    covered = rows.sum(1)[:, None, None] * columns.sum(1)[None, :, None]  # (size, size, 1)
    behind = colour if channels == 3 else _LUMA @ colour
    return columns @ down.reshape(size, width, channels) + (1 - covered) * behind


def opaque(values: np.ndarray, channels: int, colour: np.ndarray) -> np.ndarray:
    """(height, width, channels) from 0 to 255: samples on a background, grey or RGB; uint8 where
    nothing is to be rounded."""
    largest = float(np.iinfo(values.dtype).max)
    out = values
    if largest != 255:
        out = values.astype(np.float32) * np.float32(255 / largest)
    if values.shape[2] in (2, 4):
        alpha = values[:, :, -1:].astype(np.float32) / np.float32(largest)
        out = out[:, :, :-1] * alpha + colour * (1 - alpha)
    if channels == 1 and out.shape[2] == 3:
        return (out @ _LUMA)[:, :, None]
    return np.broadcast_to(out, (*out.shape[:2], channels))


@lru_cache(8)
def overlap(length: int, side: int, size: int) -> np.ndarray:
    """(size, length) float32: which share of each of `size` target pixels each source pixel covers,
    where the targets divide a span of `side` source pixels about the middle. Rows sum to 1, or to
    less where the span is wider than the picture."""
    edges = np.arange(size + 1) * (side / size) + (length - side) / 2
    source = np.arange(length)
    shared = np.minimum(edges[1:, None], source + 1) - np.maximum(edges[:-1, None], source)
    return (shared.clip(0) * (size / side)).astype(np.float32)


def write(
    folder: str, files: list[tuple[str, str]], codec: dict, stamps: dict[str, list[int]]
) -> None:
    """Decodes (name, path) into a shard: pixels.npy, digests.npy (of each picture's pixels),
    shard.json (names, what is bad, remarks and the names of the pictures that each is of). stamps:
    see `check_unchanged`, which raises GenwrightError."""
    pixels = []
    names = []
    bad = []
    remarks: dict[str, list[str]] = {}
    for position, (name, path) in enumerate(files):
        at_file(position)
        try:
            picture = read(path, codec["size"])
            pixels.append(square(picture, **codec))
        except BadPicture as problem:
            bad.append(f"{name} {problem}")
            continue
        names.append(name)
        for remark in picture.remarks:
            remarks.setdefault(remark, []).append(name)
    check_unchanged(stamps)
    save(folder, pixels, codec, {"names": names, "bad": bad, "remarks": remarks})


def save(folder: str | Path, squares: list[np.ndarray], codec: dict, facts: dict) -> None:
    """Publishes a shard of squares, (channels, size, size) uint8 each."""
    side = codec["size"]
    pixels = np.array(squares, np.uint8).reshape(-1, codec["channels"], side, side)
    digests = [hashlib.blake2b(picture.tobytes(), digest_size=8).digest() for picture in pixels]

    def fill(draft: Path) -> None:
        np.save(draft / "pixels.npy", pixels)
        np.save(draft / "digests.npy", np.frombuffer(b"".join(digests), "<u8"))
        sha = digest(draft / "pixels.npy")
        text = json_text(facts | {"sha256": sha})
        (draft / "shard.json").write_text(text, encoding="utf-8")

    publish(Path(folder), fill)


def _files_of(job: dict[str, Any]) -> list[str]:
    return [path for _, path in job["files"]]


DECODE = Work(write, "decoding pictures", _files_of)


def colour(text: str) -> str:
    """A colour's name as it was given. Raises GenwrightError for what is none."""
    try:
        ImageColor.getrgb(text)
    except ValueError:
        raise GenwrightError(
            f"codec.background is {text!r}, which is no colour",
            "give a name or #rrggbb, as in white or #ffcc00",
        ) from None
    return text
