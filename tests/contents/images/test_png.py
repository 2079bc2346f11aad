"""PNGs written by hand and by lot: their pixels in all bits, whatever chunks stand beside them."""

import io
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from genwright.contents.images import pictures, png
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.images.pictures import (
    OTHER_COLOURS,
    SEVERAL_FRAMES,
    BadPicture,
    read,
    square,
)
from genwright.runs import remarks

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from fuzz_pictures import BOMB, ODD_CHUNKS, Drawn, chunk, expected, fuzz, written


def drawn(colour_type, depth, samples, palette=(), transparent=(), orientation=0, interlaced=False):
    rows = [
        [sample if isinstance(sample, tuple) else (sample,) for sample in row] for row in samples
    ]
    return Drawn(
        colour_type,
        depth,
        interlaced,
        rows,
        [0, 1, 2, 3, 4],
        list(palette),
        transparent,
        orientation,
        2,
    )


def pixels(tmp_path, data, size, channels=3, background="white"):
    (tmp_path / "a.png").write_bytes(data)
    made = square(read(str(tmp_path / "a.png"), size), size, channels, background, "pad")
    return made.transpose(1, 2, 0).tolist()


# of 16 bits: one bit apart, and alike in their high bytes
A, B = (1000, 2000, 3000), (1000, 2000, 3001)


@pytest.mark.parametrize(
    "picture, wanted",
    [
        # 16 bits with a transparent colour: by all of its bits; others are v / 257, rounded
        (
            drawn(2, 16, [[A, B], [(65535, 0, 385), A]], transparent=A),
            [[[255, 204, 0], [4, 8, 12]], [[255, 0, 1], [255, 204, 0]]],
        ),
        (
            drawn(0, 16, [[386, 385], [65535, 0]], transparent=(385,)),
            [[[2] * 3, [255, 204, 0]], [[255] * 3, [0] * 3]],
        ),
        # 16 bits with alpha: half of 65535 over #ffcc00
        (
            drawn(4, 16, [[(0, 32768), (65535, 65535)], [(257, 65535), (9, 0)]]),
            [[[127, 102, 0], [255] * 3], [[1] * 3, [255, 204, 0]]],
        ),
        (
            drawn(6, 16, [[(65535, 0, 0, 32768)] * 2, [(0, 300, 0, 65535)] * 2]),
            [[[255, 102, 0]] * 2, [[0, 1, 0]] * 2],
        ),
        # 8 bits: bits above the depth do not count
        (
            drawn(2, 8, [[(1, 2, 3), (1, 2, 4)]] * 2, transparent=(0x0101, 2, 3)),
            [[[255, 204, 0], [1, 2, 4]]] * 2,
        ),
        # few bits, stretched to 0 .. 255; the transparent grey is that of the file
        (
            drawn(0, 1, [[0, 1], [1, 0]], transparent=(1,)),
            [[[0] * 3, [255, 204, 0]], [[255, 204, 0], [0] * 3]],
        ),
        (
            drawn(0, 2, [[0, 1], [2, 3]], transparent=(1,)),
            [[[0] * 3, [255, 204, 0]], [[170] * 3, [255] * 3]],
        ),
        (
            drawn(0, 4, [[0, 1], [7, 15]], transparent=(7,)),
            [[[0] * 3, [17] * 3], [[255, 204, 0], [255] * 3]],
        ),
        # a palette with a half transparent colour; entries without an alpha are opaque
        (
            drawn(3, 2, [[0, 1], [1, 2]], [(0, 0, 0), (9, 8, 7), (1, 1, 1)], (128,)),
            [[[127, 102, 0], [9, 8, 7]], [[9, 8, 7], [1] * 3]],
        ),
        # turned by a quarter, as Exif says
        (drawn(0, 8, [[1, 2], [3, 4]], orientation=6), [[[3] * 3, [1] * 3], [[4] * 3, [2] * 3]]),
        (drawn(0, 8, [[1, 2], [3, 4]], orientation=9), [[[1] * 3, [2] * 3], [[3] * 3, [4] * 3]]),
    ],
)
@pytest.mark.parametrize("interlaced", [False, True])
def test_worked_examples(tmp_path, picture, wanted, interlaced):
    data = written(picture._replace(interlaced=interlaced))
    assert pixels(tmp_path, data, 2, background="#ffcc00") == wanted
    assert (
        np.abs(expected(picture, 2, 3, "#ffcc00", "pad").transpose(1, 2, 0) - wanted).max() <= 0.5
    )


