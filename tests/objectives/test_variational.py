"""The variational objective: its gradients against autograd on the definition, its schedule, its
reach through the loop."""

import pytest
import torch

from genwright.core.contracts import Source, Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.models.autoencoder import MlpVae
from genwright.objectives.variational import Variational
from genwright.sampling.drawing import Drawing
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.settings import Optimizer, Training

SPACE = Space(shape=(1, 8, 8), attributes={"side": ("left", "right")})
PLAIN = Space(shape=(1, 8, 8))


class Halves:
    """Pictures whose left or right half is bright, with the side as their attribute."""

    units, unit = 1, "images"

    def __init__(self, size, conditional=False):
        self.size, self.conditional = size, conditional

    def batch(self, position, examples, policy=None):
        draws = Draws(0, position, examples)
        right = draws.integers("side", 2)
        x = torch.full((len(examples), 1, 8, 8), -0.9)
        x[:, :, :, :4] += 1.7 * (right == 0).float()[:, None, None, None]
        x[:, :, :, 4:] += 1.7 * (right == 1).float()[:, None, None, None]
        return {"x": x} | ({"condition": torch.eye(2)[right]} if self.conditional else {})

    def sources(self, position, examples):
        return [Source(f"batch {position}") for _ in examples]


def made(space=PLAIN, units=3, **settings):
    torch.manual_seed(0)
    chosen = Variational(**{"likelihood": "bernoulli"} | settings)
    network = MlpVae(units=units, width=32, depth=1).build(space, **chosen.needs(space)["model"][1])
    return chosen.build({"model": network}, space)


def prepared(objective, n=16, position=0):
    stream = Halves(n, objective.space.columns > 0)
    return objective.prepare(
        stream.batch(position, torch.arange(n)), Draws(0, position, torch.arange(n)), None
    )


def grads(objective, total):
    out = torch.autograd.grad(total.sum(), list(objective.network.parameters()), allow_unused=True)
    return [g for g in out if g is not None]


def test_one_sample_is_reconstruction_plus_the_closed_divergence():
    objective = made(beta=2.0, warmup=4)
    batch = prepared(objective)
    out = next(objective.turns(1)).loss(batch)
    r, kl = (float(out.metrics[name].total.sum()) for name in ("reconstruction", "kl"))
    # step 1 of a warm-up of 4: half of beta
    assert abs(float(out.total.detach().sum()) - (r + 2.0 * 0.5 * kl)) < 1e-2
    assert abs(float(objective.measured(batch).total.detach().sum()) - (r + kl)) < 1e-2
    assert objective.measured(batch).count.tolist() == [1.0] * 16


def test_free_bits_are_free_below_and_exact_above():
    objective = made(free_bits=5.0)
    batch = prepared(objective)
    out = next(objective.turns(0)).loss(batch)
    # every unit is below 5 nats
    assert torch.allclose(
        out.total.sum(), out.metrics["reconstruction"].total.sum() + 5.0 * 3 * 16, atol=1e-2
    )
    tiny = made(free_bits=1e-9)
    assert torch.allclose(
        next(tiny.turns(0)).loss(prepared(tiny)).total,
        next(made().turns(0)).loss(batch).total,
        atol=1e-4,
    )


def test_the_doubly_reparameterised_gradient_is_the_papers():
    """Equation 8 of 1810.04152, written out: encoder sum w^2 d log w / dz dz / d phi, decoder sum w
    d log w / d theta."""
    objective = made(samples=4)
    batch = prepared(objective)
    ours = grads(objective, next(objective.turns(0)).loss(batch).total)
    network = objective.network
    mean, raw = network(batch["x"])[0].chunk(2, 1)
    log_scale = 5 * torch.tanh(raw / 5)
    z = mean[:, None] + log_scale.exp()[:, None] * batch["noise"]
    leaf = z.detach().requires_grad_()
    q = torch.distributions.Normal(mean.detach()[:, None], log_scale.exp().detach()[:, None])
    log_p = objective.log_likelihood(
        network(latent=leaf.flatten(0, 1)).view(16, 4, 1, 1, 8, 8), batch["x"]
    )
    log_w = log_p + (torch.distributions.Normal(0.0, 1.0).log_prob(leaf) - q.log_prob(leaf)).sum(2)
    w = log_w.softmax(1).detach()
    decoder = torch.autograd.grad(
        -(w * log_w).sum(), list(network.decoder.parameters()), retain_graph=True
    )
    (slope,) = torch.autograd.grad(log_w.sum(), leaf)
    encoder = torch.autograd.grad(
        -(w[:, :, None] ** 2 * slope * z).sum(), list(network.encoder.parameters())
    )
    for a, b in zip(ours, [*encoder, *decoder], strict=True):
        assert torch.allclose(a, b, atol=1e-4, rtol=1e-3)


