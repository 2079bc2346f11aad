"""Weights that a run starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from genwright.core.errors import GenwrightError
from genwright.models import hf
from genwright.recipe.schema import Recipe
from genwright.runs.run import load


def from_weights(
    source: str, recipe: Recipe
) -> tuple[Recipe, dict[str, dict[str, torch.Tensor]], str]:
    """Weights to start from: a run's folder or a Hugging Face folder. Returns the recipe with that
    model and tokenizer, the weights by module, and what they were."""
    folder = Path(source)
    if (folder / "recipe.yaml").is_file():
        run = load(folder)
        weights = {
            name: {n: t.detach().clone() for n, t in tensors.items()}
            for name, tensors in run.tensors().items()
        }
        changed = {"model": run.recipe.model}
        codec_file = folder / "codec" / "tokenizer.json"
        what = f"run {folder}, step {run.step}"
    elif (folder / "config.json").is_file():
        settings, tensors = hf.load(folder)
        weights = {"model": tensors}
        changed = {"model": settings}
        codec_file = folder / "tokenizer.json"
        what = f"Hugging Face folder {folder}"
    else:
        raise GenwrightError(
            f"--from {source} is neither a run nor a Hugging Face folder",
            "give a folder with recipe.yaml or config.json",
        )
    trained = changed["model"]
    wanted_causal = getattr(recipe.objective, "causal", None)
    if (
        getattr(trained, "causal", None) is not None
        and wanted_causal is not None
        and trained.causal != wanted_causal
    ):
        kind, wanted = ("causal", "masked") if trained.causal else ("masked", "causal")
        what = f"--from {source} is a {kind} model, and this recipe trains a {wanted} one"
        raise GenwrightError(what, f"set objective={kind}, or start from a {wanted} model")
    if codec_file.is_file():
        changed["codec"] = recipe.of(
            {**recipe.model_dump(), "codec": {"kind": "file", "path": str(codec_file.resolve())}}
        ).codec
    return recipe.model_copy(update=changed), weights, what
