"""How long each recipe trains on this machine, all its steps, as `genwright inspect` measures it:
seconds of a step, times steps, evaluation aside.

    python benchmarks/recipe_times.py [--recipes code tunes] [--data NAME=PATH ...]
        [--set KEY=VALUE ...] [--out FILE]

Recipes whose data must be given are passed over unless --data names them. Nothing else should run
on the machine.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from common import finish
from genwright.recipe.shipped import shipped


def inspected(recipe: str, words: list[str]) -> dict:
    words = ["training.minutes=null", *words]
    command = [sys.executable, "-m", "genwright", "inspect", recipe, *words]
    done = subprocess.run(command, capture_output=True, text=True)
    text = " ".join(done.stdout.split())
    found = re.search(r"about ([\d.,]+) (\w+) here in (\w+) \(([\d.,]+) ms a step", text)
    if found is None:
        return {"not measured": " ".join(done.stderr.split())[-200:]}
    number, unit, precision, step = found.groups()
    return {
        "takes": f"{number} {unit}",
        "ms a step": float(step.replace(",", "")),
        "precision": precision,
    }


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipes", nargs="*")
    parser.add_argument("--data", nargs="*", default=[], help="recipe=path")
    parser.add_argument("--set", nargs="*", default=[], help="settings of all, key=value")
    parser.add_argument("--out")
    a = parser.parse_args()
    data = dict(word.split("=", 1) for word in a.data)
    figures = {}
    for name in a.recipes or [name for name, _ in shipped()]:
        own = [f"data.path={data[name]}"] if name in data else []
        figures[name] = inspected(name, [*own, *a.set])
        print(f"{name}: {figures[name]}", file=sys.stderr, flush=True)
    return finish("recipe_times", figures, a.out)


if __name__ == "__main__":
    sys.exit(main())
