"""Every command and every piece of code of the documentation, run for real (`documented.py`)."""

import re
import shlex

import pytest

from commands import command as called
from documented import DOCS, NOT_RUN, PAGES, SHORTENED, Reader, blocks, commands_of, pages, why_not
from genwright.curation.settings import CorpusRecipe
from genwright.recipe.schema import Recipe, build
from genwright.recipe.shipped import shipped
from genwright.recipe.yaml_text import read_yaml

GROUPS = ("audit", "data", "recipe", "reward")  # commands that hold others
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


def test_commands_in_the_middle_of_a_sentence_exist(capsys, monkeypatch):
    """They have words such as RUN in them, and are not run: their names and options are known."""
    monkeypatch.setenv("COLUMNS", "100")
    helps = {}
    for page in pages():
        text = (DOCS / page).read_text(encoding="utf-8")
        for command in re.findall(r"`(genwright [a-z][^`]*)`", text):
            words = shlex.split(command)
            name = words[1:3] if words[1] in GROUPS else words[1:2]
            if tuple(name) not in helps:
                code, helps[tuple(name)], _ = called(capsys, *name, "--help")
                assert code == 0, f"{page}: {command}"
            for word in words:
                option = re.match(r"--?[a-z][\w-]*", word)
                known = option is None or re.search(rf"(^|\s){option[0]}\b", helps[tuple(name)])
                assert known, f"{page}: {command}: {word}"
    assert len(helps) > 10


def test_recipes_that_pages_show_say_what_can_be_said():
    shown = 0
    for page in pages():
        for _, block in blocks(page, "yaml"):
            values = read_yaml(block, page)
            if "dice" in block:  # a kind of content that the page makes
                continue
            if "sources" in values:
                build(CorpusRecipe, values, "")
            else:
                Recipe.of({"name": "shown", "data": {"path": "notes/"}} | values)
            shown += 1
    assert shown > 6


def test_every_page_stands_in_the_contents_of_the_site():
    listed = re.findall(r"^```{toctree}.*?^```", (DOCS / "index.md").read_text(), re.M | re.S)
    names = {line for block in listed for line in block.splitlines()}
    for path in DOCS.glob("*.md"):
        assert path.stem in names | {"index"}, f"name {path.stem} in a toctree of docs/index.md"
