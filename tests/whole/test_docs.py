"""Every command and every piece of code of the documentation, run for real (`documented.py`)."""

import re

import pytest

from documented import NOT_RUN, PAGES, SHORTENED, Reader, blocks, commands_of, pages, why_not
from genwright.recipe.shipped import shipped

RUN_HERE = sorted(name for name, page in PAGES.items() if not page.covered)


@pytest.fixture(scope="module")
def reader(tmp_path_factory, forks):
    return Reader(tmp_path_factory.mktemp("reader"), forks)


@pytest.mark.parametrize("page", RUN_HERE)
def test_every_command_of_a_page_works(page, reader):
    expected = 0
    for language, block in blocks(page, "console", "python"):
        if language == "python":
            expected += block.startswith(("import", "from"))
        else:
            expected += sum(not why_not(command) for command in commands_of(block))
    assert reader.read(page) == expected


def test_every_page_with_commands_is_run():
    assert set(pages()) == set(PAGES), "name the page in documented.PAGES, with what it needs"
    for page in pages():
        assert not blocks(page, "bash", "sh", "shell"), f"{page}: write ```console, with `$ `"
        for _, block in blocks(page, "console"):
            assert commands_of(block), f"{page}: a console block has no line that begins with `$ `"


def test_nothing_is_left_out_in_vain():
    commands = []
    for page in pages():
        for _, block in blocks(page, "console"):
            commands += commands_of(block)
    for pattern in NOT_RUN:
        assert any(re.match(pattern, command) for command in commands), pattern
    known = {name for name, _ in shipped()}
    for recipe in SHORTENED:
        assert recipe in known or recipe.endswith(".yaml"), recipe


@pytest.mark.parametrize("line", ["genwright sample runs/nowhere", "genwright frobnicate"])
def test_a_command_that_fails_is_noticed(line, reader):
    with pytest.raises(AssertionError, match="error"):
        reader.run(commands_of(f"$ {line}  # a remark\n")[0].split())
