"""Every benchmark starts, runs to its end with tiny settings and prints its figures as JSON, so
that none rots unseen.

Each run is given bars that nothing reaches, and must say so by its exit code. What the tiny figures
make of the real bars is asked here, of the same figures.
"""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from composed import tunes
from tiny_codes import rewarded_codes

import genwright
from forked import Forks
from genwright.contents.music.score import Score, of_grid
from genwright.recipe.schema import Recipe

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

from bars import BARS, REPORTED  # noqa: E402
from judging import OVERRIDES, Bar, passed  # noqa: E402

NO_BENCHMARK = {
    "bars.py",
    "bench.py",
    "common.py",
    "judging.py",
    "personal_forms.py",
    "planted.py",
}
EXACT = {"earlier_runs", "headlines"}  # whose bar tiny settings must reach too
# where tiny settings measure nothing: a judge at chance is refused, and there is no rival
UNMEASURED = {"audit_emoji", "nll_speed", "policy_losses", "policy_speed"}
FEW = {
    "training.steps": 2,
    "training.batch_size": 4,
    "training.evaluate_every": 0,
    "training.precision": "fp32",
    "training.threads": 1,
    "watching.samples": 0,
}
WORDS = {
    name: str(value)
    for name, value in FEW.items()
    if name not in ("training.steps", "training.threads")
}
SET = ["--set", *(f"{name}={value}" for name, value in WORDS.items())]

