"""The package as others get it, and the house rules that `make check` enforces."""

import ast
import os
import re
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
sys.path.insert(0, str(ROOT / "tools"))  # where its neighbour is found
CHECK = runpy.run_path(str(ROOT / "tools" / "check.py"))


def _said(code: str) -> list[str]:
    return [what for _, what in CHECK["executable"](ast.parse(code))]


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "import dill as d",
        "import joblib.externals",
        "from pickle import loads",
        "from torch import load",
        "from yaml import UnsafeLoader",
        "import torch\nx = torch.load('a')",
        "torch.hub.load('a', 'b')",
        "yaml.load(text, Loader=yaml.SafeLoader)",
        "yaml.unsafe_load(text)",
        "eval(text)",
        "exec(text)",
        "__import__(text)",
        "builtins.eval(text)",
        "np.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "AutoModel.from_pretrained(x, trust_remote_code=True)",
        "dist.broadcast_object_list(x)",
        "pd.read_pickle(x)",
    ],
)
def test_whatever_runs_what_it_reads_is_found(code):
    assert _said(code)


@pytest.mark.parametrize(
    "code",
    [
        "model.eval()",
        "re.compile(text)",
        "torch.compile(model)",
        "json.load(file)",
        "yaml.safe_load(text)",
        "np.load(path, allow_pickle=False)",
        "from_pretrained(x, trust_remote_code=False)",
        "'torch.load(x)'  # eval(x)",
        "safetensors.torch.load_file(x)",
        "safetensors.torch.load(x)",
    ],
)
def test_what_is_harmless_passes(code):
    assert not _said(code)


def test_long_files_and_functions_are_warned_of(tmp_path):
    (tmp_path / "long.py").write_text("x = 1\n" * 401)
    (tmp_path / "deep.py").write_text("def f():\n" + "    x = 1\n" * 61)
    errors, warnings, total = CHECK["check"](tmp_path)
    assert total == 401 + 62 and not errors
    assert "f has 62 lines" in warnings[0] and "long.py: 401 lines" in warnings[1]


def test_a_benchmark_that_cannot_be_imported_is_named(tmp_path):
    (tmp_path / "good.py").write_text("import json\n")
    (tmp_path / "bad.py").write_text("from json import nothing_of_this_name\n")
    found = CHECK["not_importable"](tmp_path)
    assert len(found) == 1 and found[0].startswith(
        f"{tmp_path}/bad.py: cannot be imported (ImportError"
    )


def test_the_tool_exits_non_zero_on_an_error(tmp_path):
    (tmp_path / "bad.py").write_text("import pickle\n")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "check.py"), str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1 and "bad.py:1: import pickle" in done.stdout


def _pins() -> dict[str, str]:
    lines = [
        line
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    return {
        re.sub(r"[-_.]+", "-", name).lower(): version
        for name, version in (line.split("==") for line in lines)
    }


def test_every_dependency_is_pinned_inside_its_range():
    pins = _pins()
    assert pins["torch"] == "2.13.0"
    extras = [word for words in PROJECT["optional-dependencies"].values() for word in words]
    for requirement in map(Requirement, PROJECT["dependencies"] + extras):
        if requirement.name == PROJECT["name"]:  # an extra that names others
            continue
        version = pins[re.sub(r"[-_.]+", "-", requirement.name).lower()]
        assert "+" not in version and Version(version) in requirement.specifier, requirement


def test_the_core_needs_only_what_every_run_needs():
    names = {Requirement(word).name for word in PROJECT["dependencies"]}
    assert names == {
        "torch",
        "numpy",
        "safetensors",
        "tokenizers",
        "pillow",
        "pyarrow",
        "pydantic",
        "PyYAML",
        "typer",
        "rich",
        "jinja2",
        "markupsafe",
    }
    assert all("==" not in word and "<" not in word for word in PROJECT["dependencies"])


def test_the_version_is_one():
    import genwright

    assert genwright.__version__ == PROJECT["version"]
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == PROJECT["version"] and cited["license"] == PROJECT["license"]
    assert {"cff-version", "message", "title", "authors"} <= set(cited)


def test_the_changelog_has_a_section_for_each_version():
    """Unreleased, then versions, each with its day, newest first; the package has the newest."""
    text = (ROOT / "CHANGELOG.md").read_text()
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles.pop(0) == "Unreleased"
    named = [re.match(r"(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\)", title) for title in titles]
    assert all(named), titles
    versions = [Version(match[1]) for match in named]
    days = [match[2] for match in named]
    assert versions == sorted(set(versions), reverse=True) and days == sorted(days, reverse=True)
    assert str(versions[0]) == PROJECT["version"]


def test_recipes_and_the_type_marker_are_in_the_wheel():
    from importlib import resources

    package = resources.files("genwright")
    assert (package / "py.typed").is_file()
    assert {"code", "docs", "docs-masked", "shakespeare", "gpt2-small"} <= {
        file.name.removesuffix(".yaml") for file in (package / "recipes").iterdir()
    }


def test_make_says_what_is_missing(tmp_path):
    """An interpreter that is too old is refused in a sentence, and leaves no half-made environment
    behind."""
    old = tmp_path / "python3"
    old.write_text(
        f'#!/bin/sh\nshift; exec {sys.executable} -c "import sys; sys.version_info = (3, 9); '
        'exec(sys.argv[1])" "$@"\n'
    )
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["make", "setup", f"PY={old}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"MAKEFLAGS": ""},
    )
    assert done.returncode != 0 and "Python 3.9 is too old; install 3.11 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("extras", ["dev", "text", "images,music"])
def test_make_setup_installs_the_extras_that_are_named(tmp_path, extras):
    """pip is told the extras, all of them exist, and other extras have a stamp of their own."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(
        ["make", "-n", "setup", f"EXTRAS={extras}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"MAKEFLAGS": ""},
    )
    assert done.returncode == 0, done.stderr
    assert f"-e '.[{extras}]'" in done.stdout
    stamp = ".venv/.setup" if extras == "dev" else f".venv/.setup-{extras}"
    assert f"touch {stamp}\n" in done.stdout
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])


def test_the_density_of_pages_is_counted_by_hand(tmp_path):
    """Two code lines: an assignment of two things, and a comprehension inside another."""
    from density import Density

    found = Density()
    found.add('"""Doc."""\n\n# a comment\na, b = 1, 2\nc = [[x for x in y] for y in z if x or b]\n')
    assert (found.files, found.lines, len(found.widths)) == (1, 5, 2)
    assert (found.tuples, found.nested, found.conditionals) == (1, 1, 0)
    assert found.statements == 3


def test_a_circle_of_files_is_named(tmp_path, monkeypatch):
    package = tmp_path / "going_round"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "a.py").write_text("from going_round import b\n")
    (package / "b.py").write_text("from going_round.a import x\n")
    (package / "c.py").write_text("from going_round import a\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert CHECK["circles"]("going_round") == [["going_round.a", "going_round.b"]]
