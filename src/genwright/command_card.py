"""The command that writes the cards of a run or of a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from genwright.command_arguments import Quiet
from genwright.command_process import quick_imports

Answered = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="card.KEY=TEXT", help='What only you know, for example card.contact="me@here.org".'
    ),
]


def card(
    run: Annotated[Path, typer.Argument(metavar="RUN|CORPUS", help="A run's folder, or a corpus.")],
    answers: Answered = None,
    about: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Such answers in a YAML file.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to write. Default: RUN/card, or CORPUS."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a model card and a data card from what was measured."""
    with quick_imports():
        from genwright import api_card
    from genwright.core import progress
    from genwright.recipe.overrides import parse_overrides

    given = parse_overrides(answers or [])
    with progress.showing(quiet):
        written = api_card.card(run, about=about, output=output, **given)
    print(written)
