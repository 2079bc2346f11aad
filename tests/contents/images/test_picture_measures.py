"""Measures of pictures: by hand on small ones, many at once as one by one, and of a classifier."""

import math

import numpy as np
import pytest
import torch
from PIL import Image

from genwright.api import train
from genwright.contents.images import pixels
from genwright.contents.images.codec import ImageSettings
from genwright.contents.images.data import ImagesData
from genwright.contents.images.measures_recognised import RecognisedSettings, recognised_measure
from genwright.core.content import Measure, Sample
from genwright.core.errors import GenwrightError
from genwright.core.registry import measure_kinds_of, measures_of
from genwright.evaluation import features
from genwright.recipe.schema import Recipe, build

RGB = {"red": (255, 0, 0), "green": (0, 160, 0), "blue": (0, 0, 255)}


def picture(*rows):
    """Rows of RGB triples in [0, 1] -> (3, height, width) in [-1, 1]."""
    values = torch.tensor(rows, dtype=torch.float32)  # (height, width, 3)
    return values.permute(2, 0, 1) * 2 - 1


def drawing(colour, side=8, background=1.0):
    """A square of 4 by 4 pixels of a colour, left of the middle of a picture."""
    values = torch.full((3, side, side), background)
    values[:, 2:6, 1:5] = torch.tensor(colour)[:, None, None]
    return values * 2 - 1


def value(name, x):
    return measures_of("image")[name].of(Sample(x))


class TestPixels:
    def test_light_and_saturation(self):
        half = picture([(1, 0, 0), (0, 0, 0)])
        assert value("brightness", half) == pytest.approx(0.2126 / 2)
        assert value("saturation", half) == pytest.approx(0.5)
        pale = picture([(1, 0.75, 0.75), (1, 0.75, 0.75)])
        assert value("saturation", pale) == pytest.approx(0.25)

    def test_colourfulness_is_that_of_the_paper(self):
        half = picture([(1, 0, 0), (0, 0, 0)])
        # rg is 255 and 0, yb 127.5 and 0
        spread = math.hypot(127.5, 63.75)
        shift = math.hypot(127.5, 63.75)
        assert value("colourfulness", half) == pytest.approx(spread + 0.3 * shift, rel=1e-5)
        assert value("colourfulness", torch.rand(1, 5, 5).expand(3, 5, 5) * 2 - 1) < 1e-3

    def test_ink_is_what_is_not_the_colour_of_the_border(self):
        assert value("ink", drawing((1, 0, 0))) == pytest.approx(16 / 64)
        assert value("ink", drawing((1, 1, 1), background=0.0)) == pytest.approx(16 / 64)
        assert value("ink", torch.zeros(3, 8, 8)) == 0
        nearly = drawing((0.95, 0.95, 0.95))  # as near as a codec's error
        assert value("ink", nearly) == 0

    def test_symmetry_is_the_correlation_with_the_mirror_image(self):
        row = [(0, 0, 0), (1, 1, 1), (0, 0, 0)]
        assert value("symmetry", picture(row, row)) == pytest.approx(1)
        assert value("symmetry", picture([(0, 0, 0), (1, 1, 1)])) == pytest.approx(-1)
        assert math.isnan(value("symmetry", torch.full((3, 4, 4), 0.3)))
        x = drawing((1, 0, 0))
        moved = x.roll(1, 2)
        assert value("symmetry", x) < value("symmetry", moved)  # nearer to the middle

    @pytest.mark.parametrize(
        ("colour", "name"),
        [
            ((1, 0, 0), "red"),
            ((1, 0, 0.1), "red"),
            ((1, 0.5, 0), "orange"),
            ((1, 1, 0), "yellow"),
            ((0, 0.6, 0), "green"),
            ((0, 1, 1), "cyan"),
            ((0, 0, 1), "blue"),
            ((0.5, 0, 1), "purple"),
            ((1, 0, 0.7), "pink"),
            ((0.5, 0.5, 0.5), "grey"),
        ],
    )
    def test_the_main_hue_has_a_name(self, colour, name):
        assert value("main hue", drawing(colour)) == name

    def test_a_coloured_background_is_not_the_main_hue(self):
        x = drawing((1, 0, 0))
        x[:, 0], x[:, -1] = x[:, 0], x[:, -1]
        blue = (x == 1).all(0)
        x[:, blue] = torch.tensor([-1.0, -1.0, 1.0])[:, None]
        assert value("main hue", x) == "red"
        assert value("main hue", torch.ones(3, 8, 8)) == "grey"

    def test_a_thumbnail_is_the_same_at_any_size(self):
        x = torch.rand(3, 8, 8) * 2 - 1
        large = x.repeat_interleave(4, 1).repeat_interleave(4, 2)
        small = value("thumbnail", x)
        assert small.shape == (192,)
        assert np.allclose(small, value("thumbnail", large), atol=1e-6)

    def test_grey_and_broken_pictures_are_measured_too(self):
        grey = torch.rand(1, 8, 8) * 2 - 1
        broken = torch.full((3, 8, 8), math.nan)
        for measure in measures_of("image").values():
            measure.of(Sample(grey))
            measure.of(Sample(broken))
        assert value("brightness", broken) == 0
        assert value("saturation", grey) == 0

    @pytest.mark.parametrize("name", measures_of("image"))
    def test_many_at_once_are_as_one_by_one(self, name):
        torch.manual_seed(0)
        samples = [Sample(torch.rand(3, 8, 8) * 2 - 1) for _ in range(5)]
        samples.append(Sample(torch.zeros(3, 8, 8)))
        measure = measures_of("image")[name]
        alone = [measure.of(sample) for sample in samples]
        together = measure.values(samples)
        assert list(measure.values([])) == []
        for one, other in zip(alone, together, strict=True):
            if measure.gives == "label":
                assert one == other
            else:
                assert np.allclose(one, other, atol=1e-5, equal_nan=True)


