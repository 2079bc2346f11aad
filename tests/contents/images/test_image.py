"""Pictures of any kind become squares: exact areas, all of the value range, and back."""

import io
import tempfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from genwright.contents.images.codec import ImageCodec, ImageSettings, to_float
from genwright.contents.images.pictures import BadPicture, read, square
from genwright.core.attributes import encode
from genwright.core.errors import GenwrightError


def made(image, **shape):
    return square(image, **{"size": 4, "channels": 3, "background": "white", "fit": "pad"} | shape)


def averaged(values, size):
    """Area average by brute force: each source pixel is cut into size x size equal pieces, which
    then fill the targets exactly."""
    pieces = np.kron(values.astype(float), np.ones((size, size)))
    h, w = values.shape
    return pieces.reshape(size, h, size, w).mean((1, 3))


@given(st.integers(4, 12), st.sampled_from([1, 3]), st.integers(0, 2**31))
@settings(max_examples=30, deadline=None)
def test_decode_then_encode_is_exact(size, channels, seed):
    values = np.random.default_rng(seed).integers(0, 256, (2, channels, size, size), np.uint8)
    codec = ImageCodec(ImageSettings(size=size, channels=channels))
    x = to_float(values)
    assert x.dtype == torch.float32 and x.min() >= -1 and x.max() <= 1
    pictures = codec.decode(x)
    assert torch.equal(torch.stack([codec.encode(picture) for picture in pictures]), x)
    assert [p.mode for p in pictures] == [{1: "L", 3: "RGB"}[channels]] * 2


@given(st.integers(1, 40), st.integers(4, 24), st.integers(0, 2**31))
@settings(max_examples=40, deadline=None)
def test_resampling_is_an_exact_area_average_down_and_up(side, size, seed):
    values = np.random.default_rng(seed).integers(0, 256, (side, side), np.uint8)
    out = made(Image.fromarray(values), size=size, channels=1)[0]
    assert np.abs(out - averaged(values, size)).max() <= 0.501


@given(
    st.integers(1, 30),
    st.integers(1, 30),
    st.sampled_from(["L", "RGB", "RGBA", "LA", "P", "1", "CMYK", "I;16", "LAB", "YCbCr"]),
    st.sampled_from(["pad", "crop"]),
)
@settings(max_examples=60, deadline=None)
def test_any_shape_and_mode(width, height, mode, fit):
    for channels in (1, 3):
        assert made(Image.new(mode, (width, height)), channels=channels, fit=fit).shape == (
            channels,
            4,
            4,
        )


def test_pad_and_crop():
    # 4 wide, 2 high
    wide = Image.fromarray(np.repeat(np.array([[10, 20, 30, 40]], np.uint8), 2, 0))
    assert made(wide, channels=1, background="black")[0].tolist() == [
        [0] * 4,
        [10, 20, 30, 40],
        [10, 20, 30, 40],
        [0] * 4,
    ]
    assert made(wide, channels=1, fit="crop", size=2)[0].tolist() == [[20, 30], [20, 30]]
    assert made(Image.new("RGB", (2, 1)), background="#ff0000")[:, 0, 0].tolist() == [255, 0, 0]


def test_transparency_shows_the_background_and_never_the_hidden_colour():
    image = Image.new("RGBA", (8, 8), (0, 255, 0, 0))  # green that is not seen
    image.paste((0, 0, 0, 255), (0, 0, 4, 8))
    out = made(image, size=4, background="blue")
    assert out[:, 0].T.tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 255], [0, 0, 255]]
    half = made(Image.new("RGBA", (8, 8), (0, 0, 0, 128)), size=4)
    assert abs(int(half[0, 0, 0]) - 127) <= 1
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([9, 9, 9, 200, 0, 0])
    palette.info["transparency"] = 0
    assert (made(palette) == 255).all()


