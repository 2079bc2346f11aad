"""Policy gradients against a policy whose every sequence is enumerated: expectations are exact
sums, so an estimator's expected gradient can be compared with the gradient of what it estimates."""

import math

import pytest
import torch
from enumerated import END, LONGEST, Policy, probabilities, sequences

from genwright.core.errors import GenwrightError
from genwright.objectives.policy_gradient import (
    advantages,
    dead_groups,
    entropy,
    fault_chance,
    importance_weights,
    kl_full,
    kl_loss,
    kl_to_come,
    normalised,
    policy_loss,
    returns,
    sampled_kl,
)

KINDS = ["ppo", "gspo", "cispo", "sapo"]
NORMALISERS = ["tokens", "constant", "sequence"]
CLOSE = 1e-6  # the bar; float64 gives some 1e-15


class World:
    """Every sequence of a policy, with a reward that tokens earn."""

    def __init__(self, seed=0):
        self.policy = Policy(seed)
        self.tokens, self.mask = sequences()
        self.logits = self.policy.logits(self.tokens)
        self.logprobs = self.policy.logprobs(self.tokens)
        self.probability = probabilities(self.logprobs, self.mask)
        random = torch.Generator().manual_seed(seed + 100)
        dense = torch.randn(self.tokens.shape, generator=random, dtype=torch.float64)
        # what a token earns may depend on what was drawn up to it, not on what comes
        prefix = {}
        for row in range(len(self.tokens)):
            for place in range(LONGEST):
                key = tuple(self.tokens[row, : place + 1].tolist())
                dense[row, place] = prefix.setdefault(key, dense[row, place])
        self.reward = dense.where(self.mask, 0)
        self.weight = self.probability.detach()
        self.length = self.mask.sum(1)

    def expected(self, value):
        """The gradient of the expectation of a value (n,) of sequences."""
        return self.policy.gradient((self.probability * value).sum())

    def pairs(self):
        """Every group of two samples: row numbers (2 x 31 x 31,), side by side, and the
        probability of each group."""
        n = len(self.tokens)
        first = torch.arange(n).repeat_interleave(n)
        second = torch.arange(n).repeat(n)
        rows = torch.stack([first, second], 1).flatten()
        return rows, self.weight[first] * self.weight[second]

    def loss(self, advantage, kind="ppo", rows=slice(None)):
        """Of samples of the policy itself: old log-probabilities are its own."""
        old = self.logprobs[rows].detach()
        return policy_loss(self.logprobs[rows], old, advantage, self.mask[rows], kind=kind).loss


@pytest.fixture(scope="module")
def world():
    return World()


def close(a, b, within=CLOSE):
    return float((a - b).detach().abs().max()) <= within


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


def test_probabilities_of_all_sequences_add_up_to_one(world):
    assert len(world.tokens) == 31
    assert math.isclose(float(world.weight.sum()), 1, abs_tol=1e-12)
    assert float(world.weight.min()) > 0


def test_returns_are_what_is_earned_from_each_token_on():
    reward = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, math.nan]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert returns(reward, mask).tolist() == [[7, 6, 4], [3, 2, 0]]


