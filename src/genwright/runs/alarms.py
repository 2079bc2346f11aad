"""Alarms: what goes wrong while a run trains, as sentences with a remedy.

An alarm is a pure function of the evaluations so far, the same whether a run was stopped in between
or not: it rings when what it says holds now and did not hold at the evaluation before. Its
thresholds are few and rough on purpose; tests/whole/test_watching.py has, for each, a run in which
it must ring and one in which it must not.
"""

import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from genwright.core.registry import Settings
from genwright.evaluation.group_shares import HIGH, LOW, grouping_name, share_name, side
from genwright.training.engine import Engine
from genwright.training.loop import Hook, Rollback
from genwright.training.records import read
from genwright.training.settings import Watching
from genwright.training.state import State

log = logging.getLogger(__name__)

# what training steps record: their mean since the evaluation before is judged
MEAN_OF_STEPS = ("wins", "used", "discriminator_loss")
PATIENCE = 3  # evaluations in a row that a discriminator must win
# nats: its loss below which it hardly doubts; while a generator learns well it may rank nearly all
# pairs right, by little
SURE_LOSS = 0.25
ONCE_COVERED = 0.2  # share of the data that samples must once have covered, to have lost it
DEAD = "dead_groups"  # share of a step's questions whose candidates all earned the same
CONSTANT = 20  # steps in a row in which all of them did
LOOKS_REAL = 0.5  # share of samples among real ones, from which on they look real

Rows = Sequence[Mapping[str, float]]  # of each evaluation, oldest first: its numbers by name


def alarms(rows: Rows, settings: Watching, objective: Settings | None = None) -> list[str]:
    """What is wrong after the evaluations so far, whether or not it was before: "what happens; what
    to try" of each.

    objective: the settings of the run's, so that what it has already is not advised."""
    augmented = getattr(objective, "augment", False)
    found = [
        _mode_collapse(rows, settings),
        _discriminator_has_won(rows, settings, augmented),
        _posterior_collapse(rows),
        _dead_codebook(rows, settings),
        _memorising(rows, settings, augmented),
    ]
    told = [text for text in found if text is not None]
    return told + _out_of_band(rows, settings)


def _values_of(rows: Rows, name: str) -> list[float]:
    """A number, of the evaluations that have it."""
    return [row[name] for row in rows if name in row]


def _mode_collapse(rows: Rows, settings: Watching) -> str | None:
    """Twice in a row coverage was far below its best, or samples look real and cover little."""
    covered = _values_of(rows, "coverage")
    if len(covered) < 2:
        return None
    best = max(covered)
    now = max(covered[-2:])
    fell = best >= ONCE_COVERED and now < settings.coverage * best
    look_real = min(_values_of(rows, "precision")[-2:], default=0) >= LOOKS_REAL
    if fell:
        before = f" after {best:.0%} at best"
    elif look_real and now < settings.coverage / 2:
        before = ", however real they look"
    else:
        return None
    return (
        f"mode collapse: {settings.samples:,} samples cover {covered[-1]:.0%}"
        f" of as many real ones{before};"
        " try a lower learning rate, more of objective.r1 and r2, objective.packing,"
        " or a smaller model for small data"
    )


def _discriminator_has_won(rows: Rows, settings: Watching, augmented: bool) -> str | None:
    """It ranks nearly every pair right for some evaluations and hardly doubts, and samples cover no
    more of the data."""
    wins = _values_of(rows, "wins")
    if len(wins) < PATIENCE or min(wins[-PATIENCE:]) <= settings.wins:
        return None
    if max(_values_of(rows, "discriminator_loss")[-PATIENCE:], default=0.0) > SURE_LOSS:
        return None
    covered = _values_of(rows, "coverage")[-PATIENCE:]
    if len(covered) == PATIENCE and covered[-1] > covered[0] + 0.01:
        return None
    other = "a smaller discriminator" if augmented else "objective.augment=true"
    return (
        f"the discriminator has won: it tells real from generated in {wins[-1]:.1%} of pairs,"
        " and the generator learns no more;"
        " try a lower learning rate for it (training.optimizers.discriminator),"
        f" more of objective.r1 and r2, or {other}"
    )


def _posterior_collapse(rows: Rows) -> str | None:
    """Twice in a row the latents said next to nothing."""
    units = _values_of(rows, "active_units")
    kl = _values_of(rows, "kl")
    if len(units) < 2 or len(kl) < 2:
        return None
    if max(units[-2:]) >= 0.5 and max(kl[-2:]) >= 0.05:
        return None
    return (
        f"posterior collapse: {units[-1]:.1f} latent dimensions are in use (KL {kl[-1]:.2g} nats),"
        " so the decoder ignores them;"
        " try a smaller objective.beta, a longer warm-up of the KL, free bits, or a weaker decoder"
    )


