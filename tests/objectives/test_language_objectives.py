"""Targets, masks and counts of language modelling."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.objectives.language import Causal, Masked
from genwright.training.engine import Engine

V = 50
SPACE = Space(V, {"end": 47, "mask": 48, "pad": 49}, word_start=torch.arange(V) % 3 == 0)


class Table(nn.Module):
    """A bigram table with the transformer's signature."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.rows = nn.Embedding(V, V)

    def forward(self, tokens, targets=None, documents=None, padding=None):
        logits = self.rows(tokens)
        if targets is None:
            return logits
        return F.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=-100, reduction="none"
        ).view_as(targets)


def ranks(n):
    engine = Engine("cpu")
    engine.deal(n)
    return engine


def prepare(objective, batch, position=0):
    n = len(batch["tokens"])
    return objective.prepare(batch, Draws(7, position, torch.arange(n)), ranks(n))


def causal_batch(batch):
    return prepare(Causal().build({"model": Table()}, SPACE), batch)


def test_causal_targets_are_the_next_tokens_and_absent_ones_do_not_count():
    out = causal_batch({"tokens": torch.tensor([[5, 6, 7, -1]])})
    assert out["inputs"].tolist() == [[5, 6, 7]]
    assert out["targets"].tolist() == [[6, 7, -100]]


def test_unlikelihood_is_minus_log_of_what_remains_beside_faults():
    """Tokens 3 to 5 are faults everywhere: never where they are what is there, nor where nothing
    counts."""

    def bad(tokens):
        return (
            F.one_hot(torch.full_like(tokens, 3), V).bool()
            | F.one_hot(torch.full_like(tokens, 5), V).bool()
        )

    space = replace(SPACE, faults=bad)
    batch = {
        "tokens": torch.tensor([[7, 5, 6, -1], [1, 2, 3, 4]]),
        "counted": torch.tensor([[True] * 4, [True, True, True, False]]),
    }
    model, losses = {"model": Table()}, []
    for weight in (0.0, 2.5):
        objective = Causal(unlikelihood=weight).build(model, space)
        losses.append(objective.loss(prepare(objective, batch)))
    plain, both = losses
    chances = model["model"](torch.tensor([[7, 5], [1, 2]])).softmax(-1)
    faults = torch.stack(
        [
            torch.stack([chances[0, 0, 3], chances[0, 1, [3, 5]].sum()]),
            torch.stack([chances[1, 0, [3, 5]].sum(), chances[1, 1, 5]]),
        ]
    )
    torch.testing.assert_close(both.total - plain.total, -2.5 * (1 - faults).log().sum(1))
    torch.testing.assert_close(both.metrics["faults"].total.sum(), faults.sum())
    assert torch.equal(both.metrics["loss"].total, plain.metrics["loss"].total)
    assert both.count.tolist() == plain.count.tolist() == [2, 2]
    assert both.total.grad_fn is not None and "faults" not in plain.metrics


def test_unlikelihood_is_refused_where_no_fault_is_known():
    with pytest.raises(
        GenwrightError,
        match="objective.unlikelihood needs a codec that knows what breaks a rule",
    ):
        Causal(unlikelihood=1).build({"model": Table()}, SPACE)


def test_no_document_is_predicted_from_another_when_they_are_isolated():
    tokens, documents = torch.tensor([[1, 2, 47, 3, 4]]), torch.tensor([[0, 0, 0, 1, 1]])
    out = causal_batch({"tokens": tokens, "documents": documents})
    assert out["targets"].tolist() == [[2, 47, -100, 4]]
    assert out["documents"].tolist() == [[0, 0, 0, 1]]


def test_counted_marks_what_is_learned():
    out = causal_batch(
        {"tokens": torch.tensor([[1, 2, 3]]), "counted": torch.tensor([[True, False, True]])}
    )
    assert out["targets"].tolist() == [[-100, 3]]


