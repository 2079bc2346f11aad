"""The Python interface: `train`, `inspect`, `sample`, and from `runs/run.py` `load`, `report` and
`Run`. The command line trains, draws and writes through it alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from genwright.core.content import Drawn
from genwright.core.parameters import parameters_named
from genwright.recipe.schema import Recipe
from genwright.rewards.alarm import ending
from genwright.rewards.check import Check, check
from genwright.rewards.examples import examples_of, run_of
from genwright.rewards.frontier import frontier
from genwright.rewards.frontier_points import Frontier
from genwright.rewards.listing import Listing, listing
from genwright.rewards.user_file import (
    measures_to_look_at,
    name_measures,
    with_measures,
    with_terms,
)
from genwright.runs.drawing import shown_events
from genwright.runs.new_files import write_new
from genwright.runs.preview import Preview, preview
from genwright.runs.request import read_recipe, read_request
from genwright.runs.run import Run, load, report
from genwright.runs.train import train_here, train_in_processes

log = logging.getLogger(__name__)

__all__ = ["Run", "inspect", "load", "report", "sample", "train"]


def train(
    recipe: str | Path | Recipe,
    *,
    run: str | Path | None = None,
    resume: bool = False,
    until: int | None = None,
    start: str | Path | None = None,
    processes: int = 1,
    quiet: bool = False,
    reward: str | Sequence[str] = (),
    **overrides: Any,
) -> Run:
    """Trains a recipe in a folder and returns the run.

    recipe: a shipped recipe's name, the path of a YAML file, or a Recipe; overrides: dotted
    settings ({"training.steps": 500}).
    run: the folder (default runs/NAME), which must not exist unless `resume`. until: stop at that
    step as an interruption would.
    start: a run or Hugging Face folder whose weights to begin with. processes: ranks on this
    machine. quiet: shows no progress. reward: `FILE:NAME`, measures of your own that are rewarded;
    the files are run. Raises GenwrightError.
    """
    with parameters_named():
        begin = None if start is None else str(start)
        request = read_request(recipe, overrides, run, resume, until, begin, quiet)
        request = with_measures(request, [reward] if isinstance(reward, str) else reward)
        if processes > 1 and "WORLD_SIZE" not in os.environ:
            train_in_processes(request, processes)
        else:
            train_here(request)
    return load(request.folder)


def ended_early(run: Run) -> str:
    """How a run ended that was stopped for gaming its reward, with its result and what can be done;
    "" of any other run."""
    return ending(run)


def reward_list(word: str) -> Listing:
    """What can be rewarded of a kind of content, or of what a run makes. Printable. Raises
    GenwrightError."""
    return listing(word)


def reward_check(
    run: str | Path,
    recipe: str | Path | Recipe,
    *,
    reward: str | Sequence[str] = (),
    n: int | None = None,
    **overrides: Any,
) -> Check:
    """The rewards of a recipe on real data, on `n` samples of a run's model and on noise, before
    anything is learned. Printable; kept in the run's folder. reward: as of `train`. Raises
    GenwrightError."""
    words = [reward] if isinstance(reward, str) else reward
    return check(run, read_recipe(recipe, overrides), words, n)


def reward_frontier(
    run: str | Path,
    *,
    kl: Sequence[float] | None = None,
    best_of: Sequence[int] | None = None,
    n: int | None = None,
    reward: str | Sequence[str] = (),
    train: bool = True,
    quiet: bool = False,
) -> Frontier:
    """A run that learned from rewards beside its alternatives (`rewards/frontier.py`). Printable;
    kept in the run's folder, with the runs that are trained for it.

    kl: weights of the divergence to train with; best_of: numbers of samples of which the best is
    kept; n: samples of each model; None: the usual ones. reward: as of `train`. train: False
    measures what needs no training. Raises GenwrightError."""
    words = [reward] if isinstance(reward, str) else reward
    return frontier(run, kl, best_of, n, train, quiet, words)


def named_again(folders: Sequence[str | Path], reward: str | Sequence[str]) -> list[Run]:
    """Runs, opened, with the measures of your own that they learned from, for `report`. reward: as
    of `train`. Raises GenwrightError."""
    runs = [load(folder) for folder in folders]
    name_measures(runs, [reward] if isinstance(reward, str) else reward)
    return runs


def sample(run: Run, options: Any) -> list[Path]:
    """Draws what the options ask for and writes it as files, into the folder that they name or
    RUN/samples; where that holds files of the same names, into a numbered folder in it, so that
    nothing is replaced. Returns the paths. Raises GenwrightError."""
    folder = Path(options.output or run.folder / "samples")
    events = shown_events(run.draw(options))
    samples = [event.sample for event in events if isinstance(event, Drawn)]

    def write(draft: Path) -> list[Path]:
        return run.kind.view.write(samples, draft, options, run.opened())

    written = write_new(folder, write)
    if written and folder not in (path.parent for path in written):
        log.info(
            "%s holds files of an earlier call, which stay: these are in %s",
            folder,
            written[0].parent,
        )
    return written


def inspect(
    recipe: str | Path | Recipe, *, reward: str | Sequence[str] = (), **overrides: Any
) -> Preview:
    """The first batch decoded, with what counts in the loss marked; sizes; what the run will cost.
    Of a recipe with rewards also what they say of real examples; and of samples, where `recipe` is
    a run's folder. Printable. reward: `FILE:NAME`, functions of your own that are looked at
    likewise, whatever the objective; the files are run. Raises GenwrightError."""
    read = read_recipe(recipe, overrides)
    run = run_of(recipe)
    kept = [] if run is None else run.environment.get("rewards", [])
    own = measures_to_look_at([reward] if isinstance(reward, str) else reward, read, kept)
    read = with_terms(read, own)
    seen = preview(read, own)
    found = examples_of(read, own, run)
    return seen if found is None else replace(seen, more=str(found))
