"""The rule set `c4`, and the one of its rules that asks for a list: pages with a bad word go.

    filters: [c4]                        # without a list
    filters: [{c4: lists/bad.txt}]       # drops pages in which any of them occurs

The paper uses the "List of Dirty, Naughty, Obscene or Otherwise Bad Words"; none is brought along.
The list is as `corpus_quality_words` has it, and is looked for in what C4's line rules leave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from genwright.contents.text.corpus_quality_c4 import RULES, c4
from genwright.contents.text.corpus_quality_pieces import Pieces, batches
from genwright.contents.text.corpus_quality_words import WordList
from genwright.core.corpus import (
    Attributes,
    Column,
    Rule,
    RuleSet,
    add_attributes,
    add_rules,
    edited,
)


def bad_word_attributes(listed: WordList) -> Attributes:
    """The attribute of a list, by its digest: how often its entries occur in what is left."""
    name = f"c4-bad-words-{listed.digest}"
    column = Column(name, unit="occurrences", detail=f"of the list {listed.name}, in what is left")
    return Attributes(name, (column,), partial(_measured, listed, name))


def _measured(listed: WordList, name: str, texts: Sequence[str]) -> dict[str, Any]:
    counts = []
    for batch in batches(texts):
        edits = c4(Pieces.of(batch))["c4-lines"]
        for text, of_text in zip(batch, edits, strict=True):
            counts.append(listed.occurrences(edited(text, of_text))[0])
    return {name: np.array(counts, float)}


def with_bad_words(path: str) -> RuleSet:
    """The set `c4` with a list, whose attribute it registers, in each process that is to compute
    it; "": without one. Raises GenwrightError."""
    if not path:
        return RULES
    attributes = bad_word_attributes(WordList.read(path))
    add_attributes("text", attributes)
    rule = Rule("c4.bad-words", attributes.name, at_most=0, detail=f"no word of {path}")
    return replace(
        RULES,
        rules=(*RULES.rules, rule),
        attributes=(*RULES.attributes, attributes.name),
        files=(path,),
    )


add_rules("text", replace(RULES, make=with_bad_words))
