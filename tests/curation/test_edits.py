"""Edits of several rules become one list, in order and apart."""

from hypothesis import given
from hypothesis import strategies as st

from genwright.core.corpus import Edit
from genwright.curation.edits import joined

EDITS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 9)), max_size=12).map(
    lambda pairs: [Edit(start, start + length, "x") for start, length in pairs]
)


@given(st.lists(EDITS, max_size=3))
def test_the_longer_of_two_that_meet_stays(several):
    expected: list[Edit] = []
    every = [edit for edits in several for edit in edits]
    for edit in sorted(every, key=lambda each: (each.start - each.stop, each.start)):
        if all(edit.stop <= other.start or other.stop <= edit.start for other in expected):
            expected.append(edit)
    assert joined(several) == sorted(expected)


def test_many_edits_of_one_document():
    lines = [Edit(10 * at, 10 * at + 5, "") for at in range(10_000)]
    inside = [Edit(10 * at + 1, 10 * at + 3, "x") for at in range(10_000)]
    assert joined([inside, lines]) == lines
