"""The policy objective as a whole on a network whose every sequence is enumerated: the gradient of
its loss, over all groups of two candidates of two questions of unequal length, against the exact
gradient of what it means."""

import math

import pytest
import torch
from enumerated import END, Network, probabilities, sequences

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.objectives.policy import Policy
from genwright.objectives.terms import Rollout, Term
from genwright.training.engine import Engine

CLOSE = 1e-6  # the objective computes in fp32
QUESTIONS = ((1,), (2, 1))
LONGEST = 4
SPACE = Space(3, {"end": END}, length=8)


class Asked:
    """One question: everything that may be drawn, what it earns, and its probability."""

    def __init__(self, network, prompt, random):
        self.prompt = prompt
        self.tokens, self.mask = sequences()
        self.logprobs = network.logprobs(prompt, self.tokens)
        self.probability = probabilities(self.logprobs, self.mask)
        self.length = self.mask.sum(1).double()
        self.truncated = ~(self.tokens.eq(END) & self.mask).any(1)
        dense = torch.randn(self.tokens.shape, generator=random, dtype=torch.float64)
        prefix = {}
        for row in range(len(dense)):
            for place in range(LONGEST):
                key = tuple(self.tokens[row, : place + 1].tolist())
                dense[row, place] = prefix.setdefault(key, dense[row, place])
        self.dense = dense.where(self.mask, 0)
        self.whole = self.dense.sum(1)
        self.at_end = torch.zeros_like(dense)
        self.at_end[torch.arange(len(dense)), self.mask.sum(1) - 1] = self.whole


