"""Two kept audits side by side."""

import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from genwright.audit import compare as comparing
from genwright.audit.compare import compare, newest_audit
from genwright.audit.found import groups_found, plain
from genwright.audit.held_out import held_out_of, mean_of
from genwright.audit.losses import Losses
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
    monkeypatch.setattr(comparing, "newest_audit", lambda folder, evenly=False: audits[str(folder)])
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


def losses_of(values: np.ndarray) -> dict[str, Any]:
    """Of one unit each, as an audit keeps them."""
    measured = Losses(values, np.ones(len(values)))
    names = [str(number) for number in range(len(values))]
    kept_losses = held_out_of(measured, names, np.arange(len(values)))
    mean, half = mean_of(kept_losses)
    found: dict[str, Any] = {"loss": mean, "loss_low": mean - half, "loss_high": mean + half}
    return found | {"held_out": plain(kept_losses), "loss_unit": "nats"}


def test_losses_of_the_same_examples_are_compared_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(3, 1, 50)
    after = before + rng.normal(0.1, 0.05, 50)
    one = kept("x", DATA, DATA, None) | losses_of(before)
    other = kept("y", DATA, DATA, None) | losses_of(after)
    for audit, values in ((one, before), (other, after)):
        own = {"group": "a", "mean": float(values[:30].mean()), "low": 0.0, "high": 9.0}
        audit["groups"][0] |= {"losses": [own], "members": {"a": list(range(30))}}
    found = compared(monkeypatch, one, other)
    (price,) = found.prices
    wanted = stats.t.interval(0.95, 49, (after - before).mean(), stats.sem(after - before))
    assert (price.low, price.high) == pytest.approx(wanted, rel=1e-4)
    assert price.worse_between[0] == pytest.approx(wanted[0] / before.mean(), rel=1e-4)
    (of_a,) = found.groups[0].prices
    changes = (after - before)[:30]
    wanted = stats.t.interval(0.95, 29, changes.mean(), stats.sem(changes))
    assert (of_a.low, of_a.high) == pytest.approx(wanted, rel=1e-4)
    low, high = price.worse_between
    assert f"{low:+.1%} to {high:+.1%}" in compare_text(found)
    # other examples: as far as both intervals allow
    other["held_out"]["examples"] = "others"
    (price,) = compared(monkeypatch, one, other).prices
    assert price.high - price.low > 0.5


def test_changes_of_precision_recall_and_coverage_have_intervals(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one = kept("x", DATA, DATA, None)
    other = kept("y", DATA, DATA, None)
    for audit, by in ((one, 0.0), (other, 0.1)):
        own: dict[str, Any] = {"group": "a", "equal": 40}
        own |= {"precision": 0.9, "recall": 0.5 - by, "coverage": 0.8}
        own["errors"] = {"precision": 0.03, "recall": 0.04, "coverage": 0.0}
        audit["groups"][0]["quality"] = [own]
    found = compared(monkeypatch, one, other)
    precision, recall, coverage = found.groups[0].prices
    assert recall.name.startswith("recall of a")
    half = 1.959964 * 0.04 * 2**0.5
    assert (recall.low, recall.high) == pytest.approx((-0.1 - half, -0.1 + half), rel=1e-4)
    assert recall.worse == pytest.approx(0.2) and recall.worse_between[0] < 0.2
    assert precision.low < 0 < precision.high and coverage.low == coverage.high == 0
    assert "95% interval" in compare_page(found, tmp_path / "page.html").read_text()
    del one["groups"][0]["quality"][0]["errors"]  # an audit of before: no interval, no failure
    assert "recall of a" in compare_text(compared(monkeypatch, one, other))


def test_what_was_not_drawn_alike_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    one = kept("x", DATA, DATA, None) | {"seed": 0, "weights": "ema", "prompts": []}
    other = kept("y", DATA, {"a": 6, "b": 4}, None)
    other |= {"seed": 1, "weights": "raw", "prompts": ["She"]}
    other["groups"][0]["samples"]["how"] = "another judge"
    said = "\n".join(compared(monkeypatch, one, other).remarks)
    assert "100 samples were drawn of one and 10 of the other" in said
    assert "begin with nothing and of the other with 'She'" in said
    assert "the seeds are 0 and 1" in said
    assert "ema weights of one and raw weights of the other" in said
    assert "tone: not told alike in samples of the two: by hand; and another judge" in said
    assert compared(monkeypatch, one, one).remarks == []


@pytest.mark.parametrize(
    "changed,said",
    [
        ({"loss_unit": "nats/example"}, "nats/token of one and nats/example of the other"),
        ({"encoding": "words"}, "the codecs differ"),
    ],
)
def test_losses_of_other_things_have_no_price(
    monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], said: str
) -> None:
    values = np.random.default_rng(0).normal(3, 1, 50)
    audits = []
    for name in ("x", "y"):
        audit = kept(name, DATA, DATA, None) | losses_of(values)
        audit |= {"loss_unit": "nats/token", "encoding": "bytes"}
        own = {"group": "a", "mean": 3.0, "low": 2.9, "high": 3.1}
        audit["groups"][0] |= {"losses": [own], "members": {"a": list(range(30))}}
        audits.append(audit)
    found = compared(monkeypatch, *audits)
    assert len(found.prices) == len(found.groups[0].prices) == 1 and found.remarks == []
    audits[1] |= changed
    found = compared(monkeypatch, *audits)
    assert found.prices == found.groups[0].prices == []
    (remark,) = found.remarks
    assert remark.startswith("held-out losses are not compared: ") and said in remark
    audits[1]["loss"] = None  # nothing to compare, nothing to say
    assert compared(monkeypatch, *audits).remarks == []


def audited(
    monkeypatch: pytest.MonkeyPatch, folder: Path, earlier: dict[str, Any], newest: dict[str, Any]
) -> dict[str, Any]:
    """What is read of a run with two audits, the earlier by another grouping."""
    earlier["groups"][0]["grouping"] = "folder"
    for audit in (earlier, newest):
        audit["groups"][0]["members"] = {"a": [0, 1]}
    (folder / "audits").mkdir()
    for number, audit in enumerate((earlier, newest)):
        path = folder / "audits" / f"step-{number}.json"
        path.write_text(json_text(audit), encoding="utf-8")
        os.utime(path, (number, number))
    space = SimpleNamespace(vocabulary=256, shape=())
    run = SimpleNamespace(folder=folder, codec=SimpleNamespace(space=space, digest="bytes"))
    monkeypatch.setattr(comparing, "load", lambda place: run)
    return dict(newest_audit(folder))


@pytest.mark.parametrize("equal", [True, False])
def test_examples_of_an_earlier_audit_are_numbered_in_its_own_list(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, equal: bool
) -> None:
    values = np.random.default_rng(0).normal(3, 1, 50)
    earlier = kept("x", DATA, DATA, None) | losses_of(values)
    newest = kept("x", DATA, DATA, None) | losses_of(values if equal else values[:40])
    found = audited(monkeypatch, tmp_path, earlier, newest)
    tone, place = found["groups"]
    assert (tone["grouping"], place["grouping"]) == ("tone", "folder")
    assert tone["members"] == {"a": [0, 1]}
    assert place["members"] == ({"a": [0, 1]} if equal else {})
    assert found["encoding"] == "bytes"


def test_an_audit_that_does_not_name_prompts_had_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    newest = kept("x", DATA, DATA, None) | {"prompts": []}
    found = audited(monkeypatch, tmp_path, kept("x", DATA, DATA, None), newest)
    assert len(found["groups"]) == 2