def test_loss_is_summed_per_example_and_equals_cross_entropy():
    objective = Causal().build({"model": Table()}, SPACE)
    tokens = torch.randint(0, 47, (4, 9), generator=torch.Generator().manual_seed(1))
    tokens[1, 5:] = -1
    tokens[2, 1:] = -1  # an example without a target
    batch = prepare(objective, {"tokens": tokens})
    loss = objective.loss(batch)
    mean = F.cross_entropy(
        objective.modules["model"](batch["inputs"]).flatten(0, 1),
        batch["targets"].flatten(),
        ignore_index=-100,
    )
    assert loss.count.tolist() == [8, 4, 0, 8]
    assert loss.total[2].item() == 0
    assert (loss.total.sum() / loss.count.sum()).item() == pytest.approx(mean.item(), abs=1e-6)
    objective.accuracy = True
    again = objective.loss(batch)
    assert torch.allclose(again.total, loss.total, atol=1e-5)
    correct, count = again.metrics["accuracy"]
    guess = objective.modules["model"](batch["inputs"]).argmax(-1)
    assert (int(correct.sum()), int(count.sum())) == (int((guess == batch["targets"]).sum()), 20)


def within(hits, trials, rate, z=4.5):
    return abs(hits - trials * rate) <= z * math.sqrt(trials * rate * (1 - rate))


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("rate", [0.15, 0.3])
def test_masking_statistics_lie_in_their_binomial_interval(rate, whole_words):
    objective = Masked(rate=rate, whole_words=whole_words).build({"model": Table()}, SPACE)
    tokens = torch.randint(0, V, (200, 100), generator=torch.Generator().manual_seed(2))
    out = prepare(objective, {"tokens": tokens})
    chosen = out["targets"] != -100
    content = tokens < 47
    assert not (chosen & ~content).any()  # special tokens are never hidden
    assert torch.equal(out["targets"][chosen], tokens[chosen])
    z = 4.5 * (2 if whole_words else 1)  # a word's tokens share their fate: fewer independent draws
    assert within(int(chosen.sum()), int(content.sum()), rate, z)
    n = int(chosen.sum())
    masked = (out["inputs"] == 48) & chosen
    kept = (out["inputs"] == tokens) & chosen
    assert within(int(masked.sum()), n, 0.8, z)
    assert within(int(kept.sum()), n, 0.1 + 0.1 / 47, z)
    replaced = out["inputs"][chosen & ~masked & ~kept]
    assert int(replaced.max()) < 47 and len(replaced.unique()) > 40
    assert torch.equal(out["inputs"][~chosen], tokens[~chosen])


def test_whole_words_are_hidden_together():
    objective = Masked(rate=0.4, whole_words=True, mask_share=1.0, random_share=0.0).build(
        {"model": Table()}, SPACE
    )
    # words: 0 1 2 | 3 4 | end | 5 7 | 6 8
    tokens = torch.tensor([[0, 1, 2, 3, 4, 47, 5, 7, 6, 8]]).repeat(300, 1)
    chosen = prepare(objective, {"tokens": tokens})["targets"] != -100
    for word in ([0, 1, 2], [3, 4], [6, 7], [8, 9]):
        assert (chosen[:, word].all(1) == chosen[:, word].any(1)).all()
    assert within(int(chosen[:, 0].sum()), 300, 0.4) and within(int(chosen[:, 8].sum()), 300, 0.4)
    assert not torch.equal(chosen[:, 0], chosen[:, 3])


def test_masks_are_a_function_of_seed_position_and_example_whatever_the_split():
    objective = Masked().build({"model": Table()}, SPACE)
    tokens = torch.randint(0, 47, (8, 20), generator=torch.Generator().manual_seed(3))
    whole = prepare(objective, {"tokens": tokens}, 5)
    part = objective.prepare({"tokens": tokens[2:5]}, Draws(7, 5, torch.arange(2, 5)), ranks(3))
    assert torch.equal(whole["inputs"][2:5], part["inputs"])
    assert not torch.equal(prepare(objective, {"tokens": tokens}, 6)["inputs"], whole["inputs"])


def test_absent_and_uncounted_tokens_are_never_hidden():
    objective = Masked(rate=0.9).build({"model": Table()}, SPACE)
    tokens = torch.full((20, 10), 5)
    tokens[:, 7:] = -1
    counted = torch.ones_like(tokens, dtype=torch.bool)
    counted[:, 0] = False
    out = prepare(objective, {"tokens": tokens, "counted": counted})
    assert (out["targets"][:, 7:] == -100).all() and (out["targets"][:, 0] == -100).all()
    assert (out["inputs"] >= 0).all()


def test_a_codec_without_a_mask_token_is_refused():
    with pytest.raises(GenwrightError, match="no mask token"):
        Masked().build({"model": Table()}, Space(V, {"end": 47}))


def test_shares_over_one_are_refused():
    with pytest.raises(GenwrightError, match="over 1"):
        Masked(mask_share=0.8, random_share=0.3).build({"model": Table()}, SPACE)
