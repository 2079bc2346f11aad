"""Music learns from rewards through real tiny runs, of every codec that can: the first step holds
that the sampler and the objective mean one distribution, and what is earned lies at the token that
settled it."""

import json

import pytest
import torch
import yaml
from composed import TINY, chorales, jsb, tunes

import genwright
from genwright.contents.music.sampler import MusicSampler
from genwright.core.content import Question, drawn_sample
from genwright.core.errors import GenwrightError
from genwright.core.registry import measures_of
from genwright.rewards.frontier import frontier
from genwright.runs import assemble

RECIPES = {
    "grid": "chorales",
    "jsb": "jsb",
    "event": "folk-tunes",
}
TERMS = {
    "grid": [{"measure": "parallels", "weight": -1.0}, {"measure": "cadence points"}],
    "jsb": [{"measure": "parallels", "weight": -1.0}, {"measure": "uncommon chord changes"}],
    "event": [
        {"measure": "repeated bars"},
        {"measure": "RL Tuner sum", "weight": 0.1},
        {"measure": "contour", "options": {"shape": "arch"}, "otherwise": 0.0},
    ],
}


def overrides():
    """The settings of `TINY` as a mapping."""
    words = [word.split("=") for word in TINY]
    return {name: yaml.safe_load(value) for name, value in words}


@pytest.fixture(scope="module", params=list(RECIPES))
def trained(request, tmp_path_factory):
    """A tiny run of a codec, and one that goes on from it with rewards."""
    kind = request.param
    place = tmp_path_factory.mktemp(kind)
    if kind == "grid":
        path = chorales(place / "four")
    elif kind == "jsb":
        path = jsb(place / "jsb.json")
    else:
        path = tunes(place / "mine")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("GENWRIGHT_CACHE", str(place / "cache"))
        shared = overrides() | {"data.path": str(path)}
        if kind == "grid":
            shared["data.source"] = "files"
        before = place / "before"
        genwright.train(RECIPES[kind], run=before, quiet=True, **shared)
        policy = {
            "kind": "policy",
            "rewards": TERMS[kind],
            "rollout": {"max_tokens": 60, "conditions": kind == "event"},
            "candidates": 4,
        }
        after = place / "after"
        changed = shared | {"objective": policy, "training.batch_size": 8}
        yield genwright.train(RECIPES[kind], run=after, start=str(before), quiet=True, **changed)


def test_a_run_of_music_learns_from_rewards(trained):
    lines = (trained.folder / "metrics.jsonl").read_text().splitlines()
    records = [record for record in map(json.loads, lines) if "loss" in record]
    assert len(records) == 4
    assert records[0]["ratio"] == pytest.approx(1, abs=1e-5)
    assert records[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert records[-1]["kl"] > 0
    for term in trained.recipe.objective.rewards:
        if term.otherwise is None:  # else it may have said nothing of all samples
            assert f"reward/{term.title}" in records[0]


def test_what_is_earned_lies_at_the_token_that_settled_it(trained):
    dataset = trained.dataset()
    objective = trained.opened().objective
    stream = assemble.stream(trained.recipe, objective, dataset, "here")
    batch = stream.batch(0, torch.arange(8), objective)
    sampler = MusicSampler()
    codec = dataset.codec
    for row, sample in enumerate(stream.last.samples):
        expected = torch.zeros(batch["reward"].shape[1], dtype=torch.float64)
        for name, term in stream.reward.terms.items():
            value = stream.reward.measures[name].of(sample)
            if stream.reward.measures[name].gives == "parts":
                for place, part in value.items():
                    expected[sampler.token_of(codec, sample, place)] += term.weight * part
            else:
                expected[len(sample.tokens) - 1] += term.weight * (0 if value != value else value)
        torch.testing.assert_close(batch["reward"][row].double(), expected, atol=1e-5, rtol=0)


def test_the_loss_means_the_distribution_that_is_sampled(trained):
    objective = trained.opened().objective
    stream = assemble.stream(trained.recipe, objective, trained.dataset(), "here")
    examples = torch.arange(8)
    batch = stream.batch(3, examples, objective)
    logits = objective._logits("model", batch)
    tokens = batch["tokens"][:, -batch["mask"].shape[1] :]
    logprobs = logits.log_softmax(-1).gather(2, tokens[..., None])[..., 0]
    apart = (logprobs - batch["logprobs"]).abs()[batch["mask"]]
    assert apart.max() < 1e-5
    again = stream.batch(3, examples, objective)
    assert all(torch.equal(batch[name], again[name]) for name in ("tokens", "reward"))


def test_rules_are_an_alternative_where_the_codec_can_keep_them(trained):
    found = frontier(trained.folder, best_of=[2], samples=16, train=False)
    kinds = [point.kind for point in found.points]
    if "contour" in str(trained.recipe.objective):  # notes one after the other
        assert kinds == ["before", "best-of-n", "policy"]
        assert MusicSampler().constraint(trained.codec) is None
        return
    assert kinds == ["before", "best-of-n", "rules", "policy"]
    before, _, ruled, _ = found.points
    assert before.parts["reward/parallels"] >= ruled.parts["reward/parallels"] == 0
    assert ruled.kl > 1 and not ruled.is_bound


def test_the_chance_of_faults_is_that_of_tokens_that_would_be_parallel(trained):
    """Of drawn tokens those are faults which complete parallels, by the measure that counts them;
    a codec that knows no faults is refused."""
    recipe = trained.recipe
    settings = recipe.objective.model_copy(update={"faults": 1.0})
    dataset = trained.dataset()
    space = recipe.data.space(dataset.codec)
    if recipe.codec.kind == "event":
        with pytest.raises(GenwrightError, match=r"objective\.faults needs a codec"):
            settings.build(trained.opened().objective.modules, space)
        return
    codec = dataset.codec
    before = codec.before(None, 1)[0].tolist()
    parallels = measures_of("music")["parallels"]
    sampler = MusicSampler()
    count = 0
    for piece in dataset.pieces["train"]:
        tokens = dataset.row(piece).tolist()
        sample = drawn_sample(
            sampler, codec, Question((0,)), tokens, [0.0] * len(tokens), True, 0, 0
        )
        places = {sampler.token_of(codec, sample, place) for place in parallels.of(sample)}
        faults = space.faults(torch.tensor([before + tokens]))[0, len(before) :]
        completes = faults[torch.arange(len(tokens)), tokens]
        assert set(completes.nonzero()[:, 0].tolist()) == places
        count += len(places)
    assert count > 0
