"""Variational learning: a lower bound on log p(x) is raised (Kingma and Welling, arXiv 1312.6114).

One sample: reconstruction and the closed form of the KL divergence, with beta (Higgins et al.,
2017), a warm-up of the KL and free bits (Kingma et al., 1606.04934). Several: the
importance-weighted bound (Burda et al., 1509.00519) with the doubly reparameterised gradient
(Tucker et al., 1810.04152) for networks of one layer, whose encoder keeps learning however many
samples there are.

Network: role "vae", see `models/autoencoder.py`. Losses are in nats per example.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genwright.core.attributes import drop
from genwright.core.contracts import (
    Batch,
    Latent,
    Loss,
    Mean,
    Metrics,
    Objective,
    Ranks,
    Space,
    Turn,
)
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings
from genwright.objectives.likelihoods import (
    bernoulli,
    binarised,
    fixed_draws,
    importance_bound,
    logistic,
)
from genwright.sampling.drawing import Drawing

# nats of KL in an example, or variance of the posterior mean, above which a unit is used
ACTIVE = 0.01


class VariationalObjective(Objective, Latent):
    """modules: {"model": network}. latent: the shape of an example's latents, of prior N(0, I)."""

    metric_units: Mapping[str, str] = {"loss": "nats/example", "active_units": "units"}

    def __init__(self, modules: Mapping[str, nn.Module], space: Space, settings: Variational):
        network: Any = modules["model"]
        self.modules = modules
        self.network = network
        self.space = space
        self.settings = settings
        self.latent: tuple[int, ...] = (network.units,)
        self.axes: int = network.counts[0]  # of the first layer, which is decided before all others
        # else training never shows a condition
        self.conditional = space.columns > 0 and settings.drop < 1

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """x made black and white where the likelihood is Bernoulli; noise (n, samples, *latent) of
        the posterior."""
        s = self.settings
        x = batch["x"]
        if s.likelihood == "bernoulli":
            of_values = draws if s.binarise == "dynamic" else fixed_draws(x)
            x = binarised(x, of_values)
        out = {"x": x, "noise": draws.normal("noise", s.samples, *self.latent)}
        if "condition" in batch and self.conditional:
            out["condition"] = drop(self.space.attributes, batch["condition"], draws, s.drop)
        return out

    def turns(self, step: int) -> Generator[Turn, Metrics, None]:
        """One turn, whose weight of the KL term rises linearly from 0 over the warm-up."""
        s = self.settings
        warm = min(1.0, (step + 1) / s.warmup) if s.warmup else 1.0
        yield Turn(("model",), partial(self.loss, weight=s.beta * warm, free_bits=s.free_bits))

    def log_likelihood(self, parameters: Tensor, x: Tensor) -> Tensor:
        """log p(x | z), (n, k), nats; `x` as `prepare` leaves it."""
        if self.settings.likelihood == "bernoulli":
            return bernoulli(parameters, x)
        return logistic(parameters, x)

    def loss(self, batch: Batch, weight: float, free_bits: float = 0.0) -> Loss:
        """Negative bound, with the KL term (or log q - log p) times `weight`."""
        noise = batch["noise"]  # (n, samples, *latent)
        several = noise.size(1) > 1
        doubly = several and self.network.layers == 1 and torch.is_grad_enabled()
        sampled = self.network(batch["x"], batch.get("condition"), noise=noise, stop=doubly)
        log_p = self.log_likelihood(sampled.parameters, batch["x"])  # (n, samples)
        kl = sampled.kl.sum(1)  # (n,)
        if several:
            log_weights = log_p - weight * sampled.log_ratio
            total = -importance_bound(log_weights)
            if doubly and sampled.latent.requires_grad:
                share = log_weights.detach().softmax(1)[:, :, None]
                # softmax weights twice on the way to the encoder
                sampled.latent.register_hook(lambda slope: slope * share)
        else:
            cost = kl
            if free_bits:
                cost = sampled.kl.clamp(min=free_bits).sum(1)
            total = -log_p[:, 0] + weight * cost
        count = torch.ones_like(total)
        # of each example: a batch's own mean would depend on how it is split
        active = (sampled.kl > ACTIVE).sum(1)
        values = {"loss": total, "reconstruction": -log_p.mean(1), "kl": kl, "active_units": active}
        metrics = {name: Mean(value.detach(), count) for name, value in values.items()}
        return Loss(total, count, metrics)

    def measured(self, batch: Batch) -> Loss:
        """The negative evidence lower bound, one sample: beta 1, no warm-up, no free bits."""
        return self.loss(batch | {"noise": batch["noise"][:, :1]}, 1.0)

    def given(self, condition: Tensor | None) -> Tensor | None:
        """The condition, unless training never showed one."""
        return condition if self.conditional else None

    def decode(
        self, latent: Tensor, condition: Tensor | None, negative: Tensor | None, settings: Drawing
    ) -> Tensor:
        """Mean content. `guidance` other than 1 exaggerates what the condition changes in the
        likelihood's parameters, against `negative` or against no condition."""
        latent = latent * settings.truncation
        condition = self.given(condition)
        parameters: Tensor = self.network(None, condition, latent=latent)
        if condition is not None and settings.guidance != 1:
            against = torch.zeros_like(condition) if negative is None else negative
            if not torch.equal(condition, against):  # else there is nothing to be guided by
                away: Tensor = self.network(None, against, latent=latent)
                parameters = away.lerp(parameters, settings.guidance)
        mean = parameters[:, 0]
        if self.settings.likelihood == "bernoulli":
            return mean.sigmoid() * 2 - 1
        return mean.clamp(-1, 1)

    def invert(
        self, x: Tensor, condition: Tensor | None, draws: Draws, settings: Drawing
    ) -> Tensor:
        """The mean of the posterior (of each layer, given the means above it). Truncation, which
        would move it, is not undone."""
        if self.settings.likelihood == "bernoulli":
            x = (x + 1) / 2
        noise = x.new_zeros(len(x), 1, *self.latent)
        latent: Tensor = self.network(x, self.given(condition), noise=noise).latent
        return latent[:, 0]


