"""A fingerprint of 64 bits of what a picture shows: near copies (another size, another format,
other compression, a little brighter) have nearly the same.

1. The picture in grey on white, shrunk by area to 32 x 32, whatever its shape.
2. Its discrete cosine transform (DCT-II, orthonormal), of which 8 x 8 coefficients of low
   frequencies are kept, 1 to 8 along each side: those of frequency 0 say how bright it is.
3. A bit says whether a coefficient is above their median.

Zauner, "Implementation and benchmarking of perceptual image hash functions", 2010, section 3.2.1.
It is not moved by what is small, and knows neither mirrored, turned nor cropped copies; pictures of
one subject on the same empty background are near each other. A picture in which these frequencies
are weaker than half a level of grey has no fingerprint: its bits would be noise.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genwright.contents.images.pictures import BadPicture, Picture, read_bytes
from genwright.contents.images.shrunk import shrunk
from genwright.core.corpus_content import Fingerprints

SIDE = 32  # pixels
KEPT = 8  # frequencies along each side
WEAKEST = 0.5  # levels of grey, of 255: the root of the mean square of what is kept


def _cosines() -> np.ndarray:
    """(KEPT, SIDE) rows 1 to KEPT of the orthonormal DCT-II."""
    frequency = np.arange(1, KEPT + 1)[:, None]
    place = np.arange(SIDE)[None, :]
    return np.sqrt(2 / SIDE) * np.cos(np.pi * frequency * (2 * place + 1) / (2 * SIDE))


COSINES = _cosines()


def fingerprint(picture: Picture) -> int | None:
    """The bits of a picture, row by row from the highest; None where it shows next to nothing."""
    values = shrunk(picture, SIDE, SIDE, 1)[:, :, 0].astype(np.float64)
    coefficients = COSINES @ values @ COSINES.T  # (KEPT, KEPT)
    strength = float(np.sqrt((coefficients**2).sum())) / SIDE
    if strength < WEAKEST:
        return None
    above = coefficients > np.median(coefficients)
    return int.from_bytes(np.packbits(above.reshape(-1)).tobytes(), "big")


def fingerprints(pictures: Sequence[bytes]) -> Fingerprints:
    """Of each picture, decoded one after another; none of what is no picture."""
    bits = np.zeros(len(pictures), np.uint64)
    known = np.zeros(len(pictures), bool)
    for place, data in enumerate(pictures):
        try:
            found = fingerprint(read_bytes(data))
        except BadPicture:
            continue
        if found is not None:
            bits[place] = found
            known[place] = True
    return Fingerprints(bits, known)
