"""Jobs over several processes, without torch in any of them:
`concurrent.futures.ProcessPoolExecutor` over fresh interpreters.

1. Workers are spawned, never forked from a process that holds threads. The caller's script is not
   run again in them, so that it needs no `if __name__ == "__main__"`, and nothing is imported from
   the current folder.
2. Ctrl-C reaches the parent alone, which ends the workers. A worker whose parent was killed ends at
   once.
3. Each job says in shared memory that it has begun, and which of its files it is at (`at_file`).
   Where a worker dies, that file is named.

Jobs and their results pass through pipes between these processes, nowhere else.
"""

import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import Any, NamedTuple

from genwright.core.errors import GenwrightError

ENVIRONMENT = {  # of a worker
    # nothing is imported from the current folder while the interpreter starts
    "PYTHONSAFEPATH": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}
NAMED = 3  # files that a message names, before it counts
LOWER = "it may have run out of memory: lower data.workers, or leave the file out"


class Work(NamedTuple):
    """A kind of job, which stands beside its function. function: of a module without torch, for a
    worker imports it; label: for the bar of progress; files: job -> the paths that it reads, which
    are named where a worker dies."""

    function: Callable[..., Any]
    label: str
    files: Callable[[dict[str, Any]], Iterable[str]]


class Answer(NamedTuple):
    """What a job gave: its result, or the two parts of a GenwrightError, or the traceback of any
    other exception."""

    result: Any = None
    error: tuple[str, str] | None = None
    failure: str = ""


def parallel(work: Work, jobs: Sequence[dict[str, Any]], workers: int) -> Iterable[tuple[int, Any]]:
    """(index of the job, its result) as they are done, as a task whose progress can be shown. One
    worker: in this process.

    Raises what a job raised, where that is a GenwrightError; RuntimeError with the traceback for
    any other exception; GenwrightError that names the files for a worker that died.
    """
    from genwright.core.progress import track  # here: no worker needs it

    # a daemon may start no process
    if workers <= 1 or len(jobs) <= 1 or multiprocessing.current_process().daemon:
        results = _in_turn(work, jobs)
    else:
        results = spread(work, jobs, workers)
    if len(jobs) < 2:
        return results
    return track(results, work.label, len(jobs))


def _in_turn(work: Work, jobs: Sequence[dict[str, Any]]) -> Iterator[tuple[int, Any]]:
    """`parallel` in this process."""
    for number, job in enumerate(jobs):
        yield number, work.function(**job)


def spread(work: Work, jobs: Sequence[dict[str, Any]], workers: int) -> Iterator[tuple[int, Any]]:
    """`parallel` over processes."""
    # the locks below start multiprocessing's process that tracks resources, unless it runs
    with _starting():
        pass
    context = _Context()
    # of each job: the process that is at it, or 0; which of its files, from 1, or 0
    at = context.RawArray("q", 2 * len(jobs))
    pool = ProcessPoolExecutor(min(workers, len(jobs)), context, _begin, (at,))
    try:
        waiting = {pool.submit(_answer, work.function, i, job): i for i, job in enumerate(jobs)}
        for future in as_completed(waiting):
            answer = future.result()
            if answer.error:
                raise GenwrightError(*answer.error)
            if answer.failure:
                raise RuntimeError(answer.failure)
            yield waiting.pop(future), answer.result
    except BrokenProcessPool:
        pool.shutdown(wait=True, cancel_futures=True)  # until it is known how each process ended
        raise _died(context.started, work, jobs, list(at)) from None
    except BaseException:  # also where nobody asks for more
        for process in context.started:
            if process.is_alive():
                process.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _died(
    processes: list[SpawnProcess], work: Work, jobs: Sequence[dict[str, Any]], at: list[int]
) -> GenwrightError:
    """Which worker ended, how, and the files it was at."""
    ended = [process for process in processes if process.exitcode not in (None, 0, -signal.SIGTERM)]
    # the pool ends the others with SIGTERM: one of them may have been ended so before
    ended = ended or processes
    code = ended[0].exitcode if ended else None
    if code and code < 0:
        how = f"by {signal.Signals(-code).name}"
    else:
        how = f"exit code {code}"
    pids = {process.pid for process in ended}
    files: list[str] = []
    for job, pid, position in zip(jobs, at[::2], at[1::2], strict=True):
        if pid not in pids:
            continue
        paths = list(work.files(job))
        if 1 <= position <= len(paths):  # the job said which
            paths = [paths[position - 1]]
        files += paths
    where = _at_one_of(list(dict.fromkeys(files)))
    return GenwrightError(
        f"a worker process ended in the middle of its work ({how}), {where}", LOWER
    )


def _at_one_of(files: list[str]) -> str:
    if not files:
        return "and its file is not known"
    more = f" or {len(files) - NAMED:,} more" if len(files) > NAMED else ""
    return f"at {', '.join(files[:NAMED])}{more}"


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802 - the name that multiprocessing calls
        with _starting():
            return SpawnProcess._Popen(process_obj)


class _Context(SpawnContext):
    """Makes the processes of a pool, and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    # the name that multiprocessing calls
    def Process(  # type: ignore[override]  # noqa: N802
        self, *arguments: Any, **named: Any
    ) -> SpawnProcess:
        """A process of this kind, not started yet."""
        process = _Process(*arguments, **named)
        self.started.append(process)
        return process


_one_at_a_time = threading.Lock()


@contextmanager
def _starting() -> Iterator[None]:
    """While a process starts it takes from this one: the environment, SIGINT blocked, and no main
    module to run again."""
    with _one_at_a_time:
        main = sys.modules["__main__"]
        before = dict(os.environ)
        os.environ.update(ENVIRONMENT)
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            # a process of multiprocessing's own; starting it unblocks SIGINT
            resource_tracker.ensure_running()
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                yield
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        finally:
            sys.modules["__main__"] = main
            for name in ENVIRONMENT:
                if name in before:
                    os.environ[name] = before[name]
                else:
                    del os.environ[name]


_at: Any = None  # of a worker: the shared memory of `spread`
_job = 0  # which job it is at


def at_file(position: int) -> None:
    """A job says which of its files it is at, counted from 0, in the order of `Work.files`. Outside
    of a worker nothing happens."""
    if _at is not None:
        _at[2 * _job + 1] = position + 1


def _begin(at: Any) -> None:
    """The first thing a worker does."""
    global _at
    _at = at
    os.dup2(2, 1)  # what a library prints must not mix with the output of a command
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent:
        connection.wait([parent.sentinel])
    os._exit(1)


def _answer(function: Callable[..., Any], number: int, job: dict[str, Any]) -> Answer:
    """Does a job, in a worker."""
    global _job
    _job = number
    _at[2 * number] = os.getpid()
    try:
        return Answer(function(**job))
    except GenwrightError as error:
        return Answer(error=(error.what, error.remedy))
    except MemoryError:
        return Answer(error=("a worker process has no memory left", LOWER))
    except Exception:  # reported to the parent, which raises it
        return Answer(failure=traceback.format_exc())
    finally:
        _at[2 * number] = 0
