"""Runs a toy in a folder, as a process of its own: for the tests of several processes and of kills.

python toy_run.py NAME FOLDER [--resume] [--until N] [--steps N] [--strategy fsdp] [--micro N]
[--every N] [--bf16] [--again FOLDER: the same modules a second time] [--read FILE: all
that is trained, as one vector]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from safetensors.torch import save_file

from genwright.cli import leave
from genwright.training.engine import Engine
from genwright.training.session import Session
from training import toys


def session(name, folder, engine=None, strategy="ddp", measure=True, objective=None, **training):
    engine = engine or Engine("cpu", strategy)
    fresh, stream, settings = toys.make(name, strategy=strategy, **training)
    objective = objective or fresh

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
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--again")
    parser.add_argument("--read")
    a = parser.parse_args()
    torch.set_num_threads(1)
    objective = None
    for folder in [a.folder, a.again] if a.again else [a.folder]:
        s = session(
            a.name,
            folder,
            strategy=a.strategy,
            objective=objective,
            steps=a.steps,
            micro_batch=a.micro,
            checkpoint_every=a.every,
            evaluate_every=7,
        )
        s.dtype = torch.bfloat16 if a.bf16 else torch.float32
        objective = s.objective
        state, ended = s.train(resume=a.resume, until=a.until)
        print(ended)
        if a.read and folder == (a.again or a.folder):
            flat = state.read()
            state.write(flat)
            assert torch.equal(state.read(), flat)
            state.write(flat * 2)
            if s.engine.main:
                save_file({"flat": flat}, a.read)
            assert torch.equal(state.read(), flat * 2)
    s.engine.close()
    leave(0)
