"""Which parameters are updated together, and how.

Muon is for matrices, AdamW for the rest. Matrices of one shape are updated in one stack, and
whatever AdamW updates at one rate in one call.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from genwright.training.settings import Optimizer


@dataclass(frozen=True)
class Bucket:
    """Parameters that are updated by one call.

    rule: "muon" or "adamw". shape: (rows, columns) of each matrix of a muon bucket. rate: the
    learning rate at its peak. decay: decoupled weight decay."""

    rule: str
    names: tuple[str, ...]
    shape: tuple[int, ...]
    rate: float
    decay: float


def groups_of(module: nn.Module) -> Mapping[str, str]:
    """Parameter name -> "matrix", "embedding", "head" or "scalar".

    A module may say so itself (`groups()`). Without, embeddings are known by their class, and
    whatever else has two or more axes is a matrix."""
    own = getattr(module, "groups", None)
    if callable(own):
        groups: Mapping[str, str] = own()
        return groups
    embeddings = set()
    for name, part in module.named_modules():
        if isinstance(part, nn.Embedding):
            embeddings.add(f"{name}.weight".lstrip("."))
    found = {}
    for name, parameter in module.named_parameters():
        if name in embeddings:
            found[name] = "embedding"
        elif parameter.ndim >= 2:
            found[name] = "matrix"
        else:
            found[name] = "scalar"
    return found


def buckets_of(module: nn.Module, settings: Optimizer) -> list[Bucket]:
    """Which parameters of a module are updated together, and how. Frozen ones are in none."""
    groups = groups_of(module)
    together: dict[Bucket, list[str]] = {}  # what they have in common -> their names
    for name, parameter in module.named_parameters():
        if parameter.requires_grad:
            common = _bucket_for(parameter, groups[name], settings)
            together.setdefault(common, []).append(name)
    return [
        Bucket(common.rule, tuple(names), common.shape, common.rate, common.decay)
        for common, names in together.items()
    ]


def _bucket_for(parameter: Tensor, group: str, settings: Optimizer) -> Bucket:
    """The bucket of a parameter of this group, still without names."""
    if settings.learning_rate is None:
        raise ValueError("the learning rate must be resolved before training")
    # vectors are never decayed
    decay = settings.weight_decay if parameter.ndim >= 2 else 0.0
    if settings.kind != "muon":
        return Bucket("adamw", (), (), settings.learning_rate, decay)
    if group == "matrix" and parameter.ndim >= 2:
        rows = parameter.size(0)
        columns = parameter.numel() // rows
        return Bucket("muon", (), (rows, columns), settings.matrix_rate, decay)
    factors = {
        "embedding": settings.embedding_rate,
        "head": settings.head_rate,
        "scalar": settings.scalar_rate,
    }
    rate = settings.learning_rate * factors.get(group, 1.0)
    return Bucket("adamw", (), (), rate, decay)
