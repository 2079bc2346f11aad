"""docs/extending.md: its example, written into a folder as it stands there, goes through every
command."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from documented import blocks, commands_of
from forked import Forks

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
ENTRY = (
    "[genwright.plugins]\ndice = genwright_dice.content\ndice-options = genwright_dice.options\n"
)
METADATA = "Metadata-Version: 2.1\nName: genwright-dice\nVersion: 0.1\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the example's package, as an installer would leave it, and some hands."""
    place = tmp_path_factory.mktemp("dice")
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^`([\w./]+)`\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    others = ("genwright_mail/", "genwright_shouting/")  # of corpora
    blocks = [block for block in blocks if not block[0].startswith(others)]
    assert len(blocks) == 8
    for name, content in blocks:
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    installed = place / "genwright_dice-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(METADATA)
    (installed / "entry_points.txt").write_text(ENTRY)
    assert 'dice = "genwright_dice.content"' in (place / "pyproject.toml").read_text()
    hands = [[1 + (i * j + i // 7) % 6 for j in range(5)] for i in range(200)]
    lines = [" ".join(map(str, hand)) for hand in hands]
    (place / "hands.txt").write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture(scope="module")
def command(place):
    """words -> (exit code, stdout, stderr) of a command in a process of its own."""

    def run(*words):
        done = forks.run(["genwright", *words], place)
        return done.returncode, done.stdout, done.stderr

    with Forks(place, ROOT / "src") as forks:
        yield run


def test_the_example_goes_through_every_command(place, command):
    ((_, block),) = blocks("extending.md", "console")
    shown = [line.removeprefix("genwright ").split() for line in commands_of(block)]
    inspect, train, sample, evaluate, report = shown
    code, said, error = command(*inspect)
    assert code == 0 and "180 training hands, 20 held out" in said, error
    fast = ["training.steps=6", "training.evaluate_every=3", "training.precision=fp32", "--quiet"]
    code, said, error = command(*train, *fast, "--until", "3")
    assert code == 0 and "step 3 of 6" in said, error
    code, said, error = command(*train, *fast, "--resume")
    assert code == 0 and "done" in said, error
    code, said, error = command(*sample)
    assert code == 0, error
    hands = [[int(face) for face in line.split()] for line in said.splitlines()]
    assert len(hands) == 3 and all(hand == sorted(hand) and len(hand) == 5 for hand in hands)
    code, said, error = command(*evaluate, "--samples", "20")
    assert code == 0 and "held-out loss" in said and "pips" in said, error
    assert "noise" in said and "held-out data" in said
    code, said, error = command(*report)
    page = (place / "runs" / "dice" / "report.html").read_text(encoding="utf-8")
    assert code == 0 and "Trained on 180 hands" in page and "\N{DIE FACE-1}" in page, error


def test_what_is_wrong_is_one_sentence(place, command):
    (place / "bad.txt").write_text("1 2 3 4 9\n")
    code, _, error = command("inspect", "dice.yaml", "data.path=bad.txt")
    assert code == 2 and "is no hand; give 5 numbers from 1 to 6." in error
    code, _, error = command("sample", "--help")
    assert code == 0 and not error


def test_a_plugin_that_cannot_be_imported_is_named(place, tmp_path):
    broken = tmp_path / "genwright_broken-0.1.dist-info"
    broken.mkdir()
    (broken / "METADATA").write_text(METADATA.replace("dice", "broken"))
    (broken / "entry_points.txt").write_text("[genwright.plugins]\nbad = not_there\n")
    done = subprocess.run(
        [sys.executable, "-m", "genwright", "recipe", "show", "code"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src")])},
        capture_output=True,
        text=True,
    )
    error = done.stderr
    assert done.returncode == 2 and error.startswith(
        "error: the plug-in bad of genwright-broken cannot"
    )
    assert "uninstall that package" in error


def test_help_of_options_imports_no_torch(place):
    code = (
        "import sys; from genwright.core.registry import options_of; found = options_of('sample');"
        "print('dice' in found, 'torch' in sys.modules)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(place), str(ROOT / "src")])}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "True False\n", done.stderr
