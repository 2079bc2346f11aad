"""README's commands, run for real in an empty folder with few steps, so that they cannot rot."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from documented import SHORTENED, write_music
from forked import Forks
from genwright.contents.music.score import Key, Meter, of_grid
from genwright.contents.music.write import to_musicxml

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
# they make the very environment that this test runs in
NOT_HERE = re.compile(r"git clone |make (setup|test|check)\b")
SMALL = (
    "training.steps=4 training.batch_size=4 training.evaluate_every=0 training.precision=fp32 "
    "data.context=32 data.held_out=0.002 model.depth=1 codec.vocabulary=400 codec.sample=1 "
    "sampling.max_tokens=20"
)
DRAWN = (
    "training.steps=2 training.batch_size=4 training.evaluate_every=0 "
    "training.precision=fp32 watching.samples=0"
)
SMALLER = {
    "emoji-flow": f"{DRAWN} model.width=8 sampling.steps=2",
    "ring-gan": f"{DRAWN} data.points=500 data.held_out=100",
}
MUSIC = "model.depth=1 data.context=80 sampling.passes=2"
SMALLER["chorales-masked"] = (
    "training.steps=2 training.batch_size=4 training.evaluate_every=0 "
    f"training.precision=fp32 {MUSIC}"
)
MINUTES = 5


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def commands(text: str = README) -> list[str]:
    """The lines after `$ ` of every console block, in the order of the page."""
    lines = [line for block in blocks("console", text) for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


def shortened(command: str) -> list[str]:
    """The same command, with few steps of a small model."""
    words = shlex.split(command)
    if words[:2] == ["make", "demo"]:
        return [
            *(*words, "-o", "setup", f"BIN={BIN}"),
            f"DEMO_ARGS={SHORTENED['folk-tunes']}",
            f"DEMO_REWARD_ARGS={SHORTENED['tunes-endings']}",
        ]
    if words[:2] in (["genwright", "train"], ["genwright", "inspect"]):
        words = [
            re.sub(r"^\d+$", "2", word) if before == "--until" else word
            for before, word in zip(["", *words], words, strict=False)
        ]
        words += SMALLER.get(words[2], SMALL).split()
    return words


def execute(
    words: list[str], folder: Path, forks: Forks | None = None
) -> subprocess.CompletedProcess:
    """A command in a process of its own; of genwright among `forks`, where they are given."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    ours = {
        "PATH": path,
        "GENWRIGHT_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "100",
        "MAKEFLAGS": "",
    }
    if forks and words[0] == "genwright":
        return forks.run(words, folder, ours)
    environment = os.environ | ours
    return subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=60 * MINUTES
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader would stand: the Makefile, a folder of notes, and the recipe that the page
    shows."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    (folder / "notes").mkdir()
    for number, page in enumerate(
        [
            README,
            (ROOT / "CONTRIBUTING.md").read_text(),
            *(p.read_text() for p in sorted(ROOT.glob("docs/*.md"))),
        ]
    ):
        (folder / "notes" / f"{number}.md").write_text(page, encoding="utf-8")
    melody = of_grid(
        np.repeat([[67], [69], [71], [72]], 4, axis=0),
        meters=(Meter(0, 4, 4),),
        keys=(Key(0, 0, "major"),),
    )
    (folder / "melody.musicxml").write_text(to_musicxml(melody))
    write_music(folder)
    for block in blocks("yaml"):
        name = re.match(r"# (\S+\.yaml)\n", block)
        assert name, "a YAML block of README begins with `# its-name.yaml`"
        (folder / name[1]).write_text(block, encoding="utf-8")
    return folder


def test_every_command_of_the_readme_works(folder, forks):
    ran = [command for command in commands() if not NOT_HERE.match(command)]
    assert len(ran) > 10 and "make demo" in ran
    for command in ran:
        done = execute(shortened(command), folder, forks)
        assert done.returncode == 0, f"$ {command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert (folder / "runs/tunes-endings/report.html").stat().st_size > 5_000
    assert (folder / "exported/config.json").is_file() and (folder / "compared.html").is_file()


def test_the_python_of_the_readme_works(folder):
    small = dict(word.split("=") for word in SMALL.split())
    first = (
        "import genwright\n_train = genwright.train\ngenwright.train = lambda r, **k: "
        f"_train(r, **k | {small!r})\n"
    )
    code = "\n".join(blocks("python"))
    assert "genwright.train(" in code and "genwright.load(" in code
    done = execute([sys.executable, "-c", first + code], folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "command",
    [
        "genwright frobnicate",
        "genwright sample runs/nowhere",
        "genwright train cod",
        "make demolish",
    ],
)
def test_a_command_that_does_not_exist_would_be_noticed(command, tmp_path):
    assert commands(f"text\n```console\n$ {command}\noutput\n```\n") == [command]
    (tmp_path / "Makefile").write_bytes((ROOT / "Makefile").read_bytes())
    assert execute(shortened(command), tmp_path).returncode != 0


def test_every_page_that_is_linked_exists():
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"
