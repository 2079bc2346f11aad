"""A run, watched while it trains: on the schedule of held-out evaluations samples are drawn from
one seed, shown in RUN/samples and measured, and alarms look at what was recorded.

An alarm is a pure function of the evaluations so far, the same whether a run was stopped in between
or not: it rings when what it says holds now and did not hold at the evaluation before. Its
thresholds are few and rough on purpose; tests/test_watching.py has, for each, a run in which it
must ring and one in which it must not.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from genwright.core.content import Watcher
from genwright.core.contracts import Objective
from genwright.evaluation.held_out import evaluating
from genwright.training.engine import Engine
from genwright.training.loop import Hook, Rollback
from genwright.training.records import read
from genwright.training.settings import Watching
from genwright.training.state import State

log = logging.getLogger(__name__)

# what training steps record: their mean since the evaluation before is judged
MEANS = ("wins", "used", "discriminator_loss")
PATIENCE = 3  # evaluations in a row that a discriminator must win
# nats: its loss below which it hardly doubts; while a generator learns well it may rank nearly all
# pairs right, by little
SURE = 0.25


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
        return self.engine.broadcast(found)


# ---- alarms

Rows = Sequence[Mapping[str, float]]


def alarms(rows: Rows, s: Watching, objective: Any = None) -> list[str]:
    """What is wrong after the evaluations so far, oldest first, whether or not it was before: "what
    happens; what to try" of each.
    objective: the settings of the run's, so that what it has already is not advised."""
    augmented = getattr(objective, "augment", False)

    def of(name):
        return [row[name] for row in rows if name in row]

    found, (covered, precise, wins, used, units, kl) = (
        [],
        map(of, ("coverage", "precision", "wins", "used", "active_units", "kl")),
    )
    # twice in a row coverage was far below its best, or samples look real and cover little
    best = max(covered, default=0)
    now = max(covered[-2:], default=0)
    fell = best >= 0.2 and now < s.coverage * best
    narrow = min(precise[-2:], default=0) >= 0.5 and now < s.coverage / 2
    if len(covered) > 1 and (fell or narrow):
        remedy = "try a lower learning rate, more of objective.r1 and r2, objective.packing, or a smaller model for small data"
        before = f" after {best:.0%} at best" if fell else ", however real they look"
        found.append(
            f"mode collapse: {s.samples:,} samples cover {covered[-1]:.0%} of as many real ones{before}; {remedy}"
        )
    # it ranks nearly every pair right for some evaluations and hardly doubts, and samples cover no
    # more of the data
    recent = covered[-PATIENCE:]
    better = len(recent) == PATIENCE and recent[-1] > recent[0] + 0.01
    sure = max(of("discriminator_loss")[-PATIENCE:], default=0.0) <= SURE
    if len(wins) >= PATIENCE and min(wins[-PATIENCE:]) > s.wins and sure and not better:
        other = "a smaller discriminator" if augmented else "objective.augment=true"
        remedy = f"try a lower learning rate for it (training.optimizers.discriminator), more of objective.r1 and r2, or {other}"
        share = f"it tells real from generated in {wins[-1]:.1%} of pairs"
        found.append(
            f"the discriminator has won: {share}, and the generator learns no more; {remedy}"
        )
    # what follows was so twice in a row
    if min(len(units), len(kl)) > 1 and (max(units[-2:]) < 0.5 or max(kl[-2:]) < 0.05):
        remedy = "try a smaller objective.beta, a longer warm-up of the KL, free bits, or a weaker decoder"
        use = f"{units[-1]:.1f} latent dimensions are in use (KL {kl[-1]:.2g} nats)"
        found.append(f"posterior collapse: {use}, so the decoder ignores them; {remedy}")
    if len(used) > 1 and max(used[-2:]) < s.used:
        found.append(
            f"dead codebook: only {used[-1]:.1%} of the codes are used; try a smaller codebook, or FSQ, which has none to die"
        )
    copied = [row for row in rows if "memorised" in row][-2:]
    if (
        len(copied) > 1
        and min(row["memorised"] - row["memorised_floor"] for row in copied) > s.memorised
    ):
        remedy = "try fewer steps, a smaller model, more data" + (
            "" if augmented else ", or augmentation"
        )
        share = f"{copied[-1]['memorised']:.0%} of {s.samples:,} samples are nearer to a training example than fresh ones are"
        found.append(f"memorising: {share}; {remedy}")
    return found


def ringing(rows: Rows, s: Watching, objective: Any = None) -> list[str]:
    """What begins to hold with the last row: an alarm rings once, until it has been quiet."""
    before = {text.split(":")[0] for text in alarms(rows[:-1], s)}
    return [text for text in alarms(rows, s, objective) if text.split(":")[0] not in before]


def rows_of(records: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """A row for each held-out evaluation: its numbers, and means of what the steps before it
    recorded."""
    rows: list[dict[str, float]] = []
    sums: dict[str, list[float]] = defaultdict(list)
    for record in records:
        for name, value in _finite(record).items():
            sums[name].append(value)
        if "held_out" in record:
            rows.append(
                _finite(record["held_out"])
                | {name: math.fsum(sums[name]) / len(sums[name]) for name in MEANS if sums[name]}
            )
            sums.clear()
    return rows


def _finite(record: Mapping[str, Any]) -> dict[str, float]:
    return {
        name: value
        for name, value in record.items()
        if isinstance(value, (int, float)) and math.isfinite(value)
    }


class Alarms(Hook):
    """Rings at held-out evaluations, by agreement of all ranks; it comes after `Evaluate` and
    before the session saves, so that what it said is saved with the step. metrics: the run's
    metrics.jsonl, read where a run is taken up. append: of the run's records, on rank 0.
    objective: its settings, as `alarms` takes them."""

    def __init__(
        self,
        settings: Watching,
        engine: Any,
        metrics: Path,
        append: Callable[[dict[str, Any]], None],
        objective: Any = None,
    ):
        self.settings = settings
        self.engine = engine
        self.metrics = metrics
        self.append = append
        self.objective = objective
        self.records: list[dict[str, Any]] = []  # of all steps so far, what alarms look at
        self.step = -1
        self.stopping = False

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        if self.engine.main:
            self.follow(state.step, record)
        if "held_out" not in record or not state.step:
            return
        for text in self.engine.broadcast(
            ringing(rows_of(self.records), self.settings, self.objective)
            if self.engine.main
            else []
        ):
            if self.engine.main:
                self.append({"step": state.step, "event": text})
                log.warning(f"step {state.step}: {text}")
            if self.settings.on_alarm == "rollback":
                what, _, remedy = text.partition("; ")
                raise Rollback(state.step, what, remedy)
            self.stopping = self.settings.on_alarm == "stop"

    def follow(self, step: int, record: Mapping[str, Any]) -> None:
        """The records up to this step: one more, or all of them again where the run was taken up or
        rolled back."""
        lines = [record] * (step > 0)
        if step != self.step + 1:
            self.records, lines = (
                [],
                [*(line for line in read(self.metrics) if 0 < line.get("step", 0) < step), *lines],
            )
        self.records += [
            {name: line[name] for name in (*MEANS, "held_out") if name in line} for line in lines
        ]
        self.step = step

    def stop(self, state: State) -> bool:
        return self.stopping
