"""Pictures as codes: the prefix, what counts, the copy that a run keeps, and drawing code by
code."""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from genwright.api import train
from genwright.contents.images.codec import ImageCodec, ImageSettings
from genwright.contents.images.codec_codes import Codes, CodesCodec
from genwright.contents.images.data import ImagesData
from genwright.contents.images.draw_codes import draw
from genwright.core.attributes import encode
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.presets import TransformerSettings
from genwright.models.vq import VQSettings
from genwright.objectives.language import Causal
from genwright.recipe.schema import Recipe
from genwright.sampling.drawing import Decoding

COLOURS = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255)}
IMAGE = ImageSettings(size=8)


def codec(attributes=None, prefix=3, **settings):
    torch.manual_seed(0)
    settings = VQSettings(**{"width": 4, "blocks": 0, "codes": 10, "code_width": 3} | settings)
    return CodesCodec(
        ImageCodec(IMAGE, attributes), settings.build(Space(shape=(3, 8, 8))), settings, prefix
    )


@pytest.fixture
def pictures(tmp_path):
    """A folder of 12 pictures; the colour is the class."""
    for colour, rgb in COLOURS.items():
        (tmp_path / "data" / colour).mkdir(parents=True)
        for i in range(4):
            pixels = np.full((8, 8, 3), rgb, np.uint8)
            pixels[i : i + 4, 2:6] = 255 - 20 * i
            Image.fromarray(pixels).save(tmp_path / "data" / colour / f"{colour}{i}.png")
    return ImagesData(
        path=str(tmp_path / "data"),
        cache=str(tmp_path / "cache"),
        workers=1,
        held_out=0.3,
        minimum=1,
    )


@pytest.fixture
def saved(tmp_path):
    """The folder of a saved codec."""
    codec().save(tmp_path / "saved")
    return str(tmp_path / "saved")


def test_tokens_are_codes_then_values_then_three_of_their_own():
    made = codec({"colour": ("blue", "red"), "size": ("big",)})
    assert (
        made.space.vocabulary == 10 + 3 + 3
        and made.space.length == 3 + 4
        and made.space.columns == 3
    )
    named = {
        "colour=blue": 10,
        "colour=red": 11,
        "size=big": 12,
        "start": 13,
        "none": 14,
        "mask": 15,
    }
    assert made.space.special == named
    plain = codec()
    assert plain.space.length == 4 and plain.before(None, 2).tolist() == [[10], [10]]


def test_the_prefix_holds_what_is_asked_for_and_nothing_else():
    attributes = {"colour": ("blue", "red"), "size": ("big",)}
    made = codec(attributes, prefix=2)
    rows = torch.stack(
        [
            encode(attributes, c)
            for c in ({}, {"size": "big"}, {"colour": ["red", "blue"], "size": "big"})
        ]
    )
    assert made.before(rows, 3).tolist() == [[13, 14, 14], [13, 12, 14], [13, 10, 11]]
    assert made.before(None, 1, start=0).tolist() == [[14, 14]]
    assert codec(attributes, prefix=5).before(rows[1:2], 1).tolist() == [[13, 12, 14, 14, 14, 14]]


def test_a_picture_comes_back_through_its_codes():
    made = codec()
    x = torch.rand(3, 3, 8, 8) * 2 - 1
    codes = made.codes_of(x)
    assert codes.shape == (3, 4) and codes.dtype == torch.int64 and int(codes.max()) < 10
    assert torch.allclose(
        made.pictures(codes), made.network(x, decode=True)[2].clamp(-1, 1), atol=1e-6
    )
    assert made.decode(x)[0].size == (8, 8)


def test_the_codec_of_a_run_is_a_copy_that_needs_nothing_outside(tmp_path):
    made = codec({"colour": ("blue", "red")}, bottleneck="fsq", levels=(3, 4))
    made.save(tmp_path / "codec")
    back = Codes(run="gone", prefix=3).load(tmp_path / "codec")
    x = torch.rand(2, 3, 8, 8)
    assert (
        back.digest == made.digest
        and back.space == made.space
        and torch.equal(back.codes_of(x), made.codes_of(x))
    )
    assert sorted(p.name for p in (tmp_path / "codec").iterdir()) == [
        "codes.json",
        "codes.safetensors",
        "image",
    ]
    found = json.loads((tmp_path / "codec" / "codes.json").read_text())
    (tmp_path / "codec" / "codes.json").write_text(json.dumps(found | {"width": 8}))
    with pytest.raises(GenwrightError, match="does not fit"):
        Codes(run="gone").load(tmp_path / "codec")


