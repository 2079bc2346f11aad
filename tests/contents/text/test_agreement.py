"""Whether "her" is "his" or "him", in sentences and in a novel."""

import re
from pathlib import Path

import pytest

from genwright.contents.text.agreement import begins_noun, is_determiner
from genwright.contents.text.counterfactual import Swaps, swapped

LIST = Swaps((("he", "she"), ("him", "her"), ("his", "her")))

# with the pronoun that "her" stands for
SENTENCES = [
    # a verb without "to"
    "We saw him go.",
    "They let him cry.",
    "The nurse helped him move the boxes.",
    "It made him feel welcome.",
    "Bid him come to me.",
    "Nobody heard him answer.",
    "I have seen him walking there.",
    "She kept him waiting.",
    # what is given
    "The clerk gave him money.",
    "Nobody offered him help.",
    "She asked him questions.",
    "They charged him 1000 dollars.",
    "I wished him happy birthdays.",
    "We told him lies.",
    # what somebody is made
    "The news made him happy.",
    "That drove him mad, and he left.",
    "Keep him safe.",
    "It left him satisfied.",
    # short words and adverbs
    "They met him downtown.",
    "I told him that once.",
    "She thanked him warmly.",
    # determiners
    "His home is here.",
    "They came to his home.",
    "We heard his voice and saw his dog.",
    "He gave his hand to the queen.",
    "She told his mother the news.",
    "They asked his friends.",
    "I heard of his cry for help.",
    "His last name is long.",
    "His happy life began.",
    "He has a pain in his back.",
    "She liked his drawing.",
    "Despite his bad back he works.",
    "His wedding was late.",
    "They took his leave for a jest.",
]


@pytest.mark.parametrize("text", SENTENCES)
def test_her_becomes_what_it_stands_for(text: str) -> None:
    of_her = re.sub(r"\b(him|his)\b", "her", text)
    of_her = re.sub(r"\bHis\b", "Her", of_her)
    of_her = of_her.replace("He ", "She ").replace(" he ", " she ")
    of_her = re.sub(r"^(She) (?=thanked|kept|asked|told|liked)", "Nobody ", of_her)
    wanted = re.sub(r"^(She) (?=thanked|kept|asked|told|liked)", "Nobody ", text)
    assert swapped(of_her, LIST) == wanted


def test_what_his_becomes_is_told_by_what_follows_alone() -> None:
    """Before a verb that may be a noun it is a determiner: "heard his cry" is no "hers"."""
    assert swapped("I heard his cry.", LIST) == "I heard her cry."
    assert swapped("The book is his.", LIST) == "The book is hers."
    assert begins_noun("heard his cry", 9, {})
    assert not is_determiner("heard her cry", 6, 9, {})


def pronouns_of(text: str) -> list[tuple[int, int, str]]:
    """(start, stop, which) of each "him", and of each "his" that stands before a word."""
    found = []
    for match in re.finditer(r"\b(?:him\b|his\b(?=\s\w))", text, re.IGNORECASE):
        found.append((match.start(), match.end(), match.group().casefold()))
    return found


def test_in_a_novel_nearly_every_her_is_what_it_stands_for() -> None:
    """Jane Austen's "Lady Susan", which is text of a dependency's: nothing was made for it but a
    few words of the lists."""
    music21 = pytest.importorskip("music21")
    path = Path(music21.__file__).parent / "languageExcerpts" / "trainingData" / "en.txt"
    text = path.read_text(encoding="utf-8")
    right = {"him": 0, "his": 0}
    every = {"him": 0, "his": 0}
    for start, stop, which in pronouns_of(text):
        of_her = f"{text[:start]}her{text[stop:]}"
        found = "his" if is_determiner(of_her, start, start + 3, {}) else "him"
        every[which] += 1
        right[which] += found == which
    assert min(every.values()) > 100
    assert right["him"] / every["him"] > 0.97  # 89% by what follows alone
    assert right["his"] / every["his"] > 0.96
