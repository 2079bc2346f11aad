"""A run, watched while it trains: on the schedule of held-out evaluations samples are drawn from
one seed, shown in RUN/samples and measured. What the figures warn of: `alarms.py`."""

from pathlib import Path

from torch import Tensor

from genwright.core.content import Watcher
from genwright.core.contracts import Objective
from genwright.evaluation.held_out import evaluating
from genwright.training.engine import Engine


class Watch:
    """Called as watch(step) inside a held-out evaluation, on every rank: samples are drawn, shown
    in RUN/samples/step-* and measured."""

    def __init__(self, folder: Path, objective: Objective, watcher: Watcher, engine: Engine):
        self.folder = folder
        self.objective = objective
        self.watcher = watcher
        self.engine = engine

    def __call__(self, step: int) -> dict[str, float]:
        """Metrics of the samples, the same on every rank."""
        found: dict[str, float] = {}
        samples: Tensor | None = None
        # sharded modules meet inside: all ranks draw
        if self.engine.main or self.engine.strategy == "fsdp":
            with evaluating(self.objective):
                samples = self.watcher.draw()
        if self.engine.main and samples is not None:
            self.watcher.write(samples, self.folder / "samples" / f"step-{step:08d}")
            found = self.watcher.measured(samples)
        same: dict[str, float] = self.engine.broadcast(found)
        return same
