"""Training a run, from a request to the last checkpoint in its folder.

1. The recipe; of a run that is resumed, the one it was started with (`resume.py`).
2. The data, prepared by one process for all.
3. The networks and the objective, with the weights that are given to begin with.
4. What is open yet: the precision, by a measurement, and the number of threads; where time is
   given, the number of steps (`minutes.py`), and then 3. again.
5. What the run is, written into its folder (`folder.py`).
6. The steps, with what is measured between them (`measuring.py`) and looked at (`alarms.py`).
"""

from __future__ import annotations

import json
import logging
import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.markup import escape
from torch import Tensor

from genwright.core.contracts import Objective, Stream
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.progress import showing
from genwright.core.registry import kinds
from genwright.core.threads import threads
from genwright.recipe.schema import Recipe
from genwright.runs import assemble, remarks
from genwright.runs.alarms import Alarms
from genwright.runs.folder import TRIAL, check_folder, locked, write_new_run, write_resumed_run
from genwright.runs.measuring import MeasureStep, measuring
from genwright.runs.memory import explaining_memory
from genwright.runs.minutes import fitted
from genwright.runs.parts import RunParts
from genwright.runs.request import Request
from genwright.runs.resume import first_weights, taken_up
from genwright.runs.run import Run
from genwright.runs.start import check_codec, from_weights
from genwright.training.batches import check, check_shares
from genwright.training.duration import LEAST
from genwright.training.engine import Engine, cores
from genwright.training.hooks import Live
from genwright.training.launch import launch
from genwright.training.loop import Hook
from genwright.training.modules import into_module
from genwright.training.precision import choose, why_fp32
from genwright.training.schedules import shortened
from genwright.training.session import Session

log = logging.getLogger(__name__)


class Beginning(NamedTuple):
    """What a run begins with. remarks: what a person should know of it. environment: as it was
    written when a resumed run was started, else empty. weights: by module; source: where they are
    from, origin: what they are, in words."""

    recipe: Recipe
    remarks: list[str]
    environment: Mapping[str, Any]
    weights: Mapping[str, Mapping[str, Tensor]]
    source: str | None
    origin: str


def train_in_processes(request: Request, processes: int) -> None:
    """Trains in so many processes on this machine. Raises GenwrightError."""
    check_folder(request.folder, request.resume)
    check_processes(request, processes)
    with tempfile.TemporaryDirectory() as temporary:
        word = str(request.given)
        if isinstance(request.given, Recipe):
            path = Path(temporary) / "recipe.yaml"
            path.write_text(request.given.dump(), encoding="utf-8")
            word = str(path)
        launch(["train", word, *_words_of(request)], processes)


def check_processes(request: Request, processes: int) -> None:
    """Raises GenwrightError where a step has fewer examples than there are processes, before any of
    them is started. Where the recipe leaves the batch size open, which then follows from the data,
    only more processes than cores are worth asking."""
    recipe = request.recipe
    if recipe.training.batch_size is None and processes > cores():
        data = assemble.data_of(recipe, request.folder)
        with showing(quiet=request.quiet):
            dataset = data.prepare(assemble.codec_of(recipe, request.folder))
        recipe = assemble.resolve(recipe, assemble.space_of(recipe, dataset.codec))
    size = recipe.training.batch_size
    if size is not None:
        check_shares(size, processes)


def _words_of(request: Request) -> list[str]:
    """A request as words of a command line, those behind the recipe."""
    words = []
    for name, value in request.overrides.items():
        if name in request.named:  # the others are read from the run that is resumed
            words.append(f"{name}:={json.dumps(value)}")
    words += ["--run", str(request.folder)]
    if request.resume:
        words.append("--resume")
    if request.quiet:
        words.append("--quiet")
    if request.until is not None:
        words += ["--until", str(request.until)]
    if request.start:
        words += ["--from", request.start]
    for own in request.measures:
        words += ["--reward", own.word]
    return words


def train_here(request: Request) -> None:
    """Trains in this process, or as one rank of those that the environment names. Raises
    GenwrightError."""
    training = request.recipe.training
    engine = Engine(training.device, training.strategy)
    with locked(request.folder, engine, request.resume):
        _train(request, engine)
    engine.close()  # not after an error: the others are gone then, nobody to wait for


def _train(request: Request, engine: Engine) -> None:
    beginning = _beginning(request)
    with threads(_thread_count(beginning.recipe, engine)):
        _train_from(beginning, request, engine)


