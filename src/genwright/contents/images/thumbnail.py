"""A picture of any size, small, for a page."""

from __future__ import annotations

import numpy as np

from genwright.contents.images.codec import to_float
from genwright.contents.images.pictures import Picture
from genwright.contents.images.shrunk import fitted, shrunk
from genwright.contents.images.view import PictureView
from genwright.core.content import Sample


def thumbnail(picture: Picture, title: str, longest: int) -> str:
    """HTML of a picture on white, no longer than so many pixels, as the view of pictures shows
    samples."""
    small = shrunk(picture, *fitted(picture, longest), 3)  # (rows, columns, 3)
    pixels = small.round().clip(0, 255).astype(np.uint8).transpose(2, 0, 1)
    content = to_float(np.ascontiguousarray(pixels))
    return PictureView().show(Sample(content, prompt=title)).html
