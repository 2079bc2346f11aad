"""The commands: parse, call `genwright.api`, print. What is heavy (torch, pydantic) is imported
inside a command, so that --help is quick.

Exit codes: 0 done; 2 something that the person can put right, said in one sentence on stderr; 1 a
fault of the program; 130 interrupted.
"""

import errno
import logging
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from genwright.core.errors import GenwrightError, did_you_mean, out_of_memory

INTERRUPTED = 130  # exit code

app = typer.Typer(add_completion=False, rich_markup_mode=None)
recipe_app = typer.Typer(
    help="`recipe show NAME`: all its settings explained.", rich_markup_mode=None
)
app.add_typer(recipe_app, name="recipe")


class Weights(StrEnum):
    ema = "ema"
    raw = "raw"


RecipeName = Annotated[
    str,
    typer.Argument(metavar="RECIPE", help="A shipped recipe's name, or the path of a YAML file."),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="KEY=VALUE", help="Settings to change, for example training.steps=500."),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, for example runs/code.")
]
Step = Annotated[int | None, typer.Option(help="Checkpoint to use. Default: the newest whole one.")]
Which = Annotated[
    Weights | None, typer.Option(help="Which weights. Default: ema where there is one.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress display.")]


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
    return (
        {None: "null", True: "true", False: "false"}[value]
        if value is None or isinstance(value, bool)
        else str(value)
    )


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
    processes: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Processes on this machine that share each step."),
    ] = 1,
    quiet: Quiet = False,
) -> None:
    """Train a recipe, or go on with a run."""
    from genwright import api
    from genwright.recipe.overrides import parse_overrides

    changes = parse_overrides(overrides or [])
    done = api.train(
        recipe,
        run=run,
        resume=resume,
        until=until,
        start=start,
        processes=processes,
        quiet=quiet,
        **changes,
    )
    if "WORLD_SIZE" in os.environ:  # one of several processes: the one that started them speaks
        return
    if done.step < done.recipe.training.steps:
        print(
            f"{done.folder}: step {done.step} of {done.recipe.training.steps}; the same command with --resume goes on"
        )
    else:
        print(
            f"{done.folder}: done; look at it with genwright sample, evaluate or report {shlex.quote(str(done.folder))}"
        )


@app.command()
def inspect(recipe: RecipeName, overrides: Overrides = None) -> None:
    """The first batch, the sizes, the cost of a run."""
    from genwright import api
    from genwright.recipe.overrides import parse_overrides

    print(api.inspect(recipe, **parse_overrides(overrides or [])))


DECODED = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")
TEXTUAL = ("prompt", "fill", "max_tokens", "stop", "any_bytes")
PICTURED = ("negative", "guidance", "steps", "solver", "truncation", "strength")
WAYS = ("walk", "traverse", "interpolate", "directions", "invert")  # through a latent space
COMPOSED = ("bars", "tempo", "harmonise", "theme", "rules", "soundfont")
OPTIONS = {  # what content each kind of run takes
    "text": (*TEXTUAL, *DECODED),
    "music": ("fill", "max_tokens", "condition", "output", *DECODED[:4], *COMPOSED),
    "image": ("condition", "output", *PICTURED, *WAYS, *DECODED[:4]),
}


