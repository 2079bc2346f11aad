"""The Python door: `train` and `inspect`, and from `run.py` `load`, `report` and `Run`. The command
line calls nothing else."""

import fcntl
import io
import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from rich.console import Console
from rich.markup import escape
from torch import Tensor

from genwright.core.content import Advanced, Drawn, Opened
from genwright.core.errors import GenwrightError, out_of_memory
from genwright.core.files import json_text, write_whole
from genwright.core.progress import task
from genwright.core.registry import content_of
from genwright.data import workers
from genwright.evaluation.held_out import measure
from genwright.recipe.overrides import override
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.runs.run import Run, load, report
from genwright.runs.start import from_weights
from genwright.runs.watch import Alarms, Watch
from genwright.training import checkpoint
from genwright.training.batches import check
from genwright.training.engine import Engine, cores
from genwright.training.hooks import Live
from genwright.training.modules import into_module
from genwright.training.schedules import shortened
from genwright.training.session import Session

__all__ = ["Run", "inspect", "load", "report", "sample", "train"]

CHANGEABLE = (
    "training.steps",
    "training.micro_batch",
    "training.evaluate_every",
    "training.checkpoint_every",
    "training.keep",
    "training.sinks",
    "training.threads",
    "name",
    "description",
    "sampling",
    "watching",
    "data.workers",
    "data.cache",
)


# what a start writes before its folder is a run's
BEFORE_A_RUN = ("codec", "environment.json", assemble.HELD)


def train(
    recipe: str | Path | Recipe,
    *,
    run: str | Path | None = None,
    resume: bool = False,
    until: int | None = None,
    start: str | None = None,
    processes: int = 1,
    quiet: bool = False,
    **overrides: Any,
) -> Run:
    """Trains a recipe in a folder and returns the run.

    recipe: a shipped recipe's name, the path of a YAML file, or a Recipe; overrides: dotted
    settings ({"training.steps": 500}).
    run: the folder (default runs/NAME), which must not exist unless `resume`. until: stop at that
    step as an interruption would.
    start: a run or Hugging Face folder whose weights to begin with. processes: ranks on this
    machine. Raises GenwrightError.
    """
    given = _asked(recipe, overrides)
    folder = Path(run) if run is not None else Path("runs") / given.name
    named = set(overrides)
    if resume:  # what was overridden when the run was started need not be said again
        overrides = Run(folder).environment.get("overrides", {}) | overrides
        given = _asked(recipe, overrides)
    overrides = given.settled(overrides)
    if processes > 1 and "WORLD_SIZE" not in os.environ:
        _launch(recipe, overrides, folder, resume, until, start, processes, quiet)
        return load(folder)
    engine = Engine(given.training.device, given.training.strategy)
    with _locked(folder, engine, resume):
        word = recipe.name if isinstance(recipe, Recipe) else str(recipe)
        _train(given, folder, engine, resume, until, start, quiet, overrides, named, word)
    engine.close()  # not after an error: the others are gone then, nobody to wait for
    return load(folder)


def _asked(recipe: str | Path | Recipe, overrides: Mapping[str, Any]) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipe.overridden(overrides) if overrides else recipe
    return Recipe.load(recipe, overrides)


def _launch(
    recipe,
    overrides: Mapping[str, Any],
    folder: Path,
    resume: bool,
    until: int | None,
    start: str | None,
    processes: int,
    quiet: bool,
) -> None:
    from genwright.training.launch import launch

    _check_folder(folder, resume)
    with tempfile.TemporaryDirectory() as temporary:
        if isinstance(recipe, Recipe):
            path = Path(temporary) / "recipe.yaml"
            path.write_text(recipe.dump(), encoding="utf-8")
            recipe = path
        options = [f"{name}:={json.dumps(value)}" for name, value in overrides.items()]
        options += ["--run", str(folder)] + ["--resume"] * resume + ["--quiet"] * quiet
        options += ["--until", str(until)] if until is not None else []
        options += ["--from", start] if start else []
        launch(["train", str(recipe), *options], processes)


def _check_folder(folder: Path, resume: bool) -> None:
    # what a start leaves that was stopped before it was a run may be written over
    there = folder.exists() and any(
        p.name not in (".lock", *BEFORE_A_RUN) for p in folder.iterdir()
    )
    if there and not resume:
        remedy = "go on with --resume, or choose another folder with --run"
        raise GenwrightError(f"{folder} exists already, and a run is never overwritten", remedy)
    if resume and not (folder / "recipe.yaml").is_file():
        raise GenwrightError(
            f"there is no run in {folder} to resume",
            "start it without --resume, or name its folder with --run",
        )


