"""Documents by how likely a run of the project finds them: the rule set `perplexity`.

    filters: [{perplexity: {run: runs/mine, at_most: 60}}]
    filters: [{perplexity: {run: runs/mine, measure: bits-per-byte, at_least: 0.5, at_most: 3}}]

A text model that was trained on good text finds bad text unlikely, and what repeats itself too
likely: Wenzek et al., 2020, arXiv 1911.00359 (CCNet).

1. A document is measured as held-out text is (`evaluation.language`): it begins behind the token
   that ends a document, and ends with it. Windows of the run's context lie side by side; each
   token, the last one included, is predicted once, from those before it in its window. Of a run
   whose attention does not cross documents, the first token is not predicted.
2. Perplexity is exp(mean nats of a token). Bits per byte are mean nats x tokens / bytes / ln 2,
   which runs with other vocabularies share.
3. The weights are those of the run's result, in fp32, on one thread of a CPU, so that the number of
   processes decides nothing. They are loaded once a process.

A document without text has neither. Characters that the run's codec does not know are refused: a
run with `codec.kind` bytes or bpe takes any.

Worker processes import this module: it imports torch only where a document is measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from genwright.contents.text.corpus_texts import short_digest
from genwright.core.corpus import (
    Attributes,
    Column,
    Compute,
    Rule,
    RuleSet,
    add_attributes,
    add_rules,
)
from genwright.core.errors import GenwrightError
from genwright.core.files import digest, json_text
from genwright.core.kept_files import Input, kept_digest
from genwright.core.registry import Settings
from genwright.training.checkpoint_files import listed_in, named_result

if TYPE_CHECKING:
    from torch import Tensor

    from genwright.runs.run import Run

FORMAT = 1  # raise it when the same document would get other values
SOURCE = "a run of your own; perplexity as Wenzek et al. 2020, arXiv 1911.00359, use it"
TOKENS = 1 << 13  # of windows that are measured at once, at most, but one window
LOGITS = 1 << 24  # likewise, of their logits
FACTS = "run.json"  # step and weights
ABSENT = -1  # a token that is not there


class Perplexity(Settings):
    """The run that judges, and what it may find."""

    run: str
    """The folder of a run that learned text with objective causal."""
    at_most: float | None = Field(None, gt=0)
    """The largest value with which a document stays."""
    at_least: float | None = Field(None, gt=0)
    """The least one: less is text that repeats itself."""
    measure: Literal["perplexity", "bits-per-byte"] = "perplexity"
    """Perplexity of a token, or bits per byte, which runs of any vocabulary share."""


class Window(NamedTuple):
    """Some tokens of a document: each but the first is predicted. document: its number."""

    document: int
    tokens: np.ndarray


@dataclass(frozen=True)
class Judge:
    """See `core.corpus.Preparation`. run: its folder; digest: of its result; column: beginning of
    the names of the attributes."""

    run: str
    digest: str
    column: str

    def write(self, folder: Path) -> list[str]:
        """FACTS. Raises GenwrightError for a run that gives no probability of a text."""
        from genwright.runs.run import load

        check_there(self.run)
        run = load(self.run, device="cpu")
        check_run(run, self.run)
        facts = {"step": run.step, "weights": run.weights}
        (folder / FACTS).write_text(json_text(facts), encoding="utf-8")
        return [f"{self.run}: step {run.step:,}, {run.weights} weights"]

    def read(self, folder: Path) -> Compute:
        """What measures documents. Raises GenwrightError where the run is gone."""
        check_there(self.run)
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        model = loaded(self.run, self.digest, facts["step"], facts["weights"])
        return partial(likelihoods, model, self.column)


def check_there(run: str) -> None:
    """Raises GenwrightError where a run is gone, of which a corpus knows the digest alone."""
    if not Path(run).exists():
        raise GenwrightError(
            f"the run {run} is gone, and not all documents are measured by it yet",
            "bring it back, name another run, or leave the filter perplexity out",
        )


def check_run(run: Run, name: str) -> None:
    """Raises GenwrightError for a run that gives no probability of a text. name: of its folder."""
    from genwright.objectives.language import CausalObjective

    remedy = "name a run that learned text with objective.kind=causal"
    if run.content != "text":
        raise GenwrightError(f"the run {name} makes {run.content}, and documents are text", remedy)
    if not isinstance(run.objective, CausalObjective):
        kind = run.recipe.objective.kind
        raise GenwrightError(
            f"the run {name} has the objective {kind}, which gives no probability of a text", remedy
        )


@lru_cache(1)  # of a process: another run takes its place
def loaded(run: str, digest: str, step: int, weights: str) -> Model:
    """The networks of a run. digest: of its result, which tells two runs of one name apart."""
    from genwright.runs.run import load

    return Model(load(run, step=step, weights=weights, device="cpu"))


class Model:
    """A run that measures documents."""

    def __init__(self, run: Run):
        self.run = run
        self.context: int = run.recipe.data.context
        self.vocabulary = run.codec.space.vocabulary
        self.end: int = run.codec.space.special["end"]
        # whether attention does not cross documents: then nothing stands before one
        self.alone: bool = run.recipe.data.isolate_documents

    @cached_property
    def at_once(self) -> int:
        """Tokens of windows that are measured at once."""
        return max(1, min(TOKENS, LOGITS // self.vocabulary))

    def tokens_of(self, text: str) -> np.ndarray:
        """(tokens,) int64 of a document, with the tokens that stand around it. Raises
        GenwrightError for characters that the codec does not know."""
        try:
            own = self.run.codec.encode(text)
        except GenwrightError as error:
            raise GenwrightError(
                f"{error.what}; a document has it, which the run {self.run.folder} cannot measure",
                "name a run with codec.kind=bytes or codec.kind=bpe, which take any text",
            ) from None
        before = [] if self.alone else [self.end]
        return np.array([*before, *own, self.end], np.int64)

    def windows_of(self, tokens: Sequence[np.ndarray]) -> Iterator[Window]:
        """Windows side by side, so that every token but the first is predicted once. tokens: of
        each document."""
        for document, own in enumerate(tokens):
            for start in range(0, len(own) - 1, self.context):
                yield Window(document, own[start : start + self.context + 1])

    def nats(self, windows: Sequence[Window]) -> np.ndarray:
        """(windows,) float64: the sum of -log p of the predicted tokens."""
        import torch

        from genwright.core.draws import Draws
        from genwright.training.engine import Engine

        width = max(len(window.tokens) for window in windows)
        rows = np.full((len(windows), width), ABSENT, np.int64)
        for row, window in zip(rows, windows, strict=True):
            row[: len(window.tokens)] = window.tokens
        objective = self.run.objective
        draws = Draws(0, 0, torch.arange(len(rows)))  # of which a causal objective uses none
        batch = objective.prepare_held_out(
            {"tokens": torch.from_numpy(rows)}, draws, Engine.alone("cpu")
        )
        total: Tensor = objective.measured(batch).metrics["loss"].total
        return total.double().numpy()


def likelihoods(model: Model, column: str, texts: Sequence[str]) -> dict[str, Any]:
    """The columns, of each text."""
    tokens = [model.tokens_of(text) for text in texts]
    sums = nats_of(model, tokens)
    predicted = np.array([len(own) - 1 for own in tokens], float)
    inside = np.array([len(own) - (not model.alone) for own in tokens], float)
    size = np.array([len(text.encode()) for text in texts], float)
    mean = np.full(len(texts), math.nan)
    np.divide(sums, predicted, out=mean, where=(predicted > 0) & (size > 0))
    bits = np.full(len(texts), math.nan)
    np.divide(mean * inside / math.log(2), size, out=bits, where=size > 0)
    return {f"{column}-perplexity": np.exp(mean), f"{column}-bits-per-byte": bits}


def nats_of(model: Model, tokens: Sequence[np.ndarray]) -> np.ndarray:
    """(documents,) float64: the sum of -log p of the predicted tokens of each document."""
    import torch

    from genwright.core.threads import threads

    sums = np.zeros(len(tokens))
    windows = sorted(model.windows_of(tokens), key=lambda window: len(window.tokens))
    with threads(1), torch.no_grad():
        for batch in batches_of(windows, model.at_once):
            totals = model.nats(batch)
            for window, total in zip(batch, totals.tolist(), strict=True):
                sums[window.document] += total
    return sums


def batches_of(windows: Sequence[Window], at_once: int) -> Iterator[list[Window]]:
    """Windows in batches of at most so many tokens, but at least one window. windows: the shortest
    first."""
    batch: list[Window] = []
    for window in windows:
        if batch and (len(batch) + 1) * len(window.tokens) > at_once:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def input_of(run: str) -> Input:
    """A run that judges; where it is gone, as a corpus knows it. Raises GenwrightError."""
    how = f"format {FORMAT}"
    kept = kept_digest(run, how)
    if kept and not Path(run).exists():
        return Input(run, how, kept, is_gone=True)
    return Input(run, how, result_digest(run), is_gone=False)


def result_digest(run: str) -> str:
    """Of the weights of a run's result, of its codec and its recipe; without torch. Raises
    GenwrightError where there is no run, or none with a result."""
    folder = Path(run)
    recipe = folder / "recipe.yaml"
    if not recipe.is_file():
        raise GenwrightError(
            f"filters.perplexity.run: {run} is not a run: it has no recipe.yaml",
            "give the folder that `genwright train` made, for example runs/code",
        )
    found = named_result(folder / "checkpoints")
    if found is None:
        raise GenwrightError(
            f"filters.perplexity.run: {run} has no checkpoint yet",
            "train it first, or wait for its first one",
        )
    listed = listed_in(found) or {}
    codec = [[path.name, digest(path)] for path in sorted((folder / "codec").glob("*.json"))]
    return short_digest(FORMAT, found.name, listed, codec, digest(recipe))


def perplexity(settings: Perplexity) -> RuleSet:
    """The set with its run, whose attributes it registers, in each process that is to compute them.
    Raises GenwrightError where there is no such run and no corpus keeps its digest, and without a
    bound."""
    if settings.at_most is None and settings.at_least is None:
        raise GenwrightError(
            "the filter perplexity has no bound", "give at_most, at_least or both, beside run"
        )
    judge = input_of(settings.run)
    name = f"run-{judge.digest}"
    columns = (
        Column(f"{name}-perplexity", unit="perplexity", detail=f"of a token, under {settings.run}"),
        Column(f"{name}-bits-per-byte", unit="bits/byte", detail=f"under {settings.run}"),
    )
    prepared = Judge(settings.run, judge.digest, name)
    add_attributes("text", Attributes(name, columns, prepared=prepared))
    rule = Rule(
        f"perplexity.{Path(settings.run).name or settings.run}",
        f"{name}-{settings.measure}",
        settings.at_least,
        settings.at_most,
        detail=f"{_demand(settings)} for {settings.run}",
    )
    return RuleSet("perplexity", (rule,), (name,), SOURCE, inputs=(judge,))


def _demand(settings: Perplexity) -> str:
    """What a document must be, in words."""
    if settings.at_least is None:
        return "likely enough"
    if settings.at_most is None:
        return "not too likely"
    return "likely enough and not too likely"


add_rules("text", RuleSet("perplexity", (), (), SOURCE, settings=Perplexity, make=perplexity))