@app.command()
def sample(
    run: RunFolder,
    more: Annotated[
        list[str] | None,
        typer.Argument(metavar="[A=B...]", help="More of what --condition asks for."),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, help="Samples (of each prompt: 1; music: 4; pictures: 16)."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same samples.")] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(help="Text: how each sample begins; may be given several times."),
    ] = None,
    fill: Annotated[
        str | None,
        typer.Option(
            metavar="TEXT|FILE", help="A masked model fills each [MASK]; music: rewrites --bars."
        ),
    ] = None,
    max_tokens: Annotated[int | None, typer.Option(help="Text: longest sample, in tokens.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Tokens: 0: always the likeliest one.")
    ] = None,
    top_k: Annotated[int | None, typer.Option(help="Tokens: only the k likeliest; 0: all.")] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Tokens: only the likeliest that together have this probability."),
    ] = None,
    min_p: Annotated[
        float | None,
        typer.Option(help="Tokens: only those this likely, relative to the likeliest."),
    ] = None,
    repetition_penalty: Annotated[
        float | None, typer.Option(help="Text: above 1, tokens already used become less likely.")
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="Text that ends a sample; may be given several times.")
    ] = None,
    any_bytes: Annotated[
        bool, typer.Option("--any-bytes", help="Text by bytes: also bytes that are no valid UTF-8.")
    ] = False,
    condition: Annotated[
        str | None,
        typer.Option(metavar="A=B,C=D", help="Pictures, music: what they are; a=b|c for several."),
    ] = None,
    negative: Annotated[
        str | None, typer.Option(metavar="A=B,C=D", help="Pictures: what they are not.")
    ] = None,
    guidance: Annotated[
        float | None, typer.Option(help="Pictures: how strongly these two steer; 1 as learned.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Flows: steps of the solver.")] = None,
    solver: Annotated[str | None, typer.Option(help="Flows: euler or heun.")] = None,
    truncation: Annotated[
        float | None, typer.Option(help="Latents: below 1, more typical and less varied.")
    ] = None,
    walk: Annotated[
        int | None, typer.Option(min=2, metavar="FRAMES", help="Latents: an animated walk (APNG).")
    ] = None,
    traverse: Annotated[
        bool, typer.Option("--traverse", help="Latents: the n most active dimensions from -3 to 3.")
    ] = False,
    interpolate: Annotated[
        int | None,
        typer.Option(min=2, metavar="N", help="Latents: N pictures from one to another."),
    ] = None,
    directions: Annotated[
        bool,
        typer.Option("--directions", help="Latents: along the n principal directions of a GAN."),
    ] = False,
    invert: Annotated[
        str | None, typer.Option(metavar="FILE", help="Latents: find a picture's, then vary it.")
    ] = None,
    strength: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Of --invert's variations: 0 none, 1 all new; 0.3."),
    ] = None,
    bars: Annotated[
        str | None, typer.Option(metavar="N|A-B", help="Music: how many bars; of --fill, which.")
    ] = None,
    tempo: Annotated[float | None, typer.Option(help="Music: quarter notes a minute.")] = None,
    theme: Annotated[
        str | None, typer.Option("--continue", metavar="FILE", help="Music: how each piece begins.")
    ] = None,
    harmonise: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Music: a melody; a masked model writes the other voices."
        ),
    ] = None,
    rules: Annotated[
        bool,
        typer.Option(
            "--rules", help="Music: voices keep to their ranges, and no parallel fifths or octaves."
        ),
    ] = False,
    soundfont: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Music: a .sf2 to play it. Default: built in."),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Pictures, music: where to write. Default: RUN/samples."),
    ] = None,
    step: Step = None,
    weights: Which = None,
) -> None:
    """Sample a run: print text, or write pictures or music."""
    given = {
        k: v
        for k, v in locals().items()
        if v is not None and v is not False and k not in ("run", "step", "weights", "more")
    }
    from genwright import api
    from genwright.core import progress

    trained = api.load(run, step=step, weights=weights)
    content = "image" if trained.content == "points" else trained.content
    _check_options(given, content, run)
    if more:
        given["condition"] = _asked_for(condition, more)
    if content == "text":
        chosen: dict[str, Any] = {"stop": tuple(stop)} if stop else {}
        if given.pop("any_bytes", False):
            chosen["valid_utf8"] = False
        _print_text(trained, given | chosen)
        return
    if content == "music":
        from genwright.contents.music.composing import sample_music as write
    else:
        from genwright.contents.images.pictured import sample_pictures as write  # type: ignore[assignment]
    with progress.showing():
        written = write(trained, **given)
    print("\n".join(map(str, written)))


def _check_options(given: Iterable[str], content: str, run: Path) -> None:
    """Raises GenwrightError for an option that is not for what the run makes."""
    for name in given:
        fit = [kind for kind, names in OPTIONS.items() if name in names]
        if fit and content not in fit:
            kind = " and ".join(fit).replace("image", "pictures and points")
            option = "continue" if name == "theme" else name.replace("_", "-")
            raise GenwrightError(
                f"--{option} is for {kind}, which {run} does not make", "leave it out"
            )


def _asked_for(condition: str | None, more: Sequence[str]) -> str:
    """--condition with the words behind the run's folder. Raises GenwrightError for words without
    it: `temperature=0.5` was meant as an option."""
    if condition:
        return ",".join([condition, *more])
    name, equals, value = more[0].partition("=")
    option = name.replace("_", "-")
    known = {each.replace("_", "-") for names in OPTIONS.values() for each in names}
    remedy = (
        f"write --{option} {shlex.quote(value)}"
        if equals and option in known
        else "write what is asked for after --condition"
    )
    raise GenwrightError(f"{more[0]!r} is not expected here", remedy)


def _print_text(trained: Any, given: dict[str, Any]) -> None:
    """Samples of a run that makes text, or a text whose gaps it fills."""
    if "fill" in given and "prompt" in given:
        raise GenwrightError(
            "--fill and --prompt were both given", "masked models take --fill, causal ones --prompt"
        )
    prompts = given.pop("prompt", None) or [""]
    count = given.pop("n", 1)
    if "fill" in given:
        filled = trained.fill(given.pop("fill"), **given)
        print(_safe(filled.text))
        for number, candidates in enumerate(filled.candidates, start=1):
            print(
                f"gap {number}: " + ", ".join(f"{c.text!r} {c.probability:.1%}" for c in candidates)
            )
        return
    trained.check_prompts(prompts)
    live = sys.stdout.isatty()
    _begin(prompts[0], 0, len(prompts) * count)
    for row, drawn in enumerate(
        trained.sample(prompts=prompts, n=count, on_token=_stream if live else None, **given)
    ):
        if row:
            _begin(drawn.prompt, row, len(prompts) * count)
        print(_safe(drawn.text) if row or not live else "")


def _stream(row: int, piece: str) -> None:
    """Shows the first sample as it is drawn; the others follow when they are whole."""
    if row == 0:
        print(_safe(piece), end="", flush=True)


