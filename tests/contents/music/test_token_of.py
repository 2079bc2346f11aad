"""Rollouts of music: which drawn token settles a place of a piece, what a rollout begins with."""

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from test_music_codecs import ASKING, EVENT, GRID, JSB, monophonic, polyphonic

from genwright.contents.music.sampler import MusicSampler
from genwright.contents.music.score import Note, Score
from genwright.core.content import Opened, Question, Sample, drawn_sample
from genwright.core.errors import GenwrightError
from genwright.objectives.terms import Rollout

SAMPLER = MusicSampler()


def drawn(codec, score) -> Sample:
    tokens = codec.encode(score)
    return drawn_sample(SAMPLER, codec, Question((0,)), tokens, [0.0] * len(tokens), True)


def notes_at(score: Score, start: int, voice: int) -> Counter:
    """What begins at a place, velocities aside."""
    if voice >= len(score.voices):
        return Counter()
    return Counter(note._replace(velocity=0) for note in score.voices[voice] if note.start == start)


@settings(deadline=None, max_examples=60)
@given(monophonic())
def test_a_note_of_a_row_is_settled_by_the_token_that_begins_it(score):
    for codec in (GRID, ASKING):
        sample = drawn(codec, score)
        for voice, notes in enumerate(score.voices):
            for note in notes:
                place = SAMPLER.token_of(codec, sample, (note.start, voice))
                kind = "fermata" if note.fermata else "onset"
                assert codec.tokens[sample.tokens[place]] == (kind, note.pitch)
                known = codec.decode(sample.tokens[: place + 1]).voices[voice]
                before = codec.decode(sample.tokens[:place]).voices[voice]
                assert note.start in [other.start for other in known]
                assert note.start not in [other.start for other in before]


@settings(deadline=None, max_examples=30)
@given(monophonic())
def test_of_pitches_alone_every_step_of_a_note_is_a_token_of_its_own(score):
    sample = drawn(JSB, Score(score.voices, score.length))
    pitch, _ = score.grid()
    for step in range(score.length):
        for voice in range(4):
            token = JSB.tokens[sample.tokens[SAMPLER.token_of(JSB, sample, (step, voice))]]
            if pitch[step, voice] < 0:
                assert token == ("rest",)
            else:
                assert token == ("pitch", pitch[step, voice], voice)


@settings(deadline=None, max_examples=60)
@given(polyphonic())
def test_a_note_among_events_is_settled_by_its_last_token(score):
    sample = drawn(EVENT, score)
    for voice, notes in enumerate(score.voices):
        for note in notes:
            place = SAMPLER.token_of(EVENT, sample, (note.start, voice))
            known = notes_at(EVENT.decode(sample.tokens[: place + 1]), note.start, voice)
            before = notes_at(EVENT.decode(sample.tokens[:place]), note.start, voice)
            assert known == notes_at(score, note.start, voice)
            assert before != known


def test_what_goes_on_is_settled_when_time_has_gone_beyond_it():
    score = Score(((Note(0, 6, 60), Note(8, 4, 62)),), 14, per_quarter=12)
    sample = drawn(EVENT, score)
    names = [EVENT.tokens[token] for token in sample.tokens]
    assert names == [
        ("pitch", 60),
        ("length", 6),
        ("at", 8),
        ("pitch", 62),
        ("length", 4),
        ("at", 14),
        ("end",),
    ]
    places = [SAMPLER.token_of(EVENT, sample, (step, 0)) for step in range(16)]
    assert places == [1, *[2] * 7, 4, *[5] * 5, 6, 6]


