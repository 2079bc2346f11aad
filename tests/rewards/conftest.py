"""What tests register of a toy content is forgotten behind each test, and behind each file, so that
no other test of the process meets a kind of content that is no whole one."""

import pytest
from toy import add_toy

from genwright.core import registry


def with_toy(monkeypatch):
    for family in ("content", "measure", "measure_kind"):
        registry.kinds(family)  # what is there without the toy
        monkeypatch.setitem(registry._known, family, dict(registry._known[family]))
    add_toy()


@pytest.fixture(autouse=True, scope="module")
def toy_of_file():
    with pytest.MonkeyPatch.context() as monkeypatch:
        with_toy(monkeypatch)
        yield


@pytest.fixture(autouse=True)
def toy_content(toy_of_file, monkeypatch):
    with_toy(monkeypatch)