def _dead_codebook(rows: Rows, settings: Watching) -> str | None:
    """Twice in a row few of the codes were used."""
    used = _values_of(rows, "used")
    if len(used) < 2 or max(used[-2:]) >= settings.used:
        return None
    return (
        f"dead codebook: only {used[-1]:.1%} of the codes are used;"
        " try a smaller codebook, or FSQ, which has none to die"
    )


def _memorising(rows: Rows, settings: Watching, augmented: bool) -> str | None:
    """Twice in a row more samples than fresh examples were nearest to a training example."""
    copied = [row for row in rows if "memorised" in row][-2:]
    if len(copied) < 2:
        return None
    if min(row["memorised"] - row["memorised_floor"] for row in copied) <= settings.memorised:
        return None
    more = "" if augmented else ", or augmentation"
    return (
        f"memorising: {copied[-1]['memorised']:.0%} of {settings.samples:,} samples are nearer to a"
        " training example than fresh ones are;"
        f" try fewer steps, a smaller model, more data{more}"
    )


def _out_of_band(rows: Rows, settings: Watching) -> list[str]:
    """Twice in a row a group's share was out of its band on one side, with its whole interval."""
    found = []
    for key, bands in settings.groups.items():
        for group, band in bands.items():
            name = share_name(group, grouping_name(key))
            known = [row for row in rows if name in row][-2:]
            sides = {side(row, name, band) for row in known}
            if len(known) < 2 or len(sides) > 1 or sides == {0}:
                continue
            row = known[-1]
            said = name.replace(":", " ")  # an alarm's name ends at its first colon
            found.append(
                f"{said} left its band: {row[name]:.1%} ({row[name + LOW]:.1%} to"
                f" {row[name + HIGH]:.1%}) in {settings.samples:,} samples, and it should be"
                f" {band[0]:.1%} to {band[1]:.1%};"
                " try more weight for the examples that are too rare, more of them,"
                " or another band in watching.groups"
            )
    return found


def ringing(rows: Rows, settings: Watching, objective: Settings | None = None) -> list[str]:
    """What begins to hold with the last row: an alarm rings once, until it has been quiet."""
    before = {_name_of(text) for text in alarms(rows[:-1], settings)}
    return [text for text in alarms(rows, settings, objective) if _name_of(text) not in before]


def constant(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What is wrong where the last steps had nothing to learn from, as soon as it is so for long
    enough, and once. records: of steps and evaluations, oldest first."""
    dead = [record[DEAD] == 1 for record in records if DEAD in record]
    if DEAD not in records[-1] or not all(dead[-CONSTANT:]) or len(dead) < CONSTANT:
        return []
    if dead[-CONSTANT - 1 : -CONSTANT] == [True]:
        return []
    return [
        f"constant reward: in {CONSTANT} steps all candidates of each question earned the same, so"
        " nothing was learned; look at each term with `genwright reward check`, reward part of what"
        " is wanted, or ask easier questions"
    ]


def _name_of(text: str) -> str:
    """The first words of an alarm, which are always the same."""
    return text.split(":")[0]


def rows_of(records: Iterable[Mapping[str, Any]]) -> list[dict[str, float]]:
    """A row for each held-out evaluation: its numbers, and means of what the steps before it
    recorded."""
    rows: list[dict[str, float]] = []
    sums: dict[str, list[float]] = defaultdict(list)
    for record in records:
        for name, value in _finite(record).items():
            sums[name].append(value)
        if "held_out" in record:
            row = _finite(record["held_out"])
            for name in MEAN_OF_STEPS:
                if sums[name]:
                    row[name] = math.fsum(sums[name]) / len(sums[name])
            rows.append(row)
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
        engine: Engine,
        metrics: Path,
        append: Callable[[dict[str, Any]], None],
        objective: Settings | None = None,
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
        """Looks at what was measured, where something was."""
        if self.engine.main:
            self.follow(state.step, record)
        evaluated = "held_out" in record and state.step > 0
        # all ranks have one record, so that they agree on whether there is something to look at
        if not evaluated and record.get(DEAD) != 1:
            return
        texts: list[str] = []
        if self.engine.main:
            texts = constant(self.records)
            if evaluated:
                texts += ringing(rows_of(self.records), self.settings, self.objective)
        for text in self.engine.broadcast(texts):
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
        lines: list[Mapping[str, Any]] = []
        if step != self.step + 1:
            self.records = []
            lines += [line for line in read(self.metrics) if 0 < line.get("step", 0) < step]
        if step > 0:
            lines.append(record)
        for line in lines:
            kept = {name: line[name] for name in (*MEAN_OF_STEPS, DEAD, "held_out") if name in line}
            self.records.append(kept)
        self.step = step

    def stop(self, state: State) -> bool:
        """Whether an alarm was to end the run."""
        return self.stopping
