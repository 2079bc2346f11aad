"""The language of texts."""

import math
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.text import corpus_language
from genwright.contents.text.corpus_language import BEGINNING, language, languages
from genwright.core.corpus import attributes_of
from genwright.core.errors import GenwrightError

# article 1 of the Universal Declaration of Human Rights
ARTICLES = {
    "en": "All human beings are born free and equal in dignity and rights.",
    "de": "Alle Menschen sind frei und gleich an W\u00fcrde und Rechten geboren.",
    "fr": "Tous les \u00eatres humains naissent libres et \u00e9gaux en dignit\u00e9 et en droits.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignit\u00e0 e diritti.",
    "pl": "Wszyscy ludzie rodz\u0105 si\u0119 wolni i r\u00f3wni wzgl\u0119dem godno\u015bci.",
    # translations of the same sentence in other scripts
    "ru": "Все люди рождаются свободными и равными в своем достоинстве и правах.",
    "ja": "すべての人間は、生まれながらにして自由である。",
    "zh": "人人生而自由,在尊严和权利上一律平等。",
}


@pytest.mark.parametrize("expected", ARTICLES)
def test_running_text_is_known(expected):
    label, probability = language(ARTICLES[expected])
    assert label == expected and probability > 0.5


@pytest.mark.parametrize(
    "text", ["", "ok", "hello", "1234 5678 -- 99 " * 40, "<<<>>> {}" * 9, "\ud800"]
)
def test_too_little_says_nothing(text):
    label, probability = language(text)
    assert label == "" and math.isnan(probability)


def test_only_the_beginning_counts():
    beginning = (ARTICLES["en"] + " ") * 40
    assert len(beginning) > BEGINNING
    assert language(beginning + ARTICLES["ru"] * 99) == language(beginning)


def test_the_columns_are_those_that_are_registered():
    group = attributes_of("text")["language"]
    values = group.of([ARTICLES["de"], ""])
    assert values["language"] == ["de", ""]
    assert values["language_probability"][0] > 0.9 and np.isnan(values["language_probability"][1])
    assert {column.name for column in group.columns} == set(values)


@given(st.lists(st.text(), max_size=3))
def test_any_text_has_a_label_or_none_whatever_is_beside_it(texts):
    values = languages(texts)
    for number, text in enumerate(texts):
        label, probability = language(text)
        assert values["language"][number] == label
        assert (label == "") == math.isnan(probability) and not probability > 1
        assert np.array_equal(values["language_probability"][number], probability, equal_nan=True)


def test_the_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    corpus_language._identifier.cache_clear()
    with pytest.raises(GenwrightError, match=r"genwright\[curation\]"):
        language(ARTICLES["en"])
    monkeypatch.undo()
    corpus_language._identifier.cache_clear()
