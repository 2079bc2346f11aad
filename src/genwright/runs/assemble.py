"""From a recipe to the parts of a run: data, codec, networks, objective; and every setting that was
left open, resolved."""

import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from genwright.core.content import Opened, OwnMeasure
from genwright.core.contracts import Codec, Latent, Objective, Space, Stream
from genwright.core.dataset import Dataset
from genwright.core.draws import key
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import CodecSettings, Settings, kinds, settings_of
from genwright.data.settings import DataSettings
from genwright.recipe.schema import Recipe
from genwright.runs.trained import TrainedRun
from genwright.training.settings import Optimizer

# of a run: keys of what is held out, so that its split does not depend on the cache
HELD = "held_out.npy"
COMPILERS = ("g++", "clang++", "cl")
LARGEST_SEED = 2**63 - 1  # of torch
FALLBACK = {"batch_size": 32, "learning_rate": 1e-3, "matrix_rate": 0.02}


def resolve(recipe: Recipe, space: Space) -> Recipe:
    """The recipe with every open setting filled in from the data, the model's depth and this
    machine's cores."""
    training = recipe.training
    parts = dict(recipe.networks)
    suggested = dict(FALLBACK)
    for name, (_, needs) in checked(recipe, space).items():
        parts[name] = parts[name].resolve(space, **needs)
        suggested |= parts[name].suggestion(space)
    model = parts if isinstance(recipe.model, dict) else parts["model"]
    optimizers = {}
    for name, optimizer in training.optimizers.items():
        optimizers[name] = _with_rates(optimizer, suggested)
    resolved = {
        "optimizer": _with_rates(training.optimizer, suggested),
        "optimizers": optimizers,
        "batch_size": training.batch_size or suggested["batch_size"],
    }
    _check_named("training.optimizers", training.optimizers, parts)
    _check_named("training.ema_of", training.ema_of, parts)
    return recipe.model_copy(
        update={"model": model, "training": training.model_copy(update=resolved)}
    )


def _check_named(where: str, names: Iterable[str], networks: Collection[str]) -> None:
    """Raises GenwrightError where a setting names a network that the recipe has not."""
    for name in names:
        if name not in networks:
            raise GenwrightError(
                f"{where} names {name!r}, which is no network of this recipe",
                did_you_mean(name, networks),
            )


def _with_rates(optimizer: Optimizer, suggested: Mapping[str, Any]) -> Optimizer:
    """Open learning rates filled in."""
    rates = {}
    if optimizer.learning_rate is None:
        rates["learning_rate"] = suggested["learning_rate"]
    if "matrix_rate" not in optimizer.model_fields_set:
        rates["matrix_rate"] = suggested["matrix_rate"]
    return optimizer.model_copy(update=rates)


def codec_of(recipe: Recipe, folder: Path) -> CodecSettings:
    """The codec's settings; what they name outside is read from the run's own copy, if there is
    one, so that the run needs nothing outside."""
    codec: CodecSettings = recipe.codec
    return codec.kept_in(folder / "codec")


def data_of(recipe: Recipe, folder: Path) -> DataSettings:
    """The data's settings, with what is held out as the run in `folder` has it, if there is one
    that keeps that."""
    data: DataSettings = recipe.data
    begun = (folder / "recipe.yaml").is_file()
    if begun:
        return data.held_as(folder / HELD)
    return data


def timed_parts(recipe: Recipe) -> dict[str, Settings]:
    """The settings that may hold spans of steps or shares of the run, by dotted name."""
    training = recipe.training
    parts: dict[str, Settings] = {
        "training.schedule": training.schedule,
        "training.optimizer": training.optimizer,
        "objective": recipe.objective,
    }
    for name, optimizer in training.optimizers.items():
        parts[f"training.optimizers.{name}"] = optimizer
    return parts


def space_of(recipe: Recipe, codec: Codec) -> Space:
    """What the networks see: the codec's space, as the data's settings shape it (windows of
    tokens)."""
    data: DataSettings = recipe.data
    return data.space(codec)


def checked(recipe: Recipe, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
    """What the objective asks of each network: name -> (role, what it is built with). Raises
    GenwrightError where the recipe's networks are others, or cannot play their role."""
    asked: dict[str, tuple[str, dict[str, Any]]] = recipe.objective.needs(space)
    kind = recipe.objective.kind
    parts = recipe.networks
    single = set(asked) == {"model"}
    if set(asked) != set(parts):
        listed = ", ".join(f"model.{name}" for name in asked)
        if single:
            listed = "a single network under model"
        raise GenwrightError(
            f"objective {kind} trains {listed}; the recipe has {', '.join(parts)}",
            "give each of them its kind",
        )
    for name, (role, _) in asked.items():
        if parts[name].role != role:
            fit = sorted(known for known, cls in kinds("model").items() if cls.role == role)
            where = "model" if single else f"model.{name}"
            raise GenwrightError(
                f"{where}.kind is {parts[name].kind}, which is no {role} network,"
                f" and objective {kind} needs one",
                f"choose one of: {', '.join(fit)}",
            )
    return asked


def networks(recipe: Recipe, space: Space) -> dict[str, nn.Module]:
    """The networks, initialised from the recipe's seed alone."""
    asked = checked(recipe, space)
    built = {}
    with torch.random.fork_rng():
        for name, part in recipe.networks.items():  # in whatever order: each has a seed of its own
            named = [] if name == "model" else [name]  # a single network has no name
            torch.manual_seed(key(recipe.seed, "weights", *named) & LARGEST_SEED)
            _, needs = asked[name]
            built[name] = part.build(space, **needs)
    return built


def objective(recipe: Recipe, space: Space) -> Objective:
    """What is learned, with its networks, as it is before the first step."""
    settings = recipe.objective.in_steps(recipe.training.steps)
    built: Objective = settings.build(networks(recipe, space), space)
    if isinstance(built, Latent):  # samples begin where training did
        built.start = recipe.data.starts()
    return built


def stream(
    recipe: Recipe,
    built: Objective,
    dataset: Dataset,
    name: str,
    measures: Sequence[OwnMeasure] = (),
) -> Stream:
    """What the objective learns from: examples of the data, or a stream of its own, such as what
    the model writes. name: of the run. measures: of a person's own, which such a stream may use.
    Raises GenwrightError."""
    kind = recipe.objective.streams
    if not kind:
        size = recipe.training.batch_size
        assert size  # of a recipe that is resolved
        return dataset.stream(size, recipe.seed, lookahead=recipe.objective.lookahead)

    def the_dataset() -> Dataset:
        return dataset

    opened = Opened(built, dataset.codec, recipe.sampling, the_dataset, name)
    made: Stream = settings_of("stream", kind)(recipe, opened, measures=measures)
    return made


def compiled(built: Objective, device: torch.device) -> str:
    """Compiles the networks in place; returns why not, where there is no compiler."""
    goes_on = "training goes on without training.compile"
    if device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
        return f"no C++ compiler was found (g++ or clang++): {goes_on}"
    try:
        torch.compile(_doubled)(torch.ones(8, device=device))
    except Exception as problem:  # whatever a compiler's installation lacks
        why = str(problem).strip().splitlines()[0][:200]
        return f"compiling does not work here ({why}): {goes_on}"
    for module in built.modules.values():
        module.compile()
    return ""


def _doubled(x: Tensor) -> Tensor:
    """Something to compile."""
    return x * 2 + 1


def untrained(run: TrainedRun, device: torch.device) -> Objective:
    """A run's objective as it was before its first step."""
    fresh = objective(run.recipe, space_of(run.recipe, run.codec))
    for module in fresh.modules.values():
        module.to(device)
    return fresh