@pytest.mark.parametrize("name", ["codes.json", "codes.safetensors"])
@pytest.mark.parametrize("content", [None, b"", b"\x10{", b'{"kind": "other"}'])
def test_a_damaged_copy_is_named(saved, name, content):
    path = Path(saved) / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(GenwrightError, match="damaged"):
        Codes(run="gone").load(saved)


def test_data_of_pictures_hands_over(tmp_path, pictures, saved):
    plain = pictures.prepare(IMAGE)
    dataset = pictures.prepare(Codes(run=saved, prefix=3))
    assert (
        dataset.codec.space.attributes
        == {"class": ("blue", "green", "red")}
        == plain.codec.space.attributes
    )
    assert (
        dataset.codec.prefix == 3
        and dataset.summary == plain.summary
        and dataset.digest != plain.digest
    )
    assert len(dataset.split("train")) + len(dataset.split("held_out")) == 12
    sources = dataset.stream(4, 0).sources(2, torch.arange(4))
    assert sources == plain.stream(4, 0).sources(2, torch.arange(4))
    red = (tmp_path / "data" / sources[0].file).read_bytes()
    assert sources[0].digest == hashlib.sha256(red).hexdigest()[:32] and sources[0].offset == 0
    assert (
        pictures.prepare(Codes(run=saved, prefix=3), expect=dataset.digest).digest == dataset.digest
    )
    with pytest.raises(GenwrightError, match="changed"):
        pictures.prepare(Codes(run=saved, prefix=4), expect=dataset.digest)


def test_only_codes_count_and_every_subset_is_shown(pictures, saved):
    dataset = pictures.prepare(Codes(run=saved))
    made, count = dataset.codec, len(dataset.split("train"))
    stream = dataset.stream(count, seed=1, lookahead=1)
    first = stream.batch(0, torch.arange(count))
    assert (
        first["tokens"].shape == (count, 1 + made.space.length)
        and int(first["counted"].sum()) == count * 4
    )
    prepared = Causal().build({}, made.space).prepare(first, None, None)
    assert (prepared["targets"] >= 0).sum(1).tolist() == [4] * count and int(
        prepared["targets"].max()
    ) < made.codes
    # an epoch shows each picture once
    expected = made.codes_of(dataset.split("train").x(np.arange(count)))
    assert sorted(first["tokens"][:, -4:].tolist()) == sorted(expected.tolist())
    # a row is the same alone, and at every position there is a value or none
    alone = stream.batch(0, torch.tensor([2]))
    assert torch.equal(alone["tokens"][0], first["tokens"][2])
    prefixes = torch.cat([stream.batch(p, torch.arange(count))["tokens"][:, 1] for p in range(40)])
    shown = (prefixes != made.space.special["none"]).float().mean()
    assert abs(shown - 0.75) < 0.08  # E min(1, 2u)
    masked = dataset.stream(count, seed=1, lookahead=0).batch(0, torch.arange(count))
    assert masked["tokens"].shape == (count, made.space.length)


def test_held_out_pictures_show_all_and_each_once(pictures, saved):
    dataset = pictures.prepare(Codes(run=saved))
    held, split = dataset.held_out(lookahead=1), dataset.split("held_out")
    batch = held.batch(0, 100)
    assert held.windows == len(split) == len(batch["tokens"])
    names = [Path(name).stem[:-1] for name in split.names(held.order)]
    assert sorted(held.order) == list(range(len(split)))
    assert batch["tokens"][:, 1].tolist() == [
        dataset.codec.space.special[f"class={name}"] for name in names
    ]


def recipe(pictures, **parts):
    training = {"steps": 2, "batch_size": 4, "precision": "fp32", "threads": 1, "device": "cpu"}
    return Recipe.of({"name": "test", "data": pictures.model_dump(), "training": training, **parts})


