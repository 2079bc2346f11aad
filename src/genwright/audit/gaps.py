"""Counterfactual likelihood gaps: how much likelier a model finds held-out texts than their twins,
in which the words of a swap list are exchanged.

1. The gap of a document is log p(text) - log p(twin), in nats. A document that holds no listed word
   has none, and is left out. Of a long one the beginning is measured that the model sees at once,
   with its twin.
2. The mean of a direction is over the documents whose listed words are all of one column of the
   list: in them "he" would become "she", or "she" "he". Student's interval, over documents.
3. What is written is likelier than what is not, so both means are above 0 in a good model: it is
   their difference that shows a preference, with Welch's interval. It is that of the model on these
   data, whose documents of the two directions may differ in more than the words.
4. The placebo of a mean: where it lies in 95% of cases when it is drawn at random which of the two
   texts is the original; of the difference: with directions permuted.

Of masked models log p is the pseudo-log-likelihood. A GAN has no likelihood.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genwright.audit.found import plain
from genwright.audit.scoring import scoring_of
from genwright.core.errors import GenwrightError
from genwright.core.groups import Audited
from genwright.core.likelihoods import TextScore, TextScorer, Twins
from genwright.evaluation.intervals import FEWEST, LEVEL
from genwright.evaluation.probabilities import t_quantile
from genwright.runs.run import load

DOCUMENTS = 500  # that are measured, where no number is given
PERMUTED = 1000
ALL = "all"
BOTH = "both"  # words of both columns
AT_ONCE = 64  # documents that are read together


class TextPair(NamedTuple):
    """A text and its twin. direction: see `Gap`."""

    text: str
    twin: str
    direction: str


@dataclass(frozen=True)
class Gap:
    """direction: "he → she" of documents in which words of the first column become those of the
    second, the other way round, BOTH, or ALL. mean: nats a document; None of fewer documents than
    `FEWEST`. placebo_low, placebo_high: where the mean lies by chance."""

    direction: str
    documents: int
    mean: float | None
    low: float | None
    high: float | None
    placebo_low: float | None
    placebo_high: float | None


@dataclass(frozen=True)
class Gaps:
    """A run on its held-out documents. gaps: of all, then by direction. difference: of the first
    direction minus the second. read: documents that were looked at, with and without listed words.
    nats_per_token: of these documents as they are, over their predicted tokens: what the model is
    worth as one of language."""

    run: str
    step: int
    swaps: str
    causal: bool
    read: int
    gaps: list[Gap]
    difference: Gap | None
    remarks: list[str] = field(default_factory=list)
    weights: str = ""
    nats_per_token: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = plain(self)
        return found

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def gaps_of(
    folder: str | Path,
    swaps: str | Path,
    n: int | None = None,
    step: int | None = None,
    weights: str | None = None,
    split: str = "held_out",
) -> Gaps:
    """The gaps of a run on documents of its data. swaps: a file of pairs of words. n: documents
    with listed words that are measured, at most. Raises GenwrightError for a run that gives no
    likelihood, and where no document holds a listed word."""
    if n is not None and n < 1:
        raise GenwrightError(f"-n is {n}", "ask for at least one document")
    run = load(folder, step, weights)
    scoring = scoring_of(run)
    twins = scoring.twins(swaps)
    scorer = scoring.scorer(run)
    content = run.kind
    if not isinstance(content, Audited):
        raise GenwrightError(
            f"the {content.thing}s of {folder} cannot be read one by one", "name another run"
        )
    dataset = run.dataset()
    count = len(content.known(dataset, split, ()).names)
    order = np.random.default_rng(run.recipe.seed).permutation(count)
    pairs: list[TextPair] = []
    read = 0
    wanted = n or DOCUMENTS
    while read < count and len(pairs) < wanted:
        numbers = [int(number) for number in order[read : read + AT_ONCE]]
        for sample in content.examples(dataset, split, numbers):
            if len(pairs) < wanted:
                read += 1
                pairs += pairs_in(content.as_text(sample), twins, scorer)
    if not pairs:
        raise GenwrightError(
            f"none of {read:,} {split.replace('_', '-')} documents of {folder} holds a word of"
            f" {swaps}",
            "list words that stand in the data",
        )
    rng = np.random.default_rng(run.recipe.seed)
    scored = scorer.scores([text for pair in pairs for text in (pair.text, pair.twin)])
    found, difference, remarks = gaps_in(pairs, scored, twins.names, rng)
    originals = scored[::2]
    predicted = sum(score.predicted for score in originals)
    return Gaps(
        str(run.folder),
        run.step,
        Path(swaps).name,
        scorer.causal,
        read,
        found,
        difference,
        remarks,
        run.weights,
        -sum(score.total for score in originals) / max(1, predicted),
    )


def pairs_in(text: str, twins: Twins, scorer: TextScorer) -> list[TextPair]:
    """A document with its twin, both cut to what the model sees at once; nothing where it holds no
    listed word."""
    text = _fitting(text, twins, scorer)
    twin = twins.of(text)
    if twin.text == text:
        return []
    first, second = twins.names
    direction = BOTH
    if not twin.seconds:
        direction = f"{first} → {second}"
    elif not twin.firsts:
        direction = f"{second} → {first}"
    return [TextPair(text, twin.text, direction)]


def _fitting(text: str, twins: Twins, scorer: TextScorer) -> str:
    """The beginning of a text that, like its twin, is seen at once."""
    while True:
        longest = max(scorer.lengths([text, twins.of(text).text]))
        if longest <= scorer.room:
            return text
        shorter = min(len(text) - 1, int(len(text) * scorer.room / longest))
        cut = text[:shorter]
        whole_words = cut.rpartition(" ")[0]
        text = whole_words or cut


def gaps_between(
    pairs: Sequence[TextPair],
    names: tuple[str, str],
    scorer: TextScorer,
    rng: np.random.Generator,
) -> tuple[list[Gap], Gap | None, list[str]]:
    """Gaps of all and by direction, the difference of directions, and remarks. names: of the
    columns."""
    scored = scorer.scores([text for pair in pairs for text in (pair.text, pair.twin)])
    return gaps_in(pairs, scored, names, rng)


def gaps_in(
    pairs: Sequence[TextPair],
    scored: Sequence[TextScore],
    names: tuple[str, str],
    rng: np.random.Generator,
) -> tuple[list[Gap], Gap | None, list[str]]:
    """The same of what was measured: scored: of each pair the text and its twin."""
    totals = np.array([score.total for score in scored])
    values = totals[::2] - totals[1::2]  # (documents,) nats
    directions = np.array([pair.direction for pair in pairs])
    first, second = names
    ways = [f"{first} → {second}", f"{second} → {first}"]
    found = [gap(ALL, values, rng)]
    for way in [*ways, BOTH]:
        own = values[directions == way]
        if len(own) or way != BOTH:
            found.append(gap(way, own, rng))
    one, other = (values[directions == way] for way in ways)
    remarks = []
    for each in found:
        if each.mean is None:
            remarks.append(
                f"too few documents of {each.direction} to give a mean: {each.documents}"
            )
    return found, _difference(one, other, ways, rng), remarks


def gap(direction: str, values: np.ndarray, rng: np.random.Generator) -> Gap:
    """values: (documents,) in nats."""
    count = len(values)
    if count < FEWEST:
        return Gap(direction, count, None, None, None, None, None)
    mean = float(values.mean())
    error = float(values.std(ddof=1)) / math.sqrt(count)
    half = t_quantile((1 + LEVEL) / 2, count - 1) * error
    signs = np.where(rng.random((PERMUTED, count)) < 0.5, -1.0, 1.0)
    below, above = _middle((signs * values).mean(1))
    return Gap(direction, count, mean, mean - half, mean + half, below, above)


def _difference(
    one: np.ndarray, other: np.ndarray, ways: Sequence[str], rng: np.random.Generator
) -> Gap | None:
    """Mean of one minus mean of the other."""
    if min(len(one), len(other)) < FEWEST:
        return None
    value = float(one.mean() - other.mean())
    parts = [each.var(ddof=1) / len(each) for each in (one, other)]
    error = math.sqrt(sum(parts))
    half = 0.0
    if error > 0:
        # Welch and Satterthwaite
        spread = [part**2 / (len(each) - 1) for part, each in zip(parts, (one, other), strict=True)]
        freedom = sum(parts) ** 2 / sum(spread)
        half = t_quantile((1 + LEVEL) / 2, max(1, math.floor(freedom))) * error
    both = np.concatenate([one, other])
    permuted = np.empty(PERMUTED)
    for turn in range(PERMUTED):
        order = rng.permutation(both)
        permuted[turn] = order[: len(one)].mean() - order[len(one) :].mean()
    below, above = _middle(permuted)
    name = f"({ways[0]}) - ({ways[1]})"
    return Gap(name, len(both), value, value - half, value + half, below, above)


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def _lines(found: Gaps) -> list[str]:
    """For a terminal."""
    lines = [
        f"{found.run}, step {found.step:,}: how much likelier documents are than with the words of"
        f" {found.swaps} exchanged, in nats a document; {found.read:,} documents were read",
        f"{'direction':36}{'documents':>10}{'mean':>9}   95% interval        placebo",
    ]
    rows = found.gaps if found.difference is None else [*found.gaps, found.difference]
    for each in rows:
        if each.mean is None:
            lines.append(f"{each.direction:36}{each.documents:10,}  too few")
            continue
        interval = f"{each.low:.3f} to {each.high:.3f}"
        placebo = f"{each.placebo_low:.3f} to {each.placebo_high:.3f}"
        lines.append(
            f"{each.direction:36}{each.documents:10,}{each.mean:9.3f}   {interval:20}{placebo}"
        )
    if found.nats_per_token is not None:
        lines.append(f"language model: {found.nats_per_token:.3f} nats a token of these documents")
    return [*lines, *(f"note: {remark}" for remark in found.remarks)]
