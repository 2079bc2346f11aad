"""What tests register of a toy content is forgotten behind each test, so that no other test of the
process meets a kind of content that is no whole one."""

import pytest
from toy import add_toy

from genwright.core import registry


@pytest.fixture(autouse=True)
def toy_content(monkeypatch):
    for family in ("content", "measure", "measure_kind"):
        registry.kinds(family)  # what is there without the toy
        monkeypatch.setitem(registry._known, family, dict(registry._known[family]))
    add_toy()
