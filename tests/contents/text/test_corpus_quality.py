"""The quality rules of texts: against cases worked by hand from the papers, and against a plain
implementation (plain_quality.py) on text of every kind, exactly."""

import importlib
import inspect

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_quality import c4, fineweb, gopher

from genwright.contents.text.corpus_quality import QUALITY, quality
from genwright.contents.text.corpus_quality_pieces import TOGETHER
from genwright.contents.text.corpus_quality_repeats import sorted_by_hash
from genwright.core.corpus import attributes_of, edited, rules_of

MODULES = ("argparse", "ast", "asyncio", "collections", "csv", "datetime", "decimal", "difflib")


def docstrings() -> list[str]:
    """Texts of a real language, with code, lists and tables in them."""
    found = []
    for name in MODULES:
        module = importlib.import_module(name)
        found.append(inspect.getsource(module)[:6000])
        for _, thing in sorted(vars(module).items()):
            text = inspect.getdoc(thing) if callable(thing) else None
            if text:
                found.append(text)
    return found


def of(text: str) -> dict[str, float]:
    """Attribute -> value, of one text."""
    return {name: values[0] for name, values in quality([text]).items()}


def assert_equal_to_plain(texts: list[str]) -> None:
    found = quality(texts)
    for at, text in enumerate(texts):
        expected = {**gopher(text), **c4(text), **fineweb(text)}
        edits = found["c4-lines"][at]
        assert edited(text, edits) == expected.pop("left")
        assert all(edit.start < edit.stop <= len(text) for edit in edits)
        assert {*expected, "c4-lines"} == set(found)
        for name, value in expected.items():
            np.testing.assert_equal(found[name][at], value, f"{name} of {text!r}")


# few words, so that n-grams repeat; odd white space and line ends, between and around them
WORD = st.sampled_from(
    ["a", "b", "The", "of", "cc,", "--", "•", "…", "...", "x....", "#", "9", "é"]
)
BETWEEN = st.sampled_from(
    [" ", "\n", "\n\n", " \n \n", "\r\n", "\r", "\u2028", "\x1c", "\u3000", ""]
)
REPETITIVE = st.lists(st.tuples(WORD, BETWEEN), max_size=60).map(
    lambda pairs: "".join(word + between for word, between in pairs)
)
# lines of C4: some that stay, some that go for each reason, with citation markers in odd places
LINE_WORD = st.sampled_from(
    ["one", "Two.", "three", 'four?"', "five", "JavaScript", "Lorem", "Ipsum", "lorem ipsum", "{"]
    + ["use cookies", "Privacy Policy", "javascrİpt", "[1]", "six[22].", "[edit]", "(x.)", "y!)]'"]
    + ["[citation needed]", "e.g.[3]", "[]", "…", "z..."]
)
C4_LINE = st.lists(LINE_WORD, max_size=9).map(" ".join)
PAGE = st.lists(st.tuples(C4_LINE, st.sampled_from(["", ".", "!'", '"', ".[7]", ". "])), max_size=8)
C4_PAGE = st.tuples(PAGE, st.sampled_from(["\n", "\r\n", "\n\n ", "\r"])).map(
    lambda page: page[1].join(line + end for line, end in page[0])
)
ANY_TEXT = st.text(max_size=60)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(REPETITIVE, C4_PAGE, ANY_TEXT), max_size=5))
def test_the_vectorised_rules_equal_the_plain_ones(texts):
    assert_equal_to_plain(texts)


def test_the_vectorised_rules_equal_the_plain_ones_on_real_text():
    assert_equal_to_plain(docstrings())


def test_a_document_has_the_same_values_whatever_is_beside_it():
    texts = docstrings()
    together = quality(texts)
    shuffled = quality(texts[::-1])
    for name, values in together.items():
        np.testing.assert_equal(values, shuffled[name][::-1])
    for at in range(0, len(texts), 7):
        for name, value in of(texts[at]).items():
            np.testing.assert_equal(together[name][at], value)