def test_a_cut_row_and_a_missing_end_are_settled_by_the_last_token():
    score = Score(((Note(0, 2, 60),),) * 4, 2)
    tokens = GRID.encode(score)[:-3]  # the last row has its place and two voices
    sample = drawn_sample(SAMPLER, GRID, Question((0,)), tokens, [0.0] * len(tokens), False)
    assert [SAMPLER.token_of(GRID, sample, (1, voice)) for voice in range(4)] == [6, 7, 7, 7]
    events = EVENT.encode(Score(((Note(0, 2, 60),),), 2, 12))[:2]
    sample = drawn_sample(SAMPLER, EVENT, Question((0,)), events, [0.0] * 2, False)
    assert [SAMPLER.token_of(EVENT, sample, (step, 0)) for step in range(3)] == [1, 1, 1]


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([GRID, JSB, EVENT, ASKING]), st.data())
def test_any_tokens_in_any_order_have_a_place_for_everything(codec, data):
    some = st.integers(-2, len(codec.tokens) + 2)
    tokens = data.draw(st.lists(some, min_size=1, max_size=60))
    ended = data.draw(st.booleans())
    sample = drawn_sample(SAMPLER, codec, Question((0,)), tokens, [0.0] * len(tokens), ended, 0, 0)
    table = codec.token_table(tokens)
    assert table.shape == (sample.content.length, codec.voices)
    for _ in range(5):
        place = (data.draw(st.integers(-3, 90)), data.draw(st.integers(-1, 6)))
        assert 0 <= SAMPLER.token_of(codec, sample, place) < len(tokens)
    if len(table):
        assert table.min() >= 0
        assert table.max() < len(tokens)


def test_the_end_is_a_token_where_the_codec_has_one():
    assert SAMPLER.end(GRID) == GRID.id["end",]
    assert SAMPLER.end(EVENT) == EVENT.id["end",]
    assert SAMPLER.end(JSB) is None


class Known:
    """A dataset of three pieces, of which some is known."""

    def __init__(self, codec):
        self.pieces = {"train": np.array([0, 2]), "held_out": np.array([1])}
        self.conditions = torch.eye(codec.space.columns)[:3]


def opened(codec) -> Opened:
    return Opened(None, codec, None, lambda: Known(codec))


def test_a_rollout_begins_with_the_places_of_conditions():
    questions = SAMPLER.questions(opened(ASKING), Rollout(max_tokens=10), "train")
    (question,) = questions
    assert list(question.tokens) == ASKING.before(None, 1)[0].tolist()
    assert question.condition is None


def test_a_rollout_may_ask_for_what_is_known_of_pieces():
    rollout = Rollout(max_tokens=10, conditions=True)
    questions = SAMPLER.questions(opened(ASKING), rollout, "train")
    assert len(questions) == 2
    for question in questions:
        shown = question.condition
        assert list(question.tokens) == ASKING.before(shown[None], 1)[0].tolist()
    again = SAMPLER.questions(opened(ASKING), rollout, "train")
    assert [q.tokens for q in questions] == [q.tokens for q in again]
    (held_out,) = SAMPLER.questions(opened(ASKING), rollout, "held_out")
    assert held_out.tokens


def test_music_has_no_prompts_of_words():
    with pytest.raises(GenwrightError, match=r"objective\.rollout\.prompts"):
        SAMPLER.questions(opened(ASKING), Rollout(max_tokens=10, prompts=("a",)), "train")
    with pytest.raises(GenwrightError, match=r"objective\.rollout\.cut_after"):
        SAMPLER.questions(opened(ASKING), Rollout(max_tokens=10, cut_after="="), "train")
    with pytest.raises(GenwrightError, match="nothing is known"):
        SAMPLER.questions(opened(GRID), Rollout(max_tokens=10, conditions=True), "train")


@settings(deadline=None, max_examples=10)
@given(monophonic())
def test_a_real_piece_is_cut_where_a_sample_would_be(score):
    codec = GRID
    tokens = tuple(codec.encode(score))
    whole = SAMPLER.shortened(codec, Sample(score), len(tokens))
    assert whole.content is score
    assert whole.tokens == tokens
    half = len(tokens) // 2
    cut = SAMPLER.shortened(codec, Sample(score), half)
    assert cut.tokens == tokens[:half]
    assert cut.content.voices == codec.decode(tokens[:half]).voices