# benchmark -> the words of each of its runs; NAME in capitals is a file or run of the fixtures
# below
RUNS: dict[str, list[str]] = {
    "audit_corrected": ["--sets 1"],
    "audit_coverage": ["--sets 1"],
    "audit_distances": ["--sets 1"],
    "audit_emoji": [
        " ".join(
            [
                "--recipe emoji-flow --run EMOJI --folder SCRATCH --samples 8 --more 1 --seen 300",
                *SET,
                "model.width=8 sampling.steps=1 codec.size=8 training.threads=1",
            ]
        )
    ],
    "audit_judges": ["--sets 2 --of texts"],
    "audit_loop": [
        "--seeds 1 --documents 2000 --held-out 2000 --samples 1 --steps 2"
        " --set model.width=12 training.batch_size=4"
    ],
    "audit_pairs": ["--crows CROWS --winobias WINOBIAS"],
    "audit_speed": ["--samples 20 --steps 1 --of text --path TEXT"],
    "before_after": ["--before SOURCES --pairs 1 --warm 0 --only text --scale 0.02"],
    "corpus_again": ["--megabytes 1 --workers 1"],
    "corpus_kill": ["--runs 1 --files 4 --workers 1"],
    "coverage": ["--seeds 1 --points 40"],
    "demo": [
        " ".join(
            [
                "--tries 1 --long 0.01 --data TUNEFILES",
                *SET,
                "training.threads=1 training.steps=2 data.context=64 data.minimum=2",
                "model.depth=1 model.width=16 model.heads=1 sampling.max_tokens=40",
                "--reward objective.candidates=2 objective.rollout.max_tokens=48",
                "objective.rollout.truncated=keep",
            ]
        )
    ],
    "digits_flow": [
        " ".join(
            [
                "--data DIGITS --steps 2 --samples 20 --seen 40",
                *SET,
                "model.width=8 sampling.steps=2",
            ]
        )
    ],
    "earlier_runs": ["compare EARLIER"],
    "emoji": ["--run EMOJI --samples 20"],
    "exact": [""],
    "families": ["--families points --kills 0 --instants save"],
    "filters_speed": ["--pages 20 --rounds 1"],
    "fixed_costs": ["--tries 1 --data TEXT --threads 1"],
    "flat_memory": ["--megabytes 0.2 --held-out 0.2"],
    "fuzz_abc": ["--examples 20"],
    "fuzz_pictures": ["--examples 40"],
    "fuzz_rows": ["--examples 40"],
    "fuzz_music": ["--examples 5"],
    "generate": [
        (
            "--depth 1 --width 16 --heads 2 --vocabulary 16 --batch 1 --prompt 4 --tokens 8 "
            "--threads 1 --repeats 1"
        )
    ],
    "headlines": ["CAUSAL"],
    "images_speed": ["--steps 1 --rounds 2 --batch 4 --families ring-gan"],
    "kill": ["--runs 0 --gan 0 --policy 1"],
    "likelihood": [
        ("--data DIGITS --minutes 0.001 --samples 2 --test 4 --threads 1 --model mlp-vae")
    ],
    "mixtures": [" ".join(["ring --seeds 1 --steps 2", *SET])],
    "music": [
        "likelihood JSB",
        "parallels JSB -n 2",
        "drift JSB -n 2",
        "harmonise MASKED -n 1",
        "melodies TUNES -n 3",
        "corpus CHORALES",
        "speed JSB -n 1",
    ],
    "near_copies": ["--megabytes 1 --rounds 1 --memory 0.2"],
    "nll_speed": ["--data DIGITS --pictures 2 --samples 2 --minutes 0.001 --rounds 1 --threads 1"],
    "overhead": ["--steps 8 --depth 1 --batch 2 --threads 1"],
    "parity": ["--batches 1"],
    "personal_data": ["planted --documents 200 --characters 100000", "hits TEXT -n 2"],
    "policy_losses": ["--seeds 1"],
    "policy_speed": [
        (
            "--pairs 1 --depth 1 --width 16 --heads 2 --vocabulary 16 --prompts 2 --prompt 3 "
            "--candidates 2 --tokens 6 --micro 2"
        )
    ],
    "prepare": ["--megabytes 0.3 --vocabulary 400 --processes 1 --scratch SCRATCH"],
    "ranks": ["--pairs 1 --steps 3 --set model.width=16 model.heads=1 training.batch_size=4"],
    "read_abc": ["--limit 4 --workers 1"],
    "read_chorales": ["--pieces 2"],
    "read_scores": ["--limit 2"],
    "rewards_images": ["CODESREWARD --samples 16 --sheet SHEET"],
    "recipe_times": ["--recipes ring-gan --set data.points=500 data.held_out=100"],
    "removed_by_group": ["--sets 20 --corpora 1"],
    "rewards_gaming": ["--seeds 1 --honest 1 --steps 10 --learned 3 --only stuffing noise"],
    "rewards_music": ["harmony JSB JSBREWARD -n 2", "phrases TUNES TUNESREWARD -n 2"],
    "rewards_text": [
        " ".join(
            [
                "arithmetic --seeds 1 --samples 16 --problems 4",
                "--base-set training.steps=2 training.batch_size=4 model.width=32 model.depth=1",
                "--set training.steps=2 training.batch_size=8",
            ]
        ),
        " ".join(
            [
                "code --run CAUSAL --samples 8 --length 40",
                *SET,
                "training.steps=1 training.batch_size=8 codec=bytes data.context=64",
                "objective.rollout.max_tokens=30",
            ]
        ),
    ],
    "rooms": ["--rooms points --tests objectives/test_transport.py"],
    "shakespeare": [
        "--data TEXT --steps 2 --seeds 1 --rounds 1 --plain-steps 2 --skip-long",
        "--data TEXT --tune 2 --seeds 2 --rounds 1 --plain-steps 2",
    ],
    "stacked": [" ".join(["--data DIGITS --steps 2 --samples 20", *SET])],
    "trainer": ["--data TEXT --steps 4 --repeats 1 --threads 1 --eager --precision fp32"],
    "transport": ["--seeds 1 --steps 2 --plain-steps 2 --batch 8 --points 40"],
    "utilisation": [
        "--peak 1 --steps 2 --batch 2 --micro 1 --device cpu --set "
        "training.compile=false model.depth=1 "
        "model.width=32 model.heads=2 data.context=16"
    ],
    "voice_leading": ["--data CHORALES"],
}


