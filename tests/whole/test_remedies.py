"""Remedies depend on what is set: no one is told to set what is set already. And the names and
words that a person may give."""

import shlex
from types import SimpleNamespace

import pytest
import torch

import genwright
from genwright.contents.music.options import SampleOptions
from genwright.contents.music.sampler import check_request, check_rules
from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
from genwright.contents.text.generate import generate_all as generate
from genwright.core.contracts import Loss, Objective, Source, Space, Turn
from genwright.core.errors import GenwrightError
from genwright.models import hf
from genwright.models.presets import TransformerSettings
from genwright.recipe.mistyped import value_of
from genwright.recipe.schema import Recipe
from genwright.recipe.suggestions import settings_meant
from genwright.runs.alarms import alarms
from genwright.runs.memory import too_large
from genwright.sampling.drawing import Decoding
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.session import Session
from genwright.training.settings import Training, Watching

TEXT = {
    "data": {"context": 8, "held_out": 0.3},
    "codec": "bytes",
    "model": {"depth": 1, "width": 16, "heads": 1},
}
QUICK = {
    "training.steps": 3,
    "training.batch_size": 2,
    "training.threads": 1,
    "training.precision": "fp32",
}


def corpus(folder, cache):
    for i in range(6):
        (folder / f"{i}.txt").write_text(
            f"a text of some words, number {i}, long enough for windows\n" * 3
        )
    return {"data.path": str(folder), "data.cache": str(cache)}


# ---- remedies


def test_a_single_document_whose_tail_is_too_short_is_not_told_to_hold_out_its_tail(tmp_path):
    path = tmp_path / "one.txt"
    path.write_text("a short text")
    said = {}
    for split in ("documents", "tail"):
        data = TextData(
            path=str(path), cache=str(tmp_path / "cache"), split=split, held_out=0.99, context=4
        )
        with pytest.raises(GenwrightError, match="single document") as caught:
            data.prepare(Bytes())
        said[split] = str(caught.value)
    assert "set data.split=tail" in said["documents"]
    assert "data.split" not in said["tail"] and "another data.held_out than 0.99" in said["tail"]


@pytest.mark.parametrize(
    "clip, words", [(None, "set training.clip"), (0.5, "lower training.clip, which is 0.5")]
)
def test_a_run_that_is_clipped_is_not_told_to_clip(clip, words):
    class Hook(loop.Hook):
        def after_step(self, state, record):
            state.bad, record["skipped"] = 9, "loss is not finite"

    class Plain(Objective):
        modules = {"model": torch.nn.Linear(1, 1)}  # noqa: RUF012
        draws, unit, double_backward = 1, 1, False

        def prepare(self, batch, draws, ranks):
            return batch

        def turns(self, step):
            ones = torch.ones(2)
            yield Turn(
                ("model",),
                lambda batch: Loss(self.modules["model"](batch["x"])[:, 0], ones, {}),
            )

        def after_step(self, metrics, sums):
            return None

    stream = SimpleNamespace(
        size=2,
        units=1,
        unit="things",
        batch=lambda *_: {"x": torch.ones(2, 1)},
        sources=lambda position, examples: [Source("things") for _ in examples],
    )
    settings = Training(steps=3, clip=clip, optimizer={"kind": "adamw", "learning_rate": 0.1})
    engine = Engine("cpu")
    with pytest.raises(loop.Rollback) as caught:
        loop.run(
            Plain(),
            stream,
            loop.start(Plain(), settings, engine),
            3,
            settings=settings,
            engine=engine,
            hooks=[Hook()],
        )
    assert words in caught.value.remedy


def test_what_does_not_fit_into_memory_is_halved_until_one_example_is_left():
    recipe = Recipe.load("docs", {"training.batch_size": 16})
    assert "set training.micro_batch=8 or less" in str(too_large(recipe, 1))
    less = recipe.overridden({"training.micro_batch": 3})
    assert "with 3 examples at once; set training.micro_batch=1 or less" in str(too_large(less, 1))
    least = str(too_large(recipe.overridden({"training.micro_batch": 1}), 1))
    assert (
        "micro_batch" not in least and "lower the model's width or depth, or data.context" in least
    )
    assert "data.context" not in str(too_large(Recipe.load("emoji-vae"), 1))


