"""What can be done with a latent whose prior is N(0, I) (`contracts.Latent`): draw, walk,
interpolate, traverse, invert and vary.

Sample i depends on the seed and on i alone. Between latents the way is spherical: the norm of a
normal vector of many dimensions hardly varies, so a straight line would leave what the model has
seen (Shoemake, SIGGRAPH 1985; White, arXiv 1609.04468).
"""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from genwright.core.contracts import Latent, Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError

BATCH = 64  # samples that are drawn at once
AXES = 1024  # more latent dimensions than this have no meaning one by one: noise of single values


def latents(objective: Latent, count: int, settings: Any, first: int = 0) -> Tensor:
    """Latents (count, *latent) of samples first, first + 1, ...: draws of the prior, or of whatever
    else a flow starts from (`start`). Truncation is the decoder's."""
    numbers = torch.arange(first, first + count, device=_device(objective))
    draws = Draws(settings.seed, 0, numbers)
    if objective.start is not None:
        return objective.start(draws)
    return draws.normal("latent", *objective.latent)


def _device(objective: Any) -> torch.device:
    """Where the objective's networks are."""
    for module in objective.modules.values():
        for parameter in module.parameters():
            device: torch.device = parameter.device
            return device
    return torch.device("cpu")


def _for_each(condition: Tensor | None, like: Tensor) -> Tensor | None:
    """A condition (1 or n, columns) as one for each of `like` (n, ...)."""
    return None if condition is None else condition.to(like.device).expand(len(like), -1)


def _unconditional(space: Space, condition: Tensor | None) -> Tensor | None:
    """The condition; without one, a conditional model is asked for nothing in particular."""
    if condition is None and space.columns:
        return torch.zeros(1, space.columns)
    return condition


@torch.no_grad()
def decoded(
    objective: Any,
    space: Space,
    z: Tensor,
    condition: Tensor | None,
    negative: Tensor | None,
    settings: Any,
) -> Tensor:
    """Content (n, *space.shape) of latents (n, *latent), in batches. condition, negative: (n or 1,
    columns)."""
    wanted = _for_each(_unconditional(space, condition), z)
    unwanted = _for_each(negative, z)
    parts = []
    for start in range(0, len(z), BATCH):
        rows = slice(start, start + BATCH)
        wanted_here = None if wanted is None else wanted[rows]
        unwanted_here = None if unwanted is None else unwanted[rows]
        parts.append(objective.decode(z[rows], wanted_here, unwanted_here, settings))
    return torch.cat(parts)


def spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From a (n, *latent) at t = 0 to b at t = 1, along the arc between their directions; t
    (n,)."""
    t = t.view(-1, *[1] * (a.dim() - 1))
    cosine = F.cosine_similarity(a.flatten(1), b.flatten(1))  # (n,)
    angle = cosine.clamp(-1, 1).view_as(t).acos()
    sine = angle.sin()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.clamp_min(1e-6)
    straight = (1 - t) * a + t * b
    return torch.where(sine > 1e-4, arc, straight)


def walk(stops: Tensor, frames: int) -> Tensor:
    """Latents (frames, *latent) of a closed loop through `stops` (k, *latent), at even steps."""
    place = torch.arange(frames, device=stops.device) * (len(stops) / frames)  # (frames,)
    leg = place.long()
    following = (leg + 1) % len(stops)
    return spherical(stops[leg], stops[following], place - leg)


def interpolate(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Latents (n * steps, *latent): each a (n, *latent) to its b, both ends included."""
    t = torch.linspace(0, 1, steps, device=a.device).repeat(len(a))
    return spherical(a.repeat_interleave(steps, 0), b.repeat_interleave(steps, 0), t)


def traverse(base: Tensor, along: Tensor, values: Tensor) -> Tensor:
    """Latents (k * len(values), *latent): `base` (1, *latent) with its coordinate along each unit
    direction `along` (k, *latent) set to each of the values in turn."""
    flat = base.flatten(1)  # (1, size)
    directions = along.flatten(1)  # (k, size)
    rest = flat - (directions @ flat.T) * directions  # (k, size), without that coordinate
    coordinate = values.to(base)[None, :, None] * directions[:, None]  # (k, values, size)
    return (rest[:, None] + coordinate).reshape(-1, *base.shape[1:])


def top(objective: Latent) -> int:
    """How many latent dimensions may mean something by themselves: those of the objective, unless
    they are too many."""
    if objective.axes > AXES:
        return 0
    return objective.axes


def axes(
    objective: Any, space: Space, base: Tensor, count: int, condition: Tensor | None, settings: Any
) -> tuple[Tensor, list[int]]:
    """The `count` latent dimensions that change the content most, as unit directions (k, *latent)
    and their numbers: by the mean square between content at -2 and at 2, around `base` (1,
    *latent). Raises GenwrightError where no dimension means anything by itself."""
    dimensions = math.prod(objective.latent)
    candidates = top(objective)
    if not candidates:
        what = (
            f"this model's latent has {dimensions:,} dimensions, "
            "none of which means anything by itself"
        )
        raise GenwrightError(what, "use --walk or --interpolate")
    directions = torch.eye(dimensions, device=base.device)[:candidates]
    directions = directions.view(candidates, *objective.latent)
    both_ends = traverse(base, directions, torch.tensor([-2.0, 2.0]))
    content = decoded(objective, space, both_ends, condition, None, settings)
    difference = content.view(candidates, 2, -1).diff(dim=1)  # (candidates, 1, values)
    change = difference.square().mean((1, 2))  # (candidates,)
    order = change.argsort(descending=True, stable=True)[:count]
    return directions[order], order.tolist()


@torch.no_grad()
def invert(
    objective: Any, space: Space, x: Tensor, condition: Tensor | None, settings: Any
) -> Tensor:
    """Latents (n, *latent) that decode (nearly) to content x (n, *space.shape)."""
    x = x.to(_device(objective))
    draws = Draws(settings.seed, 0, torch.arange(len(x), device=x.device))
    wanted = _for_each(_unconditional(space, condition), x)
    found: Tensor = objective.invert(x, wanted, draws, settings)
    return found


def vary(z: Tensor, noise: Tensor, strength: float) -> Tensor:
    """Latents near z (1, *latent): sqrt(1 - strength^2) z + strength noise, which keeps the prior;
    0 is z itself, 1 forgets it."""
    return math.sqrt(1 - strength**2) * z + strength * noise
