"""Generated PNGs of every colour type, depth, filter and chunk through the reader of pictures.
Whole ones must have the pixels of an independent computation (below: the specification in plain
steps, every sample a Python integer, areas by brute force in float64); damaged ones must be a
picture or a sentence. No traceback, no hang, no rise of memory.

    python benchmarks/fuzz_pictures.py --examples 10000
"""

from __future__ import annotations

import argparse
import resource
import struct
import sys
import tempfile
import time
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ImageColor

from common import finish
from genwright.contents.images.pictures import BadPicture, read, square

# colour type -> bits of a sample
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# x, y, step of x, of y
ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
SLOWEST = 5.0  # seconds of the processor that one example may take
MEMORY = 1 << 30  # bytes that all examples together may add to the process at its largest


class Drawn(NamedTuple):
    """A PNG to be written: samples[row][column] is a tuple of whole numbers as they are stored."""

    colour_type: int
    depth: int
    interlaced: bool
    samples: list[list[tuple[int, ...]]]
    filters: list[int]
    palette: list[tuple[int, int, int]]
    # payload of tRNS: a sample's numbers, or an alpha for each entry of the palette; empty: no
    # chunk
    transparent: tuple[int, ...]
    orientation: int
    parts: int  # IDAT chunks


# ---- writing ----


def chunk(kind: bytes, payload: bytes) -> bytes:
    return (
        struct.pack(">I", len(payload))
        + kind
        + payload
        + struct.pack(">I", zlib.crc32(kind + payload))
    )


