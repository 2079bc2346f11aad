"""Audits of runs whose groups are recognised in part, or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_audits import CHANGES

from genwright import api_audit
from genwright.api import train
from genwright.audit import run as auditing
from genwright.audit.groups import Grouping
from genwright.contents.text.content import TextContent
from genwright.core.errors import GenwrightError
from genwright.core.groups import NONE, Judge

FOLDERS = ("first", "rare", "second")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 60 documents in three folders, of which one is rare."""
    root = tmp_path_factory.mktemp("recognised")
    for number in range(60):
        place = root / "texts" / ("rare" if number < 6 else FOLDERS[number % 2 * 2])
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:02}.txt").write_text(f"Line {number} sings to {number * 7919 % 1000}.\n")
    changes = CHANGES | {"data.path": str(root / "texts"), "data.cache": str(root / "cache")}
    place = root / "run"
    train("shakespeare", run=place, quiet=True, **changes)
    return place


def judge(right: float) -> Judge:
    """Of two of the three folders. right: how much it gives to what is there."""
    truth = np.repeat(np.arange(3), 40)
    rest = (1 - right) / 2
    judged = np.where(np.eye(3)[truth] == 1, right, rest)

    def of(samples: Any) -> np.ndarray:
        found = np.full((len(samples), 3), rest)
        found[np.arange(len(samples)), np.arange(len(samples)) % 7 // 4] = right
        return found

    return Judge(("first", "second", NONE), of, "planted", truth, judged)


def recognising(monkeypatch: pytest.MonkeyPatch, right: float) -> None:
    def judges(content: Any, dataset: Any, attributes: Any) -> dict[str, Judge]:
        return {name: judge(right) for name in attributes}

    monkeypatch.setattr(TextContent, "judges", judges)


@pytest.mark.parametrize("target", ["uniform", "data", "folder=first:0.2|second:0.6|rare:0.2"])
def test_groups_that_are_not_recognised_are_left_out_of_both_sides(
    run: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    recognising(monkeypatch, 0.9)
    found, _ = api_audit.audit_of_run(run, groups="folder", target=target, n=40, conditions=0)
    own = found.groups[0]
    assert {share.group for share in own.data.shares} == set(FOLDERS)
    assert [row.group for row in own.amplified] == ["first", "second"]
    assert sum(row.data.share for row in own.amplified) == pytest.approx(1)
    for row in own.amplified:
        assert row.placebo_low is not None and row.placebo_high is not None
        assert row.placebo_low <= 0 <= row.placebo_high
    wanted = own.samples.target
    assert own.samples.distances is not None and own.apart is not None
    made = {share.group: share.share for share in own.samples.shares}
    assert wanted is not None
    # of the corrected shares themselves, not of whole counts that are as uncertain
    assert own.samples.distances.tv.value == pytest.approx(abs(made["first"] - wanted["first"]))
    in_data = {row.group: row.data.share for row in own.amplified}
    assert own.apart.value == pytest.approx(abs(made["first"] - in_data["first"]))
    assert set(wanted) == {"first", "second"}
    assert sum(wanted.values()) == pytest.approx(1)
    if target.startswith("folder"):
        assert wanted == pytest.approx({"first": 0.25, "second": 0.75})
    assert any("rare" in warning for warning in own.warnings)


def test_a_judge_at_chance_is_refused_before_samples_are_drawn(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recognising(monkeypatch, 1 / 3)

    def drawn(*_: Any, **__: Any) -> None:
        raise AssertionError("samples were drawn for nothing")

    monkeypatch.setattr(auditing, "drawn_samples", drawn)
    with pytest.raises(GenwrightError, match="at chance"):
        api_audit.audit_of_run(run, groups="folder", n=4)


def test_other_groups_are_audited_beside_a_judge_at_chance(
    run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recognising(monkeypatch, 1 / 3)
    words = tmp_path / "words.csv"
    words.write_text("line,first\nsings,second\n", encoding="utf-8")
    found, _ = api_audit.audit_of_run(run, groups=f"folder,{words}", n=4, conditions=0)
    assert [each.grouping for each in found.groups] == ["words"]
    assert any("folder" in remark and "at chance" in remark for remark in found.remarks)


def test_a_group_that_only_samples_have_is_amplified(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rule(samples: Any) -> list[tuple[str, ...]]:
        content = TextContent()
        return [("song",) if "sings" in content.as_text(one) else ("noise",) for one in samples]

    def by_hand(*_: Any) -> list[Grouping]:
        return [Grouping("what", "by hand", rule)]

    monkeypatch.setattr(auditing, "groupings", by_hand)
    found, _ = api_audit.audit_of_run(run, groups="what", n=6, conditions=0)
    rows = {row.group: row for row in found.groups[0].amplified}
    assert (rows["song"].data.share, rows["noise"].data.share) == (1, 0)
    assert rows["noise"].difference.value == 1


def test_groupings_of_which_nothing_is_known_are_crossed_with_nothing(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number in range(12):  # in no folder
        (tmp_path / "texts" / f"{number}.txt").write_text(f"Line {number}: she or he.\n")
    words = tmp_path / "words.csv"
    words.write_text("she,female\nhe,male\n", encoding="utf-8")
    changes = CHANGES | {
        "data.path": str(tmp_path / "texts"),
        "data.cache": str(tmp_path / "cache"),
    }
    found, _ = api_audit.audit_of_data(
        "shakespeare", groups=f"{words},folder", output=tmp_path / "page.html", **changes
    )
    assert [each.shares == [] for each in found.groups] == [False, True]
    assert found.crossed == []


def test_shares_of_several_values_are_of_values(monkeypatch: pytest.MonkeyPatch) -> None:
    from genwright.audit.data import found_in
    from genwright.audit.groups import Labelled

    labels = {"word": [("cat", "face"), ("dog", "face"), ()], "kind": [("one",), ("two",), ()]}
    asked = [Grouping(name, "what the data say", None) for name in labels]
    found = found_in(
        asked, Labelled(["a", "b", "c"], np.arange(3), labels), TextContent(), "data", None, 0
    )
    assert [each.counted for each in found] == ["values of word", "documents"]
    assert [share.total for share in found[0].shares] == [4, 4, 4]
