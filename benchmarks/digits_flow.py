r"""Digits by a flow, trained so many minutes: do its samples teach a classifier as well as real
digits do?

    python benchmarks/digits_flow.py --data mnist.npz [--minutes 60 | --steps N] \
        [--samples 10000] [--set key=value ...] [--out FILE]

`genwright train digits-flow`, its speed measured over some steps and the steps that fit into the
minutes trained (or, on a busy machine, `--steps`); then 1,000 samples for each label in 10 Euler
steps (and by the recipe's own solver). A classifier is trained on them and tested on the real test
digits, beside the same classifier trained on as many real training digits. Precision, recall,
density and coverage (k = 5) against the test digits in the features of an extractor trained on all
real ones, beside those of real training digits: the floor.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch

import genwright
from common import finish
from genwright.contents.images.sampler import drawer_of
from genwright.data.examples import Split
from genwright.evaluation.distances import prdc
from genwright.evaluation.features import extractor, fit, of_split, right
from genwright.recipe.overrides import parse_overrides


def taught(x: torch.Tensor, condition: torch.Tensor, test, space, seen: int) -> float:
    """Accuracy on the test digits of a classifier trained on x (n, 1, 28, 28) and its labels as
    conditions (n, 10)."""
    split = Split(
        np.arange(len(x)), lambda n: x[torch.from_numpy(n)], str, condition.byte().numpy()
    )
    network = fit(
        split, space.shape, space.attributes, dict.fromkeys(space.attributes, True), seen=seen
    )
    real, labels = test
    with torch.no_grad():
        guess = torch.cat([network(part)[0] for part in real.split(500)])
    return statistics.mean(value for value, _ in right(guess, labels, space.attributes).values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--steps", type=int, help="in place of what fits into the minutes")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument(
        "--seen",
        type=int,
        default=120_000,
        help="pictures that each classifier is trained on, repeats included",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="key=value", help="other settings of the recipe"
    )
    parser.add_argument("--out")
    a = parser.parse_args()
    quiet = {"training.checkpoint_every": 0, "training.evaluate_every": 0, "watching.samples": 0}
    given = {"data.path": str(a.data), "seed": a.seed} | quiet | parse_overrides(a.set)
    with tempfile.TemporaryDirectory() as work:
        trial = genwright.train("digits-flow", run=f"{work}/trial", quiet=True, until=40, **given)
        speed = 1 / statistics.median(
            [r["seconds"] for r in trial.records if "images_per_second" in r][8:]
        )
        steps, began = a.steps or int(a.minutes * 60 * speed), time.time()
        run = genwright.train(
            "digits-flow", run=f"{work}/run", quiet=True, **given | {"training.steps": steps}
        )
        seconds, space, dataset = time.time() - began, run.codec.space, run.dataset()
        condition = torch.eye(space.columns).repeat(a.samples // space.columns, 1)
        drawing = run.recipe.sampling
        solvers = {
            "10 Euler steps": {"steps": 10, "solver": "euler"},
            f"{drawing.steps} {drawing.solver} steps": {},
        }
        drawn = {
            name: drawer_of(run.opened(**how))(len(condition), condition).clamp(-1, 1)
            for name, how in solvers.items()
        }
    seen = extractor(dataset)
    train, test = dataset.split("train"), of_split(dataset.split("held_out"), 10_000)
    real, labels = of_split(train, len(condition))
    reference = seen.features(test[0])
    figures = {
        "steps": steps,
        "images per second": speed * run.recipe.training.batch_size,
        "seconds": seconds,
        "extractor": seen.describe(),
        "real": {"accuracy when trained on": taught(real, labels, test, space, a.seen)}
        | prdc(reference, seen.features(real)),
    }
    for name, x in drawn.items():
        recognised = right(seen.predict(x), condition, space.attributes)
        figures[name] = {
            "accuracy when trained on": taught(x, condition, test, space, a.seen),
            "recognised by the extractor": statistics.mean(
                value for value, _ in recognised.values()
            ),
        } | prdc(reference, seen.features(x))
    sys.exit(finish("digits_flow", figures, a.out))


if __name__ == "__main__":
    main()
