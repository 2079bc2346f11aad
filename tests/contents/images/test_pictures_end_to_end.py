"""A person's own folder of pictures through every command, and what is refused on the way."""

import numpy as np
import pytest
from PIL import Image

from commands import command
from genwright.cli import main
from rooms_here import needs

SMALL = [
    "codec.size=16",
    "model.width=8",
    "training.steps=4",
    "training.batch_size=8",
    "training.evaluate_every=2",
    "training.precision=fp32",
    "watching.samples=12",
    "sampling.steps=2",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with three classes of drawn shapes, of mixed sizes and modes, and a cache."""
    place, dice = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for name, (low, high) in {"dark": (0, 90), "grey": (90, 170), "light": (170, 256)}.items():
        (place / "mine" / name).mkdir(parents=True)
        for i in range(24):
            side, mode = int(dice.integers(12, 40)), ("L", "RGB", "RGBA")[i % 3]
            pixels = dice.integers(low, high, (side, side + i % 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(place / "mine" / name / f"{i}.png")
    return place


@pytest.fixture(scope="module")
def run(place):
    import os

    os.environ["GENWRIGHT_CACHE"] = str(place / "cache")
    folder = place / "run"
    with pytest.raises(SystemExit) as stopped:
        main(
            [
                "train",
                "emoji-flow",
                f"data.path={place / 'mine'}",
                *SMALL,
                "--run",
                str(folder),
                "--quiet",
                "--until",
                "2",
            ]
        )
    assert stopped.value.code == 0
    return folder


def test_the_whole_way(place, run, capsys, monkeypatch):
    monkeypatch.setenv("GENWRIGHT_CACHE", str(place / "cache"))
    code, said, _ = command(capsys, "inspect", "emoji-flow", f"data.path={place / 'mine'}", *SMALL)
    assert code == 0 and "class (3 values)" in said and "class=" in said
    code, said, _ = command(capsys, "train", "emoji-flow", "--run", run, "--resume", "--quiet")
    assert code == 0 and "done" in said
    assert [p.name for p in sorted((run / "samples").glob("step-*"))] == [
        f"step-0000000{i}.png" for i in (0, 2, 4)
    ]
    code, said, _ = command(
        capsys, "sample", run, "-n", 3, "--condition", "class=dark|grey", "--guidance", 2
    )
    assert code == 0 and len(said.splitlines()) == 4
    code, said, _ = command(capsys, "sample", run, "--walk", 4, "--condition", "class=light")
    assert code == 0 and Image.open(said.strip()).n_frames == 4
    code, said, _ = command(
        capsys, "sample", run, "--invert", next((place / "mine" / "dark").iterdir()), "-n", 2
    )
    assert code == 0
    code, said, _ = command(capsys, "evaluate", run)
    assert code == 0
    for word in ("coverage", "recognised class", "balance of class", "independent pixels"):
        assert word in said
    assert "CNN trained on class of the train split" in said, (
        "the extractor is named, with its accuracy"
    )
    code, said, _ = command(capsys, "evaluate", run, "--samples", 40, "--whole")
    assert code == 0 and "40 samples" in said
    code, said, _ = command(capsys, "report", run)
    page = (run / "report.html").read_text()
    assert code == 0 and page.count("data:image/png;base64,") > 4 and "<script" not in page


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["sample", "RUN", "--condition", "colour=red"], "there is no attribute 'colour'"),
        (["sample", "RUN", "--condition", "class=lihgt"], "did you mean 'light'"),
        pytest.param(
            ["sample", "RUN", "--prompt", "x"], "--prompt is for text", marks=needs("text")
        ),
        (["sample", "RUN", "--traverse"], "use --walk or --interpolate"),
        (["sample", "RUN", "--walk", "4", "--traverse"], "one of them at a time"),
        (["sample", "RUN", "--invert", "nowhere.png"], "nowhere.png"),
        pytest.param(
            ["export", "RUN", "somewhere"], "--to hf is for language models", marks=needs("text")
        ),
        (["train", "emoji-flow", "data.path=MINE", "codec.size=18"], "18"),
        (["train", "emoji-gan", "data.path=MINE", "codec.size=50"], "50"),
        (
            ["train", "emoji-flow", "data.path=MINE", "objective=adversarial"],
            "model.generator, model.discriminator",
        ),
        (["train", "emoji-flow", "data.path=MINE", "model=conv-vae"], "no velocity network"),
        pytest.param(
            ["train", "emoji-flow", "data.path=MINE", "codec=bytes"],
            "codec bytes is for text",
            marks=needs("text"),
        ),
        (["train", "emoji-flow", "data.path=EMPTY"], "no picture"),
        (
            [
                "train",
                "emoji-gan",
                "data.path=MINE",
                "objective.packing=3",
                "training.batch_size=8",
            ],
            "must be multiples of 3",
        ),
        (
            [
                "inspect",
                "emoji-gan",
                "data.path=MINE",
                "objective.packing=3",
                "training.batch_size=8",
            ],
            "must be multiples of 3",
        ),
    ],
)
def test_what_does_not_go_is_one_sentence(words, sentence, place, run, capsys, monkeypatch):
    monkeypatch.setenv("GENWRIGHT_CACHE", str(place / "cache"))
    monkeypatch.chdir(place)
    (place / "empty").mkdir(exist_ok=True)
    names = {
        "RUN": str(run),
        "data.path=MINE": f"data.path={place / 'mine'}",
        "data.path=EMPTY": f"data.path={place / 'empty'}",
    }
    code, out, said = command(capsys, *(names.get(word, word) for word in words))
    assert code == 2 and said.startswith("error: ") and said.count("\n") == 1, said
    assert sentence in said
    assert not (place / "runs").exists() or not list((place / "runs").iterdir()), (
        "nothing is left of what was refused"
    )


def test_a_flow_that_was_trained_in_bf16_is_sampled_so(place, capsys, monkeypatch):
    import torch

    import genwright
    from genwright.objectives.flow import FlowObjective

    monkeypatch.setenv("GENWRIGHT_CACHE", str(place / "cache"))
    words = [w for w in SMALL if "precision" not in w and "steps" not in w]
    code, _, said = command(
        capsys,
        "train",
        "emoji-flow",
        f"data.path={place / 'mine'}",
        *words,
        "training.steps=2",
        "training.precision=bf16",
        "sampling.steps=2",
        "watching.samples=0",
        "--run",
        place / "bf16",
        "--quiet",
    )
    assert code == 0, said
    run = genwright.load(place / "bf16")
    assert {p.dtype for p in run.model.parameters()} == {torch.bfloat16}
    drawn = run.sample(n=2, condition="class=dark")
    assert drawn.shape == (2, 3, 16, 16) and drawn.dtype == torch.float32 and drawn.isfinite().all()
    monkeypatch.setattr(FlowObjective, "draws_in_training_precision", False)
    loaded = genwright.load(place / "bf16")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}, "the objective decides"


def test_values_in_turn(run, caplog):
    """Each sample is the one that is drawn where its value alone is asked for."""
    import torch

    import genwright

    loaded = genwright.load(run)
    options = {"seed": 3, "steps": 2, "guidance": 2.0}
    drawn = loaded.sample(n=5, evenly="class", **options)
    assert "no rates of the model" in caplog.text
    for place, value in enumerate(["dark", "grey", "light", "dark", "grey"]):
        alone = loaded.sample(n=1, first=place, condition=f"class={value}", **options)
        assert torch.allclose(drawn[place], alone[0], atol=1e-5)
    for refused, words in (
        ({"evenly": "colour"}, "there is no attribute 'colour'"),
        ({"evenly": "class", "condition": "class=dark"}, "a value of class is asked for"),
        ({"evenly": "class", "walk": 3}, "walk is a way through the latent space"),
    ):
        with pytest.raises(genwright.GenwrightError, match=words):
            loaded.sample(n=2, **refused)


def test_a_gan_of_pictures_through_every_way(place, capsys, monkeypatch):
    monkeypatch.setenv("GENWRIGHT_CACHE", str(place / "cache"))
    run = place / "gan"
    words = [
        "codec.size=16",
        "model.generator.width=8",
        "model.discriminator.width=8",
        "objective.latent=8",
        "training.steps=2",
    ]
    words += ["training.batch_size=8", "watching.samples=0", f"data.path={place / 'mine'}"]
    assert command(capsys, "train", "emoji-gan", *words, "--run", run, "--quiet")[0] == 0
    picture = next((place / "mine" / "light").iterdir())
    for asked in (["walk", 3], ["traverse"], ["directions"], ["invert", picture]):
        code, said, problem = command(capsys, "sample", run, "-n", 2, f"--{asked[0]}", *asked[1:])
        assert code == 0 and (run / "samples" / f"{asked[0]}.png").is_file(), problem
    code, _, said = command(capsys, "sample", run, "--solver", "heun")
    assert code == 2 and "this run is no flow" in said
    code, _, said = command(capsys, "sample", run, "--strength", 0.5)
    assert code == 2 and "--invert" in said
    assert (
        command(capsys, "report", run)[0] == 0 and "Traversal" in (run / "report.html").read_text()
    )
