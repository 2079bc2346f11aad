"""The attribute group `quality` of texts: what the rule sets gopher, c4 and fineweb ask for, from
one pass over the words and lines of many documents.

Worker processes import this module: it needs numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from genwright.contents.text.corpus_quality_c4 import COLUMNS as C4
from genwright.contents.text.corpus_quality_c4 import c4
from genwright.contents.text.corpus_quality_fineweb import COLUMNS as FINEWEB
from genwright.contents.text.corpus_quality_fineweb import fineweb
from genwright.contents.text.corpus_quality_gopher import COLUMNS as GOPHER
from genwright.contents.text.corpus_quality_gopher import gopher
from genwright.contents.text.corpus_quality_pieces import Pieces, batches
from genwright.core.corpus import Attributes, add_attributes


def quality(texts: Sequence[str]) -> dict[str, Any]:
    """Name of a column -> its values, of each document: (documents,) float64, or a list of edits
    each."""
    found: dict[str, list[Any]] = {column.name: [] for column in QUALITY.columns}
    for batch in batches(texts):
        pieces = Pieces.of(batch)
        for family in (gopher, c4, fineweb):
            for name, values in family(pieces).items():
                found[name].extend(values)
    together: dict[str, Any] = {}
    for column in QUALITY.columns:
        values = found[column.name]
        together[column.name] = values if column.kind == "edits" else np.array(values, float)
    return together


QUALITY = Attributes("quality", GOPHER + C4 + FINEWEB, quality)

add_attributes("text", QUALITY)