def test_no_documents_and_a_text_longer_than_a_batch():
    assert {len(values) for values in quality([]).values()} == {0}
    words = [f"w{i * i % 7919}" for i in range(TOGETHER // 4)]
    text = " ".join(words)
    assert len(text) > TOGETHER
    found = quality(["before", text, "after"])
    assert found["words"].tolist() == [1, len(words), 1]
    assert found["mean-word-length"][1] == sum(map(len, words)) / len(words)
    assert found["duplicate-10-grams"][1] > 0.8  # squares repeat mod a prime


def test_hashes_that_share_their_upper_bits_are_told_apart():
    upper = 1 << 60
    hashes = np.array([upper, upper + 1, upper, upper + 1, 7], np.uint64)
    found = sorted_by_hash(np.arange(5), hashes)
    assert sorted(zip(found.place.tolist(), found.again.tolist(), strict=True)) == [
        (0, False),
        (1, False),
        (2, True),
        (3, True),
        (4, False),
    ]


# worked cases: by hand, from section A.1.1 of arXiv 2112.11446


def test_words_and_their_mean_length():
    found = of("It is\ta\n\nlong sentence.\u3000End")
    assert found["words"] == 6
    assert found["mean-word-length"] == (2 + 2 + 1 + 4 + 9 + 3) / 6


def test_symbols_to_words():
    found = of("# one #two three... four… five six.... seven eight......")
    assert found["words"] == 9
    assert found["hashes-to-words"] == 2 / 9
    assert found["ellipses-to-words"] == (1 + 1 + 1 + 2) / 9


def test_lines_that_begin_with_a_bullet_or_end_in_an_ellipsis():
    found = of("• one\n\n  - two...\n3. three…  \nfour-five..\n")
    assert found["bullet-lines"] == 2 / 4
    assert found["ellipsis-lines"] == 2 / 4


def test_words_with_a_letter_and_stop_words():
    found = of("The 12th of 3 – THE end: 2+2 == 4; дом")
    assert found["words-with-letter"] == 6 / 11
    assert found["stop-words"] == 2  # the, of
    assert of("other bean toe off sand thatch")["stop-words"] == 0
    assert of("be\0 to")["stop-words"] == 1


def test_duplicate_lines_and_paragraphs():
    text = "menu\n\nfirst line\nsecond\n\n menu \nmenu\n\nfirst line  \n  second\n"
    found = of(text)
    lines = [4, 10, 6, 4, 4, 10, 6]
    assert found["duplicate-lines"] == 4 / 7
    assert found["duplicate-line-characters"] == (4 + 4 + 10 + 6) / sum(lines)
    # paragraphs: menu | first line, second | menu, menu | first line, second
    assert found["duplicate-paragraphs"] == 1 / 4
    assert found["duplicate-paragraph-characters"] == 16 / sum(lines)


def test_the_most_frequent_n_gram():
    # "in the" three times, 5 characters each, of 27; "in the end" twice, 8 each
    found = of("in the end we in the end go in the")
    letters = 2 + 3 + 3 + 2 + 2 + 3 + 3 + 2 + 2 + 3
    assert found["top-2-gram"] == 15 / letters
    assert found["top-3-gram"] == 16 / letters
    assert found["top-4-gram"] == 0  # none occurs twice


def test_a_word_in_two_occurrences_counts_once():
    assert of("ha ha ha ha")["top-2-gram"] == 1
    assert of("ha ha ha ha")["top-3-gram"] == 1
    # of "a b" and "bbb cc", twice each, the one with more characters
    assert of("a b bbb cc x a b bbb cc")["top-2-gram"] == 10 / 15


def test_duplicate_n_grams():
    # seven words, then a word, then the seven again
    seven = "one two three four five six seven"
    found = of(f"{seven} stop {seven}")
    again = 3 + 3 + 5 + 4 + 4 + 3 + 5
    whole = 2 * again + 4
    for n in (5, 6, 7):
        assert found[f"duplicate-{n}-grams"] == again / whole
    assert found["duplicate-8-grams"] == 0
    assert found["duplicate-10-grams"] == 0


def test_n_grams_do_not_reach_into_the_next_document():
    found = quality(["a b c d e", "a b c d e", "x y a b c d e"])
    assert found["duplicate-5-grams"].tolist() == [0, 0, 0]


def test_what_nothing_can_be_said_of():
    found = of(" \n")
    assert found["words"] == 0 and found["stop-words"] == 0
    assert np.isnan(found["mean-word-length"]) and np.isnan(found["duplicate-lines"])


# worked cases of C4: by hand, from section 2.2 of arXiv 1910.10683


def left_by_c4(text: str) -> str:
    return edited(text, of(text)["c4-lines"])


@pytest.mark.parametrize(
    "line",
    [
        "This line has just five.",
        "Is it also one line?",
        "  An indented line stays so!  ",
        'She said "this one, too"',
        "And she said \N{LEFT DOUBLE QUOTATION MARK}this, too\N{RIGHT DOUBLE QUOTATION MARK}",
        "A period ends this one...",
        "word " * 4 + "w" * 2000 + ".",
        "The policy on cookies is private.",
        "Java scripts are terms of our use.",
    ],
)
def test_lines_that_c4_keeps(line):
    assert left_by_c4(f"Menu\n{line}\n") == f"{line}\n"


@pytest.mark.parametrize(
    "line",
    [
        "Only four words here.",
        "This one does not end",
        "Neither does this one here:",
        "Neither does this one (here)",
        "Please switch on JavaScript to see this.",
        "This page uses cookies of many kinds.",
        "Read our Privacy Policy before you go.",
        "By reading you accept the TERMS OF USE of it.",
        "",
        " \t",
    ],
)
def test_lines_that_c4_drops(line):
    kept = "Some line that does stay here."
    assert left_by_c4(f"{kept}\n{line}\n{kept}") == f"{kept}\n{kept}"
    assert left_by_c4(f"{line}\r\n{kept}\r\n{line}") == f"{kept}\r\n"


def test_c4_removes_citation_markers_before_it_looks_at_a_line():
    text = (
        "It was built in 1900.[1][23]\n"
        "It was [edit] here in May[citation needed].\n"
        "[a] [1b] stay here, too.\n"
        "Here are four [4] words.\n"
    )
    left = "It was built in 1900.\nIt was  here in May.\n[a] [1b] stay here, too.\n"
    assert left_by_c4(text) == left


def test_edits_are_in_order_and_apart():
    text = (
        "Menu\nHome\n\nThe first line[1] of this page.\nNext\n\nAnd[2] the second one[3] here.\nEnd"
    )
    edits = of(text)["c4-lines"]
    assert [text[edit.start : edit.stop] for edit in edits] == [
        "Menu\nHome\n\n",
        "[1]",
        "Next\n\n",
        "[2]",
        "[3]",
        "End",
    ]
    assert {edit.text for edit in edits} == {""}


def test_sentences_are_counted_on_the_lines_that_stay():
    text = (
        "One. Two. Three. Four. Five\n"  # goes: no mark at its end
        "One here. Two (there.) Three?! Four\n"  # goes
        'He said "Stop." Then (see 4.2.) he "went!"\n'  # Stop." 4.2.) went!"
        'Once (he said "Go.") and (once [said "Go."]) he left.\n'  # Go.") left.
        'The line ends in "quotation marks"\n'  # one, at its end
    )
    assert of(text)["c4-sentences"] == 6


def test_curly_brackets_and_placeholders_are_counted_on_the_lines_that_stay():
    found = of(
        "function() {\n"
        "Lorem ipsum dolor\n"
        "This stays, and has two { { brackets.\n"
        "So does Lorem Ipsum of lorem ipsum.\n"
    )
    assert found["c4-curly-brackets"] == 2
    assert found["c4-lorem-ipsum"] == 2


# worked cases of FineWeb: by hand, from section 3.6 of arXiv 2406.17557


def test_lines_that_end_with_punctuation_and_short_lines():
    text = f'{"x" * 29}.\n\n{"x" * 28}.\n{"x" * 40}\n  {"x" * 29}  \n{"y" * 30}!"\n'
    found = of(text)
    assert found["ended-lines"] == 3 / 5
    assert found["short-lines"] == 2 / 5


def lines(ended: int, others: int, long: int = 100) -> str:
    numbered = [f"{at:<{long}}|" for at in range(others)] + [
        f"{at:<{long}}." for at in range(ended)
    ]
    return "\n".join(numbered)


@pytest.mark.parametrize(
    "text,reasons",
    [
        (lines(13, 87), set()),
        (lines(12, 88), {"fineweb.ended-lines"}),  # .12 is dropped
        (lines(66, 0, 20) + "\n" + lines(34, 0), set()),
        (lines(67, 0, 20) + "\n" + lines(33, 0), {"fineweb.short-lines"}),  # .67 is dropped
        (lines(10, 0) + "\n" + lines(1, 0), set()),  # 1 of 11
        (lines(9, 0) + "\n" + lines(1, 0), {"fineweb.duplicate-line-characters"}),  # 1 of 10
    ],
)
def test_fineweb_drops_by_its_numbers(text, reasons):
    assert broken("fineweb", text) == reasons


# rules


def broken(name: str, text: str, option: str = "") -> set[str]:
    """The reasons for which a rule set drops a text."""
    rules = rules_of("text")[name]
    if rules.make is not None:
        rules = rules.make(option)
    found = {}
    for group in rules.attributes:
        found.update(attributes_of("text")[group].of([text]))
    return {rule.reason for rule in rules.rules if rule.breaks(found[rule.attribute])[0]}


THREE = "This is the first sentence. This is the second one.\nAnd this is the third.\n"


@pytest.mark.parametrize(
    "text,reasons",
    [
        (THREE, set()),
        (THREE.replace("one.", "one"), {"c4.sentences"}),
        ("", {"c4.sentences"}),
        (THREE + "A line with a { in it.", {"c4.curly-bracket"}),
        (THREE + "A line with a } in it.", set()),
        (THREE + "while (true) {\n", set()),
        (THREE + "Here stands Lorem Ipsum in it.", {"c4.lorem-ipsum"}),
    ],
)
def test_c4_drops_pages_by_its_rules(text, reasons):
    assert broken("c4", text) == reasons


def numbered(words: int) -> str:
    return " ".join(["the", "of", *(f"word{i}" for i in range(words - 2))])


@pytest.mark.parametrize(
    "text,reasons",
    [
        (numbered(50), set()),
        (numbered(49), {"gopher.words"}),
        (numbered(100_000), set()),
        (numbered(100_001), {"gopher.words"}),
        (numbered(60) + " #" * 6, set()),  # 6 of 66
        (numbered(60) + " ##" * 4, {"gopher.hashes-to-words"}),  # 8 of 64
        (numbered(60) + "..." * 6 + "!", set()),  # 6 of 60: one in ten is no more than .1
        (numbered(60) + "..." * 7 + "!", {"gopher.ellipses-to-words"}),
        (
            numbered(60).replace(" word", "\n- word"),
            {"gopher.bullet-lines", "gopher.words-with-letter"},
        ),
        (numbered(60).replace(" word", "\n-word"), {"gopher.bullet-lines"}),
        (numbered(62).replace("the of", "one two"), {"gopher.stop-words"}),
    ],
)
def test_gopher_drops_by_its_numbers(text, reasons):
    assert broken("gopher", text) == reasons


def test_gopher_drops_repetition():
    line = "the cat of the house sat on its mat with a hat"
    reasons = broken("gopher", "\n".join([line] * 5))
    assert {"gopher.duplicate-lines", "gopher.duplicate-line-characters"} <= reasons
    assert {f"gopher.duplicate-{n}-grams" for n in range(5, 11)} <= reasons
    assert {f"gopher.top-{n}-gram" for n in (3, 4)} <= reasons


def test_attributes_and_rules_are_registered():
    assert attributes_of("text")["quality"] is QUALITY
    names = {column.name for column in QUALITY.columns}
    assert len(names) == len(QUALITY.columns)
    for name in ("gopher", "c4", "fineweb"):
        rules = rules_of("text")[name]
        assert rules.attributes == ("quality",)
        assert {rule.attribute for rule in rules.rules} | set(rules.edits) <= names


def test_the_bounds_of_repetition_are_those_of_table_a1():
    most = {rule.attribute: rule.at_most for rule in rules_of("text")["gopher"].rules}
    table = {
        "duplicate-lines": 0.30,
        "duplicate-paragraphs": 0.30,
        "duplicate-line-characters": 0.20,
        "duplicate-paragraph-characters": 0.20,
        "top-2-gram": 0.20,
        "top-3-gram": 0.18,
        "top-4-gram": 0.16,
        "duplicate-5-grams": 0.15,
        "duplicate-6-grams": 0.14,
        "duplicate-7-grams": 0.13,
        "duplicate-8-grams": 0.12,
        "duplicate-9-grams": 0.11,
        "duplicate-10-grams": 0.10,
    }
    assert {name: most[name] for name in table} == table


@pytest.mark.parametrize("n,enough", [(2, 40), (3, 69), (4, 105)])
def test_gopher_drops_a_frequent_n_gram_above_its_bound(n, enough):
    """An n-gram of 5 n characters ten times, among words of 10 characters: n = 2 is 100 of 500 with
    40 of them, which is .20; n = 3 is 150 of 840, n = 4 is 200 of 1,250, which is .16."""
    gram = " ".join(["abcde", "fghij", "klmno", "pqrst"][:n])
    for others, drops in ((enough, False), (enough - 1, True)):
        words = [f"filler{at:04}" for at in range(others)]
        text = " ".join([f"{words[at]} {gram}" for at in range(10)] + words[10:])
        assert (f"gopher.top-{n}-gram" in broken("gopher", text)) == drops
