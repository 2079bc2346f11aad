"""`data.balance_to` of texts: importance weights of documents from a folder of reference texts.

The classifier (`data/importance.py`) is that of `data/hashed_classifier.py`, over hashed words and
pairs of words. It learns from at most MOST documents of either side, those whose hash is least; of
the other documents the mean of all folds' classifiers is taken, a part of them at a time.

    <cache>/importance/KEY/judged.npz   logits of the training documents, and the calibration
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from genwright.contents.text.codec import Bytes
from genwright.contents.text.corpus_features import features_of
from genwright.contents.text.dataset import TextDataset, corpus_of
from genwright.core.errors import GenwrightError
from genwright.core.progress import task
from genwright.data.balance import SAMPLING, Balance, importance_balance
from genwright.data.cache import digest_of, kept
from genwright.data.hashed_classifier import Features, Linear, joined, trained
from genwright.data.importance import FOLDS, Judged, folds_of, judged, read_judged
from genwright.data.split import mixed

FORMAT = 1  # raise it when the same documents would get other weights
LEAST = 50  # reference documents that are needed
MOST = 5_000  # documents of either side that are learned from
WORDS = 1000  # of a document that are looked at
PENALTY = 1e-5  # of the classifier
AT_ONCE = 1000  # documents that are judged together


def balance_to(dataset: TextDataset, path: str, cache: Path) -> tuple[Balance | None, list[str]]:
    """What balances training documents to the texts of a folder, and what a person is told. Raises
    GenwrightError for too few reference texts."""
    changed = {
        "path": path,
        "source": "files",
        "split": "documents",
        "held_out": 0.0,
        "balance": {},
        "lexicons": {},
        "balance_to": None,
        "swap": None,
    }
    reference = corpus_of(dataset.settings.model_copy(update=changed).prepare(Bytes()))
    count = reference.document_count("train")
    if count < LEAST:
        raise GenwrightError(
            f"data.balance_to: {path} holds {count} documents, and a classifier needs {LEAST}",
            "give more of them",
        )
    digest = digest_of(FORMAT, dataset.digest, reference.digest)

    def fill(folder: Path) -> None:
        found = _judged(dataset, reference)
        np.savez(folder / "judged.npz", **found._asdict())

    found = kept(cache / "importance" / digest, fill, _read)
    return importance_balance(found, found.logits, SAMPLING, path, "documents", digest)


def _read(folder: Path) -> Judged:
    with np.load(folder / "judged.npz", allow_pickle=False) as file:
        return read_judged(file)


def _judged(dataset: TextDataset, reference: TextDataset) -> Judged:
    """What is said of all training documents, by their own logits alone."""
    own = _chosen(dataset)
    beside = _chosen(reference)
    features = [*_features(dataset, own), *_features(reference, beside)]  # of each document
    is_reference = np.arange(len(features)) >= len(own)
    together = joined(features)
    classifiers: list[Linear] = []

    def fit(learned: np.ndarray, number: int) -> np.ndarray:
        part = joined([features[place] for place in np.flatnonzero(learned)])
        classifiers.append(trained(part, is_reference[learned], PENALTY))
        return _logits(classifiers[-1], together)

    found = judged(is_reference, folds_of(np.arange(len(features))), fit)
    logits = np.zeros(dataset.document_count("train"))
    rest = np.setdiff1d(np.arange(len(logits)), own)
    with task("judging documents", len(rest)) as part:
        for start in range(0, len(rest), AT_ONCE):
            numbers = rest[start : start + AT_ONCE]
            some = joined(_features(dataset, numbers))
            for classifier in classifiers:
                logits[numbers] += _logits(classifier, some) / FOLDS
            part.advance(len(numbers))
    logits[own] = found.logits[: len(own)]
    return found._replace(logits=logits)


def _logits(classifier: Linear, features: Features) -> np.ndarray:
    return features.times(classifier.weights) + classifier.bias


def _chosen(dataset: TextDataset) -> np.ndarray:
    """The numbers of the training documents that are learned from, rising."""
    numbers = np.arange(dataset.document_count("train"))
    order = np.argsort(mixed(numbers.astype(np.uint64)), kind="stable")
    return np.sort(order[:MOST])


def _features(dataset: TextDataset, numbers: Sequence[int] | np.ndarray) -> Iterator[Features]:
    """The features of training documents, one after another."""
    for number in numbers:
        tokens = dataset.document_tokens("train", int(number))
        yield features_of([dataset.codec.decode(tokens.tolist())], WORDS)