def _train_from(beginning: Beginning, request: Request, engine: Engine) -> None:
    folder = request.folder
    recipe = beginning.recipe
    quiet = request.quiet or not engine.main
    expected = beginning.environment.get("data", {}).get("digest")
    _log(beginning.remarks, engine)
    with showing(quiet):
        dataset = prepared(recipe, folder, engine, expected)
    _log(_remarks(recipe, dataset), engine)
    if beginning.source:
        check_codec(beginning.source, dataset.codec)
    recipe = assemble.resolve(recipe, assemble.space_of(recipe, dataset.codec))
    objective, stream = _built(recipe, dataset, beginning, request)
    check(objective, stream.size, recipe.training, engine)
    recipe, seconds = _fix_precision(recipe, objective, stream, engine)
    facts: dict[str, Any] = {"precision": seconds}
    if recipe.training.minutes:
        with showing(quiet):
            tried = RunParts(recipe, objective, dataset, stream, engine)
            recipe, facts["minutes"] = _fix_steps(tried, folder)
        objective, stream = _built(recipe, dataset, beginning, request)  # what was tried has moved
    _log(shortened(assemble.timed_parts(recipe), recipe.training.steps), engine)
    parts = RunParts(recipe, objective, dataset, stream, engine)
    measure = measuring(parts, folder)
    if engine.main:
        _write(request, recipe, dataset, engine, beginning, facts)
    if recipe.training.compile:
        why_not = assemble.compiled(objective, engine.device)
        if why_not and engine.main:
            log.warning(why_not)
    live = None
    if not quiet:
        last = min(recipe.training.steps, request.until or recipe.training.steps)
        live = Live(Console(stderr=True), escape(folder.name), last, stream.unit)
    if measure and live:
        measure = _with_progress(measure, live)
    session = _session(recipe, folder, objective, stream, engine, measure, live)
    step, ended = _run(session, request, recipe, live)
    if ended == "interrupted" and session.result is None:
        words = ["genwright", "train", request.word, "--run", str(folder), "--resume"]
        for own in request.measures:
            words += ["--reward", own.word]
        _log([f"stopped at step {step}; go on with: {shlex.join(words)}"], engine)


def _built(
    recipe: Recipe, dataset: Dataset, beginning: Beginning, request: Request
) -> tuple[Objective, Stream]:
    """What is learned, as it is before the first step, and from what. Raises GenwrightError."""
    objective = assemble.objective(recipe, assemble.space_of(recipe, dataset.codec))
    begin_with(objective, beginning, recipe)
    name = request.folder.name
    return objective, assemble.stream(recipe, objective, dataset, name, request.measures)


def begin_with(objective: Objective, beginning: Beginning, recipe: Recipe) -> None:
    """The weights that are given, into the networks that the recipe names. Raises
    GenwrightError."""
    for name in recipe.networks:
        if name in beginning.weights:
            tensors = beginning.weights[name]
            into_module(objective.modules[name], tensors, f"--from {beginning.source}")
    if objective.begin is not None:
        objective.begin()


def _log(texts: Iterable[str], engine: Engine) -> None:
    """Says it once, whatever the number of processes."""
    if engine.main:
        for text in texts:
            log.info(text)


def _beginning(request: Request) -> Beginning:
    """The recipe, and the weights to begin with. Raises GenwrightError."""
    if not request.resume:
        if not request.start:
            if request.recipe.objective.begins:
                raise GenwrightError(
                    f"objective {request.recipe.objective.kind} goes on from a trained model",
                    "name its run with --from, for example --from runs/base",
                )
            return Beginning(request.recipe, [], {}, {}, None, "")
        recipe, weights, origin = from_weights(request.start, request.recipe)
        return Beginning(recipe, [], {}, weights, request.start, origin)
    environment = Run(request.folder).environment
    recipe, notes = taken_up(request, environment)
    source = first_weights(request.folder, environment)
    if source is None:
        return Beginning(recipe, notes, environment, {}, None, "")
    _, weights, origin = from_weights(source, recipe)
    return Beginning(recipe, notes, environment, weights, source, origin)