def test_discounted_returns_count_what_is_later_for_less():
    reward = torch.tensor([[1.0, 2.0, 4.0], [1.0, 2.0, math.nan]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    assert returns(reward, mask, 0.5).tolist() == [[3.0, 4.0, 4.0], [2.0, 2.0, 0.0]]
    random = torch.Generator().manual_seed(0)
    many = torch.randn(5, 40, generator=random, dtype=torch.float64)
    drawn = torch.arange(40) < torch.tensor([40, 1, 17, 39, 8])[:, None]
    weights = 0.9 ** (torch.arange(40) - torch.arange(40)[:, None]).double()  # (from, at)
    expected = (many * drawn) @ weights.triu().T
    assert close(returns(many, drawn, 0.9), expected * drawn, 1e-12)


def test_a_discount_of_almost_one_is_almost_none(world):
    whole = returns(world.reward, world.mask)
    assert close(returns(world.reward, world.mask, 1 - 1e-9), whole)


def test_constant_normaliser_gives_the_gradient_of_the_expected_reward(world):
    exact = world.expected(world.reward.sum(1))
    per_token = world.loss(returns(world.reward, world.mask))
    total, count = normalised(per_token, world.mask, "constant", constant=LONGEST)
    found = world.policy.gradient((world.weight * total).sum() / (world.weight * count).sum())
    assert float(exact.abs().max()) > 0.01
    assert close(found, -exact / LONGEST)


def test_tokens_normaliser_gives_it_divided_by_the_expected_length(world):
    exact = world.expected(world.reward.sum(1))
    per_token = world.loss(returns(world.reward, world.mask))
    total, count = normalised(per_token, world.mask, "tokens")
    found = world.policy.gradient((world.weight * total).sum() / (world.weight * count).sum())
    assert close(found, -exact / float((world.weight * world.length).sum()))


def at_the_end(world, whole):
    """(n, t): whole rewards (n,), each earned at the sample's last token."""
    reward = torch.zeros_like(world.reward)
    reward[torch.arange(len(whole)), world.length - 1] = whole
    return reward


def of_rewards_at_the_end(world, whole, normaliser):
    """The gradient of the loss of rewards (n,), each earned at its sample's last token."""
    per_token = world.loss(returns(at_the_end(world, whole), world.mask))
    total, count = normalised(per_token, world.mask, normaliser)
    return world.policy.gradient((world.weight * total).sum() / (world.weight * count).sum())


def test_sequence_normaliser_is_biased_towards_reward_by_length(world):
    """Its gradient is that of the expected reward / length, which points elsewhere."""
    whole = world.reward.sum(1)
    exact = -world.expected(whole)
    found = of_rewards_at_the_end(world, whole, "sequence")
    assert close(found, -world.expected(whole / world.length))
    # whatever the learning rate: a tenth of it and more lies across the right direction
    assert 1 - cosine(found, exact) ** 2 > 0.1**2
    unbiased = of_rewards_at_the_end(world, whole, "constant")
    assert close(unbiased, exact)


@pytest.mark.parametrize("value,sign", [(1.0, -1), (-1.0, 1)])
def test_sequence_normaliser_prefers_lengths_where_all_rewards_are_equal(world, value, sign):
    """There is nothing to learn, but short samples are preferred where all are good, and long ones
    where all are bad."""
    whole = torch.full_like(world.weight, value)
    step = -of_rewards_at_the_end(world, whole, "sequence")
    longer = world.expected(world.length.double())
    assert float(step.norm()) > 0.05
    assert sign * cosine(step, longer) > 0.9
    for normaliser in ("tokens", "constant"):
        assert close(of_rewards_at_the_end(world, whole, normaliser), torch.zeros(1))


@pytest.mark.parametrize("kind,share", [("leave-one-out", 1.0), ("group", 0.5)])
def test_baselines_over_all_groups_of_two(world, kind, share):
    """The mean of all candidates, its own included, keeps (candidates - 1) / candidates."""
    rows, probability = world.pairs()
    mask = world.mask[rows]
    advantage = advantages(returns(world.reward[rows], mask), mask, 2, kind)
    total, _ = normalised(world.loss(advantage, rows=rows), mask, "constant")
    of_groups = total.view(-1, 2).mean(1)
    found = world.policy.gradient((probability * of_groups).sum())
    assert close(found, -share * world.expected(world.reward.sum(1)))


def per_token_gradients(world):
    """(31, 4, parameters) of the log-probability of every token of every sequence."""
    rows = []
    for row in range(len(world.tokens)):
        rows.append([world.policy.gradient(world.logprobs[row, place]) for place in range(LONGEST)])
    return torch.stack([torch.stack(row) for row in rows])


def test_leave_one_out_has_less_variance_than_no_baseline(world):
    """The exact variance of a step's gradient over all groups of two. The mean of one other sample
    doubles the variance of rewards and takes the square of their mean: where all rewards are three
    deviations above 0, it leaves 2 of 10 parts or so."""
    whole = world.reward.sum(1)
    mean = (world.weight * whole).sum()
    deviation = (world.weight * (whole - mean).square()).sum().sqrt()
    reward = at_the_end(world, (whole - mean) / deviation + 3)
    rows, probability = world.pairs()
    mask = world.mask[rows]
    plain = returns(reward[rows], mask)
    slopes = per_token_gradients(world)[rows]  # (pairs, 4, parameters)

    def variance(advantage):
        of_samples = (advantage[..., None] * slopes).sum(1)
        of_groups = of_samples.view(len(probability), 2, -1).mean(1)
        expected = (probability[:, None] * of_groups).sum(0)
        square = (probability * of_groups.square().sum(1)).sum()
        return expected, float(square - expected.square().sum())

    without, variance_without = variance(plain)
    with_it, variance_with = variance(advantages(plain, mask, 2))
    assert close(without, with_it)
    assert variance_with < 0.5 * variance_without


def test_a_reward_at_the_end_gets_the_mean_of_the_others_whole_rewards():
    """Whatever their lengths: a candidate that is over counts with what its last token earned."""
    reward = torch.tensor([[0.0, 0, 3], [5, 0, 0], [0, 1, 0]])
    mask = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])
    out = advantages(returns(reward, mask), mask, 3)
    assert out.tolist() == [[0, 0, 0], [3, 0, 0], [-3, -3, 0]]
    group = advantages(returns(reward, mask), mask, 3, "group")
    assert torch.allclose(group, out * 2 / 3)


