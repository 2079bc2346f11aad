"""What `genwright sample` writes of a run of pictures or points, and what its report shows."""

import io
import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from rich.console import Console

import watched as w
from genwright import api
from genwright.contents.images import gallery
from genwright.contents.images.codec import ImageCodec, ImageSettings
from genwright.core import progress
from genwright.core.attributes import read_wanted
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.core.registry import content_of
from genwright.runs.run import Run
from genwright.sampling.drawing import Drawing

KINDS = {"kind": ("disc", "bar"), "tone": ("dark", "light", "none")}


def run_of(folder, objective, dataset, codec, kind):
    for module in objective.modules.values():
        module.eval()
    recipe = SimpleNamespace(sampling=Drawing(steps=2), objective=SimpleNamespace(kind=kind))
    recipe.data = SimpleNamespace(cache=None)
    made = SimpleNamespace(
        folder=folder,
        objective=objective,
        codec=codec,
        content=codec.content,
        kind=content_of(codec.content),
        recipe=recipe,
        dataset=lambda: dataset,
        model=objective.modules.get("model"),
    )
    for name in ("sampling", "opened", "draw", "sample"):
        setattr(made, name, partial(getattr(Run, name), made))
    return made


@pytest.fixture(autouse=True)
def pixels(monkeypatch):
    """No classifier is taught for the nearest pictures."""
    features = SimpleNamespace(features=lambda x: x.flatten(1))
    monkeypatch.setattr(gallery, "extractor", lambda dataset, cache: features)


def sample_pictures(run, **asked):
    return api.sample(run, run.kind.sampler_options(**asked))


def pictures_of(run):
    """The titles of what a report shows."""
    sections = run.kind.sections(run, None)
    first = sections[0]
    assert first.heading == "Pictures" and first.at_a_glance
    assert first.html.count("<img") == 1, "samples alone stand before the curves"
    assert not any(section.at_a_glance for section in sections[1:])
    html = "".join(section.html for section in sections)
    return re.findall(r"<figcaption><b>(.*?)</b>", html)


@pytest.fixture
def vae(tmp_path):
    codec = ImageCodec(ImageSettings(size=8, channels=1))
    return run_of(tmp_path, w.vae(codec.space), w.squares(), codec, "variational")


def names(paths):
    return [path.name for path in paths]


def test_a_grid_and_each_sample(vae, tmp_path):
    paths = sample_pictures(vae, n=5, seed=2)
    assert (
        names(paths) == ["grid.png", *(f"000{i}.png" for i in range(1, 6))]
        and paths[0].parent == tmp_path / "samples"
    )
    assert Image.open(paths[0]).size == (3 * 99 + 3, 2 * 99 + 3) and Image.open(paths[1]).size == (
        8,
        8,
    )
    before = [path.read_bytes() for path in paths]
    more = sample_pictures(vae, n=7, seed=2, output=tmp_path / "more")
    assert [path.read_bytes() for path in more[1:6]] == before[1:], (
        "a sample does not depend on how many there are"
    )
    assert sample_pictures(vae, n=5, seed=3)[1].read_bytes() != before[1]
    assert vae.sample(n=5, seed=2).shape == (5, 1, 8, 8)


def test_ways_through_the_latent_space(vae, tmp_path):
    walk = sample_pictures(vae, walk=6, n=3)
    assert names(walk) == ["walk.png"] and Image.open(walk[0]).n_frames == 6
    assert Image.open(sample_pictures(vae, interpolate=5, n=2)[0]).size == (
        5 * 99 + 3,
        2 * 99 + 3,
    )
    sheet = Image.open(sample_pictures(vae, traverse=True, n=4)[0])
    assert sheet.width > 7 * 99 + 60 and sheet.height == 4 * 99 + 3 + 22
    path = tmp_path / "given.png"
    Image.new("L", (8, 8), 200).save(path)
    found = sample_pictures(vae, invert=path, n=3)
    assert names(found) == ["invert.png", *(f"invert-000{i}.png" for i in range(1, 6))]
    assert set(Image.open(found[1]).convert("L").getdata()) == {200}, "first the picture itself"
    still = sample_pictures(vae, invert=path, n=2, strength=0.0)
    assert (
        still[2].read_bytes()
        == still[3].read_bytes()
        == still[4].read_bytes()
        != still[1].read_bytes()
    )


