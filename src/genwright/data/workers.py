"""Jobs over several processes, without torch in any of them.

Each worker is a fresh interpreter that reads a job a line (JSON) and answers a line. Nothing is forked from a process that holds
threads, nothing is pickled, the caller's script is not run again; a worker whose parent was killed ends after its job.
"""

import json
import os
import queue
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

from genwright.errors import GenwrightError

STAGES = {"scan": "reading", "count": "counting", "write": "tokenising", "pictures": "decoding pictures", "music": "reading music"}
quiet = False  # whether no progress is shown


def jobs_by_name() -> dict:
    from genwright.data import pictures, readers, shards, source_music

    scan = lambda paths: [readers.scan(path) for path in paths]  # noqa: E731
    return {"scan": scan, "count": shards.count, "write": shards.write, "pictures": pictures.write, "music": source_music.read}


def parallel(name: str, jobs: Sequence[dict], workers: int) -> Iterable[tuple[int, Any]]:
    """(index of the job, its result) as they are done, with a bar of progress on a terminal. One worker: in this process."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    hidden = quiet or len(jobs) < 2 or not console.is_terminal
    return track(_done(name, jobs, workers), STAGES[name], len(jobs), console=console, transient=True, disable=hidden)


def _done(name: str, jobs: Sequence[dict], workers: int) -> Iterator[tuple[int, Any]]:
    if workers <= 1 or len(jobs) <= 1:
        function = jobs_by_name()[name]
        for i, job in enumerate(jobs):
            yield i, function(**job)
        return
    processes = [_start() for _ in range(min(workers, len(jobs)))]
    idle: queue.SimpleQueue = queue.SimpleQueue()
    for process in processes:
        idle.put(process)
    with ThreadPoolExecutor(len(processes)) as pool:  # a thread waits for each process
        asked = {pool.submit(_ask, idle, name, job): i for i, job in enumerate(jobs)}
        try:
            for done in as_completed(asked):
                yield asked[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            for process in processes:
                process.kill()
                process.wait()


def _start() -> subprocess.Popen:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "TOKENIZERS_PARALLELISM": "false"}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-P", "-m", "genwright.data.workers"]  # -P: nothing is imported from the current folder
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True, encoding="utf-8")


def _ask(idle: queue.SimpleQueue, name: str, job: dict) -> Any:
    """A job's result, of a process that has nothing to do."""
    process = idle.get()
    try:
        process.stdin.write(json.dumps([name, job]) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
    except (BrokenPipeError, ValueError):
        line = ""
    if not line:
        what = f"a worker process ended in the middle of its work (exit code {process.wait()})"
        raise GenwrightError(what, "it may have run out of memory: lower data.workers")
    idle.put(process)
    answer = json.loads(line)
    if "what" in answer:
        raise GenwrightError(answer["what"], answer["remedy"])
    if "failure" in answer:
        raise RuntimeError(answer["failure"])
    return answer["result"]


def main() -> None:
    import traceback

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not mix with the answers
    functions = jobs_by_name()
    for line in sys.stdin:
        name, job = json.loads(line)
        try:
            answer = {"result": functions[name](**job)}
        except GenwrightError as error:
            answer = {"what": error.what, "remedy": error.remedy}
        except Exception:  # reported to the parent, which raises it
            answer = {"failure": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
