"""What rollouts of text begin with, and which token a character came with."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.text.codec import BPE, Bytes, Characters
from genwright.contents.text.data import TextData
from genwright.contents.text.generate import Generated, generate_all
from genwright.contents.text.sampler import TextSampler
from genwright.core.content import Opened, Question, Sample, TokenSampler, drawn_sample
from genwright.core.errors import GenwrightError
from genwright.objectives.terms import Rollout
from genwright.sampling.drawing import Decoding
from stand_ins import Table

SAMPLER = TextSampler()


class Holder:
    """An objective of one network."""

    def __init__(self, model):
        self.modules = {"model": model}


@pytest.fixture
def dataset(tmp_path):
    rows = tmp_path / "rows"
    rows.mkdir()
    for number in range(40):
        (rows / f"{number}.txt").write_text(f"{number}+1={number + 1}")
    (rows / "long.txt").write_text("1" * 50 + "+1=2")
    (rows / "none.txt").write_text("nothing to cut")
    settings = TextData(
        path=str(rows), cache=str(tmp_path / "cache"), context=16, held_out=0.3, workers=1
    )
    return settings.prepare(Characters())


def opened(codec, dataset=None, context=16):
    model = Table(codec.space.vocabulary, context=context)
    return Opened(Holder(model), codec, Decoding(), lambda: dataset, "runs/x")


def test_it_draws_token_by_token():
    assert isinstance(SAMPLER, TokenSampler)


def test_prompts_are_read_as_sample_reads_them(letters):
    asked = SAMPLER.questions(opened(letters), Rollout(max_tokens=4, prompts=("abc", "d")), "train")
    assert list(asked) == [Question((0, 1, 2), "abc"), Question((3,), "d")]


def test_without_prompts_a_document_begins(letters):
    asked = SAMPLER.questions(opened(letters), Rollout(max_tokens=4), "train")
    assert list(asked) == [Question((letters.space.special["end"],), "")]


def test_documents_are_cut_behind_the_first_match(dataset):
    there = {split: {} for split in ("train", "held_out")}
    for split, found in there.items():
        rollout = Rollout(max_tokens=4, cut_after="=")
        asked = SAMPLER.questions(opened(dataset.codec, dataset), rollout, split)
        for number in range(len(asked)):
            question = asked[number]
            assert dataset.codec.decode(question.tokens) == question.prompt
            found[question.prompt] = question.answer
        assert asked[1:3] == [asked[1], asked[2]]
    assert not set(there["train"]) & set(there["held_out"])
    assert there["train"] | there["held_out"] == {f"{n}+1=": f"{n + 1}" for n in range(40)}
    names = {name for name, _ in dataset.documents("held_out")}
    assert {f"{prompt.split('+')[0]}.txt" for prompt in there["held_out"]} == names - {
        "long.txt",
        "none.txt",
    }


@pytest.mark.parametrize(
    "rollout, named",
    [
        ({"prompts": ("abcdefghij",), "max_tokens": 8}, "the prompt 'abcdefghij' has 10 tokens"),
        ({"max_tokens": 16}, "rollout.max_tokens is 16"),
        ({"prompts": ("a",), "cut_after": "b", "max_tokens": 2}, "rollout.prompts and"),
        ({"prompts": ("xyz",), "max_tokens": 2}, "a character is unknown"),
    ],
)
def test_what_cannot_be_asked_is_refused(letters, rollout, named):
    with pytest.raises(GenwrightError) as refused:
        SAMPLER.questions(opened(letters), Rollout(**rollout), "train")
    assert str(refused.value).startswith(named)


def test_a_prompt_that_just_fits_is_asked(letters):
    rollout = Rollout(prompts=("abcdefgh",), max_tokens=8)
    assert len(SAMPLER.questions(opened(letters), rollout, "train")) == 1


def test_a_cut_that_no_document_has_is_refused(dataset):
    rollout = Rollout(cut_after="?", max_tokens=4)
    with pytest.raises(GenwrightError, match="no document of the training data holds"):
        SAMPLER.questions(opened(dataset.codec, dataset), rollout, "train")


# ---- drawn tokens


def test_a_sample_is_what_sample_would_have_given(letters):
    table = Table(12, seed=3)
    settings = Decoding(max_tokens=12, temperature=1.0, seed=5)
    for wanted in generate_all(table, letters, ["ab", ""], n=4, settings=settings):
        question = SAMPLER.questions(
            opened(letters), Rollout(max_tokens=4, prompts=(wanted.prompt or "a",)), "train"
        )[0]
        if not wanted.prompt:
            question = Question((10,), "")
        count = len(wanted.tokens)
        logprobs = [wanted.logprob / count] * count
        ended = wanted.stopped == "end"
        found = drawn_sample(SAMPLER, letters, question, wanted.tokens, logprobs, ended, 5, 0)
        assert found.content.text == wanted.text and found.content.stopped == wanted.stopped
        assert found.tokens == wanted.tokens and found.prompt == wanted.prompt
        assert found.content.logprob == pytest.approx(wanted.logprob)


def sample_of(codec, tokens, prompt=""):
    return drawn_sample(
        SAMPLER, codec, Question((0,), prompt), tokens, [0.0] * len(tokens), False, 0, 0
    )


def test_the_token_of_a_character():
    codec = Bytes().train(iter(()))
    sample = sample_of(codec, codec.encode("aé\N{GRINNING FACE}b") + [codec.space.special["end"]])
    assert sample.content.text == "aé\N{GRINNING FACE}b"
    # a; é is two bytes; the face four; b; the end token stands for what lies beyond
    assert [SAMPLER.token_of(codec, sample, place) for place in range(6)] == [0, 2, 6, 7, 8, 8]


def test_the_token_of_a_character_of_longer_tokens():
    codec = BPE(vocabulary=300).train(iter(["the cat and the cat and the hat\n"] * 40))
    text = "the cat and the hat"
    tokens = codec.encode(text)
    assert len(tokens) < len(text)
    sample = sample_of(codec, tokens)
    for place in range(len(text)):
        token = SAMPLER.token_of(codec, sample, place)
        assert len(codec.decode(tokens[:token])) <= place < len(codec.decode(tokens[: token + 1]))


def test_a_sample_without_text_has_a_token_for_any_place(letters):
    sample = sample_of(letters, [10])
    assert sample.content.text == "" and SAMPLER.token_of(letters, sample, 0) == 0


CODEC = Bytes().train(iter(()))


@given(st.lists(st.integers(0, CODEC.space.vocabulary - 1), min_size=1, max_size=30))
def test_any_tokens_become_a_sample_whose_places_have_tokens(tokens):
    end = CODEC.space.special["end"]
    if end in tokens:
        tokens = tokens[: tokens.index(end) + 1]
    sample = sample_of(CODEC, tokens)
    places = [SAMPLER.token_of(CODEC, sample, p) for p in range(len(sample.content.text) + 1)]
    assert places == sorted(places)
    assert all(0 <= token < len(tokens) for token in places)


# ---- a floor


def test_noise_answers_the_same_prompts_by_chance():
    like = [
        Sample(Generated("1+1=", "2", (3, 9), "end", 0.0), "1+1=", tokens=(3, 9), answer="2"),
        Sample(Generated("5+6=", "11", (1, 1, 9), "end", 0.0), "5+6=", tokens=(1, 1, 9)),
        Sample("", "", tokens=()),
    ]
    noise = SAMPLER.noise(like, 3)
    assert [sample.prompt for sample in noise] == ["1+1=", "5+6=", ""]
    assert [len(sample.content.text) for sample in noise] == [1, 2, 0]
    assert [len(sample.tokens) for sample in noise] == [2, 3, 0]
    assert noise[0].answer == "2"
    assert set(noise[1].content.text) <= set("12") and set(noise[1].tokens) <= {1, 3, 9}
    assert SAMPLER.noise(like, 3) == noise
    assert SAMPLER.noise([Sample("abc")] * 20, 4) != SAMPLER.noise([Sample("abc")] * 20, 5)


def test_noise_of_nothing_is_nothing():
    assert SAMPLER.noise([], 0) == []
    assert SAMPLER.noise([Sample("", "")], 0)[0].content.text == ""


def test_a_real_text_is_cut_where_a_sample_would_be(letters):
    tokens = tuple(letters.encode("abcdef"))
    real = Sample(Generated("", "abcdef", tokens, "end", 0.0), tokens=tokens)
    sampler = TextSampler()
    assert sampler.shortened(letters, real, 6) is real
    cut = sampler.shortened(letters, real, 4)
    assert cut.content.text == "abcd"
    assert cut.tokens == tokens[:4]
