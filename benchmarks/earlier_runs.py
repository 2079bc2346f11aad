"""Runs that an earlier version made are sampled, evaluated, exported, started from and resumed by
this one, and must give what they gave then.

    python benchmarks/earlier_runs.py make --out DIR [--tree SOURCES] [--only NAME ...]
    python benchmarks/earlier_runs.py compare DIR [--only NAME ...]

`make` trains tiny runs of most families in DIR/first, with the version whose sources lie in
SOURCES (default: the installed one), and keeps what every command printed and wrote. `compare`
copies the runs to DIR/again and gives the same commands with the version that it is started with.
Both use the command line alone, and the same relative paths, so that what is printed can be
compared as it is.

What must be equal: texts, pictures and scores byte for byte; figures to 1e-5; exported weights bit
for bit. Resuming may be refused, in one sentence; where it works its records must be equal to 1e-5.
Exit code 1 where something differs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from common import finish

TOLERANCE = 1e-5  # relative, and absolute near 0
CLOCK = ("seconds", "memory_mb", "elapsed")  # fields of records, with `*_per_second`
NUMBER = re.compile(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?")

FEW = {
    "training.steps": 6,
    "training.batch_size": 8,
    "training.evaluate_every": 0,
    "training.checkpoint_every": 3,
    "training.precision": "fp32",
    "training.compile": "false",
    "training.threads": 1,
    "watching.samples": 0,
}
SMALL = {"model.depth": 2, "model.width": 32, "model.heads": 2, "data.context": 64}
TEXTS = SMALL | {"data.source": "files", "data.path": "../data/texts", "data.held_out": 0.1}
BPE = {"codec.vocabulary": 300}
DIGITS = {"data.path": "../data/digits.npz"}
CHORALES = SMALL | {"data.source": "files", "data.path": "../data/chorales.json"}
DRAWN = ["--seed", "3", "-n", "3"]
SPOKEN = ["--prompt", "7 times", "--max-tokens", "40", *DRAWN]


@dataclass(frozen=True)
class Case:
    """One run. settings: beside those of all runs; sample: options of `genwright sample`; export:
    whether Hugging Face's format holds it; start: whether another run starts from its weights;
    resume: whether it is stopped half-way and a copy of it resumed."""

    name: str
    recipe: str
    settings: dict[str, object] = field(default_factory=dict)
    sample: Sequence[str] = tuple(DRAWN)
    export: bool = False
    start: bool = False
    resume: bool = False
    evaluate: bool = True

    def words(self) -> list[str]:
        """The settings as words of the command line."""
        return [f"{key}={value}" for key, value in (FEW | self.settings).items()]


CASES = [
    Case("code", "code", TEXTS | BPE, SPOKEN, export=True, start=True, resume=True),
    Case(
        "docs-llama",
        "docs",
        TEXTS
        | {"codec": "bytes", "model.preset": "llama", "model.kv_heads": 1, "training.ema": 0.9},
        SPOKEN,
        export=True,
    ),
    Case(
        "docs-qwen3",
        "docs",
        TEXTS
        | BPE
        | {
            "model.preset": "qwen3",
            "model.window": 16,
            "model.pattern": "LS",
            "training.optimizer.kind": "adamw",
        },
        SPOKEN,
        export=True,
    ),
    Case(
        "speedrun-bf16",
        "shakespeare",
        SMALL
        | {
            "data.path": "../data/text.txt",
            "model.preset": "speedrun",
            "training.precision": "bf16",
        },
        SPOKEN,
        resume=True,
    ),
    Case(
        "gpt2",
        "gpt2-small",
        TEXTS | BPE | {"training.micro_batch": 4, "codec.sample": 1, "model.hidden": 64},
        SPOKEN,
        export=True,
    ),
    Case(
        "docs-masked",
        "docs-masked",
        TEXTS | BPE,
        ["--fill", "7 times [MASK] is 49, as [MASK] knows.", "--seed", "3"],
        export=True,
        start=True,
    ),
    Case("digits-vae", "digits-vae", DIGITS | {"model.width": 8, "model.units": 8}),
    Case(
        "digits-gan",
        "digits-gan",
        DIGITS | {"model.generator.width": 8, "model.discriminator.width": 8},
        [*DRAWN, "--condition", "label=3"],
        resume=True,
    ),
    Case(
        "digits-flow",
        "digits-flow",
        DIGITS | {"model.width": 8, "sampling.steps": 2},
        [*DRAWN, "--condition", "label=3", "--guidance", "2"],
    ),
    Case(
        "stacked",
        "stacked-digits-gan",
        DIGITS | {"model.generator.width": 8, "model.discriminator.width": 8},
        evaluate=False,
    ),
    Case(
        "emoji-vae",
        "emoji-vae",
        {"codec.size": 16, "model.width": 8, "model.depth": 1},
    ),
    Case("emoji-vq", "emoji-vq", {"codec.size": 16, "model.width": 8, "model.codes": 32}),
    Case(
        "emoji-codes",
        "emoji-codes",
        {"model.depth": 1, "model.width": 32, "model.heads": 2, "training.steps": 3},
    ),
    Case("sprites-vae", "sprites-vae", {"codec.size": 16, "model.width": 8}),
    Case("ring-gan", "ring-gan", {"model.generator.width": 16, "model.discriminator.width": 16}),
    Case("moons-flow", "moons-flow", {"model.width": 16}, start=True),
    Case("jsb", "jsb", CHORALES, [*DRAWN, "--max-tokens", "60"]),
    Case("chorales", "chorales", CHORALES | {"codec.kind": "grid"}, [*DRAWN, "--bars", "1"]),
    Case(
        "chorales-masked",
        "chorales-masked",
        CHORALES | {"sampling.passes": 4},
        [*DRAWN, "--bars", "1"],
    ),
    Case(
        "folk-tunes",
        "folk-tunes",
        SMALL | {"data.source": "files", "data.path": "../data/tunes.abc", "training.steps": 40},
        [*DRAWN, "--max-tokens", "100"],
    ),
]


def prepare(folder: Path) -> None:
    """The data of all runs, a pure function of nothing."""
    folder.mkdir(parents=True)
    dice = np.random.default_rng(0)
    lines = [f"{i} times {i} is {i * i}, as everybody knows.\n" for i in range(1200)]
    (folder / "text.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "texts").mkdir()
    for start in range(0, len(lines), 30):
        part = "".join(lines[start : start + 30])
        (folder / "texts" / f"{start:04}.txt").write_text(part, encoding="utf-8")
    np.savez(
        folder / "digits.npz",
        train_images=dice.integers(0, 256, (60, 28, 28), np.uint8),
        train_labels=np.arange(60) % 10,
        test_images=dice.integers(0, 256, (20, 28, 28), np.uint8),
        test_labels=np.arange(20) % 10,
    )
    chords = np.array([[72, 67, 60, 48], [74, 67, 59, 43], [71, 65, 62, 50], [72, 64, 60, 45]])
    splits: dict[str, list] = {"train": [], "valid": [], "test": []}
    for split, count in (("train", 6), ("valid", 3), ("test", 3)):
        for _ in range(count):
            beats = chords[dice.integers(0, 4, 16)] + dice.integers(-2, 3)
            splits[split].append(np.repeat(beats, 4, axis=0).tolist())
    (folder / "chorales.json").write_text(json.dumps(splits), encoding="utf-8")
    tunes = []
    for number in range(1, 13):
        second = "gfed" if number % 2 else "cBAG"
        tunes.append(f"X:{number}\nK:G\nGABc dedB|{second} GABc|")
    (folder / "tunes.abc").write_text("\n\n".join(tunes), encoding="utf-8")


class Commands:
    """Gives commands in one folder, with one version, and keeps what each printed."""

    def __init__(self, root: Path, tree: Path | None):
        self.root = root
        self.environment = os.environ | {
            "GENWRIGHT_CACHE": str(root.parent.resolve() / "cache"),
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
        }
        if tree is not None:
            self.environment["PYTHONPATH"] = str(tree.resolve())
        (root / "printed").mkdir(parents=True)

    def give(self, name: str, *words: str) -> subprocess.CompletedProcess:
        """Runs `genwright words` and keeps its output and exit code as printed/NAME."""
        done = subprocess.run(
            [sys.executable, "-m", "genwright", *words],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
        )
        if "Traceback" in done.stderr or done.returncode == 1:
            print(f"{' '.join(words)}\n{done.stderr}", file=sys.stderr)
        text = f"exit code {done.returncode}\n{done.stdout}"
        if done.returncode:
            text += done.stderr
        (self.root / "printed" / f"{name}.txt").write_text(text, encoding="utf-8")
        return done

    def needed(self, name: str, *words: str) -> None:
        """The same, of a command without which nothing follows."""
        done = self.give(name, *words)
        if done.returncode:
            sys.exit(f"genwright {' '.join(words)}\nexit code {done.returncode}: {done.stderr}")

    def train(self, case: Case) -> None:
        half = ["--until", "3"] if case.resume else []
        run = f"runs/{case.name}"
        self.needed(
            f"{case.name}.train",
            *("train", case.recipe, *case.words(), "--run", run, "--quiet", *half),
        )

    def use(self, case: Case) -> None:
        """All that is done with a run that is there."""
        run = f"runs/{case.name}"
        sample = list(case.sample)
        # text is printed, all else is written
        if not {"--prompt", "--fill"} & set(sample):
            sample += ["--output", f"samples/{case.name}"]
        self.give(f"{case.name}.sample", "sample", run, *sample)
        if case.evaluate:
            self.give(f"{case.name}.evaluate", "evaluate", run, "--samples", "20", "--quiet")
        if case.export:
            self.give(f"{case.name}.export", "export", run, f"exported/{case.name}")
        if case.start:
            started = ["--run", f"started/{case.name}", "--from", run, "--until", "2", "--quiet"]
            self.give(f"{case.name}.start", "train", case.recipe, *case.words(), *started)
        if case.resume:
            copy = self.root / "resumed" / case.name
            shutil.copytree(self.root / run, copy)
            words = [*case.words(), "--run", f"resumed/{case.name}", "--resume", "--quiet"]
            self.give(f"{case.name}.resume", "train", case.recipe, *words)


# ---- comparing


def numbers_differ(first: float, again: float) -> bool:
    if math.isnan(first) and math.isnan(again):
        return False
    return not math.isclose(first, again, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def texts_differ(first: str, again: str) -> str | None:
    """Where two texts differ other than in numbers that are equal to the tolerance."""
    if first == again:
        return None
    for one, two in zip(first.splitlines(), again.splitlines(), strict=False):
        if one == two:
            continue
        same_words = NUMBER.sub("#", one) == NUMBER.sub("#", two)
        pairs = zip(NUMBER.findall(one), NUMBER.findall(two), strict=False)
        values = [(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs]
        if not same_words or any(numbers_differ(a, b) for a, b in values):
            return f"{one.strip()!r} was there, now {two.strip()!r}"
    if len(first.splitlines()) != len(again.splitlines()):
        return f"{len(first.splitlines())} lines were there, now {len(again.splitlines())}"
    return None


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """The plain values of a JSON value, each with its path; clocks are left out."""
    if isinstance(value, dict):
        for key, each in value.items():
            if key not in CLOCK and not key.endswith("_per_second"):
                yield from leaves(each, f"{path}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from leaves(each, f"{path}[{index}]")
    else:
        yield path, value


def values_differ(first: object, again: object) -> str | None:
    """Where two JSON values differ. What was not there before may be there now."""
    then = dict(leaves(first))
    now = dict(leaves(again))
    for path, one in then.items():
        if path not in now:
            return f"{path} is not there any more"
        two = now[path]
        if isinstance(one, float) and isinstance(two, float):
            if numbers_differ(one, two):
                return f"{path} was {one}, now {two}"
        elif one != two:
            return f"{path} was {one!r}, now {two!r}"
    return None


def files_differ(first: Path, again: Path) -> str | None:
    """What differs between two files, by their kind."""
    if not again.is_file():
        return "was written, now it is not"
    if first.suffix == ".jsonl":
        pairs = [path.read_text(encoding="utf-8").splitlines() for path in (first, again)]
        return values_differ(*[[json.loads(line) for line in lines] for lines in pairs])
    if first.suffix == ".json":
        return values_differ(*[json.loads(p.read_text(encoding="utf-8")) for p in (first, again)])
    if first.suffix == ".safetensors":
        ours, theirs = load_file(first), load_file(again)
        if ours.keys() != theirs.keys():
            return f"names of weights differ: {sorted(ours.keys() ^ theirs.keys())[:3]}"
        unequal = [name for name in ours if not np.array_equal(ours[name], theirs[name])]
        return f"{unequal[0]} has other values" if unequal else None
    return None if first.read_bytes() == again.read_bytes() else "has other bytes"


def refused(text: str) -> bool:
    """Whether a command said in one sentence what it does not do."""
    lines = text.splitlines()
    return lines[0] == "exit code 2" and len(lines) == 2 and lines[1].startswith("error: ")


def compare(case: Case, first: Path, again: Path) -> list[tuple[str, str]]:
    """(what, "equal", "refused" or what differs) for all that was done with a run."""
    rows = []
    for path in sorted((first / "printed").glob(f"{case.name}.*")):
        what = path.stem.removeprefix(f"{case.name}.")
        if what == "train":
            continue
        one = path.read_text(encoding="utf-8")
        two = (again / "printed" / path.name).read_text(encoding="utf-8")
        if what == "resume" and refused(two):
            rows.append((what, "refused: " + two.splitlines()[1]))
            continue
        if what in ("sample", "resume", "start", "export"):
            difference = None if one == two else texts_differ(one, two) or "other digits"
        else:
            difference = texts_differ(one, two)
        if difference is None:
            difference = written_differ(case, what, first, again)
        rows.append((what, difference or "equal"))
    return rows


def written_differ(case: Case, what: str, first: Path, again: Path) -> str | None:
    """What differs among the files that a command wrote."""
    patterns = {
        "sample": f"samples/{case.name}/**/*",
        "evaluate": f"runs/{case.name}/evaluations/*.json",
        "export": f"exported/{case.name}/**/*",
        "start": f"started/{case.name}/metrics.jsonl",
        "resume": f"resumed/{case.name}/metrics.jsonl",
    }
    for path in sorted(first.glob(patterns[what])):
        if not path.is_file():
            continue
        place = path.relative_to(first)
        if difference := files_differ(path, again / place):
            return f"{place}: {difference}"
    return None


def chosen(names: Sequence[str]) -> list[Case]:
    known = {case.name: case for case in CASES}
    unknown = set(names) - known.keys()
    if unknown:
        sys.exit(f"no such run: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return [known[name] for name in names] if names else CASES


def make(folder: Path, tree: Path | None, cases: Sequence[Case]) -> dict[str, object]:
    if folder.exists():
        sys.exit(f"{folder} is there already: name a new folder")
    prepare(folder / "data")
    began = time.monotonic()
    commands = Commands(folder / "first", tree)
    for case in cases:
        started = time.monotonic()
        commands.train(case)
        commands.use(case)
        print(f"{case.name:<16} {time.monotonic() - started:5.1f} s", file=sys.stderr)
    return {"runs": len(cases), "seconds": round(time.monotonic() - began, 1)}


def again(folder: Path, cases: Sequence[Case]) -> dict[str, object]:
    first, second = folder / "first", folder / "again"
    shutil.rmtree(second, ignore_errors=True)
    commands = Commands(second, None)
    shutil.copytree(
        first / "runs", second / "runs", ignore=shutil.ignore_patterns("evaluations", "samples")
    )
    made = [case for case in cases if (first / "runs" / case.name).is_dir()]
    equal, differing, resumption = 0, [], []
    for case in made:
        commands.use(case)
        for what, said in compare(case, first, second):
            print(f"{case.name:<16} {what:<9} {said}", flush=True)
            if said == "equal":
                equal += 1
            elif said.startswith("refused: "):
                resumption.append(case.name)
            else:
                differing.append(f"{case.name} {what}")
    return {
        "runs": len(made),
        "equal": equal,
        "different": differing,
        "resuming_refused": resumption,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    maker = commands.add_parser("make")
    maker.add_argument("--out", type=Path, required=True)
    maker.add_argument("--tree", type=Path, help="sources of the version that makes the runs")
    comparer = commands.add_parser("compare")
    comparer.add_argument("folder", type=Path)
    for each in (maker, comparer):
        each.add_argument("--only", nargs="*", default=[], metavar="NAME")
    options = parser.parse_args()
    cases = chosen(options.only)
    if options.command == "make":
        return finish("earlier_runs, make", make(options.out, options.tree, cases))
    return finish("earlier_runs", again(options.folder, cases))


if __name__ == "__main__":
    sys.exit(main())