@contextmanager
def _locked(folder: Path, engine: Engine, resume: bool):
    """One writer a folder. Rank 0 locks, then checks what is there, so that of two that start at
    once one sees what the other made. The other ranks follow."""
    problem = ""
    handle = None
    fresh = not (folder / ".lock").exists()
    if engine.main:
        try:
            if resume:  # which makes no folder
                _check_folder(folder, resume)
            folder.mkdir(parents=True, exist_ok=True)
            handle = _lock(folder / ".lock")
            _check_folder(folder, resume)
        except GenwrightError as error:
            problem = f"{error.what}\0{error.remedy}"
        except BlockingIOError:
            problem = f"another process is training in {folder}\0wait for it, or choose another folder with --run"
        except OSError as error:
            problem = f"{folder} cannot be written ({error.strerror})\0choose another folder with --run, or change its permissions"
    try:
        if problem := engine.broadcast(problem):
            raise GenwrightError(*problem.split("\0"))
        yield
    finally:
        if handle:
            _unlock(folder, handle, fresh)


def _lock(path: Path) -> IO[str]:
    """Locks a file, as long as what is returned is open. Raises BlockingIOError where another
    process has locked it."""
    while True:
        handle = open(path, "a")  # noqa: SIM115 - held as long as the run
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise
        if path.exists() and os.path.samestat(os.fstat(handle.fileno()), path.stat()):
            return handle
        handle.close()  # whoever had it removed it in between


def _unlock(folder: Path, handle: IO[str], fresh: bool) -> None:
    """Leaves no lock, and no folder, where no run was begun. fresh: the lock was not there
    before."""
    names = {path.name for path in folder.iterdir()}
    begun = names & {"recipe.yaml", *BEFORE_A_RUN}
    if names == {".lock"} or (fresh and not begun):
        (folder / ".lock").unlink(missing_ok=True)
    if names == {".lock"}:
        folder.rmdir()
    handle.close()


def _train(
    recipe: Recipe,
    folder: Path,
    engine: Engine,
    resume: bool,
    until: int | None,
    start: str | None,
    quiet: bool,
    overrides: Mapping[str, Any],
    named: Iterable[str],
    given: str,
) -> None:
    console = Console(stderr=True, quiet=quiet or not engine.main)

    def say(text):
        return console.print(f"[yellow]note:[/] {text}", highlight=False)

    weights: Mapping[str, Mapping[str, Tensor]] | None = None
    before: dict[str, Any] = {}
    if resume:
        recipe, before, start = _taken_up(recipe, folder, named, until, say)
        weights = from_weights(start, recipe)[1] if start else None
    elif start:
        recipe, weights, origin = from_weights(start, recipe)
    if recipe.training.threads or "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(recipe.training.threads or max(1, cores() // engine.size))
    dataset = _prepare(recipe, folder, engine, console, before.get("data", {}).get("digest"))
    for text in assemble.left_out(dataset.summary) + assemble.on_both_sides(dataset):
        say(text)
    if recipe.data.source != "files" and (licence := dataset.summary.get("licence")):
        say(f"licence of the data: {licence}")
    for text in shortened(assemble.timed_parts(recipe), recipe.training.steps):
        say(text)
    space = assemble.space_of(recipe, dataset.codec)
    recipe = assemble.resolve(recipe, space)
    objective = assemble.objective(recipe, space)
    for name, tensors in (weights or {}).items():
        into_module(objective.modules[name], tensors, f"--from {start}")
    stream = dataset.stream(
        recipe.training.batch_size, recipe.seed, lookahead=recipe.objective.lookahead
    )
    check(objective, stream.size, recipe.training, engine)
    auto = recipe.training.precision == "auto"
    recipe, measured = _measured(recipe, objective, stream, engine)
    if auto:
        timed = (
            ", ".join(f"{name} {found * 1e3:.0f} ms" for name, found in measured.items())
            or "gradients of gradients"
        )
        console.print(
            f"precision: {recipe.training.precision} ({timed}; training.precision fixes it)",
            highlight=False,
        )
    if engine.main:
        origin_of = {"from": {"source": start, "what": origin}} if start and not resume else {}
        _write(
            folder,
            recipe,
            dataset,
            engine,
            before,
            {"overrides": dict(overrides), "precision": measured} | origin_of,
        )
    if recipe.training.compile and (why_not := assemble.compiled(objective, engine.device)):
        say(why_not)
    held_out = _measuring(recipe, folder, objective, dataset, stream.size, engine, say)
    dtype = torch.bfloat16 if recipe.training.precision == "bf16" else torch.float32
    last = min(recipe.training.steps, until or recipe.training.steps)
    live = (
        Live(console, escape(folder.name), last, stream.unit) if engine.main and not quiet else None
    )
    session = Session(
        folder,
        objective,
        stream,
        recipe.training,
        engine,
        recipe.seed,
        dtype,
        held_out,
        [live] if live else [],
        say=say,
    )
    session.watchers = [
        Alarms(
            recipe.watching,
            engine,
            folder / "metrics.jsonl",
            session.note,
            say,
            recipe.objective,
        )
    ]
    try:
        state, ended = session.train(resume, until)
    except Exception as error:
        if out_of_memory(error):
            raise _too_large(recipe, max(1, objective.unit)) from error
        raise
    finally:
        if live:
            live.close()
    if ended == "interrupted":
        command = shlex.join(["genwright", "train", given, "--run", str(folder), "--resume"])
        say(f"stopped at step {state.step}; go on with: {command}")


