"""Preparing texts of a test, read back as the documents that training sees."""

import pytest

from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
from genwright.core.errors import GenwrightError


def prepare(tmp_path, path, **settings):
    settings = {
        "context": 8,
        "held_out": 0,
        "cache": str(tmp_path / "cache"),
        "workers": 1,
    } | settings
    return TextData(path=str(path), **settings).prepare(Bytes())


def documents(dataset):
    return [dataset.codec.decode(tokens[:-1]) for _, tokens in dataset.documents("train")]


def refused(match, *arguments, **settings):
    with pytest.raises(GenwrightError, match=match):
        prepare(*arguments, **settings)
