"""The features of texts for a linear classifier (`data/hashed_classifier.py`): their words and
pairs of words.

The words of a text are those of `corpus_ngrams`. Each word and each pair of successive words is a
feature, in a bucket by its hash; a text is the shares of its features.

Worker processes import this module: it needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from genwright.contents.text.corpus_ngrams import Words
from genwright.data.hashed_classifier import BITS, BUCKETS, Features

NGRAM = 2  # words of the longest feature


def features_of(texts: Sequence[str], words: int) -> Features:
    """The features of texts. words: of each, that are looked at."""
    found = Words(texts)
    keys = []
    for n in range(1, NGRAM + 1):
        hashes, first = found.ngrams(n)
        document = found.document[first]
        is_early = first + n <= found.first[document] + words
        bucket = hashes[is_early] >> np.uint64(64 - BITS)
        keys.append(document[is_early].astype(np.uint64) << np.uint64(BITS) | bucket)
    different, counts = np.unique(np.concatenate(keys), return_counts=True)
    document = (different >> np.uint64(BITS)).astype(np.int64)
    bucket = (different & np.uint64(BUCKETS - 1)).astype(np.int32)
    first = np.searchsorted(document, np.arange(len(texts) + 1))
    totals = np.bincount(document, counts, minlength=len(texts))
    return Features(first, bucket, (counts / totals[document]).astype(np.float32))
