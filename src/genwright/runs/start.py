"""Weights that a run starts from."""

from __future__ import annotations

from pathlib import Path

import torch

from genwright.core.contracts import Codec
from genwright.core.errors import GenwrightError
from genwright.core.registry import CodecSettings, Settings, kinds
from genwright.models import hf
from genwright.recipe.schema import Recipe
from genwright.runs.run import load

Weights = dict[str, dict[str, torch.Tensor]]  # by module, then by name


def from_weights(source: str, recipe: Recipe) -> tuple[Recipe, Weights, str]:
    """Weights to start from: a run's folder or a Hugging Face folder. Returns the recipe with that
    model and codec, the weights, and what they were. Raises GenwrightError."""
    folder = Path(source)
    weights: Weights = {}
    learned = None
    if (folder / "recipe.yaml").is_file():
        run = load(folder)
        for name, tensors in run.tensors().items():
            weights[name] = {part: tensor.detach().clone() for part, tensor in tensors.items()}
        model = run.recipe.model
        learned = run.recipe.codec
        _check_content(source, learned.content, recipe.data.content)
        codec_folder = folder / "codec"
        what = f"run {folder}, step {run.step}"
    elif (folder / "config.json").is_file():
        model, weights["model"] = hf.load(folder)
        codec_folder = folder
        what = f"Hugging Face folder {folder}"
    else:
        raise GenwrightError(
            f"--from {source} is neither a run nor a Hugging Face folder",
            "give a folder with recipe.yaml or config.json",
        )
    _check_direction(source, model, recipe.objective)
    codec = _codec_found(source, recipe, codec_folder, learned)
    return recipe.model_copy(update={"model": model, "codec": codec}), weights, what


def _check_content(source: str, made: str, wanted: str) -> None:
    """Raises GenwrightError for a run of another kind of content than the recipe's."""
    if made and wanted and made != wanted:
        raise GenwrightError(
            f"--from {source} makes {made}, and this recipe {wanted}",
            f"start from a run that makes {wanted}",
        )


def _check_direction(source: str, model: Settings, objective: Settings) -> None:
    """Raises GenwrightError for a sequence model that sees both sides of a token, where the
    objective needs one that sees what stands before, and the other way round."""
    is_causal = getattr(model, "causal", None)
    needs_causal = getattr(objective, "causal", None)
    if is_causal is None or needs_causal is None or is_causal == needs_causal:
        return
    kind = "causal" if is_causal else "masked"
    wanted = "causal" if needs_causal else "masked"
    remedy = f"start from a {wanted} model"
    if not objective.begins:
        remedy = f"set objective={kind}, or {remedy}"
    raise GenwrightError(
        f"--from {source} is a {kind} model, and this recipe trains a {wanted} one", remedy
    )


def check_codec(source: str, codec: Codec) -> None:
    """Raises GenwrightError where the tokens of a run that weights are from mean something else
    than those of this codec, be there as many or not."""
    folder = Path(source)
    if not (folder / "recipe.yaml").is_file():
        return
    there: Codec = load(folder).codec
    if not there.space.vocabulary or there.digest == codec.digest:
        return
    raise GenwrightError(
        f"{source} knows {there.space.vocabulary:,} tokens that mean something else than the"
        f" {codec.space.vocabulary:,} of this recipe's codec and data",
        "take a recipe with the codec and the data of that run, or another run",
    )


def _codec_found(
    source: str, recipe: Recipe, folder: Path, learned: CodecSettings | None
) -> CodecSettings:
    """The settings of the codec with which a model learned, where the folder has what they need:
    one file that comes with weights, or a copy of something outside of the run; else the recipe's
    own. source: as a person named it; learned: settings of the run that the weights are of. Raises
    GenwrightError where the file is of another kind of content than the recipe's."""
    for kind, settings in kinds("codec").items():
        if not issubclass(settings, CodecSettings):  # of a plug-in that this recipe may not use
            continue
        file = folder / settings.file_of_weights
        if settings.file_of_weights and file.is_file():
            _check_content(source, settings.content, recipe.data.content)
            values = recipe.model_dump()
            values["codec"] = {"kind": kind, "path": str(file.resolve())}
            with_codec = recipe.of(values)
            return _settings(with_codec)
    if isinstance(learned, type(recipe.codec)) and isinstance(learned, CodecSettings):
        kept = learned.kept_in(folder.resolve())
        if kept is not learned:
            return kept
    return _settings(recipe)


def _settings(recipe: Recipe) -> CodecSettings:
    """Of the codec of a recipe."""
    found: CodecSettings = recipe.codec
    return found
