import math
import os
from pathlib import Path

import pytest

from genwright.contents.text.python_code import code_lines, does_something, parses


@pytest.mark.parametrize(
    "text, verdict",
    [
        ("x = 1\ny = (", True),
        ("def f(a):\n    if a:\n        return 1\n    els", True),
        ("def f(a):\n    if a:\n", None),
        ("x = 1\nfoo(a,\n    b,\n", True),
        ('x = 1\ns = """ open\nmore\n', True),
        ('"""Only the start of a docstring\nthat goes on\n', None),
        ("# a comment\n\n", None),
        ("no newline at all", None),
        ("", None),
        ("x = = 1\ny = 2\n", False),
        ("x = 1\ndef f(:\n    pass\n", False),
        ("if a:\n        x = 1\n    y = 2\n", False),
        ("x = 1\n  y = 2\n", False),
        ("x = '\\d'\n", True),  # an invalid escape only warns
        ("x = 1\0\n", False),
        ("try:\n    x = 1\nexcept", None),
        ("(" * 5000 + "\n", False),
        ("x = " + "-" * 100_000 + "1\n", False),
    ],
)
def test_parses(text, verdict, recwarn):
    assert parses(text) is verdict
    assert not recwarn.list


def test_beginnings_of_real_programs_never_count_as_wrong():
    folder = Path(os.__file__).parent
    for name in ("ast.py", "json/decoder.py", "heapq.py", "textwrap.py", "dataclasses.py"):
        text = (folder / name).read_text(encoding="utf-8")
        assert all(parses(text[:n]) is not False for n in range(100, 3000, 97)), name
        assert parses(text) is True


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ('"""What it is."""\n# and more\n', False),
        ('"""What it is."""\nimport os\n', True),
        ('"a"\n"b"\nx', False),
        ("x = 'a'\n", True),
        ("f('a')\n", True),
        ("1 +\n", False),
        ("# nothing\n", False),
        ("x = (\n", False),
        ("b'a'\n", True),
    ],
)
def test_strings_alone_do_nothing(text, more):
    assert does_something(text) is more


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("x = 1\ny = 2\nz", 1.0),
        ("x = 1\n# a comment\n\ny = 2\n", 0.5),
        ('"""What\nit is."""\nimport os\n', 1 / 3),
        ('x = """\na\nb\n"""\n', 0.25),
        ("def f(a,\n      b):\n    return a\n", 1.0),
        ('def f():\n    """Long\n    string."""\n    return 1\n', 0.5),
        ("x = 1\n)\ny = 2\nz = 3\n", 0.25),
        ("x = 1\ny = (\n  2,\n", 1 / 3),
        ("# nothing\n", 0.0),
        ("if x:\n    y\nelse:\n    z\n", 0.75),
        (")\n", 0.0),
    ],
)
def test_lines_of_code(text, share):
    assert code_lines(text) == pytest.approx(share)


def test_without_a_whole_line_nothing_is_said_of_its_code():
    assert math.isnan(code_lines("x = 1"))
