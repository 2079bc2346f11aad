"""Documents by a classifier of a person's own: the rule set `quality`.

    filters: [{quality: {good: lists/good/, bad: lists/bad/, at_least: 0.5}}]

A linear classifier learns to tell the texts of one folder from those of another, and a document
stays whose probability to be of the first is high enough. So DCLM chooses documents: Li et al.,
2024, arXiv 2406.11794, section 4.4 (fastText; they keep the best tenth). What a good text is, the
folders alone say: a classifier learns whatever tells them apart, their subjects too.

1. Once a corpus: the different texts of each folder, at most MOST of them, those whose SHA-256 are
   the least. The first fifth by SHA-256 is held out, the classifier (`hashed_classifier`) learns
   from the others, and its accuracy and the area under its ROC curve on what is held out are said
   beside those of a classifier that knows nothing.
2. Of each document: the probability, as if both kinds were as frequent. Its first WORDS words are
   looked at, as in training.

Memory while it learns: some 60 bytes for each different word and pair of words of each text, 1.2 GB
at most; time: mostly seconds. Measured: 5 MB/s and core afterwards, on a machine that was busy.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from genwright.contents.text.corpus_features import features_of
from genwright.contents.text.corpus_quality_pieces import batches
from genwright.contents.text.corpus_texts import Texts, short_digest
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
from genwright.core.files import json_text
from genwright.core.registry import Settings
from genwright.data.hashed_classifier import Features, Linear, joined, trained
from genwright.data.importance import area_under_curve

FORMAT = 1  # raise it when the same texts would give another classifier
SOURCE = "a classifier of good and bad texts, as Li et al. 2024, arXiv 2406.11794, have one"
LEAST = 50  # different texts of a folder that are needed
MOST = 5_000  # that are learned from
WORDS = 1000  # of a text that are looked at
HELD_OUT = 5  # one text of so many
WEIGHTS = "weights.npy"  # (buckets,) float32
FACTS = "classifier.json"  # bias, and the figures


class Quality(Settings):
    """What a classifier learns from, and what a document must reach."""

    good: str
    """Texts as they should be: a file, a folder or a glob."""
    bad: str
    """Texts as they should not be, likewise."""
    at_least: float = Field(0.5, gt=0, lt=1)
    """The probability to be good, were both as frequent, from which a document stays."""
    field: str = "text"
    """Of rows, which field holds the text."""


@dataclass(frozen=True)
class Classifier:
    """See `core.corpus.Preparation`. column: the attribute."""

    good: Texts
    bad: Texts
    column: str

    def write(self, folder: Path) -> list[str]:
        """WEIGHTS and FACTS. Raises GenwrightError for a text that cannot be read, or that is of
        both folders, and for folders of too few texts."""
        sides = [_side_of(self.good), _side_of(self.bad)]
        both = sides[0].keys() & sides[1].keys()
        if both:
            raise GenwrightError(
                f"{len(both):,} texts of {self.good.path} are in {self.bad.path}, too",
                "a text is either good or bad: take them out of one of the two",
            )
        held_out: list[Features] = []
        learned: list[Features] = []
        held_good: list[bool] = []
        learned_good: list[bool] = []
        for side, is_good in zip(sides, (True, False), strict=True):
            every = list(side.values())
            held = len(every) // HELD_OUT
            held_out += every[:held]
            held_good += [is_good] * held
            learned += every[held:]
            learned_good += [is_good] * (len(every) - held)
        linear = trained(joined(learned), np.array(learned_good))
        figures = figures_of(linear, joined(held_out), np.array(held_good))
        np.save(folder / WEIGHTS, linear.weights, allow_pickle=False)
        facts = json_text({"bias": linear.bias, **figures}, indent=1)
        (folder / FACTS).write_text(facts, encoding="utf-8")
        counts = f"{sum(learned_good):,} and {len(learned) - sum(learned_good):,} texts"
        return [
            f"{self.good.path} against {self.bad.path}: on {len(held_good):,} texts held out"
            f" accuracy {figures['accuracy']:.3f} (majority class {figures['majority']:.3f}), area"
            f" under the ROC curve {figures['area']:.3f} (chance 0.5); learned from {counts}"
        ]

    def read(self, folder: Path) -> Compute:
        """What measures documents."""
        weights = np.load(folder / WEIGHTS, allow_pickle=False)
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return partial(probabilities, Linear(weights, facts["bias"]), self.column)


def _side_of(texts: Texts) -> dict[bytes, Features]:
    """SHA-256 -> features of the texts of a folder that are learned from, in order. Raises
    GenwrightError for too few."""
    chosen: dict[bytes, Features] = {}
    for sha, features in _features_in(texts):
        chosen[sha] = features
        if len(chosen) >= 2 * MOST:
            chosen = _least(chosen)
    if len(chosen) < LEAST:
        raise GenwrightError(
            f"{texts.path} has {len(chosen):,} different texts with words, and a classifier needs"
            f" {LEAST} of each kind",
            "add some, or leave the filter quality out",
        )
    return _least(chosen)


def _features_in(texts: Texts) -> Iterator[tuple[bytes, Features]]:
    """SHA-256 and features of each text that has words."""
    for _, _, text in texts:
        features = features_of([text], WORDS)
        if len(features.bucket):
            yield hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), features


def _least(chosen: dict[bytes, Features]) -> dict[bytes, Features]:
    """Those with the least SHA-256, in order."""
    return {sha: chosen[sha] for sha in sorted(chosen)[:MOST]}


def figures_of(linear: Linear, features: Features, is_good: np.ndarray) -> dict[str, float]:
    """How a classifier does on texts: the share that it tells right, the share of the more frequent
    kind, and the area under the ROC curve. is_good: (texts,) bool."""
    probability = linear.probability(features)
    good_share = float(is_good.mean())
    return {
        "accuracy": float(((probability >= 0.5) == is_good).mean()),
        "majority": max(good_share, 1 - good_share),
        "area": area_under_curve(probability, is_good),
    }


def probabilities(linear: Linear, column: str, texts: Sequence[str]) -> dict[str, Any]:
    """The column, of each text; a text without a word has none."""
    parts = [np.zeros(0)]
    for batch in batches(texts):
        parts.append(linear.probability(features_of(batch, WORDS)))
    return {column: np.concatenate(parts)}


def quality(settings: Quality) -> RuleSet:
    """The set with its folders, whose attribute it registers, in each process that is to compute
    it. Raises GenwrightError where they are gone, and no corpus keeps their digests."""
    good = Texts.at(settings.good, settings.field, "filters.quality.good")
    bad = Texts.at(settings.bad, settings.field, "filters.quality.bad")
    name = f"quality-{short_digest(FORMAT, good.digest, bad.digest)}"
    detail = f"probability to be like {settings.good}, and not like {settings.bad}"
    columns = (Column(name, unit="share", detail=detail),)
    prepared = Classifier(good, bad, name)
    add_attributes("text", Attributes(name, columns, prepared=prepared))
    rule = Rule(
        f"quality.{good.name}",
        name,
        at_least=settings.at_least,
        detail=f"more like {settings.good} than like {settings.bad}",
    )
    return RuleSet("quality", (rule,), (name,), SOURCE, inputs=(good.input, bad.input))


add_rules("text", RuleSet("quality", (), (), SOURCE, settings=Quality, make=quality))