class Variational(Settings, family="objective"):
    """Settings of a VAE (arXiv 1312.6114), or with several samples of an IWAE (arXiv
    1509.00519)."""

    kind: Literal["variational"] = "variational"
    """Raise a lower bound on the likelihood through a latent code."""
    likelihood: Literal["bernoulli", "logistic"] = "logistic"
    """Of a value: `bernoulli` for black and white, `logistic` for 256 levels."""
    binarise: Literal["dynamic", "fixed"] = "dynamic"
    """Under `bernoulli`, grey becomes black or white by a draw: a new one each time, or one that
    the example itself seeds."""
    samples: int = Field(1, ge=1, le=1000)
    """Latents drawn for each example; over 1: the importance-weighted bound."""
    beta: float = Field(1.0, ge=0, le=1000)
    """Weight of the KL divergence; above 1 units disentangle, and samples blur."""
    warmup: float = Field(0.0, ge=0)
    """Over which part of the run the weight of the KL divergence rises to `beta`: below 1 a share,
    from 1 steps."""
    free_bits: float = Field(0.0, ge=0, le=10)
    """Nats of each latent unit, in each example, below which its KL divergence costs no less."""
    drop: float = Field(0.1, ge=0, le=1)
    """Rate at which attributes are left out of conditions in training; 1: nothing is ever
    conditional."""
    sampling: ClassVar[type[Drawing]] = Drawing
    warmups: ClassVar = ("warmup",)

    def needs(self, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
        """One network that gives one number a value (Bernoulli), or two (location and scale)."""
        return {"model": ("vae", {"outputs": 1 if self.likelihood == "bernoulli" else 2})}

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> VariationalObjective:
        """Raises GenwrightError where the values of examples are not in [-1, 1], and for free bits
        with several samples."""
        if len(space.shape) != 3 and not space.bounded:
            raise GenwrightError(
                "objective.kind=variational has likelihoods of values in [-1, 1], "
                "and the values of this codec are not so",
                "use a codec that scales them, or objective.kind=flow",
            )
        if self.samples > 1 and self.free_bits:
            raise GenwrightError(
                "objective.free_bits needs objective.samples=1", "set one of them to its default"
            )
        return VariationalObjective(modules, space, self)
