"""The commands of rewards: what can be rewarded, a check before anything is learned, and what has
been learned beside what could have been done instead."""

from typing import Annotated

import typer

from genwright.command_arguments import Overrides, Quiet, RecipeName, Rewards, RunFolder
from genwright.command_process import quick_imports

reward_app = typer.Typer(
    short_help="What can be rewarded, and what a reward has done.",
    help="`reward list` what can be rewarded; `reward check` a reward before it is learned from;"
    " `reward frontier` a run that learned, beside what could have been done instead.",
    rich_markup_mode=None,
)


@reward_app.command("list")
def reward_list(
    of: Annotated[
        str,
        typer.Argument(metavar="CONTENT|RUN", help="For example text, music, or a run's folder."),
    ],
) -> None:
    """The measures that a recipe can name as rewards."""
    with quick_imports():
        from genwright import api

    print(api.reward_list(of))


@reward_app.command("check")
def reward_check(
    run: RunFolder,
    recipe: RecipeName,
    overrides: Overrides = None,
    reward: Rewards = None,
    n: Annotated[
        int | None, typer.Option("-n", "--samples", min=1, help="Samples to draw. Default: 64.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Each reward of a recipe on real data, on a run's model, on noise; nothing is learned."""
    with quick_imports():
        from genwright import api
    from genwright.core import progress
    from genwright.recipe.overrides import parse_overrides

    changes = parse_overrides(overrides or [])
    with progress.showing(quiet):
        found = api.reward_check(run, recipe, reward=reward or (), n=n, **changes)
    print(found)


@reward_app.command("frontier")
def reward_frontier(
    run: RunFolder,
    kl: Annotated[
        list[float] | None,
        typer.Option(
            metavar="WEIGHT",
            min=0,
            help="Train with this objective.kl too; may be given again. Default: 0, 0.01, 0.1.",
        ),
    ] = None,
    best_of: Annotated[
        list[int] | None,
        typer.Option(
            metavar="N",
            min=2,
            help="Keep the best of N samples; may be given again. Default: 2, 4, 8, 16.",
        ),
    ] = None,
    n: Annotated[
        int | None,
        typer.Option("-n", "--samples", min=1, help="Samples of each model. Default: 256."),
    ] = None,
    reward: Rewards = None,
    train: Annotated[
        bool, typer.Option(help="Train the runs that a rewarded one is compared with.")
    ] = True,
    quiet: Quiet = False,
) -> None:
    """A run that learned from rewards beside its alternatives: reward, and way from before."""
    with quick_imports():
        from genwright import api

    found = api.reward_frontier(
        run, kl=kl, best_of=best_of, n=n, reward=reward or (), train=train, quiet=quiet
    )
    print(found)
