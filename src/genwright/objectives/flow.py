"""Flow matching: a velocity carries noise to content along straight lines (rectified flow: Liu et
al., arXiv 2209.03003; Lipman et al., 2210.02747). x_t = (1 - t) x_0 + t x_1, and the network learns
E[x_1 - x_0 | x_t]; solving dx/dt = v(x, t) from 0 to 1 samples.

x_0 is noise, or `start` where the batch has pairs of distributions to carry one to the other; then
`decode` expects its latents from there. `optimal-transport` pairs the whole global batch so that
lines cross less and few steps do (Tong et al., 2302.00482), within equal conditions, since else
noise would come to depend on the condition, which it does not when sampling (Cheng and Schwing,
2503.10636).

Held-out examples are paired within blocks of HELD_OUT_BLOCK neighbours, whatever the batches of
training or of the measurement hold. Not independently: what a network learns from paired lines is
another velocity than that of independent ones, whose loss would rise while it learns, and would
choose the wrong checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from genwright.core import attributes
from genwright.core.contracts import Batch, Latent, Loss, Mean, Objective, Ranks, Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.core.progress import track
from genwright.core.registry import Settings
from genwright.objectives.transport import assignment, square_distances
from genwright.sampling.drawing import Drawing

_GOLDEN = 0.6180339887498949
# x (n, *shape), time -> dx/dt, (n, *shape)
Velocity = Callable[[Tensor, float], Tensor]
HELD_OUT_BLOCK = 256  # held-out examples that are paired with each other's noise


def paired(start: Tensor, x: Tensor, *keys: Tensor | None) -> Tensor:
    """(n,) int64: for each row of x the row of `start` that optimal transport gives it, among the
    rows whose keys are equal to its own. keys: (n, ...) each; None is left out."""
    columns = [key.reshape(len(x), -1).double() for key in keys if key is not None]
    group = torch.zeros(len(x), dtype=torch.int64, device=x.device)  # (n,) rows of equal keys
    if columns:
        _, group = torch.unique(torch.cat(columns, 1), dim=0, return_inverse=True)
    partner = torch.empty(len(x), dtype=torch.int64, device=x.device)
    for number in range(int(group.max()) + 1):
        rows = (group == number).nonzero()[:, 0]
        partner[rows] = rows[assignment(square_distances(x[rows], start[rows]))]
    return partner


def spread_times(draws: Draws) -> Tensor:
    """(n,) float32 in [0, 1], uniform, and evenly spread over a batch: one random shift, then steps
    of the golden ratio by example, which has less variance than independent times (Kingma et al.,
    arXiv 2107.00630, appendix I.1) whatever the batch's size."""
    first = Draws(draws.seed, draws.position, draws.examples.new_zeros(1))
    shift = first.uniform("time", 1)[0]  # (1,), of the batch's first example
    return ((shift.double() + draws.examples * _GOLDEN) % 1.0).float()


def solve(
    velocity: Velocity, x: Tensor, start: float, stop: float, steps: int, solver: str
) -> Tensor:
    """x at time `stop` of dx/dt = velocity(x, t), from x at time `start`, in equal steps. Euler:
    order 1; Heun: order 2, two calls."""
    h = (stop - start) / steps
    for k in track(range(steps), "steps of the solver"):
        v = velocity(x, start + k * h)
        if solver == "heun":
            ahead = velocity(x + h * v, start + (k + 1) * h)
            v = (v + ahead) / 2
        x = x + h * v
    return x


