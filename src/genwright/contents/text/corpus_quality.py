"""The attribute group `quality` of texts: what the rule sets gopher, c4 and fineweb ask for, from
one pass over the words and lines of many documents.

Worker processes import this module: it needs numpy alone. Memory: some 60 bytes a character of the
longest text, at worst 130 (lines of one letter), and no less than some 20 megabytes.
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
from genwright.core.corpus import Attributes, Edit, add_attributes


def quality(texts: Sequence[str]) -> dict[str, Any]:
    """Name of a column -> its values, of each document: (documents,) float64, or a list of edits
    each."""
    numbers: dict[str, list[np.ndarray]] = {}
    edits: dict[str, list[list[Edit]]] = {}
    for column in QUALITY.columns:
        if column.kind == "edits":
            edits[column.name] = []
        else:
            numbers[column.name] = [np.zeros(0)]
    for batch in batches(texts):
        pieces = Pieces.of(batch)
        for family in (gopher, c4, fineweb):
            for name, values in family(pieces).items():
                if name in edits:
                    edits[name].extend(values)
                else:
                    numbers[name].append(values)
    return {**{name: np.concatenate(parts) for name, parts in numbers.items()}, **edits}


QUALITY = Attributes("quality", GOPHER + C4 + FINEWEB, quality)

add_attributes("text", QUALITY)
