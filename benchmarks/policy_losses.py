r"""Losses of policies beside TRL's: GRPO, Dr. GRPO, DAPO and others on the same rewards and
log-probabilities, values and gradients.

    python3 -m venv TRL && TRL/bin/pip install torch==2.13.0 trl==1.16.0
    python benchmarks/policy_losses.py --python TRL/bin/python [--seeds 5] [--out FILE]

TRL's real GRPOTrainer makes advantages from the rewards, and a loss of the log-probabilities, in
its own environment (`peers/trl_side.py`). Ours are `objectives/policy_gradient.py` with the
settings that mean the same. All in float64; the policy has moved away from the one that drew, so
that the bounds decide some tokens; samples are of unequal length. Both losses are given TRL's
advantages, since it divides by the deviation + 1e-4 where we divide by the deviation; the
advantages are compared by themselves, without and with that.

Bar: losses and gradients of GRPO, Dr. GRPO and DAPO within 1e-6. Exits with 1 where it is missed,
or where there is no TRL to compare with.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch
from torch import Tensor

from common import finish
from genwright.objectives import policy_gradient as pg

BARRED = ("GRPO", "Dr. GRPO", "DAPO")
CANDIDATES = 8
LONGEST = 24
EPSILON = 1e-4  # TRL adds it to a group's deviation

# what the same loss is called on both sides
CASES = {
    "GRPO": {
        "trl": {"loss_type": "grpo", "epsilon": 0.2, "epsilon_high": 0.2},
        "scale": True,
        "normaliser": "sequence",
        "loss": {"clip_low": 0.2, "clip_high": 0.2},
    },
    "Dr. GRPO": {
        "trl": {
            "loss_type": "dr_grpo",
            "scale_rewards": "none",
            "epsilon": 0.2,
            "epsilon_high": 0.2,
        },
        "scale": False,
        "normaliser": "constant",
        "loss": {"clip_low": 0.2, "clip_high": 0.2},
    },
    "DAPO": {
        "trl": {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28},
        "scale": True,
        "normaliser": "tokens",
        "loss": {"clip_low": 0.2, "clip_high": 0.28},
    },
    "DAPO, dual clipping": {
        "trl": {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "delta": 1.5},
        "scale": True,
        "normaliser": "tokens",
        "loss": {"clip_low": 0.2, "clip_high": 0.28, "truncate": 1.5},
    },
    "GSPO": {
        "trl": {
            "loss_type": "grpo",
            "importance_sampling_level": "sequence",
            "epsilon": 3e-2,
            "epsilon_high": 4e-2,
        },
        "scale": True,
        "normaliser": "sequence",
        "loss": {"kind": "gspo", "clip_low": 3e-2, "clip_high": 4e-2},
    },
    "CISPO": {
        # TRL's bound is an absolute one
        "trl": {"loss_type": "cispo", "epsilon_high": 1.2},
        "scale": True,
        "normaliser": "tokens",
        "loss": {"kind": "cispo", "clip_high": 0.2},
    },
    "SAPO": {
        "trl": {"loss_type": "sapo"},
        "scale": True,
        "normaliser": "sequence",
        "loss": {"kind": "sapo"},
    },
}


def inputs_of(seed: int) -> dict[str, np.ndarray]:
    """Four questions of eight candidates."""
    random = torch.Generator().manual_seed(seed)
    n = 4 * CANDIDATES
    length = torch.randint(1, LONGEST + 1, (n,), generator=random)
    length[0] = LONGEST
    mask = torch.arange(LONGEST) < length[:, None]
    old = -3 * torch.rand(n, LONGEST, generator=random, dtype=torch.float64)
    moved = 0.3 * torch.randn(n, LONGEST, generator=random, dtype=torch.float64)
    rewards = torch.randn(n, generator=random, dtype=torch.float64)
    rewards[:CANDIDATES] = 0.5  # a question without variance
    return {
        "logprobs": (old + moved).numpy(),
        "old": old.numpy(),
        "mask": mask.numpy(),
        "rewards": rewards.numpy(),
    }


def advantages_of(case: dict, inputs: dict[str, np.ndarray]) -> Tensor:
    """(n,) ours, of rewards at the end."""
    mask = torch.from_numpy(inputs["mask"])
    rewards = torch.from_numpy(inputs["rewards"])
    at_end = torch.zeros(mask.shape, dtype=torch.float64)
    at_end[torch.arange(len(mask)), mask.sum(1) - 1] = rewards
    returns = pg.returns(at_end, mask)
    return pg.advantages(returns, mask, CANDIDATES, "group", case["scale"])[:, 0]


def loss_of(
    case: dict, inputs: dict[str, np.ndarray], advantages: Tensor
) -> tuple[float, Tensor, float]:
    """Ours: the loss of a step, its gradient by log-probabilities (n, t), share of clipped
    tokens."""
    mask = torch.from_numpy(inputs["mask"])
    logprobs = torch.from_numpy(inputs["logprobs"]).requires_grad_()
    old = torch.from_numpy(inputs["old"])
    spread = advantages[:, None].expand_as(mask)
    found = pg.policy_loss(logprobs, old, spread, mask, **case["loss"])
    total, count = pg.normalised(found.loss, mask, case["normaliser"], LONGEST)
    loss = total.sum() / count.sum()
    (gradient,) = torch.autograd.grad(loss, logprobs)
    clipped = float(found.clipped.sum() / mask.sum())
    return float(loss.detach()), gradient, clipped


def theirs(python: Path, inputs: list[dict], seeds: int) -> tuple[dict, dict[str, np.ndarray]]:
    """Versions, and what TRL makes of the inputs of all seeds."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        given = {}
        for seed, values in enumerate(inputs):
            for key, value in values.items():
                given[f"{seed}/{key}"] = value
        np.savez(work / "inputs.npz", **given)
        cases = {}
        for name, case in CASES.items():
            cases[name] = {"trl": case["trl"], "candidates": CANDIDATES, "seeds": seeds}
        (work / "cases.json").write_text(json.dumps(cases))
        side = str(Path(__file__).parent / "peers" / "trl_side.py")
        files = [str(work / name) for name in ("inputs.npz", "cases.json", "results.npz")]
        done = subprocess.run(
            [str(python), side, "losses", *files], stdout=subprocess.PIPE, text=True, check=True
        )
        versions = json.loads(done.stdout.splitlines()[-1])
        return versions, dict(np.load(work / "results.npz"))