def test_doubly_reparameterised_and_plain_gradients_agree_on_average():
    objective = made(samples=3, units=2)
    batch = {k: v[:1].repeat_interleave(30_000, 0) for k, v in prepared(objective, 1).items()}
    batch["noise"] = Draws(5, 0, torch.arange(30_000)).normal("noise", 3, 2)
    ours = grads(objective, next(objective.turns(0)).loss(batch).total / 30_000)
    sampled = objective.network(batch["x"], noise=batch["noise"])
    log_w = objective.log_likelihood(sampled.parameters, batch["x"]) - sampled.log_ratio
    plain = grads(objective, -(log_w.logsumexp(1)) / 30_000)
    for a, b in zip(ours, plain, strict=True):
        assert (a - b).norm() < 0.05 * b.norm() + 0.02


def test_a_split_batch_sums_to_the_whole():
    objective = made(SPACE, samples=2)
    batch = prepared(objective)
    whole = next(objective.turns(0)).loss(batch)
    parts = [
        next(objective.turns(0)).loss({k: v[rows] for k, v in batch.items()})
        for rows in (slice(0, 5), slice(5, 16))
    ]
    assert torch.allclose(whole.total, torch.cat([p.total for p in parts]), atol=1e-4)


@pytest.mark.parametrize(
    "likelihood,samples", [("bernoulli", 1), ("bernoulli", 4), ("logistic", 1)]
)
def test_training_lowers_the_loss_and_conditions_decide_the_picture(likelihood, samples):
    objective = made(SPACE, likelihood=likelihood, samples=samples)
    settings = Training(
        steps=300, optimizer=Optimizer(kind="adamw", learning_rate=1e-2), precision="fp32"
    )
    before = float(objective.measured(prepared(objective, 64)).total.detach().mean())
    state = loop.start(objective, settings, Engine("cpu"))
    loop.run(objective, Halves(32, True), state, 300, settings=settings, engine=Engine("cpu"))
    with torch.no_grad():
        assert float(objective.measured(prepared(objective, 64)).total.mean()) < 0.7 * before
        latent = Draws(0, 0, torch.arange(8)).normal("latent", 3)
        left, right = torch.eye(2)[:1].expand(8, 2), torch.eye(2)[1:].expand(8, 2)
        for guidance in (1.0, 2.0):
            picture = objective.decode(latent, left, None, Drawing(guidance=guidance))
            assert picture.shape == (8, 1, 8, 8) and picture.abs().max() <= 1
            assert picture[..., :4].mean() > picture[..., 4:].mean() + 0.2
        x = Halves(16, True).batch(9, torch.arange(16))
        back = objective.decode(
            objective.invert(x["x"], x["condition"], None, Drawing()),
            x["condition"],
            None,
            Drawing(),
        )
        assert (back - x["x"]).abs().mean() < 0.25
        strong = Drawing(guidance=2.0)
        assert not torch.equal(
            objective.decode(latent, left, None, strong),
            objective.decode(latent, left, right, strong),
        )


def test_what_does_not_fit_is_said():
    with pytest.raises(GenwrightError, match="values in"):
        Variational().build({}, Space(shape=(2,)))
    with pytest.raises(GenwrightError, match="free_bits"):
        Variational(samples=2, free_bits=0.1).build({}, PLAIN)


def test_units_in_use_do_not_depend_on_the_split():
    objective = made()
    for p in objective.network.parameters():
        p.data += 0.1 * torch.randn_like(p)
    # half of them use hardly a unit
    x = torch.cat([torch.full((4, 1, 8, 8), -0.01), torch.randn(4, 1, 8, 8)])
    batch = {"x": x, "noise": torch.zeros(8, 1, 3)}
    whole, *parts = (
        objective.loss({k: v[rows] for k, v in batch.items()}, 1.0).metrics["active_units"]
        for rows in (slice(8), slice(1), slice(1, 6), slice(6, 8))
    )
    assert whole.total.tolist() == torch.cat([part.total for part in parts]).tolist()
    assert whole.total.sum() > 0 and len(whole.count) == 8
    assert (
        made(SPACE).conditional and not made(SPACE, drop=1.0).conditional and not made().conditional
    )
