"""Two kept audits side by side."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genwright.audit import compare as comparing
from genwright.audit.compare import compare
from genwright.audit.found import groups_found, plain
from genwright.audit.page_compare import compare_page
from genwright.audit.table_compare import compare_text
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text
from genwright.core.groups import GroupCounts


def kept(
    name: str, data: dict[str, int], samples: dict[str, int], target: dict[str, float] | None
) -> dict[str, Any]:
    """An audit as it is read from its file."""

    def side(counts: dict[str, int]) -> Any:
        labels = np.repeat(np.arange(len(counts)), list(counts.values()))
        rows = np.eye(len(counts), dtype=np.int64)[labels]
        return groups_found(
            GroupCounts(tuple(counts), rows, np.arange(len(rows))),
            grouping="tone",
            how="by hand",
            of=name,
            counted="samples",
            target=target,
        )

    group = {
        "grouping": "tone",
        "data": plain(side(data)),
        "samples": plain(side(samples)),
        "apart": {"value": 0.1, "expected": 0.05, "most": 0.1},
        "losses": [],
        "quality": [],
        "warnings": [],
    }
    audit = {
        "run": name,
        "samples": sum(samples.values()),
        "target": "tone=uniform",
        "loss": None,
        "loss_unit": "",
        "groups": [group],
    }
    found: dict[str, Any] = json.loads(json_text(audit))
    return found


def compared(monkeypatch: pytest.MonkeyPatch, one: Any, other: Any) -> Any:
    audits = {"before": one, "after": other}
    monkeypatch.setattr(comparing, "newest_audit", lambda folder: audits[str(folder)])
    return compare("before", "after")


DATA = {"a": 60, "b": 40}
EVEN_DATA = {"a": 50, "b": 50}
EVEN = {"a": 0.5, "b": 0.5}


def test_a_change_stands_beside_permuted_labels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = kept("x", DATA, {"a": 80, "b": 20}, EVEN)
    other = kept("y", DATA, {"a": 50, "b": 50}, EVEN)
    found = compared(monkeypatch, one, other)
    first = found.groups[0].changed[0]
    assert first.change.value == pytest.approx(-0.3)
    rng = np.random.default_rng(0)
    every = np.repeat([1.0, 0.0], [130, 70])
    by_hand = []
    for _ in range(2000):
        order = rng.permutation(every)
        by_hand.append(order[:100].mean() - order[100:].mean())
    wanted = np.quantile(by_hand, [0.025, 0.975])
    assert (first.placebo_low, first.placebo_high) == pytest.approx(tuple(wanted), abs=0.03)
    assert found.remarks == []
    assert "placebo, 95%" in compare_text(found)
    page = compare_page(found, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<th>placebo</th>" in page


def test_a_group_that_one_run_alone_makes_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    one = kept("x", DATA, {"a": 60, "b": 40}, None)
    other = kept("y", DATA, {"a": 60, "b": 30, "c": 10}, None)
    (own,) = compared(monkeypatch, one, other).groups
    rows = {row.group: row for row in own.changed}
    assert rows["c"].before.share == 0 and rows["c"].change.value == pytest.approx(0.1)
    assert rows["c"].change.low > 0


def test_a_group_that_one_judge_did_not_learn_is_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = DATA | {"rare": 2}
    one = kept("x", data, {"a": 60, "b": 40}, None)
    other = kept("y", data, {"a": 60, "b": 30, "rare": 10}, None)
    (own,) = compared(monkeypatch, one, other).groups
    assert [row.group for row in own.changed] == ["a", "b"]


def test_other_shares_of_one_target_are_remarked(monkeypatch: pytest.MonkeyPatch) -> None:
    one = kept("x", DATA, DATA, EVEN)
    other = kept("y", DATA, DATA, {"a": 0.9, "b": 0.1})
    found = compared(monkeypatch, one, other)
    assert found.remarks == ["tone: the two were audited with different targets"]
    found = compared(monkeypatch, kept("x", DATA, DATA, None), kept("y", EVEN_DATA, DATA, None))
    assert len(found.remarks) == 1 and "each run is compared with its own" in found.remarks[0]


def test_an_audit_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = kept("x", DATA, DATA, EVEN)
    other = kept("y", DATA, DATA, EVEN)
    del other["groups"][0]["losses"]
    with pytest.raises(GenwrightError, match="not as this version writes them"):
        compared(monkeypatch, one, other)
