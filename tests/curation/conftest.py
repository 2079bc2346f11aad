"""What tests register of a toy source and its rules is forgotten behind each test."""

import pytest
from corpora import add_toys

from genwright.core import registry


@pytest.fixture(autouse=True)
def toys(monkeypatch):
    for family in ("attributes", "rules", "raw", "corpus"):
        registry.kinds(family)
        monkeypatch.setitem(registry._known, family, dict(registry._known[family]))
    add_toys()
