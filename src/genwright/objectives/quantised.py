"""Learning discrete codes of pictures (VQ-VAE; van den Oord et al., arXiv 1711.00937): reconstruction, and latents that stay near
their codes (commitment). A learned codebook follows no gradient: its entries are running means, moved after each step.

Which code each latent takes, and all sums over them, are found for the whole batch in `prepare`, so that codebook and figures are
the same however the batch is split; the price is one more pass of the encoder, without gradients.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genwright.contracts import Batch, Loss, Ranks, Space, Turn
from genwright.draws import Draws
from genwright.models.vq import Codebook, VQAutoencoder
from genwright.registry import Settings, register
from genwright.sampling.drawing import Drawing

_AT_ONCE = 64  # pictures that are encoded together where no gradient is needed


def perplexity(counts: Tensor) -> Tensor:
    """(K,) how often each code was chosen -> exp of the entropy of that distribution: the number of codes in even use, 1 to K."""
    p = counts.double() / counts.sum()
    return torch.special.entr(p).sum().exp().float()


class QuantisedObjective:
    """modules: {"model": VQAutoencoder}."""

    draws, unit, double_backward = 1, 1, False

    def __init__(self, modules: Mapping[str, nn.Module], settings: VectorQuantised):
        self.modules, self.settings = modules, settings
        self.pending: tuple[Tensor, Tensor, Tensor]  # of the batch prepared last: what the bottleneck learns if its step is taken

    @property
    def model(self) -> VQAutoencoder:
        return self.modules["model"]  # type: ignore[return-value]

    @torch.no_grad()
    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Adds `codes` (n, places), and `perplexity` and `used` of the whole batch, (n,) alike."""
        x, bottleneck = batch["x"], self.model.bottleneck
        found = [self.modules["model"](piece) for piece in x.split(_AT_ONCE)]
        z, codes = (torch.cat(tensors) for tensors in zip(*found, strict=True))
        counts = ranks.sum(torch.bincount(codes.flatten(), minlength=bottleneck.size))
        sums = z.new_zeros(bottleneck.size, z.shape[2], dtype=torch.float64).index_add_(0, codes.flatten(), z.flatten(0, 1).double())
        each = math.ceil(bottleneck.size * codes.shape[1] / int(counts.sum()))  # candidates of an example
        places = draws.integers("candidate", codes.shape[1], each)
        candidates = ranks.gather(z.gather(1, places[..., None].expand(-1, -1, z.shape[2]))).flatten(0, 1)[: bottleneck.size]
        self.pending = (counts, ranks.sum(sums), candidates)
        used = ((counts > 0) | (bottleneck.idle + 1 < self.settings.restart)).float().mean()
        return batch | {"codes": codes, "perplexity": perplexity(counts).expand(len(x)), "used": used.expand(len(x))}

    def turns(self, step: int) -> Sequence[Turn]:
        return (Turn(("model",), self.loss),)

    def loss(self, batch: Batch) -> Loss:
        """Per picture: mean reconstruction error of a pixel's channel, plus the weighted mean square of latents minus their codes."""
        x = batch["x"]
        made, z, vectors = self.modules["model"](x, batch["codes"])
        error = made - x
        reconstruction = (error.abs() if self.settings.reconstruction == "l1" else error.square()).flatten(1).mean(1)
        total, count = reconstruction, torch.ones_like(reconstruction)
        if isinstance(self.model.bottleneck, Codebook):
            total = total + self.settings.commitment * (z - vectors).square().flatten(1).mean(1)
        measured = {"loss": total, "reconstruction": reconstruction, "perplexity": batch["perplexity"], "used": batch["used"]}
        return Loss(total, count, {name: (value.detach().sum(), count.sum()) for name, value in measured.items()})

    def after_step(self, totals: dict[str, float]) -> None:
        self.model.bottleneck.learn(*self.pending, self.settings.decay, self.settings.restart)

    measured = loss


@register("objective", "vector-quantised")
class VectorQuantised(Settings):
    kind: Literal["vector-quantised"] = "vector-quantised"
    """Reconstruct pictures through a grid of discrete codes."""
    reconstruction: Literal["l2", "l1"] = "l2"
    """Error of a reconstructed value in [-1, 1]: squared (`l2`) or absolute (`l1`)."""
    commitment: float = Field(0.25, ge=0, le=100)
    """Weight of the squared distance of latents from their codes (of a codebook)."""
    decay: float = Field(0.99, ge=0, lt=1)
    """Of the running means that are the codebook, a step."""
    restart: int = Field(50, ge=1)
    """Steps without a use after which a code begins anew at a latent of the batch, and no longer counts as used."""
    sampling: ClassVar = Drawing
    lookahead: ClassVar[int] = 0

    def needs(self, space: Space) -> dict[str, tuple[str, dict]]:
        return {"model": ("vq", {})}

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> QuantisedObjective:
        return QuantisedObjective(modules, self)
