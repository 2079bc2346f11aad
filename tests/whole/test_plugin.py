"""A plug-in with a kind of content of its own (tests/plugin: rows of a CSV, by a VAE and by a
causal model), written from docs/extending.md alone: its commands, as a person runs them."""

import csv
import io
import random
import sys
import tomllib
from pathlib import Path

import pytest

from forked import Forks

ROOT = Path(__file__).parents[2]
HERE = ROOT / "tests" / "plugin"
sys.path.insert(0, str(HERE))

from genwright_tables.example import animals, write_animals  # noqa: E402
from genwright_tables.rows import Column  # noqa: E402

COLUMNS = ["kind", "height", "weight", "colour", "age"]
RECIPES = ["table-rows", "table-vae"]
SMALL = ["training.precision=fp32", "training.threads=1", "training.steps=20"]


@pytest.fixture(scope="module")
def genwright(tmp_path_factory):
    """(folder, words) -> what a command prints, or its error where it should fail. The package
    lies beside what an installer would leave of it."""
    place = tmp_path_factory.mktemp("installed")
    project = tomllib.loads((HERE / "pyproject.toml").read_text())["project"]
    folder = place / "genwright_tables-0.1.dist-info"
    folder.mkdir()
    metadata = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(metadata)
    entries = project["entry-points"]["genwright.plugins"].items()
    lines = ["[genwright.plugins]", *(f"{name} = {value}" for name, value in entries)]
    (folder / "entry_points.txt").write_text("\n".join(lines) + "\n")

    def command(folder, *words, fails=False):
        done = forks.run(["genwright", *map(str, words)], folder)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        if fails:
            assert "Traceback" not in done.stderr and "fault of genwright" not in done.stderr
            return " ".join(done.stderr.split())
        return done.stdout

    with Forks(place, HERE, ROOT / "src", seconds=120) as forks:
        yield command


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    write_animals(folder / "animals.csv")
    return folder


@pytest.fixture(scope="module", params=RECIPES)
def run(request, folder, genwright):
    """A run that was interrupted, then finished on the same rows in another order."""
    recipe = HERE / f"{request.param}.yaml"
    run = f"runs/{request.param}"
    genwright(folder, "train", recipe, *SMALL, "--quiet", "--until", 10)
    assert not (folder / run / "report.html").exists()
    table = folder / "animals.csv"
    header, *lines = table.read_text().splitlines()
    random.Random(1).shuffle(lines)
    table.write_text("\n".join([header, *lines]) + "\n")
    genwright(folder, "train", recipe, *SMALL, "--quiet", "--resume")
    return run


@pytest.mark.parametrize("recipe", RECIPES)
def test_inspect(folder, recipe, genwright):
    told = genwright(folder, "inspect", HERE / f"{recipe}.yaml", *SMALL)
    assert "360 training rows, 40 held out" in told
    assert ",".join(COLUMNS) in told


def test_samples_are_rows_and_the_seed_decides_them(folder, run, genwright):
    told = genwright(folder, "sample", run, "-n", 20, "--seed", 1)
    genwright(folder, "sample", run, "-n", 5, "--seed", 1, "--output", f"{run}-out")
    written = (folder / f"{run}-out" / "rows.csv").read_text()
    assert told.splitlines()[:6] == written.splitlines()
    rows = read(told)
    real = animals()
    assert len(rows) == 20 and list(rows[0]) == COLUMNS
    for row in rows:
        assert row["kind"] in {"cat", "dog", "horse"}
        assert row["colour"] in {"black", "brown", "white"}
        assert 1 <= int(row["age"]) <= 20
        assert min(r[1] for r in real) <= int(row["height"]) <= max(r[1] for r in real)


def test_columns(folder, run, genwright):
    words = ["-n", 4, "--seed", 2, "--temperature", 0.5]
    told = genwright(folder, "sample", run, *words, "--columns", "age,kind")
    assert told.splitlines()[0] == "age,kind" and len(told.splitlines()) == 5


def test_evaluate_and_report(folder, run, genwright):
    told = genwright(folder, "evaluate", run, "--samples", 20, "--quiet")
    for name in ("copies", "categories", "correlations", "mean height", "mean weight", "mean age"):
        assert name in told
    genwright(folder, "report", run, "--quiet")
    page = (folder / run / "report.html").read_text()
    assert "<th>colour</th>" in page and "mean height" in page


@pytest.mark.parametrize("run", ["table-rows"], indirect=True)
def test_a_wrong_column(folder, run, genwright):
    told = genwright(folder, "sample", run, "--columns", "kind,colr", fails=True)
    assert "'colr'" in told and "colour" in told


def test_a_wrong_value(folder, genwright):
    words = ["inspect", HERE / "table-rows.yaml", "data.held_out=lots"]
    assert "data.held_out" in genwright(folder, *words, fails=True)
    words = ["sample", "runs/table-rows", "--temperature", "hot"]
    assert "--temperature" in genwright(folder, *words, fails=True)


@pytest.mark.parametrize(
    ("cell", "place", "words"),
    [
        ("", 1, "line 3: height is missing"),
        ("green", 3, "line 3: colour is 'green'"),
    ],
)
def test_a_bad_cell(tmp_path, cell, place, words, genwright):
    rows = animals(40)
    rows[1][place] = cell
    lines = [COLUMNS, *rows]
    (tmp_path / "bad.csv").write_text("\n".join(",".join(map(str, line)) for line in lines))
    told = genwright(
        tmp_path,
        "inspect",
        HERE / "table-rows.yaml",
        "data.path=bad.csv",
        "data.categories={colour: [black, brown, white]}",
        fails=True,
    )
    assert words in told


def test_codecs_give_rows_back():
    from genwright_tables.codec import TableTokens, TableVector

    rows = [dict(zip(COLUMNS, row, strict=True)) for row in animals()]
    for row in rows:
        row["weight"] = float(row["weight"])
    columns = [
        Column("kind", ("cat", "dog", "horse")),
        Column("height"),
        Column("weight", decimals=1),
        Column("colour", ("black", "brown", "white")),
        Column("age"),
    ]
    vector = TableVector().fitted(columns, rows)
    assert all(dict(vector.decode(vector.encode(row))) == row for row in rows)
    tokens = TableTokens().fitted(columns, rows)
    for row in rows:
        code = tokens.encode(row)
        assert tokens.encode(tokens.decode(code)) == code
        assert tokens.decode(code).copied
