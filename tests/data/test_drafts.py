"""What killed processes left is told from work that goes on."""

import os
import subprocess
import sys
import time

import pytest

from genwright.core.drafts import delete_left, draft_beside, is_alive, writer_of


def test_a_process_that_has_ended_is_not_alive_though_nobody_asked_for_it() -> None:
    ended = subprocess.Popen(["true"])  # a zombie until it is waited for
    try:
        deadline = time.monotonic() + 10
        while is_alive(ended.pid) and time.monotonic() < deadline:
            time.sleep(0.01)
        if sys.platform != "linux":
            pytest.skip("the states of processes are told by Linux alone")
        assert not is_alive(ended.pid)
    finally:
        ended.wait()
    assert not is_alive(ended.pid)
    assert is_alive(os.getpid())


def test_the_draft_of_this_process_stays(tmp_path) -> None:
    draft = draft_beside(tmp_path / "a.parquet")
    assert writer_of(draft) == os.getpid()
    draft.write_bytes(b"at work")
    delete_left(tmp_path)
    assert draft.exists()
