"""Calls measures so that whatever they do wrong ends in one sentence that names the sample.

1. All samples at once, under a time limit and without gradients.
2. Where that fails, one sample after another under the same limit, until one fails: it is named.
3. What is given is looked at: as many values as samples, each a finite number, NaN (nothing is
   said), or a number at each of some parts.

The time limit interrupts Python code by an alarm of the operating system, which only a program's
main thread can be given. Elsewhere (another thread, Windows) it is said once that a measure which
never ends cannot be stopped; one that took too long is refused once it is done. What computes
outside of Python without looking at signals is interrupted when it comes back.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor

from genwright.core.content import Measure, Sample
from genwright.core.errors import GenwrightError, out_of_memory

log = logging.getLogger(__name__)
Result = TypeVar("Result")

AGAIN = 0.05  # seconds between two alarms: code may swallow the first one
SHOWN = 60  # characters of a sample, in messages
_said: set[str] = set()  # what is said once a process


class TimeIsUp(BaseException):
    """Raised inside a measure by the alarm; no `except Exception` of its code catches it."""


def can_interrupt() -> bool:
    """Whether this thread can be given an alarm."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    return in_main_thread and hasattr(signal, "setitimer")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises TimeIsUp in what runs inside after so many seconds; an alarm that was set before goes
    on behind. Where that cannot be, raises it at the end."""
    began = time.monotonic()
    if not can_interrupt():
        if "limit" not in _said:
            _said.add("limit")
            log.warning(
                "a reward that never ends cannot be interrupted here, outside of the main thread"
            )
        yield
        if time.monotonic() - began > seconds:
            raise TimeIsUp
        return
    armed = True

    def ring(number: int, frame: Any) -> None:
        if armed:
            raise TimeIsUp

    handler = signal.signal(signal.SIGALRM, ring)
    before, interval = signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        yield
    finally:
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if before:
            rest = max(1e-6, before - (time.monotonic() - began))
            signal.setitimer(signal.ITIMER_REAL, rest, interval)


def values_of(
    name: str, measure: Measure, samples: Sequence[Sample], seconds: float, of: str = "the rollout"
) -> list[Any]:
    """What a measure gives of samples: a float each (NaN where it says nothing), or {place: float}
    each where it gives parts. name: of its term. seconds: its time limit. of: what the samples are
    of, in words. Raises GenwrightError."""
    samples = list(samples)
    try:
        found = _limited(lambda: list(measure.values(samples)), seconds)
    except (Exception, TimeIsUp) as problem:
        _pass_on(problem)
        raise _failure(name, measure, samples, seconds, of, problem) from problem
    if len(found) != len(samples):
        given = "1 value" if len(found) == 1 else f"{len(found)} values"
        raise GenwrightError(
            f"reward {name} gives {given} for {len(samples)} samples of {of}",
            "give one for each, in their order",
        )
    read: Callable[[Any], Any] = _number
    remedy = "give a number, NaN where it says nothing"
    if measure.gives == "parts":
        read = _parts
        remedy = "give (place, number) pairs of its parts"
    values = []
    for number, (sample, value) in enumerate(zip(samples, found, strict=True)):
        try:
            values.append(read(value))
        except ValueError as problem:
            what = f"reward {name} gives {problem} for {shown(sample, number, of)}"
            raise GenwrightError(what, remedy) from problem
    return values


def shown(sample: Sample, number: int, of: str) -> str:
    """A sample, for a message: its place among those of a rollout, and how it begins, where its
    class says how it reads."""
    place = f"sample {number} of {of}"
    content = sample.content
    if type(content).__str__ is object.__str__:
        return place
    text = " ".join(repr(str(content)).split())
    if len(text) > SHOWN:
        text = text[:SHOWN] + "..."
    return f"{place}, {text}"


def _limited(call: Callable[[], Result], seconds: float) -> Result:
    with time_limit(seconds), torch.no_grad():
        return call()


def _pass_on(problem: BaseException) -> None:
    """Raises what is no fault of a measure, or is a sentence already."""
    if isinstance(problem, GenwrightError) or out_of_memory(problem):
        raise problem


def _failure(
    name: str,
    measure: Measure,
    samples: Sequence[Sample],
    seconds: float,
    of: str,
    problem: BaseException,
) -> GenwrightError:
    """What to say of a measure that failed on all samples at once: the first one on which it fails
    alone is named, or the last one that there was time for."""
    number = 0
    try:
        with time_limit(seconds):
            for number, sample in enumerate(samples):  # noqa: B007 - it is looked at behind
                measure.values([sample])
    except (Exception, TimeIsUp) as alone:
        _pass_on(alone)
        problem = alone
        where = shown(samples[number], number, of)
    else:
        where = f"{len(samples)} samples of {of}, though on none of them alone"
    if isinstance(problem, TimeIsUp):
        return GenwrightError(
            f"reward {name} was not done after {seconds:g} s, at {where}",
            "make it faster, or give it more time: objective.rollout.time_limit",
        )
    what = f"reward {name} fails on {where}: {_what(problem)}"
    return GenwrightError(what, "mend it, and try it first: genwright reward check")


def _what(problem: BaseException) -> str:
    """An error of a measure, and the line where it was raised."""
    text = f"{type(problem).__name__}: {problem}".rstrip(": ")
    frames = traceback.extract_tb(problem.__traceback__)
    if frames:
        text += f" ({frames[-1].filename}, line {frames[-1].lineno})"
    return text


def _number(value: Any) -> float:
    """A number, or NaN. Raises ValueError for anything else, which says what it is."""
    if isinstance(value, str | bytes) or value is None:
        raise ValueError(repr(value)[:SHOWN])
    if isinstance(value, Tensor) and value.numel() != 1:
        raise ValueError(f"a tensor of shape {tuple(value.shape)}")
    try:
        number = float(value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(repr(value)[:SHOWN]) from None
    if math.isinf(number):
        raise ValueError(repr(number))
    return number


def _parts(value: Any) -> dict[Any, float]:
    """{place: number}, of a mapping or of pairs; several of one place are added. NaN at any place
    means that nothing is said of the sample. Raises as `_number`."""
    pairs = value.items() if isinstance(value, Mapping) else value
    try:
        pairs = [(place, given) for place, given in pairs]
    except (TypeError, ValueError):
        raise ValueError(repr(value)[:SHOWN]) from None
    found: dict[Any, float] = {}
    for place, given in pairs:
        found[place] = found.get(place, 0.0) + _number(given)
    return found
