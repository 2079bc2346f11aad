"""`genwright inspect`: what a run would see and cost, before it is started: the first batch,
decoded, with what counts marked."""

from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from rich.console import Console
from rich.text import Text
from torch import Tensor

from genwright.core.attributes import decode
from genwright.core.contracts import Batch, describe
from genwright.core.draws import Draws
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.training.batches import check
from genwright.training.engine import Engine
from genwright.training.precision import timed

ROWS, SHOWN = 3, 160  # examples, and tokens of each, that are printed


@dataclass(frozen=True)
class Preview:
    """recipe: resolved. examples: of text, for each, (text, counted) pieces in order. pictures: (n,
    C, H, W) in [-1, 1]. facts: name -> value, for a person."""

    recipe: Recipe
    examples: list[list[tuple[str, bool]]]
    where: list[str]
    facts: dict[str, str]
    pictures: Tensor | None = None

    def __str__(self) -> str:
        console = Console(width=120)
        with console.capture() as captured:
            self.show(console)
        return captured.get().rstrip()

    def show(self, console: Console) -> None:
        """What counts in the loss is green and, where there is no colour, between « and »."""
        marked = not console.is_terminal
        if self.pictures is not None and not marked:
            for where, picture in zip(self.where, self.pictures, strict=True):
                console.print(Text(where, "bold"), _blocks(picture), "")
        elif not self.examples:
            console.print(*(f"from {where}" for where in self.where), "", sep="\n")
        for where, pieces in zip(self.where, self.examples, strict=False):
            console.print(Text(f"from {where}", "bold"))
            line = Text()
            for text, counted in pieces:
                line.append(
                    f"«{text}»" if marked and counted else text, "green" if counted else "dim"
                )
            console.print(line, "")
        if self.examples:
            console.print(
                Text(
                    "« » or green: counted in the loss\n"
                    if marked
                    else "green: counted in the loss\n",
                    "dim",
                )
            )
        width = max(map(len, self.facts))
        for name, value in self.facts.items():
            console.print(Text(f"{name:<{width}}  {value}"))


def preview(recipe: Recipe) -> Preview:
    """Prepares the data, builds the networks, times two steps' gradients. Writes nothing but the
    prepared data."""
    engine = Engine(recipe.training.device)
    dataset = recipe.data.prepare(recipe.codec)
    space = assemble.space_of(recipe, dataset.codec)
    recipe = assemble.resolve(recipe, space)
    objective = assemble.objective(recipe, space)
    stream = dataset.stream(
        recipe.training.batch_size, recipe.seed, lookahead=recipe.objective.lookahead
    )
    check(objective, stream.size, recipe.training, engine)
    rows = torch.arange(stream.size)
    batch = stream.batch(0, rows)
    prepared = objective.prepare(dict(batch), Draws(recipe.seed, 0, rows), engine)
    shown = range(min(ROWS, stream.size))
    where = [describe(stream, 0, rows[i : i + 1]) for i in shown]
    words = "targets" in prepared and recipe.data.content == "text"
    examples = [_pieces(prepared, i, dataset.codec) for i in shown] if words else []
    pictures = batch["x"][: len(shown)] if "x" in batch and batch["x"].ndim == 4 else None
    if "condition" in batch:
        found = [decode(space.attributes, batch["condition"][i]) for i in shown]
        said = [
            ", ".join(f"{name}={'|'.join(values)}" for name, values in each.items())
            for each in found
        ]
        where = [f"{place} ({words})" for place, words in zip(where, said, strict=True)]
    return Preview(
        recipe,
        examples,
        where,
        _facts(recipe, dataset, objective, stream, prepared, engine),
        pictures,
    )


def _blocks(picture: Tensor) -> Text:
    """A picture (C, H, W) as half blocks, two pixels a character, at most 32 wide."""
    height = min(32, picture.size(1))
    width = min(32, picture.size(2))
    small = F.adaptive_avg_pool2d(picture.expand(3, -1, -1), (height + height % 2, width))
    pixels = ((small + 1) * 127.5).round().clamp(0, 255).int().permute(1, 2, 0).tolist()
    out = Text()
    for upper, lower in zip(pixels[::2], pixels[1::2], strict=True):
        for a, b in zip(upper, lower, strict=True):
            out.append("\u2580", f"rgb({a[0]},{a[1]},{a[2]}) on rgb({b[0]},{b[1]},{b[2]})")
        out.append("\n")
    return out


