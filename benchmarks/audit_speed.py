"""Seconds that an audit of a run takes without the drawing of its samples.

    python benchmarks/audit_speed.py [--samples 10000] [--steps 20] [--of text images music]
                                     [--path DATA] [--out FILE]

Samples stand ready: real examples, taken again until there are as many as are asked for. A tiny
model of some steps is audited (text: Python's documentation, by language and by a list of words;
images: sprites, by shape and colour; music: folk tunes, by mode and metre). The first audit may
train what judges samples or tells their features, which is kept; both times are given. Bar: 60 s
of the second.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import genwright
from common import finish
from genwright.audit.run import audit_run
from genwright.core.content import Sample
from genwright.core.groups import Audited

LEXICON = "word,group\nif,one\nfor,one\nwhile,two\nclass,two\n"
RECIPES = {
    "text": ("docs", ("language",), {"model.depth": 1, "model.width": 64, "model.heads": 2}),
    "images": ("sprites-vae", ("shape", "main hue"), {}),
    "music": ("folk-tunes", ("mode", "metre"), {"model.depth": 1, "model.width": 64}),
}


def ready(run: genwright.Run, count: int) -> list[Sample]:
    """Real examples as samples."""
    content = run.kind
    assert isinstance(content, Audited)
    dataset = run.dataset()
    many = len(content.known(dataset, "train", []).names)
    samples: list[Sample] = []
    for start in range(0, min(many, count), 512):
        numbers = list(range(start, min(start + 512, many, count)))
        samples += content.examples(dataset, "train", numbers)
    return (samples * -(-count // len(samples)))[:count]


def measured(kind: str, folder: Path, count: int, steps: int, path: str | None) -> dict:
    recipe, groups, changes = RECIPES[kind]
    names = list(groups)
    if kind == "text":
        lexicon = folder / "words.csv"
        lexicon.write_text(LEXICON, encoding="utf-8")
        names.append(str(lexicon))
    settings = {"training.steps": steps, "training.evaluate_every": 0, "training.precision": "fp32"}
    if path is not None:
        settings |= {"data.path": path, "data.source": "files", "data.context": 32}
        settings["data.split"] = "tail"
    run = genwright.train(recipe, run=folder / kind, quiet=True, **settings, **changes)
    samples = ready(run, count)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        audit_run(run.folder, names, None, conditioned=0, samples=samples)
        seconds.append(round(time.perf_counter() - start, 1))
    return {
        "samples": len(samples),
        "groups": [Path(name).stem for name in names],
        "first, seconds": seconds[0],
        "second, seconds": seconds[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--path", help="of data, in place of the recipe's")
    parser.add_argument("--of", nargs="+", choices=list(RECIPES), default=list(RECIPES))
    parser.add_argument("--out")
    a = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in a.of:
            figures[kind] = measured(kind, Path(folder), a.samples, a.steps, a.path)
            print(kind, figures[kind], file=sys.stderr, flush=True)
    sys.exit(finish("audit_speed", figures, a.out))


if __name__ == "__main__":
    main()
