"""Points as a picture: each where it belongs."""

import io

import torch
from PIL import Image

from genwright.contents.points.drawing import GENERATED, REAL, scatter


def opened(data):
    return Image.open(io.BytesIO(data))


def test_points_stand_where_they_are():
    real = torch.tensor([[-1.0, -1.0], [1.0, 1.0]])
    sheet = opened(scatter(torch.tensor([[1.0, -1.0], [99.0, 0.0]]), real))
    assert sheet.getpixel((64, 576)) == REAL and sheet.getpixel((576, 64)) == REAL, "y points up"
    assert sheet.getpixel((576, 576)) == GENERATED and sheet.getpixel((636, 320)) == GENERATED, (
        "far outside: on the edge"
    )


def test_what_is_no_number_is_drawn_all_the_same():
    sheet = opened(scatter(torch.tensor([[float("nan"), float("inf")]]), torch.zeros(1, 2)))
    assert sheet.size == (640, 640)
