"""Where the jobs of a corpus run: processes of this machine, or Ray, on one machine or many.

The jobs and what they write are the same: shard to shard, through files, so that a corpus is equal
byte for byte whatever it was built by. Ray must see the corpus and the raw files at the same paths
on every machine.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from genwright.core.errors import GenwrightError, optional
from genwright.core.files import stamp_of
from genwright.core.progress import track
from genwright.data.workers import ENVIRONMENT, Work, parallel

Engine = Literal["local", "ray"]
Map = Callable[[Work, Sequence[dict[str, Any]]], Iterable[tuple[int, Any]]]
SMALL = 16 << 20  # bytes of files: less is read in this process, for others take longer to start
RETRIES = 3  # of a task whose worker was killed


@contextmanager
def engine(name: Engine = "local", workers: int = 0) -> Iterator[Map]:
    """What does jobs: a work and its jobs -> (index of a job, its result), as they are done.

    workers: processes, or tasks of Ray at once; 0: one a core. The address of a cluster is taken
    from RAY_ADDRESS; without it Ray is started here and ended afterwards, on the loopback
    interface. Raises GenwrightError where Ray is not installed, and for what a job cannot do."""
    if name == "ray":
        with _ray(workers) as spread:
            yield spread
        return
    count = workers or os.cpu_count() or 1

    def here(work: Work, jobs: Sequence[dict[str, Any]]) -> Iterable[tuple[int, Any]]:
        if _is_little(work, jobs):
            return parallel(work, jobs, 1)
        return parallel(work, jobs, count)

    yield here


def _is_little(work: Work, jobs: Sequence[dict[str, Any]]) -> bool:
    """Whether jobs read little. Those that name no files are counted by whoever gives them."""
    size = 0
    for job in jobs:
        for path in work.files(job):
            size += sum(stamp_of(path)[:1])
            if size >= SMALL:
                return False
    return size > 0


@contextmanager
def _ray(workers: int) -> Iterator[Map]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray = optional("ray", "--engine ray needs Ray", "ray")
    started = not ray.is_initialized()
    if started:
        given: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        if not os.environ.get("RAY_ADDRESS"):
            given |= {
                "num_cpus": workers or os.cpu_count() or 1,
                "include_dashboard": False,
                "_node_ip_address": "127.0.0.1",
            }
        ray.init(**given)
    try:
        yield _spread_by(ray, workers)
    finally:
        if started:
            ray.shutdown()


def _spread_by(ray: Any, workers: int) -> Map:
    """What does jobs as tasks of Ray."""
    task = ray.remote(num_cpus=1, max_retries=RETRIES, runtime_env={"env_vars": ENVIRONMENT})(_do)

    def in_turn(work: Work, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Any]]:
        place = (work.function.__module__, work.function.__qualname__)
        numbers = iter(range(len(jobs)))
        at_once = max(1, workers or int(ray.cluster_resources().get("CPU", 1)))
        waiting: dict[Any, int] = {}

        def fill() -> None:
            while len(waiting) < at_once:
                number = next(numbers, None)
                if number is None:
                    return
                waiting[task.remote(*place, jobs[number])] = number

        fill()
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            number = waiting.pop(done[0])
            try:
                error, result = ray.get(done[0])
            except ray.exceptions.RayError as problem:
                raise _lost(work, jobs[number], problem) from None
            if error:
                raise GenwrightError(*error)
            fill()
            yield number, result

    def spread(work: Work, jobs: Sequence[dict[str, Any]]) -> Iterable[tuple[int, Any]]:
        found = in_turn(work, jobs)
        if len(jobs) < 2:
            return found
        return track(found, work.label, len(jobs))

    return spread


def _do(module: str, name: str, job: dict[str, Any]) -> tuple[tuple[str, str] | None, Any]:
    """A job, in a worker of Ray: the two parts of a GenwrightError, or None, and its result."""
    import importlib

    function = getattr(importlib.import_module(module), name)
    try:
        return None, function(**job)
    except GenwrightError as error:
        return (error.what, error.remedy), None


def _lost(work: Work, job: dict[str, Any], problem: Exception) -> Exception:
    """What to say of a task that Ray could not do."""
    first = str(problem).strip().splitlines()[0][:200]
    if "WorkerCrashedError" in type(problem).__name__ or "OutOfMemory" in type(problem).__name__:
        files = ", ".join(list(work.files(job))[:3])
        return GenwrightError(
            f"a worker of Ray ended in the middle of its work, {RETRIES + 1} times, at {files}"
            f" ({first})",
            "it may have run out of memory: lower --workers, or leave the file out",
        )
    return RuntimeError(str(problem))
