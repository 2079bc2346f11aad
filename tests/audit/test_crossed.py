"""Intersections of groupings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.audit.crossed import crossed
from genwright.core.groups import GroupCounts
from genwright.evaluation.intervals import wilson


def grouping(groups, rows, clusters=None):
    rows = np.array(rows, np.int64).reshape(-1, len(groups))
    if clusters is None:
        clusters = np.arange(len(rows))
    return GroupCounts(tuple(groups), rows, np.asarray(clusters))


def test_cells_and_who_is_left_out():
    tone = grouping(["dark", "light"], [[1, 0]] * 6 + [[0, 1]] * 3 + [[0, 0], [1, 1]])
    gender = grouping(["woman", "man"], [[1, 0]] * 6 + [[0, 2]] * 3 + [[1, 0], [1, 0]])
    found = crossed([tone, gender], ("tone", "gender"))
    counts = {cell.groups: cell.share.count for cell in found.cells}
    assert counts == {
        ("dark", "woman"): 6,
        ("dark", "man"): 0,
        ("light", "woman"): 0,
        ("light", "man"): 3,
    }
    assert found.empty == [("dark", "man"), ("light", "woman")]
    assert found.small == [("light", "man")]
    assert (found.examples, found.left_out) == (9, 2)
    assert found.names == ("tone", "gender")
    share = found.cells[0].share
    assert (share.low, share.high) == pytest.approx(wilson(6, 9, 1 - 0.05 / 4))


@given(st.lists(st.tuples(*[st.integers(-1, 2)] * 3), max_size=40))
def test_counts_are_those_of_a_loop(rows):
    groupings = []
    for column in range(3):
        own = [[int(row[column] == group) for group in range(3)] for row in rows]
        groupings.append(grouping("xyz", own))
    found = crossed(groupings)
    whole = [row for row in rows if -1 not in row]
    for cell in found.cells:
        wanted = tuple("xyz".index(group) for group in cell.groups)
        assert cell.share.count == whole.count(wanted)
    assert len(found.cells) == 27
    assert found.examples == len(whole)


def test_clusters_widen():
    rows = [[1, 0]] * 20 + [[0, 1]] * 20
    alone = crossed([grouping("ab", rows), grouping("cd", rows)])
    alike = crossed([grouping("ab", rows, np.arange(40) // 5), grouping("cd", rows)])
    assert alike.cells[0].share.low < alone.cells[0].share.low


def test_groupings_of_different_examples_are_refused():
    with pytest.raises(ValueError, match="different numbers of examples"):
        crossed([grouping("ab", [[1, 0]]), grouping("ab", [])])
    with pytest.raises(ValueError, match="no groupings"):
        crossed([])
