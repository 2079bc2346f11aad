"""What `benchmarks/rewards_music.py` says of alternatives at equal cost, whichever wins."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

from rewards_music import at_equal_cost


def of_set(faults, draws, seconds, reward=0.0):
    return {
        "faults": {"value": faults},
        "draws a piece": draws,
        "seconds a piece": seconds,
        "reward": reward,
    }


@pytest.mark.parametrize(
    "after, of_best, wins, beside",
    [
        (0.05, 0.1, "after", "it is no better, at 8 draws a piece"),
        (0.2, 0.1, "after", "it is better, at 8 draws a piece"),
        (0.9, 0.1, "before", "it is better, at 8 draws a piece"),
    ],
)
def test_who_wins_at_equal_cost_is_said(after, of_best, wins, beside):
    figures = {
        "before": of_set(0.6, 1, 0.5),
        "after": of_set(after, 1, 0.5),
        "best of 8": of_set(of_best, 8, 4.0),
        "held-out music": of_set(0.06, 0, float("nan")),
    }
    off = {name: figures[name]["faults"]["value"] for name in figures}
    found = at_equal_cost(figures, "faults", off)
    assert set(found["sets"]) == {"before", "after", "best of 8"}
    assert found["sets"]["best of 8"]["draws a piece"] == 8
    assert found["best first"][0] == wins
    assert f"{wins} wins: " in found["in words"]
    assert found["in words"].endswith(f"best of 8 has {of_best:.3g}, 4 s a piece; {beside}.")
