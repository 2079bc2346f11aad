import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.reporting.svg import Series, chart, scale, short, ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_few_round_and_inside(low, width):
    found = ticks(low, low + width)
    assert 2 <= len(found) <= 12
    step = found[1] - found[0]
    assert all(low - step * 1e-6 <= t <= low + width + step * 1e-6 for t in found)
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - m) for m in (1, 2, 5, 10)) < 1e-3


def test_ticks_by_hand():
    assert ticks(0, 10) == [0, 2, 4, 6, 8, 10]
    assert ticks(3, 3) == [3]
    assert [short(v) for v in (0.5, 1500, 20_000, 3e6)] == ["0.5", "1500", "20 k", "3 M"]


def points(svg, kind="line"):
    path = re.search(rf'<path class="{kind}"[^>]* d="([^"]*)"', svg).group(1)
    return [(float(x), float(y)) for x, y in re.findall(r"[ML]([\d.]+) ([\d.]+)", path)]


def test_a_line_is_drawn_to_scale():
    svg = chart([Series("a", [0, 5, 10], [0.0, 1.0, 2.0])], label="loss")
    (x0, y0), (x1, y1), (x2, y2) = points(svg)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.2) and y0 - y1 == pytest.approx(y1 - y2, abs=0.2)
    assert y0 > y2, "up is more"
    assert 'viewBox="58 14 886 306"' in svg, "what leaves the frame is cut off"


def test_floors_are_named_lines_inside_the_frame_and_labels_do_not_collide():
    svg = chart(
        [Series("a", [0, 1], [1.0, 2.0])],
        {"uniform": 8.318, "untrained": 8.33, "bigram <": 4.0},
        label="l",
    )
    assert svg.count('class="floor"') == 3 and "bigram &lt; 4" in svg
    heights = sorted(float(y) for y in re.findall(r'class="floor-name"[^>]* y="([\d.]+)"', svg))
    assert all(b - a >= 10 for a, b in zip(heights, heights[1:], strict=False))


def test_gaps_hover_and_emptiness():
    svg = chart([Series("a", [0, 1, 2, 3], [1.0, math.nan, 2.0, 3.0], kind="points")], label="l")
    path = re.search(r'<path class="points"[^>]* d="([^"]*)"', svg).group(1)
    assert path.count("M") == 2 and "nan" not in svg
    assert svg.count("<circle") == 3 and "a: 2 at step 2" in svg
    assert chart([Series("a", [0.0], [math.nan])], label="l") == ""
    assert chart([], label="l") == ""
    assert "<path" in chart([Series("a", [5], [5.0])], label="l"), "a single point"


def dot(svg):
    return float(re.search(r'<circle[^>]* cx="([\d.]+)"', svg).group(1))


def test_scale_puts_better_on_the_right():
    assert dot(scale(3.0, {"unigram": 5.0}, {"text": 1.0}, falling=True)) == pytest.approx(
        8 + 184 * 0.5
    )
    assert dot(scale(1.5, {"untrained": 3.0}, {"text": 1.0}, falling=True)) == pytest.approx(
        8 + 184 * 0.75
    )
    assert dot(scale(5.0, {"bigram": 4.0}, {}, falling=True)) == 8, "worse than its floor"
    assert dot(scale(0.6, {"noise": 0.0}, {"text": 1.0})) == pytest.approx(8 + 184 * 0.6, abs=0.1)
    assert scale(1.0, {}, {}) == "" and scale(math.nan, {"a": 1.0}, {}) == ""


def test_names_of_floors_stand_above_curves_and_a_small_chart_has_its_label_above():
    series = [Series("a", [0, 1], [1.0, 2.0])]
    svg = chart(series, {"bigram": 1.5}, label="not rewarded: a long name of a measure")
    assert svg.index("<path") < svg.index('class="floor-name"'), "a curve strikes no name through"
    above = chart(series, label="a label", label_above=True, size=(330, 210))
    assert "rotate" in svg and "rotate" not in above and ">a label</text>" in above


def test_a_scale_on_which_everything_is_equal_shows_no_fault():
    assert dot(scale(8.0, {}, {"all": 8.0})) == 192
