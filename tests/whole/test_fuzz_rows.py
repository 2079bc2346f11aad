"""Some hundred of the generated tables and rows of benchmarks/fuzz_rows.py, which runs ten
thousand."""

import importlib
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.parametrize("number", [1, 2])
def test_generated_tables_and_rows_are_read_or_named(monkeypatch, number):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    fuzz_rows = importlib.import_module("fuzz_rows")
    found = fuzz_rows.fuzz(200, number)
    assert set(found) >= {"whole", "damaged", "damaged and named", "quotes", "noise", "noise named"}
    assert sum(found[check.__name__] for check in fuzz_rows.CHECKS) >= 200
