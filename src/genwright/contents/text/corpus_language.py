"""The language of a text, by py3langid (extra `curation`): attributes `language`,
`language_probability`.

1. Only the first 2,000 characters are looked at: of 1,000 already the probability of running
   text is over .999, and a longer piece costs in proportion. A text that changes its language
   later is known by its beginning. Measured: 0.6 ms for a text that is longer (1,600 a second and
   core), and once a process 0.7 s to load the model.
2. Fewer than 20 bytes of letters (7 signs of Chinese) say too little: "" and NaN. So does what the
   model itself takes for no language (numbers, markup).
3. Otherwise the label is ISO 639-1, and ISO 639-3 for the few languages of the model that have no
   code of two letters. It is the likeliest language even where that is unlikely: put a bound on the
   probability, filters: [{attribute: language_probability, at_least: 0.65}]. Code is often taken
   for some language with a small one.

The probability is the model's (naive Bayes over n-grams of bytes, tempered by the length), among
its 139 languages.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from genwright.core.corpus import Attributes, Column, add_attributes
from genwright.core.errors import optional

BEGINNING = 2000  # characters that are looked at
LETTERS = 20  # bytes of letters that are needed
NO_LANGUAGE = "zxx"  # ISO 639-2: no linguistic content


@cache
def _identifier() -> Any:
    module = optional("py3langid.langid", "the language of texts needs py3langid", "curation")
    return module.LanguageIdentifier.from_model_file(module.MODEL_FILE, norm_probs=True)


def language(text: str) -> tuple[str, float]:
    """The language of a text and its probability; "" and NaN where it is too short to say. Raises
    GenwrightError where py3langid is not installed."""
    beginning = text[:BEGINNING]
    letters = "".join(sign for sign in beginning if sign.isalpha())
    if len(letters.encode("utf-8", "replace")) < LETTERS:
        return "", float("nan")
    label, probability = _identifier().classify(beginning)
    if label == NO_LANGUAGE:
        return "", float("nan")
    return str(label), min(float(probability), 1.0)


def languages(texts: Sequence[str]) -> dict[str, Any]:
    """The columns of the group, of each text."""
    found = [language(text) for text in texts]
    return {
        "language": [label for label, _ in found],
        "language_probability": np.array([probability for _, probability in found], np.float64),
    }


ATTRIBUTES = Attributes(
    "language",
    (
        Column("language", "label", detail="ISO 639-1; empty: too short to say", label="language"),
        Column("language_probability", unit="share", detail="of the likeliest language"),
    ),
    languages,
)
add_attributes("text", ATTRIBUTES)
