"""A run that makes text, measured on its whole held-out split, and what it writes: figures, samples, filled gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genwright import assemble
from genwright.evaluation.figure import Figure
from genwright.evaluation.floors import count_floors
from genwright.evaluation.held_out import measure
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

    def untrained() -> dict[str, float]:
        fresh = assemble.objective(recipe, assemble.space_of(recipe, dataset.codec))
        fresh.accuracy = True  # type: ignore[attr-defined]
        for module in fresh.modules.values():
            module.to(engine.device)
        return measure(fresh, dataset.held_out(lookahead), **common).means()

    run.objective.accuracy = True
    figures = evaluate_language(run.objective, dataset, lookahead, untrained=untrained, floors=floors, **common)
    run.objective.accuracy = False
    if not recipe.objective.causal:
        return figures, _filled(run, dataset)
    more, drawn = _sampled(run, dataset, floors, SAMPLES)
    return figures + more, drawn


def _sampled(run: Run, dataset: Any, floors: Any, count: int) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Figures of samples drawn from nothing (a document's start), at temperature 1, where the model itself is measured."""
    length = min(run.recipe.data.context, 256)
    plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": ()}
    drawn = run.sample(prompts=[""], n=count, max_tokens=length, seed=run.recipe.seed, **plain)
    end = dataset.codec.space.special["end"]
    found = measure_samples(
        [np.asarray(s.tokens, dtype=np.int64) for s in drawn], dataset.tokens("train"), dataset.tokens("held_out"), floors.unigram,
        dataset.codec.decode, end=end, code=_is_python(dataset), seed=run.recipe.seed,
    )  # fmt: skip
    texts = []
    for sample, span, characters in zip(drawn, found.spans, found.characters, strict=True):
        before = len(dataset.codec.decode(list(sample.tokens[: span.start])))
        texts.append({"prompt": sample.prompt, "text": sample.text, "span": [before, before + characters]})
    return found.figures, _prompted(run, dataset) + texts


def _is_python(dataset: Any) -> bool:
    """Whether most held-out documents are Python files."""
    names = [name for name, _ in dataset.documents("held_out")]
    return sum(name.endswith(".py") for name in names) > len(names) / 2


def _prompted(run: Run, dataset: Any) -> list[dict[str, Any]]:
    """The beginnings of some held-out documents, continued with the recipe's own settings: what a person would see."""
    prompts = []
    for _, tokens in dataset.documents("held_out"):
        begin = dataset.codec.decode(np.asarray(tokens[:PROMPT]).tolist())
        if begin.strip() and begin not in prompts:
            prompts.append(begin)
        if len(prompts) == FILLED:
            break
    drawn = run.sample(prompts=prompts, n=1) if prompts else []
    return [{"prompt": s.prompt, "text": s.text, "span": None} for s in drawn]


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