def test_dense_rewards_meet_those_of_the_same_place():
    reward = torch.tensor([[1.0, 2, 4], [2, 2, 0]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    out = advantages(returns(reward, mask), mask, 2)
    assert out.tolist() == [[3, 4, 2], [-3, -4, 0]]


def test_dead_groups_are_found_and_contribute_nothing(world):
    reward = torch.tensor([0.1, 0.1, 0.1, 0.2, 0.1, 0.1, 0.1 + 1e-9, 0.1])
    assert dead_groups(reward, 2).tolist() == [True, False, True, True]
    assert dead_groups(torch.tensor([1e6, 1e6 + 0.06]), 2).tolist() == [True]
    n = len(world.tokens)
    at_end = torch.zeros(2 * n, LONGEST, dtype=torch.float64)
    rows = torch.arange(n).repeat_interleave(2).roll(1)  # candidates of different lengths
    at_end[torch.arange(2 * n), world.length[rows] - 1] = 0.1
    mask = world.mask[rows]
    for kind in ("leave-one-out", "group"):
        for scale in (False, True):
            out = advantages(returns(at_end, mask), mask, 2, kind, scale)
            assert not out.any()
    loss = world.loss(out, rows=rows)
    assert not world.policy.gradient(loss.sum()).any()


def test_scale_divides_by_the_groups_standard_deviation():
    reward = torch.tensor([[1.0], [3.0], [10.0], [50.0]])
    mask = torch.ones(4, 1, dtype=torch.bool)
    out = advantages(reward, mask, 2, "group", scale=True)
    assert torch.allclose(out[:, 0], torch.tensor([-1.0, 1, -1, 1]) / math.sqrt(2))


def test_scale_never_makes_rounding_an_advantage():
    """Sums of 0.1 in other orders differ by some 1e-7 of their size; divided by their own standard
    deviation that would be an advantage of 1."""
    mask = torch.ones(4, 1, dtype=torch.bool)
    for size in (1e-3, 1.0, 1e6):
        reward = size * torch.tensor([[1.0], [1 + 1.2e-7], [1.0], [1.0]])
        assert float(reward.std()) > 0
        out = advantages(reward, mask, 4, "group", scale=True)
        assert float(out.abs().max()) < 2e-3


def test_groups_must_be_whole():
    reward = torch.zeros(5, 1)
    mask = torch.ones(5, 1, dtype=torch.bool)
    for candidates in (1, 2):
        with pytest.raises(GenwrightError, match="groups of"):
            advantages(reward, mask, candidates)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_reinforce_where_the_policy_has_not_moved(world, kind):
    """One advantage a sample, as of a reward at the end."""
    advantage = world.reward.sum(1, keepdim=True).expand(-1, LONGEST)
    loss = world.loss(advantage, kind)
    plain = -(advantage * world.logprobs).where(world.mask, 0)
    for row in range(len(world.tokens)):
        found = world.policy.gradient(loss[row].sum())
        assert close(found, world.policy.gradient(plain[row].sum()), 1e-12)


def moved(kind, advantage, log_ratio, **bounds):
    """Value, gradient by the log-probabilities, ratio and clipped of one sample's tokens."""
    old = torch.full((1, len(log_ratio)), -2.0, dtype=torch.float64)
    now = (old + torch.tensor([log_ratio], dtype=torch.float64)).requires_grad_()
    mask = torch.ones_like(old, dtype=torch.bool)
    advantage = torch.tensor([advantage], dtype=torch.float64)
    out = policy_loss(now, old, advantage, mask, kind=kind, **bounds)
    (gradient,) = torch.autograd.grad(out.loss.sum(), now)
    return (
        out.loss[0].tolist(),
        gradient[0].tolist(),
        out.ratio[0].tolist(),
        out.clipped[0].tolist(),
    )


def test_ppo_bounds_each_side_and_only_where_it_would_go_on():
    log = math.log
    ratios = [1.5, 1.5, 0.5, 0.5, 1.1]
    value, gradient, ratio, clipped = moved(
        "ppo", [1, -1, 1, -1, 1], list(map(log, ratios)), clip_low=0.2, clip_high=0.28
    )
    assert value == pytest.approx([-1.28, 1.5, -0.5, 0.8, -1.1])
    assert gradient == pytest.approx([0, 1.5, -0.5, 0, -1.1])
    assert ratio == pytest.approx(ratios)
    assert clipped == [True, False, False, True, False]


def test_ppo_truncates_a_risen_ratio_of_a_negative_advantage():
    log_ratio = [math.log(5), math.log(2)]
    value, gradient, _, clipped = moved("ppo", [-1, -1], log_ratio, truncate=3.0)
    assert value == pytest.approx([3, 2])
    assert gradient == pytest.approx([0, 2])
    assert clipped == [True, False]


def test_gspo_has_one_ratio_a_sample():
    value, gradient, ratio, clipped = moved(
        "gspo", [1, 1], [0.3, -0.1], clip_low=1e-3, clip_high=0.2
    )
    assert ratio == pytest.approx([math.exp(0.1)] * 2)
    assert value == pytest.approx([-math.exp(0.1)] * 2)
    assert gradient == pytest.approx([-math.exp(0.1)] * 2)
    assert clipped == [False, False]
    _, gradient, _, clipped = moved("gspo", [1, 1], [0.3, -0.1], clip_high=3e-4)
    assert clipped == [True, True]
    assert gradient == [0, 0]


def test_cispo_bounds_the_weight_and_keeps_the_gradient():
    """A bound of 1 + clip_high: below it the weight is the ratio itself, not some clip_high."""
    log_ratio = [math.log(5), 0.0, math.log(0.5)]
    _, gradient, ratio, clipped = moved("cispo", [1, 1, -1], log_ratio, clip_high=0.2)
    assert gradient == pytest.approx([-1.2, -1, 0.5])
    assert ratio == pytest.approx([5, 1, 0.5])
    assert clipped == [True, False, False]


def test_sapo_fades_on_both_sides():
    _, gradient, _, clipped = moved("sapo", [1, 1, 1, -1], [0, math.log(4), math.log(0.1), 0])
    assert gradient[0] == pytest.approx(-1)
    assert gradient[3] == pytest.approx(1)
    assert -1 < gradient[1] < 0
    assert -1 < gradient[2] < 0
    assert not any(clipped)


class Elsewhere:
    """Sequences that another policy, `old`, draws: the policy in question has moved away from it.
    A token's advantage is what it earns at once; chances: (n, t, v) of the policy, with gradient;
    values: (n, t, v), what each possible token would earn."""

    def __init__(self, world, seed=7):
        self.world = world
        old = Policy(seed)
        self.old_logprobs = old.logprobs(world.tokens).detach()
        self.old_chances = old.logits(world.tokens).softmax(-1).detach()
        self.chances = world.logits.softmax(-1)
        # how often `old` comes by each place of each sequence: a part of its prefix's probability
        self.visits = probabilities(self.old_logprobs, world.mask)[:, None] * world.mask
        earned = {}
        for row in range(len(world.tokens)):
            for place in range(int(world.length[row])):
                prefix = tuple(world.tokens[row, : place + 1].tolist())
                earned[prefix] = float(world.reward[row, place])
        self.values = torch.zeros_like(world.logits)
        for row in range(len(world.tokens)):
            for place in range(int(world.length[row])):
                before = tuple(world.tokens[row, :place].tolist())
                for token in range(world.logits.size(2)):
                    self.values[row, place, token] = earned[(*before, token)]

    def exact(self, weight=None):
        """The gradient of what the next token earns at the places where `old` comes by; weight: (n,
        t, v), of each possible token."""
        chances = self.chances if weight is None else self.chances * weight
        at_places = (chances * self.values).sum(-1)
        return self.world.policy.gradient((self.visits * at_places).sum())

    def found(self, per_token):
        """The expected gradient of a loss (n, t) of tokens that `old` draws."""
        return self.world.policy.gradient((self.visits * per_token).sum())


@pytest.mark.parametrize("low,high", [(0.2, 0.28), (0.5, 0.1), (0.1, 3.0)])
def test_ppo_learns_from_tokens_within_their_bound_only(world, low, high):
    """Against the exact gradient in which tokens count unless they went past the bound in the
    direction that they are pushed to."""
    elsewhere = Elsewhere(world)
    old = elsewhere.old_logprobs
    out = policy_loss(world.logprobs, old, world.reward, world.mask, low, high)
    ratio = (elsewhere.chances / elsewhere.old_chances).detach()
    risen = (elsewhere.values > 0) & (ratio > 1 + high)
    fallen = (elsewhere.values < 0) & (ratio < 1 - low)
    inside = ~(risen | fallen)
    drawn = world.mask[..., None]
    assert bool((risen & drawn).any()) and bool((fallen & drawn).any())
    exact = -elsewhere.exact(inside)
    assert close(elsewhere.found(out.loss), exact)
    assert not close(exact, -elsewhere.exact(), 0.01)


def test_wide_bounds_leave_the_whole_gradient_of_tokens_drawn_elsewhere(world):
    elsewhere = Elsewhere(world)
    old = elsewhere.old_logprobs
    out = policy_loss(world.logprobs, old, world.reward, world.mask, 0.999999, 1e9)
    assert not out.clipped.any()
    assert close(elsewhere.found(out.loss), -elsewhere.exact())


@pytest.mark.parametrize("truncate", [1e9, 1.5])
def test_importance_weights_make_the_gradient_of_tokens_of_another_policy_right(world, truncate):
    """Each token counts as often as the policy itself would draw it there, or `truncate` times as
    often as it was drawn, where that is less."""
    elsewhere = Elsewhere(world)
    old = elsewhere.old_logprobs
    weight = importance_weights(world.logprobs, old, world.mask, truncate)
    found = elsewhere.found(weight * world.loss(world.reward))
    ratio = (elsewhere.chances / elsewhere.old_chances).detach()
    held = ratio.clamp(max=truncate) / ratio
    assert close(found, -elsewhere.exact(held))
    unweighted = elsewhere.found(world.loss(world.reward))
    assert not close(unweighted, -elsewhere.exact(), 0.01)
    assert close(-elsewhere.exact(held), -elsewhere.exact()) == (truncate > 1e3)


def test_importance_weights_are_bounded_and_have_no_gradient():
    now = torch.tensor([[-1.0, -1.0, -1.0, 5.0]], requires_grad=True)
    sampled = torch.tensor([[-1.0, -3.0, -0.5, -math.inf]])
    mask = torch.tensor([[True, True, True, False]])
    out = importance_weights(now, sampled, mask, truncate=2.0)
    assert out[0].tolist() == pytest.approx([1, 2, math.exp(-0.5), 1])
    assert not out.requires_grad


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_sums_over_micro_batches_equal_the_whole_batch(world, kind, normaliser):
    old = Policy(7).logprobs(world.tokens).detach()  # the policy has moved

    def gradient(rows):
        advantage = returns(world.reward, world.mask)[rows]
        mask = world.mask[rows]
        loss = policy_loss(world.logprobs[rows], old[rows], advantage, mask, kind=kind).loss
        total, count = normalised(loss, mask, normaliser, constant=LONGEST)
        return world.policy.gradient(total.sum()), float(count.sum())

    whole, units = gradient(slice(None))
    for size in (1, 7, 20):
        parts = [gradient(slice(i, i + size)) for i in range(0, len(world.tokens), size)]
        assert sum(count for _, count in parts) == units
        assert close(sum(part for part, _ in parts), whole, 1e-12)


def test_a_drawn_end_token_is_trained_and_what_is_behind_it_is_not():
    logits = torch.zeros(1, 4, 3, dtype=torch.float64, requires_grad=True)
    tokens = torch.tensor([[2, END, 0, 0]])
    mask = torch.tensor([[True, True, False, False]])
    logprobs = logits.log_softmax(-1).gather(2, tokens[..., None])[..., 0]
    for kind in KINDS:
        loss = policy_loss(
            logprobs, logprobs.detach(), torch.ones(1, 4).double(), mask, kind=kind
        ).loss
        (gradient,) = torch.autograd.grad(loss.sum(), logits, retain_graph=True)
        assert float(gradient[0, 1, END]) < -0.3
        assert not gradient[0, 2:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_not_drawn_may_be_anything(kind):
    now = torch.tensor([[-1.0, -math.inf, math.nan]], requires_grad=True)
    old = torch.tensor([[-1.0, math.nan, -math.inf]])
    mask = torch.tensor([[True, False, False]])
    out = policy_loss(now, old, torch.tensor([[1.0, math.nan, math.inf]]), mask, kind=kind)
    out.loss.sum().backward()
    assert now.grad is not None
    assert now.grad.tolist() == [[-1, 0, 0]]
    assert out.ratio.tolist() == [[1, 1, 1]]
    assert not out.clipped.any()


def test_a_sample_without_tokens_counts_for_nothing():
    mask = torch.tensor([[True, True], [False, False]])
    for kind, count in {"tokens": 2, "constant": 5, "sequence": 1}.items():
        total, counted = normalised(torch.tensor([[1.0, 2], [3, math.nan]]), mask, kind, 5.0)
        assert counted.tolist() == [count, 0]
        assert total.tolist() == [1.5 if kind == "sequence" else 3, 0]


def test_full_kl_and_entropy_are_those_of_their_definitions():
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 5, generator=random, dtype=torch.float64).requires_grad_()
    reference = 2 * torch.randn(2, 3, 5, generator=random, dtype=torch.float64)
    log_p = logits.log_softmax(-1)
    log_q = reference.log_softmax(-1)
    weight = torch.randn(2, 3, generator=random, dtype=torch.float64)
    pairs = [
        (kl_full(logits, reference), (log_p.exp() * (log_p - log_q)).sum(-1)),
        (entropy(logits), -(log_p.exp() * log_p).sum(-1)),
    ]
    for found, expected in pairs:
        assert close(found, expected, 1e-12)
        (slope,) = torch.autograd.grad((weight * found).sum(), logits, retain_graph=True)
        (exact,) = torch.autograd.grad((weight * expected).sum(), logits, retain_graph=True)
        assert close(slope, exact, 1e-12)
    assert close(kl_full(logits, logits.detach()), torch.zeros(2, 3), 1e-12)


def test_entropy_gives_the_gradient_of_the_entropy_at_the_places_that_are_visited(world):
    found = world.policy.gradient(
        (world.weight[:, None] * entropy(world.logits).where(world.mask, 0)).sum()
    )
    chances = world.logits.softmax(-1)
    of_places = -(chances * chances.log()).sum(-1)
    exact = world.policy.gradient((world.weight[:, None] * world.mask * of_places).sum())
    assert float(exact.abs().max()) > 0.01
    assert close(found, exact)


def test_full_kl_in_fp32_is_right_at_certain_tokens():
    logits = torch.tensor([[[60.0, 0.0, -50.0]]], requires_grad=True)
    reference = torch.tensor([[[0.0, 60.0, 0.0]]])
    kl = kl_full(logits, reference)
    kl.sum().backward()
    assert float(kl.detach()) == pytest.approx(60, abs=1e-4)
    assert logits.grad is not None and bool(logits.grad.isfinite().all())


def exact_kl(world, reference):
    """The gradient of the divergence of whole sequences."""
    log_p = world.logprobs.where(world.mask, 0).sum(1)
    log_q = reference.logprobs(world.tokens).where(world.mask, 0).sum(1).detach()
    return world.policy.gradient((world.probability * (log_p - log_q)).sum())


@pytest.mark.parametrize("candidates", [1, 2])
def test_full_kl_gives_the_gradient_of_the_divergence_of_sequences(world, candidates):
    reference = Policy(3)
    exact = exact_kl(world, reference)
    rows = torch.arange(len(world.tokens))
    probability = world.weight
    if candidates == 2:
        rows, probability = world.pairs()
    kl = kl_full(world.logits, reference.logits(world.tokens))[rows]
    per_token = kl_loss(kl, world.logprobs[rows], world.mask[rows], candidates)
    of_groups = per_token.sum(1).view(-1, candidates).mean(1)
    assert float(exact.abs().max()) > 0.1
    assert close(world.policy.gradient((probability * of_groups).sum()), exact)
    # its value is the divergence itself
    value = float((probability * of_groups).sum().detach())
    log_ratio = sampled_kl(world.logprobs, reference.logprobs(world.tokens), world.mask)
    assert value == pytest.approx(float((world.weight * log_ratio.sum(1)).sum()), abs=1e-12)
    # without what the tokens lead to it is another gradient
    local = (probability * kl.where(world.mask[rows], 0).sum(1).view(-1, candidates).mean(1)).sum()
    assert not close(world.policy.gradient(local), exact, 0.05)


def test_the_chance_of_faults_has_the_gradient_of_a_reward_for_each_fault(world):
    """Of one that the token alone answers for: what came before it is given."""
    random = torch.Generator().manual_seed(3)
    vocabulary = world.logits.shape[-1]
    known = {}  # what was drawn before a place -> which tokens are faults there
    faults = torch.zeros(*world.tokens.shape, vocabulary, dtype=torch.bool)
    for row, tokens in enumerate(world.tokens.tolist()):
        for place in range(LONGEST):
            drawn = torch.rand(vocabulary, generator=random) < 0.4
            faults[row, place] = known.setdefault(tuple(tokens[:place]), drawn)
    own = faults.gather(2, world.tokens[..., None])[..., 0].double()
    weight = world.weight[:, None] * world.mask
    expected = world.policy.gradient((weight * world.logprobs * own).sum())
    found = world.policy.gradient((weight * fault_chance(world.logits, faults)).sum())
    assert close(found, expected)
    assert float(expected.abs().max()) > 1e-2


def test_a_divergence_by_rounding_has_no_gradient():
    """Optimizers divide by the size of a gradient: what rounding leaves would be a whole step."""
    random = torch.Generator().manual_seed(0)
    logits = 3 * torch.randn(4, 5, 7, generator=random)
    as_computed = (logits + 1 - 1).requires_grad_()
    assert not torch.equal(as_computed, logits)
    (gradient,) = torch.autograd.grad(kl_full(as_computed, logits).sum(), as_computed)
    assert not gradient.any()
    moved = (logits + 1e-4 * torch.randn(logits.shape, generator=random)).requires_grad_()
    (gradient,) = torch.autograd.grad(kl_full(moved, logits).sum(), moved)
    log_p = moved.detach().double().log_softmax(-1)
    difference = log_p - logits.double().log_softmax(-1)
    kl = (log_p.exp() * difference).sum(-1, keepdim=True)
    exact = log_p.exp() * (difference - kl)
    assert (gradient.double() - exact).abs().max() < 0.01 * exact.abs().max()


def test_divergence_to_come_is_discounted_like_rewards():
    kl = torch.tensor([[0.1, 0.2, 0.4, 9.0]], dtype=torch.float64)
    mask = torch.tensor([[True, True, True, False]])
    expected = torch.tensor([[0.5 * 0.2 + 0.25 * 0.4, 0.5 * 0.4, 0, 0]], dtype=torch.float64)
    assert close(kl_to_come(kl, mask, discount=0.5), expected, 1e-12)


def test_divergence_to_come_may_be_made_before_micro_batches_part_the_groups(world):
    reference = Policy(3)
    rows = torch.arange(30)
    kl = kl_full(world.logits, reference.logits(world.tokens))[rows]
    mask = world.mask[rows]
    to_come = kl_to_come(kl, mask, candidates=2)
    assert not to_come.requires_grad
    whole = kl_loss(kl, world.logprobs[rows], mask, candidates=2)
    one = slice(4, 5)
    alone = kl_loss(kl[one], world.logprobs[one], mask[one], to_come=to_come[one])
    found = world.policy.gradient(alone.sum())
    assert close(found, world.policy.gradient(whole[one].sum()), 1e-12)


def test_sampled_kl_in_the_reward_gives_the_same_gradient(world):
    reference = Policy(3)
    exact = exact_kl(world, reference)
    log_ratio = sampled_kl(world.logprobs, reference.logprobs(world.tokens), world.mask)
    earned = -log_ratio  # as a reward: u >= t
    found = world.policy.gradient(
        (world.weight * world.loss(returns(earned, world.mask)).sum(1)).sum()
    )
    assert close(found, exact)
    # from the next token on (u > t), which is right for the full divergence, it is not
    later = returns(earned, world.mask) - earned
    short = world.policy.gradient((world.weight * world.loss(later).sum(1)).sum())
    assert not close(short, exact, 0.05)


def test_log_ratio_as_a_loss_ignores_the_reference(world):
    """The trap: its expected gradient is 0, whatever the reference."""
    log_q = Policy(3).logprobs(world.tokens).detach()
    naive = (world.logprobs - log_q).where(world.mask, 0).sum(1)
    assert close(world.policy.gradient((world.weight * naive).sum()), torch.zeros(1), 1e-12)