class TestColour:
    def measure(self, **options):
        kind = measure_kinds_of("image")["colour"]
        return kind.make(build(kind.settings, options, "options of colour"))

    def test_nearness_is_1_at_the_colour_and_0_at_the_farthest(self):
        near = self.measure(colour="#ff0000")
        assert near.of(Sample(drawing((1, 0, 0)))) == pytest.approx(1)
        assert near.of(Sample(drawing((0, 1, 1)))) == pytest.approx(0, abs=1e-6)
        assert near.direction == "higher" and near.gives == "number"
        # the mean colour counts, not every pixel's
        mixed = drawing((1, 0, 0))
        mixed[:, 2:4, 1:5] = torch.tensor([-1.0, -1.0, 1.0])[:, None, None]
        expected = 1 - math.dist((0.5, 0, 0.5), (1, 0, 0)) / math.sqrt(3)
        assert near.of(Sample(mixed)) == pytest.approx(expected)

    def test_it_says_nothing_of_an_empty_picture(self):
        assert math.isnan(self.measure(colour="red").of(Sample(torch.ones(3, 8, 8))))

    def test_what_is_no_colour_is_refused(self):
        with pytest.raises(GenwrightError, match="no colour"):
            self.measure(colour="reddish")
        with pytest.raises(GenwrightError, match="colour"):
            self.measure(color="red")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of two steps over 30 pictures of three colours; its classifier learns for 50 steps."""
    folder = tmp_path_factory.mktemp("recognised")
    generator = np.random.default_rng(0)
    for colour, rgb in RGB.items():
        (folder / "data" / colour).mkdir(parents=True)
        for i in range(10):
            values = np.full((8, 8, 3), rgb, np.uint8)
            values[i % 5 : i % 5 + 3, 2:6] = generator.integers(0, 255)
            Image.fromarray(values).save(folder / "data" / colour / f"{colour}{i}.png")
    data = ImagesData(
        path=str(folder / "data"), cache=str(folder / "cache"), workers=1, held_out=0.2, minimum=1
    )
    recipe = Recipe.of(
        {
            "name": "vq",
            "data": data.model_dump(),
            "codec": ImageSettings(size=8).model_dump(),
            "model": {"kind": "vq-autoencoder", "width": 4, "blocks": 0, "codes": 10},
            "objective": "vector-quantised",
            "training": {"steps": 2, "batch_size": 4, "threads": 1, "device": "cpu"},
        }
    )
    return train(recipe, run=folder / "run", quiet=True)


class TestRecognised:
    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr(features, "LEAST", 1000)

    def test_the_value_that_a_picture_has_is_likely(self, run):
        settings = RecognisedSettings(run=str(run.folder), attribute="class", value="red")
        red = recognised_measure(settings)
        assert isinstance(red, Measure) and red.direction == "higher"
        dataset = run.dataset()
        split = dataset.split("train")
        samples = run.kind.sampler.real(dataset, "train", len(split))
        chances = torch.tensor(red.values(samples))
        asked = torch.stack([sample.condition for sample in samples])
        values = dataset.codec.space.attributes["class"]
        is_red = asked[:, values.index("red")] > 0
        assert float(chances[is_red].mean()) > 0.8 > 0.2 > float(chances[~is_red].mean())
        assert red.of(samples[0]) == pytest.approx(float(chances[0]), abs=1e-6)
        assert red.values([]) == []

    def test_what_was_asked_for_is_likely(self, run):
        settings = RecognisedSettings(run=str(run.folder), attribute="class")
        asked = recognised_measure(settings)
        samples = run.kind.sampler.real(run.dataset(), "train", 12)
        assert float(np.mean(asked.values(samples))) > 0.8
        assert math.isnan(asked.of(Sample(samples[0].content)))
        assert math.isnan(asked.of(Sample(samples[0].content, condition=torch.zeros(3))))

    def test_it_is_another_classifier_than_that_of_figures(self, run):
        dataset = run.dataset()
        judge = features.extractor(dataset, run.recipe.data.cache)
        own = features.extractor(dataset, run.recipe.data.cache, seed=1)
        again = features.extractor(dataset, run.recipe.data.cache, seed=1)
        x = dataset.split("train").x(np.arange(6))
        assert not torch.equal(judge.predict(x), own.predict(x))
        assert torch.equal(again.predict(x), own.predict(x))

    def test_what_is_not_known_is_said(self, run):
        def refused(**options):
            return pytest.raises(GenwrightError, match=options.pop("match"))

        with refused(match="no attribute 'klass'; did you mean 'class'"):
            recognised_measure(RecognisedSettings(run=str(run.folder), attribute="klass"))
        with refused(match="class is never 'rad' in .*; did you mean 'red'"):
            recognised_measure(
                RecognisedSettings(run=str(run.folder), attribute="class", value="rad")
            )
        with refused(match="nowhere"):
            recognised_measure(RecognisedSettings(run="nowhere", attribute="class"))
        measure = recognised_measure(RecognisedSettings(run=str(run.folder), attribute="class"))
        with refused(match="pictures of 3 x 16 x 16 values"):
            measure.of(Sample(torch.zeros(3, 16, 16)))


def test_figures_of_pictures_are_those_of_their_own_evaluate(run):
    """Measures are for rewards, filters and what is watched; figures compare whole sets."""
    names = {figure.name for figure in run.evaluate().figures}
    assert names and not names & set(measures_of("image"))


def test_ink_is_measured_around_the_border_only_once():
    x = torch.zeros(1, 3, 4, 4)
    x[:, :, 1:3, 1:3] = 1  # 12 pixels of a border, 4 within
    assert float(pixels.ink(x).sum()) == 4
