"""Rules of voice-leading against a plain count of parallels, and what an untrained model draws
under them."""

import numpy as np
import pytest
import torch

from genwright.contents.music.codec import Learned
from genwright.contents.music.codec_grid import Grid, Jsb
from genwright.contents.music.rules import Rules, faults, parallel
from genwright.contents.music.score import Key, Meter, Note, Score
from genwright.core.draws import Draws
from genwright.models.presets import TransformerSettings
from genwright.sampling.decode import generate_tokens
from genwright.sampling.drawing import Decoding

RANGES = [(60, 67), (57, 64), (52, 60), (45, 52)]
SCORE = Score(
    tuple((Note(0, 2, low), Note(2, 2, high)) for low, high in RANGES),
    4,
    4,
    (0,),
    (Meter(0, 3, 4),),
    (Key(0, 1, "major"),),
)


def plain_count(pitch):
    """Parallel fifths, octaves and unisons of (frames, voices), counted as one reads them in a
    score."""
    found = 0
    for before, after in zip(pitch[:-1].tolist(), pitch[1:].tolist(), strict=True):
        for a in range(len(before)):
            for b in range(a):
                if min(before[a], before[b], after[a], after[b]) < 0:
                    continue
                up, down = (
                    after[a] > before[a] and after[b] > before[b],
                    after[a] < before[a] and after[b] < before[b],
                )
                intervals = {abs(before[a] - before[b]) % 12, abs(after[a] - after[b]) % 12}
                found += (up or down) and intervals in ({0}, {7})
    return found


@pytest.mark.parametrize(
    "pairs, is_parallel",
    [
        ([(67, 60), (69, 62)], True),  # fifths upward
        ([(67, 60), (65, 58)], True),  # and downward
        ([(79, 60), (81, 62)], True),  # twelfths
        ([(72, 60), (74, 62)], True),  # octaves
        ([(60, 60), (62, 62)], True),  # unisons
        ([(60, 60), (74, 62)], True),  # unison to octave
        ([(67, 60), (67, 60)], False),  # nobody moves
        ([(72, 60), (60, 60)], False),  # one stays
        ([(72, 60), (60, 72)], False),  # contrary motion
        ([(67, 60), (74, 62)], False),  # fifth to octave: hidden
        ([(65, 60), (67, 62)], False),  # fourths
        ([(60, 67), (62, 69)], True),  # crossed voices
        ([(67, 60), (-1, 62)], False),  # a rest between
    ],
)
def test_parallels_as_in_textbooks(pairs, is_parallel):
    (a, b), (c, d) = pairs
    assert (
        bool(parallel(*(np.array(x) for x in (a, b, c, d))))
        == is_parallel
        == bool(parallel(*map(torch.tensor, (a, b, c, d))))
    )
    assert plain_count(np.array(pairs)) == is_parallel


def test_what_is_forbidden_is_what_would_be_counted():
    ranges = [(50, 62), (49, 60), (48, 62), (36, 71)]
    codec = Jsb().codec(Jsb(), Learned(ranges=tuple(ranges)))
    rules, generator = Rules(codec), torch.Generator().manual_seed(0)
    previous, chosen = (torch.randint(48, 60, (50, 4), generator=generator) for _ in range(2))
    previous[::7, 1] = -1

    def token(pitch, voice):
        return codec.id["rest",] if pitch < 0 else codec.id["pitch", pitch, voice]

    for voice, (low, high) in enumerate(ranges):
        now = torch.where(torch.arange(4) < voice, chosen, -2)
        rows = [
            map(token, [*before, *new[:voice]], [0, 1, 2, 3, *range(voice)])
            for before, new in zip(previous.tolist(), chosen.tolist(), strict=True)
        ]
        allowed = rules(
            torch.tensor([[codec.id["start",], *row] for row in rows]), torch.arange(50)
        )
        assert not allowed[:, codec.size :].any()
        for row in range(0, 50, 3):
            for pitch in (-1, *range(36, 72, 3)):
                step = torch.stack(
                    [previous[row], torch.where(torch.arange(4) == voice, pitch, now[row])]
                )
                outside = pitch >= 0 and not low <= pitch <= high
                assert bool(allowed[row, token(pitch, voice)]) == (
                    not outside and plain_count(step) == 0
                )


def drawn(codec, rules, prompts, steps, seed=0):
    torch.manual_seed(seed)
    model = TransformerSettings(preset="nanochat", depth=1, width=16, heads=2).build(
        codec.space, context=64
    )
    with torch.no_grad():
        model.head.weight.normal_(0, 0.5)
    settings = Decoding(max_tokens=steps * codec.row_length, temperature=1.0)
    draws = Draws(seed, 0, torch.arange(len(prompts)))
    end = codec.space.special.get("end")
    new = generate_tokens(model, prompts, None, settings, draws, end=end, constraint=rules)
    return [torch.cat((p, t[m])) for p, t, m in zip(prompts, new.tokens, new.mask, strict=True)]


