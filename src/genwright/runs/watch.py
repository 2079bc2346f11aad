"""A run, watched while it trains: on the schedule of held-out evaluations samples are drawn from
one seed, shown in RUN/samples and measured, and alarms look at what was recorded.

An alarm is a pure function of the evaluations so far, the same whether a run was stopped in between
or not: it rings when what it says holds now and did not hold at the evaluation before. Its
thresholds are few and rough on purpose; tests/test_watching.py has, for each, a run in which it
must ring and one in which it must not.
"""

import functools
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genwright.contents.images import drawing as pictures
from genwright.contents.images.evaluate import SEEN
from genwright.contents.images.pictured import Drawer
from genwright.contents.points.drawing import scatter
from genwright.core.draws import Draws
from genwright.evaluation.distances import Memory, frechet, mixture, prdc
from genwright.evaluation.features import of_split
from genwright.evaluation.held_out import evaluating
from genwright.reporting.png import write
from genwright.training.loop import Hook, Rollback
from genwright.training.records import read
from genwright.training.settings import VISUAL, Watching
from genwright.training.state import State

NEIGHBOURS = 5  # of precision, recall, density, coverage
# training examples, at most, among which copies are looked for while training; of more, `evaluate`
# sees the others' too
TRAIN = 20_000
SHOWN = 64  # samples in a grid
# what training steps record: their mean since the evaluation before is judged
MEANS = ("wins", "used", "discriminator_loss")
PATIENCE = 3  # evaluations in a row that a discriminator must win
# nats: its loss below which it hardly doubts; while a generator learns well it may rank nearly all
# pairs right, by little
SURE = 0.25


class Watch:
    """Called as watch(step) inside a held-out evaluation, on every rank; draws, writes
    RUN/samples/step-*.png and returns the metrics.
    dataset: what `prepare` returned. drawing: how samples are drawn. features: examples (n, *shape)
    -> (n, d), made when it is needed."""

    def __init__(
        self,
        folder: Path,
        objective: Any,
        dataset: Any,
        engine: Any,
        settings: Watching,
        drawing: Any,
        features: Callable[[], Callable[[Tensor], Tensor]],
        seed: int = 0,
    ):
        self.folder = folder
        self.objective = objective
        self.dataset = dataset
        self.engine = engine
        self.settings = settings
        self.drawing = drawing
        self.features = functools.cache(features)
        self.seed = seed

    def __call__(self, step: int) -> dict[str, float]:
        """Metrics of `settings.samples` samples, the same on every rank."""
        make = Drawer(self.objective, self.dataset.codec, self.drawing)
        if not (self.settings.samples and make.able):
            return {}
        # one sample for each of the real examples' conditions, on the CPU
        found: dict[str, float] = {}
        # sharded modules meet inside: all ranks draw
        if self.engine.main or self.engine.strategy == "fsdp":
            with evaluating(self.objective):
                made = make(self.settings.samples, self.real[1] if make.conditional else None)
        if self.engine.main:
            shown = (
                scatter(made, self.real[0]) if made.dim() == 2 else pictures.grid(made[:SHOWN], 8)
            )
            write(self.folder / "samples" / f"step-{step:08d}.png", shown)
            found = self.measured(made)
        return self.engine.broadcast(found)

    @cached_property
    def real(self) -> tuple[Tensor, Tensor | None]:
        """Training examples that samples are compared with, picked by the seed, and the conditions
        of as many as there are samples."""
        train = self.dataset.split("train")
        order = (
            Draws(self.seed, 0, torch.arange(len(train)))
            .uniform("watched", 1)[:, 0]
            .argsort()[: self.settings.samples]
        )
        return train.x(order), train.condition(
            order[torch.arange(self.settings.samples) % len(order)]
        )

    @cached_property
    def memory(self) -> Memory | None:
        train = self.dataset.split("train")
        held_out = self.dataset.split("held_out")
        if len(train) < 2 or not len(held_out):
            return None
        fresh = self.dataset.held_out().order[: max(100, self.settings.samples)]
        return Memory(
            self.features()(of_split(train, TRAIN)[0]), self.features()(held_out.x(fresh))
        )

    def measured(self, made: Tensor) -> dict[str, float]:
        """Metrics in the space of features; what a few examples cannot tell is left out."""
        made = made.nan_to_num(0.0, 1e6, -1e6)
        out: dict[str, float] = {}
        if min(len(made), len(self.real[0])) > NEIGHBOURS:
            real, fake = map(self.features(), (self.real[0], made))
            out = prdc(real, fake, NEIGHBOURS) | {"frechet": frechet(real, fake)}
            if self.memory:
                out |= {"memorised": self.memory.share(fake), "memorised_floor": self.memory.floor}
        if getattr(self.dataset, "means", None) is not None:
            modes = mixture(made, self.dataset.means, self.dataset.std)
            out |= {
                "modes": float(modes.modes),
                "high_quality": modes.high_quality,
                "reverse_kl": modes.kl,
            }
        return out


def sizes_of(recipe: Any, summary: Mapping[str, Any]) -> dict[str, str]:
    """Metric of a held-out evaluation -> on how much it was measured, in words: for whoever shows
    it beside figures of `evaluate`, which are of more samples. summary: of the data, with the
    examples of its splits."""
    weights = ", averaged weights" if recipe.training.ema else ""
    train, held_out = (summary.get(split, {}).get("examples", 0) for split in ("train", "held_out"))
    if recipe.data.content not in VISUAL:
        return {"loss": f"marks: the whole held-out split{weights}"}
    made = recipe.watching.samples
    real = min(made, train)
    compared = f"{made:,} samples against {real:,} training examples{weights}"
    found = dict.fromkeys(("precision", "recall", "density", "coverage", "frechet"), compared)
    found["memorised"] = f"{made:,} samples among {min(TRAIN, train):,} training examples{weights}"
    found |= dict.fromkeys(("modes", "high_quality", "reverse_kl"), f"{made:,} samples{weights}")
    found["loss"] = f"marks: {min(SEEN, held_out):,} held-out examples{weights}"
    return found


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
        say: Callable[[str], None],
        objective: Any = None,
    ):
        self.settings = settings
        self.engine = engine
        self.metrics = metrics
        self.append = append
        self.say = say
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
                self.say(f"step {state.step}: {text}")
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
