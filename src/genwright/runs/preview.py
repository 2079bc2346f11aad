"""`genwright inspect`: what a run would see and cost, before it is started: the first batch,
decoded, with what counts marked."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.text import Text
from torch import Tensor

from genwright.core.attributes import decode
from genwright.core.content import FirstBatch, FirstSeen, OwnMeasure
from genwright.core.contracts import Objective, describe
from genwright.data.settings import DataSettings
from genwright.recipe.schema import Recipe
from genwright.runs import assemble, remarks
from genwright.runs.content import registered
from genwright.runs.measuring import check_watched
from genwright.runs.minutes import Fit, fitted, minutes_of, step_time
from genwright.runs.parts import RunParts
from genwright.training.batches import Batches
from genwright.training.duration import LEAST
from genwright.training.engine import Engine
from genwright.training.trial import FirstRows

ROWS = 3  # examples that are printed
SECONDS = 1.0  # of steps that are timed; the first one may be enough
# the order of facts
FACTS = (
    "data",
    "left out",
    "balance",
    "split",
    "vocabulary",
    "attributes",
    "model",
    "batch",
    "run",
    "time",
)


@dataclass(frozen=True)
class Preview:
    """What `genwright inspect` shows; printed, it is a page for a person.

    recipe: resolved. examples: of each example that can be shown as text, its pieces in order, each
    with whether it counts in the loss. where: of each example, where it comes from. facts: name ->
    value. rasters: (n, C, H, W) in [-1, 1], of examples that can be shown in colour. more: what
    stands below all that."""

    recipe: Recipe
    examples: list[list[tuple[str, bool]]]
    where: list[str]
    facts: dict[str, str]
    rasters: Tensor | None = None
    more: str = ""

    def __str__(self) -> str:
        console = Console(width=120)
        with console.capture() as captured:
            self.show(console)
        return captured.get().rstrip()

    def show(self, console: Console) -> None:
        """What counts in the loss is green and, where there is no colour, between « and »."""
        in_colour = console.is_terminal
        if self.rasters is not None and in_colour:
            for where, raster in zip(self.where, self.rasters, strict=True):
                console.print(Text(where, "bold"), _blocks(raster), "")
        elif not self.examples:
            for where in dict.fromkeys(self.where):
                console.print(Text(f"from {where}"))
            console.print()
        for where, pieces in zip(self.where, self.examples, strict=False):
            console.print(Text(f"from {where}", "bold"))
            line = Text()
            for text, counted in pieces:
                if not counted:
                    line.append(text, "dim")
                elif in_colour:
                    line.append(text, "green")
                else:
                    line.append(f"«{text}»", "green")
            console.print(line, "")
        if self.examples:
            marks = "green" if in_colour else "« » or green"
            console.print(Text(f"{marks}: counted in the loss\n", "dim"))
        width = max(map(len, self.facts))
        for name, value in self.facts.items():
            console.print(Text(f"{name:<{width}}  {value}"))
        if self.more:
            console.print(Text(f"\n{self.more}"), soft_wrap=True)


def preview(recipe: Recipe, measures: Sequence[OwnMeasure] = ()) -> Preview:
    """Prepares the data, builds the networks, times steps. Writes nothing but the prepared data.
    measures: of a person's own, that the recipe is rewarded by."""
    engine = Engine(recipe.training.device)
    data: DataSettings = recipe.data
    dataset = data.prepare(recipe.codec)
    space = assemble.space_of(recipe, dataset.codec)
    recipe = assemble.resolve(recipe, space)
    objective = assemble.objective(recipe, space)
    stream = assemble.stream(recipe, objective, dataset, recipe.name, measures)
    check_watched(recipe, objective, dataset)
    for module in objective.modules.values():
        module.to(engine.device)
    batches = Batches(objective, stream, recipe.training, engine, recipe.seed)
    rows = torch.arange(stream.size)
    batch = stream.batch(0, rows, objective)
    prepared = {name: value.cpu() for name, value in batches.prepared(0).batch.items()}
    shown = list(range(min(ROWS, stream.size)))
    where = [describe(stream, 0, rows[i : i + 1]) for i in shown]
    first = FirstBatch(recipe, dataset, objective, stream, batch, prepared, shown)
    seen: FirstSeen = registered(dataset.codec.content).first_seen(first)
    if "condition" in batch:
        for place in shown:
            known = decode(space.attributes, batch["condition"][place])
            words = ", ".join(f"{name}={'|'.join(values)}" for name, values in known.items())
            where[place] += f" ({words})"
    facts = _facts(first, engine) | dict(seen.facts)
    ordered = {name: facts[name] for name in FACTS if facts.get(name)}
    ordered |= {name: value for name, value in facts.items() if name not in FACTS}
    return Preview(recipe, seen.pieces, where, ordered, seen.rasters)