@pytest.mark.parametrize(
    "asked, sentence",
    [
        ({"walk": 5, "traverse": True}, "--walk and --traverse were both given"),
        ({"directions": True}, "--directions needs a latent space with principal directions"),
        ({"condition": "group=cat"}, "no attribute 'group'"),
        ({"condition": "group"}, "'group' says no value of an attribute"),
        ({"temperature": 1.0}, "--temperature changes nothing in a run that draws from a latent"),
        ({"invert": "absent.png"}, "absent.png does not exist"),
        ({"solver": "euler"}, "--solver is of the equation that a flow solves"),
        ({"steps": 3}, "--steps is of the equation that a flow solves"),
        ({"guidance": 3.0}, "--guidance changes nothing where nothing is asked for"),
        ({"strength": 0.5}, "--strength is how far --invert's variations go"),
    ],
)
def test_what_a_run_cannot_do_is_a_sentence(vae, asked, sentence):
    with pytest.raises(GenwrightError, match=sentence):
        sample_pictures(vae, **asked)
    assert not (vae.folder / "samples").exists()


def test_a_quantiser_draws_nothing_of_its_own(tmp_path):
    codec = ImageCodec(ImageSettings(size=8, channels=1))
    run = run_of(tmp_path, w.vq(codec.space, 8), w.squares(), codec, "vector-quantised")
    for asked, sentence in (
        ({}, "draws none of its own"),
        ({"walk": 3}, "--walk needs a latent space"),
    ):
        with pytest.raises(GenwrightError, match=sentence):
            sample_pictures(run, **asked)
    assert pictures_of(run) == ["Reconstructions"]


def test_conditions_are_read_and_reach_the_model(tmp_path):
    assert read_wanted("kind=disc|bar,tone=dark") == {"kind": ["disc", "bar"], "tone": ["dark"]}
    codec = ImageCodec(ImageSettings(size=8, channels=1), KINDS)
    run = run_of(tmp_path, w.vae(codec.space), w.squares(), codec, "variational")
    seen, decode = [], run.objective.decode
    run.objective.decode = lambda z, *given: seen.append(given) or decode(z, *given)
    sample_pictures(
        run, n=2, condition="kind=bar,tone=dark|none", negative="tone=light", guidance=3.0
    )
    condition, negative, settings = seen[0]
    assert (
        condition.tolist() == [[0, 1, 1, 0, 1]] * 2
        and negative.tolist() == [[0, 0, 0, 1, 0]] * 2
        and settings.guidance == 3
    )
    run.dataset().splits["train"].conditions = torch.ones(1000, 5).numpy()
    run.dataset().splits["held_out"].conditions = torch.ones(200, 5).numpy()
    titles = pictures_of(run)
    assert titles[:3] == ["Samples by kind", "Samples by tone", "Nearest training examples"]


def test_a_comma_of_a_value_is_written_twice():
    assert read_wanted("name=cat,, sitting|dog,kind=disc,,") == {
        "name": ["cat, sitting", "dog"],
        "kind": ["disc,"],
    }
    assert read_wanted({"name": "cat, sitting"}) == {"name": "cat, sitting"}


def guided(folder, drop=0.1):
    codec = ImageCodec(ImageSettings(size=8, channels=1), KINDS)
    run = run_of(folder, w.vae(codec.space, drop=drop), w.squares(), codec, "variational")
    seen, decode = [], run.objective.decode
    run.objective.decode = lambda z, *given: seen.append(given) or decode(z, *given)
    return run, seen


def test_what_is_not_wanted_needs_guidance(tmp_path, caplog):
    run, seen = guided(tmp_path)
    sample_pictures(run, n=1, negative="kind=bar")
    assert seen[-1][2].guidance == 2 and caplog.messages == [
        "what is not wanted needs guidance: it is 2"
    ]
    sample_pictures(run, n=1, negative="kind=bar", guidance=3.0)
    warned = [text for text in caplog.messages if "needs guidance" in text]
    assert seen[-1][2].guidance == 3 and len(warned) == 1
    with pytest.raises(GenwrightError, match="--negative changes nothing at guidance 1"):
        sample_pictures(run, n=1, negative="kind=bar", guidance=1.0)
    run.recipe.sampling = Drawing(guidance=4.0)
    run.sample(n=1, negative="kind=bar")
    warned = [text for text in caplog.messages if "needs guidance" in text]
    assert seen[-1][2].guidance == 4 and len(warned) == 1


