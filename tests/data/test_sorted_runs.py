"""Records that are sorted in runs."""

import numpy as np
import pytest

from genwright.data.sorted_runs import order_of


@pytest.mark.parametrize("distinct", [1, 3, 50, 1 << 62])
@pytest.mark.parametrize("size", [0, 1, 2, 700])
def test_records_are_ordered_by_key_and_then_by_value(size, distinct):
    rng = np.random.default_rng(size)
    keys = rng.integers(0, distinct, size).astype(np.uint64)
    values = rng.integers(0, 5, size).astype(np.uint64)
    order = order_of(keys, values)
    assert sorted(order.tolist()) == list(range(size))
    records = list(zip(keys[order].tolist(), values[order].tolist(), strict=True))
    assert records == sorted(records)
