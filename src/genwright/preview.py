"""`genwright inspect`: what a run would see and cost, before it is started: the first batch, decoded, with what counts marked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch
from rich.console import Console
from rich.text import Text

from genwright import assemble
from genwright.contracts import Batch
from genwright.draws import Draws
from genwright.recipe import Recipe
from genwright.training.engine import Engine

ROWS, SHOWN = 3, 160  # examples, and tokens of each, that are printed


@dataclass(frozen=True)
class Preview:
    """recipe: resolved. examples: for each, (text, counted) pieces in order. facts: name -> value, for a person."""

    recipe: Recipe
    examples: list[list[tuple[str, bool]]]
    where: list[str]
    facts: dict[str, str]

    def __str__(self) -> str:
        console = Console(width=120)
        with console.capture() as captured:
            self.show(console)
        return captured.get().rstrip()

    def show(self, console: Console) -> None:
        """What counts in the loss is green and, where there is no colour, between « and »."""
        marked = not console.is_terminal
        for where, pieces in zip(self.where, self.examples, strict=True):
            console.print(Text(f"from {where}", "bold"))
            line = Text()
            for text, counted in pieces:
                line.append(f"«{text}»" if marked and counted else text, "green" if counted else "dim")
            console.print(line, "")
        console.print(Text("« » or green: counted in the loss\n" if marked else "green: counted in the loss\n", "dim"))
        width = max(map(len, self.facts))
        for name, value in self.facts.items():
            console.print(Text(f"{name:<{width}}  {value}"))


def preview(recipe: Recipe) -> Preview:
    """Prepares the data, builds the networks, times two steps' gradients. Writes nothing but the prepared data."""
    engine = Engine(recipe.training.device)
    dataset = recipe.data.prepare(recipe.codec)
    space = dataset.codec.space
    recipe = assemble.resolve(recipe, space)
    objective = assemble.objective(recipe, space)
    stream = dataset.stream(recipe.training.batch_size, recipe.seed, lookahead=recipe.objective.lookahead)
    rows = torch.arange(stream.size)
    batch = stream.batch(0, rows)
    prepared = objective.prepare(dict(batch), Draws(recipe.seed, 0, rows), engine.ranks(engine.rows(stream.size)))
    shown = min(ROWS, stream.size)
    examples = [_pieces(prepared, i, dataset.codec) for i in range(shown)]
    where = [stream.describe(0, rows[i : i + 1]) for i in range(shown)]
    return Preview(recipe, examples, where, _facts(recipe, dataset, objective, stream, prepared, engine))


def _pieces(batch: Batch, row: int, codec: Any) -> list[tuple[str, bool]]:
    """Runs of counted and of other tokens of one example, decoded. Of causal models the targets are shown: what is to be said."""
    inputs, targets = batch["inputs"][row, :SHOWN].tolist(), batch["targets"][row, :SHOWN].tolist()
    shifted = len(targets) > 1 and all(a == b or b < 0 for a, b in zip(inputs[1:], targets[:-1], strict=True))
    tokens = [(inputs[0], False)] if shifted else []
    for given, target in zip(inputs[1:] + [targets[-1]] if shifted else inputs, targets, strict=True):
        tokens.append((target if target >= 0 else max(given, 0), target >= 0))
    runs: list[tuple[list[int], bool]] = []
    for token, counted in tokens:
        if runs and runs[-1][1] == counted:
            runs[-1][0].append(token)
        else:
            runs.append(([token], counted))
    return [(codec.decode(ids, special=True), counted) for ids, counted in runs]


def _facts(recipe: Recipe, dataset: Any, objective: Any, stream: Any, prepared: Batch, engine: Engine) -> dict[str, str]:
    model, training = objective.modules["model"].to(engine.device), recipe.training
    counted = int((prepared["targets"] >= 0).sum())
    given = prepared["targets"].numel()
    small = {k: v[: training.micro_batch or stream.size].to(engine.device) for k, v in prepared.items()}
    for _ in range(2):
        began = time.perf_counter()
        objective.turns(0)[0].loss(small).total.sum().backward()
        if engine.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - began
    step = seconds * given / small["targets"].numel()
    tokens = training.steps * stream.size * stream.units
    train, held_out = dataset.summary["train"], dataset.summary["held_out"]
    flop = model.flops_per_token(stream.units) * tokens
    parameters = sum(p.numel() for p in model.parameters())
    state = 4 * parameters * (4 + bool(training.ema)) / 1e6
    return {
        "data": f"{dataset.summary['files']:,} files, {train['tokens']:,} training tokens ({train['bytes'] / 1e6:,.1f} MB), "
        f"{held_out['tokens']:,} held out ({held_out['documents']:,} documents)",
        "vocabulary": f"{dataset.codec.space.vocabulary:,} tokens, {train['bytes'] / max(1, train['tokens']):.2f} bytes each",
        "model": f"{parameters:,} parameters; weights, gradients and optimizer state take {state:,.0f} MB",
        "batch": f"{stream.size} x {stream.units} tokens, {counted:,} of {given:,} count in the loss ({counted / given:.0%})",
        "run": f"{training.steps:,} steps, {tokens:,} tokens, {tokens / max(1, train['tokens']):.2f} epochs, {flop:.2e} FLOP",
        "time": f"about {training.steps * step / 60:.1f} minutes here in fp32 ({step * 1000:,.0f} ms a step), evaluation aside",
    }