class FlowObjective(Objective, Latent):
    """modules: {"model": network}, called as network(x_t, time=t, condition=c)."""

    metric_units: Mapping[str, str] = {"loss": "squared error"}
    draws_in_training_precision = True

    def __init__(self, modules: Mapping[str, nn.Module], space: Space, settings: Flow):
        self.modules = modules
        self.space = space
        self.settings = settings
        self.latent = space.shape
        self.axes = 0  # a dimension is the noise of one value
        self.held_out_block = HELD_OUT_BLOCK if self.transports else 1

    @property
    def transports(self) -> bool:
        """Whether noise is paired with examples over the whole batch (arXiv 2302.00482)."""
        return self.settings.pairing == "optimal-transport"

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Noise and times (n, ...) of each example; under optimal transport, noise is exchanged
        among the examples of all ranks."""
        start = self._starts(batch, draws)
        if self.transports:
            condition = batch.get("condition")
            if condition is not None:
                condition = ranks.gather(condition)
            whole = ranks.gather(start)  # (size of the global batch, *shape)
            partner = paired(whole, ranks.gather(batch["x"]), condition)
            # where this rank's examples are among all of them
            own = (draws.examples[:, None] == ranks.gather(draws.examples)).nonzero()[:, 1]
            start = whole[partner[own]]
        return self._lines(batch, start, draws)

    def prepare_held_out(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Pairs within blocks of neighbours, see above."""
        start = self._starts(batch, draws)
        if self.transports:
            block = draws.examples // HELD_OUT_BLOCK
            start = start[paired(start, batch["x"], block, batch.get("condition"))]
        return self._lines(batch, start, draws)

    def _starts(self, batch: Batch, draws: Draws) -> Tensor:
        """Where the lines begin, before any pairing."""
        return batch["start"] if "start" in batch else draws.normal("noise", *self.latent)

    def _lines(self, batch: Batch, start: Tensor, draws: Draws) -> Batch:
        """Lines from `start` to the examples, with a time on each."""
        t = spread_times(draws)
        if self.settings.times == "logit-normal":
            t = torch.special.ndtri(t).sigmoid()
        elif self.settings.times == "arcsine":
            t = (math.pi / 2 * t).sin().square()
        out = {"x": batch["x"], "start": start, "time": t}
        if "condition" in batch:
            condition = batch["condition"]
            out["condition"] = attributes.drop(
                self.space.attributes, condition, draws, self.settings.drop
            )
        return out

    def loss(self, batch: Batch) -> Loss:
        """Squared error of the velocity, mean over dimensions, per example."""
        x = batch["x"]
        start = batch["start"]
        time = batch["time"]  # (n,)
        x_t = torch.lerp(start, x, time.view(-1, *[1] * (x.ndim - 1)))
        v = self.modules["model"](x_t, time=time, condition=batch.get("condition"))
        total = (v.float() - (x - start)).square().flatten(1).mean(1)
        count = torch.ones_like(total)
        return Loss(total, count, {"loss": Mean(total.detach(), count)})

    measured = loss

    def velocity(
        self, condition: Tensor | None, negative: Tensor | None, guidance: float
    ) -> Velocity:
        """(x, t) -> v_neg + guidance (v_cond - v_neg), v_neg without a condition or with the
        negative one (Ho and Salimans, arXiv 2207.12598; Zheng et al., 2311.13443). Both in one call
        of the network."""
        columns = self.space.columns

        def plain(x: Tensor, t: float, given: Tensor | None) -> Tensor:
            time = x.new_full((len(x),), t)
            v: Tensor = self.modules["model"](x, time=time, condition=given)
            return v.float()

        def guided(x: Tensor, t: float) -> Tensor:
            if not columns:
                return plain(x, t, None)
            nothing = x.new_zeros(len(x), columns)
            wanted = nothing if condition is None else condition
            against = nothing if negative is None else negative
            if guidance == 1 or torch.equal(wanted, against):  # nothing to be guided by
                return plain(x, t, wanted)
            both = plain(torch.cat([x, x]), t, torch.cat([against, wanted]))
            away, towards = both.chunk(2)
            return away + guidance * (towards - away)

        return guided

    def decode(
        self, latent: Tensor, condition: Tensor | None, negative: Tensor | None, settings: Drawing
    ) -> Tensor:
        """Solves the flow from noise at time 0 to content at time 1, in `settings.steps` steps."""
        v = self.velocity(condition, negative, settings.guidance)
        return solve(v, latent * settings.truncation, 0.0, 1.0, settings.steps, settings.solver)

    def invert(
        self, x: Tensor, condition: Tensor | None, draws: Draws, settings: Drawing
    ) -> Tensor:
        """The same equation, backwards in time."""
        if settings.truncation == 0:
            raise GenwrightError(
                "truncation 0 leaves nothing of a latent to be found",
                "invert with truncation above 0",
            )
        v = self.velocity(condition, None, settings.guidance)
        return solve(v, x, 1.0, 0.0, settings.steps, settings.solver) / settings.truncation


class Flow(Settings, family="objective"):
    """Settings of flow matching (arXiv 2210.02747) on straight lines."""

    kind: Literal["flow"] = "flow"
    """Learn the velocity that carries noise to content (rectified flow)."""
    pairing: Literal["independent", "optimal-transport"] = "independent"
    """Which noise goes with which example: any, or what moves the batch least; then few steps do,
    and bigger batches are better."""
    times: Literal["uniform", "logit-normal", "arcsine"] = "uniform"
    """Where along the way it is trained: everywhere alike, more often in the middle, or near both
    ends, where few steps need it."""
    drop: float = Field(0.1, ge=0, lt=1)
    """Share of examples that are shown without a condition, so that guidance is possible; each
    attribute is left out as often."""
    sampling: ClassVar[type[Settings]] = Drawing

    def needs(self, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
        """One velocity network. Raises GenwrightError for sequences, which have no shape to be
        carried in."""
        if not space.shape:
            raise GenwrightError(
                "objective flow carries arrays of one shape, and this data is a sequence",
                "use objective.kind=causal",
            )
        return {"model": ("velocity", {})}

    def build(self, modules: Mapping[str, nn.Module], space: Space) -> FlowObjective:
        """The velocity network must be `modules["model"]`; nothing more is checked here."""
        return FlowObjective(modules, space, self)
