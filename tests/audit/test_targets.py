"""Declared targets: read, checked, refused."""

from pathlib import Path

import pytest

from genwright.audit.targets import check_names, checked, read_target, target_of
from genwright.core.errors import GenwrightError

GROUPS = ("dark", "light", "medium")


def test_uniform_is_of_the_groups_that_the_data_have() -> None:
    assert target_of("uniform", "tone", GROUPS) == dict.fromkeys(GROUPS, 1 / 3)


def test_shares_are_read_by_grouping_and_others_get_none() -> None:
    wanted = read_target("tone=dark:0.5|light:0.5,gender=uniform")
    assert target_of(wanted, "tone", GROUPS) == {"dark": 0.5, "light": 0.5, "medium": 0.0}
    assert target_of(wanted, "gender", ("man", "woman")) == {"man": 0.5, "woman": 0.5}
    assert target_of(wanted, "other", GROUPS) is None


def test_a_file_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "target.yaml"
    path.write_text("tone: {dark: 0.2, light: 0.8}\ngender: uniform\n", encoding="utf-8")
    wanted = read_target(str(path))
    assert target_of(wanted, "tone", GROUPS) == {"dark": 0.2, "light": 0.8, "medium": 0.0}


def test_shares_that_miss_one_by_rounding_are_made_to_sum_to_it() -> None:
    found = checked({"dark": 0.333, "light": 0.333, "medium": 0.333}, "tone", GROUPS)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"dark": 0.5, "light": 0.6}, "sum to 1.1"),
        ({"dark": 0.5, "lihgt": 0.5}, "names 'lihgt', which the data lack"),
        ({"dark": -0.5, "light": 1.5}, "a share of -0.5"),
        ({"dark": True}, "a share of True"),
        ({"dark": float("nan")}, "a share of nan"),
        ("even", "the target of tone is 'even'"),
    ],
)
def test_bad_shares_are_refused(value: object, says: str) -> None:
    with pytest.raises(GenwrightError, match=says):
        checked(value, "tone", GROUPS)


@pytest.mark.parametrize("words", ["even", "tone=", "=dark:1", "tone=dark", "tone=dark:x"])
def test_words_that_are_no_target_are_refused(words: str) -> None:
    with pytest.raises(GenwrightError, match="no target|no share"):
        read_target(words)


def test_one_grouping_has_one_target() -> None:
    with pytest.raises(GenwrightError, match="tone has two targets"):
        read_target("tone=uniform,tone=dark:1")


def test_a_target_of_what_is_not_audited_is_refused() -> None:
    with pytest.raises(GenwrightError, match="a target of gender, which is not among the groups"):
        check_names({"gender": "uniform"}, ["tone"])


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenwrightError, match="cannot be read as a target"):
        read_target(str(tmp_path / "none.yaml"))


def test_data_are_no_target_of_themselves() -> None:
    with pytest.raises(GenwrightError, match="it is the data that are audited"):
        target_of(read_target("data"), "tone", GROUPS)


def test_names_with_signs_stand_in_quotation_marks() -> None:
    found = read_target('folder="a, b":0.25|"c|d:e=f":.75,"my, group"=uniform')
    assert found == {"folder": {"a, b": 0.25, "c|d:e=f": 0.75}, "my, group": "uniform"}
    assert read_target('tone="say ""no""":1') == {"tone": {'say "no"': 1.0}}
    assert read_target("key=C: major:0.5|D: minor:.5") == {
        "key": {"C: major": 0.5, "D: minor": 0.5}
    }
    with pytest.raises(GenwrightError, match="a quotation does not end"):
        read_target('tone="light:0.5|dark:0.5')
