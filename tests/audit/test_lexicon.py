"""Lists of words with their groups: read, found in text, refused."""

from pathlib import Path

import pytest

from genwright.core.errors import GenwrightError
from genwright.core.lexicon import read_lexicon


def written(folder: Path, text: str, name: str = "gender.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_words_are_found_whole_in_any_case(tmp_path: Path) -> None:
    lexicon = read_lexicon(written(tmp_path, "word,group\nshe,female\nhe,male\nmy aunt,female\n"))
    assert (lexicon.name, lexicon.groups) == ("gender", ("female", "male"))
    text = "She said he saw My  Aunt; the shed is his."
    assert [text[a:b] for a, b, _ in lexicon.found(text)] == ["She", "he", "My  Aunt"]
    assert lexicon.counts(text) == [2, 1]


def test_headings_may_stand_in_any_order_and_tabs_divide(tmp_path: Path) -> None:
    lexicon = read_lexicon(written(tmp_path, "Group\tWord\nf\tshe\nm\the\n", "g.tsv"))
    assert lexicon.words == {"she": "f", "he": "m"}


def test_a_dotted_capital_i_that_only_looks_like_a_word_is_passed_over(tmp_path: Path) -> None:
    lexicon = read_lexicon(written(tmp_path, "ia,a\nib,b\n"))
    assert lexicon.counts("\u0130a ia IB") == [1, 1]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("she,female\nhe,male\nShe,female\n", "lists 'she' twice, on lines 1 and 3"),
        ("she,female\nher,female\n", "lists words of 1 group"),
        ("", "lists words of 0 groups"),
        ("she,female\nhe\n", "line 2 is 'he'"),
        ("she,female\nhe,\n", "line 2 is 'he,'"),
    ],
)
def test_bad_lists_are_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(GenwrightError, match=says):
        read_lexicon(written(tmp_path, text))


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenwrightError, match="cannot be read as a list of words"):
        read_lexicon(tmp_path / "none.csv")
