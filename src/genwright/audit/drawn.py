"""Samples that an audit draws, and their features."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from genwright.core.content import Drawn, Event, Measure, Opened, Sample
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.groups import Featured
from genwright.core.registry import measures_of
from genwright.runs.content import Content
from genwright.runs.drawing import shown_events


def drawn_samples(
    opened: Opened, content: Content, count: int, prompts: Sequence[str] = (), **options: Any
) -> list[Sample]:
    """`count` samples; with prompts as many of each, or one more. options: of the sampler. Raises
    GenwrightError."""
    if prompts:
        options["prompt"] = tuple(prompts)
        each = -(-count // len(prompts))
        chosen = content.sampler_options(n=each, **options)
        events = content.sampler.draw(opened, chosen, n=each)
        return _drawn(events)
    chosen = content.sampler_options(**options)
    try:
        return _drawn(content.sampler.draw(opened, chosen, n=count))
    except GenwrightError as problem:
        if options:
            raise
        raise GenwrightError(
            f"{opened.name} gives no samples to audit: {problem.what}",
            "audit its data (genwright audit data), or a run that draws samples",
        ) from problem


def _drawn(events: Iterator[Event]) -> list[Sample]:
    return [event.sample for event in shown_events(events) if isinstance(event, Drawn)]


def features_of(content: Content, dataset: Dataset, samples: Sequence[Sample]) -> Any:
    """(n, width) float32 features by which samples are compared: the content's own, or the first
    measure that gives a vector; None where there is none."""
    if not samples:
        return None
    if isinstance(content, Featured):
        return content.features(dataset, samples)
    for measure in measures_of(content.kind).values():
        if isinstance(measure, Measure) and measure.gives == "vector":
            vectors = [np.asarray(vector, np.float32).ravel() for vector in measure.values(samples)]
            return torch.from_numpy(np.stack(vectors))
    return None
