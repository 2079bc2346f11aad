"""What changes over the steps of a run: the learning rate, and every warm-up.

A span of steps is given as a number of steps (from 1) or as a share of the run (below 1), so that a
short trial passes through the same schedule as the whole run. The learning rate is the smaller of
two lines, the warm-up's and the decay's, and so it never jumps:

1. warm-up of w steps: (step + 1) / (w + 1), then 1;
2. `wsd`, decay over the last d steps: final + (1 - final) (steps - step) / d, and 1 before them. It
   would be `final` one step after the last: an update at a rate of 0 would be a wasted one;
3. `cosine`: half a cosine from 1 at the end of the warm-up to `final` at the last step; `constant`:
   1.

A warm-up that would not end in the run is shortened, and `shortened` says so.
"""

import math
from collections.abc import Iterator, Mapping

from genwright.core.registry import Settings, span_steps
from genwright.training.settings import Optimizer, Schedule

# share of a run that a warm-up may always take, also where the decay begins at once
LEAST_ROOM = 0.1


def warmup_steps(schedule: Schedule, steps: int) -> float:
    """The learning rate's warm-up in steps, shortened to fit in a run of `steps`.

    Before a decay (`wsd`) it ends where the decay begins, or after a tenth of the run where that
    leaves less; otherwise it takes half of a run that it would fill."""
    asked = span_steps(schedule.warmup, steps)
    if schedule.kind == "wsd":
        before_decay = steps - schedule.decay * steps
        return min(asked, max(before_decay, LEAST_ROOM * steps))
    if asked >= steps:
        return steps / 2
    return min(asked, steps - 1)


def rate_factor(schedule: Schedule, step: int, steps: int) -> float:
    """The learning rate of update `step` (0-based) of `steps`, as a share of its peak: in [0,
    1]."""
    warmup = warmup_steps(schedule, steps)
    rising = min(1.0, (step + 1) / (warmup + 1))
    return min(rising, _falling(schedule, step, steps, warmup))


def _falling(schedule: Schedule, step: int, steps: int, warmup: float) -> float:
    """The line of the decay, which is 1 before it begins."""
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "cosine":
        progress = (step - warmup) / max(1.0, steps - 1 - warmup)
        share = 0.5 * (1 + math.cos(math.pi * min(1.0, max(0.0, progress))))
    else:
        share = min(1.0, (steps - step) / max(1.0, schedule.decay * steps))
    return schedule.final + (1 - schedule.final) * share


def momentum_at(settings: Optimizer, update: int) -> float:
    """Muon's momentum at an update: rises linearly from 0.85 over `momentum_warmup` updates
    (`Settings.in_steps` makes shares updates)."""
    if update >= settings.momentum_warmup:
        return settings.momentum
    return 0.85 + (settings.momentum - 0.85) * update / settings.momentum_warmup


def shortened(parts: Mapping[str, Settings], steps: int) -> Iterator[str]:
    """A sentence for each warm-up that was given in steps and does not fit in a run of `steps`.
    parts: settings by dotted name."""
    for place, settings in parts.items():
        for name in settings.warmups:
            asked = span_steps(getattr(settings, name), steps)
            if isinstance(settings, Schedule):
                taken = warmup_steps(settings, steps)
            else:
                taken = getattr(settings.in_steps(steps), name)
            if asked - taken >= 1:  # less is no whole step
                yield (
                    f"{place}.{name}: {asked:,.0f} steps of warm-up do not fit in a run of"
                    f" {steps:,}, and {taken:,.0f} are taken (below 1 it is a share of the run)"
                )
