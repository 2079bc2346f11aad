"""What recognises attributes of texts that only the data say (folder; of a corpus source, licence,
language) in texts that a model wrote: linear classifiers over words and pairs of words.

They learn from the beginnings of documents that are as long as the model's window, for samples are
no longer than that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genwright.contents.text.corpus_features import features_of
from genwright.contents.text.dataset import corpus_of
from genwright.contents.text.known import known
from genwright.contents.text.measures import text_of
from genwright.core.content import Sample
from genwright.core.dataset import Dataset
from genwright.core.groups import Judge
from genwright.data.hashed_classifier import Features
from genwright.evaluation.linear_judge import Described, linear_judges

WORDS = 1000  # of a text that are looked at


def judges(dataset: Dataset, attributes: Sequence[str]) -> dict[str, Judge]:
    """A judge of each of these attributes that can be recognised."""
    texts = corpus_of(dataset)
    train = known(dataset, "train", attributes)
    held_out = known(dataset, "held_out", attributes)
    # clusters of the two splits are numbered apart
    apart = held_out._replace(clusters=held_out.clusters + len(train.names))

    def of_split(split: str, numbers: np.ndarray) -> Features:
        beginnings = []
        for number in numbers.tolist():
            tokens = texts.document_tokens(split, number)[: texts.context]
            beginnings.append(texts.codec.decode(tokens.tolist()))
        return features_of(beginnings, WORDS)

    described = Described(of_split, _of_samples, "words and pairs of words")
    return linear_judges(train, apart, attributes, described)


def _of_samples(samples: Sequence[Sample]) -> Features:
    return features_of([text_of(sample) for sample in samples], WORDS)
