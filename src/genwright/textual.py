"""A run that makes text, measured on its whole held-out split, and what it writes: figures, samples, filled gaps."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genwright.evaluation.figure import Figure
from genwright.evaluation.floors import Floors, count_floors
from genwright.evaluation.held_out import measure, untrained
from genwright.evaluation.language import evaluate_language
from genwright.evaluation.text_samples import measure_samples
from genwright.sampling.fill import candidates
from genwright.training.engine import Engine

if TYPE_CHECKING:
    from genwright.run import Run

SAMPLES = 32  # of which the figures of samples are made
FILLED = 4  # held-out passages that the report continues, or fills in
PROMPT = 16  # tokens of such a passage that are given


def evaluate_text(run: Run) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Every figure beside its floors; and of causal models samples, of masked ones filled gaps, as plain data."""
    dataset, recipe = run.dataset(), run.recipe
    engine = Engine("cpu" if recipe.training.device == "cpu" else "auto")
    lookahead = recipe.objective.lookahead
    if not dataset.held_out(lookahead).windows:  # nothing was held out: samples are all there is to show
        return [], []
    floors = count_floors(dataset.tokens("train"), dataset.codec.space.vocabulary)
    # accuracy needs all logits of a batch: at most 256 MB of them
    batch = max(1, min(32, 2**26 // (recipe.data.context * dataset.codec.space.vocabulary)))
    common: dict[str, Any] = {"batch": batch, "seed": recipe.seed, "engine": engine}
    fresh = untrained(run, engine.device)
    fresh.accuracy = run.objective.accuracy = True  # type: ignore[attr-defined]
    before = measure(fresh, dataset.held_out(lookahead), **common).means()
    figures = evaluate_language(run.objective, dataset, lookahead, untrained=before, floors=floors, **common)
    run.objective.accuracy = False
    if not recipe.objective.causal:
        return figures, _filled(run, dataset)
    more, drawn = _sampled(run, dataset, floors)
    return figures + more, drawn


def _sampled(run: Run, dataset: Any, floors: Floors) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Figures of samples drawn from nothing (a document's start), at temperature 1, where the model itself is measured; and what a person
    sees: the beginnings of some held-out documents continued with the recipe's own settings, then those samples."""
    codec, names = dataset.codec, [name for name, _ in dataset.documents("held_out")]
    begins = (codec.decode(np.asarray(tokens[:PROMPT]).tolist()) for _, tokens in dataset.documents("held_out"))
    prompts = list(dict.fromkeys(islice(filter(str.strip, begins), 4 * FILLED)))[:FILLED]
    continued = run.sample(prompts=prompts, n=1) if prompts else []
    plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": ()}
    length = min(run.recipe.data.context, 256)
    drawn = run.sample(prompts=[""], n=SAMPLES, max_tokens=length, seed=run.recipe.seed, **plain)
    found = measure_samples(
        [np.asarray(s.tokens, dtype=np.int64) for s in drawn], dataset.tokens("train"), dataset.tokens("held_out"), floors.unigram,
        codec.decode, end=codec.space.special["end"], code=sum(name.endswith(".py") for name in names) > len(names) / 2,
        seed=run.recipe.seed,
    )  # fmt: skip
    texts = [{"prompt": s.prompt, "text": s.text, "span": None} for s in continued]
    for sample, span, characters in zip(drawn, found.spans, found.characters, strict=True):
        before = len(codec.decode(list(sample.tokens[: span.start])))
        texts.append({"prompt": sample.prompt, "text": sample.text, "span": [before, before + characters]})
    return found.figures, texts


def _filled(run: Run, dataset: Any) -> list[dict[str, Any]]:
    """Passages of held-out text with some tokens hidden, and what the model puts there."""
    codec, special, out = dataset.codec, dataset.codec.space.special, []
    windows = dataset.held_out(0)
    for i in np.linspace(0, windows.windows - 1, min(windows.windows, FILLED)).astype(int).tolist():
        tokens = windows.batch(i, i + 1)["tokens"][0].tolist()
        tokens = [t for t in tokens[:48] if t >= 0 and t not in special.values()]
        gaps = list(range(8, len(tokens), 12))
        given = torch.tensor([tokens], device=next(run.model.parameters()).device)
        given[0, gaps] = special["mask"]
        found = candidates(run.model, codec, given, 5)
        parts = [codec.decode(tokens[a + 1 : b]) for a, b in zip([-1, *gaps], [*gaps, len(tokens)], strict=True)]
        out.append({"parts": parts, "gaps": [[[c.text, c.probability] for c in gap] for gap in found]})
    return out
