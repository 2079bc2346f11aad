"""The attribute group `quality` of texts: what the rule sets gopher, c4 and fineweb ask for, from
one pass over the words and lines of many documents.

Worker processes import this module: it needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genwright.contents.text.corpus_quality_gopher import COLUMNS as GOPHER
from genwright.contents.text.corpus_quality_gopher import gopher
from genwright.contents.text.corpus_quality_pieces import Pieces, batches
from genwright.core.corpus import Attributes, add_attributes


def quality(texts: Sequence[str]) -> dict[str, Any]:
    """Name of a column -> its values, (documents,)."""
    found: dict[str, list[Any]] = {column.name: [] for column in QUALITY.columns}
    for batch in batches(texts):
        pieces = Pieces.of(batch)
        for name, values in gopher(pieces).items():
            found[name].append(values)
    return {name: np.concatenate([*parts, np.zeros(0)]) for name, parts in found.items()}


QUALITY = Attributes("quality", GOPHER, quality)

add_attributes("text", QUALITY)
