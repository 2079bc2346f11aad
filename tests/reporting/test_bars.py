"""Bars have the lengths of their numbers, and stand where their values are."""

import re

import pytest

from genwright.reporting.bars import BOTTOM, SIZE, Bound, Counts, Part, histogram, stacked


def rectangles(svg: str) -> list[dict[str, float]]:
    found = []
    for tag in re.findall(r"<rect [^>]*>", svg):
        found.append(
            {name: float(value) for name, value in re.findall(r' (\w+)="([^"]*)"', tag)[1:]}
        )
    return found


def test_parts_of_a_whole_have_their_shares():
    html = stacked([Part("a", 1, 0), Part("none", 0, 1), Part("<b>", 3, 7)])
    assert re.findall(r"width:([\d.]+)%", html) == ["25.000", "75.000"]
    assert "none" not in html and "&lt;b&gt;: 75.0%" in html
    assert stacked([Part("a", 0, 0)]) == '<div class="stack"></div>'


def test_bars_are_as_high_as_their_counts_and_stand_in_their_bins():
    one = Counts("one", [1, 2, 0], 0)
    other = Counts("other", [0, 4, 3], 1)
    bars = rectangles(histogram([0, 1, 2, 3], [one, other], label="x"))
    heights = [bar["height"] for bar in bars]
    assert [height / heights[2] for height in heights] == pytest.approx(
        [1 / 4, 2 / 4, 1, 3 / 4], abs=0.01
    )
    assert all(bar["y"] + bar["height"] == pytest.approx(SIZE[1] - BOTTOM) for bar in bars)
    starts = [bar["x"] for bar in bars]
    assert starts == sorted(starts)
    assert starts[2] == pytest.approx(starts[1] + bars[1]["width"], abs=0.2)  # beside each other


def test_bounds_stand_at_their_values_on_both_kinds_of_axis():
    for log, edges, middle in ((False, [0, 5, 10], 5), (True, [1, 10, 100], 10)):
        counts = Counts("a", [1, 1], 0)
        svg = histogram(edges, [counts], [Bound(middle, "at most <x>", "r")], log=log, label="x")
        x = float(re.search(r'<line class="floor" x1="([\d.]+)"', svg).group(1))
        assert rectangles(svg)[1]["x"] == pytest.approx(x, abs=0.1)
        assert "at most &lt;x&gt;" in svg and "<x>" not in svg


def test_one_document_is_seen_beside_a_million():
    heights = [
        bar["height"]
        for bar in rectangles(histogram([0, 1, 2, 3], [Counts("a", [10**6, 1, 1], 0)], label="x"))
    ]
    assert min(heights) >= 1.5
    assert max(heights) <= SIZE[1] - BOTTOM


def test_nothing_is_drawn_of_nothing():
    assert histogram([0, 1], [Counts("a", [0], 0)], label="x") == ""
    assert histogram([0], [Counts("a", [], 0)], label="x") == ""
