"""What a run is beside its data, and how it begins."""

from dataclasses import dataclass, field

import torch

from genwright.core.contracts import Objective
from genwright.core.errors import GenwrightError
from genwright.training.engine import Engine
from genwright.training.settings import Training
from genwright.training.weights import Weights


@dataclass
class State:
    """All that a run is, beside its data. step: updates made or passed over. skipped: windows of
    data (start, length) that the run passed over after rolling back. bad: non-finite steps in a
    row."""

    weights: dict[str, Weights]
    seed: int = 0
    step: int = 0
    skipped: list[tuple[int, int]] = field(default_factory=list)
    bad: int = 0
    rollbacks: int = 0

    def position(self, step: int) -> int:
        """Where in the data a step is: the step, plus the windows passed over before it."""
        return step + sum(length for start, length in self.skipped if step >= start)


def start(
    objective: Objective,
    settings: Training,
    engine: Engine,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
) -> State:
    """A fresh state: optimizers at zero, averages equal to the weights. Moves the modules to the
    engine's device."""
    if objective.double_backward and (settings.compile or engine.strategy == "fsdp"):
        what = "training.strategy=fsdp" if engine.strategy == "fsdp" else "training.compile=true"
        remedy = (
            "set training.strategy=ddp"
            if engine.strategy == "fsdp"
            else "set training.compile=false"
        )
        raise GenwrightError(
            f"this objective differentiates gradients, which {what} cannot do", remedy
        )
    kind = Weights
    weights = dict[str, Weights]()
    if engine.strategy == "fsdp":
        from genwright.training.sharded import ShardedWeights as kind
    moves = {name for turn in objective.turns(0) for name in turn.moves}
    for name, module in objective.modules.items():
        module.to(engine.device)
        if name not in moves:
            module.requires_grad_(False)
        chosen = settings.optimizers.get(name, settings.optimizer).in_steps(settings.steps)
        ema = (
            settings.ema
            if name in moves and (not settings.ema_of or name in settings.ema_of)
            else None
        )
        weights[name] = kind(module, chosen, dtype, ema)
    return State(weights, seed)