@pytest.mark.parametrize("settings", [Grid(prefix=2), Jsb()], ids=["grid", "jsb"])
def test_an_untrained_model_draws_no_parallels_under_the_rules(settings):
    codec = settings.learn([SCORE], {"type": ("a", "b")} if settings.kind == "grid" else {})
    prompts = codec.before(None, 60)
    free, bound = (
        [codec.read(row.tolist()) for row in drawn(codec, Rules(codec, strict), prompts, 40)]
        for strict in (False, True)
    )
    assert sum(plain_count(score.grid()[0]) for score, _ in free) > 10, (
        "without the rules there must be some for this to mean anything"
    )
    for score, unread in bound:
        assert plain_count(score.grid()[0]) == 0 and unread == 0
        for (low, high), notes in zip(RANGES, score.voices, strict=True):
            assert all(low <= note.pitch <= high for note in notes)
    assert all(unread == 0 for _, unread in free), "the grammar alone gives music without a fault"
    assert (
        sum(len(v) for score, _ in bound for v in score.voices) > 200
        and sum(score.length for score, _ in bound) > 80
    )
    if settings.kind == "grid":
        assert sum(len(score.keys) > 1 for score, _ in bound) > 5, (
            "rows without time must come between for this to mean anything"
        )


@pytest.mark.parametrize(
    "settings",
    [Grid(prefix=2), Grid(prefix=0), Jsb()],
    ids=["grid", "grid without conditions", "jsb"],
)
def test_faults_of_whole_windows_are_what_the_rules_forbid_step_by_step(settings):
    codec = settings.learn(
        [SCORE], {"type": ("a", "b")} if settings.kind == "grid" and settings.prefix else {}
    )
    starts = codec.before(None, 6)
    free, bound, seen = Rules(codec, strict=False), Rules(codec), 0
    tokens = torch.nn.utils.rnn.pad_sequence(
        drawn(codec, free, starts, 12), batch_first=True, padding_value=-1
    )
    found = faults(codec, tokens)
    assert found.shape == (*tokens.shape, codec.space.vocabulary)
    for at in range(starts.shape[1], tokens.shape[1]):
        slot = (at - starts.shape[1]) % codec.row_length - codec.row_head
        for i in (tokens[:, at] >= 0).nonzero()[:, 0].tolist():
            may, bound_may = (
                rule(tokens[i : i + 1, :at], torch.tensor([i]))[0] for rule in (free, bound)
            )
            may &= codec.in_range[slot]
            assert torch.equal(found[i, at] & may, may & ~bound_may & (slot >= 0))
            seen += int(found[i, at].sum())
    assert seen > 50, "there must be some for this to mean anything"
    # its first rows know less of what was before
    later = faults(codec, tokens[:, 2 * codec.row_length :])
    assert torch.equal(later[:, 4 * codec.row_length :], found[:, 6 * codec.row_length :])


def test_rules_go_on_from_prompts_of_unequal_length():
    codec = Jsb().learn([SCORE])
    start = [codec.id["start",]]
    rows = [start + [20, 17, 12, 0], [0] * 4 + start]
    model = TransformerSettings(preset="nanochat", depth=1, width=16, heads=2).build(
        codec.space, context=64
    )
    real = torch.tensor([[True] * 5, [False] * 4 + [True]])
    settings, draws = Decoding(max_tokens=40, temperature=1.0), Draws(3, 0, torch.arange(2))
    new = generate_tokens(model, torch.tensor(rows), real, settings, draws, constraint=Rules(codec))
    whole = [rows[0] + new.tokens[0].tolist(), start + new.tokens[1].tolist()]
    for row in whole:
        score, unread = codec.read(row)
        assert unread == 0 and plain_count(score.grid()[0]) == 0 and score.length >= 10


def test_nothing_else_is_allowed_where_the_grid_says_what_comes():
    codec = Grid().learn([SCORE])
    rules, none = Rules(codec), torch.arange(1)

    def names(*t):
        return {
            codec.tokens[i][0] for i in rules(torch.tensor([t]), none)[0].nonzero()[:, 0].tolist()
        }

    start, tokens = codec.id["start",], codec.encode(SCORE)
    assert names(start) == {"place", "meter", "key"}
    assert names(start, *tokens[:1]) == names(start, *tokens[:4]) == {"none"}
    assert names(start, *tokens[:5]) == {"place", "key"} and names(start, *tokens[:10]) == {"place"}
    assert names(start, *tokens[:11]) == {"onset", "fermata", "rest"}
    assert names(start, *tokens[:16]) == {"onset", "fermata", "hold", "rest"}
    assert names(start, *tokens[:15]) == {"place", "meter", "key", "end"}
    held = rules(torch.tensor([[start, *tokens[:16]]]), none)[0].nonzero()[:, 0].tolist()
    assert [codec.tokens[i] for i in held if codec.tokens[i][0] == "hold"] == [("hold", 60)]
