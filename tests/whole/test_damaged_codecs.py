"""A codec's files in a run that were damaged are named in one sentence."""

import json
from types import SimpleNamespace

import pytest
import torch

from genwright.contents.images.codec import ImageCodec, ImageSettings
from genwright.contents.images.codec_codes import Codes, CodesCodec
from genwright.contents.music.score import Note, Score
from genwright.contents.text.codec import BPE
from genwright.core.errors import GenwrightError
from genwright.core.registry import kinds
from genwright.models.vq import VQSettings
from genwright.runs.run import Run

DAMAGES = {
    "nothing": b"",
    "half": None,  # of the file
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "a number": b"7",
    "no object's fields": b"{}",
    "no UTF-8": b'{"a": "\xff"}',
}


def text_codec(folder):
    BPE(vocabulary=300).train(iter(["the cat sat on the mat " * 20])).save(folder)
    return BPE()


def image_codec(folder):
    ImageCodec(ImageSettings(size=8), {"colour": ("red", "blue")}).save(folder)
    return ImageSettings()


def codes_codec(folder):
    torch.manual_seed(0)
    image = ImageCodec(ImageSettings(size=8))
    settings = VQSettings(width=8, codes=8)
    CodesCodec(image, settings.build(image.space), settings, 1).save(folder)
    return Codes(run=str(folder))


def music_codec(folder):
    settings = kinds("codec")["event"]()
    score = Score(((Note(0, 4, 60), Note(4, 4, 64)),), per_quarter=4, length=16)
    settings.learn([score], {"key": ("C", "G")}).save(folder)
    return settings


CODECS = {"text": text_codec, "image": image_codec, "codes": codes_codec, "music": music_codec}


def opened(folder, settings):
    run = Run(folder)
    run.__dict__["recipe"] = SimpleNamespace(codec=settings)
    return run.codec


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", CODECS)
def test_a_damaged_file_of_a_codec_is_named(tmp_path, kind, damage):
    settings = CODECS[kind](tmp_path / "codec")
    whole = opened(tmp_path, settings).digest
    files = sorted((tmp_path / "codec").rglob("*.json"))
    assert files
    for path in files:
        before = path.read_bytes()
        content = DAMAGES[damage]
        path.write_bytes(before[: len(before) // 2] if content is None else content)
        if path.name == "tokenizer_config.json" and damage == "no object's fields":
            assert opened(tmp_path, settings).digest == whole  # it only adds to tokenizer.json
        elif not (kind == "codes" and damage == "no object's fields" and path.name == "codes.json"):
            with pytest.raises(GenwrightError) as caught:
                opened(tmp_path, settings)
            assert "codec" in caught.value.what and "\n" not in str(caught.value)
        path.write_bytes(before)
    assert opened(tmp_path, settings).digest == whole


@pytest.mark.parametrize("kind", ["image", "music"])
def test_values_of_a_codec_that_cannot_be_are_named(tmp_path, kind):
    settings = CODECS[kind](tmp_path / "codec")
    (path,) = (tmp_path / "codec").glob("*.json")
    saved = json.loads(path.read_text())
    for name in saved:
        for value in (None, 7, "x", [7], {"x": 7}, {"x": None}):
            if saved[name] == value or (name, value) in (("size", 7), ("background", "x")):
                continue
            path.write_text(json.dumps(saved | {name: value}))
            with pytest.raises(GenwrightError, match="damaged"):
                opened(tmp_path, settings)
