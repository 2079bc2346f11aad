"""Any one room of contents can be removed: the rest is imported, and passes tests of its own.

Here some quick ones; `benchmarks/rooms.py` runs them all.
"""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import rooms

QUICK = [
    "sampling/test_warp.py",
    "objectives/test_transport.py",
    "reporting/test_svg.py",
    "contents/images/test_png.py",
    "contents/music/test_rules.py",
    "contents/points/test_points.py",
    "contents/text/test_generate.py",
    "-k",
    "not by_lot and not an_untrained_model",  # the longest ones
]


@pytest.mark.parametrize("room", rooms.ROOMS)
def test_the_rest_stands_without_a_room(room, tmp_path):
    rooms.copy_without(room, tmp_path)
    assert not (tmp_path / "src" / "genwright" / "contents" / room).exists()
    found = rooms.imported_and_tested(tmp_path, QUICK)
    assert found["files"] > 150
    assert found["passed"] > 20


def test_what_needs_the_room_is_noticed(tmp_path):
    rooms.copy_without("points", tmp_path)
    bad = tmp_path / "src" / "genwright" / "runs" / "bad.py"
    bad.write_text("from genwright.contents.points.codec import Points\n")
    with pytest.raises(RuntimeError, match=r"No module named 'genwright.contents.points"):
        rooms.imported(tmp_path)
