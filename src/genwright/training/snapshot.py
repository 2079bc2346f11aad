"""State <-> the tensors and JSON of a checkpoint, by parameter name, so that any number of processes can take it up."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genwright.contracts import Objective
from genwright.errors import GenwrightError
from genwright.training.loop import State

# what `Weights` calls it -> the file it is in, and what stands before its names there
KINDS = {"weights": ("weights", ""), "ema": ("ema", ""), "first": ("optimizer", "first."), "second": ("optimizer", "second.")}


def take(objective: Objective, state: State) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Tensors by file and name, and plain numbers. Under FSDP2 every rank must call it: shards are gathered."""
    files: dict[str, dict[str, Tensor]] = {}
    for module, weights in state.weights.items():
        for kind, (file, prefix) in KINDS.items():
            named = {**weights.tensors(kind), **(buffers(objective.modules[module]) if kind == "weights" else {})}
            if named:
                files.setdefault(file, {}).update({f"{prefix}{module}.{n}": t for n, t in named.items()})
    plain = {
        "step": state.step, "seed": state.seed, "skipped": state.skipped, "bad": state.bad, "rollbacks": state.rollbacks,
        "updates": {m: w.updates for m, w in state.weights.items()},
    }  # fmt: skip
    return files, plain


def put(objective: Objective, state: State, files: Mapping[str, Mapping[str, Tensor]], plain: Mapping[str, Any]) -> None:
    """The inverse of `take`, into a freshly started state of the same recipe."""
    for module, weights in state.weights.items():
        for kind, (file, prefix) in KINDS.items():
            weights.load(kind, cut(files.get(file, {}), f"{prefix}{module}."))
        weights.set_updates(plain["updates"][module])
        kept = cut(files["weights"], f"{module}.")
        for name, buffer in buffers(objective.modules[module]).items():
            buffer.copy_(kept[name])
    state.step, state.seed = plain["step"], plain["seed"]
    state.skipped = [(a, b) for a, b in plain["skipped"]]
    state.bad, state.rollbacks = plain["bad"], plain["rollbacks"]


def buffers(module) -> dict[str, Tensor]:
    """The persistent buffers: what `state_dict` holds beside parameters."""
    parameters = {n for n, _ in module.named_parameters(remove_duplicate=False)}
    return {n: t for n, t in module.state_dict().items() if n not in parameters}


def cut(named: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {n[len(prefix) :]: t for n, t in named.items() if n.startswith(prefix)}


def into_module(module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Loads saved weights and buffers into a plain module, names and shapes checked."""
    own = {**dict(module.named_parameters()), **buffers(module)}
    missing, extra = own.keys() - tensors.keys(), tensors.keys() - own.keys()
    wrong = [n for n in own.keys() & tensors.keys() if own[n].shape != tensors[n].shape]
    if missing or extra or wrong:
        some = sorted(missing | extra | set(wrong))[:3]
        remedy = "use the recipe that these weights were trained with"
        raise GenwrightError(f"{what} does not fit this model ({', '.join(some)}, ...)", remedy)
    for name, tensor in own.items():
        tensor.data.copy_(tensors[name])
