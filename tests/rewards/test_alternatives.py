"""Best-of-n against enumeration, training on the best, and divergences against enumeration."""

import math
from itertools import combinations, product

import numpy as np
import pytest
import torch
from toy import END, LETTERS, ToyCodec, network, objective, settings, stream

from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.objectives.language import CausalObjective
from genwright.objectives.policy import MODEL, drawn_logits
from genwright.objectives.policy_gradient import best_only
from genwright.objectives.terms import Rollout, Term
from genwright.rewards.alternatives import alternative, best_of_n, chances_of_best, kl_of_best

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
        assert found.parts["other"] == pytest.approx((7.0 + 0.2 * (1 + 2 + 3 + 4)) / 1.8)
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


class TestTrainingOnTheBest:
    def test_the_best_are_weighted_and_nothing_else(self):
        mask = torch.ones(6, 2, dtype=torch.bool)
        mask[1, 1] = False
        total = torch.tensor([1.0, 3.0, 3.0, 5.0, 5.0, 5.0])
        expected = [[0, 0], [1.5, 0], [1.5, 1.5], [0, 0], [0, 0], [0, 0]]
        assert best_only(total, mask, 3).tolist() == expected
        total = torch.tensor([-1.0, -3.0, -2.0, 0.0, 2.0, 1.0])
        assert best_only(total, mask, 3)[:, 0].tolist() == [3, 0, 0, 0, 3, 0]

    def test_the_gradient_is_that_of_supervised_training_on_the_best(self):
        policy = objective(settings(baseline="best", kl=0.0, rewards=(Term(measure="length"),)))
        examples = torch.arange(16)
        batch = stream(policy.settings, policy).batch(0, examples, policy)
        settled = policy.settle(batch, Draws(0, 0, examples), None)
        loss = policy.loss(settled)
        (loss.total.sum() / loss.count.sum()).backward()
        model = policy.modules[MODEL]
        own = [p.grad.clone() for p in model.parameters() if p.grad is not None]

        # the same by hand, of the kept samples alone
        weights = settled["advantages"].amax(1)
        rows = weights.nonzero()[:, 0]
        kept = {name: value[rows] for name, value in batch.items()}
        model.zero_grad()
        tokens = kept["tokens"][:, -kept["mask"].shape[1] :]
        nats = torch.nn.functional.cross_entropy(
            drawn_logits(model, kept).transpose(1, 2), tokens, reduction="none"
        )
        drawn = int(batch["mask"].sum())
        ((nats * kept["mask"]).sum(1) * weights[rows]).sum().div(drawn).backward()
        expected = [p.grad for p in model.parameters() if p.grad is not None]
        assert 0 < len(rows) < 16
        for one, other in zip(own, expected, strict=True):
            assert torch.allclose(one, other, atol=1e-6)


def of_model(model):
    return CausalObjective({MODEL: model}, ToyCodec.space)


def exact(model, reference, allowed):
    """Reward, divergence and length of all samples of up to two tokens behind "a", where only
    `allowed` may be drawn."""
    vocabulary = len(LETTERS)
    bars = torch.full((vocabulary,), -math.inf)
    bars[list(allowed)] = 0.0

    def logprobs(network, tokens):
        logits = network(torch.tensor([tokens]))[0, -1].double()
        return logits.log_softmax(-1)

    totals = torch.zeros(3).double()

    def visit(tokens, chance):
        drawn = (logprobs(model, tokens) + bars).log_softmax(-1)
        others = logprobs(reference, tokens)
        for token in allowed:
            p = float(drawn[token].exp()) * chance
            now = [*tokens, token]
            ratio = float(drawn[token] - others[token])
            totals[1] += p * ratio
            totals[2] += p
            if token == END or len(now) == 3:
                text = "".join(LETTERS[letter] for letter in now[1:])
                totals[0] += p * text.count("a") / len(text)
            else:
                visit(now, p)

    with torch.no_grad():
        visit([0], 1.0)
    return totals.tolist()


class TestAlternative:
    policy = settings(rollout=Rollout(max_tokens=2), candidates=4)

    def found(self, model, reference, constraint=None, samples=3000):
        policy = of_model(model)
        rollouts = stream(self.policy, policy, size=64)
        rollouts.questions = rollouts.questions[:1]
        return alternative(rollouts, policy, reference, samples, constraint), rollouts

    def test_reward_and_divergence_are_those_of_all_samples(self):
        model, reference = network(1), network(2)
        found, _ = self.found(model, reference)
        reward, kl, length = exact(model, reference, range(len(LETTERS)))
        assert found.reward.shape == (752, 4)
        spread = float(found.reward.std() / found.reward.numel() ** 0.5)
        assert float(found.reward.mean()) == pytest.approx(reward, abs=4 * spread)
        assert 0 < found.kl_error < 0.05 * found.kl
        assert found.kl == pytest.approx(kl, abs=4 * found.kl_error)
        assert found.length == pytest.approx(length, abs=0.05)
        assert set(found.parts) == {"reward/share of a", "watched/length", "watched/b"}
        assert torch.equal(found.parts["reward/share of a"], found.reward)

    def test_samples_are_those_that_a_policy_would_learn_from(self):
        """Drawn and rewarded in one way, whoever asks."""
        model = network(1)
        found, rollouts = self.found(model, model, samples=128)
        policy = of_model(model)
        samples = []
        rewards = []
        for position in range(2):
            batch = rollouts.batch(position, torch.arange(64), policy)
            samples += rollouts.last.samples
            rewards.append(batch["reward"].double().sum(1))
        assert list(found.samples) == samples
        assert torch.allclose(found.reward.flatten(), torch.cat(rewards), atol=1e-6)

    def test_a_model_is_at_no_distance_from_itself(self):
        model = network(1)
        found, _ = self.found(model, model, samples=64)
        assert found.kl == pytest.approx(0, abs=1e-6)

    def test_rules_cost_what_they_rule_out(self):
        model = network(1)
        allowed = (0, 2, END)

        def constraint(tokens, rows):
            may = torch.zeros(len(tokens), len(LETTERS), dtype=torch.bool)
            may[:, list(allowed)] = True
            return may

        found, rollouts = self.found(model, model, constraint)
        reward, kl, _ = exact(model, model, allowed)
        assert found.kl == pytest.approx(kl, abs=4 * found.kl_error) and kl > 0.1
        assert float(found.reward.mean()) == pytest.approx(reward, abs=0.03)
        assert set("".join(sample.content for sample in found.samples)) == set("ac.")
        assert rollouts.constraint is None  # a policy would not learn under it
