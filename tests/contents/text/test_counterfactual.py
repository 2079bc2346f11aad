import random
import subprocess
import sys

import pytest

from genwright.contents.text.counterfactual import Swaps, read_swaps, swapped
from genwright.core.errors import GenwrightError

PRONOUNS = (("he", "she"), ("him", "her"), ("his", "hers"), ("himself", "herself"))
LIST = Swaps((*PRONOUNS, ("king", "queen"), ("John", "Mary"), ("Mark", "Ann")))


@pytest.mark.parametrize(
    ("text", "twin"),
    [
        ("The nurse said that she was late.", "The nurse said that he was late."),
        ("He left. HE LEFT. She's here.", "She left. SHE LEFT. He's here."),
        ("I saw her. Her car is red.", "I saw him. His car is red."),
        ("We gave her the book and her old coat.", "We gave him the book and his old coat."),
        (
            "They kissed her softly at her lovely house.",
            "They kissed him softly at his lovely house.",
        ),
        ("The book is his, not hers.", "The book is hers, not his."),
        ("His 3 sons hurt him; HIS CAR, HIS.", "Her 3 sons hurt her; HER CAR, HERS."),
        ("He hurt himself\nwith his\nknife.", "She hurt herself\nwith her\nknife."),
        ("The King and kings, Queens, thinking", "The Queen and kings, Queens, thinking"),
        ("John's mark; Mark, MARK and john", "Mary's mark; Ann, ANN and john"),
        ("nothing listed here", "nothing listed here"),
        ("", ""),
    ],
)
def test_twins(text: str, twin: str):
    assert swapped(text, LIST) == twin


def test_agreement_needs_its_pronouns():
    """A list without them leaves "his" and "her" alone."""
    assert swapped("he and his king", Swaps((("he", "she"),))) == "she and his king"


def test_phrases_and_hyphens():
    swaps = Swaps((("mother-in-law", "father-in-law"), ("old man", "old woman"), ("old", "young")))
    text = "My mother-in-law met an Old man, an old\nman, an old mann. Old!"
    twin = "My father-in-law met an Old woman, an old\nwoman, an young mann. Young!"
    assert swapped(text, swaps) == twin
    assert swapped(twin, swaps) == text


def test_twice_gives_the_text_back():
    words = ["he", "she", "king", "queen", "John", "Mary", "the", "nurse", "saw", "mark", "Mark"]
    words += ["himself", "herself", "hers.", "house", ",", ".", "and", "softly", "\n", "-", "é"]
    random.seed(0)
    for _ in range(500):
        chosen = random.choices(words, k=random.randint(0, 12))
        cased = [random.choice((str, str.capitalize, str.upper))(word) for word in chosen]
        text = random.choice((" ", "  ")).join(cased)
        twin = swapped(text, LIST)
        assert swapped(twin, LIST) == text


def test_pronouns_come_back():
    """In the places that grammar gives them."""
    text = "He gave his sister her coat, saw her, and said: the coat is hers, the hat is his."
    assert swapped(text, LIST) == (
        "She gave her sister his coat, saw him, and said: the coat is his, the hat is hers."
    )
    assert swapped(swapped(text, LIST), LIST) == text


def test_lists(tmp_path):
    path = tmp_path / "swaps.csv"
    path.write_text("\ufeff# people\nhe,she\n\nshe,he\n old  man ,old woman\nhis,her\nhim,her\n")
    pairs = (("he", "she"), ("old man", "old woman"), ("his", "her"), ("him", "her"))
    assert read_swaps(path) == Swaps(pairs)
    (tmp_path / "swaps.tsv").write_text("he\tshe\n")
    assert read_swaps(tmp_path / "swaps.tsv") == Swaps((("he", "she"),))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("he,He\n", "line 1 pairs 'he' with itself"),
        ("he,she\nking,queen\nshe,they\n", "pairs 'she' twice, on lines 1 and 3"),
        ("a,b\nb,c\nc,a\n", "go round in a circle: a, b, c, a"),
        ("he\n", "line 1 is 'he', and no pair of words"),
        ("he,she,they\n", "line 1 is 'he,she,they', and no pair of words"),
        ("he,\n", "line 1 is 'he,', and no pair of words"),
        ("he,!\n", "line 1 is 'he,!', and no pair of words"),
        ("# nothing\n", "holds no pairs of words"),
    ],
)
def test_bad_lists(tmp_path, lines: str, message: str):
    path = tmp_path / "swaps.csv"
    path.write_text(lines)
    with pytest.raises(GenwrightError) as caught:
        read_swaps(path)
    assert message in caught.value.what
    assert caught.value.remedy


def test_no_list(tmp_path):
    with pytest.raises(GenwrightError, match="cannot be read as a list of pairs"):
        read_swaps(tmp_path / "none.csv")


def test_workers_need_no_torch():
    code = "import sys, genwright.contents.text.counterfactual; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