def _thread_count(recipe: Recipe, engine: Engine) -> int | None:
    """How many threads the run computes with; None: as many as the process has, where its
    environment says that."""
    if recipe.training.threads:
        return recipe.training.threads
    if "OMP_NUM_THREADS" in os.environ:
        return None
    return max(1, cores() // engine.size)


def prepared(recipe: Recipe, folder: Path, engine: Engine, expected: str | None) -> Dataset:
    """The dataset, prepared by rank 0 and opened by the others from the same cache. expected: the
    digest of the data of a run that goes on, whose files are then verified. Raises
    GenwrightError."""
    data = assemble.data_of(recipe, folder)
    codec = assemble.codec_of(recipe, folder)
    dataset: Dataset | None = None
    problem = None
    if engine.main:
        try:
            dataset = data.prepare(codec, expect=expected)
            if expected:
                dataset.verify()
        except GenwrightError as error:
            problem = error
    engine.raise_on_all(problem)
    if dataset is None:
        return data.prepare(codec, expect=expected)
    return dataset


def _remarks(recipe: Recipe, dataset: Dataset) -> list[str]:
    """What a person should know of the data."""
    found = remarks.left_out(dataset.summary) + remarks.on_both_sides(dataset)
    found += remarks.balanced(dataset.summary)
    licence = dataset.summary.get("licence")
    if licence and recipe.data.source != "files":
        found.append(f"licence of the data: {licence}")
    return found


def _fix_precision(
    recipe: Recipe, objective: Objective, stream: Stream, engine: Engine
) -> tuple[Recipe, dict[str, float]]:
    """The recipe with its precision and threads, so that a resumed run has the same; and the
    seconds of a turn in each precision, where that was measured."""
    seconds: dict[str, float] = {}
    training = recipe.training
    if training.precision == "auto":
        dtype, seconds = choose(objective, stream, training, engine, recipe.seed)
        precision = "bf16" if dtype == torch.bfloat16 else "fp32"
        training = training.model_copy(update={"precision": precision})
        timed = [f"{name} {found * 1e3:.0f} ms" for name, found in seconds.items()]
        why = ", ".join(timed) or why_fp32(objective, engine.device)
        _log([f"precision: {precision} ({why}; training.precision fixes it)"], engine)
    threads = training.threads or torch.get_num_threads()
    training = training.model_copy(update={"threads": threads})
    return recipe.model_copy(update={"training": training}), seconds


def _fix_steps(parts: RunParts, folder: Path) -> tuple[Recipe, dict[str, Any]]:
    """The recipe with as many steps as fit into its minutes, which it asks for no more; and what a
    run keeps of that. The objective's modules have moved afterwards. Raises GenwrightError."""
    recipe = parts.recipe
    with explaining_memory(recipe, parts.objective.unit):
        fit = fitted(parts, folder / TRIAL)
    if fit.asked > LEAST:
        remedy = "" if fit.steps == fit.asked else " (training.minutes=null trains all of them)"
        _log([f"training.minutes: {fit}{remedy}"], parts.engine)
    training = recipe.training.model_copy(update={"steps": fit.steps, "minutes": None})
    return recipe.model_copy(update={"training": training}), fit.to_json()


def _write(
    request: Request,
    recipe: Recipe,
    dataset: Dataset,
    engine: Engine,
    beginning: Beginning,
    measured: Mapping[str, Any],
) -> None:
    """What the run is, into its folder. measured: when it started, on this machine."""
    if beginning.environment:
        write_resumed_run(request.folder, recipe, beginning.environment, request.overrides)
        return
    facts: dict[str, Any] = {"overrides": dict(request.overrides), **measured}
    if beginning.source and not request.resume:
        facts["from"] = {"source": beginning.source, "what": beginning.origin}
    if request.measures:
        facts["rewards"] = [own.to_json() for own in request.measures]
    write_new_run(request.folder, recipe, dataset, engine, facts)


def _with_progress(measure: MeasureStep, live: Live) -> MeasureStep:
    """Shows how far measuring is until the line of steps begins; the two would tear each other."""

    def measured(step: int) -> dict[str, float]:
        with showing(quiet=live.begun):
            return measure(step)

    return measured


def _session(
    recipe: Recipe,
    folder: Path,
    objective: Objective,
    stream: Stream,
    engine: Engine,
    measure: MeasureStep | None,
    live: Live | None,
) -> Session:
    dtype = torch.bfloat16 if recipe.training.precision == "bf16" else torch.float32
    session = Session(
        folder,
        objective,
        stream,
        recipe.training,
        engine,
        recipe.seed,
        dtype,
        measure,
        hooks=[live] if live else [],
        recorders=[stream] if isinstance(stream, Hook) else [],
    )
    metrics = folder / "metrics.jsonl"
    alarms = Alarms(recipe.watching, engine, metrics, session.note, recipe.objective)
    session.watchers = [alarms, *_of_stream(recipe, stream, session)]
    return session


def _of_stream(recipe: Recipe, stream: Stream, session: Session) -> list[Hook]:
    """What looks at the run of a stream of its kind (family "watcher"). Raises GenwrightError."""
    make = kinds("watcher").get(recipe.objective.streams)
    if make is None:
        return []
    found: list[Hook] = make(stream, session, recipe.watching)
    return found


def _run(session: Session, request: Request, recipe: Recipe, live: Live | None) -> tuple[int, str]:
    """Trains; returns the last step, and how it ended. Raises GenwrightError."""
    try:
        with explaining_memory(recipe, session.objective.unit):
            state, ended = session.train(request.resume, request.until)
    finally:
        if live:
            live.close()
    return state.step, ended
