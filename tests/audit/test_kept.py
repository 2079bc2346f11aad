"""Earlier audits are kept whatever happens while a newer one is written."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from genwright.audit.kept import FOLDER, keep, set_aside
from genwright.audit.page import table_of
from genwright.core.errors import GenwrightError

NAME = "step-00000004-ema-0.json"


def fail_with(code: int) -> Any:
    def fail(*args: Any, **options: Any) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_a_full_disk_leaves_the_earlier_audit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = keep({"samples": 1}, tmp_path, NAME)
    before = place.read_bytes()
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", fail_with(errno.ENOSPC))
        with pytest.raises(GenwrightError, match="No space left on device"):
            keep({"samples": 2}, tmp_path, NAME)
    assert [path.name for path in (tmp_path / FOLDER).iterdir()] == [NAME]
    assert place.read_bytes() == before
    keep({"samples": 2}, tmp_path, NAME)
    assert place.with_name("step-00000004-ema-0.1.json").read_bytes() == before
    assert place.read_bytes() != before


def test_a_number_that_another_process_just_took_is_left_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in (
        ("audit.html", "newest"),
        ("audit-shares.csv", "shares of the newest"),
        ("audit.1-shares.csv", "shares of another"),
    ):
        (tmp_path / name).write_text(text)
    page = tmp_path / "audit.html"
    there = os.path.lexists
    monkeypatch.setattr(
        os.path, "lexists", lambda path: ".1" not in Path(path).name and there(path)
    )
    set_aside(page, [table_of])
    assert (tmp_path / "audit.1-shares.csv").read_text() == "shares of another"
    assert not (tmp_path / "audit.1.html").is_file()  # a number is taken for both, or for neither
    assert (tmp_path / "audit.2.html").read_text() == "newest"
    assert (tmp_path / "audit.2-shares.csv").read_text() == "shares of the newest"


def test_file_systems_without_links_keep_earlier_audits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", fail_with(errno.EPERM))
    places = []
    for samples in (1, 2, 3):
        places.append(keep({"samples": samples}, tmp_path, NAME).read_text())
    kept = [tmp_path / FOLDER / f"step-00000004-ema-0{end}.json" for end in (".1", ".2", "")]
    assert [path.read_text() for path in kept] == places