def test_sixteen_bits_are_scaled_and_not_clipped(tmp_path):
    values = np.array([[0, 257 * 64], [257 * 128, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert made(read(str(tmp_path / "a.png"), 2), size=2, channels=1)[0].tolist() == [
        [0, 64],
        [128, 255],
    ]
    for values in (np.full((2, 2), 0.5, np.float32), np.full((2, 2), 70_000, np.int32)):
        with pytest.raises(BadPicture, match="whose range is unknown"):
            made(Image.fromarray(values))


def test_cmyk_animated_and_turned_files(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg")
    red = made(read(str(tmp_path / "a.jpg"), 4))[:, 0, 0]
    assert red[0] > 200 and red[1] < 60 and red[2] < 60
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    for name in ("a.gif", "a.webp", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100)
        first = made(read(str(tmp_path / name), 4))[:, 1, 1]
        assert first[0] > 240 and first[2] < 15, name
    turned = Image.fromarray(np.array([[0] * 4, [255] * 4, [255] * 4, [255] * 4], np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    turned.save(tmp_path / "b.png", exif=exif)
    assert made(read(str(tmp_path / "b.png"), 4), channels=1)[0, :, 0].tolist() == [
        255,
        255,
        255,
        0,
    ]


@given(
    st.sampled_from(["PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "PPM", "TGA", "DIB", "MPO"]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    st.integers(1, 2000),
)
@settings(max_examples=100, deadline=None)
def test_a_file_with_wrong_bytes_is_a_picture_or_a_sentence(form, changes, length):
    file = io.BytesIO()
    Image.linear_gradient("L").resize((13, 11)).convert("RGB").save(file, form)
    content = bytearray(file.getvalue())
    for place, value in changes:
        content[place % len(content)] = value
    with tempfile.NamedTemporaryFile(suffix=".tga" if form == "TGA" else ".bin") as written:
        written.write(content[:length])
        written.flush()
        try:
            assert made(read(written.name, 4)).shape == (3, 4, 4)
        except BadPicture as problem:
            assert str(problem)


def test_decode_clips_and_survives_what_is_no_number():
    codec = ImageCodec(ImageSettings(size=4, channels=1))
    x = torch.tensor([-7.0, 7.0, float("nan"), float("inf")]).repeat(4).view(1, 1, 4, 4)
    assert np.asarray(codec.decode(x)[0])[0].tolist() == [0, 255, 0, 255]


def test_saved_codec_is_equal(tmp_path):
    chosen = ImageSettings(size=9, channels=1, background="#102030", fit="crop")
    codec = ImageCodec(chosen, {"group": ("a", "b"), "tone": ("dark",)})
    codec.save(tmp_path / "codec")
    again = ImageSettings().load(tmp_path / "codec")
    assert (
        again.settings == chosen
        and again.space.attributes == codec.space.attributes
        and again.digest == codec.digest
    )
    assert again.space.shape == (1, 9, 9) and again.space.columns == 3 and again.content == "image"
    with pytest.raises(GenwrightError, match="does not exist"):
        ImageSettings().load(tmp_path)


def test_refusals(tmp_path):
    with pytest.raises(GenwrightError, match="background is 'whit', which is no colour"):
        ImageSettings(background="whit")
    codec = ImageCodec(ImageSettings(), {"group": ("cats", "dogs")})
    (tmp_path / "x.png").write_bytes(b"?")
    with pytest.raises(GenwrightError, match="x.png is no picture"):
        codec.encode(tmp_path / "x.png")
    with pytest.raises(
        GenwrightError, match="no attribute 'grup' in this data; did you mean 'group'"
    ):
        encode(codec.space.attributes, {"grup": "cats"})
    with pytest.raises(
        GenwrightError, match="group is never 'cat' in this data; did you mean 'cats'"
    ):
        encode(codec.space.attributes, {"group": "cat"})
    assert encode(codec.space.attributes, {"group": "dogs"}).tolist() == [0, 1]
