"""A run that learned from rewards beside its alternatives, through real tiny runs of codes."""

import json

import pytest

from commands import command
from genwright.api import train
from genwright.core.errors import GenwrightError
from genwright.rewards.alternatives import kl_of_best
from genwright.rewards.frontier import frontier
from genwright.rewards.frontier_points import read_frontier
from genwright.runs.run import load
from genwright.training.session import Session

tiny_codes = pytest.importorskip("tiny_codes")  # of the room of images


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return tiny_codes.rewarded_codes(tmp_path_factory.mktemp("frontier"), steps=6)


@pytest.fixture(scope="module")
def whole(learned):
    _, run = learned
    return frontier(run.folder, weights=[0.0, 1.0], best_of=[2, 4], samples=32, quiet=True)


def test_every_alternative_is_measured(whole, learned):
    base, run = learned
    names = [point.name for point in whole.points]
    assert names == [
        "before",
        "best of 2",
        "best of 4",
        "kl weight 0.02",
        "kl weight 0",
        "kl weight 1",
        "trained on the best",
        "supervised, as long",
    ]
    assert whole.left_out == [
        "Nothing was drawn under rules: this kind of content has no rules that rule out tokens."
    ]
    points = {point.name: point for point in whole.points}
    before = points["before"]
    assert before.kl == pytest.approx(0, abs=1e-6) and before.seconds == 0
    assert before.best_of["1"] == pytest.approx(before.reward)
    two, four = points["best of 2"], points["best of 4"]
    assert before.reward < two.reward < four.reward
    assert before.best_of["4"] == four.reward and four.draws == 4
    assert two.kl == kl_of_best(2) and two.is_bound and not before.is_bound
    for point in whole.points[3:]:
        assert point.kl > 0 and point.kl_token == pytest.approx(point.kl / 4)
        assert point.seconds > 0
        assert set(point.parts) >= {"reward/colour", "watched/saturation"}
    # each was trained as it says, from the same weights
    kl = load(run.folder / "frontier" / "kl-1")
    assert kl.recipe.objective.kl == 1 and kl.step == 6
    best = load(run.folder / points["trained on the best"].folder).recipe.objective
    assert best.baseline == "best" and best.kl == 0
    supervised = load(run.folder / "frontier" / "supervised")
    assert supervised.recipe.objective.kind == "causal"
    assert supervised.environment["from"]["source"] == str(base.folder)
    assert points["kl weight 1"].held_out == kl.records[-1]["held_out"]["loss"]


def test_it_is_kept_and_read_again(whole, learned):
    _, run = learned
    again = read_frontier(run.folder)
    assert again == whole
    lines = whole.lines()
    assert len(lines) == 1 + len(whole.points) + 1
    assert "at most 0.193" in lines[2] and "2 draws a sample" in lines[2]


def test_what_is_trained_already_is_measured_as_it_is(whole, learned):
    _, run = learned
    folder = run.folder / "frontier" / "kl-0"
    before = (folder / "metrics.jsonl").read_bytes()
    found = frontier(run.folder, weights=[0.0], best_of=[2, 4], samples=32, quiet=True)
    assert (folder / "metrics.jsonl").read_bytes() == before
    assert found.points[3:5] == whole.points[3:5]


def test_a_run_beside_it_that_was_stopped_is_no_point(learned, monkeypatch):
    _, run = learned
    with monkeypatch.context() as patched:
        patched.setattr(Session, "stop", lambda self, state: state.step == 2)
        with pytest.raises(GenwrightError, match=r"kl-0.3 was stopped at step 2 of 6"):
            frontier(run.folder, [0.3], [2], samples=8, quiet=True)
    assert [point.name for point in read_frontier(run.folder).points][-1] == "kl weight 0.02"
    found = frontier(run.folder, [0.3], [2], samples=8, quiet=True)
    assert "kl weight 0.3" in [point.name for point in found.points]
    assert load(run.folder / "frontier" / "kl-0.3").step == 6


def test_without_training_it_is_the_run_beside_what_needs_none(learned):
    _, run = learned
    found = frontier(run.folder, best_of=[2], samples=8, train=False)
    assert [point.name for point in found.points] == ["before", "best of 2", "kl weight 0.02"]
    assert found.left_out[-1] == "No run beside this one was trained."


def test_a_person_asks_for_it(learned, capsys):
    _, run = learned
    words = ["--best-of", 2, "-n", 8, "--no-train", "--quiet"]
    code, out, _ = command(capsys, "reward", "frontier", run.folder, *words)
    assert code == 0
    lines = out.splitlines()
    assert [line.split("  ")[0] for line in lines[1:4]] == ["before", "best of 2", "kl weight 0.02"]
    assert lines[-1] == "No run beside this one was trained."
    code, _, err = command(capsys, "reward", "frontier", run.folder, "-n", 8, "--no-train")
    assert code == 2 and "too few to keep the best of 16" in err


def test_what_cannot_be_compared_is_refused(learned, tmp_path):
    base, run = learned
    with pytest.raises(GenwrightError, match="was trained with objective causal"):
        frontier(base.folder)
    with pytest.raises(GenwrightError, match="3 samples are too few"):
        frontier(run.folder, best_of=[4], samples=3)
    assert read_frontier(tmp_path) is None
    (tmp_path / "frontier.json").write_text('{"run": 1}')
    with pytest.raises(GenwrightError, match=r"frontier.json is damaged"):
        read_frontier(tmp_path)


def test_a_model_of_before_that_is_another_one_is_refused(learned):
    base, run = learned
    path = run.folder / "environment.json"
    facts = json.loads(path.read_text())
    for source, words in ((str(run.folder), "has changed since"), ("gone", "which is gone")):
        changed = facts | {"from": facts["from"] | {"source": source}}
        path.write_text(json.dumps(changed))
        try:
            with pytest.raises(GenwrightError, match=words):
                frontier(run.folder, weights=[], best_of=[2], samples=8, quiet=True)
        finally:
            path.write_text(json.dumps(facts))


def test_measures_of_a_person_s_own_are_named_again(learned, tmp_path):
    base, run = learned
    file = tmp_path / "mine.py"
    file.write_text(
        "import genwright\n"
        "@genwright.measure(content='image', unit='luma')\n"
        "def light(pictures):\n"
        "    return [float(x.mean()) for x in pictures]\n"
    )
    word = f"{file}:light"
    recipe = run.recipe.overridden({"objective.rewards": []})
    own = train(recipe, run=tmp_path / "own", start=str(base.folder), reward=word, quiet=True)
    with pytest.raises(GenwrightError, match="which is not named now"):
        frontier(own.folder, best_of=[2], samples=8)
    found = frontier(own.folder, [0.5], [2], samples=8, quiet=True, reward=[word])
    assert [point.name for point in found.points][:4] == [
        "before",
        "best of 2",
        "kl weight 0.02",
        "kl weight 0.5",
    ]
    assert found.points[0].parts["reward/light"] == pytest.approx(found.points[0].reward)
    beside = load(own.folder / "frontier" / "kl-0.5")
    assert [kept["name"] for kept in beside.environment["rewards"]] == ["light"]