def _too_large(recipe: Recipe, unit: int) -> GenwrightError:
    """What to do about a run that does not fit into memory. unit: examples that must stay
    together."""
    training = recipe.training
    at_once = training.micro_batch or training.batch_size or unit
    smaller = "the model's width or depth" + (
        ", or data.context" if hasattr(recipe.data, "context") else ""
    )
    if at_once <= unit:
        return GenwrightError(f"out of memory, with {at_once} examples at once", f"lower {smaller}")
    half = max(unit, at_once // 2 // unit * unit)
    return GenwrightError(
        f"out of memory, with {at_once} examples at once",
        f"set training.micro_batch={half} or less (the result stays; --resume takes it), then lower {smaller}",
    )


def _measuring(
    recipe: Recipe, folder: Path, objective, dataset, batch: int, engine: Engine, say
) -> Callable[[int], dict[str, float]] | None:
    """What is measured on the schedule of evaluations: the held-out split and, of what is drawn on
    the way, samples."""
    unit = max(1, objective.unit)
    # what fits into memory; no figure depends on it
    size = min(64, recipe.training.micro_batch or batch)
    windows = dataset.held_out(lookahead=recipe.objective.lookahead)
    enough = windows.windows >= unit
    if not enough:
        say(
            "nothing is held out: this run has no held-out figures"
            if unit == 1
            else f"fewer than {unit} examples are held out"
        )
    kind = content_of(dataset.codec.content)
    limit = kind.held_out_seen
    watch = None
    samples = recipe.watching.samples
    if samples:
        opened = Opened(objective, dataset.codec, recipe.sampling, lambda: dataset, folder.name)
        watcher = kind.watcher(opened, samples, recipe.seed)
        watch = Watch(folder, objective, watcher, engine) if watcher else None

    def held_out(step: int) -> dict[str, float]:
        found = (
            measure(objective, windows, batch=size, seed=recipe.seed, engine=engine, limit=limit)
            if enough
            else {}
        )
        return found | (watch(step) if watch else {})

    return held_out if enough or watch else None


def _taken_up(
    recipe: Recipe,
    folder: Path,
    named: Iterable[str],
    until: int | None,
    say: Callable[[str], None],
) -> tuple[Recipe, dict[str, Any], str | None]:
    """The recipe and the environment of a run that is resumed, and where its first weights are if
    it has no checkpoint yet."""
    before = Run(folder).environment
    saved = Recipe.load(folder / "recipe.yaml")
    if "from" in before:  # the model and the tokenizer came with the weights
        recipe = recipe.model_copy(update={"model": saved.model, "codec": saved.codec})
    recipe = _resumed(recipe, saved, named, say)
    root = folder / "checkpoints"
    reached = checkpoint.reached(root)
    if min(recipe.training.steps, until or reached) < reached:
        raise GenwrightError(
            f"the run is at step {reached} already",
            "give training.steps and --until at least that, or start another run",
        )
    return (
        recipe,
        before,
        before["from"]["source"] if "from" in before and not checkpoint.steps(root) else None,
    )


def _write(
    folder: Path,
    recipe: Recipe,
    dataset: Any,
    engine: Engine,
    before: Mapping[str, Any],
    extra: dict[str, Any],
) -> None:
    """What a run is, before its first step. before: the environment that a resumed run wrote when
    it was started."""
    if not before:
        dataset.codec.save(folder / "codec")
        if dataset.held is not None:
            _write_held(folder / assemble.HELD, dataset.held.keys)
    found = (
        dict(before) | {"overrides": extra["overrides"]}
        if before
        else assemble.environment(recipe, dataset, engine, extra)
    )
    write_whole(folder / "environment.json", json_text(found, indent=1))
    write_whole(folder / "recipe.yaml", recipe.dump())  # last: what makes the folder a run


def _write_held(path: Path, keys: np.ndarray) -> None:
    content = io.BytesIO()
    np.save(content, keys, allow_pickle=False)
    write_whole(path, content.getvalue())


def _prepare(
    recipe: Recipe, folder: Path, engine: Engine, console: Console, expected: str | None
) -> Any:
    """The data, prepared by rank 0 and opened by the others from the same cache."""
    data = assemble.data_of(recipe, folder)
    codec = assemble.codec_of(recipe, folder)
    dataset = None
    problem = ""
    if engine.main:
        try:
            workers.quiet = console.quiet
            dataset = data.prepare(codec, expect=expected)
            if expected and hasattr(dataset, "verify"):  # of a run that goes on
                dataset.verify()
        except GenwrightError as error:
            problem = f"{error.what}\0{error.remedy}"
    if problem := engine.broadcast(problem):
        raise GenwrightError(*problem.split("\0"))
    return dataset or data.prepare(codec, expect=expected)


def _measured(recipe: Recipe, objective, stream, engine: Engine) -> tuple[Recipe, dict[str, float]]:
    """Precision `auto` and the threads, measured once and kept in the run's recipe."""
    seconds: dict[str, float] = {}
    training = recipe.training
    if training.precision == "auto":
        from genwright.training.precision import choose

        dtype, seconds = choose(objective, stream, training, engine, recipe.seed)
        training = training.model_copy(
            update={"precision": "bf16" if dtype == torch.bfloat16 else "fp32"}
        )
    training = training.model_copy(update={"threads": training.threads or torch.get_num_threads()})
    return recipe.model_copy(update={"training": training}), seconds


def _resumed(
    asked: Recipe, saved: Recipe, named: Iterable[str], say: Callable[[str], None]
) -> Recipe:
    """The saved recipe, with what a resumed run may change taken from the asked one. Raises
    GenwrightError for anything else.

    Warm-ups that recipes used to give in steps, and now give as shares of a run, stay as the run
    was started."""
    mine = _flat(asked.model_dump(mode="json"))
    theirs = _flat(saved.model_dump(mode="json"))
    # what the asked recipe leaves open was resolved when the run was started
    rate = "training.optimizer.matrix_rate"
    open_ = set() if "matrix_rate" in asked.training.optimizer.model_fields_set else {rate}
    fixed = [name for name in mine if not name.startswith(CHANGEABLE) and name not in open_]
    changed = [
        n
        for n in fixed
        if mine[n] != theirs.get(n) and (n in named or mine[n] not in (None, "auto"))
    ]
    parts = assemble.timed_parts(asked).items()
    spans = {
        f"{place}.{name}"
        for place, settings in parts
        for name in (*settings.spans, *settings.warmups)
    }
    in_steps = [
        n for n in changed if n in spans and n not in named and 0 < mine[n] < 1 <= theirs.get(n, 0)
    ]
    for name in in_steps:
        say(f"{name} stays {theirs[name]:g} steps, as the run was started")
    changed = [name for name in changed if name not in in_steps]
    if changed:
        listed = ", ".join(
            f"{n} is {mine[n]!r} here and {theirs.get(n)!r} there" for n in changed[:3]
        )
        remedy = "resume with the recipe it was started with, or start another run with --run"
        raise GenwrightError(f"the run was started with another recipe: {listed}", remedy)
    values = saved.model_dump(mode="json")
    for name, value in mine.items():
        if name.startswith(CHANGEABLE) and value is not None:
            override(values, name, value)
    return Recipe.of(values)


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name, value in values.items():
        out |= (
            _flat(value, f"{prefix}{name}.")
            if isinstance(value, Mapping) and value
            else {prefix + name: value}
        )
    return out


def sample(run: Run, options: Any) -> list[Path]:
    """Draws what the options ask for and writes it as files, into the folder that they name or
    RUN/samples. Returns the paths. Raises GenwrightError."""
    folder = Path(options.output or run.folder / "samples")
    samples = []
    with task("drawing samples") as shown:
        for event in run.draw(options):
            if isinstance(event, Drawn):
                samples.append(event.sample)
            elif isinstance(event, Advanced):
                if event.total:
                    shown.expect(event.total)
                shown.advance(event.done - shown.done)
    return run.kind.view.write(samples, folder, options, run.opened())


def inspect(recipe: str | Path | Recipe, **overrides: Any) -> Any:
    """The first batch decoded, with what counts in the loss marked; sizes; what the run will cost.
    Printable."""
    from genwright.runs.preview import preview

    return preview(_asked(recipe, overrides))