def chorales(folder: Path) -> Path:
    """A few made-up pieces of four voices in the splits and the form of the JSB json."""
    dice = np.random.default_rng(0)
    splits = {}
    for split, count in {"train": 6, "valid": 3, "test": 3}.items():
        pieces = []
        for _ in range(count):
            chords = np.array(
                [[72, 67, 60, 48], [74, 67, 59, 43], [71, 65, 62, 50], [72, 64, 60, 45]]
            )
            beats = chords[dice.integers(0, 4, 16)] + dice.integers(-2, 3)
            pieces.append(np.repeat(beats, 4, axis=0).tolist())
        splits[split] = pieces
    path = folder / "chorales.json"
    path.write_text(json.dumps(splits), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Data of every kind that a benchmark asks for."""
    folder = tmp_path_factory.mktemp("benchmarks")
    dice = np.random.default_rng(0)
    digits = folder / "digits.npz"
    np.savez(
        digits,
        train_images=dice.integers(0, 256, (60, 28, 28), np.uint8),
        train_labels=np.arange(60) % 10,
        test_images=dice.integers(0, 256, (20, 28, 28), np.uint8),
        test_labels=np.arange(20) % 10,
    )
    text = folder / "text.txt"
    text.write_text(
        "".join(f"{i} times {i} is {i * i}, as everybody knows.\n" for i in range(1200)),
        encoding="utf-8",
    )
    crows = folder / "crows_pairs.csv"
    lines = [",sent_more,sent_less,stereo_antistereo,bias_type"]
    for number in range(6):
        more = f"She cooks {number} meals a day."
        lines.append(f"{number},{more},{more.replace('She', 'He')},stereo,gender")
    crows.write_text("\n".join(lines) + "\n", encoding="utf-8")
    winobias = folder / "winobias.txt"
    winobias.write_text(
        "".join(
            f"The nurse saw {number} people and [{word}] was tired.\n"
            for number in range(6)
            for word in ("she", "he")
        ),
        encoding="utf-8",
    )
    scratch = folder / "scratch"
    scratch.mkdir()
    return {
        "FOLDER": folder,
        "DIGITS": digits,
        "TEXT": text,
        "CHORALES": chorales(folder),
        "TUNEFILES": tunes(folder / "tunes", 16),
        "CROWS": crows,
        "WINOBIAS": winobias,
        "SCRATCH": scratch,
        "SHEET": scratch / "sheet.png",
    }


def small_run(name: str, files: dict[str, Path], forks: Forks) -> Path:
    """A run of a few steps, of which a benchmark measures something; made when it is asked for."""
    folder = files["FOLDER"] / name
    if folder.exists():
        return folder
    if name == "SOURCES":
        return ROOT / "src"
    if name == "EARLIER":
        made = run(forks, "earlier_runs", ["make", "--out", str(folder), "--only", "ring-gan"])
        assert made.returncode == 0, made.stderr[-3000:]
        return folder
    few = FEW | {"data.cache": str(files["FOLDER"] / "cache")}
    if name == "EMOJI":
        genwright.train(
            "emoji-flow",
            run=folder,
            quiet=True,
            **few | {"model.width": 8, "sampling.steps": 1, "codec.size": 8},
        )
    elif name == "CAUSAL":
        size = {
            "model.depth": 1,
            "model.width": 32,
            "model.heads": 2,
            "data.context": 64,
            "codec": "bytes",
        }
        told = {"data.path": str(files["TEXT"]), "data.split": "tail", "data.held_out": 0.05}
        genwright.train("docs", run=folder, quiet=True, **few | size | told)
    elif name == "JSB":
        size = {
            "model.depth": 1,
            "model.width": 32,
            "model.heads": 2,
            "data.context": 64,
            "data.path": str(files["CHORALES"]),
        }
        genwright.train("jsb", run=folder, quiet=True, **few | size)
    elif name == "CODESREWARD":
        return rewarded_codes(files["FOLDER"] / "codes")[1].folder
    elif name.endswith("REWARD"):
        before = small_run(name.removesuffix("REWARD"), files, forks)
        kept = genwright.load(before).recipe
        rewards = ["phrase repetition"] if name == "TUNESREWARD" else ["parallels"]
        objective = {
            "kind": "policy",
            "rewards": [{"measure": measure, "otherwise": 0} for measure in rewards],
            "rollout": {"max_tokens": 40},
            "candidates": 2,
        }
        recipe = Recipe.of(kept.model_dump(mode="json") | {"objective": objective})
        genwright.train(recipe, run=folder, start=str(before), quiet=True)
    elif name == "MASKED":
        size = {
            "model.depth": 1,
            "model.width": 32,
            "model.heads": 2,
            "data.context": 64,
            "data.source": "files",
        }
        made = {"data.path": str(files["CHORALES"]), "sampling.passes": 2}
        genwright.train("chorales-masked", run=folder, quiet=True, **few | size | made)
    else:
        size = {
            "model.depth": 1,
            "model.width": 32,
            "model.heads": 2,
            "data.context": 64,
            "data.source": "files",
        }
        tunes = files["FOLDER"] / "tunes.abc"
        tunes.write_text(
            "\n\n".join(
                f"X:{i}\nK:G\nGABc dedB|{'gfed' if i % 2 else 'cBAG'} GABc|" for i in range(1, 13)
            )
        )
        genwright.train(
            "folk-tunes",
            run=folder,
            quiet=True,
            **few | size | {"data.path": str(tunes), "sampling.max_tokens": 60},
        )
    return folder


def run(
    forks: Forks, benchmark: str, words: list[str], bounds: dict[str, float] | None = None
) -> subprocess.CompletedProcess:
    environment = {OVERRIDES: json.dumps(bounds or {})}
    return forks.run([str(BENCHMARKS / f"{benchmark}.py"), *words], ROOT, environment)


def result_name(benchmark: str, words: str) -> str:
    """As bars.py names the result of these words."""
    for name in [*BARS, *REPORTED]:
        head, _, what = name.replace(",", "").partition(" ")
        if head == benchmark and what and what in words.split():
            return name
    return "shakespeare, tuning" if "--tune" in words else benchmark


def unreachable(bar: Bar) -> float:
    if bar.equal is not None:
        return -1
    return 1e300 if bar.at_least is not None else -1e300


@pytest.mark.parametrize(
    "benchmark,words", [(name, words) for name, runs in RUNS.items() for words in runs]
)
def test_a_benchmark_runs_to_its_end_and_fails_where_a_bar_is_missed(
    benchmark, words, files, forks
):
    filled = []
    for word in words.split():
        if word in files:
            word = str(files[word])
        elif word.isalpha() and word.isupper():
            word = str(small_run(word, files, forks))
        filled.append(word)
    name = result_name(benchmark, words)
    bounds = {bar.name: unreachable(bar) for bar in BARS.get(name, [])}
    done = run(forks, benchmark, filled, bounds)
    assert "Traceback" not in done.stderr and done.returncode in (0, 1), done.stderr[-3000:]
    result = json.loads(done.stdout[done.stdout.index("{\n") :])
    assert result["benchmark"] == name and result["figures"] and result["date"]
    machine = result["machine"]
    assert machine["cores"] >= 1 and machine["torch"] and {"amx", "threads"} <= set(machine)
    if name in REPORTED:
        assert done.returncode == 0 and result["reported"] == REPORTED[name]
        assert "bars" not in result and name not in BARS
        return
    assert done.returncode == 1 and result["passed"] is False
    assert [each["name"] for each in result["bars"]] == list(bounds)
    assert not any(each["met"] for each in result["bars"])
    judged = [bar.judged(result["figures"]) for bar in BARS[name]]
    if benchmark not in UNMEASURED:
        assert any(each["met"] is not None for each in judged)
    assert passed(judged) or benchmark not in EXACT, judged


def test_every_benchmark_is_run_here():
    there = {path.stem for path in BENCHMARKS.glob("*.py") if path.name not in NO_BENCHMARK}
    assert there == set(RUNS)
    run_here = {result_name(name, words) for name, runs in RUNS.items() for words in runs}
    assert {*BARS, *REPORTED} - run_here == {"earlier_runs, make"}


def test_made_up_chorales_are_music(files):
    pieces = json.loads(files["CHORALES"].read_text())["train"]
    assert isinstance(of_grid(np.asarray(pieces[0])), Score)
