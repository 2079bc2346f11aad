"""What is done to a plain module before and after it is trained: the dtype it computes in, its
saved weights, and how it becomes plain again."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.utils.hooks import RemovableHandle

from genwright.core.errors import GenwrightError

# attributes of a module that is trained
HELD = "_genwright_held"  # a `Held`
SHARDED = "_genwright_sharded"  # of one that is sharded: the dtype it computes in


def cast_inputs(module: nn.Module, dtype: torch.dtype) -> RemovableHandle | None:
    """Gives a module its positional inputs in the dtype it computes in; integers and keywords are
    left alone. Returns what takes this back; None where nothing is to be done."""

    def cast(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x for x in inputs
        )

    if dtype == torch.float32:
        return None
    return module.register_forward_pre_hook(cast)


def persistent_buffers(module: nn.Module) -> dict[str, Tensor]:
    """What `state_dict` holds beside parameters: codebooks, running statistics."""
    parameters = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    state: dict[str, Tensor] = module.state_dict()
    return {name: tensor for name, tensor in state.items() if name not in parameters}


def full_precision_parts(module: nn.Module) -> list[nn.Module]:
    """The parts of a module that are frozen and compute in fp32 whatever the others do:
    normalisation by running statistics, which torch wants in one precision with its weights."""
    parts: list[nn.Module] = []
    for part in module.modules():
        if isinstance(part, _NormBase):
            own = list(part.parameters())
            if own and not any(parameter.requires_grad for parameter in own):
                parts.append(part)
    return parts


@dataclass(eq=False)
class Held:
    """What it takes to give a module back its own parameters. It refers to no module, so that one
    that nobody needs any more frees its memory at once.

    values: what parameters are in full precision, by name. requires_grad: their flags before.
    in_training: names of the parts that were in training mode. casts: the hook that casts inputs.
    settle: what is called with the module first."""

    values: Mapping[str, Tensor]
    requires_grad: Mapping[str, bool]
    in_training: Collection[str]
    casts: RemovableHandle | None = None
    settle: Callable[[nn.Module], None] | None = None


def release(module: nn.Module) -> None:
    """Gives a module back its parameters as they are now, if any `Weights` hold them: in full
    precision, without gradients and hooks, and in the modes that it came with."""
    held: Held | None = module.__dict__.pop(HELD, None)
    if held is None:
        return
    if held.settle is not None:
        held.settle(module)
    for name, parameter in module.named_parameters():
        parameter.grad = None
        if name in held.values:
            parameter.data = held.values[name].to(parameter.device)
        if name in held.requires_grad:
            parameter.requires_grad_(held.requires_grad[name])
    for name, part in module.named_modules():
        if name in held.in_training:
            part.training = True
    if held.casts is not None:
        held.casts.remove()


def renamed(module: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Tensors by the names of today: a module may say what its weights were called in earlier
    versions (`earlier_names`: then -> now)."""
    earlier_names = getattr(module, "earlier_names", None)
    earlier: Mapping[str, str] = earlier_names() if earlier_names is not None else {}
    return {earlier.get(name, name): tensor for name, tensor in tensors.items()}


def into_module(module: nn.Module, tensors: Mapping[str, Tensor], what: str) -> None:
    """Loads saved weights and buffers into a plain module, names and shapes checked. what: where
    they come from. Raises GenwrightError where they do not fit."""
    own = {**dict(module.named_parameters()), **persistent_buffers(module)}
    tensors = renamed(module, tensors)
    wrong = own.keys() ^ tensors.keys()
    for name in own.keys() & tensors.keys():
        if own[name].shape != tensors[name].shape:
            wrong.add(name)
    if wrong:
        raise GenwrightError(
            f"{what} does not fit this model ({', '.join(sorted(wrong)[:3])}, ...)",
            "use the recipe that these weights were trained with",
        )
    for name, tensor in own.items():
        tensor.data.copy_(tensors[name])
