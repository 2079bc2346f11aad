"""The frontier on a page: every point is drawn where it lies, and every one is in the table."""

import math
import re

from genwright.rewards.frontier_chart import frontier_html
from genwright.rewards.frontier_points import Frontier, Point

POINTS = [
    Point("before", "before", 0.2, 0.01, 0.0, held_out=1.5, distinct_4=0.9),
    Point("best of 4", "best-of-n", 0.4, 0.01, 0.636, is_bound=True, draws=4),
    Point("best of 2", "best-of-n", 0.3, 0.01, 0.193, is_bound=True, draws=2),
    Point("kl weight 0.1", "policy", 0.5, 0.02, 2.0, held_out=1.6, seconds=61.0),
    Point("kl weight 0", "policy", 0.7, 0.02, 9.0, held_out=2.6, seconds=61.0),
    Point("trained on <the best>", "rejection", 0.45, 0.02, 3.0, seconds=61.0),
]


def page(real=0.6):
    return frontier_html(Frontier("runs/x", 40, 256, 16, "held_out", POINTS, ["No rules."]), real)


def test_every_point_is_drawn_and_named():
    html = page()
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="3.2"><title>(.*?)</title>', html)
    assert len(dots) == len(POINTS)
    for kind, reward, kl in (("weights of", "0.7", "9"), ("best of n", "0.3", "0.193")):
        assert any(kind in title and f"{reward} at" in title and kl in title for *_, title in dots)
    place = {title: (float(x), float(y)) for x, y, title in dots}
    far = next(p for title, p in place.items() if "0.7 at" in title)
    near = next(p for title, p in place.items() if "0.5 at" in title)
    assert far[0] > near[0] and far[1] < near[1], "further right, and higher up"
    assert "real data 0.6" in html
    for words in ("at most 0.636", "4 draws a sample", "61 s of training", "2.6 nats/token"):
        assert words in html
    assert "trained on &lt;the best&gt;" in html
    assert "No rules." in html and "256 samples of each" in html


def test_real_data_need_no_reward():
    assert "floor-name" not in page(math.nan)
