"""A run that makes text, measured on its whole held-out split (`evaluation/language.py`), and what
it writes: figures, samples, filled gaps."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genwright.contents.text.dataset import TextDataset, corpus_of
from genwright.contents.text.fill import candidates
from genwright.contents.text.floors import floors_of
from genwright.contents.text.generate import Generated
from genwright.contents.text.python_code import PARSES, parses
from genwright.contents.text.sample_figures import Judge, measure_samples
from genwright.core.automaton import Automaton
from genwright.core.contracts import Objective
from genwright.evaluation.figure import Figure
from genwright.evaluation.held_out import UNTRAINED, measure
from genwright.evaluation.language import evaluate_language
from genwright.evaluation.pilot import SampleCounts
from genwright.evaluation.token_floors import Floors
from genwright.evaluation.token_samples import Span
from genwright.objectives.language import Language
from genwright.runs.assemble import untrained
from genwright.training.engine import Engine

if TYPE_CHECKING:
    from genwright.runs.trained import TrainedRun

PYTHON = Judge(PARSES, parses, "cut at the last whole line and statement")
SAMPLES = 32  # of which figures are made, at most, unless another number is asked for
LEAST = 4  # samples that are always drawn
PART = 8  # samples that are drawn at once
LONGEST = 256  # tokens of a sample
FILLED = 4  # held-out passages that the report continues, or fills in
PROMPT = 16  # tokens of such a passage that are given
LOGITS = 2**26  # of a batch, at most: 256 MB

Plain = dict[str, Any]


def evaluate_text(run: TrainedRun, counts: SampleCounts) -> tuple[list[Figure], list[Plain]]:
    """Every figure beside its floors; and of causal models samples, of masked ones filled gaps, as
    plain data. counts: how many samples are drawn; it is told how many were."""
    dataset = corpus_of(run.dataset())
    recipe = run.recipe
    lookahead = recipe.objective.lookahead
    if not dataset.held_out(lookahead).windows:
        return [], []  # nothing was held out: samples are all there is to show
    floors = floors_of(dataset)
    figures = _held_out(run, dataset, floors)
    if not recipe.objective.causal:
        return figures, _filled(run, dataset)
    of_samples, shown = _sampled(run, dataset, floors, counts)
    return figures + of_samples, shown


def _held_out(run: TrainedRun, dataset: TextDataset, floors: Floors) -> list[Figure]:
    """The model itself on held-out text."""
    recipe = run.recipe
    engine = Engine("cpu" if recipe.training.device == "cpu" else "auto")
    lookahead = recipe.objective.lookahead
    # accuracy needs all logits of a batch
    batch = max(1, min(32, LOGITS // (recipe.data.context * dataset.codec.space.vocabulary)))
    common: Plain = {"batch": batch, "seed": recipe.seed, "engine": engine}
    before = _language(untrained(run, engine.device))
    before.accuracy = True
    objective = _language(run.objective)
    objective.accuracy = True
    start = measure(before, dataset.held_out(lookahead), **common, task_name=UNTRAINED)
    figures = evaluate_language(
        objective, dataset, lookahead, untrained=start, floors=floors, **common
    )
    objective.accuracy = False
    return figures


def _language(objective: Objective) -> Language:
    """The objective of a run that makes text, as what it is."""
    assert isinstance(objective, Language)
    return objective


def _sampled(
    run: TrainedRun, dataset: TextDataset, floors: Floors, counts: SampleCounts
) -> tuple[list[Figure], list[Plain]]:
    """Figures of samples drawn from nothing (a document's start), at temperature 1, where the model
    itself is measured; and what a person sees: the beginnings of some held-out documents continued
    with the recipe's own settings, then those samples."""
    codec = dataset.codec
    prompts = _beginnings(dataset)
    continued: list[Generated] = run.sample(prompts=prompts, n=1) if prompts else []
    plain: Plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": ()}
    length = min(run.recipe.data.context, LONGEST)
    seed = run.recipe.seed

    def draw(first: int, count: int) -> list[Generated]:
        return run.sample(prompts=[""], n=count, first=first, max_tokens=length, seed=seed, **plain)

    parts = counts.draw("samples", draw, least=LEAST, most=SAMPLES, part=PART)
    drawn = [sample for part in parts for sample in part]
    figures, spans = measure_samples(
        [np.asarray(sample.tokens, dtype=np.int64) for sample in drawn],
        dataset.tokens("train"),
        dataset.tokens("held_out"),
        floors.unigram,
        codec.decode,
        end=codec.space.special["end"],
        judge=PYTHON if _is_python(dataset) else None,
        seed=seed,
    )
    shown: list[Plain] = [
        {"prompt": sample.prompt, "text": sample.text, "span": None} for sample in continued
    ]
    for sample, span in zip(drawn, spans, strict=True):
        copied = _characters(codec, sample, span)
        shown.append({"prompt": sample.prompt, "text": sample.text, "span": copied})
    return figures, shown


def _is_python(dataset: TextDataset) -> bool:
    """Whether most held-out documents are Python files."""
    count = dataset.document_count("held_out")
    names = (dataset.name("held_out", number) for number in range(count))
    return sum(name.endswith(".py") for name in names) > count / 2


def _beginnings(dataset: TextDataset) -> list[str]:
    """How some held-out documents begin, in whole characters, no two alike."""
    codec = dataset.codec
    automaton = codec.space.automaton() if codec.space.automaton else None

    def beginning(tokens: Any) -> str:
        first = np.asarray(tokens[:PROMPT]).tolist()
        return codec.decode(whole_units(automaton, first) if automaton else first)

    begins = (beginning(tokens) for _, tokens in dataset.documents("held_out"))
    some = islice((text for text in begins if text.strip()), 4 * FILLED)
    return list(dict.fromkeys(some))[:FILLED]


def _characters(codec: Any, sample: Generated, span: Span) -> list[int]:
    """A span of a sample's tokens, as its range of characters."""
    before = len(codec.decode(list(sample.tokens[: span.start])))
    inside = len(codec.decode(list(sample.tokens[span.start : span.start + span.length])))
    return [before, before + inside]


def _filled(run: TrainedRun, dataset: TextDataset) -> list[Plain]:
    """Passages of held-out text with some tokens hidden, and what the model puts there."""
    windows = dataset.held_out(0)
    places = np.linspace(0, windows.windows - 1, min(windows.windows, FILLED)).astype(int)
    return [_filled_window(run, dataset, windows, place) for place in places.tolist()]


def _filled_window(run: TrainedRun, dataset: TextDataset, windows: Any, place: int) -> Plain:
    codec = dataset.codec
    special = codec.space.special
    tokens = windows.batch(place, place + 1)["tokens"][0].tolist()
    tokens = [t for t in tokens[:48] if t >= 0 and t not in special.values()]
    automaton = codec.space.automaton() if codec.space.automaton else None
    if automaton:
        tokens = whole_units(automaton, tokens)
    gaps = gaps_in(tokens, automaton)
    given = torch.tensor([tokens], device=next(run.model.parameters()).device)
    given[0, gaps] = special["mask"]
    found = candidates(run.model, codec, given, 5, automaton)
    begins = [0, *(gap + 1 for gap in gaps)]
    ends = [*gaps, len(tokens)]
    parts = [codec.decode(tokens[a:b]) for a, b in zip(begins, ends, strict=True)]
    return {
        "parts": parts,
        "gaps": [[[c.text, c.probability] for c in gap] for gap in found],
        "hidden": [codec.decode([tokens[gap]]) for gap in gaps],
    }


def gaps_in(tokens: list[int], automaton: Automaton | None) -> list[int]:
    """Every twelfth place from the ninth on. Where tokens may be parts of characters, all tokens of
    the character that begins there or next: what stands around is whole then. tokens: as
    `whole_units` leaves them."""
    wanted = range(8, len(tokens), 12)
    if automaton is None:
        return list(wanted)
    states = states_of(automaton, tokens)
    edges = [place for place, state in enumerate(states) if state == 0]
    found: list[int] = []
    for first in wanted:
        later = [edge for edge in edges if edge >= first]
        if len(later) > 1:
            found += range(later[0], later[1])
    return found


def whole_units(automaton: Automaton, tokens: list[int]) -> list[int]:
    """Tokens without those at both ends that are parts of characters cut by the window's edges."""
    first = 0
    while first < len(tokens) and not automaton.fits[0, tokens[first]]:
        first += 1
    states = states_of(automaton, tokens[first:])
    last = max(place for place, state in enumerate(states) if state == 0)
    return tokens[first : first + last]


def states_of(automaton: Automaton, tokens: list[int]) -> list[int]:
    """The state before each token and, as the last one, after all of them."""
    states = [0]
    for token in tokens:
        states.append(int(automaton.after[states[-1], token]))
    return states
