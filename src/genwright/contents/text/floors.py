"""The counts of the training tokens of prepared text, which its floors are made of: counted once,
and kept beside the shards.

    <cache>/floors/KEY/   KEY: a digest of the shards and the codec; see `token_floors.write_counts`
"""

from __future__ import annotations

from pathlib import Path

from genwright.contents.text.dataset import TextDataset
from genwright.data.cache import digest_of, kept
from genwright.evaluation.token_floors import Floors, write_counts

FORMAT = 1  # raise it when the same tokens would give other files


def floors_of(dataset: TextDataset) -> Floors:
    """The floors, from the cache or counted now. Raises GenwrightError for a token outside the
    vocabulary, and for files that were changed since."""
    vocabulary = dataset.codec.space.vocabulary
    key = digest_of(FORMAT, dataset.digest, vocabulary)

    def fill(folder: Path) -> None:
        write_counts(dataset.tokens("train"), vocabulary, folder)

    return kept(dataset.folder.parent / "floors" / key, fill, Floors.read)
