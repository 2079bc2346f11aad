"""A state of training as tensors and JSON, by parameter name, so that any number of processes can
take it up; `checkpoint.py` writes and reads them."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from genwright.core.contracts import Objective
from genwright.training.modules import persistent_buffers, renamed
from genwright.training.state import State

# what `Weights` calls it -> the file it is in, and what stands before its names there
KINDS = {
    "trained": ("weights", ""),
    "frozen": ("frozen", ""),
    "ema": ("ema", ""),
    "first": ("optimizer", "first."),
    "second": ("optimizer", "second."),
}
PLAIN = ("step", "seed", "skipped", "bad", "rollbacks")  # of the state, as they are
EXTRA = "extra"  # of `State.extra`: the file of its tensors, and the entry of all else

Tensors = Mapping[str, Mapping[str, Tensor]]  # file's stem -> name -> tensor


def take(
    objective: Objective, state: State, frozen: bool = True
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """Tensors by file and name, and plain numbers. frozen: whether what is not trained is among
    them, as "frozen". Under FSDP2 every rank must call it: shards are gathered."""
    files: dict[str, dict[str, Tensor]] = {}
    for module, weights in state.weights.items():
        weights.check_frozen()
        for kind, (file, prefix) in KINDS.items():
            if kind == "frozen" and not frozen:
                continue
            named = dict(weights.tensors(kind))
            if kind == _kind_of_buffers(weights.trained):
                named |= persistent_buffers(objective.modules[module])
            for name, tensor in named.items():
                files.setdefault(file, {})[f"{prefix}{module}.{name}"] = tensor
    plain = {name: getattr(state, name) for name in PLAIN}
    plain["updates"] = {module: weights.updates for module, weights in state.weights.items()}
    tensors = {n: value for n, value in state.extra.items() if isinstance(value, Tensor)}
    others = {n: value for n, value in state.extra.items() if n not in tensors}
    if tensors:
        files[EXTRA] = tensors
    if others:
        plain[EXTRA] = others
    return files, plain


def put(
    objective: Objective,
    state: State,
    files: Tensors,
    plain: Mapping[str, Any],
) -> None:
    """The inverse of `take`, into a freshly started state of the same recipe. What is frozen may be
    among the weights, as older checkpoints have it and `load` gives it."""
    own = {**files.get("weights", {}), **files.get("frozen", {})}
    for module, weights in state.weights.items():
        network = objective.modules[module]
        kept = renamed(network, cut(own, f"{module}."))
        weights.load("weights", kept)
        for name, buffer in persistent_buffers(network).items():
            buffer.copy_(kept[name])
        weights.note_buffers()
        for kind in ("ema", "first", "second"):
            file, prefix = KINDS[kind]
            weights.load(kind, renamed(network, cut(files.get(file, {}), f"{prefix}{module}.")))
        weights.set_updates(plain["updates"][module])
    for name in PLAIN:
        setattr(state, name, plain[name])
    state.skipped = [(start, length) for start, length in state.skipped]  # JSON has no tuples
    state.extra = {**plain.get(EXTRA, {}), **files.get(EXTRA, {})}


def _kind_of_buffers(trained: bool) -> str:
    """With which parameters a module's buffers are saved."""
    return "trained" if trained else "frozen"


def cut(named: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """What begins with a prefix, by the rest of its name."""
    return {name[len(prefix) :]: t for name, t in named.items() if name.startswith(prefix)}
