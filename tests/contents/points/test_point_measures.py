"""Measures of points."""

import math

import pytest
import torch

from genwright.core.content import Sample
from genwright.core.registry import measures_of


def value(name, x, y):
    return measures_of("points")[name].of(Sample(torch.tensor([x, y])))


def test_distance_from_the_origin():
    assert value("distance from the origin", 3.0, -4.0) == pytest.approx(5)
    assert math.isnan(value("distance from the origin", math.nan, 1.0))
    assert math.isnan(value("distance from the origin", math.inf, 1.0))


def test_quadrants_have_names():
    assert value("quadrant", 1.0, 2.0) == "upper right"
    assert value("quadrant", -1.0, 0.0) == "upper left"
    assert value("quadrant", -1.0, -2.0) == "lower left"
    assert value("quadrant", 0.0, -2.0) == "lower right"
    assert value("quadrant", math.nan, 1.0) == "nowhere"


def test_coordinates_are_a_vector():
    assert value("coordinates", 1.0, 2.0).tolist() == [1.0, 2.0]
    assert measures_of("points")["coordinates"].gives == "vector"
