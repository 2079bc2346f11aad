"""A selection gives rows of a shard, edited, as often as it says; in memory that does not grow."""

import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from genwright.core.corpus import Edit
from genwright.core.errors import GenwrightError
from genwright.data import selection
from genwright.data.selection import corpus_of, selected, write_selection


def write_documents(path, count, group):
    texts = [f"document {row}" for row in range(count)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=group)


@pytest.mark.parametrize("at_once", [1, 7, 1000])
def test_rows_come_in_order_as_often_as_wanted_and_edited(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(selection, "AT_ONCE", at_once)
    write_documents(tmp_path / "d.parquet", 50, 6)
    dice = np.random.default_rng(0)
    rows = np.flatnonzero(dice.random(50) < 0.4)
    times = dice.integers(0, 4, len(rows))
    edits = {int(row): [Edit(0, 8, "row")] for row in rows if row % 2}
    write_selection(tmp_path / "s.selection", tmp_path / "d.parquet", rows, times, edits)
    expected = []
    for row, count in zip(rows.tolist(), times.tolist(), strict=True):
        text = f"row {row}" if row % 2 else f"document {row}"
        expected += [(row, text)] * count
    assert list(selected(tmp_path / "s.selection")) == expected
    (tmp_path / "d.parquet").unlink()
    with pytest.raises(GenwrightError, match="which is not there; build the corpus again"):
        next(selected(tmp_path / "s.selection"))


def test_memory_does_not_follow_the_rows(tmp_path):
    peaks = []
    for count in (4_000, 40_000):
        write_documents(tmp_path / "d.parquet", count, 500)
        place = tmp_path / f"{count}.selection"
        ones = np.ones(count, np.int64)
        write_selection(place, tmp_path / "d.parquet", np.arange(count), ones, {})
        tracemalloc.start()
        assert sum(1 for _ in selected(place)) == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.3 * peaks[0]


def test_a_corpus_of_another_kind_is_refused(tmp_path):
    write_documents(tmp_path / "d.parquet", 3, 3)
    (tmp_path / "mix" / "train").mkdir(parents=True)
    place = tmp_path / "mix" / "train" / "s.selection"
    write_selection(place, tmp_path / "d.parquet", np.arange(3), np.ones(3, np.int64), {})
    counts = tmp_path / "mix" / "counts.json"
    counts.write_text('{"recipe": {"kind": "drawings"}}')
    assert corpus_of([str(tmp_path)], "drawings") == str(tmp_path)
    assert corpus_of([str(tmp_path)]) == str(tmp_path)
    with pytest.raises(GenwrightError, match="is of drawings, and the recipe learns poems"):
        corpus_of([str(tmp_path)], "poems")
    counts.write_text("{")
    with pytest.raises(GenwrightError, match="counts.json is damaged.*genwright data mix"):
        corpus_of([str(tmp_path)], "poems")
