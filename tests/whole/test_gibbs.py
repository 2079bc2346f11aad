"""Block Gibbs: what is kept stays, rows stand alone, and on a distribution small enough to
enumerate it settles where it should."""

from itertools import product

import pytest
import torch
from torch import nn

from genwright.contents.music.codec_grid import Jsb
from genwright.contents.music.score import Note, Score
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.models.presets import TransformerSettings
from genwright.sampling.drawing import Decoding
from genwright.sampling.gibbs import gibbs, shares

PLAIN = Decoding(temperature=1.0)


class Exact(nn.Module):
    """A masked model of a known joint distribution over (time) tokens of `values`: the conditional
    of each place given those not masked."""

    def __init__(self, time=3, values=3, seed=0):
        super().__init__()
        self.states = torch.tensor(list(product(range(values), repeat=time)))
        logits = 1.5 * torch.randn(len(self.states), generator=torch.Generator().manual_seed(seed))
        self.joint, self.values = nn.Parameter(logits.softmax(0), requires_grad=False), values

    def forward(self, tokens):
        others = ~torch.eye(tokens.shape[1], dtype=torch.bool)  # a place does not see itself
        fits = (self.states == tokens[:, None]) | (tokens[:, None] == self.values)
        fits = (fits[:, None] | ~others[:, None]).all(3)  # (rows, place, states)
        weights = fits * self.joint
        held = nn.functional.one_hot(self.states, self.values + 1).float()  # the last: the mask
        return torch.einsum("rps,spv->rpv", weights, held).log()


def draw(model, tokens, keep, passes, rows=None, settings=PLAIN, **more):
    draws = Draws(0, 0, torch.arange(len(tokens)) if rows is None else rows)
    allowed = torch.arange(model.values + 1) < model.values
    return gibbs(
        model, tokens, keep, model.values, settings, draws, passes, allowed=allowed, **more
    )


def close(model, drawn, given=None):
    """Whether frequencies are those of the joint distribution, given some values."""
    p = model.joint.clone()
    for place, value in (given or {}).items():
        p = p * (model.states[:, place] == value)
    p = p / p.sum()
    base = model.values ** torch.arange(drawn.shape[1] - 1, -1, -1)
    share = torch.bincount((drawn * base).sum(1), minlength=len(p)) / len(drawn)
    return bool(((share - p).abs() <= 5 * (p * (1 - p) / len(drawn)).sqrt() + 1e-9).all())


def test_it_settles_on_the_models_distribution():
    model, rows = Exact(), 4000
    start = torch.zeros(rows, 3, dtype=torch.long)
    nothing = torch.zeros(rows, 3, dtype=torch.bool)
    assert close(model, draw(model, start, nothing, 30))
    assert not close(model, draw(model, start, nothing, 1)), (
        "places drawn at once are independent, and this distribution is not"
    )
    keep = nothing.index_fill(1, torch.tensor([1]), True)
    given = draw(model, start + 2, keep, 30)
    assert (given[:, 1] == 2).all() and close(model, given, {1: 2})


def test_what_is_kept_stays_and_rows_stand_alone():
    model = Exact(4)
    generator = torch.Generator().manual_seed(1)
    tokens, keep = (
        torch.randint(3, (50, 4), generator=generator),
        torch.rand(50, 4, generator=generator) < 0.5,
    )
    keep[0] = True
    drawn = draw(model, tokens, keep, 6)
    assert (
        torch.equal(drawn[keep], tokens[keep])
        and torch.equal(drawn[0], tokens[0])
        and (drawn != tokens).any()
    )
    assert int(drawn.max()) < 3 and torch.equal(drawn, draw(model, tokens, keep, 6))
    for row in (3, 17):
        assert torch.equal(
            draw(model, tokens[row, None], keep[row, None], 6, torch.tensor([row]))[0], drawn[row]
        )
    (drawn.float().requires_grad_() * 2).sum().backward()


def test_shares_fall_from_all_to_none():
    assert shares(1) == [1.0] and shares(8)[0] == 1.0 and shares(8)[-2:] == [0.0, 0.0]
    assert all(a >= b for a, b in zip(shares(50), shares(50)[1:], strict=False))


def test_blocks_shrink_to_one_place_a_row():
    seen = []

    class Spy(Exact):
        def forward(self, tokens):
            seen.append(tokens == 3)
            return super().forward(tokens)

    model, keep = Spy(4), torch.tensor([[False, False, False, True]]).expand(20, 4)
    tokens = torch.ones(20, 4, dtype=torch.long)
    draw(model, tokens, keep, 12)
    assert torch.equal(seen[0], ~keep), "at first all that is open is hidden"
    for hidden in seen:
        assert not hidden[:, 3].any() and hidden.any(1).all()
    assert {tuple(row) for row in seen[-1].int().tolist()} == {
        (1, 0, 0, 0),
        (0, 1, 0, 0),
        (0, 0, 1, 0),
    }, "in the end one place a row"


def test_a_melody_is_harmonised_and_a_gap_filled():
    score = Score(tuple((Note(0, 4, p), Note(4, 4, p + 3)) for p in (70, 62, 55, 48)), 8)
    codec = Jsb().learn([score])
    torch.manual_seed(0)
    model = TransformerSettings(preset="modernbert", depth=1, width=16, heads=2).build(
        codec.space, context=32, causal=False
    )
    tokens = torch.tensor([codec.encode(score)]).expand(3, -1)
    allowed = torch.arange(codec.space.vocabulary) < codec.size
    for keep in (codec.kept(tokens, voices=[0]), codec.kept(tokens, steps=range(2, 4))):
        drawn = gibbs(
            model,
            tokens,
            keep,
            codec.id["mask",],
            PLAIN,
            Draws(1, 0, torch.arange(3)),
            5,
            allowed=allowed,
        )
        assert (
            torch.equal(drawn[keep], tokens[keep])
            and (drawn != tokens).any(1).all()
            and int(drawn.max()) < codec.size
        )
        assert [codec.read(row)[1] for row in drawn.tolist()] == [0, 0, 0]


def test_temperature_0_takes_the_likeliest():
    model = Exact(4)
    keep = torch.tensor([[True, True, True, False]])
    drawn = draw(
        model, torch.zeros(1, 4, dtype=torch.long), keep, 2, settings=Decoding(temperature=0)
    )
    assert drawn[0, 3] == model(torch.zeros(1, 4, dtype=torch.long))[0, 3, :3].argmax()


def test_sentences():
    model = Exact(4)
    model.joint.data.fill_(float("nan"))
    with pytest.raises(GenwrightError, match="not finite"):
        draw(model, torch.zeros(1, 4, dtype=torch.long), torch.zeros(1, 4, dtype=torch.bool), 1)
    score = Score(((Note(0, 4, 60),),) * 4, 4)
    codec = Jsb().learn([score])
    causal = TransformerSettings(depth=1, width=8, heads=2).build(codec.space, 16)
    with pytest.raises(GenwrightError, match="reads left to right"):
        rows = torch.zeros(1, 4, dtype=torch.long)
        gibbs(
            causal,
            rows,
            rows > 0,
            3,
            PLAIN,
            Draws(0, 0, torch.arange(1)),
            1,
            allowed=torch.ones(5, dtype=torch.bool),
        )
