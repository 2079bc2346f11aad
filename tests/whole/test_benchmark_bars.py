"""Bars of benchmarks: how a figure is found and judged, the exit code, the list of `make bench`."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import bench  # noqa: E402
import common  # noqa: E402
from bars import BARS, not_lower, noticed, shares_apart  # noqa: E402
from judging import OVERRIDES, Bar, count, off_by, overridden, passed, ratio, worst  # noqa: E402

FIGURES = {"text": {"seconds": 3.0}, "music": {"seconds": 9.0}, "list": [1, 2], "sets": 4}


@pytest.mark.parametrize(
    "bar,figure,met",
    [
        (Bar("", ("*", "seconds"), at_most=8), 9.0, False),
        (Bar("", ("*", "seconds"), at_most=9), 9.0, True),
        (Bar("", ("*", "seconds"), at_least=4), 3.0, False),
        (Bar("", ("t*", "seconds"), at_least=3), 3.0, True),
        (Bar("", ("list", "1"), equal=2), 2, True),
        (Bar("", ("list", "*"), equal=1), 2, False),
        (Bar("", ("nothing", "*"), at_most=1), None, None),
        (Bar("", count(("list",)), at_most=1), 2, False),
        (Bar("", ratio(("text", "seconds"), ("music", "seconds")), at_most=0.5), 1 / 3, True),
        (Bar("", ratio(("text", "seconds"), ("nothing",)), at_most=0.5), None, None),
    ],
)
def test_the_worst_figure_counts(bar, figure, met):
    judged = bar.judged(FIGURES)
    assert judged["figure"] == figure and judged["met"] is met


def test_a_figure_that_is_no_number_is_missed():
    figures = {"one": {"x": math.nan}, "two": {"x": 1.0}}
    for bound in ({"at_least": 0}, {"at_most": 5}):
        assert Bar("", ("*", "x"), **bound).judged(figures)["met"] is False
    assert off_by(("*", "x"))({"one": {"x": -2.0}, "two": {"x": 1.0}}) == 2.0


@pytest.mark.parametrize("figures", [[1.0, math.nan], [math.nan, 1.0], [None, math.nan, 1.0]])
def test_what_is_no_number_is_the_worst_wherever_it_stands(figures):
    assert math.isnan(worst(figures, max)) and math.isnan(worst(figures, min))
    assert math.isnan(off_by(("*", "x"))({str(n): {"x": x} for n, x in enumerate(figures)}))


def test_the_worst_of_nothing_is_not_measured():
    assert worst([], max) is None and worst([1.0, None], min) is None
    assert worst([1.0, 2.0], max) == 2.0 and worst([1.0, 2.0], min) == 1.0


def test_figures_of_several_are_no_number_where_one_is_none():
    shares = [(0.5, 0.5), (math.nan, 0.5)]
    compared = [{"share": one, "share by transformers": other} for one, other in shares]
    proxies = {
        "a": {"noticed in time": 9, "runs": 9},
        "b": {"noticed in time": math.nan, "runs": 9},
    }
    lost = {"before": {"pass@16": 0.5}, "after": {"pass@16": math.nan}}
    kept = {"before": {"pass@16": 0.5}, "after": {"pass@16": 0.75}}
    assert math.isnan(shares_apart({"compared": compared}))
    assert math.isnan(noticed({"bad proxies": proxies}))
    assert math.isnan(not_lower({"seed 0": kept, "seed 1": lost}))
    assert not_lower({"seed 0": kept}) == 0.25


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_gain_needs_both_sides(side):
    seed = {"before": {"pass@16": 0.5}, "after": {"pass@16": 0.75}}
    assert not_lower({"seed 0": seed, "seed 1": seed | {side: {"pass@1": 0.5}}}) is None


def test_a_bar_has_one_bound():
    for bounds in ({}, {"at_least": 1, "at_most": 2}):
        with pytest.raises(ValueError, match="one bound"):
            Bar("speed", ("x",), **bounds)


def test_a_result_passes_where_all_is_measured_and_met():
    assert passed([{"met": True}, {"met": True}]) is True
    assert passed([{"met": True}, {"met": None}]) is None
    assert passed([{"met": None}]) is False
    assert passed([{"met": True}, {"met": None}, {"met": False}]) is False


def test_bars_that_were_not_measured_are_named(tmp_path):
    kept = tmp_path / "result.json"
    compared = [{"share": 0.5, "share by transformers": 0.5}]
    assert common.finish("audit_pairs", {"compared": compared}, kept) == 0
    result = json.loads(kept.read_text())
    assert result["passed"] is None and result["not measured"] == ["sums apart, nats"]
    compared = [{"share": 0.5, "share by transformers": 0.6}]
    assert common.finish("audit_pairs", {"compared": compared}, kept) == 1
    assert json.loads(kept.read_text())["passed"] is False
    assert common.finish("audit_pairs", {"compared": []}, kept) == 1


def test_other_bounds_are_those_of_a_bar(monkeypatch):
    bars = [Bar("speed", ("x",), at_least=2), Bar("loss", ("y",), at_most=1)]
    monkeypatch.setenv(OVERRIDES, json.dumps({"speed": 9}))
    assert [bar.text for bar in overridden(bars, {"speed": 3, "loss": 4})] == [">= 9", "<= 4"]
    monkeypatch.setenv(OVERRIDES, json.dumps({"sped": 9}))
    with pytest.raises(ValueError, match="sped"):
        overridden(bars, {})


@pytest.mark.parametrize("seconds,code", [(59.0, 0), (61.0, 1)])
def test_the_exit_code_is_that_of_the_bars(seconds, code, tmp_path, capsys):
    kept = tmp_path / "result.json"
    figures = {"text": {"second, seconds": seconds}}
    assert common.finish("audit_speed", figures, kept) == code
    result = json.loads(kept.read_text())
    assert result["passed"] is (code == 0) and "not measured" not in result
    (bar,) = result["bars"]
    assert bar == {
        "name": "seconds of an audit",
        "bar": "<= 60",
        "figure": seconds,
        "met": code == 0,
    }
    assert ("met" if code == 0 else "MISSED") in capsys.readouterr().err


def test_the_list_has_every_bar_and_the_newest_figure(tmp_path, capsys):
    machine = {"processor": "Slow", "cores": 2, "amx": False, "threads": 1, "torch": "2.13.0"}
    for file, day, seconds in (("a", "2026-11-20", 70.0), ("b", "2026-11-21", 50.0)):
        result = {
            "benchmark": "audit_speed",
            "date": f"{day}T10:00:00+00:00",
            "figures": {"text": {"second, seconds": seconds}},
            "machine": machine,
        }
        (tmp_path / f"audit_speed-{file}.json").write_text(json.dumps(result))
    old = {"benchmark": "rewards_images", "figures": {}, "machine": {}}
    (tmp_path / "rewards_images.json").write_text(json.dumps(old))
    text = bench.listing(bench.results(tmp_path))
    lines = text.splitlines()
    row = lines[lines.index("audit_speed") + 1]
    assert "50" in row and "met" in row and "2026-11-21" in row
    assert "Slow, 2 cores, no AMX, 1 threads, torch 2.13.0" in row
    for name, bars in BARS.items():
        start = lines.index(name)
        for bar, line in zip(bars, lines[start + 1 :], strict=False):
            assert bar.name in line and bar.text in line
    assert "not in its results" in lines[lines.index("rewards_images") + 1]
    assert "never measured" in lines[lines.index("kill") + 1]
    assert "rewards_images" not in lines[-1] and "; kill;" in lines[-1]


def test_results_that_are_kept_are_held_against_the_bars():
    kept = bench.results()
    for name in {result.name for result in kept} & set(BARS):
        figures = [row[2] for row in bench.rows_of(name, kept)]
        assert any(figure != "-" for figure in figures), name


def test_an_unknown_benchmark_is_named():
    command = [sys.executable, str(ROOT / "benchmarks" / "bench.py"), "audit_sped"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "audit_speed" in done.stderr
