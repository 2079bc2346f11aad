"""Alarms: as pure functions, and proved by runs in which they must ring and runs in which they must
not; what is drawn and measured."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

import watched as w
from genwright.core.errors import GenwrightError
from genwright.evaluation.held_out import measure
from genwright.runs.alarms import alarms, ringing, rows_of
from genwright.training.engine import Engine
from genwright.training.loop import Rollback
from genwright.training.records import read, without_clock
from genwright.training.session import Session
from genwright.training.settings import Training, Watching

FIRST_WORDS = (
    "mode collapse",
    "the discriminator has won",
    "posterior collapse",
    "dead codebook",
    "memorising",
)


def rung(rows, **settings):
    return [text.split(":")[0] for text in ringing(rows, Watching(**settings))]


# ---- by hand


@pytest.mark.parametrize(
    "name, good, bad, rows",
    [
        (
            "mode collapse",
            {"coverage": 0.8, "precision": 0.7},
            {"coverage": 0.3, "precision": 0.1},
            2,
        ),
        (
            "mode collapse",
            {"coverage": 0.05, "precision": 0.1},
            {"coverage": 0.12, "precision": 0.9},
            2,
        ),
        (
            "the discriminator has won",
            {"wins": 0.8, "coverage": 0.5},
            {"wins": 0.999, "coverage": 0.5},
            3,
        ),
        (
            "posterior collapse",
            {"active_units": 9.0, "kl": 20.0},
            {"active_units": 0.0, "kl": 0.02},
            2,
        ),
        (
            "posterior collapse",
            {"active_units": 9.0, "kl": 20.0},
            {"active_units": 3.0, "kl": 0.04},
            2,
        ),
        ("dead codebook", {"used": 0.9}, {"used": 0.1}, 2),
        (
            "memorising",
            {"memorised": 0.06, "memorised_floor": 0.05},
            {"memorised": 0.6, "memorised_floor": 0.05},
            2,
        ),
    ],
)
def test_an_alarm_rings_once_until_it_was_quiet(name, good, bad, rows):
    history, heard = [], []
    for row in [good] * 3 + [bad] * 5 + [good] * 3 + [bad] * 5:
        history.append(row)
        heard.append(rung(history))
    assert all(found in ([], [name]) for found in heard)
    assert [i for i, found in enumerate(heard) if found] == [2 + rows, 10 + rows], (
        "after as many in a row as it needs, once each time"
    )
    assert rung([good, good, *[bad] * rows], coverage=0, wins=1, used=0, memorised=1) == (
        [] if name != "posterior collapse" else [name]
    )


def test_what_is_no_cause_for_alarm():
    assert rung([]) == [] and rung([{"loss": 1.0}] * 5) == []
    assert rung([{"wins": 0.999, "coverage": 0.1 * i, "precision": 0.2} for i in range(5)]) == [], (
        "it wins, and samples get better"
    )
    rows = [
        {"wins": 0.999, "discriminator_loss": loss, "coverage": 0.5} for loss in (0.3, 0.3, 0.3)
    ]
    assert rung(rows) == [], "it wins by little: it still doubts"
    assert len(rung([row | {"discriminator_loss": 0.001} for row in rows])) == 1
    assert rung([{"coverage": c, "precision": 0.1} for c in (0.8, 0.3, 0.8)]) == [], (
        "one bad evaluation"
    )
    assert rung([{"memorised": 0.6, "memorised_floor": 0.5}] * 3) == [], (
        "where held-out examples are as near"
    )


def test_every_alarm_says_what_happens_and_what_to_try():
    settings, bad = (
        Watching(),
        {
            "coverage": 0.1,
            "precision": 0.9,
            "wins": 1.0,
            "active_units": 0.0,
            "kl": 0.0,
            "used": 0.01,
        },
    )
    rows = [{"coverage": 0.9}] + [bad | {"memorised": 1.0, "memorised_floor": 0.05}] * 3
    for text, words in zip(alarms(rows, settings), FIRST_WORDS, strict=True):
        what, remedy = text.split("; ")
        assert what.startswith(words) and remedy.startswith("try ")


def test_rows_are_evaluations_with_the_means_of_the_steps_before():
    lines = [
        {"step": 1, "wins": 0.5},
        {"step": 2, "wins": 0.7},
        {"step": 2, "held_out": {"wins": 0.1, "loss": 3.0, "bad": None}},
        {"step": 3, "wins": None},
        {"step": 4, "held_out": {"loss": float("nan")}},
    ]
    assert [len(rows_of(lines[: n + 1])) for n in range(5)] == [0, 0, 1, 1, 2]
    assert rows_of(lines) == [{"loss": 3.0, "wins": pytest.approx(0.6)}, {}]


# ---- by runs


class Deaf:
    """A GAN whose discriminator learns no more after a while: the generator ends at the one place
    that it likes best."""

    def __init__(self, objective, until):
        self.objective, self.until = objective, until

    def __getattr__(self, name):
        return getattr(self.objective, name)

    def turns(self, step):
        turns = self.objective.turns(step)
        if step >= self.until:
            next(turns)
        return turns


HOPELESS = {"optimizers": {"generator": w.adam(1e-7), "discriminator": w.adam(5e-3, 0.9, 0.99)}}
RUNS = {
    "a good gan": (
        lambda: (w.gan(w.ring().codec.space), w.ring()),
        {"steps": 600, "evaluate_every": 100},
        None,
    ),
    "a deaf discriminator": (
        lambda: (Deaf(w.gan(w.ring().codec.space), 300), w.ring()),
        {"steps": 700, "evaluate_every": 100},
        0,
    ),
    "a generator that cannot learn": (
        lambda: (
            w.gan(w.ring(std=0.02).codec.space, loss="non-saturating", r1=0.0, r2=0.0),
            w.ring(std=0.02),
        ),
        {"steps": 500} | HOPELESS,
        1,
    ),
    "a good vae": (lambda: (w.vae(w.squares().codec.space), w.squares()), {"steps": 200}, None),
    "a vae with beta 500": (
        lambda: (w.vae(w.squares().codec.space, beta=500.0), w.squares()),
        {"steps": 200},
        2,
    ),
    "a good vq": (lambda: (w.vq(w.squares().codec.space, 16), w.squares()), {"steps": 150}, None),
    "a vq with 4096 codes": (
        lambda: (w.vq(w.squares().codec.space, 4096), w.squares()),
        {"steps": 150},
        3,
    ),
    "a flow on 2000 points": (
        lambda: (w.flow(w.cloud(2).codec.space), w.cloud(2000)),
        {"steps": 450, "evaluate_every": 150},
        None,
    ),
    "a flow on 6 points": (
        lambda: (w.flow(w.cloud(2).codec.space), w.cloud(6)),
        {"steps": 800, "evaluate_every": 200},
        4,
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_an_alarm_rings_in_the_run_that_needs_it_and_in_no_other(name, tmp_path):
    make, settings, wanted = RUNS[name]
    settings = settings | ({"optimizer": w.adam(5e-3, 0.9, 0.99)} if "flow" in name else {})
    events, rows = w.play(tmp_path, *make(), **settings)
    heard = {text.split(":")[0] for _, text in events}
    assert heard == (set() if wanted is None else {FIRST_WORDS[wanted]}), rows


@pytest.fixture(scope="module")
def collapsed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("collapsed")
    return folder, *w.play(folder, *RUNS["a vae with beta 500"][0](), steps=200)


def test_what_an_alarm_does(collapsed, tmp_path):
    folder, events, _ = collapsed
    (step, text), *others = events
    assert not others and {"step": step, "event": text} in read(folder / "metrics.jsonl")
    make = RUNS["a vae with beta 500"][0]
    for name in ("stop", "rollback"):
        (tmp_path / name).mkdir()
    stopped = Watching(samples=0, on_alarm="stop")
    assert w.play(tmp_path / "stop", *make(), stopped, steps=200)[0] == events
    assert max(r["step"] for r in read(tmp_path / "stop" / "metrics.jsonl")) == step
    with pytest.raises(Rollback, match="^posterior collapse: .* ignores them$") as found:
        w.play(tmp_path / "rollback", *make(), Watching(samples=0, on_alarm="rollback"), steps=200)
    assert found.value.step == step and found.value.remedy.startswith("try ")


def test_a_history_is_built_again_from_the_records(collapsed):
    folder, _, rows = collapsed
    hook = w.Alarms(Watching(), Engine("cpu"), folder / "metrics.jsonl", print)
    hook.follow(150, {"step": 150, "held_out": {"loss": 1.0}})
    assert rows_of(hook.records) == [*rows[:2], {"loss": 1.0}], (
        "exactly the steps before, each once"
    )
    hook.follow(151, {"step": 151})
    assert len(rows_of(hook.records)) == 3
    hook.follow(101, {"step": 101})
    assert rows_of(hook.records) == rows[:2], "after a rollback the later ones never were"


# ---- what is drawn and measured


def watch(folder, objective, dataset, **settings):
    return w.watch(folder, objective, dataset, Watching(**settings), seed=3)


def test_a_grid_and_metrics_of_a_fixed_seed(tmp_path):
    objective, dataset = w.gan(w.ring().codec.space), w.ring()
    objective.modules["generator"].train()
    found = watch(tmp_path, objective, dataset, samples=100)(500)
    assert set(found) == {
        "precision",
        "recall",
        "density",
        "coverage",
        "frechet",
        "memorised",
        "memorised_floor",
    }
    dataset.means, dataset.std = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 0.1
    assert set(watch(tmp_path, objective, dataset, samples=100)(500)) == {
        *found,
        "modes",
        "high_quality",
        "reverse_kl",
    }
    dataset.means = None
    assert objective.modules["generator"].training, "left as it was"
    path = tmp_path / "samples" / "step-00000500.png"
    assert Image.open(path).size == (640, 640) and [p.name for p in path.parent.iterdir()] == [
        path.name
    ]
    before = path.read_bytes()
    assert (
        watch(tmp_path, objective, dataset, samples=100)(500) == found
        and path.read_bytes() == before
    )


def test_pictures_are_a_grid_and_little_data_leaves_metrics_out(tmp_path):
    objective, dataset = w.vae(w.squares().codec.space), w.squares(train=4, held_out=0)
    assert watch(tmp_path, objective, dataset, samples=20)(0) == {}
    grid = Image.open(io.BytesIO((tmp_path / "samples" / "step-00000000.png").read_bytes()))
    assert grid.size == (8 * 99 + 3, 3 * 99 + 3)


def test_samples_are_given_the_conditions_of_real_examples(tmp_path):
    from genwright.core.contracts import Latent, Space

    dataset = w.cloud(10)
    dataset.codec.space = Space(shape=(2,), attributes={"kind": ("a", "b")})
    dataset.splits["train"].conditions = np.eye(2, dtype=np.uint8)[np.arange(10) % 2]
    seen = []

    class Seen(Latent):
        latent = (2,)
        modules = {"net": torch.nn.Linear(2, 2)}

        def decode(self, z, condition, negative, settings):
            seen.append(condition)
            return z

    watch(tmp_path, Seen(), dataset, samples=30)(0)
    assert torch.cat(seen).mean(0).tolist() == [0.5, 0.5], (
        "30 samples of 10 examples: each condition three times"
    )


# ---- in a run's folder


def session(folder, on_alarm="warn"):
    """A VAE that collapses, as `genwright train` would watch it."""
    dataset, watching = w.squares(), Watching(samples=60, on_alarm=on_alarm, coverage=0.0)
    objective, engine = w.vae(dataset.codec.space, beta=500.0), Engine("cpu")
    folder.mkdir(exist_ok=True)
    watch = w.watch(folder, objective, dataset, watching, engine=engine)

    def held_out(step):
        return measure(objective, dataset.held_out(), batch=64, engine=engine) | watch(step)

    settings = Training(
        steps=160,
        batch_size=32,
        optimizer=w.adam(2e-3),
        precision="fp32",
        evaluate_every=20,
        checkpoint_every=40,
        ema=0.9,
    )
    made = Session(
        folder,
        objective,
        dataset.stream(32, 1),
        settings,
        engine,
        seed=1,
        measure=held_out,
    )
    made.watchers = [w.Alarms(watching, engine, folder / "metrics.jsonl", made.note)]
    return made


def lines(folder):
    return [without_clock(r) for r in read(folder / "metrics.jsonl")]


def test_a_run_that_was_stopped_hears_and_shows_the_same(tmp_path):
    session(tmp_path / "whole").train()
    whole = lines(tmp_path / "whole")
    (step,) = [r["step"] for r in whole if "event" in r]
    for until in (step - 10, step, step + 1):
        folder = tmp_path / str(until)
        session(folder).train(until=until)
        assert session(folder).train(resume=True)[1] == "finished"
        assert lines(folder) == whole
        for path in (tmp_path / "whole" / "samples").iterdir():
            assert (folder / "samples" / path.name).read_bytes() == path.read_bytes()


def test_an_alarm_stops_a_run_or_rolls_it_back_until_that_is_enough(tmp_path):
    state, ended = session(tmp_path / "stop", "stop").train()
    assert (
        ended == "interrupted"
        and state.step < 160
        and "posterior collapse" in lines(tmp_path / "stop")[-1]["event"]
    )
    with pytest.raises(
        GenwrightError,
        match="after 2 rollbacks: posterior collapse: .*; try a smaller objective.beta",
    ):
        session(tmp_path / "rollback", "rollback").train()
    told = [r["event"] for r in lines(tmp_path / "rollback") if "event" in r]
    assert told[0].startswith("rolled back from step") and told[-1].startswith(
        "stopped: posterior collapse"
    )


def test_what_cannot_be_asked_for_is_not_and_fresh_examples_are_of_all_held_out(tmp_path):
    dataset, asked = w.squares(train=200, held_out=400), []
    objective = w.vae(dataset.codec.space)
    dataset.splits["train"].conditions = np.ones((200, 2), np.uint8)
    watched, decode = watch(tmp_path, objective, dataset, samples=100), objective.decode
    objective.decode = lambda z, condition, *rest: (
        asked.append(condition) or decode(z, condition, *rest)
    )
    seen, take = [], dataset.splits["held_out"].take
    dataset.splits["held_out"].take = lambda numbers: seen.append(numbers) or take(numbers)
    watched(0)
    assert asked and all(condition is None for condition in asked), (
        "it was built without conditions"
    )
    assert len(seen[0]) == 100 and seen[0].max() > 300 and abs(seen[0].mean() - 200) < 40


def test_an_alarm_says_of_how_many_samples():
    """The table of `evaluate` may say another coverage, of more samples."""
    rows = [
        {"coverage": value, "memorised": 0.9, "memorised_floor": 0.05} for value in (0.8, 0.1, 0.1)
    ]
    collapsed, memorising = alarms(rows, Watching(samples=200))
    assert collapsed.startswith("mode collapse: 200 samples cover 10% of as many real ones")
    assert memorising.startswith("memorising: 90% of 200 samples are nearer")
