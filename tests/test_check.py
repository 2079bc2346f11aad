"""tools/check.py: what it finds, and that it finds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tools"))

from check import check, not_importable


def test_a_benchmark_that_cannot_be_imported_is_named(tmp_path):
    (tmp_path / "good.py").write_text("import json\n")
    (tmp_path / "bad.py").write_text("from json import nothing_of_this_name\n")
    found = not_importable(tmp_path)
    assert len(found) == 1 and found[0].startswith(f"{tmp_path}/bad.py: cannot be imported (ImportError")


def test_what_could_run_what_it_reads_is_an_error_and_length_a_warning(tmp_path):
    (tmp_path / "long.py").write_text("x = 1\n" * 401)
    (tmp_path / "bad.py").write_text("import torch\n\ntorch.load('x')\n")
    errors, warnings, total = check(tmp_path)
    assert len(errors) == 1 and "torch.load" in errors[0]
    assert len(warnings) == 1 and "401 lines" in warnings[0]
    assert total == 404