def _pieces(batch: Batch, row: int, codec: Any) -> list[tuple[str, bool]]:
    """Runs of counted and of other tokens of one example, decoded. Of causal models the targets are
    shown: what is to be said."""
    inputs = batch["inputs"][row, :SHOWN].tolist()
    targets = batch["targets"][row, :SHOWN].tolist()
    shifted = len(targets) > 1 and all(
        a == b or b < 0 for a, b in zip(inputs[1:], targets[:-1], strict=True)
    )
    tokens = [(inputs[0], False)] if shifted else []
    for given, target in zip(
        inputs[1:] + [targets[-1]] if shifted else inputs, targets, strict=True
    ):
        tokens.append((target if target >= 0 else max(given, 0), target >= 0))
    runs = groupby(tokens, key=lambda pair: pair[1])
    return [
        (codec.decode([token for token, _ in run], special=True), counted) for counted, run in runs
    ]


def _facts(
    recipe: Recipe, dataset: Any, objective: Any, stream: Any, prepared: Batch, engine: Engine
) -> dict[str, str]:
    training = recipe.training
    unit = stream.unit
    parameters = sum(
        p.numel()
        for module in objective.modules.values()
        for p in module.to(engine.device).parameters()
    )
    state = 4 * parameters * (4 + bool(training.ema)) / 1e6
    train = dataset.summary["train"]
    held_out = dataset.summary["held_out"]
    seen = training.steps * stream.size * stream.units * objective.draws
    few = {
        k: v[: training.micro_batch or stream.size].to(engine.device) for k, v in prepared.items()
    }
    step = (
        timed(objective, few, engine, 1)[0]
        * stream.size
        / min(stream.size, training.micro_batch or stream.size)
    )
    time_ = f"about {training.steps * step / 60:.1f} minutes here in fp32 ({step * 1000:,.0f} ms a step), evaluation aside"
    model = (
        f"{parameters:,} parameters; weights, gradients and optimizer state take {state:,.0f} MB"
    )
    if recipe.data.content != "text":
        return {
            "data": f"{train['examples']:,} training {unit}, {held_out['examples']:,} held out",
            "left out": "; ".join(assemble.left_out(dataset.summary)) or "nothing",
            "split": "; ".join(assemble.on_both_sides(dataset)) or "no copies",
            "attributes": ", ".join(
                f"{name} ({len(values)} values)"
                for name, values in dataset.codec.space.attributes.items()
            )
            or "none",
            "model": model,
            "run": f"{training.steps:,} steps of {stream.size} {unit}, {seen / max(1, train['examples']):,.1f} epochs",
            "time": time_,
        }
    counted = int((prepared["targets"] >= 0).sum())
    given = prepared["targets"].numel()
    share = held_out["bytes"] / max(1, train["bytes"] + held_out["bytes"])
    flop = objective.modules["model"].flops_per_token(stream.units) * seen
    return {
        "data": f"{dataset.summary['files']:,} files, {train['tokens']:,} training tokens ({train['bytes'] / 1e6:,.1f} MB), "
        f"{held_out['tokens']:,} held out ({held_out['documents']:,} documents, {share:.1%} of the bytes)",
        "left out": "; ".join(assemble.left_out(dataset.summary)) or "nothing",
        "split": "; ".join(assemble.on_both_sides(dataset)) or "no copies",
        "vocabulary": f"{dataset.codec.space.vocabulary:,} tokens, {train['bytes'] / max(1, train['tokens']):.2f} bytes each",
        "model": model,
        "batch": f"{stream.size} x {stream.units} tokens, {counted:,} of {given:,} count in the loss ({counted / given:.0%})",
        "run": f"{training.steps:,} steps, {seen:,} tokens, {seen / max(1, train['tokens']):.2f} epochs, {flop:.2e} FLOP",
        "time": time_,
    }
