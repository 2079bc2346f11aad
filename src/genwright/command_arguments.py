"""Arguments and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Weights(StrEnum):
    """The choices of --weights: a running average over the steps, or the weights of the last
    one."""

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
Rewards = Annotated[
    list[str] | None,
    typer.Option(
        "--reward",
        metavar="FILE:NAME",
        help="Reward by a function of your own too; the file is run.",
    ),
]
RunFolder = Annotated[
    Path, typer.Argument(metavar="RUN", help="A run's folder, for example runs/code.")
]
Step = Annotated[int | None, typer.Option(help="Checkpoint to use. Default: the newest whole one.")]
Which = Annotated[
    Weights | None, typer.Option(help="Which weights. Default: ema where there is one.")
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="No progress display and no notes, but warnings.")
]
