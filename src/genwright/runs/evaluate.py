"""A run, measured: its kind of content says by what."""

from __future__ import annotations

from genwright.core.options import Options
from genwright.evaluation.pilot import SampleCounts
from genwright.runs.checkpoint_figures import Evaluation, counts_before, keep
from genwright.runs.content import kind_of
from genwright.runs.trained import TrainedRun


def evaluate(run: TrainedRun, options: Options) -> Evaluation:
    """The held-out split, and samples; every figure beside its floors. Kept in the run's folder.

    Samples: as many as the options say; else as many as for these weights before, or what takes
    about a minute (`evaluation.pilot`)."""
    counts = SampleCounts(getattr(options, "samples", None), counts_before(run))
    figures, samples = kind_of(run).evaluate(run, options, counts)
    found = Evaluation(run.step, run.weights, figures, samples, counts.drawn)
    if figures:
        keep(run, found)
    return found
