"""Sizes of the program that are meant for real data, smaller for tests."""

from importlib import import_module

from genwright.core.registry import rooms
from genwright.evaluation import features


def make_quick() -> None:
    """Pictures that classifiers see, of a test's few: seconds, not a minute."""
    features.LEAST = 2_000
    features.MOST = 4_000
    if "images" in rooms():
        recognised = import_module("genwright.contents.images.recognised")
        recognised.TAUGHT = 4_000
