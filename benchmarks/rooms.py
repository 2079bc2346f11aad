"""Whether any one room of contents can be removed: the rest is copied, imported file by file, and
passes its own tests.

    python benchmarks/rooms.py [--rooms images music points text] [--tests FOLDER ...] [--out FILE]

The rest's own tests are those of the kernel and of the other rooms; tests/whole holds tests that
need several contents at once, and stays away. --tests: only these folders or files below tests/.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from common import finish

ROOT = Path(__file__).parent.parent
ROOMS = ("images", "music", "points", "text")
KERNEL = (
    "audit",
    "curation",
    "data",
    "evaluation",
    "models",
    "objectives",
    "reporting",
    "rewards",
    "sampling",
    "training",
)
IMPORT_ALL = """
import importlib, pkgutil
import genwright
names = [found.name for found in pkgutil.walk_packages(genwright.__path__, "genwright.")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name)
from genwright.core.registry import PLACES, kinds
for family in PLACES:
    kinds(family)
print(len(names))
"""
TEST_TOO = """
import sys

import pytest

sys.exit(pytest.main(sys.argv[1:]))
"""


def copy_without(room: str, place: Path) -> None:
    """The package and the tests without a room, in a folder."""
    ignored = shutil.ignore_patterns("results")
    for name in ("src", "tests", "benchmarks", "tools", "docs"):
        shutil.copytree(ROOT / name, place / name, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", place)
    shutil.rmtree(place / "src" / "genwright" / "contents" / room)
    shutil.rmtree(place / "tests" / "contents" / room)
    shutil.rmtree(place / "tests" / "whole")


def run(place: Path, *words: str) -> subprocess.CompletedProcess:
    """Python in the copy, which finds no other genwright."""
    environment = os.environ | {"PYTHONPATH": str(place / "src")}
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)


def imported(place: Path) -> int:
    """How many files of the rest are imported, each kind of each family too. Raises RuntimeError
    where one cannot be."""
    done = run(place, "-c", IMPORT_ALL)
    if done.returncode:
        raise RuntimeError(done.stderr.strip()[-1000:])
    return int(done.stdout.split()[-1])


def tested(place: Path, chosen: list[str]) -> dict[str, int]:
    """What pytest says of the rest's own tests: passed, failed, skipped, ..."""
    rooms = [f"contents/{path.name}" for path in sorted((place / "tests" / "contents").iterdir())]
    wanted = chosen or [*KERNEL, "test_progress.py", *rooms]
    paths = [f"tests/{name}" for name in wanted if (place / "tests" / name).exists()]
    workers = "0" if chosen else "2"
    done = run(place, "-m", "pytest", "-q", "-rfE", "-n", workers, *paths)
    summary = run_summary(done.stdout)
    if done.returncode:
        failed = re.findall(r"^(?:FAILED|ERROR) .*", done.stdout, re.MULTILINE)
        raise RuntimeError("\n".join(failed[:20]) or done.stdout[-1000:])
    return summary


def imported_and_tested(place: Path, chosen: list[str]) -> dict[str, int]:
    """`imported` and `tested` of a few tests in one process, which pays once for its imports.
    chosen: files below tests/, and options of pytest."""
    words = []
    for word in chosen:
        path = f"tests/{word}"
        if not word.endswith(".py"):
            words.append(word)
        elif (place / path).exists():
            words.append(path)
    done = run(place, "-c", IMPORT_ALL + TEST_TOO, "-q", "-rfE", *words)
    if done.returncode:
        raise RuntimeError(done.stdout[-1000:] + done.stderr.strip()[-1000:])
    return {"files": int(done.stdout.split()[0]), **run_summary(done.stdout)}


def run_summary(said: str) -> dict[str, int]:
    """ "3 passed, 1 skipped in 2 s" -> counts; dots are counted where pytest is told to be
    quiet."""
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|skipped)", said)}
    if counts:
        return counts
    dots = "".join(re.findall(r"^([.sxFE]+)\s*(?:\[ *\d+%\])?$", said, re.MULTILINE))
    return {"passed": dots.count("."), "skipped": dots.count("s")}


def removed(room: str, chosen: list[str]) -> dict[str, int]:
    """What is left without a room."""
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        copy_without(room, place)
        return {"files": imported(place), **tested(place, chosen)}


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rooms", nargs="+", default=list(ROOMS), choices=ROOMS)
    parser.add_argument("--tests", nargs="+", default=[])
    parser.add_argument("--out")
    a = parser.parse_args(words)
    figures = {}
    for room in a.rooms:
        figures[room] = removed(room, a.tests)
        print(f"without {room}: {json.dumps(figures[room])}", flush=True)
    return finish("rooms", figures, a.out)


if __name__ == "__main__":
    sys.exit(main())
