"""Pictures as codes in rollouts: what they begin with, and pictures of any ids."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from tiny_codes import rewarded_codes

from genwright.contents.images.codec import ImageCodec, ImageSettings
from genwright.contents.images.codec_codes import CodesCodec
from genwright.contents.images.sampler import PictureSampler
from genwright.contents.images.token_sampler import codes_from
from genwright.core.attributes import encode
from genwright.core.content import Opened, Question, Sample, TokenSampler, drawn_sample
from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.data.examples import Split
from genwright.models.vq import VQSettings
from genwright.objectives.policy import chosen, drawn_tokens
from genwright.objectives.terms import Rollout
from genwright.rewards.frontier import frontier
from genwright.rewards.rollout import rollouts
from genwright.sampling.drawing import Decoding

ATTRIBUTES = {"colour": ("blue", "red"), "size": ("big",)}
WHOLE = Rollout(max_tokens=4)
sampler = PictureSampler()


def codec(attributes=None):
    """Four places of ten codes."""
    torch.manual_seed(0)
    settings = VQSettings(width=4, blocks=0, codes=10, code_width=3)
    image = ImageCodec(ImageSettings(size=8), attributes)
    return CodesCodec(image, settings.build(Space(shape=(3, 8, 8))), settings, 3)


def opened(own, conditions=None):
    count = 0 if conditions is None else len(conditions)
    parts = {"train": Split(np.arange(count), None, str, conditions)}
    dataset = SimpleNamespace(split=parts.__getitem__)
    return Opened(None, own, Decoding(), lambda: dataset)


def test_pictures_are_drawn_token_by_token():
    assert isinstance(sampler, TokenSampler)
    assert sampler.end(codec()) is None


def test_without_conditions_there_is_one_question_that_asks_for_nothing():
    own = codec(ATTRIBUTES)
    (question,) = sampler.questions(opened(own), WHOLE, "train")
    special = own.space.special
    assert question.tokens == (special["start"], *[special["none"]] * 3)
    assert question.condition is None
    (plain,) = sampler.questions(opened(codec()), WHOLE, "train")
    assert plain.tokens == (codec().space.special["start"],)


def test_questions_have_the_conditions_of_real_pictures():
    own = codec(ATTRIBUTES)
    rows = [{"colour": "red", "size": "big"}, {}, {"colour": ["blue", "red"]}]
    conditions = torch.stack([encode(ATTRIBUTES, row) for row in rows])
    rollout = Rollout(max_tokens=4, conditions=True)
    questions = sampler.questions(opened(own, conditions.numpy()), rollout, "train")
    special = own.space.special
    assert len(questions) == 3
    assert questions[0].tokens == (
        special["start"],
        special["colour=red"],
        special["size=big"],
        special["none"],
    )
    assert torch.equal(questions[2].condition, conditions[2])
    # as the model is trained: what `before` says
    assert list(questions[2].tokens) == own.before(conditions[2:], 1)[0].tolist()
    assert [question.tokens for question in questions[1:]] == [
        questions[1].tokens,
        questions[2].tokens,
    ]
    with pytest.raises(IndexError):
        questions[3]


def test_a_real_picture_has_its_codes():
    own = codec()
    x = torch.rand(3, 8, 8) * 2 - 1
    found = sampler.shortened(own, Sample(x, number=3), 100)
    assert list(found.tokens) == own.codes_of(x[None])[0].tolist()
    assert torch.equal(found.content, x) and found.number == 3


@pytest.mark.parametrize(
    ("rollout", "words"),
    [
        (Rollout(max_tokens=5), "max_tokens is 5, and a picture has 4 codes"),
        (Rollout(max_tokens=4, prompts=("a",)), "begin with no text"),
        (Rollout(max_tokens=4, cut_after="\n"), "begin with no text"),
        (Rollout(max_tokens=4, conditions=True), "no attributes"),
    ],
)
def test_what_pictures_cannot_begin_with_is_refused(rollout, words):
    with pytest.raises(GenwrightError, match=words):
        sampler.questions(opened(codec()), rollout, "train")


def test_pictures_of_pixels_are_refused():
    with pytest.raises(GenwrightError, match="not token by token"):
        sampler.questions(opened(ImageCodec(ImageSettings(size=8))), WHOLE, "train")


def test_a_sample_is_the_picture_of_its_codes():
    own = codec(ATTRIBUTES)
    question = Question((13, 14, 14, 14), condition=torch.ones(3))
    drawn = drawn_sample(sampler, own, question, [1, 2, 3, 9], [-1.0] * 4, True, 5, 7)
    assert torch.equal(drawn.content, own.pictures(torch.tensor([[1, 2, 3, 9]]))[0])
    assert drawn.content.shape == (3, 8, 8) and drawn.content.abs().max() <= 1
    assert drawn.tokens == (1, 2, 3, 9) and drawn.logprobs == (-1.0,) * 4
    assert drawn.seed == 5 and drawn.number == 7 and drawn.condition is question.condition
    assert sampler.token_of(own, drawn, "rows 0 to 1, columns 0 to 1") == 3


@pytest.mark.parametrize(
    ("tokens", "codes"),
    [
        ([1, 2, 3, 9], [1, 2, 3, 9]),
        ([1, 12, 3, 15], [1, 1, 3, 3]),
        ([15, 14, 4, 10], [0, 0, 4, 4]),
        ([7, 8], [7, 8, 8, 8]),
        ([], [0, 0, 0, 0]),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4]),
        ([-1, 99, 2, 2], [0, 0, 2, 2]),
    ],
)
def test_any_ids_make_a_picture(tokens, codes):
    own = codec(ATTRIBUTES)
    assert codes_from(own, tokens) == codes
    drawn = drawn_sample(sampler, own, Question((13,)), tokens, [0.0] * len(tokens), True)
    assert torch.equal(drawn.content, own.pictures(torch.tensor([codes]))[0])
    assert drawn.tokens == tuple(tokens)  # what was drawn is what is learned from


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    return rewarded_codes(tmp_path_factory.mktemp("learned"))


def test_a_policy_goes_on_with_the_codes_of_the_model_that_it_begins_with(learned):
    base, run = learned
    assert run.codec.digest == base.codec.digest


def test_a_policy_is_rewarded_for_its_pictures(learned):
    _, run = learned
    steps = [record for record in run.records if "reward" in record]
    assert len(steps) == 2
    for record in steps:
        assert 0 <= record["reward"] <= 1
        assert record["truncated"] == 0 and record["length"] == run.codec.places
        assert "watched/saturation" in record
    # the sampler and the objective mean one distribution, before the first update
    assert steps[0]["ratio"] == pytest.approx(1, abs=1e-4)
    assert steps[0]["kl"] == pytest.approx(0, abs=1e-5)


def test_rollouts_of_a_run_are_what_its_model_says(learned):
    base, run = learned
    objective = run.objective
    stream = rollouts(run.recipe, run.opened())
    examples = torch.arange(8)
    batch = stream.batch(3, examples, objective)
    settled = objective.settle(batch, Draws(run.recipe.seed, 3, examples), None)
    logprobs = chosen(objective._logits("model", settled), drawn_tokens(settled))
    assert (logprobs - batch["logprobs"]).abs().max() < 1e-5
    # questions are conditions of real pictures, before the codes as the model learned them
    attributes = base.codec.space.attributes
    asked = [sample.condition for sample in stream.last.samples]
    assert all(condition.sum() == 1 for condition in asked) and list(attributes) == ["class"]
    for row, sample in enumerate(stream.last.samples):
        before = base.codec.before(sample.condition[None], 1)[0]
        assert batch["tokens"][row, : len(before)].tolist() == before.tolist()
        assert torch.equal(
            sample.content,
            base.codec.pictures(torch.tensor([codes_from(base.codec, sample.tokens)]))[0],
        )


def test_the_page_shows_pictures_before_and_after(learned):
    _, run = learned
    frontier(run.folder, best_of=[2], samples=8, train=False, quiet=True)
    page = run.report().read_text(encoding="utf-8")
    before, _, after = page.partition("Before and after")
    assert "What it earns" in before and "watched/saturation" not in before
    assert after.count("data:image/png") >= 2
    assert "Reward and divergence" in page and "best of 2" in page
