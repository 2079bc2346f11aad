"""Tests of one room that need another one, which a copy of the program may lack."""

import pytest

from genwright.core.registry import rooms


def needs(*names):
    """Skips a test where one of these rooms of contents is not there."""
    missing = sorted(set(names) - set(rooms()))
    return pytest.mark.skipif(
        bool(missing), reason=f"needs the rooms {missing}, which are not here"
    )
