"""Learning discrete codes of arrays (VQ-VAE; van den Oord et al., arXiv 1711.00937):
reconstruction, and latents that stay near their codes (commitment). A learned codebook follows no
gradient: its entries are running means, moved after each step.

A step's losses sum what its codebook is to learn (`Loss.sums`), and the loop adds those over
micro-batches and ranks, so that codebook and figures are the same however the batch is split.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from genwright.core.contracts import Batch, Loss, Mean, Metrics, Objective, Ranks, Space
from genwright.core.draws import Draws
from genwright.core.registry import Settings
from genwright.models.vq import Codebook, VQAutoencoder
from genwright.sampling.drawing import Drawing


def perplexity(counts: Tensor) -> Tensor:
    """(K,) how often each code was chosen -> exp of the entropy of that distribution: the number of
    codes in even use, 1 to K."""
    p = counts.double() / counts.sum()
    entropy: Tensor = torch.special.entr(p).sum()
    return entropy.exp().float()


class QuantisedObjective(Objective):
    """modules: {"model": VQAutoencoder}."""

    metric_units: Mapping[str, str] = {"loss": "error", "used": "share", "perplexity": "codes"}

    def __init__(self, modules: Mapping[str, nn.Module], settings: VectorQuantised):
        self.modules = modules
        self.settings = settings
        self.model: VQAutoencoder = modules["model"]  # type: ignore[assignment]

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Adds which latents are candidates for codes that begin anew: `place` and `code` (K:
        none), (n, candidates of an example) each."""
        size = self.model.bottleneck.size
        device = draws.examples.device
        n = int(ranks.sum(torch.tensor(len(draws.examples), device=device)))
        each = math.ceil(size / max(1, n))  # candidates of an example
        code = draws.examples[:, None] * each + torch.arange(each, device=device)
        place = draws.integers("candidate", math.prod(self.model.grid), each)
        return batch | {"place": place, "code": code.clamp_(max=size)}

    def prepare_held_out(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Nothing begins anew, so nothing is drawn."""
        return batch

    def loss(self, batch: Batch) -> Loss:
        """Per example: mean reconstruction error of a value, plus the weighted mean square of
        latents minus their codes."""
        out, z, codes = self._of_examples(batch["x"])
        sums = self.sums(z.detach(), codes, batch["place"], batch["code"])
        return out._replace(sums=sums)

    def _of_examples(self, x: Tensor) -> tuple[Loss, Tensor, Tensor]:
        """The loss of examples x (n, *shape), their latents (n, P, D) and codes (n, P)."""
        z, codes, decoded, vectors = self.modules["model"](x, decode=True)
        error = F.l1_loss if self.settings.reconstruction == "l1" else F.mse_loss
        reconstruction = error(decoded, x, reduction="none").flatten(1).mean(1)
        total = reconstruction
        count = torch.ones_like(reconstruction)
        if isinstance(self.model.bottleneck, Codebook):
            distance = F.mse_loss(z, vectors, reduction="none").flatten(1).mean(1)
            total = total + self.settings.commitment * distance
        metrics = {
            "loss": Mean(total.detach(), count),
            "reconstruction": Mean(reconstruction.detach(), count),
        }
        return Loss(total, count, metrics), z, codes

    def sums(self, z: Tensor, codes: Tensor, place: Tensor, code: Tensor) -> dict[str, Tensor]:
        """Of latents z (n, P, D) and their codes (n, P): how often each code was chosen (K,), the
        sum of the latents that chose it (K, D), and a latent of the batch for each code (K, D), of
        which this part of the batch holds some."""
        size = self.model.bottleneck.size
        width = z.shape[2]
        latents = z.new_zeros(size, width, dtype=torch.float64)
        latents.index_add_(0, codes.flatten(), z.flatten(0, 1).double())
        candidates = z.new_zeros(size + 1, width)
        # no two write one row, but the last, which is none's
        candidates[code] = z.gather(1, place[..., None].expand(-1, -1, width))
        return {"counts": self._counts(codes), "latents": latents, "candidates": candidates[:size]}

    def _counts(self, codes: Tensor) -> Tensor:
        """(n, P) codes -> (K,) how often each was chosen."""
        return torch.bincount(codes.flatten(), minlength=self.model.bottleneck.size)

    def figures(self, counts: Tensor) -> dict[str, float]:
        """Of how often each code was chosen: what is recorded."""
        used = (counts > 0) | (self.model.bottleneck.idle + 1 < self.settings.restart)
        return {"perplexity": float(perplexity(counts)), "used": float(used.float().mean())}

    def after_step(self, metrics: Metrics, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """Moves the codebook by the running means of its latents. Gives perplexity and share of
        codes in use, as they were before."""
        counts = sums["counts"]
        found = self.figures(counts)  # before codes learn
        settings = self.settings
        self.model.bottleneck.learn(
            counts, sums["latents"], sums["candidates"], settings.decay, settings.restart
        )
        return found

    def measured(self, batch: Batch) -> Loss:
        """The same of held-out examples, whose codes are counted."""
        out, _, codes = self._of_examples(batch["x"])
        return out._replace(sums={"counts": self._counts(codes)})

    def held_out_figures(self, sums: Mapping[str, Tensor]) -> dict[str, float]:
        """Perplexity and share in use of all held-out codes together."""
        return self.figures(sums["counts"])


class VectorQuantised(Settings, family="objective"):
    """Settings of a VQ-VAE (arXiv 1711.00937) whose codebook follows running means instead of
    gradients."""

    kind: Literal["vector-quantised"] = "vector-quantised"
    """Reconstruct arrays (channels, height, width) through a grid of discrete codes."""
    reconstruction: Literal["l2", "l1"] = "l2"
    """Error of a reconstructed value in [-1, 1]: squared (`l2`) or absolute (`l1`)."""
    commitment: float = Field(0.25, ge=0, le=100)
    """Weight of the squared distance of latents from their codes (of a codebook)."""
    decay: float = Field(0.99, ge=0, lt=1)
    """Of the running means that are the codebook, a step."""
    restart: int = Field(50, ge=1)
    """Steps without a use after which a code begins anew at a latent of the batch, and no longer
    counts as used."""
    sampling: ClassVar = Drawing

    def needs(self, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
        """One network, which holds encoder, codebook and decoder."""
        return {"model": ("vq", {})}

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> QuantisedObjective:
        """The codebook is a buffer of `modules["model"]`; the space adds nothing."""
        return QuantisedObjective(modules, self)