def _blocks(raster: Tensor) -> Text:
    """A raster (C, H, W) as half blocks, two places a character, at most 32 wide."""
    height = min(32, raster.size(1))
    width = min(32, raster.size(2))
    small = F.adaptive_avg_pool2d(raster.expand(3, -1, -1), (height + height % 2, width))
    colours = ((small + 1) * 127.5).round().clamp(0, 255).int().permute(1, 2, 0).tolist()
    out = Text()
    for upper, lower in zip(colours[::2], colours[1::2], strict=True):
        for a, b in zip(upper, lower, strict=True):
            out.append("\u2580", f"rgb({a[0]},{a[1]},{a[2]}) on rgb({b[0]},{b[1]},{b[2]})")
        out.append("\n")
    return out


def _facts(first: FirstBatch, engine: Engine) -> dict[str, str]:
    """What every run can say of itself; a kind of content may say some of it better."""
    recipe = first.recipe
    training = recipe.training
    dataset = first.dataset
    stream = first.stream
    unit = stream.unit
    train = dataset.summary["train"].get("examples", 0)
    held_out = dataset.summary["held_out"].get("examples", 0)
    known = dataset.codec.space.attributes
    attributes = ", ".join(f"{name} ({len(values)} values)" for name, values in known.items())
    data = ""
    if train or held_out:
        examples = "examples" if recipe.objective.streams else unit
        data = f"{train:,} training {examples}, {held_out:,} held out"
    parameters = _parameters(first.objective, engine)
    state = 4 * parameters * (4 + bool(training.ema)) / 1e6
    run, time = _length(first, engine)
    balanced = remarks.balanced(dataset.summary)
    return {
        "data": data,
        "balance": "; ".join(balanced),
        "left out": "; ".join(remarks.left_out(dataset.summary)) or "nothing",
        "split": "; ".join(remarks.on_both_sides(dataset)) or "no copies",
        "attributes": attributes or "none",
        "model": (
            f"{parameters:,} parameters; weights, gradients and optimizer state "
            f"take {state:,.0f} MB"
        ),
        "run": run,
        "time": time,
    }


def _parameters(objective: Objective, engine: Engine) -> int:
    """How many there are; the modules are moved to the engine's device."""
    modules = objective.modules.values()
    return sum(p.numel() for module in modules for p in module.to(engine.device).parameters())


def _length(first: FirstBatch, engine: Engine) -> tuple[str, str]:
    """How many steps a run has, and what they take, in words. The networks have moved
    afterwards."""
    recipe = first.recipe
    training = recipe.training
    stream = first.stream
    fit = _fitted(first, engine)
    if fit is None:
        seconds = _seconds_a_step(first, engine)
        steps = training.steps
        minutes = steps * seconds / 60
        also = "evaluation aside"
    else:
        seconds = fit.costs.step
        steps = fit.steps
        minutes = minutes_of(steps, fit, recipe)
        also = "evaluation included"
    run = f"{steps:,} steps of {stream.size} {stream.unit}"
    if not recipe.objective.streams:  # else a step has none of the data's examples
        seen = steps * stream.size * stream.units * first.objective.draws
        train = first.dataset.summary["train"].get("examples", 0)
        run += f", {seen / max(1, train):,.1f} epochs"
    if fit is not None:
        run += f" ({fit})"
    precision = "bf16" if training.precision == "bf16" else "fp32"
    time = (
        f"about {minutes:.1f} minutes here in {precision} ({seconds * 1000:,.0f} ms a step), {also}"
    )
    return run, time


def _fitted(first: FirstBatch, engine: Engine) -> Fit | None:
    """What a run would decide; None where the recipe gives it no time."""
    recipe = first.recipe
    training = recipe.training
    if training.minutes is None or training.steps <= LEAST:
        return None
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "trial"
        parts = RunParts(recipe, first.objective, first.dataset, first.stream, engine)
        return fitted(parts, folder)


def _seconds_a_step(first: FirstBatch, engine: Engine) -> float:
    """Measured on one micro-batch, in place of all those of a step."""
    stream = first.stream
    micro: int = min(first.recipe.training.micro_batch or stream.size, stream.size)
    few = FirstRows(stream, micro)
    found = step_time(first.recipe, first.objective, few, engine, SECONDS, least=1)
    return found.step * stream.size / micro
