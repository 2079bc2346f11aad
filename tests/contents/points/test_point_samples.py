"""What `genwright sample` writes of a run of points, and what its report shows."""

import re
from functools import partial
from types import SimpleNamespace

import pytest
from PIL import Image

import watched as w
from genwright import api
from genwright.contents.points.codec import PointsCodec
from genwright.core.contracts import Space
from genwright.core.registry import content_of
from genwright.reporting.png import write
from genwright.runs.run import Run
from genwright.sampling.drawing import Drawing

TITLE = r"<figcaption><b>(.*?)</b>"


@pytest.fixture
def gan(tmp_path):
    objective, dataset = w.gan(Space(shape=(2,))), w.ring()
    for module in objective.modules.values():
        module.eval()
    run = SimpleNamespace(
        folder=tmp_path,
        objective=objective,
        codec=PointsCodec(),
        kind=content_of("points"),
        recipe=SimpleNamespace(sampling=Drawing(steps=2)),
        dataset=lambda: dataset,
    )
    for name in ("sampling", "opened", "draw", "sample"):
        setattr(run, name, partial(getattr(Run, name), run))
    return run


def test_points_are_one_picture_whatever_is_asked(gan):
    for asked in ({}, {"walk": 10}, {"traverse": True}, {"directions": True, "n": 2}):
        (path,) = api.sample(gan, gan.kind.sampler_options(**asked))
        assert Image.open(path).size == (640, 640)


def test_a_report_shows_them_and_how_they_came_there(gan, tmp_path):
    for step in (0, 100, 200, 300, 400):
        write(tmp_path / "samples" / f"step-{step:08d}.png", b"step %d" % step)
    first, others = gan.kind.sections(gan, None)
    assert first.at_a_glance and re.findall(TITLE, first.html) == ["Samples"]
    assert re.findall(TITLE, others.html) == ["Step 0", "Step 200", "Step 400"]
