"""Sprites: a square, an ellipse or a triangle whose shape, size, angle, place and colour are known,
in every combination; to see whether a model's latent dimensions find them. Drawn when they are
asked for, with smooth edges.

Angles stay within a quarter turn: a square repeats itself after that, and each picture should have
one angle only.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

FACTORS = ("shape", "size", "angle", "x", "y", "colour")
SHAPES = ("square", "ellipse", "triangle")
SIZES = ("small", "medium", "large", "huge")
COLOURS = {
    "red": (220, 40, 40),
    "green": (40, 160, 60),
    "blue": (40, 80, 220),
    "yellow": (240, 200, 40),
    "purple": (150, 60, 180),
    "black": (20, 20, 20),
}
VALUES = (len(SHAPES), len(SIZES), 8, 8, 8, len(COLOURS))  # how many values each factor has
_RADII = (0.10, 0.14, 0.18, 0.22)  # of a picture's side


class Sprites:
    """All 36,864 pictures, by their number."""

    files: Mapping[Path, str] = {}  # that they lie in: none

    def __init__(self, size: int, channels: int, background: tuple[int, ...]):
        self.size = size
        self.channels = channels
        self.background = np.array(background, np.float32)
        self.colours = np.array(list(COLOURS.values()), np.float32)
        if channels == 1:  # colours are told apart by their grey (ITU-R 601)
            grey = np.array([0.299, 0.587, 0.114], np.float32)
            self.colours = (self.colours @ grey)[:, None]
            self.background = (self.background @ grey)[None]

    def __len__(self) -> int:
        return int(np.prod(VALUES))

    @staticmethod
    def factors(indices: np.ndarray) -> np.ndarray:
        """(n, 6) int64: shape, size, angle, x, y, colour."""
        return np.stack(np.unravel_index(indices, VALUES), 1).astype(np.int64)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """(n, channels, size, size) uint8."""
        shape, large, turn, x, y, colour = self.factors(np.asarray(indices)).T
        radius = np.array(_RADII, np.float32)[large][:, None, None]
        angle = (turn * (np.pi / 2 / VALUES[2])).astype(np.float32)[:, None, None]
        centre_x = _centre(x, VALUES[3])[:, None, None]
        centre_y = _centre(y, VALUES[4])[:, None, None]
        pixel = (np.arange(self.size, dtype=np.float32) + 0.5) / self.size
        right = pixel[None, None, :] - centre_x  # (n, 1, size)
        down = pixel[None, :, None] - centre_y  # (n, size, 1)
        # along the sprite's own axes, (n, size, size)
        u = np.cos(angle) * right + np.sin(angle) * down
        v = np.cos(angle) * down - np.sin(angle) * right
        # signed, from the outline, in sides of the picture
        distance = np.empty((len(shape), self.size, self.size), np.float32)
        for number, outside in enumerate((_square, _ellipse, _triangle)):
            here = shape == number
            distance[here] = outside(u[here], v[here], radius[here])
        covered = (0.5 - distance * self.size).clip(0, 1)[:, None]
        behind = self.background[None, :, None, None] * (1 - covered)
        drawn = self.colours[colour][:, :, None, None] * covered
        return (behind + drawn).round().astype(np.uint8)


def _centre(place: np.ndarray, places: int) -> np.ndarray:
    """Of a sprite in one direction, in sides of the picture: from 1/4 to 3/4."""
    return 0.25 + 0.5 * place.astype(np.float32) / (places - 1)


# Signed distances from an outline, negative inside; u, v: (n, size, size), r: (n, 1, 1).


def _square(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.maximum(abs(u), abs(v)) - 0.85 * r


def _ellipse(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    return (np.sqrt((u / 1.2) ** 2 + (v / 0.6) ** 2 + 1e-12) - r) * 0.75


def _triangle(u: np.ndarray, v: np.ndarray, r: np.ndarray) -> np.ndarray:
    return np.maximum(0.8660254 * abs(u) - 0.5 * v, v) - 0.6 * r
