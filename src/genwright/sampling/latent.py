"""What can be done with a latent whose prior is N(0, I) (`contracts.Latent`): draw, walk,
interpolate, traverse, invert and vary.

Sample i depends on the seed and on i alone. Between latents the way is spherical: the norm of a
normal vector of many dimensions hardly varies, so a straight line would leave what the model has
seen (Shoemake, SIGGRAPH 1985; White, arXiv 1609.04468).
"""

import math
from typing import Any

import torch
from torch import Tensor

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError

BATCH = 64  # pictures that are made at once
AXES = 1024  # more latent dimensions than this have no meaning one by one: noise of single pixels


def latents(objective: Any, count: int, settings: Any, first: int = 0) -> Tensor:
    """Latents (count, *latent) of samples first, first + 1, ...: draws of the prior, or of whatever
    else a flow starts from (`start`). Truncation is the decoder's."""
    device = next(p.device for module in objective.modules.values() for p in module.parameters())
    draws = Draws(settings.seed, 0, torch.arange(first, first + count, device=device))
    start = getattr(objective, "start", None)
    return start(draws) if start else draws.normal("latent", *objective.latent)


def _given(space: Space, condition: Tensor | None, like: Tensor) -> Tensor | None:
    """A condition (n or 1, columns) for each of `like`; without one, a conditional model is asked
    for nothing in particular."""
    if space.columns and condition is None:
        condition = torch.zeros(1, space.columns)
    return condition if condition is None else condition.to(like.device).expand(len(like), -1)


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
    given = (
        _given(space, condition, z),
        negative if negative is None else _given(space, negative, z),
    )
    parts = (
        (z[i : i + BATCH], *(c if c is None else c[i : i + BATCH] for c in given))
        for i in range(0, len(z), BATCH)
    )
    return torch.cat([objective.decode(*part, settings) for part in parts])


def spherical(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """From a (n, *latent) at t = 0 to b at t = 1, along the arc between their directions; t
    (n,)."""
    t = t.view(-1, *[1] * (a.dim() - 1))
    angle = (
        torch.nn.functional.cosine_similarity(a.flatten(1), b.flatten(1))
        .clamp(-1, 1)
        .view_as(t)
        .acos()
    )
    sine = angle.sin()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / sine.clamp_min(1e-6)
    return torch.where(sine > 1e-4, arc, (1 - t) * a + t * b)


def walk(stops: Tensor, frames: int) -> Tensor:
    """Latents (frames, *latent) of a closed loop through `stops` (k, *latent), at even steps."""
    at = torch.arange(frames, device=stops.device) * (len(stops) / frames)
    leg = at.long()
    return spherical(stops[leg], stops[(leg + 1) % len(stops)], at - leg)


def interpolate(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """Latents (n * steps, *latent): each a (n, *latent) to its b, both ends included."""
    t = torch.linspace(0, 1, steps, device=a.device).repeat(len(a))
    return spherical(a.repeat_interleave(steps, 0), b.repeat_interleave(steps, 0), t)


def traverse(base: Tensor, along: Tensor, values: Tensor) -> Tensor:
    """Latents (k * len(values), *latent): `base` (1, *latent) with its coordinate along each unit
    direction `along` (k, *latent) set to each of the values in turn."""
    flat = base.flatten(1)
    directions = along.flatten(1)
    rest = flat - (directions @ flat.T) * directions
    return (rest[:, None] + values.to(base)[None, :, None] * directions[:, None]).reshape(
        -1, *base.shape[1:]
    )


def top(objective: Any) -> int:
    """How many latent dimensions may mean something by themselves: of a ladder the first layer's,
    else all; none of those of a flow, which are the noise of single pixels, or of too many."""
    counts = getattr(getattr(objective, "network", None), "counts", None)
    size = counts[0] if counts else math.prod(objective.latent)
    return 0 if size > AXES or hasattr(objective, "velocity") else size


def axes(
    objective: Any, space: Space, base: Tensor, count: int, condition: Tensor | None, settings: Any
) -> tuple[Tensor, list[int]]:
    """The `count` latent dimensions that change the content most, as unit directions (k, *latent)
    and their numbers: by the mean square between content at -2 and at 2, around `base` (1,
    *latent). Of a ladder, those of its top layer, whose meaning is a picture's. Raises
    GenwrightError where a dimension is one pixel's noise."""
    if not (size := top(objective)):
        what = f"this model's latent has {math.prod(objective.latent):,} dimensions, none of which means anything by itself"
        raise GenwrightError(what, "use --walk or --interpolate")
    every = torch.eye(math.prod(objective.latent), device=base.device)[:size].view(
        size, *objective.latent
    )
    ends = decoded(
        objective,
        space,
        traverse(base, every, torch.tensor([-2.0, 2.0])),
        condition,
        None,
        settings,
    )
    change = ends.view(size, 2, -1).diff(dim=1).square().mean((1, 2))
    order = change.argsort(descending=True, stable=True)[:count]
    return every[order], order.tolist()


@torch.no_grad()
def invert(
    objective: Any, space: Space, x: Tensor, condition: Tensor | None, settings: Any
) -> Tensor:
    """Latents (n, *latent) that decode (nearly) to content x (n, *space.shape)."""
    x = x.to(next(p.device for module in objective.modules.values() for p in module.parameters()))
    draws = Draws(settings.seed, 0, torch.arange(len(x), device=x.device))
    return objective.invert(x, _given(space, condition, x), draws, settings)


def vary(z: Tensor, noise: Tensor, strength: float) -> Tensor:
    """Latents near z (1, *latent): sqrt(1 - strength^2) z + strength noise, which keeps the prior;
    0 is z itself, 1 forgets it."""
    return math.sqrt(1 - strength**2) * z + strength * noise