def test_hundreds_by_lot_have_the_pixels_of_an_independent_computation(tmp_path):
    tally = fuzz(400, tmp_path)
    assert (
        tally.whole >= 200
        and tally.refused + tally.read_though_damaged >= 200
        and tally.refused > 50
    )


@pytest.mark.parametrize("odd", ODD_CHUNKS)
def test_metadata_changes_no_pixel(tmp_path, odd):
    picture = drawn(2, 8, [[(1, 2, 3), (4, 5, 6)]] * 2)
    assert pixels(tmp_path, written(picture, [odd], [odd]), 2) == [[[1, 2, 3], [4, 5, 6]]] * 2


@pytest.mark.parametrize(
    "data, what",
    [
        (
            written(drawn(0, 8, [[1]]), [chunk(b"CgBI", bytes(4))]),
            "needs a reader that knows the chunk 'CgBI'",
        ),
        (chunk(b"IDAT", b""), "does not begin with a header"),
        (written(drawn(0, 8, [[1]]), [chunk(b"tRNS", b"\0")]), "chunk tRNS is broken"),
        (
            written(drawn(0, 8, [[1]]), [], [chunk(b"tRNS", b"\0\1")]),
            "tRNS is broken or out of place",
        ),
        (
            written(drawn(4, 16, [[(1, 1)]])).replace(b"\x10\x04\0\0\0", b"\x10\x04\0\0\1"),
            "its header is broken",
        ),
    ],
)
def test_what_cannot_be_taken_apart_is_named(tmp_path, data, what):
    path = tmp_path / "a.png"
    path.write_bytes(data if data.startswith(png.SIGNATURE) else png.SIGNATURE + data)
    with pytest.raises(BadPicture, match=f"is damaged .*{what}"):
        read(str(path), 4)


def test_very_long_pictures_are_refused(tmp_path):
    header = struct.pack(">IIBBBBB", 70_000, 1, 8, 0, 0, 0, 0)
    (tmp_path / "a.png").write_bytes(
        png.SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(70_001)))
    )
    with pytest.raises(BadPicture, match="is 70,000 pixels long, and 65,536 are the most"):
        read(str(tmp_path / "a.png"), 4)


def test_large_pictures_are_taken_in_bands(tmp_path, monkeypatch):
    values = np.random.default_rng(0).integers(0, 256, (40, 30, 4), np.uint8)
    whole = square(Image.fromarray(values), 7, 3, "red", "pad")
    monkeypatch.setattr(pictures, "BAND", 100)
    assert np.array_equal(square(Image.fromarray(values), 7, 3, "red", "pad"), whole)


def tiff16(values, compress):
    """A TIFF of 16-bit RGB or RGBA, by hand."""
    height, width, channels = values.shape
    data = values.astype("<u2").tobytes()
    data = zlib.compress(data) if compress else data
    entries = [
        (256, 3, width),
        (257, 3, height),
        (259, 3, 8 if compress else 1),
        (262, 3, 2),
        (277, 3, channels),
        (278, 3, height),
    ]
    entries += [(279, 4, len(data))] + ([(338, 3, 2)] if channels == 4 else [])
    place = 8 + 2 + 12 * (len(entries) + 2) + 4
    rows = [(tag, struct.pack("<HHII", tag, kind, 1, value)) for tag, kind, value in entries]
    rows += [
        (258, struct.pack("<HHII", 258, 3, channels, place)),
        (273, struct.pack("<HHII", 273, 4, 1, place + 2 * channels)),
    ]
    header = (
        b"II*\0"
        + struct.pack("<IH", 8, len(rows))
        + b"".join(row for _, row in sorted(rows))
        + bytes(4)
    )
    return header + struct.pack(f"<{channels}H", *[16] * channels) + data


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("compress", [False, True])
def test_tiff_of_sixteen_bits(tmp_path, channels, compress):
    values = np.random.default_rng(1).integers(0, 65536, (4, 4, channels), np.uint16)
    (tmp_path / "a.tif").write_bytes(tiff16(values, compress))
    assert np.array_equal(read(str(tmp_path / "a.tif"), 4).values, values)
    made = square(read(str(tmp_path / "a.tif"), 4), 4, 3, "black", "pad").transpose(1, 2, 0)
    alpha = values[:, :, 3:] / 65535 if channels == 4 else 1
    assert np.abs(made - values[:, :, :3] / 257 * alpha).max() <= 0.501