def test_a_gan_has_no_guidance(tmp_path):
    codec = ImageCodec(ImageSettings(size=8, channels=1))
    gan = run_of(tmp_path, w.gan(Space(shape=(2,))), w.squares(), codec, "adversarial")
    with pytest.raises(GenwrightError, match="--guidance changes nothing in a GAN"):
        sample_pictures(gan, guidance=1.0)


def test_a_run_that_never_saw_a_condition_follows_none(tmp_path):
    run, seen = guided(tmp_path, drop=1.0)
    for asked in ({"condition": "kind=bar"}, {"negative": "kind=bar"}):
        with pytest.raises(GenwrightError, match="never saw a condition"):
            sample_pictures(run, **asked)
    run.dataset().splits["train"].conditions = torch.ones(1000, 5).numpy()
    assert pictures_of(run)[:2] == [
        "Samples",
        "Nearest training examples",
    ]


def test_pictures_go_where_the_network_is():
    class Model:
        def parameters(self):
            return iter([torch.empty(1, device="meta")])

        def __call__(self, x=None, codes=None):
            return (None, x.device.type == "meta") if codes is None else torch.tensor(codes)

    assert gallery._through_codes(Model(), torch.zeros(2, 1, 8, 8))


@pytest.mark.parametrize("train, held_out", [(1, 0), (2, 1)])
def test_a_report_of_very_few_pictures(tmp_path, train, held_out):
    codec = ImageCodec(ImageSettings(size=8, channels=1))
    run = run_of(tmp_path, w.vae(codec.space), w.squares(train, held_out), codec, "variational")
    assert "Samples" in pictures_of(run)


def test_the_pictures_of_a_report(vae, tmp_path):
    from genwright.reporting.png import write

    for step in (0, 100, 200, 300, 400):
        write(tmp_path / "samples" / f"step-{step:08d}.png", b"step %d" % step)
    found = gallery.gallery(vae)
    assert [p.title for p in found] == [
        "Samples",
        "Nearest training examples",
        "Step 0",
        "Step 200",
        "Step 400",
        "Interpolation",
        "Traversal",
        "Reconstructions",
    ]
    assert [p.png for p in found if p.small] == [b"step 0", b"step 200", b"step 400"] and all(
        p.caption for p in found
    )


def test_a_report_traverses_the_top_of_a_ladder_and_no_noise_of_a_flow(tmp_path):
    from genwright.models.ladder import LadderVae
    from genwright.models.unet import UNetSettings
    from genwright.objectives.flow import Flow
    from genwright.objectives.variational import Variational

    codec = ImageCodec(ImageSettings(size=8, channels=1))
    ladder = LadderVae(units=3, width=8, depth=1).build(codec.space, outputs=2)
    flow = UNetSettings(width=8, levels=1).build(codec.space)
    runs = (
        (Variational().build({"model": ladder}, codec.space), "variational"),
        (Flow().build({"model": flow}, codec.space), "flow"),
    )
    titles = [pictures_of(run_of(tmp_path, o, w.squares(), codec, kind)) for o, kind in runs]
    assert "Traversal" in titles[0] and "Traversal" not in titles[1]


def test_a_negative_reaches_the_variations_of_a_picture(tmp_path):
    run, seen = guided(tmp_path)
    path = tmp_path / "given.png"
    Image.new("L", (8, 8), 200).save(path)
    sample_pictures(run, n=2, invert=path, condition="kind=disc", negative="kind=bar", guidance=2.0)
    assert seen[-1][1][0].tolist() == [0, 1, 0, 0, 0]


def test_a_report_of_pictures_says_how_far_it_is(vae, monkeypatch):
    monkeypatch.setattr(progress, "EVERY", 0.0)
    out = io.StringIO()
    with progress.showing(False, Console(file=out, width=100)):
        shown = gallery.gallery(vae)
    said = out.getvalue().splitlines()
    assert [line for line in said if line.startswith("drawing pictures for the report: 6 of 6")]
    assert len(said) == 6 and {"Interpolation", "Traversal", "Reconstructions"} <= {
        picture.title for picture in shown
    }
