"""How many samples an evaluation draws: what takes about a minute, by a timed pilot, or as many as
were drawn before.

1. Samples are drawn in parts of fixed sizes (2, then three times what is there, at most `part`),
   whatever the time they take: the same samples come from the same batches in every evaluation.
2. The pilot is the first parts, until they took a twentieth of the time. The seconds a sample took
   in the last of them fix the number; the pilot's samples are the first of it.
3. All of that number are finished: a limit on time would drop the long ones, and the figures would
   be of the short ones.
4. The number is kept with the figures. The next evaluation of the same checkpoint draws as many, on
   a slower machine too.
"""

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from genwright.core.progress import task

Part = TypeVar("Part")
SECONDS = 60.0  # that drawing may take, where no number is given
PILOT = 1 / 20  # of it, until the number is fixed
FIRST = 2
GROWTH = 3


class SampleCounts:
    """The numbers of samples of one evaluation. given: asked for by the user, for every kind of
    sample. kept: kind -> number of an evaluation before. clock: seconds. After drawing, `drawn`:
    kind -> number."""

    def __init__(
        self,
        given: int | None = None,
        kept: Mapping[str, int] | None = None,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.perf_counter,
    ):
        self.given = given
        self.kept = dict(kept or {})
        self.seconds = seconds
        self.clock = clock
        self.drawn: dict[str, int] = {}

    def draw(
        self,
        kind: str,
        make: Callable[[int, int], Part],
        *,
        least: int,
        most: int,
        part: int,
        limit: int | None = None,
        share: float = 1.0,
    ) -> list[Part]:
        """Samples in parts. make(first, count): samples first, first + 1, ... of this kind. least,
        most: of what a pilot may choose; part: at most so many at once. limit: how many there can
        be, whoever asks for more. share: of the seconds that this kind may take."""
        if limit is not None:
            most = min(most, limit)
        count = self.given or self.kept.get(kind)  # None: the pilot says
        if count and limit is not None:
            count = min(count, limit)
        seconds = share * self.seconds
        parts = list[Part]()
        done = 0
        began = self.clock()
        with task(f"drawing {kind}", count) as shown:
            while done < (count or most):
                rest = (count or most) - done
                size = min(max(FIRST, GROWTH * done), part, rest)
                before = self.clock()
                parts.append(make(done, size))
                now = self.clock()
                done += size
                shown.advance(size)
                taken = now - began
                if count is None and taken >= PILOT * seconds:
                    seconds_each = max(1e-9, (now - before) / size)
                    wanted = done + int((seconds - taken) / seconds_each)
                    count = max(done, min(most, max(least, wanted)))
                    shown.expect(count)
        self.drawn[kind] = done
        return parts