def test_a_picture_of_the_library_keeps_its_transparent_grey():
    image = Image.fromarray(np.array([[385, 386], [0, 65535]], np.uint16))
    image.info["transparency"] = 385
    assert square(image, 2, 1, "red", "pad")[0].tolist() == [[76, 2], [0, 255]]


def test_several_frames_and_other_colours_are_said(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(20):
        Image.new("L", (4, 4), i).save(folder / f"{i}.png")
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "b.png", "c.tif"):
        frames[0].save(folder / name, save_all=True, append_images=frames[1:])
    grey = drawn(0, 8, [[1]])
    (folder / "linear.png").write_bytes(written(grey, [chunk(b"gAMA", struct.pack(">I", 100_000))]))
    (folder / "usual.png").write_bytes(written(grey, [chunk(b"gAMA", struct.pack(">I", 45455))]))
    (folder / "both.png").write_bytes(
        written(grey, [chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 100_000))])
    )
    (folder / "wide.png").write_bytes(
        written(grey, [chunk(b"iCCP", b"p\0\0" + zlib.compress(b"Display P3"))])
    )
    (folder / "bomb.png").write_bytes(written(grey, [chunk(b"iCCP", b"p\0\0" + BOMB)]))
    Image.new("RGB", (4, 4)).save(folder / "photo.jpg", icc_profile="Adobe RGB".encode("utf-16-be"))
    Image.new("RGB", (4, 4)).save(
        folder / "plain.jpg", icc_profile="sRGB built-in".encode("utf-16-be")
    )
    data = ImagesData(cache=str(tmp_path / "cache"), workers=1, path=str(folder)).prepare(
        ImageSettings(size=4)
    )
    said = dict(
        zip(
            (SEVERAL_FRAMES, OTHER_COLOURS),
            sorted(data.summary["remarks"], key=lambda note: "frames" not in note),
            strict=True,
        )
    )
    assert said[SEVERAL_FRAMES] == f"4 pictures {SEVERAL_FRAMES}: a.gif, a.webp, b.png, and 1 more"
    assert (
        said[OTHER_COLOURS]
        == f"4 pictures {OTHER_COLOURS}: bomb.png, linear.png, photo.jpg, and 1 more"
    )
    assert set(remarks.left_out(data.summary)) >= set(said.values())


def test_every_suffix_that_is_read_is_read(tmp_path):
    """Written by Pillow, as a person's programs would; the reader goes by content, except for
    tga."""
    forms = {
        ".mpo": "MPO",
        ".apng": "PNG",
        ".jif": "JPEG",
        ".pbm": "PPM",
        ".pgm": "PPM",
        ".pnm": "PPM",
    }
    forms |= dict.fromkeys((".tga", ".icb", ".vda", ".vst"), "TGA")
    Image.init()
    for suffix in sorted(pictures.SUFFIXES):
        file = io.BytesIO()
        mode = {".pbm": "1", ".pgm": "L"}.get(suffix, "RGB")
        Image.new(mode, (4, 4), 0).save(file, forms.get(suffix) or Image.EXTENSION[suffix])
        (tmp_path / f"a{suffix.upper()}").write_bytes(file.getvalue())
        assert not read(str(tmp_path / f"a{suffix.upper()}"), 4).values.any(), suffix
    (tmp_path / "b.png").write_bytes((tmp_path / "a.TGA").read_bytes())
    with pytest.raises(BadPicture, match="is no picture of a kind that is read"):
        read(str(tmp_path / "b.png"), 4)