class World:
    """A policy, a reference, and the batch of all groups of two."""

    def __init__(self):
        self.network = Network(0)
        random = torch.Generator().manual_seed(11)
        self.asked = [Asked(self.network, prompt, random) for prompt in QUESTIONS]

    def objective(self, reference=3, space=SPACE, **changes):
        """The objective on this network; `reference`: the seed of the other one."""
        given = {
            "rewards": (Term(measure="any"),),
            "rollout": Rollout(max_tokens=LONGEST),
            "candidates": 2,
            "kl": 0.0,
        }
        built = Policy(**(given | changes)).build({"model": self.network}, space)
        built.modules["reference"].load_state_dict(Network(reference).state_dict())
        return built

    def batch(self, dense=True):
        """(batch, probability (groups,)): both questions, each with all pairs."""
        parts = []
        chances = []
        for asked in self.asked:
            part, chance = self.pairs(asked, dense)
            parts.append(part)
            chances.append(chance / len(self.asked))
        batch = {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
        return batch, torch.cat(chances)

    def pairs(self, asked, dense):
        n = len(asked.tokens)
        first = torch.arange(n).repeat_interleave(n)
        second = torch.arange(n).repeat(n)
        rows = torch.stack([first, second], 1).flatten()
        longest = max(map(len, QUESTIONS))
        before = torch.zeros(len(rows), longest, dtype=torch.int64)
        real = torch.zeros(len(rows), longest, dtype=torch.bool)
        before[:, longest - len(asked.prompt) :] = torch.tensor(asked.prompt)
        real[:, longest - len(asked.prompt) :] = True
        mask = asked.mask[rows]
        earned = asked.dense if dense else asked.at_end
        batch = {
            "tokens": torch.cat([before, asked.tokens[rows]], 1),
            "padding": torch.cat([real, torch.ones_like(mask)], 1),
            "mask": mask,
            "logprobs": asked.logprobs.detach()[rows].where(mask, 0).float(),
            "reward": earned[rows].float(),
            "truncated": asked.truncated[rows],
            "distinct": torch.zeros(len(rows), 2, dtype=torch.float64),
        }
        weight = asked.probability.detach()
        return batch, weight[first] * weight[second]

    def gradient(self, built, dense=True):
        """The expected gradient of a step, as the loop divides it."""
        batch, chance = self.batch(dense)
        settled = built.settle(batch, Draws(0, 0, torch.arange(len(batch["mask"]))), alone())
        loss = built.loss(settled)
        of_rows = chance.repeat_interleave(2)
        count = float((of_rows * loss.count).sum())
        return self.network.gradient((of_rows * loss.total).sum() / count)

    def expected(self, value):
        """The gradient of the mean over questions of an expectation; value: of `Asked`, (n,)."""
        total = sum((asked.probability * value(asked)).sum() for asked in self.asked)
        return self.network.gradient(total / len(self.asked))

    def mean(self, value):
        """The expectation itself."""
        total = sum((asked.probability * value(asked)).sum() for asked in self.asked)
        return float(total.detach()) / len(self.asked)


def alone():
    return Engine.alone(torch.device("cpu"))


@pytest.fixture(scope="module")
def world():
    return World()


def close(a, b, within=CLOSE):
    return float((a - b).detach().abs().max()) <= within


def whole(asked):
    return asked.whole


def length(asked):
    return asked.length


@pytest.mark.parametrize("baseline,share", [("leave-one-out", 1.0), ("group", 0.5)])
@pytest.mark.parametrize("normaliser", ["tokens", "constant"])
def test_the_gradient_is_that_of_the_expected_reward(world, baseline, share, normaliser):
    built = world.objective(baseline=baseline, normaliser=normaliser)
    divisor = LONGEST if normaliser == "constant" else world.mean(length)
    exact = -share * world.expected(whole) / divisor
    assert float(exact.abs().max()) > 0.01
    assert close(world.gradient(built), exact)


@pytest.mark.parametrize("baseline,share", [("leave-one-out", 1.0), ("group", 0.5)])
def test_normaliser_sequence_divides_what_is_above_the_mean_by_the_length(world, baseline, share):
    built = world.objective(baseline=baseline, normaliser="sequence")

    def above_by_length(asked):
        mean = (asked.probability * asked.whole).sum().detach()
        return (asked.whole - mean) / asked.length

    exact = -share * world.expected(above_by_length)
    assert close(world.gradient(built, dense=False), exact)
    unbiased = -share * world.expected(whole)
    cosine = torch.nn.functional.cosine_similarity(exact, unbiased, dim=0)
    assert float(cosine) < 0.995


def test_scale_divides_by_the_deviation_of_each_group(world):
    """Of two candidates it leaves the sign: which one is better, whatever by how much."""
    built = world.objective(baseline="group", scale=True, normaliser="constant")

    def chance_of_being_better(asked):
        probability = asked.probability.detach()
        sign = torch.sign(asked.whole[:, None] - asked.whole[None, :])  # (31, 31)
        return (sign * probability).sum(1) / math.sqrt(2)

    exact = -world.expected(chance_of_being_better) / LONGEST
    assert close(world.gradient(built, dense=False), exact)


@pytest.mark.parametrize("normaliser", ["tokens", "constant"])
def test_the_divergence_counts_by_its_weight(world, normaliser):
    """kl x the divergence of whole sequences from the reference, less the expected reward."""
    built = world.objective(kl=0.7, normaliser=normaliser)
    reference = built.modules["reference"]

    def cost(asked):
        log_q = reference.logprobs(asked.prompt, asked.tokens).detach()
        # the ratio's own gradient is 0 in expectation
        log_ratio = (asked.logprobs.detach() - log_q).where(asked.mask, 0).sum(1)
        return 0.7 * log_ratio - asked.whole

    divisor = LONGEST if normaliser == "constant" else world.mean(length)
    exact = world.expected(cost) / divisor
    assert not close(exact, -world.expected(whole) / divisor, 0.05)
    assert close(world.gradient(built), exact)


def test_truncated_samples_that_are_left_out_teach_nothing_but_are_compared_with(world):
    """Their rewards stay in the mean that others are compared with, so what is learned is to earn
    more than that mean, and to end: no answer that was cut is pushed up or down."""
    rollout = Rollout(max_tokens=LONGEST, truncated="leave out")
    built = world.objective(rollout=rollout, normaliser="constant")

    def above_if_over(asked):
        mean = (asked.probability * asked.whole).sum().detach()
        return (asked.whole - mean) * ~asked.truncated

    over = world.mean(lambda asked: (~asked.truncated).double())
    assert 0.2 < over < 0.9
    exact = -world.expected(above_if_over) / (LONGEST * over)
    assert close(world.gradient(built, dense=False), exact)


def repeats(tokens):
    """Rule of a content: at every second place, counted from where a row begins, the token of the
    place before may not come again. (n, time) -> (n, time, 3)."""
    wrong = torch.zeros(*tokens.shape, 3, dtype=torch.bool)
    for place in range(1, tokens.shape[1], 2):
        before = tokens[:, place - 1]
        wrong[before >= 0, place, before[before >= 0]] = True
    return wrong


def drawn_faults(asked):
    """(n, drawn) bool: which drawn tokens break the rule."""
    before = torch.tensor(asked.prompt).expand(len(asked.tokens), -1)
    rows = torch.cat([before, asked.tokens], 1)
    wrong = repeats(rows).gather(2, rows[..., None])[..., 0][:, len(asked.prompt) :]
    return wrong & asked.mask


@pytest.mark.parametrize("normaliser", ["tokens", "constant"])
def test_faults_cost_as_many_as_are_drawn(world, normaliser):
    """What is known of every token of a place teaches, in expectation, what a reward teaches that
    counts the faults among the drawn ones, whatever the question's length."""
    space = Space(3, {"end": END}, length=8, faults=repeats)
    built = world.objective(space=space, faults=0.7, faults_discount=1.0, normaliser=normaliser)

    def cost(asked):
        number = drawn_faults(asked).sum(1)
        assert bool(number.any())
        return 0.7 * number - asked.whole

    divisor = LONGEST if normaliser == "constant" else world.mean(length)
    exact = world.expected(cost) / divisor
    assert not close(exact, -world.expected(whole) / divisor, 0.01)
    assert close(world.gradient(built), exact)


@pytest.mark.parametrize("normaliser", ["tokens", "constant"])
def test_faults_are_the_doing_of_their_own_place_alone(world, normaliser):
    """Without a discount above 0 no token is preferred for the places that it leads to: the
    gradient is that of each place's own chance."""
    space = Space(3, {"end": END}, length=8, faults=repeats)
    built = world.objective(space=space, faults=0.7, normaliser=normaliser)

    def own(asked):  # has the gradient of the sum of chances, with where they are held fast
        return (asked.probability.detach() * (drawn_faults(asked) * asked.logprobs).sum(1)).sum()

    divisor = LONGEST if normaliser == "constant" else world.mean(length)
    chances = world.network.gradient(sum(map(own, world.asked)) / len(world.asked))
    exact = (0.7 * chances - world.expected(whole)) / divisor
    assert float(chances.abs().max()) > 0.01
    assert close(world.gradient(built), exact)


def test_faults_need_a_codec_that_knows_them(world):
    with pytest.raises(GenwrightError, match="knows what breaks a rule"):
        world.objective(faults=1.0)


@pytest.mark.parametrize("normaliser", ["tokens", "constant", "sequence"])
@pytest.mark.parametrize("weights", [None, (1.0, 0.0, 2.0)])
def test_real_examples_add_the_mean_loss_of_their_tokens(world, normaliser, weights):
    """However many tokens were drawn, and whatever they are divided by; in micro-batches too."""
    windows = torch.tensor([[0, 1, 2, 1, 0], [2, 2, 1, 0, -1], [1, 0, 0, -1, -1]])
    batch, _ = world.batch()
    rows = len(batch["mask"])
    order = torch.arange(rows) % len(windows)
    batch["data/tokens"] = windows[order]
    of_row = torch.ones(rows)
    if weights is not None:
        of_row = torch.tensor(weights)[order]
        batch["data/weight"] = of_row
    draws = Draws(0, 0, torch.arange(rows))

    def gradient(built, size):
        settled = built.settle(built.prepare(batch, draws, alone()), draws, alone())
        total = 0
        count = 0
        for part in torch.arange(rows).split(size):
            loss = built.loss({name: value[part] for name, value in settled.items()})
            total = total + world.network.gradient(loss.total.double().sum())
            count = count + loss.count.double().sum()
        return total / count

    inputs = windows[order, :-1]
    targets = windows[order, 1:]
    logprobs = world.network(inputs.clamp(min=0)).log_softmax(-1)
    nats = -logprobs.gather(2, targets.clamp(min=0)[..., None])[..., 0]
    counted = (targets >= 0) * of_row[:, None]
    exact = 0.6 * world.network.gradient((nats * counted).sum() / counted.sum())
    without = gradient(world.objective(normaliser=normaliser), rows)
    with_data = world.objective(normaliser=normaliser, data=0.6)
    assert float(exact.abs().max()) > 0.01
    for size in (rows, 62):
        assert close(gradient(with_data, size) - without, exact)
    settled = with_data.settle(with_data.prepare(batch, draws, alone()), draws, alone())
    found = with_data.loss(settled).metrics["data_loss"]
    mean = float(found.total.sum() / found.count.sum())
    expected = float(((nats * counted).sum() / counted.sum()).detach())
    assert mean == pytest.approx(expected, abs=1e-6)


def test_entropy_below_the_floor_is_raised_where_the_policy_comes_by(world):
    floor = 1.05
    plain = world.objective(normaliser="constant")
    built = world.objective(normaliser="constant", entropy_floor=floor, entropy_weight=0.3)
    change = torch.zeros(())
    for asked in world.asked:
        before = torch.tensor(asked.prompt).expand(len(asked.tokens), -1)
        logits = world.network(torch.cat([before, asked.tokens], 1))
        log_p = logits[:, len(asked.prompt) - 1 : -1].log_softmax(-1)
        entropy = -(log_p.exp() * log_p).sum(-1)  # (31, 4)
        low = (entropy < floor) & asked.mask
        assert bool(low.any()) and not bool(low[asked.mask].all())
        change = change + (asked.probability.detach() * (entropy * low).sum(1)).sum()
    exact = -0.3 * world.network.gradient(change / len(world.asked)) / LONGEST
    found = world.gradient(built) - world.gradient(plain)
    assert float(exact.abs().max()) > 0.001
    assert close(found, exact)


def test_questions_whose_candidates_earn_the_same_teach_nothing(world):
    built = world.objective()
    batch, _ = world.batch(dense=False)
    last = batch["mask"].sum(1) - 1
    batch["reward"] = torch.zeros_like(batch["reward"])
    batch["reward"][torch.arange(len(last)), last] = 0.3
    settled = built.settle(batch, Draws(0, 0, torch.arange(len(last))), alone())
    loss = built.loss(settled)
    assert not world.network.gradient(loss.total.sum()).any()
    dead = loss.metrics["dead_groups"]
    assert float(dead.total.sum()) == float(dead.count.sum()) == len(last) / 2


@pytest.mark.parametrize("normaliser", ["tokens", "constant", "sequence"])
def test_micro_batches_add_up_to_the_gradient_of_the_whole(world, normaliser):
    rollout = Rollout(max_tokens=LONGEST, truncated="leave out")
    built = world.objective(
        normaliser=normaliser, kl=0.5, rollout=rollout, entropy_floor=1.05, entropy_weight=0.3
    )
    batch, _ = world.batch()
    settled = built.settle(batch, Draws(0, 0, torch.arange(len(batch["mask"]))), alone())
    rows = torch.arange(0, len(batch["mask"]), 7)  # some of them, groups whole
    rows = torch.stack([rows - rows % 2, rows - rows % 2 + 1], 1).flatten()
    chosen = {name: value[rows] for name, value in settled.items()}

    def gradient(size):
        total = 0
        count = 0
        for part in torch.arange(len(rows)).split(size):
            loss = built.loss({name: value[part] for name, value in chosen.items()})
            total = total + world.network.gradient(loss.total.double().sum())
            count = count + loss.count.double().sum()
        return total / count

    at_once = gradient(len(rows))
    for size in (2, 62, 400):
        assert close(gradient(size), at_once, 1e-6)


def test_left_padding_changes_nothing(world):
    """The shorter question alone is not padded; beside the longer one it is."""
    built = world.objective(kl=0.5)
    batch, _ = world.batch()
    half = len(batch["mask"]) // 2
    short = {name: value[:half] for name, value in batch.items()}
    assert not short["padding"][:, 0].any()
    cut = short | {"tokens": short["tokens"][:, 1:], "padding": short["padding"][:, 1:]}
    gradients = []
    for given in (short, cut):
        settled = built.settle(given, Draws(0, 0, torch.arange(half)), alone())
        gradients.append(world.network.gradient(built.loss(settled).total.sum()) / half)
    assert close(*gradients)