def compared(case: dict, inputs: dict, theirs: dict[str, np.ndarray]) -> dict[str, float]:
    """Of one seed. Advantages are relative to what is divided by, as they are meant."""
    advantages = torch.from_numpy(theirs["advantages"])
    loss, gradient, clipped = loss_of(case, inputs, advantages)
    own = advantages_of(case, inputs)
    like_theirs = own
    if case["scale"]:
        groups = torch.from_numpy(inputs["rewards"]).view(-1, CANDIDATES)
        deviation = groups.std(1).repeat_interleave(CANDIDATES)
        like_theirs = own * deviation / (deviation + EPSILON)
    return {
        "loss": abs(loss - float(theirs["loss"])),
        "gradient": float(np.abs(gradient.numpy() - theirs["gradient"]).max()),
        "advantages": float((own - advantages).abs().max()),
        "advantages, with TRL's 1e-4": float((like_theirs - advantages).abs().max()),
        "clipped": clipped,
        "largest gradient": float(gradient.abs().max()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", type=Path, help="of an environment with TRL 1.16")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out")
    a = parser.parse_args()
    inputs = [inputs_of(seed) for seed in range(a.seeds)]
    if a.python is None:
        own = {}
        for name, case in CASES.items():
            losses = []
            for given in inputs:
                losses.append(loss_of(case, given, advantages_of(case, given))[0])
            own[name] = {"loss, ours alone": losses}
        print("there is nothing to compare with: name --python", file=sys.stderr)
        sys.exit(finish("policy_losses", {"losses": own}, a.out))
    versions, results = theirs(a.python, inputs, a.seeds)
    figures: dict[str, dict[str, float]] = {}
    for name, case in CASES.items():
        worst: dict[str, float] = {}
        for seed, given in enumerate(inputs):
            keys = ("advantages", "loss", "gradient")
            side = {key: results[f"{name}/{seed}/{key}"] for key in keys}
            for key, value in compared(case, given, side).items():
                worst[key] = max(value, worst.get(key, 0.0))
        figures[name] = worst
    apart = 0.0
    for name in BARRED:
        apart = max(apart, figures[name]["loss"], figures[name]["gradient"])
    result = {
        "largest difference": figures,
        "of the barred ones": apart,
        "seeds": a.seeds,
        "samples": len(inputs[0]["mask"]),
        "tokens": LONGEST,
        "peer": versions,
    }
    sys.exit(finish("policy_losses", result, a.out))


if __name__ == "__main__":
    main()
