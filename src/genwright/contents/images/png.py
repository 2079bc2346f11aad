"""The pixels of a PNG, in all of their bits (Portable Network Graphics Specification, third
edition, W3C 2025).

1. Of the file's chunks only those that make the pixels are handed to Pillow, so that texts,
   profiles and animations that are damaged, or unpack to gigabytes, do no harm.
2. Samples of 16 bits keep both of their bytes (see `sixteen_bits`).
3. The colour that `tRNS` makes transparent is compared with the samples as they are stored, at
   their own depth.

Samples of 1, 2 and 4 bits are stretched to 0 .. 255, which is exact. Gamma and colour profiles are
noticed, not applied.
"""

import io
import struct
import zlib
from typing import NamedTuple

import numpy as np
from PIL import Image
from PIL.ImageFile import ImageFile

from genwright.contents.images import sixteen_bits

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# colour types; 3 is a palette
GREY = 0
RGB = 2
GREY_ALPHA = 4
RGBA = 6
_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf")
_SRGB_GAMMA = 45455  # 1 / 2.2, times 100,000
_LARGEST_PROFILE = 1 << 22  # bytes; more is a bomb


class Png(NamedTuple):
    """What a file's chunks say. pixels: the file without the other chunks; depth: bits of a sample;
    transparent: the payload of tRNS where it names one colour; animated: it has more frames than
    one; coloured: by another profile or gamma than sRGB."""

    pixels: bytes
    colour_type: int
    depth: int
    transparent: bytes | None
    animated: bool
    coloured: bool


def parse(data: bytes) -> Png:
    """Takes a PNG apart. Raises ValueError where that cannot be done; damaged pixel data is found
    when it is decoded."""
    chunks = _chunks(data)
    kinds = [kind for kind, _, _ in chunks]
    if not kinds or kinds[0] != b"IHDR" or len(chunks[0][1]) != 13:
        raise ValueError("it does not begin with a header")
    unknown = [kind for kind in kinds if kind[:1].isupper() and kind not in _NEEDED]
    if unknown:
        raise ValueError(f"it needs a reader that knows the chunk {unknown[0].decode('latin-1')!r}")
    depth, colour_type = chunks[0][1][8:10]
    own = colour_type in (GREY, RGB)  # of other types Pillow knows what is transparent
    needed = []
    for kind, _, whole in chunks:
        if kind in _NEEDED and not (own and kind == b"tRNS"):
            needed.append(whole)
    first = {kind: payload for kind, payload, _ in reversed(chunks)}
    return Png(
        pixels=SIGNATURE + b"".join(needed),
        colour_type=colour_type,
        depth=depth,
        transparent=_transparent(chunks, colour_type) if own else None,
        animated=_animated(first),
        coloured=_coloured(first),
    )


def _chunks(data: bytes) -> list[tuple[bytes, bytes, bytes]]:
    """(kind, payload, the whole chunk) up to IEND. What is cut off is the last one's."""
    found = []
    place = len(SIGNATURE)
    while place + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, place)
        end = place + 12 + length
        found.append((kind, data[place + 8 : end - 4], data[place:end]))
        place = end
        if kind == b"IEND":
            break
    return found


def _transparent(chunks: list[tuple[bytes, bytes, bytes]], colour_type: int) -> bytes | None:
    kinds = [kind for kind, _, _ in chunks]
    if b"tRNS" not in kinds:
        return None
    place = kinds.index(b"tRNS")
    _, payload, whole = chunks[place]
    size = 2 if colour_type == GREY else 6
    checksum = struct.pack(">I", zlib.crc32(whole[4:-4]))
    sound = len(payload) == size and whole[-4:] == checksum
    if not sound or b"IDAT" in kinds[:place]:
        raise ValueError("its chunk tRNS is broken or out of place")
    return payload


def _animated(first: dict[bytes, bytes]) -> bool:
    """Whether there are several frames. first: kind of chunk -> payload of the first one."""
    control = first.get(b"acTL", b"")
    if len(control) != 8:
        return False
    (frames,) = struct.unpack(">I", control[:4])
    return frames > 1


def _coloured(first: dict[bytes, bytes]) -> bool:
    """Whether the values mean other colours than those of sRGB. first: kind of chunk -> payload of
    the first one."""
    if b"cICP" in first:
        return first[b"cICP"][:2] != b"\x01\x0d"
    if b"iCCP" in first:
        packed = first[b"iCCP"].partition(b"\0")[2][1:]
        try:
            return not is_srgb(zlib.decompressobj().decompress(packed, _LARGEST_PROFILE))
        except zlib.error:
            return False  # nobody could apply it
    if b"sRGB" in first or len(first.get(b"gAMA", b"")) != 4:
        return False
    (gamma,) = struct.unpack(">I", first[b"gAMA"])
    return abs(gamma - _SRGB_GAMMA) > 1000


def is_srgb(profile: bytes) -> bool:
    """Whether an ICC profile is named after sRGB; its texts are ASCII or UTF-16."""
    return b"sRGB" in profile.replace(b"\0", b"")


def decode(png: Png) -> tuple[np.ndarray, Image.Image]:
    """The samples, (height, width, channels) uint8 or uint16, with 1 (grey), 2 (grey, alpha), 3 or
    4 (RGB, alpha) channels, and Pillow's picture, for its orientation. Raises whatever Pillow does
    for damaged data."""
    if png.depth == 16 and png.colour_type == GREY_ALPHA:
        image = _opened(_as_rgba(png.pixels))
        values = np.array(image).view(">u2").astype(np.uint16)
    elif png.depth == 16 and png.colour_type == GREY:
        image = _opened(png.pixels)
        values = np.asarray(image).astype(np.uint16)[:, :, None]
    elif png.depth == 16:
        image = _opened(png.pixels)
        values = sixteen_bits.decode(image, _opened(png.pixels))
    else:
        image = _opened(png.pixels)
        image.load()
        values = _decode_eight(image, png.colour_type)
    if png.transparent is not None:
        values = _with_alpha(values, png)
    return values, image


def _opened(data: bytes) -> ImageFile:
    return Image.open(io.BytesIO(data), formats=("PNG",))


def _decode_eight(image: Image.Image, colour_type: int) -> np.ndarray:
    if colour_type == GREY_ALPHA:
        mode = "LA"
    elif colour_type == GREY:
        mode = "L"
    elif image.has_transparency_data:
        mode = "RGBA"
    else:
        mode = "RGB"
    return np.asarray(image.convert(mode)).reshape(image.height, image.width, -1)


def _as_rgba(data: bytes) -> bytes:
    """Two samples of 16 bits (grey, alpha) lie in a file as four of 8 bits do, so the header may
    say that it is RGBA."""
    start = len(SIGNATURE)
    header = bytearray(data[start : start + 25])
    header[16:18] = bytes((8, RGBA))
    header[-4:] = struct.pack(">I", zlib.crc32(header[4:-4]))
    return data[:start] + header + data[start + 25 :]


def _with_alpha(values: np.ndarray, png: Png) -> np.ndarray:
    """The samples and alpha: 0 where they are the transparent colour. Bits above the depth do not
    count (section 11.3.1.1)."""
    largest = (1 << png.depth) - 1
    named = np.frombuffer(png.transparent or b"", ">u2") & largest
    if png.depth < 8:
        named = named * (255 // largest)
    alpha = np.where((values == named).all(2), 0, np.iinfo(values.dtype).max)
    return np.dstack([values, alpha.astype(values.dtype)])
