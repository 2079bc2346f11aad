"""Best-of-n against enumeration, and the best samples as data that a model learns from."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.models.presets import TransformerSettings
from genwright.objectives.language import CausalObjective
from genwright.rewards.alternatives import (
    BestSamples,
    as_examples,
    best_of_n,
    best_rows,
    chances_of_best,
    kl_of_best,
    learn_from_best,
)
from genwright.sampling.decode import generate_tokens
from genwright.sampling.drawing import Decoding
from genwright.training.settings import Optimizer, Training

VALUES = torch.tensor([[3.0, 1.0, 2.0, 2.0, -1.0], [0.0, 0.0, 0.0, 0.0, 0.0]])


class TestBestOf:
    @pytest.mark.parametrize("n", [1, 2, 3, 5])
    def test_it_is_the_mean_over_all_sets_of_n(self, n):
        sets = [max(chosen) for chosen in combinations(VALUES[0].tolist(), n)]
        assert best_of_n(VALUES[:1], n).reward == pytest.approx(sum(sets) / len(sets), abs=1e-12)
        assert torch.allclose(chances_of_best(VALUES, n).sum(1), torch.ones(2).double())

    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_it_is_not_biased(self, n):
        """Over every draw of four samples of a known distribution, weighted by its probability."""
        outcomes, chances = (0.0, 1.0, 5.0), (0.2, 0.5, 0.3)
        estimated = 0.0
        for draw in product(range(3), repeat=4):
            weight = math.prod(chances[i] for i in draw)
            values = torch.tensor([[outcomes[i] for i in draw]])
            estimated += weight * best_of_n(values, n).reward
        below = (0.0, 0.2, 0.7, 1.0)  # the chance of less than each outcome, and of any
        exact = sum(value * (below[i + 1] ** n - below[i] ** n) for i, value in enumerate(outcomes))
        assert estimated == pytest.approx(exact, abs=1e-12)

    def test_of_right_and_wrong_it_is_pass_at_n(self):
        m, right = 20, 3
        values = torch.zeros(1, m)
        values[0, 4 : 4 + right] = 1
        for n in (1, 4, 17, 18):
            expected = 1 - math.comb(m - right, n) / math.comb(m, n)
            assert best_of_n(values, n).reward == pytest.approx(expected, abs=1e-12)

    def test_what_else_was_measured_is_of_the_samples_that_are_kept(self):
        other = torch.tensor([[7.0, 1.0, 2.0, 4.0, 9.0], [1.0, 2.0, 3.0, 4.0, math.nan]])
        found = best_of_n(VALUES, 5, {"other": other})
        # of the second question all are equal: each is kept as often as any
        assert found.others["other"] == pytest.approx((7.0 + 0.2 * (1 + 2 + 3 + 4)) / 1.8)
        shared = chances_of_best(VALUES, 2)[0]
        assert shared[2] == shared[3] and float(shared[0]) == pytest.approx(4 / 10)

    def test_error_is_over_questions(self):
        found = best_of_n(torch.tensor([[1.0, 3.0], [5.0, 5.0]]), 2)
        assert found.reward == 4 and found.error == pytest.approx(1.0)
        assert math.isnan(best_of_n(VALUES[:1], 2).error)

    def test_an_infinite_reward_that_is_never_kept_costs_nothing(self):
        assert best_of_n(torch.tensor([[-math.inf, 1.0, 2.0]]), 2).reward == pytest.approx(5 / 3)

    @pytest.mark.parametrize("n", [2, 4, 16])
    def test_the_bound_holds_and_is_reached_where_nothing_is_equal(self, n):
        """The divergence of best-of-n among k equally likely outcomes of different rewards."""
        gaps = []
        for k in (2, 10, 3000):
            ends = np.arange(k + 1) / k
            kept = np.diff(ends**n)  # the chance that the best is the i-th
            divergence = float((kept * np.log(kept * k)).sum())
            gaps.append(kl_of_best(n) - divergence)
        assert min(gaps) >= 0 and gaps[0] > gaps[1] > gaps[2] and gaps[2] < 1e-3
        assert best_of_n(torch.rand(1, 16), n).kl == kl_of_best(n)

    def test_what_cannot_be_told_is_refused(self):
        with pytest.raises(GenwrightError, match="best of 6 cannot be told from 5 samples"):
            best_of_n(VALUES, 6)
        with pytest.raises(GenwrightError, match="best of 0"):
            best_of_n(VALUES, 0)
        with pytest.raises(GenwrightError, match="sample 1 of question 0 is not a number"):
            best_of_n(torch.tensor([[1.0, math.nan]]), 1)


def rollout():
    """Two questions of one and two tokens, two candidates each, up to three tokens drawn."""
    return {
        "tokens": torch.tensor(
            [[0, 5, 1, 2, 3], [0, 5, 4, 9, 0], [6, 7, 8, 0, 0], [6, 7, 8, 8, 9]]
        ),
        "padding": torch.tensor(
            [[0, 1, 1, 1, 1], [0, 1, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
        ).bool(),
        "mask": torch.tensor([[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 1, 1]]).bool(),
        "reward": torch.tensor([[0, 0, 1.0], [1.0, 2.0, 0], [0.0, 0, 0], [0, 0, -1.0]]),
    }


class TestBestSamples:
    def test_the_best_of_each_question_are_kept_and_of_equal_ones_the_first(self):
        values = torch.tensor([1.0, 3.0, 3.0, 0.0, 2.0, 2.0])
        assert best_rows(values, 3).tolist() == [1, 4]
        assert best_rows(values, 3, keep=2).tolist() == [1, 2, 4, 5]
        assert best_rows(values, 3, at_least=2.5).tolist() == [1]
        assert best_rows(values, 3, at_least=9).tolist() == []
        with pytest.raises(GenwrightError, match="best of 4"):
            best_rows(values, 3, keep=4)

    def test_a_rollout_becomes_examples_from_their_first_token_on(self):
        found = as_examples(rollout(), torch.tensor([1, 2, 3]))
        assert found["tokens"].tolist() == [
            [5, 4, 9, -1, -1],
            [6, 7, 8, -1, -1],
            [6, 7, 8, 8, 9],
        ]
        assert found["counted"].long().tolist() == [
            [0, 1, 1, 0, 0],
            [0, 0, 1, 0, 0],
            [0, 0, 1, 1, 1],
        ]

    def test_they_are_a_stream_of_which_every_epoch_shows_each_once(self):
        best = BestSamples(candidates=2)
        best.add(rollout())
        best.add(rollout())
        assert len(best) == 4 and best.seen == 8
        stream = best.stream(4, seed=3)
        batch = stream.batch(0, torch.arange(4))
        assert sorted(batch["tokens"].tolist()) == [[5, 4, 9]] * 2 + [[6, 7, 8]] * 2
        alone = stream.batch(0, torch.tensor([2]))
        assert torch.equal(alone["tokens"][0], batch["tokens"][2])
        assert len(stream.sources(0, torch.arange(2))) == 2
        # the loss counts what was drawn and nothing else
        prepared = CausalObjective({}, Space(vocabulary=10)).prepare(
            batch, Draws(0, 0, torch.arange(4)), None
        )
        assert int((prepared["targets"] >= 0).sum()) == 2 * 2 + 2 * 1

    def test_nothing_good_enough_is_said(self):
        best = BestSamples(candidates=2, at_least=10)
        best.add(rollout())
        with pytest.raises(GenwrightError, match="no sample was good enough"):
            best.stream(2, 0)

    def test_a_reward_that_is_not_a_number_is_refused(self):
        bad = rollout()
        bad["reward"][1, 0] = math.nan
        with pytest.raises(GenwrightError, match="not a number"):
            BestSamples(candidates=2).add(bad)


def test_a_model_learns_what_was_kept():
    """Rewarded is how often token 3 is drawn; end token 5."""
    torch.manual_seed(0)
    space = Space(vocabulary=6, special={"start": 0}, length=8)
    model = TransformerSettings(depth=1, width=16, heads=2).build(space, context=8)
    model.eval()

    def drawn(position):
        prompts = torch.zeros(64, 1, dtype=torch.int64)
        draws = Draws(0, position, torch.arange(64))
        settings = Decoding(max_tokens=6, temperature=1.0, valid_utf8=False)
        found = generate_tokens(model, prompts, None, settings, draws, end=5)
        reward = ((found.tokens == 3) & found.mask).float()
        real = torch.cat([torch.ones(64, 1, dtype=torch.bool), found.mask], 1)
        return {
            "tokens": torch.cat([prompts, found.tokens], 1),
            "padding": real,
            "mask": found.mask,
            "reward": reward,
        }

    best = BestSamples(candidates=8)
    for position in range(4):
        best.add(drawn(position))
    before = float(drawn(100)["reward"].sum(1).mean())
    settings = Training(
        steps=20,
        batch_size=16,
        precision="fp32",
        optimizer=Optimizer(kind="adamw", learning_rate=0.01),
    )
    learn_from_best(model, space, best, settings, seed=1)
    assert not model.training
    assert float(drawn(100)["reward"].sum(1).mean()) > 1.5 * before
