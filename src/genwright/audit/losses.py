"""How likely a model finds examples: its held-out loss, example by example."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from genwright.core.content import Opened, Sample, Sampler
from genwright.core.draws import Draws
from genwright.core.progress import task
from genwright.evaluation.held_out import POSITION, evaluating, unit_of
from genwright.training.engine import Engine

AT_ONCE = 16
SCORE = "score"  # unit of a loss that is no likelihood, nor an error


class Losses(NamedTuple):
    """total: (examples,) float64, summed over each example's units (tokens, values); count: of
    those. Of a loss that is not in nats (a flow's), only its differences between groups say
    something."""

    total: np.ndarray
    count: np.ndarray  # type: ignore[assignment]  # hides tuple.count


@torch.no_grad()
def losses(opened: Opened, sampler: Sampler, samples: Sequence[Sample], seed: int) -> Losses | None:
    """The loss of each sample, as held-out evaluation measures it, whatever is measured at once;
    None where examples have no loss of their own (packs of a GAN), or one that says nothing of how
    likely they are (a discriminator's)."""
    objective = opened.objective
    if objective.metric_units.get("loss", SCORE) == SCORE:
        return None
    if unit_of(objective) > 1 or objective.held_out_block > 1:
        return None
    totals = []
    counts = []
    with evaluating(objective), task("measuring losses", len(samples)) as shown:
        for start in range(0, len(samples), AT_ONCE):
            part = samples[start : start + AT_ONCE]
            batch = sampler.batch(part, opened.codec)
            numbers = torch.arange(start, start + len(part))
            draws = Draws(seed, POSITION, numbers)
            prepared = objective.prepare_held_out(batch, draws, Engine.alone())
            loss = objective.measured(prepared)
            if loss.total.ndim == 0:
                return None
            totals.append(loss.total.double().cpu().numpy())
            counts.append(loss.count.double().cpu().numpy())
            shown.advance(len(part))
    if not totals:
        return None
    return Losses(np.concatenate(totals), np.concatenate(counts))
