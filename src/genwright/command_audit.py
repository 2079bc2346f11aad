"""The commands of audits: which groups are in data, which a model makes, what a mitigation
changed."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from genwright.command_arguments import Overrides, Quiet, RecipeName, RunFolder, Step, Which
from genwright.command_process import quick_imports

audit_app = typer.Typer(
    short_help="Which groups are in data, and which a model makes.",
    help="`audit data` the groups of a recipe's data; `audit run` those that its model makes;"
    " `audit compare` two runs, before and after a mitigation (data.balance, data.swap);"
    " `audit pairs` and `audit gaps` language models on pairs of sentences.",
    rich_markup_mode=None,
)
Groups = Annotated[
    str,
    typer.Option(
        metavar="NAME,NAME",
        help="Attributes of the data, measures that give labels, or FILE.csv: words with their"
        " groups. Default: all attributes.",
    ),
]
Target = Annotated[
    str | None,
    typer.Option(
        metavar="TARGET",
        help="uniform, data (of a run), gender=woman:0.5|man:0.5, or a YAML file.",
    ),
]
Output = Annotated[Path | None, typer.Option(metavar="FILE.html", help="Where the page goes.")]


@audit_app.command("data")
def audit_data(
    recipe: RecipeName,
    overrides: Overrides = None,
    groups: Groups = "",
    target: Target = None,
    held_out: Annotated[
        bool, typer.Option("--held-out", help="Of the held-out split, not of training data.")
    ] = False,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """Groups and their combinations in a recipe's data, and how far they are from a target."""
    with quick_imports():
        from genwright import api_audit
    from genwright.core import progress
    from genwright.recipe.overrides import parse_overrides

    changes = parse_overrides(overrides or [])
    split = "held_out" if held_out else "train"
    with progress.showing(quiet):
        found, page = api_audit.audit_of_data(
            recipe, groups=groups, target=target, split=split, output=output, **changes
        )
    print(api_audit.in_words(found))
    print(f"{page}: written, and the shares in {api_audit.shares_beside(page).name}")


@audit_app.command("run")
def audit_run(
    run: RunFolder,
    groups: Groups = "",
    target: Target = None,
    n: Annotated[
        int | None, typer.Option("-n", "--samples", min=1, help="Samples to draw. Default: 1000.")
    ] = None,
    conditions: Annotated[
        int | None,
        typer.Option(
            min=0, help="Samples of each group that the model can be asked for. Default: 32."
        ),
    ] = None,
    prompt: Annotated[
        list[str] | None,
        typer.Option(metavar="TEXT", help="What texts begin with; may be given again."),
    ] = None,
    evenly: Annotated[
        str,
        typer.Option(
            metavar="A,C",
            help="Ask for the values of these attributes in turn: what a mitigation by asking"
            " comes to.",
        ),
    ] = "",
    step: Step = None,
    weights: Which = None,
    output: Output = None,
    quiet: Quiet = False,
) -> None:
    """The groups that a run's model makes and finds likely, beside those of its data."""
    with quick_imports():
        from genwright import api_audit
    from genwright.core import progress

    with progress.showing(quiet):
        found, page = api_audit.audit_of_run(
            run,
            groups=groups,
            target=target,
            n=n,
            conditions=conditions,
            prompt=prompt or (),
            evenly=evenly,
            step=step,
            weights=None if weights is None else weights.value,
            output=output,
        )
    print(api_audit.in_words(found))
    print(f"{page}: written, and the shares in {api_audit.shares_beside(page).name}")


@audit_app.command("compare")
def audit_compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE", help="A run that was audited.")],
    after: Annotated[Path, typer.Argument(metavar="AFTER", help="Another one.")],
    evenly: Annotated[
        bool,
        typer.Option(
            "--evenly", help="Of AFTER its audit with --evenly; it may be the run BEFORE, too."
        ),
    ] = False,
    output: Output = None,
) -> None:
    """What a mitigation changed, with intervals, and its price."""
    with quick_imports():
        from genwright import api_audit

    found, page = api_audit.audit_compare(before, after, evenly=evenly, output=output)
    print(api_audit.in_words(found))
    print(f"{page}: written")


class PairKind(StrEnum):
    """The choices of --kind."""

    crows = "crows-pairs"
    winobias = "winobias"


@audit_app.command("pairs")
def audit_pairs(
    model: Annotated[Path, typer.Argument(metavar="RUN", help="A run, or a Hugging Face folder.")],
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="CrowS-Pairs (csv) or WinoBias (txt).")
    ],
    kind: Annotated[
        PairKind | None, typer.Option(help="What the file is. Default: by its name.")
    ] = None,
    step: Step = None,
    weights: Which = None,
    quiet: Quiet = False,
) -> None:
    """How often a language model finds the more stereotyping sentence of a pair likelier."""
    with quick_imports():
        from genwright import api_audit
    from genwright.core import progress

    with progress.showing(quiet):
        found = api_audit.audit_pairs(
            model,
            file,
            kind=None if kind is None else kind.value,
            step=step,
            weights=None if weights is None else weights.value,
        )
    print(found)
    page = api_audit.page_of_pairs(model)
    if page is not None:
        print(f"{page}: written, and the figures kept in {page.parent / 'audits'}")


@audit_app.command("gaps")
def audit_gaps(
    run: RunFolder,
    swaps: Annotated[
        Path, typer.Argument(metavar="SWAPS.csv", help="Pairs of words, for example he,she.")
    ],
    n: Annotated[
        int | None, typer.Option("-n", "--documents", min=1, help="At most. Default: 500.")
    ] = None,
    step: Step = None,
    weights: Which = None,
    quiet: Quiet = False,
) -> None:
    """How much likelier a run finds held-out documents than their twins with swapped words."""
    with quick_imports():
        from genwright import api_audit
    from genwright.core import progress

    with progress.showing(quiet):
        found = api_audit.audit_gaps(
            run, swaps, n=n, step=step, weights=None if weights is None else weights.value
        )
    print(found)
    page = api_audit.page_of_pairs(run)
    if page is not None:
        print(f"{page}: written, and the figures kept in {page.parent / 'audits'}")
