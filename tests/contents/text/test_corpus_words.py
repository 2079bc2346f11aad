"""Documents by a list of words: the sets `words` and `c4` with a list."""

import pickle

import numpy as np
import pytest

from genwright.contents.text.corpus_quality_words import WordList, word_list_attributes
from genwright.core.corpus import RuleSet, attributes_of, rules_of
from genwright.core.errors import GenwrightError


@pytest.fixture
def bad(tmp_path):
    path = tmp_path / "bad.txt"
    path.write_text("Darn\n\n  blast   it \nheck\n@*!\n", encoding="utf-8")
    return path


def rules(name: str, option: str) -> RuleSet:
    make = rules_of("text")[name].make
    assert make is not None
    return make(option)


def broken(made: RuleSet, texts: list[str]) -> list[set[str]]:
    """Of each text, the reasons for which it is dropped."""
    found = {}
    for group in made.attributes:
        found.update(attributes_of("text")[group].of(texts))
    reasons: list[set[str]] = [set() for _ in texts]
    for rule in made.rules:
        for at in np.flatnonzero(rule.breaks(found[rule.attribute])):
            reasons[at].add(rule.reason)
    return reasons


@pytest.mark.parametrize(
    "text,expected",
    [
        ("a darn good day", (1, 1, 4)),
        ("DARN! (darn) darn-it", (3, 3, 4)),
        ("darning darned undarn darn_", (0, 0, 4)),
        ("Blast\nit, blast  it; blast, it", (2, 4, 6)),
        ("what the @*! is this", (1, 0, 4)),
        ("what the a@*! is this", (0, 0, 5)),
        ("", (0, 0, 0)),
    ],
)
def test_occurrences(bad, text, expected):
    assert WordList.read(str(bad)).occurrences(text) == expected


def test_of_entries_that_share_words_the_longest_counts():
    listed = WordList("x", ("blast", "blast it", "it"))
    assert listed.occurrences("Blast it. It is a blast.") == (3, 4, 6)


def test_any_word_of_the_list_drops_a_document(bad):
    made = rules("words", str(bad))
    assert broken(made, ["a nice day", "what the heck", ""]) == [set(), {"words.bad"}, set()]


@pytest.mark.parametrize("most", ["0.25", "25%", ".25"])
def test_a_share_of_words_drops_a_document(bad, most):
    made = rules("words", f"{bad} {most}")
    assert broken(made, ["heck of a day", "heck of heck"]) == [set(), {"words.bad"}]


def test_a_path_may_end_in_a_number(tmp_path):
    path = tmp_path / "list 2"
    path.write_text("heck", encoding="utf-8")
    assert broken(rules("words", str(path)), ["heck"]) == [{"words.list 2"}]


def test_c4_looks_for_bad_words_in_what_is_left(bad):
    page = "This is a line that stays. Here is one more. And one more.\n"
    made = rules("c4", str(bad))
    assert broken(made, [page, page + "heck\n", page + "What the heck is this line?\n"]) == [
        set(),
        set(),
        {"c4.bad-words"},
    ]
    assert made.edits == ("c4-lines",)
    assert [rule.reason for rule in rules("c4", "").rules] == [r.reason for r in made.rules[:-1]]


def test_lists_with_the_same_entries_share_their_attributes(bad, tmp_path):
    other = tmp_path / "other.txt"
    other.write_text("HECK\nblast it\ndarn\n@*!", encoding="utf-8")
    assert rules("words", str(bad)).attributes == rules("words", str(other)).attributes


def test_attributes_of_a_list_can_be_sent_to_a_worker(bad):
    attributes = word_list_attributes(WordList.read(str(bad)))
    sent = pickle.loads(pickle.dumps(attributes.of))
    assert sent(["heck"]).keys() == {column.name for column in attributes.columns}


@pytest.mark.parametrize(
    "option,what",
    [
        ("", "has no list"),
        ("missing.txt", "missing.txt cannot be read"),
        ("EMPTY", "is empty"),
        ("BINARY", "cannot be read"),
        ("BAD 150%", "has the share 150%"),
    ],
)
def test_bad_lists(bad, tmp_path, option, what):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n \n")
    binary = tmp_path / "binary.txt"
    binary.write_bytes(b"\xff\xfe\x00")
    for word, path in (("EMPTY", empty), ("BINARY", binary), ("BAD", bad)):
        option = option.replace(word, str(path))
    with pytest.raises(GenwrightError, match=what):
        rules("words", option)
