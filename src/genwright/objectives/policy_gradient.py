"""Policy gradients of sequences that a model draws token by token, as pure functions of tensors.

Shapes: n samples, of which the `candidates` of one question lie side by side; t drawn tokens of
each; v tokens of the vocabulary. `mask` (n, t) bool: drawn before the sample was over, its end
token included, so that stopping is learned too. Log-probabilities, divergences, entropies in nats.

From what tokens earned to a loss:

1. `returns`: what is earned from each token on.
2. `advantages`: less what the other candidates of the question earn from the same place on.
3. `policy_loss`: a loss a token, whose gradient is -advantage x grad log pi(token) where the policy
   is the one that drew the samples, and is bounded where it has moved away.
4. The divergence from a frozen reference: `kl_full` with `kl_loss`, or `sampled_kl`, which is
   subtracted from what a token earns.
5. `normalised`: totals and counts of samples, as the loop divides them, once a step.

Sources: REINFORCE, Williams, 1992; leave-one-out, Kool et al., 2019, and Ahmadian et al., arXiv
2402.14740; PPO, Schulman et al., 1707.06347; GRPO, Shao et al., 2402.03300; Dr. GRPO, Liu et al.,
2503.20783; DAPO, Yu et al., 2503.14476; GSPO, Zheng et al., 2507.18071; CISPO, MiniMax, 2506.13585;
SAPO, Gao et al., 2511.20347.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from genwright.core.errors import GenwrightError

Baseline = Literal["leave-one-out", "group"]
Surrogate = Literal["ppo", "gspo", "cispo", "sapo"]
Normaliser = Literal["tokens", "constant", "sequence"]

# Standard deviations of a group below this share of its largest return are rounding, not variance.
FLOOR = 1e-4
# Log-probabilities of two distributions that are this near, in units of the last place of 1, are
# equal.
ROUNDING = 64
# temperatures of SAPO's gate, where the advantage is positive, and where it is negative
SOFT_UP = 1.0
SOFT_DOWN = 1.05


def returns(reward: Tensor, mask: Tensor, discount: float = 1.0) -> Tensor:
    """Reward-to-go, (n, t): the sum of what is earned at a token and at all tokens after it, each
    token later counting `discount` times as much. reward: (n, t), in any unit. A token that was not
    drawn earns nothing and gets 0."""
    earned = reward.where(mask, 0)
    if discount == 1:
        to_go = earned.flip(1).cumsum(1).flip(1)
        return to_go.where(mask, 0)
    to_go = torch.empty_like(earned)
    later = torch.zeros_like(earned[:, 0])
    for place in range(earned.shape[1] - 1, -1, -1):
        later = earned[:, place] + discount * later
        to_go[:, place] = later
    return to_go.where(mask, 0)


def advantages(
    returns: Tensor,
    mask: Tensor,
    candidates: int,
    kind: Baseline = "leave-one-out",
    scale: bool = False,
    floor: float = FLOOR,
) -> Tensor:
    """Returns (n, t) less a baseline of the same place, (n, t); 0 where not `mask`.

    kind: "leave-one-out": the mean of the question's other candidates. No action of a candidate is
    in its own baseline, so the gradient's expectation stays as it is. "group": the mean of all of
    them, which shrinks that expectation by (candidates - 1) / candidates.

    A candidate that is over counts with the return of its last token. So a reward that is given at
    the end makes the ordinary baseline (the mean of whole rewards, whatever the lengths), and one
    that is spread over the tokens leaves next to nothing behind its end.

    scale: also divided by the standard deviation of the group's whole rewards (GRPO), or by `floor`
    times the largest of the group's returns where that is more: what is left by rounding of equal
    rewards must not become an advantage. Raises GenwrightError where n is not a multiple of
    `candidates`, or they are fewer than 2."""
    groups = _in_groups(returns.where(mask, 0), candidates)  # (groups, candidates, t)
    drawn = _in_groups(mask, candidates)
    last = drawn.sum(2, keepdim=True).clamp(min=1) - 1  # (groups, candidates, 1)
    held = groups.where(drawn, groups.gather(2, last))
    # Measured from the first candidate's, so that equal returns leave exactly nothing.
    origin = held[:, :1]
    above = held - origin
    total = above.sum(1, keepdim=True)  # (groups, 1, t)
    if kind == "leave-one-out":
        advantage = above - (total - above) / (candidates - 1)
    else:
        advantage = above - total / candidates
    if scale:
        whole = groups[:, :, :1]  # (groups, candidates, 1)
        spread = (whole - whole[:, :1]).std(1, keepdim=True)  # (groups, 1, 1)
        largest = groups.abs().amax((1, 2), keepdim=True).clamp(min=1)
        advantage = advantage / torch.maximum(spread, floor * largest)
    return advantage.where(drawn, 0).flatten(0, 1)


def dead_groups(total_reward: Tensor, candidates: int) -> Tensor:
    """(groups,) bool: questions whose candidates all got the same, so that nothing can be learned
    from them. total_reward: (n,). Equal within a part in a million of the largest (or of 1)."""
    groups = _in_groups(total_reward, candidates)  # (groups, candidates)
    spread = groups.amax(1) - groups.amin(1)
    return spread <= 1e-6 * groups.abs().amax(1).clamp(min=1)


def best_only(total_reward: Tensor, mask: Tensor, candidates: int) -> Tensor:
    """In place of advantages, (n, t): what makes the loss that of supervised training on the best
    candidate of each question (RAFT, Dong et al., arXiv 2304.06767). Equally good ones share
    `candidates`, and the others have 0, as have all of a question whose candidates got the same, of
    which none is better. total_reward: (n,). mask: (n, t)."""
    groups = _in_groups(total_reward, candidates)  # (groups, candidates)
    slack = 1e-6 * groups.abs().amax(1, keepdim=True).clamp(min=1)
    best = groups >= groups.amax(1, keepdim=True) - slack
    share = best * candidates / best.sum(1, keepdim=True)
    share = share * ~dead_groups(total_reward, candidates)[:, None]
    return share.flatten()[:, None] * mask


def _in_groups(rows: Tensor, candidates: int) -> Tensor:
    """(n, ...) -> (groups, candidates, ...)."""
    if candidates < 2 or len(rows) % candidates:
        raise GenwrightError(
            f"{len(rows)} samples cannot be compared in groups of {candidates} candidates",
            "let objective.candidates be 2 or more, and every question have as many",
        )
    return rows.view(-1, candidates, *rows.shape[1:])


class PolicyLoss(NamedTuple):
    """loss: (n, t), with gradient. ratio: (n, t), the policy's probability of a token (GSPO: of the
    sample, by its tokens' geometric mean) over the one it was drawn with, before any clipping; 1
    where not drawn. clipped: (n, t) bool, the bounds have taken or shrunk the token's gradient.
    ratio and clipped have no gradient."""

    loss: Tensor
    ratio: Tensor
    clipped: Tensor


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    advantages: Tensor,
    mask: Tensor,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
    truncate: float | None = None,
    kind: Surrogate = "ppo",
) -> PolicyLoss:
    """The loss of each token, 0 where not `mask`. All tensors (n, t); old_logprobs: of the policy
    that drew the tokens.

    On samples of the policy itself (ratio r = 1) every kind's gradient is that of REINFORCE,
    -advantage x grad log pi (of gspo: where a sample's tokens share one advantage). Where the
    policy has moved:

    ppo: -min(r A, clip(r, 1 - clip_low, 1 + clip_high) A). No bound holds r where A < 0, unless
    `truncate`, an absolute one (dual clipping, Ye et al., arXiv 1912.09729), which is above
    1 + clip_high.
    gspo: the same with one r a sample, exp of the mean log-ratio of its tokens. Its bounds are
    narrow, some 3e-4: a mean of many log-ratios hardly moves.
    cispo: -min(r, 1 + clip_high) A log pi, the first factor without gradient; clip_low is not used.
    sapo: a soft gate in place of bounds, -4/s sigmoid(s (r - 1)) A, s = 1 where A > 0, else 1.05;
    clip_low and clip_high are not used."""
    log_ratio = (logprobs - old_logprobs).where(mask, 0)
    advantage = advantages.where(mask, 0)
    if kind == "gspo":
        log_ratio = _sample_mean(log_ratio, mask)
    ratio = log_ratio.exp()
    if kind == "cispo":
        # Papers and other programs state this bound as an absolute one. Taken over from a setting
        # like .2 it would multiply every gradient by .2; as 1 + clip_high it cannot.
        bound = 1 + clip_high
        clipped = ratio.detach() > bound
        weight = ratio.detach().clamp(max=bound)
        loss = -weight * advantage * logprobs.where(mask, 0)
    elif kind == "sapo":
        clipped = torch.zeros_like(mask)
        loss = -_soft_gate(ratio, advantage) * advantage
    else:
        loss, clipped = _clipped(ratio, advantage, clip_low, clip_high, truncate)
    return PolicyLoss(loss.where(mask, 0), ratio.detach(), clipped & mask)


def _sample_mean(values: Tensor, mask: Tensor) -> Tensor:
    """(n, t), at every token the mean over the sample's drawn tokens."""
    length = mask.sum(1, keepdim=True).clamp(min=1)
    mean = values.sum(1, keepdim=True) / length
    return mean.expand_as(values).where(mask, 0)


def _soft_gate(ratio: Tensor, advantage: Tensor) -> Tensor:
    """SAPO's gate, (n, t): its slope is 1 at a ratio of 1 and falls off on both sides."""
    steepness = torch.full_like(ratio, SOFT_DOWN).masked_fill(advantage > 0, SOFT_UP)
    return 4 / steepness * torch.sigmoid(steepness * (ratio - 1))


def _clipped(
    ratio: Tensor, advantage: Tensor, low: float, high: float, truncate: float | None
) -> tuple[Tensor, Tensor]:
    """PPO's loss (n, t), and where its bounds decide it."""
    bounded = ratio.clamp(1 - low, 1 + high)
    free = ratio
    if truncate is not None:
        free = ratio.clamp(max=truncate)
    loss = -torch.minimum(free * advantage, bounded * advantage)
    risen = (ratio > 1 + high) & (advantage > 0)
    fallen = (ratio < 1 - low) & (advantage < 0)
    clipped = risen | fallen
    if truncate is not None:
        clipped = clipped | ((ratio > truncate) & (advantage < 0))
    return loss, clipped.detach()


def importance_weights(
    logprobs: Tensor, sampled_logprobs: Tensor, mask: Tensor, truncate: float
) -> Tensor:
    """(n, t), without gradient: min(pi / mu, truncate), 1 where not drawn. It multiplies the losses
    of tokens that another policy mu drew (samples of earlier steps, a sampler of lower precision).
    logprobs: under the policy that stands for the old one. The bound trades a bias for a variance
    that cannot explode (Espeholt et al., arXiv 1802.01561)."""
    log_ratio = (logprobs - sampled_logprobs).where(mask, 0)
    return log_ratio.detach().exp().clamp(max=truncate)


class _FullKL(torch.autograd.Function):
    """KL(p || q) of rows of logits. Keeps nothing of the vocabulary's size but the logits
    themselves, which are there anyway: d KL / d logit_i = p_i (log p_i - log q_i - KL)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, reference: Tensor) -> Tensor:
        log_sum = logits.logsumexp(-1, keepdim=True)  # (..., 1)
        reference_log_sum = reference.logsumexp(-1, keepdim=True)
        shift = reference_log_sum - log_sum
        difference = (logits - reference).add_(shift)  # (..., v), log p - log q
        # Equal distributions that were computed in two ways differ by rounding. An optimizer that
        # divides by the size of gradients would make a whole step of that.
        apart = difference.abs().amax(-1) > ROUNDING * torch.finfo(logits.dtype).eps
        probability = (logits - log_sum).exp_()
        kl: Tensor = torch.linalg.vecdot(probability, difference).where(apart, 0)
        ctx.save_for_backward(logits, reference, log_sum, shift, kl, apart)
        return kl

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, reference, log_sum, shift, kl, apart = ctx.saved_tensors
        difference = (logits - reference).add_(shift - kl[..., None])
        gradient = gradient.where(apart, 0)
        probability = (logits - log_sum).exp_()
        return probability.mul_(difference).mul_(gradient[..., None]), None


def kl_full(logits: Tensor, reference_logits: Tensor) -> Tensor:
    """KL(policy || reference) of each token's distribution over the whole vocabulary, (n, t) in
    nats, at least 0 up to rounding; differentiable once, by `logits`. logits, reference_logits:
    (n, t, v), finite. Distributions that differ by rounding alone have a divergence of 0, and no
    gradient. Takes four passes over the vocabulary and memory for two."""
    kl: Tensor = _FullKL.apply(logits, reference_logits.detach())  # type: ignore[no-untyped-call]
    return kl


class _Entropy(torch.autograd.Function):
    """Entropy of rows of logits: d H / d logit_i = -p_i (log p_i + H)."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor) -> Tensor:
        log_sum = logits.logsumexp(-1, keepdim=True)  # (..., 1)
        log_probability = logits - log_sum  # (..., v)
        entropy: Tensor = -torch.linalg.vecdot(log_probability.exp(), log_probability)
        ctx.save_for_backward(logits, log_sum, entropy)
        return entropy

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        logits, log_sum, entropy = ctx.saved_tensors
        log_probability = logits - log_sum
        probability = log_probability.exp()
        slope = log_probability.add_(entropy[..., None])
        change: Tensor = probability.mul_(slope).mul_(-gradient[..., None])
        return change


def entropy(logits: Tensor) -> Tensor:
    """Entropy of each token's distribution, (n, t) in nats, 0 to log v; differentiable once.
    logits: (n, t, v), finite."""
    nats: Tensor = _Entropy.apply(logits)  # type: ignore[no-untyped-call]
    return nats


def fault_chance(logits: Tensor, faults: Tensor) -> Tensor:
    """The chance of each token's distribution to draw one of `faults`, (n, t), differentiable.
    logits: (n, t, v). faults: (n, t, v) bool.

    Its gradient is in expectation that of a reward of -1 for each fault which the token itself
    answers for (a discount of 0), with the sum over all tokens that could have been drawn in place
    of the one that was (Sutton et al., 2001, unpublished; Allen et al., arXiv 1709.00503): faults
    that are seldom drawn are learned from at every place where they might have been."""
    return (logits.softmax(-1) * faults).sum(-1)


def kl_to_come(kl: Tensor, mask: Tensor, candidates: int = 1, discount: float = 1.0) -> Tensor:
    """(n, t), without gradient: the divergence of all tokens after each one, which drawing this one
    has led to; less that of the question's other candidates at the same place where `candidates` is
    over 1, which leaves the expectation as it is and takes variance. kl: (n, t). discount: as of
    `returns`, where rewards are discounted too: else the divergence of all the rest of a sample is
    noise beside what is earned nearby."""
    divergence = kl.detach().where(mask, 0)
    after = returns(divergence, mask, discount) - divergence
    if candidates == 1:
        return after
    return advantages(after, mask, candidates)


def kl_loss(
    kl: Tensor,
    logprobs: Tensor,
    mask: Tensor,
    candidates: int = 1,
    to_come: Tensor | None = None,
) -> Tensor:
    """(n, t), whose value is `kl` and whose gradient, summed over tokens, is in expectation that of
    the divergence of whole sequences, E sum_t [grad KL_t + grad log pi(a_t) sum_{u>t} KL_u]: a
    token's own divergence by its distribution, the later ones by where the token leads to. Without
    the second part a policy would not learn to avoid places at which it differs.

    kl: (n, t) of `kl_full`, with gradient. logprobs: (n, t) of the drawn tokens, with gradient; of
    the policy that drew them. to_come: of `kl_to_come`, where a micro-batch does not hold whole
    groups of candidates; by default it is made here."""
    if to_come is None:
        to_come = kl_to_come(kl, mask, candidates)
    drawn = logprobs.where(mask, 0)
    no_value = drawn - drawn.detach()  # 0, with the gradient of log pi
    return kl.where(mask, 0) + no_value * to_come


def sampled_kl(logprobs: Tensor, reference_logprobs: Tensor, mask: Tensor) -> Tensor:
    """(n, t), without gradient: log pi - log reference of the drawn tokens, whose expectation is
    their divergence. Times a weight it is subtracted from what tokens earn: there a token answers
    for itself and all that come after it, u >= t, which gives the gradient of the divergence of
    sequences in expectation. (As a loss it would not: its own gradient is 0 in expectation.)"""
    log_ratio = logprobs.detach() - reference_logprobs.detach()
    return log_ratio.where(mask, 0)


def normalised(
    per_token: Tensor, mask: Tensor, kind: Normaliser = "tokens", constant: float = 1.0
) -> tuple[Tensor, Tensor]:
    """(total (n,), count (n,)) of a loss (n, t). The loop divides the sum of all totals by that of
    all counts, over micro-batches and ranks. A sample without a drawn token counts for nothing.

    tokens: by the tokens drawn in the whole step (DAPO). constant: by `constant` a sample, such as
    the longest that could be drawn (Dr. GRPO); then the gradient's expectation is exactly that of
    the mean loss of samples, divided by it. sequence: the mean over a sample's own tokens, then
    over samples (GRPO); biased: what counts is no longer what a sample earns but that divided by
    its length, and long failures cost less than short ones."""
    total = per_token.where(mask, 0).sum(1)
    if kind == "sequence":
        total = total / mask.sum(1).clamp(min=1)
    return total, counts(mask, kind, constant).to(total.dtype)


def counts(mask: Tensor, kind: Normaliser = "tokens", constant: float = 1.0) -> Tensor:
    """(n,) float: what each sample adds to the count that `normalised` divides by."""
    length = mask.sum(1)
    if kind == "tokens":
        return length.float()
    there = (length > 0).float()
    if kind == "constant":
        return constant * there
    return there
