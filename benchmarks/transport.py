r"""Flow matching from eight Gaussians to two moons: squared 2-Wasserstein distance to 10,000 points
of the moons, plain and by optimal transport, in one Euler step and in many.

    python benchmarks/transport.py [--seeds 3] [--steps 8000] [--plain-steps 32000] \
        [--batch 512] [--out FILE]

The protocol of Cheng and Schwing (arXiv 2503.10636, figure 1, `moons.py`), ten seeds: one Euler
step 6.232 plain, 0.072 by optimal transport; an adaptive solver 0.120 and 0.050. Gaussians at
radius 5 with variance 0.1; moons as torchdyn makes them: evenly spaced angles, 0.2 uniform noise
along the diagonal, times 3 minus 1. They pair 1,024 points at once, and train 20,000 steps of 256.

With plain pairing nothing is known of x_1 at t = 0, so that the best velocity leads every point to
the mean of the moons, whose distance to the moons is their variance: the closed form. A velocity
that is wrong by a standard deviation of s at t = 0 lowers the distance by up to 2 * 3 * s, for the
best coupling aligns the error: 5% is s = 0.075. Needs POT for the exact coupling of 10,000 points.
"""

from __future__ import annotations

import argparse
import math
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch

from common import finish
from genwright.core.contracts import Source, Space
from genwright.core.draws import Draws
from genwright.models.velocity import MlpVelocity
from genwright.objectives.flow import Flow
from genwright.objectives.transport import square_distances
from genwright.sampling.drawing import Drawing
from genwright.training import loop
from genwright.training.engine import Engine
from genwright.training.hooks import averaged
from genwright.training.settings import Optimizer, Schedule, Training

SPACE = Space(shape=(2,))


class EightToMoons:
    units, unit = 1, "points"

    def __init__(self, size: int, seed: int):
        self.size, self.seed = size, seed

    def batch(self, position: int, examples: torch.Tensor, policy=None) -> dict[str, torch.Tensor]:
        draws = Draws(self.seed, position, examples)
        turn = draws.integers("centre", 8) * (math.pi / 4)
        start = 5 * torch.stack([turn.cos(), turn.sin()], 1) + 0.1**0.5 * draws.normal("spread", 2)
        half = self.size // 2
        lower = examples >= half
        angle = (examples % half) * (math.pi / (half - 1))
        upper_moon, lower_moon = (
            torch.stack([angle.cos(), angle.sin()], 1),
            torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1),
        )
        moons = torch.where(lower[:, None], lower_moon, upper_moon) + 0.2 * draws.uniform(
            "noise", 1
        )
        return {"start": start, "x": 3 * moons - 1}

    def sources(self, position: int, examples: torch.Tensor) -> list[Source]:
        return [Source(f"points {position}") for _ in examples]


def distance(a: torch.Tensor, b: torch.Tensor) -> float:
    """Squared 2-Wasserstein distance of two sets of as many points, exact: by network simplex,
    which points that have all collapsed into one place do not slow down as they do the shortest
    augmenting paths of `scipy.optimize.linear_sum_assignment`."""
    try:
        import ot
    except ImportError:
        raise SystemExit(
            "this benchmark couples 10,000 points exactly with POT: pip install POT"
        ) from None
    return float(
        ot.emd2([], [], square_distances(a.double(), b.double()).numpy(), numItermax=10**8)
    )


def trained(pairing: str, seed: int, steps: int, batch: int, rate: float):
    torch.manual_seed(seed)
    objective = Flow(pairing=pairing, times="arcsine").build(
        {"model": MlpVelocity(width=128, depth=3).build(SPACE)}, SPACE
    )
    adam = Optimizer(kind="adamw", learning_rate=rate, betas=(0.9, 0.99))
    settings = Training(
        steps=steps,
        batch_size=batch,
        ema=0.999,
        precision="fp32",
        optimizer=adam,
        schedule=Schedule(kind="cosine", warmup=100),
    )
    engine = Engine("cpu")
    state = loop.start(objective, settings, engine, seed)
    loop.run(objective, EightToMoons(batch, seed), state, steps, settings=settings, engine=engine)
    return objective, state


@torch.no_grad()
def moved(objective, state, start: torch.Tensor, drawing: Drawing) -> torch.Tensor:
    return averaged(state, lambda: objective.decode(start, None, None, drawing))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument(
        "--plain-steps",
        type=int,
        default=32000,
        help="of the independent pairing, a step of which is cheaper",
    )
    parser.add_argument(
        "--solver", action="store_true", help="also the distance after 100 Heun steps"
    )
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--points", type=int, default=10_000)
    parser.add_argument("--pairings", nargs="+", default=["independent", "optimal-transport"])
    parser.add_argument("--out")
    a = parser.parse_args()
    found: dict[str, list[float]] = {}

    def add(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)
        print(f"{name}: {value:.4f}", flush=True)

    for seed in range(a.seeds):
        pair = EightToMoons(a.points, 10_000 + seed).batch(0, torch.arange(a.points))
        start, moons = pair["start"], pair["x"]
        add(
            "floor: moons against moons",
            distance(
                EightToMoons(a.points, 20_000 + seed).batch(0, torch.arange(a.points))["x"], moons
            ),
        )
        add("closed form: all at the mean", float((moons - moons.mean(0)).square().sum(1).mean()))
        for pairing in a.pairings:
            began = time.perf_counter()
            objective, state = trained(
                pairing,
                seed,
                a.plain_steps if pairing == "independent" else a.steps,
                a.batch,
                a.rate,
            )
            add(f"{pairing}: seconds of training", time.perf_counter() - began)
            solvers = (
                ("one Euler step", Drawing(solver="euler", steps=1)),
                ("100 Heun steps", Drawing(steps=100)),
            )
            for name, drawing in solvers[: 1 + a.solver]:
                add(f"{pairing}: {name}", distance(moved(objective, state, start, drawing), moons))
    figures = {
        name: {"mean": statistics.mean(v), "sd": statistics.pstdev(v), "each": v}
        for name, v in found.items()
    }
    sys.exit(finish("transport", figures | {"arguments": vars(a)}, a.out))


if __name__ == "__main__":
    main()