def test_a_trained_run_becomes_the_codec_of_another_and_may_then_go(tmp_path, pictures):
    small = {"kind": "vq-autoencoder", "width": 4, "blocks": 0, "codes": 10, "code_width": 3}
    vq = recipe(pictures, codec=IMAGE.model_dump(), model=small, objective="vector-quantised")
    trained = train(vq, run=tmp_path / "vq", quiet=True)
    transformer = {"kind": "transformer", "depth": 1, "width": 16, "heads": 2}
    codes = recipe(
        pictures,
        codec={"kind": "codes", "run": str(tmp_path / "vq")},
        model=transformer,
        objective="causal",
    )
    train(codes, run=tmp_path / "codes", until=1, quiet=True)
    x = torch.rand(2, 3, 8, 8)
    expected = trained.model(x)[1]
    shutil.rmtree(tmp_path / "vq")
    run = train(codes, run=tmp_path / "codes", resume=True, quiet=True)
    assert run.step == 2 and torch.equal(run.codec.codes_of(x), expected) and len(run.records)
    assert draw(run.model, run.codec, 2, None, None, Decoding()).shape == (2, 3, 8, 8)
    with pytest.raises(GenwrightError, match="makes no codes"):
        pictures.prepare(Codes(run=str(tmp_path / "codes")))
    with pytest.raises(GenwrightError, match="train it first .genwright train vq."):
        pictures.prepare(Codes(run=str(tmp_path / "vq")))


class TestDraw:
    attributes = {"colour": ("blue", "red")}

    def model(self, made):
        torch.manual_seed(1)
        model = TransformerSettings(preset="nanochat", depth=1, width=16, heads=2).build(
            made.space, context=made.space.length
        )
        with torch.no_grad():  # layers write nothing at first, and the head hardly anything
            for p in model.parameters():
                p.add_(0.5 * torch.randn_like(p))
        return model.eval()

    def tokens(self, made, model, *args, **more):
        """What `draw` draws, before it becomes pictures."""
        found = []
        made.pictures = lambda codes: found.append(codes) or torch.zeros(len(codes), 3, 8, 8)
        draw(model, made, *args, **more)
        return found[0]

    @pytest.mark.parametrize("guidance", [1.0, 2.5])
    def test_the_likeliest_codes_are_those_of_whole_forward_passes(self, guidance):
        made = codec(self.attributes)
        model, red, blue = (
            self.model(made),
            encode(self.attributes, {"colour": "red"}),
            encode(self.attributes, {"colour": "blue"}),
        )
        drawn = self.tokens(
            made, model, 1, red[None], blue[None], Decoding(temperature=0), guidance=guidance
        )
        asked, denied = made.before(red[None], 1), made.before(blue[None], 1)
        for _ in range(4):
            yes, no = (model(t)[:, -1, :10].log_softmax(-1) for t in (asked, denied))
            code = (no + guidance * (yes - no)).argmax(-1, keepdim=True)
            asked, denied = torch.cat((asked, code), 1), torch.cat((denied, code), 1)
        assert torch.equal(drawn, asked[:, -4:])

    def test_a_sample_depends_on_its_number_alone_and_holds_only_codes(self):
        made = codec(self.attributes)
        model = self.model(made)
        many = self.tokens(made, model, 40, None, None, Decoding(temperature=5.0, seed=4))
        assert many.shape == (40, 4) and int(many.max()) < 10 and len(many.unique(dim=0)) > 20
        assert torch.equal(
            self.tokens(made, model, 7, None, None, Decoding(temperature=5.0, seed=4), batch=3),
            many[:7],
        )

    def test_frequencies_are_the_models(self):
        made = codec(self.attributes)
        model = self.model(made)
        drawn = self.tokens(made, model, 4000, None, None, Decoding(temperature=1.0), batch=4000)[
            :, 0
        ]
        expected = model(made.before(None, 1))[0, -1, :10].softmax(-1)
        found = torch.bincount(drawn, minlength=10) / 4000
        assert (found - expected).abs().max() < 4 * (expected * (1 - expected) / 4000).sqrt().max()

    def test_a_masked_model_is_refused(self):
        made = codec()
        model = TransformerSettings(preset="modernbert", depth=1, width=16, heads=2).build(
            made.space, context=8, causal=False
        )
        with pytest.raises(GenwrightError):
            draw(model, made, 1, None, None, Decoding())
