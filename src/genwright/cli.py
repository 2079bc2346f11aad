"""The commands: parse, call `genwright.api`, print. What is heavy (torch, pydantic) is imported
inside a command, so that --help is quick.

Exit codes: 0 done; 2 something that the person can put right, said in one sentence on stderr; 1 a
fault of the program; 130 interrupted.
"""

import logging
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from genwright.command_arguments import (
    Overrides,
    Quiet,
    RecipeName,
    Rewards,
    RunFolder,
    Step,
    Weights,
    Which,
)
from genwright.command_audit import audit_app
from genwright.command_card import card
from genwright.command_data import data_app
from genwright.command_errors import check_encoding, complaint
from genwright.command_notes import notes_shown
from genwright.command_process import end_at_once, leave, quick_imports
from genwright.command_rewards import reward_app
from genwright.core.arrow_memory import give_memory_back
from genwright.core.errors import GenwrightError
from genwright.core.open_files import allow_many_files
from genwright.core.parameters import as_typed

INTERRUPTED = 130  # exit code

app = typer.Typer(add_completion=False, rich_markup_mode=None)
recipe_app = typer.Typer(
    help="`recipe show NAME`: all its settings explained.", rich_markup_mode=None
)
app.add_typer(recipe_app, name="recipe")
app.add_typer(reward_app, name="reward")
app.add_typer(data_app, name="data")
app.add_typer(audit_app, name="audit")
app.command()(card)


Given = dict[str, Any]  # options of a kind of content that were given, by the name of their field


def _version(wanted: bool) -> None:
    if wanted:
        from genwright import __version__

        print(__version__)
        raise typer.Exit()


@app.callback()
def every_command(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (with any command).")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train generative models: one loop, one recipe."""


@app.command()
def recipes() -> None:
    """What can be run, a line each."""
    from genwright.recipe.shipped import shipped

    rows = shipped()
    width = max(len(name) for name, _ in rows)
    for name, description in rows:
        print(f"{name:<{width}}  {description}")


@recipe_app.command("show")
def recipe_show(recipe: RecipeName, overrides: Overrides = None) -> None:
    """Every setting of a recipe, with its default and its meaning."""
    from rich.console import Console

    from genwright.recipe.explain import explain
    from genwright.recipe.overrides import parse_overrides
    from genwright.recipe.schema import Recipe

    out = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    for row in explain(Recipe.load(recipe, parse_overrides(overrides or []))):
        changed = row.default is not ... and row.value != row.default
        out.print(f"{row.key} = {_plain(row.value)}", style="bold", end="")
        out.print(f"  (default {_plain(row.default)})" if changed else "")
        if row.meaning:
            out.print(f"    {row.meaning}")


def _plain(value: Any) -> str:
    """A value as it would be written in a recipe."""
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(map(_plain, value)) + "]"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


@app.command()
def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The run's folder. Default: runs/RECIPE. An existing run is never overwritten.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint.")
    ] = False,
    until: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="STEP", help="Stop early, as an interruption would; the schedule stays."
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="RUN|FOLDER",
            help="Start from a run's or a Hugging Face folder's weights.",
        ),
    ] = None,
    reward: Rewards = None,
    processes: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Processes on this machine that share each step."),
    ] = 1,
    quiet: Quiet = False,
) -> None:
    """Train a recipe, or go on with a run."""
    with quick_imports():
        from genwright import api
    from genwright.recipe.overrides import parse_overrides

    if quiet:
        # of what must be seen nothing is hidden (alarms); `notes_shown` puts the level back
        logging.getLogger("genwright").setLevel(logging.WARNING)
    changes = parse_overrides(overrides or [])
    done = api.train(
        recipe,
        run=run,
        resume=resume,
        until=until,
        start=start,
        processes=processes,
        quiet=quiet,
        reward=reward or (),
        **changes,
    )
    if "WORLD_SIZE" in os.environ:  # one of several processes: the one that started them speaks
        return
    print(f"{done.folder}: {api.ended_early(done) or _ended(done)}")


def _ended(done: Any) -> str:
    """How far a run is, and what can be done with it. done: an `api.Run`."""
    steps = done.recipe.training.steps
    if done.step < steps:
        return f"step {done.step} of {steps}; the same command with --resume goes on"
    folder = shlex.quote(str(done.folder))
    return f"done; look at it with genwright sample, evaluate or report {folder}"


@app.command()
def inspect(
    recipe: Annotated[
        str,
        typer.Argument(
            metavar="RECIPE|RUN", help="A recipe's name or YAML file, or a run's folder."
        ),
    ],
    overrides: Overrides = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            "--reward",
            metavar="FILE:NAME",
            help="Show what a function of your own says of examples; the file is run.",
        ),
    ] = None,
) -> None:
    """The first batch, sizes, cost; what rewards say of examples."""
    with quick_imports():
        from genwright import api
    from genwright.core import progress
    from genwright.recipe.overrides import parse_overrides

    with progress.showing():
        seen = api.inspect(recipe, reward=reward or (), **parse_overrides(overrides or []))
    print(seen)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def sample(run: RunFolder) -> None:
    """Sample a run: print what it makes, or write it as files."""
    # replaced by `_add_options` where a command line names it