def _begin(prompt: str, row: int, count: int) -> None:
    """Of several samples the number, then the prompt, which the sample goes on from."""
    print(f"--- {row + 1} of {count} ---\n" if count > 1 else "", end="")
    typer.secho(_safe(prompt), bold=True, nl=False)


def _safe(text: str) -> str:
    """A model may draw control characters, which a terminal would obey."""
    return (
        re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", "\N{REPLACEMENT CHARACTER}", text)
        if sys.stdout.isatty()
        else text
    )


@app.command()
def evaluate(
    run: RunFolder,
    inception: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Inception weights (safetensors): adds the FID."),
    ] = None,
    samples: Annotated[
        int | None,
        typer.Option(
            "--samples",
            "-n",
            min=1,
            help="How many are drawn. Default: as before, else what takes a minute.",
        ),
    ] = None,
    whole: Annotated[
        bool,
        typer.Option("--whole", help="Pictures: every held-out one, 500 importance samples each."),
    ] = False,
    step: Step = None,
    weights: Which = None,
    quiet: Quiet = False,
) -> None:
    """Measure a run on its held-out split, and what it draws."""
    from genwright import api
    from genwright.core import progress

    with progress.showing(quiet):
        found = api.load(run, step=step, weights=weights).evaluate(inception, samples, whole)
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
    quiet: Quiet = False,
) -> None:
    """Write an HTML page about one run, or several."""
    from genwright import api
    from genwright.core import progress

    with progress.showing(quiet):
        written = api.report(runs, output)
    print(f"{written}: written")


def failure(error: BaseException) -> GenwrightError | None:
    """What a person can do about an error that is not the program's fault; None for one that is."""
    if isinstance(error, GenwrightError):
        return error
    if out_of_memory(error):
        first = "lower training.micro_batch first (the result stays; --resume takes it)"
        return GenwrightError(
            "out of memory", f"{first}, then the model's width or depth, or data.context"
        )
    if isinstance(error, OSError):
        what = (
            f"{error.filename}: {error.strerror}"
            if error.filename
            else str(error.strerror or error)
        )
        remedies = {
            errno.ENOSPC: "free some space, then go on with --resume",
            errno.EROFS: "name a folder that can be written",
        }
        remedies |= dict.fromkeys(
            (errno.EACCES, errno.EPERM), "change its permissions, or name another folder"
        )
        return (
            GenwrightError(what, remedies.get(error.errno or 0, "check the path"))
            if error.errno
            else None
        )
    return None


def _usage(error: Any, words: Sequence[str]) -> str:
    """Typer's complaint about the words of a command line, as one sentence with a remedy."""
    from genwright.recipe.mistyped import option_meant

    named = getattr(error, "option_name", ""), getattr(getattr(error, "ctx", None), "info_name", "")
    if remedy := option_meant(*named, words):
        return f"{error.message.rstrip('.')}; {remedy}" + ("" if remedy.endswith("?") else ".")
    text = error.format_message().strip().rstrip(".")
    if near := list(getattr(error, "possibilities", None) or []):
        text = error.message.rstrip(".")
        if get_close_matches(
            error.option_name.strip("-"), [name.strip("-") for name in near], n=1, cutoff=0.65
        ):
            text = f"{text}; {did_you_mean(error.option_name, near)}"
    text = text.replace(". Did you mean", "; did you mean")
    command = getattr(getattr(error, "ctx", None), "command_path", "genwright")
    return text if "did you mean" in text else f"{text}; see `{command} --help`."


def _check_encoding(word: str) -> None:
    """Raises GenwrightError for a word whose bytes are no UTF-8: no recipe, record or page could
    hold it."""
    try:
        word.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(word).decode("utf-8", "backslashreplace")
        remedy = "write it in UTF-8; of a file with such a name, give the folder"
        raise GenwrightError(f"a word of the command line is not UTF-8: {shown}", remedy) from None


def leave(code: int) -> NoReturn:
    """Exits; a rank does so at once: threads of torch's process groups can outlive the interpreter
    and abort its exit."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


class _Notes(logging.Handler):
    """Shows what the library logs as lines on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"note: {record.getMessage()}", file=sys.stderr)


@contextmanager
def _notes_shown() -> Iterator[None]:
    """Inside, what the library logs is shown."""
    log = logging.getLogger("genwright")
    level = log.level
    notes = _Notes()
    log.addHandler(notes)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(notes)
        log.setLevel(level)


def main(words: Sequence[str] | None = None) -> None:
    """Runs a command line and exits. `--debug` may stand anywhere."""
    given = list(sys.argv[1:] if words is None else words)
    debug = "--debug" in given
    try:
        for word in given:
            _check_encoding(word)
        with _notes_shown():
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
        print("interrupted", file=sys.stderr)
        leave(INTERRUPTED)
    except Exception as error:
        if debug:
            raise
        fault = f"{type(error).__name__}: {error}; this is a fault of genwright: run again with --debug, and report what it prints."
        known = _usage(error, given) if hasattr(error, "format_message") else failure(error)
        print("error: " + " ".join(str(known or fault).split()), file=sys.stderr)
        leave(2 if known else 1)
