"""A run that makes text, measured on its whole held-out split, and what it writes: figures,
samples, filled gaps.

Nats per token, bits per byte and accuracy stand beside what tables of counts and the untrained
network reach on the same targets. Masks are drawn by (seed, window): every evaluation of a run, in
any batch size, hides the same tokens.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from genwright.contents.text.fill import candidates
from genwright.contents.text.python_code import PARSES, parses
from genwright.contents.text.sample_figures import Judge, measure_samples
from genwright.core.contracts import Batch, Objective
from genwright.evaluation.figure import (
    ACCURACY,
    LOSS,
    MASKED_ACCURACY,
    MASKED_LOSS,
    Direction,
    Figure,
)
from genwright.evaluation.held_out import Means, measure, untrained
from genwright.evaluation.pilot import SampleCounts
from genwright.evaluation.token_floors import Floors
from genwright.training.engine import Engine

if TYPE_CHECKING:
    from genwright.runs.run import Run

BITS_PER_BYTE = "bits per byte, held out"
PYTHON = Judge(PARSES, parses, "cut at the last whole line and statement")
# of which the figures of samples are made, at most, unless another number is asked for
SAMPLES = 32
LEAST, PART = 4, 8  # samples that are always drawn, and at once
FILLED = 4  # held-out passages that the report continues, or fills in
PROMPT = 16  # tokens of such a passage that are given


def _floors(floors: Floors, found: Batch, prepared: Batch) -> dict[str, tuple[float, int]]:
    """What the floors cost on exactly the counted targets of some windows: "loss, unigram" and so
    on, (sum, count). tokens: (windows, context + lookahead); targets: (windows, context), negative
    where nothing counts."""
    tokens = found["tokens"]
    targets = prepared["targets"].cpu()
    lookahead = tokens.size(1) - targets.size(1)
    left = nn.functional.pad(tokens, (1, 0), value=-1)[:, lookahead : lookahead + targets.size(1)]
    counted = targets >= 0
    chosen = targets[counted].numpy()
    costs = floors.measure(chosen, left[counted].numpy())
    return {
        f"{name}, {floor}": (total, len(chosen))
        for name, its in costs.items()
        for floor, total in its.items()
    }


def evaluate_language(
    objective: Objective,
    dataset: Any,
    lookahead: int,
    *,
    batch: int = 32,
    seed: int = 0,
    engine: Any = None,
    untrained: Mapping[str, float] | Callable[[], Mapping[str, float]] | None = None,
    floors: Floors | None = None,
) -> list[Figure]:
    """Figures of the whole held-out split: loss in nats per token, bits per byte (lookahead 1 only:
    masked models give no probability of a text), and whatever else the objective's loss counts
    (accuracy). `untrained`: the same measures (as `measure` gives) of the network as it was
    initialised, or a function that measures them. `floors`: counts that were made before. dataset:
    of tokens, as `data.text.TextDataset`: its `codec`, `held_out`, `tokens` and `summary` are asked
    for."""
    floors = floors or Floors(dataset.tokens("train"), dataset.codec.space.vocabulary)
    means = measure(
        objective,
        dataset.held_out(lookahead),
        batch=batch,
        seed=seed,
        engine=engine,
        each=partial(_floors, floors),
    )
    before = dict(untrained() if callable(untrained) else untrained or {})
    # the others are floors
    figures = {name: _figure(name, means, before, lookahead) for name in means if ", " not in name}
    loss = figures.pop("loss")
    out = []
    out.append(loss)
    sizes = dataset.summary["held_out"]
    if lookahead and "bytes" in sizes:
        out.append(bits_per_byte(loss, len(dataset.tokens("held_out")), sizes["bytes"]))
    return out + list(figures.values())


UNITS: Mapping[str, tuple[str, Direction]] = {
    "loss": ("nats/token", "lower"),
    "faults": ("chance/token", "lower"),
    "accuracy": ("share", "higher"),
}
TITLES = {  # of a metric, causal and masked
    "loss": (LOSS, MASKED_LOSS),
    "accuracy": (ACCURACY, MASKED_ACCURACY),
}


def _figure(metric: str, means: Means, untrained: Mapping[str, float], lookahead: int) -> Figure:
    """The figure of one metric of the objective. means: the metric itself and, as "metric, floor",
    its floors."""
    unit, direction = UNITS.get(metric, ("share", "higher"))
    causal, masked = TITLES.get(metric, (f"{metric}, held out", f"{metric}, held out, masked"))
    start = f"{metric}, "
    floors = {
        key.removeprefix(start): value for key, value in means.items() if key.startswith(start)
    }
    if metric in untrained:
        floors["untrained"] = untrained[metric]
    title, targets = (causal, "tokens") if lookahead else (masked, "hidden tokens")
    return Figure(
        title,
        means[metric],
        unit,
        means.counts[metric],
        targets,
        floors,
        direction=direction,
        headline=metric in TITLES,
    )


def bits_per_byte(loss: Figure, tokens: int, nbytes: int) -> Figure:
    """A loss in nats per token as bits per byte of UTF-8 text, which models with different
    vocabularies share: nats x tokens / bytes / ln 2. End tokens cost and hold no byte; tokens that
    are no target (a split's first) count as the average one."""
    if loss.unit != "nats/token":
        raise ValueError(
            f"bits per byte are made of nats per token, not of {loss.name} in {loss.unit}"
        )
    scale = tokens / nbytes / math.log(2)
    floors = {name: value * scale for name, value in loss.floors.items()}
    return Figure(
        BITS_PER_BYTE,
        loss.value * scale,
        "bits/byte",
        nbytes,
        "bytes",
        floors,
        {},
        "lower",
        f"{tokens:,} tokens",
        headline=True,
    )


def evaluate_text(
    run: Run, counts: SampleCounts | None = None
) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Every figure beside its floors; and of causal models samples, of masked ones filled gaps, as
    plain data. counts: how many samples are drawn; it is told how many were."""
    dataset = run.dataset()
    recipe = run.recipe
    engine = Engine("cpu" if recipe.training.device == "cpu" else "auto")
    lookahead = recipe.objective.lookahead
    # nothing was held out: samples are all there is to show
    if not dataset.held_out(lookahead).windows:
        return [], []
    floors = Floors(dataset.tokens("train"), dataset.codec.space.vocabulary)
    # accuracy needs all logits of a batch: at most 256 MB of them
    batch = max(1, min(32, 2**26 // (recipe.data.context * dataset.codec.space.vocabulary)))
    common: dict[str, Any] = {"batch": batch, "seed": recipe.seed, "engine": engine}
    fresh = untrained(run, engine.device)
    fresh.accuracy = run.objective.accuracy = True  # type: ignore[attr-defined]
    before = measure(fresh, dataset.held_out(lookahead), **common)
    figures = evaluate_language(
        run.objective, dataset, lookahead, untrained=before, floors=floors, **common
    )
    run.objective.accuracy = False
    if not recipe.objective.causal:
        return figures, _filled(run, dataset)
    more, drawn = _sampled(run, dataset, floors, counts or SampleCounts())
    return figures + more, drawn


def _sampled(
    run: Run, dataset: Any, floors: Floors, counts: SampleCounts
) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Figures of samples drawn from nothing (a document's start), at temperature 1, where the model
    itself is measured; and what a person sees: the beginnings of some held-out documents continued
    with the recipe's own settings, then those samples."""
    codec = dataset.codec
    names = [name for name, _ in dataset.documents("held_out")]
    begins = (
        codec.decode(np.asarray(tokens[:PROMPT]).tolist())
        for _, tokens in dataset.documents("held_out")
    )
    prompts = list(dict.fromkeys(islice(filter(str.strip, begins), 4 * FILLED)))[:FILLED]
    continued = run.sample(prompts=prompts, n=1) if prompts else []
    plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": ()}
    length = min(run.recipe.data.context, 256)

    def draw(first: int, count: int) -> list[Any]:
        return run.sample(
            prompts=[""], n=count, first=first, max_tokens=length, seed=run.recipe.seed, **plain
        )

    drawn = list(chain(*counts.draw("samples", draw, least=LEAST, most=SAMPLES, part=PART)))
    of_python = [name for name in names if name.endswith(".py")]
    judge = PYTHON if len(of_python) > len(names) / 2 else None
    figures, spans = measure_samples(
        [np.asarray(s.tokens, dtype=np.int64) for s in drawn],
        dataset.tokens("train"),
        dataset.tokens("held_out"),
        floors.unigram,
        codec.decode,
        end=codec.space.special["end"],
        judge=judge,
        seed=run.recipe.seed,
    )
    texts = [{"prompt": s.prompt, "text": s.text, "span": None} for s in continued]
    for sample, (start, length, _) in zip(drawn, spans, strict=True):
        before, copied = (
            len(codec.decode(list(part)))
            for part in (sample.tokens[:start], sample.tokens[start : start + length])
        )
        texts.append(
            {"prompt": sample.prompt, "text": sample.text, "span": [before, before + copied]}
        )
    return figures, texts


def _filled(run: Run, dataset: Any) -> list[dict[str, Any]]:
    """Passages of held-out text with some tokens hidden, and what the model puts there."""
    codec = dataset.codec
    special = dataset.codec.space.special
    out = []
    windows = dataset.held_out(0)
    for i in np.linspace(0, windows.windows - 1, min(windows.windows, FILLED)).astype(int).tolist():
        tokens = windows.batch(i, i + 1)["tokens"][0].tolist()
        tokens = [t for t in tokens[:48] if t >= 0 and t not in special.values()]
        gaps = list(range(8, len(tokens), 12))
        given = torch.tensor([tokens], device=next(run.model.parameters()).device)
        given[0, gaps] = special["mask"]
        found = candidates(run.model, codec, given, 5)
        parts = [
            codec.decode(tokens[a + 1 : b])
            for a, b in zip([-1, *gaps], [*gaps, len(tokens)], strict=True)
        ]
        out.append(
            {"parts": parts, "gaps": [[[c.text, c.probability] for c in gap] for gap in found]}
        )
    return out
