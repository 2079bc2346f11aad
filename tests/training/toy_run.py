"""Runs a toy in a folder, as a process of its own: for the tests of several processes and of kills.

python toy_run.py NAME FOLDER [--resume] [--until N] [--steps N] [--strategy fsdp] [--micro N]
[--every N]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from genwright.cli import leave
from genwright.training.engine import Engine
from genwright.training.session import Session
from training import toys


def session(name, folder, engine=None, strategy="ddp", measure=True, **training):
    engine = engine or Engine("cpu", strategy)
    objective, stream, settings = toys.make(name, strategy=strategy, **training)

    def held_out(step):
        with torch.no_grad():
            total = sum(
                p.double().abs().sum() for m in objective.modules.values() for p in m.parameters()
            )
            return {"loss": float(total.full_tensor() if hasattr(total, "full_tensor") else total)}

    Path(folder).mkdir(parents=True, exist_ok=True)
    return Session(
        Path(folder),
        objective,
        stream,
        settings,
        engine,
        seed=3,
        measure=held_out if measure else None,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("folder")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--until", type=int)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--strategy", default="ddp")
    parser.add_argument("--micro", type=int)
    parser.add_argument("--every", type=int, default=10)
    a = parser.parse_args()
    torch.set_num_threads(1)
    s = session(
        a.name,
        a.folder,
        strategy=a.strategy,
        steps=a.steps,
        micro_batch=a.micro,
        checkpoint_every=a.every,
        evaluate_every=7,
    )
    print(*s.train(resume=a.resume, until=a.until)[1:])
    s.engine.close()
    leave(0)
