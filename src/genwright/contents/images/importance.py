"""`data.balance_to` of pictures: importance weights from a folder of reference pictures.

The classifier (`data/importance.py`) is logistic on the features of the small network that the
dataset's figures are made with (`evaluation/features.py`), which is trained once, in about a
minute, from the training pictures.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from genwright.core.errors import GenwrightError
from genwright.core.files import cache_folder
from genwright.data.balance import importance_balance
from genwright.data.cache import digest_of, kept
from genwright.data.examples import ExampleDataset, Split
from genwright.data.importance import Judged, folds_of, half_each, judged, logistic, read_judged
from genwright.evaluation.features import Extractor, extractor

FORMAT = 1  # raise it when the same pictures would get other weights
LEAST = 50  # reference pictures that are needed
AT_ONCE = 500


def balance_to(
    dataset: ExampleDataset,
    clusters: np.ndarray,
    reference: ExampleDataset,
    path: str,
    by: str,
    cache: str | None,
) -> list[str]:
    """Balances a dataset to the training split of another one; what a person is told. clusters:
    (n,) of the dataset's training pictures. Raises GenwrightError for too few reference
    pictures."""
    count = len(reference.split("train"))
    if count < LEAST:
        raise GenwrightError(
            f"data.balance_to: {path} holds {count} pictures, and a classifier needs {LEAST}",
            "give more of them",
        )
    digest = digest_of(FORMAT, dataset.own_digest, reference.own_digest, by)

    def fill(folder: Path) -> None:
        network = extractor(dataset, cache)
        found = _judged(network, dataset.split("train"), clusters, reference.split("train"))
        np.savez(folder / "judged.npz", **found._asdict())

    found = kept(cache_folder(cache) / "importance" / digest, fill, _read)
    own = found.logits[: len(dataset.split("train"))]
    balance, said = importance_balance(found, own, by, path, dataset.unit, digest)
    dataset.rebalance(balance)
    return said


def _read(folder: Path) -> Judged:
    with np.load(folder / "judged.npz", allow_pickle=False) as file:
        return read_judged(file)


def _judged(network: Extractor, own: Split, clusters: np.ndarray, reference: Split) -> Judged:
    """What is said of the training pictures, then of the reference."""
    x = np.concatenate([_features(network, own), _features(network, reference)])  # (n, features)
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > 0, spread, 1.0)
    is_reference = np.arange(len(x)) >= len(own)
    beyond = int(clusters.max(initial=-1)) + 1
    every = np.concatenate([clusters, beyond + np.arange(len(reference))])

    def fit(learned: np.ndarray, number: int) -> np.ndarray:
        weights = half_each(is_reference[learned])
        found = logistic(x[learned], is_reference[learned], weights)
        logits: np.ndarray = x @ found[:-1] + found[-1]
        return logits

    return judged(is_reference, folds_of(every), fit)


def _features(network: Extractor, split: Split) -> np.ndarray:
    """(n, features) float64."""
    parts = []
    for start in range(0, len(split), AT_ONCE):
        stop = min(start + AT_ONCE, len(split))
        parts.append(network.features(split.x(np.arange(start, stop))).double().numpy())
    return np.concatenate(parts)