def packed(row: list[tuple[int, ...]], depth: int) -> bytes:
    """A scanline: numbers of `depth` bits, the first in the highest bits."""
    bits = "".join(format(number, f"0{depth}b") for sample in row for number in sample)
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def filtered(kind: int, line: bytes, above: bytes, step: int) -> bytes:
    """A scanline after one of the filters of section 9.2."""
    out = bytearray()
    for place, value in enumerate(line):
        left = line[place - step] if place >= step else 0
        up = above[place]
        corner = above[place - step] if place >= step else 0
        guess = left + up - corner
        nearest = min((left, up, corner), key=lambda near: abs(guess - near))
        out.append((value - (0, left, up, (left + up) // 2, nearest)[kind]) % 256)
    return bytes([kind]) + bytes(out)


def scanlines(drawn: Drawn) -> bytes:
    step = max(1, drawn.depth * CHANNELS[drawn.colour_type] // 8)
    out = b""
    for x, y, step_x, step_y in ADAM7 if drawn.interlaced else ((0, 0, 1, 1),):
        rows = [row[x::step_x] for row in drawn.samples[y::step_y]]
        above = b""
        for number, row in enumerate(row for row in rows if row):
            line = packed(row, drawn.depth)
            out += filtered(
                drawn.filters[number % len(drawn.filters)], line, above or bytes(len(line)), step
            )
            above = line
    return out


def written(drawn: Drawn, before: Sequence[bytes] = (), after: Sequence[bytes] = ()) -> bytes:
    """The file. before, after: chunks that stand in front of and behind the pixels."""
    height, width = len(drawn.samples), len(drawn.samples[0])
    header = struct.pack(
        ">IIBBBBB", width, height, drawn.depth, drawn.colour_type, 0, 0, drawn.interlaced
    )
    out = [chunk(b"IHDR", header), *before]
    if drawn.palette:
        out.append(chunk(b"PLTE", bytes(value for entry in drawn.palette for value in entry)))
    if drawn.transparent:
        form = f">{len(drawn.transparent)}{'B' if drawn.colour_type == 3 else 'H'}"
        out.append(chunk(b"tRNS", struct.pack(form, *drawn.transparent)))
    if drawn.orientation:
        out.append(
            chunk(
                b"eXIf",
                b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01"
                + struct.pack(">HHI", drawn.orientation, 0, 0),
            )
        )
    data = zlib.compress(scanlines(drawn))
    cuts = [len(data) * part // drawn.parts for part in range(drawn.parts + 1)]
    out += [chunk(b"IDAT", data[start:end]) for start, end in zip(cuts, cuts[1:], strict=False)]
    return b"\x89PNG\r\n\x1a\n" + b"".join([*out, *after, chunk(b"IEND", b"")])


# ---- what the pixels must be ----


def colour_of(drawn: Drawn, sample: tuple[int, ...]) -> tuple[float, float, float, float]:
    """Red, green, blue from 0 to 255 and alpha from 0 to 1, of a sample as it is stored."""
    largest = 2**drawn.depth - 1
    if drawn.colour_type == 3:
        alphas = (*drawn.transparent, *[255] * 256)
        return (*drawn.palette[sample[0]], alphas[sample[0]] / 255)
    values = [255 * number / largest for number in sample]
    if drawn.colour_type == 4:
        return (values[0], values[0], values[0], values[1] / 255)
    if drawn.colour_type == 6:
        return (values[0], values[1], values[2], values[3] / 255)
    hidden = drawn.transparent and tuple(number & largest for number in drawn.transparent) == sample
    red, green, blue = values * 3 if drawn.colour_type == 0 else values
    return (red, green, blue, 0.0 if hidden else 1.0)


def expected(drawn: Drawn, size: int, channels: int, background: str, fit: str) -> np.ndarray:
    """(channels, size, size) float64: the pixels before they are rounded."""
    behind = np.array(ImageColor.getrgb(background)[:3], float)
    rgba = np.array([[colour_of(drawn, sample) for sample in row] for row in drawn.samples])
    rgb = rgba[:, :, :3] * rgba[:, :, 3:] + behind * (1 - rgba[:, :, 3:])
    # quarter turns against the clock, after which 2, 4, 5, 7 are mirrored
    turns = {0: 0, 1: 0, 2: 0, 3: 2, 4: 2, 5: 3, 6: 3, 7: 1, 8: 1}
    if drawn.orientation in turns:
        rgb = np.rot90(rgb, turns[drawn.orientation])
        if drawn.orientation in (2, 4, 5, 7):
            rgb = rgb[:, ::-1]
    height, width = rgb.shape[:2]
    side = max(height, width) if fit == "pad" else min(height, width)
    # each pixel as 2 size x 2 size pieces, so that half a pixel is whole pieces
    fine = np.kron(rgb, np.ones((2 * size, 2 * size, 1)))
    canvas = np.empty((2 * size * side, 2 * size * side, 3))
    canvas[:] = behind
    # where the square begins; negative where it is padded
    down, right = size * (height - side), size * (width - side)
    to = [
        slice(max(0, -down), max(0, -down) + min(height, side) * 2 * size),
        slice(max(0, -right), max(0, -right) + min(width, side) * 2 * size),
    ]
    canvas[to[0], to[1]] = fine[max(0, down) :, max(0, right) :][
        : min(height, side) * 2 * size, : min(width, side) * 2 * size
    ]
    pixels = canvas.reshape(size, 2 * side, size, 2 * side, 3).mean((1, 3))
    if channels == 1:
        pixels = (pixels @ [0.299, 0.587, 0.114])[:, :, None]
    return pixels.transpose(2, 0, 1)


# ---- drawing by lot ----


@st.composite
def drawings(draw) -> Drawn:
    colour_type = draw(st.sampled_from(sorted(DEPTHS)))
    depth = draw(st.sampled_from(DEPTHS[colour_type]))
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    palette = (
        draw(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=2**depth))
        if colour_type == 3
        else []
    )
    number = st.integers(0, len(palette) - 1 if palette else 2**depth - 1)
    # so that tRNS meets some
    few = draw(st.lists(st.tuples(*[number] * CHANNELS[colour_type]), min_size=1, max_size=4))
    samples = [
        [few[draw(st.integers(0, len(few) - 1))] for _ in range(width)] for _ in range(height)
    ]
    transparent: tuple[int, ...] = ()
    if colour_type in (0, 2) and draw(st.booleans()):
        # bits above the depth do not count
        above = draw(st.sampled_from([0, 0, 0xFFFF])) & ~(2**depth - 1)
        transparent = tuple(value | above for value in draw(st.sampled_from(few)))
        if draw(st.booleans()):  # nearly that colour, which is not transparent
            near = draw(st.integers(0, 15).map(lambda bit: 2**bit))
            transparent = tuple(value ^ near for value in transparent)
    if colour_type == 3 and draw(st.booleans()):
        transparent = tuple(draw(st.lists(st.integers(0, 255), min_size=1, max_size=len(palette))))
    return Drawn(
        colour_type,
        depth,
        draw(st.booleans()),
        samples,
        draw(st.lists(st.integers(0, 4), min_size=1, max_size=3)),
        palette,
        transparent,
        draw(st.sampled_from([0, *range(10)])),
        draw(st.integers(1, 3)),
    )


def bomb(size: int = 80 << 20) -> bytes:
    """A few kilobytes that unpack to many megabytes."""
    return zlib.compress(bytes(size), 9)


BOMB = bomb()
ODD_CHUNKS = (
    chunk(b"tEXt", b"Title\0any"),
    chunk(b"tEXt", b""),
    chunk(b"zTXt", b"k\0\0" + BOMB),
    chunk(b"zTXt", b"k\0\0no zlib"),
    chunk(b"iTXt", b"k\0\1\0\0\0" + BOMB),
    chunk(b"iTXt", b"k\0\1"),
    chunk(b"iCCP", b"p\0\0" + BOMB),
    chunk(b"iCCP", b"p\0\0damaged"),
    chunk(b"iCCP", b"p\0\0" + zlib.compress(b"sRGB profile")),
    chunk(b"gAMA", struct.pack(">I", 100_000)),
    chunk(b"gAMA", b""),
    chunk(b"gAMA", bytes(4)),
    chunk(b"sRGB", b"\0"),
    chunk(b"cHRM", bytes(32)),
    chunk(b"pHYs", bytes(9)),
    chunk(b"pHYs", b"1"),
    chunk(b"tIME", b"\xff" * 7),
    chunk(b"bKGD", b"\0\1"),
    chunk(b"sBIT", b"\x05\x05"),
    chunk(b"hIST", b"\0"),
    chunk(b"cICP", b"\x09\x10\0\1"),
    chunk(b"prVt", b"x" * 100),
    chunk(b"acTL", struct.pack(">II", 2**31, 0)),
    chunk(b"acTL", b"\0"),
    chunk(b"fcTL", bytes(26)),
    chunk(b"tEXt", b"checked\0")[:-1] + b"?",
    struct.pack(">I", 0) + b"zTXt" + b"nosum"[:4],
)
SHAPES = st.fixed_dictionaries(
    {
        "size": st.integers(1, 7),
        "channels": st.sampled_from([1, 3]),
        "background": st.sampled_from(["white", "black", "#ffcc00"]),
        "fit": st.sampled_from(["pad", "crop"]),
    }
)


@st.composite
def damages(draw) -> bytes:
    """A file in which something is wrong."""
    drawn = draw(drawings())
    chunks = [draw(st.sampled_from(ODD_CHUNKS)) for _ in range(draw(st.integers(0, 2)))]
    data = bytearray(written(drawn, chunks))
    way = draw(st.sampled_from(["cut", "bytes", "size", "chunk", "twice", "random", "header"]))
    if way == "cut":
        del data[draw(st.integers(0, len(data) - 1)) :]
    elif way == "bytes":
        for _ in range(draw(st.integers(1, 8))):
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    elif way == "size":  # a width or height of its own choice, with a sum that fits
        header = bytearray(data[12:29])
        place = draw(st.sampled_from([4, 8]))
        header[place : place + 4] = struct.pack(
            ">I", draw(st.sampled_from([0, 1, 9_999, 65_536, 65_537, 10**8, 2**31 - 1, 2**32 - 1]))
        )
        data[12:33] = header + struct.pack(">I", zlib.crc32(header))
    elif way == "chunk":
        kind = draw(
            st.sampled_from(
                [b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"eXIf", b"CgBI", b"AbCd"]
            )
        )
        data[33:33] = chunk(kind, draw(st.binary(max_size=40)))
    elif way == "twice":
        data += bytes(data)
    elif way == "header":
        header = (
            b"IHDR"
            + bytes(data[16:24])
            + bytes(draw(st.lists(st.integers(0, 17), min_size=5, max_size=5)))
        )
        data[12:33] = header + struct.pack(">I", zlib.crc32(header))
    else:
        data[8:] = draw(st.binary(max_size=80))
    return bytes(data)


# ---- checking ----


class Tally:
    """What was seen; `slowest`: seconds of one example."""

    def __init__(self) -> None:
        self.whole = self.refused = self.read_though_damaged = 0
        self.slowest = 0.0


def timed(tally: Tally, path: Path, shape: dict) -> np.ndarray | str:
    """The square, or the sentence that says what is wrong with the file."""
    started = time.process_time()
    try:
        found: np.ndarray | str = square(read(str(path), shape["size"]), **shape)
    except BadPicture as problem:
        found = str(problem)
    seconds = time.process_time() - started
    tally.slowest = max(tally.slowest, seconds)
    assert seconds < SLOWEST, f"{seconds:.1f} s"
    return found


def check_whole(
    tally: Tally, path: Path, drawn: Drawn, chunks: list[bytes], behind: list[bytes], shape: dict
) -> None:
    path.write_bytes(written(drawn, chunks, behind))
    found = timed(tally, path, shape)
    assert not isinstance(found, str), found
    wanted = expected(drawn, **shape)
    assert found.dtype == np.uint8 and found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 0.5 + 1e-3, (
        "a pixel is not the whole number next to what it should be"
    )
    tally.whole += 1


def check_damaged(tally: Tally, path: Path, data: bytes, shape: dict) -> None:
    path.write_bytes(data)
    found = timed(tally, path, shape)
    if isinstance(found, str):
        assert found and "\n" not in found
        tally.refused += 1
    else:
        assert found.shape == (shape["channels"], shape["size"], shape["size"])
        tally.read_though_damaged += 1


def fuzz(examples: int, folder: Path) -> Tally:
    """Half of the examples whole, half damaged. Raises AssertionError with hypothesis's smallest
    example for the first that fails."""
    tally = Tally()
    path = folder / "fuzzed.png"
    often = settings(
        max_examples=max(1, examples // 2),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )
    odd = st.lists(st.sampled_from(ODD_CHUNKS), max_size=3)

    @often
    @given(drawings(), odd, odd, SHAPES)
    def whole(drawn, before, after, shape):
        check_whole(tally, path, drawn, before, after, shape)

    @often
    @given(damages(), SHAPES)
    def damaged(data, shape):
        check_damaged(tally, path, data, shape)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    whole()
    damaged()
    risen = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    assert risen < MEMORY, f"memory rose by {risen >> 20} MB"
    return tally


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--examples", type=int, default=10_000)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        tally = fuzz(arguments.examples, Path(folder))
    figures = {
        "whole, with the pixels of the independent computation": tally.whole,
        "damaged, refused in a sentence": tally.refused,
        "damaged, and read": tally.read_though_damaged,
        "slowest, seconds of the processor": round(tally.slowest, 3),
        "largest memory, MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        "seconds": round(time.perf_counter() - started),
    }
    sys.exit(finish("fuzz_pictures", figures, arguments.out))


if __name__ == "__main__":
    main()