def test_a_run_out_of_memory_says_so(tmp_path, monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError(
            "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
        )

    monkeypatch.setattr(Session, "train", fail)
    recipe = Recipe.of({"name": "x", **TEXT})
    (tmp_path / "texts").mkdir()
    with pytest.raises(
        GenwrightError, match="out of memory, with 2 examples at once; set training.micro_batch=1"
    ):
        genwright.train(
            recipe,
            run=tmp_path / "r",
            quiet=True,
            **corpus(tmp_path / "texts", tmp_path / "cache"),
            **QUICK,
        )


def test_an_alarm_does_not_advise_augmentation_that_is_on():
    rows = [{"wins": 1.0, "coverage": 0.5, "memorised": 1.0, "memorised_floor": 0.0}] * 4
    plain, augmented = (
        " ".join(alarms(rows, Watching(), SimpleNamespace(augment=on))) for on in (False, True)
    )
    assert "objective.augment=true" in plain and "or augmentation" in plain
    assert "augment" not in augmented and "a smaller discriminator" in augmented


def test_an_export_of_a_changed_preset_names_what_was_changed(tmp_path):
    settings = TransformerSettings(preset="llama", depth=1, width=8, heads=2, norm="plain")
    with pytest.raises(
        GenwrightError, match="train with model.preset=llama and leave model.norm out"
    ):
        hf.export(settings.build(Space(vocabulary=5), 4), None, tmp_path / "out")


def test_rules_say_what_they_need(caplog):
    four, one, events = (
        SimpleNamespace(rows=True, voices=4),
        SimpleNamespace(rows=True, voices=1),
        SimpleNamespace(rows=False, voices=1),
    )
    check_rules(four, True)
    assert not caplog.messages
    check_rules(one, True)
    assert "of a single voice --rules keeps the range" in caplog.text
    with pytest.raises(
        GenwrightError,
        match=(
            "masked model writes all places at once; leave it out, or train with objective=causal"
        ),
    ):
        check_rules(four, False)
    with pytest.raises(
        GenwrightError,
        match="one note after the other; leave it out, or train with codec.kind=grid",
    ):
        check_rules(events, True)


# ---- names and words


@pytest.mark.parametrize(
    "file, name",
    [
        ("my recipe.yaml", "my recipe"),
        ("my recipe (1).yaml", "my recipe-1"),
        ("größe 2.yaml", "größe 2"),
        ("a+b.v2.yaml", "a+b.v2"),
        ("[draft] notes & code.yaml", "draft-notes-code"),
        ("-x.yaml", "x"),
        ("(1).yaml", "1"),
        ("天地.yaml", "天地"),
        ("'.yaml", "recipe"),
        ("x" * 120 + ".yaml", "x" * 100),
    ],
)
def test_a_run_is_named_after_its_recipe_file_whatever_that_is_called(file, name, tmp_path):
    (tmp_path / file).write_text("model: {depth: 1}\n")
    assert Recipe.load(tmp_path / file).name == name


def test_a_name_that_a_person_writes_is_not_changed(tmp_path):
    (tmp_path / "x (1).yaml").write_text("name: a (1)\n")
    with pytest.raises(GenwrightError, match="use letters, digits, spaces"):
        Recipe.load(tmp_path / "x (1).yaml")


def test_a_recipe_with_spaces_and_brackets_trains_and_says_how_to_go_on(
    tmp_path, monkeypatch, caplog
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my texts (1)").mkdir()
    changes = corpus(tmp_path / "my texts (1)", tmp_path / "cache") | QUICK
    (tmp_path / "my recipe (1).yaml").write_text(
        Recipe.of({"name": "x", **TEXT}).dump().replace("name: x\n", "")
    )

    def interrupted(self, *args):
        return SimpleNamespace(step=0), "interrupted"

    caplog.set_level("INFO", "genwright")
    with monkeypatch.context() as patched:
        patched.setattr(Session, "train", interrupted)
        genwright.train("my recipe (1).yaml", **changes)
    said = caplog.messages[-1]
    command = shlex.split(said[said.index("go on with: ") + len("go on with: ") :])
    assert command == [
        "genwright",
        "train",
        "my recipe (1).yaml",
        "--run",
        "runs/my recipe-1",
        "--resume",
    ]
    run = genwright.train(command[2], run=command[4], resume=True, quiet=True)
    assert run.step == 3 and run.folder.name == "my recipe-1"
    assert [sample.prompt for sample in run.sample(prompts="abc", n=2, max_tokens=4)] == [
        "abc",
        "abc",
    ]
    run.sample("abc", max_tokens=1)


def test_one_text_is_one_prompt():
    codec = Bytes().train(iter([]))
    model = TransformerSettings(depth=1, width=8, heads=1).build(codec.space, 16)
    settings = Decoding(max_tokens=3)
    assert [s.prompt for s in generate(model, codec, "abc", 2, settings)] == ["abc", "abc"]
    assert generate(model, codec, "abc", 2, settings) == generate(
        model, codec, ["abc"], 2, settings
    )


@pytest.mark.parametrize(
    "changed", [{"data": "images"}, {"model": {"kind": "unet", "preset": "nanochat"}}]
)
def test_a_setting_of_another_kind_is_not_what_is_advised(changed):
    """`docs` has model.preset, which a network of pictures has not."""
    with pytest.raises(
        GenwrightError, match="model.preset is not a setting; known: attention, blocks"
    ) as caught:
        Recipe.load("docs", changed)
    assert "did you mean" not in str(caught.value)


def test_settings_that_are_meant():
    known = [
        "seed",
        "training.steps",
        "training.batch_size",
        "training.schedule.warmup",
        "objective.warmup",
        "model.depth",
    ]
    assert settings_meant("--steps", known) == ["training.steps"]
    assert settings_meant("warmup", known) == ["training.schedule.warmup", "objective.warmup"]
    assert settings_meant("--n-layer", known) == ["model.depth"]
    assert settings_meant("--batchsize", known) == ["training.batch_size"] and not settings_meant(
        "--batchsize", known, exact=True
    )
    assert settings_meant("--training.steps", known) == ["training.steps"] and not settings_meant(
        "--colour", known
    )
    words = ["docs", "--steps", "5", "--lr=0.1", "--compile", "--seed", "a=b"]
    assert [value_of(option, words) for option in ("--steps", "--lr", "--compile", "--seed")] == [
        "5",
        "0.1",
        None,
        None,
    ]


def test_a_soundfont_that_is_not_there_is_named_before_anything_is_drawn(tmp_path):
    model = SimpleNamespace(settings=SimpleNamespace(causal=True))
    opened = SimpleNamespace(objective=SimpleNamespace(modules={"model": model}))
    options = SampleOptions(soundfont=tmp_path / "no.sf2")
    with pytest.raises(GenwrightError, match=r"--soundfont: there is no file .*no\.sf2; give the"):
        check_request(opened, options)
