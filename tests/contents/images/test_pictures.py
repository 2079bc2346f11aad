"""Pictures as files: every pixel where it belongs, readable by another library."""

import io

import numpy as np
import torch
from PIL import Image

from genwright.contents.images import drawing as pictures


def opened(data):
    return Image.open(io.BytesIO(data))


def test_a_grid_shows_every_pixel_enlarged_by_a_whole_factor():
    values = torch.randint(0, 256, (5, 3, 8, 8), generator=torch.Generator().manual_seed(0))
    sheet = np.asarray(opened(pictures.grid(values / 127.5 - 1, 3)))
    gap, cell = pictures.GAP, 96
    assert sheet.shape == (2 * (cell + gap) + gap, 3 * (cell + gap) + gap, 3)
    for i in range(5):
        top, left = gap + i // 3 * (cell + gap), gap + i % 3 * (cell + gap)
        inside = sheet[top : top + cell, left : left + cell]
        assert (inside == values[i].permute(1, 2, 0).numpy().repeat(12, 0).repeat(12, 1)).all()
    assert (sheet[-50:, -50:] == pictures.BACK).all(), "the place of a sixth picture is empty"


def test_labels_have_room_of_their_own():
    x = torch.zeros(4, 1, 32, 32)
    plain, labelled = (
        opened(pictures.grid(x, 2)),
        opened(pictures.grid(x, 2, ["a long label", "b"], ["1", "2"])),
    )
    assert labelled.width > plain.width + 60 and labelled.height == plain.height + 22
    margin = np.asarray(labelled)[:, : labelled.width - plain.width]
    assert (margin < 100).any(), "ink"
    assert (
        np.asarray(labelled)[22:, labelled.width - plain.width + 3 :] == np.asarray(plain)[:, 3:]
    ).all()


def test_what_is_not_a_picture_is_shown_all_the_same():
    x = torch.tensor([float("nan"), 5.0, -5.0, 0.0]).view(1, 1, 2, 2)
    assert np.asarray(opened(pictures.single(x[0])))[..., 0].tolist() == [[0, 255], [0, 128]]


def test_an_animation_has_all_its_frames_and_repeats():
    x = torch.linspace(-1, 1, 7).view(7, 1, 1, 1).expand(7, 1, 4, 4)
    film = opened(pictures.animation(x, seconds=0.1))
    assert (
        film.format == "PNG"
        and film.n_frames == 7
        and film.info["loop"] == 0
        and film.info["duration"] == 100
    )
    film.seek(6)
    assert film.convert("RGB").getpixel((5, 5)) == (255, 255, 255)