def _sample(
    run: Path, more: list[str] | None, step: int | None, weights: Weights | None, given: Given
) -> None:
    with quick_imports():
        from genwright import api
    from genwright.core import progress
    from genwright.recipe.options import check_options
    from genwright.runs.drawing import shown_events

    trained = api.load(run, step=step, weights=weights)
    check_options("sample", given, trained.content, str(run))
    if more:
        given["condition"] = _asked_for(given.get("condition"), more)
    options = trained.kind.sampler_options(**given)
    view = trained.kind.view
    show = view.terminal(sys.stdout, options)
    if show:
        live = sys.stdout.isatty()  # then what is drawn is seen as it comes
        with progress.showing(quiet=live):
            for event in shown_events(trained.draw(options, partial=live)):
                show(event)
        return
    with progress.showing():
        written = api.sample(trained, options)
    print("\n".join(map(str, written)))


def _asked_for(condition: str | None, more: Sequence[str]) -> str:
    """--condition with the words behind the run's folder. Raises GenwrightError for words without
    it: `temperature=0.5` was meant as an option."""
    from genwright.core.options import option_name
    from genwright.core.registry import options_of

    if condition:
        return ",".join([condition, *more])
    name, equals, value = more[0].partition("=")
    remedy = "write what is asked for after --condition"
    for cls in options_of("sample").values():
        if equals and name in cls.model_fields:
            option = option_name(cls, name).split(",")[0]
            remedy = f"write {option} {shlex.quote(value)}"
    raise GenwrightError(f"{more[0]!r} is not expected here", remedy)


@app.command(context_settings={"ignore_unknown_options": True, "allow_extra_args": True})
def evaluate(run: RunFolder) -> None:
    """Measure a run on its held-out split, and what it draws."""
    # replaced by `_add_options` where a command line names it


def _evaluate(
    run: Path, step: int | None, weights: Weights | None, quiet: bool, given: Given
) -> None:
    with quick_imports():
        from genwright import api
    from genwright.core import progress

    with progress.showing(quiet):
        found = api.load(run, step=step, weights=weights).evaluate(**given)
    print(found)


@app.command()
def export(
    run: RunFolder,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write; a new or empty folder.")
    ],
    to: Annotated[
        str,
        typer.Option(metavar="hf", help="The format: hf loads with transformers' Auto classes."),
    ] = "hf",
    step: Step = None,
    weights: Which = None,
) -> None:
    """Write a run for other programs."""
    with quick_imports():
        from genwright import api

    api.load(run, step=step, weights=weights).export(to, folder)
    print(f"{folder}: written")


@app.command()
def report(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN...", help="One run, or several to compare.")
    ],
    output: Annotated[
        Path | None, typer.Option(help="Default: RUN/report.html, or report.html for several.")
    ] = None,
    reward: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE:NAME",
            help="A function of your own that a run learned from; the file is run.",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write an HTML page about one run, or several."""
    with quick_imports():
        from genwright import api
    from genwright.core import progress

    with progress.showing(quiet):
        opened = api.named_again(runs, reward or ())
        written = api.report(opened, output)
    print(f"{written}: written")


def _add_options(command: str) -> None:
    """Gives a command the options of every kind of content, made from their settings classes. Only
    the command that is called needs them, for they must be imported."""
    from genwright.command_options import command_function

    if command == "sample":
        more = Annotated[
            list[str] | None,
            typer.Argument(metavar="[A=B...]", help="More of what --condition asks for."),
        ]
        usual: dict[str, Any] = {"run": (RunFolder, ...), "more": (more, None)}
        function: Any = _sample
        doc = sample.__doc__
        own: dict[str, Any] = {"step": (Step, None), "weights": (Which, None)}
    else:
        usual = {"run": (RunFolder, ...)}
        function = _evaluate
        doc = evaluate.__doc__
        own = {"step": (Step, None), "weights": (Which, None), "quiet": (Quiet, False)}
    replacement = command_function(command, function, doc or "", usual, own)
    app.registered_commands = [
        each
        for each in app.registered_commands
        if (each.name or each.callback.__name__) != command  # type: ignore[union-attr]
    ]
    app.command(command)(replacement)


def main(words: Sequence[str] | None = None) -> None:
    """Runs a command line and exits. `--debug` may stand anywhere."""
    if words is None:  # this process is there for this command
        end_at_once()
        words = sys.argv[1:]
    given = list(words)
    debug = "--debug" in given
    allow_many_files()
    give_memory_back()
    try:
        for word in given:
            check_encoding(word)
        for command in ("sample", "evaluate"):
            if command in given:
                _add_options(command)
        with notes_shown(), as_typed():
            code = app(
                [word for word in given if word != "--debug"] or ["--help"],
                prog_name="genwright",
                standalone_mode=False,
            )
        # newer versions of typer answer an interruption with this code and no exception
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        leave(code if isinstance(code, int) else 0)
    except (KeyboardInterrupt, typer.Abort):
        goes_on = given[:2] == ["data", "build"]
        more = "; the same command goes on from here" if goes_on else ""
        print(f"interrupted{more}", file=sys.stderr)
        leave(INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        sentence, is_known = complaint(error, given)
        print(f"error: {sentence}", file=sys.stderr)
        leave(2 if is_known else 1)
