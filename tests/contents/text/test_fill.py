"""Fill-in against enumeration with a network whose conditional distributions are known, and its
sentences."""

import pytest
import torch
from torch import nn

from genwright.contents.text.codec import BPE, Characters
from genwright.contents.text.fill import fill
from genwright.contents.text.generate import generate_all as generate
from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.models.presets import TransformerSettings
from genwright.sampling.drawing import Decoding
from genwright.sampling.gibbs import fill_tokens

GREEDY = Decoding(temperature=0)


class Neighbours(nn.Module):
    """Logits of a position: a table's rows of its left and right neighbour, added."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.left, self.right = (
            nn.Parameter(torch.randn(12, 12, generator=generator)) for _ in range(2)
        )

    def forward(self, tokens):
        return self.left[tokens.roll(1, 1)] + self.right[tokens.roll(-1, 1)]


def by_hand(model, row, gaps):
    """The surest open gap gets its likeliest content token, then the next."""
    row = list(row)
    while gaps:
        logits = model(torch.tensor([row]))[0]
        logits[:, 10:] = -torch.inf
        p = logits.softmax(-1)
        place = max(gaps, key=lambda i: p[i].max().item())
        row[place] = int(p[place].argmax())
        gaps = [i for i in gaps if i != place]
    return row


def test_gaps_are_filled_surest_first():
    model = Neighbours()
    tokens = torch.randint(10, (4, 9), generator=torch.Generator().manual_seed(1))
    keep = torch.rand(4, 9, generator=torch.Generator().manual_seed(2)) < 0.6
    filled = fill_tokens(
        model, tokens, keep, 11, GREEDY, Draws(0, 0, torch.arange(4)), never=[10, 11]
    )
    for row, stays, new in zip(tokens, keep, filled, strict=True):
        assert new.tolist() == by_hand(
            model, row.masked_fill(~stays, 11).tolist(), (~stays).nonzero()[:, 0].tolist()
        )
    alone = fill_tokens(
        model, tokens[2:3], keep[2:3], 11, GREEDY, Draws(0, 0, torch.tensor([2])), never=[10, 11]
    )
    assert torch.equal(alone[0], filled[2])


def test_draws_follow_the_conditional_and_the_row():
    model, rows = Neighbours(), 4000
    tokens, keep = (
        torch.tensor([[3, 0, 4]]).expand(rows, 3),
        torch.tensor([[True, False, True]]).expand(rows, 3),
    )
    draws = Draws(0, 0, torch.arange(rows))
    filled = fill_tokens(model, tokens, keep, 11, Decoding(temperature=0.8), draws, never=[10, 11])
    logits = (model.left[3] + model.right[4]) / 0.8
    p = torch.cat([logits[:10].softmax(-1), torch.zeros(2)])
    share = torch.bincount(filled[:, 1], minlength=12) / rows
    assert ((share - p).abs() <= 5 * (p * (1 - p) / rows).sqrt()).all()
    some = fill_tokens(
        model,
        tokens[:7],
        keep[:7],
        11,
        Decoding(temperature=0.8),
        Draws(0, 0, torch.arange(7)),
        never=[10, 11],
    )
    assert torch.equal(some, filled[:7])


def test_text_has_candidates_with_their_probabilities(letters):
    model = Neighbours()
    filled = fill(model, letters, "ab[MASK]cd[MASK][MASK]ef", top=3)
    logits = model(torch.tensor([[0, 1, 11, 2, 3, 11, 11, 4, 5]]))[0]
    for place, candidates in zip((2, 5, 6), filled.candidates, strict=True):
        p = logits[place, :10].softmax(-1).topk(3)
        assert [c.token for c in candidates] == p.indices.tolist()
        assert [c.probability for c in candidates] == pytest.approx(p.values.tolist())
        assert [c.text for c in candidates] == [letters.decode([c.token]) for c in candidates]
    row = by_hand(model, [0, 1, 11, 2, 3, 11, 11, 4, 5], [2, 5, 6])
    assert filled.text == letters.decode(row) and filled.tokens == (row[2], row[5], row[6])


def test_a_gap_in_bpe_carries_its_space():
    text = "the cat sat on the mat and the dog sat on the cat " * 20
    codec = BPE(vocabulary=300).train(iter([text]))
    seen = []

    class Word(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, tokens):
            seen.append(tokens[0].tolist())
            return torch.zeros(*tokens.shape, codec.space.vocabulary).index_fill(
                2, torch.tensor(codec.encode(" dog")[0]), 5.0
            )

    filled = fill(Word(), codec, "the [MASK] sat")
    assert filled.text == "the dog sat"
    assert seen[0] == [*codec.encode("the"), codec.space.special["mask"], *codec.encode(" sat")]
    characters = Characters().train(iter(["the cat sat"]))
    with torch.no_grad():
        model = TransformerSettings(preset="modernbert", depth=1, width=8, heads=2).build(
            characters.space, 16, causal=False
        )
    assert len(fill(model, characters, "the [MASK]at sat").text) == len("the cat sat")


def test_sentences(letters):
    space = Space(vocabulary=12, special=letters.space.special)
    causal = TransformerSettings(depth=1, width=8, heads=2).build(space, 16)
    masked = TransformerSettings(preset="modernbert", depth=1, width=8, heads=2).build(
        space, 16, causal=False
    )
    with pytest.raises(GenwrightError, match="--prompt"):
        fill(causal, letters, "a[MASK]b")
    with pytest.raises(GenwrightError, match="--fill"):
        generate(masked, letters, ["a"])
    with pytest.raises(GenwrightError, match=r"no \[MASK\]"):
        fill(masked, letters, "ab")
    with pytest.raises(GenwrightError, match="more than the 16"):
        fill(masked, letters, "ab[MASK]" * 9)
    with pytest.raises(GenwrightError, match="use a to j"):
        fill(masked, letters, "xyz[MASK]")
    no_mask = type(
        "NoMask", (), {"space": Space(vocabulary=12, special={"end": 10}), "encode": letters.encode}
    )()
    with pytest.raises(GenwrightError, match="no mask token"):
        fill(masked, no_mask, "a[MASK]")
    masked.head_bias.data.fill_(float("nan"))
    with pytest.raises(GenwrightError, match="not finite"):
        fill(masked, letters, "a[MASK]")
