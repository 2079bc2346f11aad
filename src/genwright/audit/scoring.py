"""What says how likely texts are: a run, or a Hugging Face folder."""

from __future__ import annotations

from pathlib import Path

from genwright.core.errors import GenwrightError
from genwright.core.likelihoods import Scoring, TextScorer
from genwright.core.registry import kinds
from genwright.runs.run import Run, load


def is_run(source: str | Path) -> bool:
    """Whether a folder is that of a run."""
    return (Path(source) / "recipe.yaml").is_file()


def scorer_of(
    source: str | Path, step: int | None = None, weights: str | None = None
) -> TextScorer:
    """Of a run's folder (step, weights: as of `runs.run.load`) or a Hugging Face folder. Raises
    GenwrightError for what is neither, and for a model that gives no likelihood of a text."""
    folder = Path(source)
    if is_run(folder):
        run = load(folder, step, weights)
        return scoring_of(run).scorer(run)
    if not (folder / "config.json").is_file():
        raise GenwrightError(
            f"{source} is neither a run nor a Hugging Face folder",
            "give a folder with recipe.yaml or config.json",
        )
    for content in kinds("content").values():
        if isinstance(content, Scoring):
            return content.scorer_of_weights(folder)
    raise GenwrightError(
        f"no kind of content here measures texts under {source}", "install the whole program"
    )


def scoring_of(run: Run) -> Scoring:
    """The kind of content of a run, where its models give likelihoods of texts. Raises
    GenwrightError for others (a GAN gives none)."""
    if isinstance(run.kind, Scoring):
        return run.kind
    raise GenwrightError(
        f"the run {run.folder} makes {run.content} with the objective"
        f" {run.recipe.objective.kind}, which gives no likelihood of a text",
        "name a run that learned text with objective.kind=causal or masked",
    )
