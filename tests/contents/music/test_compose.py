"""Music from untrained models: that what is asked for is kept does not depend on what they
learned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from composed import chorale

from genwright.contents.music.codec_event import Event
from genwright.contents.music.codec_grid import Grid, Jsb
from genwright.contents.music.compose import blank, compose, composing, first_bars, rewrite
from genwright.contents.music.score import Meter, Tempo, edges, of_grid
from genwright.contents.music.voice_leading import faults
from genwright.core.content import Advanced
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.presets import TransformerSettings
from genwright.sampling.drawing import Decoding

SCORES = [
    of_grid(
        chorale(np.random.default_rng(i)), bars=tuple(range(0, 96, 16)), meters=(Meter(0, 4, 4),)
    )
    for i in range(4)
]
PLAIN = Decoding(temperature=1.0, passes=4)


def model(codec, causal: bool, context: int = 2000):
    torch.manual_seed(0)
    space = Space(codec.space.vocabulary, codec.space.special, length=context)
    settings = TransformerSettings(
        depth=1,
        width=16,
        heads=1,
        preset="nanochat" if causal else "modernbert",
        pattern="L",
        window=0,
    )
    return settings.build(space, context=context, causal=causal).eval()


@pytest.mark.parametrize("settings", [Grid(), Jsb(), Event()])
def test_so_many_bars_whatever_the_model_knows(settings):
    scores = [replace(s, per_quarter=settings.per_quarter) for s in SCORES]
    codec = settings.learn(scores)
    found = compose(model(codec, True), codec, 3, PLAIN, bars=2)
    assert len(found) == 3
    assert all(1 <= len(edges(score)) - 1 <= 2 for score in found)
    if settings.kind == "jsb":  # what bars are like is the codec's to say, not the model's
        assert all(score.length == 32 for score in found)
    alone = compose(model(codec, True), codec, 1, PLAIN, bars=2)
    assert alone[0] == found[0] and found[0] != found[1]


def test_tokens_say_how_far_drawing_is_whatever_the_limit():
    codec = Event().learn(SCORES)
    causal = model(codec, True, context=64)
    limit = 10**9
    asked = PLAIN.model_copy(update={"max_tokens": limit})
    events = composing(causal, codec, 3, asked, batch=2)
    early = [next(events) for _ in range(5)]
    assert [event.done for event in early] == sorted({event.done for event in early})
    assert all(event.total == 2 * limit and event.unit == "tokens" for event in early)
    assert 0 < early[-1].done < 1000
    events.close()  # nobody waits for the others


def test_what_is_drawn_in_the_end_is_all_that_was_expected():
    codec = Grid().learn(SCORES)
    events = list(composing(model(codec, True), codec, 3, PLAIN, bars=1, batch=2))
    advanced = [event for event in events if isinstance(event, Advanced)]
    scores = [event for event in events if not isinstance(event, Advanced)]
    assert advanced[-1].done == advanced[-1].total and len(scores) == 3
    places = [event.done for event in advanced]
    assert places == sorted(places) and len(places) > 4
    assert scores == compose(model(codec, True), codec, 3, PLAIN, bars=1)


def test_a_theme_is_kept_and_gone_on_with():
    codec = Grid().learn(SCORES)
    theme = first_bars(SCORES[0], 2)
    for score in compose(model(codec, True), codec, 2, PLAIN, theme=theme, bars=4):
        assert len(edges(score)) - 1 <= 4 and score.length > 32
        assert np.array_equal(score.grid()[0][:32], theme.grid()[0])


@pytest.mark.parametrize("settings", [Grid(), Event()])
def test_a_piece_that_goes_on_from_a_theme_keeps_its_tempos(settings):
    scores = [replace(s, per_quarter=settings.per_quarter) for s in SCORES]
    codec = settings.learn(scores)
    theme = replace(first_bars(scores[0], 2), tempo=60.0, tempos=(Tempo(8, 90.0),))
    for score in compose(model(codec, True), codec, 2, PLAIN, theme=theme, bars=3):
        assert (score.tempo, score.tempos) == (60, (Tempo(8, 90.0),))


def test_what_is_rewritten_keeps_its_tempos_and_what_is_cut_loses_those_behind():
    codec = Grid().learn(SCORES)
    changing = replace(SCORES[0], tempo=60.0, tempos=(Tempo(8, 90.0), Tempo(40, 30.0)))
    (score,) = rewrite(model(codec, False), codec, changing, 1, PLAIN, voices=(0,))
    assert (score.tempo, score.tempos) == (60, changing.tempos)
    assert first_bars(changing, 2).tempos == (Tempo(8, 90.0),)


def test_rules_leave_no_parallel_and_no_note_out_of_range():
    codec = Jsb().learn(SCORES)
    for score in compose(model(codec, True), codec, 4, PLAIN, bars=4, rules=True):
        assert not [f for f in faults(score) if f.kind.startswith("parallel")]
        for voice, (low, high) in zip(score.voices, codec.learned.ranges, strict=True):
            assert all(low <= note.pitch <= high for note in voice)


def test_first_bars_keep_a_pickup_whole():
    score = replace(SCORES[0], bars=(0, *range(4, 96, 16)))
    assert first_bars(score, 2).length == 36 and first_bars(score, 99) == score


@pytest.mark.parametrize("context", [2000, 150])  # all at once, or part by part
def test_harmonising_keeps_the_melody_and_filling_keeps_all_but_the_bars(context):
    codec = Grid().learn(SCORES)
    network = model(codec, False, context)
    melody = replace(SCORES[1], voices=SCORES[1].voices[:1])
    made = rewrite(network, codec, melody, 2, PLAIN, voices=(0,))
    assert all(np.array_equal(score.grid()[0][:, 0], melody.grid()[0][:, 0]) for score in made)
    assert made[0] != made[1] and all(sum(map(len, score.voices[1:])) > 20 for score in made)
    for score in made:
        for voice, (low, high) in zip(score.voices, codec.learned.ranges, strict=True):
            assert all(low <= note.pitch <= high for note in voice)
    filled = rewrite(network, codec, SCORES[2], 1, PLAIN, steps=range(32, 64))[0]
    before, after = SCORES[2].grid()[0], filled.grid()[0]
    assert (
        np.array_equal(before[:32], after[:32])
        and np.array_equal(before[64:], after[64:])
        and not np.array_equal(before, after)
    )
    assert rewrite(network, codec, SCORES[2], 1, PLAIN, steps=range(32, 64))[0] == filled


def test_empty_bars_are_of_the_metre_that_is_asked_for():
    codec = Grid().learn([*SCORES, replace(SCORES[0], meters=(Meter(0, 3, 4),))])
    score = blank(codec, 3, "3/4", "G")
    assert score.meters == (Meter(0, 3, 4),) and score.length == 36 and score.keys[0].sharps == 1
    made = rewrite(model(codec, False), codec, score, 1, PLAIN)[0]
    assert (
        made.meters == score.meters
        and made.keys == score.keys
        and made.length == 36
        and any(made.voices)
    )


def test_models_of_the_wrong_kind_and_pieces_that_do_not_fit_are_refused():
    grid, event = Grid().learn(SCORES), Event().learn([replace(s, per_quarter=12) for s in SCORES])
    with pytest.raises(GenwrightError, match="sees both sides"):
        compose(model(grid, False), grid, 1, PLAIN)
    with pytest.raises(GenwrightError, match="reads left to right"):
        rewrite(model(grid, True), grid, SCORES[0], 1, PLAIN)
    with pytest.raises(GenwrightError, match=r"has no voices by steps of time.*codec.kind=grid"):
        rewrite(model(event, False), event, SCORES[0], 1, PLAIN)
    five = replace(SCORES[0], voices=(*SCORES[0].voices, SCORES[0].voices[0]))
    with pytest.raises(GenwrightError, match="the piece has 5 voices, and the model 4"):
        rewrite(model(grid, False), grid, five, 1, PLAIN, voices=(0,))
    high = replace(SCORES[0], voices=(tuple(n._replace(pitch=100) for n in SCORES[0].voices[0]),))
    with pytest.raises(GenwrightError, match=r"pitch 100 is outside.*transpose the piece"):
        rewrite(model(grid, False), grid, high, 1, PLAIN, voices=(0,))


def test_a_model_of_pitches_alone_rewrites_what_has_bars_and_keeps_them():
    """A JSB json has neither bars nor metres, so its model never saw a place in one; a melody of
    MusicXML has both."""
    codec = Grid().learn([replace(score, bars=(), meters=()) for score in SCORES])
    score, seen = SCORES[0], set()
    network = model(codec, False)
    network.register_forward_pre_hook(
        lambda module, inputs: seen.update(inputs[0].flatten().tolist())
    )
    (made,) = rewrite(network, codec, score, 1, PLAIN, voices=(0,))
    assert (made.bars, made.meters, made.voices[0]) == (score.bars, score.meters, score.voices[0])
    assert {codec.tokens[token] for token in seen if codec.tokens[token][0] == "place"} == {
        ("place", -1)
    }
