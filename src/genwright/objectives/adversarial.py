"""Generative adversarial networks: a generator that makes examples from latents z ~ N(0, I),
against a discriminator that scores them.

Two turns a step on one draw of the stream, with latents of their own. The default game is
relativistic (Jolicoeur-Martineau, arXiv 1807.00734) with zero-centred gradient penalties on real
and on generated examples (R1 and R2), which has no tricks left to tune and converges where others
collapse (R3GAN, Huang et al., arXiv 2501.05441). Packing (PacGAN, Lin et al., arXiv 1712.04086)
shows the discriminator several examples at once, so that it sees a lack of variety; a split never
cuts a pack.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from functools import partial
from typing import Any, ClassVar, Literal, cast

import torch
import torch.nn.functional as F
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
from genwright.objectives.augment import NUMBERS, augment
from genwright.sampling.drawing import Drawing

# scores of real and of generated examples (n,) -> loss of each pair (n,)
Pair = Callable[[Tensor, Tensor], Tensor]

# name -> (what the discriminator minimises, what the generator minimises)
LOSSES: Mapping[str, tuple[Pair, Pair]] = {
    "relativistic": (
        lambda real, fake: F.softplus(fake - real),
        lambda real, fake: F.softplus(real - fake),
    ),
    "non-saturating": (
        lambda real, fake: F.softplus(-real) + F.softplus(fake),
        lambda real, fake: F.softplus(-fake),
    ),
    "hinge": (lambda real, fake: F.relu(1 - real) + F.relu(1 + fake), lambda real, fake: -fake),
    "wasserstein": (lambda real, fake: fake - real, lambda real, fake: -fake),
}
# name -> usual weights of R1 and R2; none for the others
PENALTIES: Mapping[str, tuple[float, float]] = {
    "relativistic": (1.0, 1.0),
    "non-saturating": (1.0, 0.0),
}
AUGMENT_TARGET = 0.6  # ADA's target: mean sign of the scores of real examples
# a constant added to all scores changes nothing: a score's own sign means nothing
_RELATIVE = ("relativistic", "wasserstein")


def square_slopes(scores: Tensor, x: Tensor) -> Tensor:
    """Squared norms of d score / d pack, (packs,), differentiable. scores (packs,) of the examples
    x (packs * packing, ...)."""
    (slopes,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return slopes.reshape(len(scores), -1).square().sum(1)


def gradient_penalty(square: Tensor) -> Tensor:
    """(norm - 1)^2 of squared norms (n,): Gulrajani et al., arXiv 1704.00028, eq. 3. A norm of 0
    keeps a finite gradient."""
    return (torch.sqrt(square + 1e-12) - 1).square()


class AdversarialObjective(Objective, Latent):
    """modules: {"generator", "discriminator"}. The probability of augmentation is a buffer of the
    discriminator."""

    metric_units: Mapping[str, str] = {"loss": "score", "wins": "share"}

    def __init__(self, modules: Mapping[str, nn.Module], space: Space, settings: Adversarial):
        self.modules = modules
        self.space = space
        self.settings = settings
        self.unit = settings.packing
        self.latent = (settings.latent,)
        self.axes = settings.latent
        r1, r2 = PENALTIES.get(settings.loss, (0.0, 0.0))
        self.r1 = r1 if settings.r1 is None else settings.r1
        self.r2 = r2 if settings.r2 is None else settings.r2
        self.wasserstein = 0.0  # weight of the gradient penalty between real and generated
        if settings.loss == "wasserstein":
            self.wasserstein = settings.gradient_penalty
        self.double_backward = self.r1 > 0 or self.r2 > 0 or self.wasserstein > 0
        self.of_discriminator, self.of_generator = LOSSES[settings.loss]
        if settings.augment:
            modules["discriminator"].register_buffer("augmentation", torch.zeros(()))

    @property
    def augmentation(self) -> Tensor:
        """(): the probability in [0, 1] that an example is augmented, saved with the
        discriminator."""
        return cast(Tensor, self.modules["discriminator"].augmentation)

    # -- training

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Latents (n, 2, latent) and augmentations (n, 3, NUMBERS): those of the discriminator's
        turn first."""
        out = batch | {"latent": draws.normal("latent", 2, self.settings.latent)}
        if "condition" in batch:
            condition = batch["condition"]
            out["condition"] = drop(self.space.attributes, condition, draws, self.settings.drop)
        if self.settings.augment:
            out["augment"] = draws.uniform("augment", 3, NUMBERS)
        if self.wasserstein:
            out["between"] = draws.uniform("between", 1)
        return out

    def turns(self, step: int) -> Generator[Turn, Metrics, None]:
        """The discriminator moves first, then the generator, against a discriminator already
        updated."""
        weight = self.penalty_weight(step)
        yield Turn(("discriminator",), partial(self.discriminate, weight=weight))
        yield Turn(("generator",), self.generate)

    def penalty_weight(self, step: int) -> float:
        """Factor on R1 and R2 in a step: 0 where they are not computed, as much more where they
        are; it falls to half every `halve` steps."""
        s = self.settings
        if step % s.penalty_every:
            return 0.0
        fallen = 0.5 ** (step / s.halve) if s.halve else 1.0
        return s.penalty_every * fallen

    def generated(self, batch: Batch, which: int) -> Tensor:
        """(n, *shape): what the generator makes of the batch's first or second latents."""
        latent = batch["latent"][:, which]  # (n, latent)
        x: Tensor = self.modules["generator"](latent, batch.get("condition"))
        return x

    def scores(self, x: Tensor, batch: Batch, *augmented: int) -> Tensor:
        """(packs,) of examples x (n, *shape), which may hold several for each of the batch's: real,
        then generated. augmented: which of the batch's augmentations each of these sets goes
        through; without, none."""
        if augmented and "augment" in batch:
            numbers = torch.cat([batch["augment"][:, which] for which in augmented])
            x = augment(x, numbers, self.augmentation, self.settings.flips)
        size = self.unit
        packs = len(x) // size
        # a pack's examples lie one after another in the channels
        x = x.reshape(packs, size * x.size(1), *x.shape[2:])
        condition = batch.get("condition")
        if condition is not None:
            condition = condition.reshape(len(condition) // size, -1)
            condition = condition.repeat(packs // max(1, len(condition)), 1)  # (packs, columns)
        scores: Tensor = self.modules["discriminator"](x, condition)
        return scores

    def discriminate(self, batch: Batch, weight: float = 1.0) -> Loss:
        """weight: a factor on R1 and R2; 0 leaves them out."""
        with torch.no_grad():
            fake = self.generated(batch, 0)
        penalised = weight * (self.r1 + self.r2) > 0
        x = torch.cat([batch["x"], fake]).requires_grad_(penalised)  # (2 n, *shape)
        scores = self.scores(x, batch, 0, 1)
        of_real, of_fake = scores.chunk(2)  # (packs,) each
        game = self.of_discriminator(of_real, of_fake)
        signs = (of_real - of_fake).detach().sign()
        metrics = {
            "discriminator_loss": game,
            "wins": (signs + 1) / 2,  # half where scores are equal
            "real_sign": signs if self.settings.loss in _RELATIVE else of_real.sign(),
        }
        total = game
        if penalised:
            at_real, at_fake = square_slopes(scores, x).chunk(2)
            penalty = (self.r1 * at_real + self.r2 * at_fake) / 2
            metrics["penalty"] = penalty
            total = total + weight * penalty
        if self.wasserstein:
            penalty = self._between(batch, fake)
            metrics["gradient_penalty"] = penalty
            total = total + self.wasserstein * penalty
        if "augment" in batch:
            metrics["augment"] = self.augmentation.expand_as(game)
        return self._loss(total, metrics)

    def _between(self, batch: Batch, fake: Tensor) -> Tensor:
        """The gradient penalty at a random place on the line between each real pack and a generated
        one."""
        share = batch["between"][:: self.unit]  # (packs, 1), the first example's
        share = share.repeat_interleave(self.unit, 0)  # (n, 1)
        share = share.view(-1, *[1] * (fake.ndim - 1))
        x = (share * batch["x"] + (1 - share) * fake).requires_grad_()
        return gradient_penalty(square_slopes(self.scores(x, batch, 0), x))

    def generate(self, batch: Batch) -> Loss:
        """The generator's loss (examples,). Real scores are needed by the relativistic game only,
        and get no gradient."""
        fake = self.scores(self.generated(batch, 1), batch, 2)
        real = fake.detach()
        if self.settings.loss == "relativistic":
            with torch.no_grad():
                real = self.scores(batch["x"], batch, 0)
        total = self.of_generator(real, fake)
        return self._loss(total, {"generator_loss": total})

    def _loss(self, total: Tensor, metrics: Mapping[str, Tensor]) -> Loss:
        """total, metrics: (packs,). A pack's loss is that of each of its examples."""
        each = total.repeat_interleave(self.unit) if self.unit > 1 else total  # (examples,)
        packs = torch.ones_like(total.detach())
        means = {name: Mean(value.detach(), packs) for name, value in metrics.items()}
        counts = packs if each is total else torch.ones_like(each)
        return Loss(each, counts, means)

    def after_step(self, metrics: Metrics, sums: Mapping[str, Tensor]) -> None:
        """Adaptive augmentation: its probability rises while the discriminator is surer of real
        examples than AUGMENT_TARGET."""
        if not self.settings.augment:
            return
        step = self.settings.augment_step
        if metrics["real_sign"] <= AUGMENT_TARGET:
            step = -step
        # above 0.8 augmentations leak into what is generated (Karras et al., arXiv 2006.06676,
        # section 2.2)
        self.augmentation.add_(step).clamp_(0, 0.8)

    def measured(self, batch: Batch) -> Loss:
        """Scores of held-out examples beside generated ones, not augmented. A last pack that is not
        full is left out."""
        whole = {
            name: value[: len(value) - len(value) % self.unit] for name, value in batch.items()
        }
        x = torch.cat([whole["x"], self.generated(whole, 0)])
        real, fake = self.scores(x, whole).chunk(2)  # (packs,) each
        metrics = {"wins": _wins(real, fake), "score_real": real, "score_fake": fake}
        return self._loss(torch.zeros_like(real), metrics)

    # -- what a latent is for

    def decode(
        self, latent: Tensor, condition: Tensor | None, negative: Tensor | None, settings: Any
    ) -> Tensor:
        """Examples (n, *shape). What is unwanted is taken off the condition, whose embedding is
        linear."""
        if condition is not None and negative is not None:
            condition = condition - negative
        x: Tensor = self.modules["generator"](latent * settings.truncation, condition)
        return x

    def invert(
        self,
        x: Tensor,
        condition: Tensor | None,
        draws: Draws,
        settings: Any,
        starts: int = 4,
        steps: int = 200,
    ) -> Tensor:
        """Latents (n, latent): by Adam on the mean squared error, from several draws of the prior
        at once, the best of which is kept. The prior's weight keeps a latent where the generator
        was trained."""
        n = len(x)
        z = draws.normal("invert", starts, *self.latent).flatten(0, 1)  # (n * starts, latent)
        z.requires_grad_()
        wanted = x.repeat_interleave(starts, 0)
        given = None
        if condition is not None:
            given = condition.repeat_interleave(starts, 0)
        adam = torch.optim.Adam([z], lr=0.1)
        with torch.enable_grad():
            for step in range(steps + 1):
                found = self.decode(z, given, None, settings)
                error = (found - wanted).square().flatten(1).mean(1)  # (n * starts,)
                if step == steps:
                    break
                prior = 1e-3 * z.square().mean(1)
                adam.param_groups[0]["lr"] = 0.1 * (1 - step / steps)
                (z.grad,) = torch.autograd.grad((error + prior).sum(), z)
                adam.step()
        best = error.detach().view(n, starts).argmin(1)
        candidates = z.detach().view(n, starts, -1)
        return candidates[torch.arange(n, device=x.device), best]

    def directions(self, count: int) -> Tensor:
        """(count, latent) unit vectors, strongest first: those that the generator's first affine
        map A stretches most, which are the eigenvectors of A^T A (SeFa, Shen and Zhou, arXiv
        2007.06600). The largest entry of each is positive."""
        size = self.settings.latent
        if count > size:
            raise GenwrightError(
                f"{count} directions were asked of a latent of {size}", "ask for fewer"
            )
        first = cast(nn.Linear, self.modules["generator"].first)
        affine = first.weight.detach().double()[:, :size]  # the part that sees the latent
        found: Tensor = torch.linalg.svd(affine, full_matrices=False).Vh[:count]
        largest = found.abs().argmax(1, keepdim=True)
        return (found * found.gather(1, largest).sign()).float()


def _wins(real: Tensor, fake: Tensor) -> Tensor:
    """Which pairs of scores the real one wins: 1, or half where they are equal."""
    return (real > fake).float() + 0.5 * (real == fake).float()


class Adversarial(Settings, family="objective"):
    """Settings of a GAN; the relativistic loss with R1 and R2 is that of R3GAN (arXiv
    2501.05441)."""

    kind: Literal["adversarial"] = "adversarial"
    """A generator against a discriminator."""
    loss: Literal["relativistic", "non-saturating", "hinge", "wasserstein"] = "relativistic"
    """The game."""
    r1: float | None = Field(None, ge=0, le=1e4)
    """Weight of the squared gradient at real examples (R1's gamma). Default: 1 for relativistic and
    non-saturating, else 0."""
    r2: float | None = Field(None, ge=0, le=1e4)
    """The same at generated examples (R2). Default: 1 for relativistic, else 0."""
    halve: float = Field(0.0, ge=0)
    """In which part of the run R1 and R2 fall to half: below 1 a share, from 1 steps; 0: they
    stay."""
    penalty_every: int = Field(1, ge=1, le=64)
    """R1 and R2 are computed every so many steps, and weigh as much more (StyleGAN2, arXiv
    1912.04958): a third of the time at 4."""
    gradient_penalty: float = Field(10.0, gt=0, le=1e4)
    """Weight of (gradient norm - 1)^2 between real and generated examples, for `wasserstein`."""
    latent: int = Field(64, ge=1, le=65536)
    """Size of the latent."""
    packing: int = Field(1, ge=1, le=64)
    """Examples the discriminator sees at once."""
    drop: float = Field(0.1, ge=0, lt=1)
    """How often an attribute, and all of them, are left out, so that the generator can do
    without."""
    augment: bool = False
    """Adaptive augmentation of what the discriminator sees, for small data."""
    augment_step: float = Field(2e-4, gt=0, le=0.1)
    """How far a step moves the probability of augmentation."""
    flips: bool = False
    """Augmentation mirrors left to right: not for content that a mirror makes wrong, as writing."""
    sampling: ClassVar[type] = Drawing
    spans: ClassVar = ("halve",)

    def needs(self, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
        """Two networks; the discriminator is told how many examples it sees at once."""
        return {
            "generator": ("generator", {"latent": self.latent}),
            "discriminator": ("discriminator", {"packing": self.packing}),
        }

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> AdversarialObjective:
        """Raises GenwrightError where augmentation is asked for and examples are not (C, H, W)."""
        if self.augment and len(space.shape) != 3:
            raise GenwrightError(
                "objective.augment is for arrays (channels, height, width), and this data has none",
                "set objective.augment=false",
            )
        return AdversarialObjective(modules, space, self)
