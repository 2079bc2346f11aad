"""From a recipe to the parts of a run: data, codec, networks, objective; and every setting that was
left open, resolved."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from genwright.core.contracts import Latent, Objective, Space
from genwright.core.draws import key
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import Settings, kinds
from genwright.data.settings import DataSettings
from genwright.recipe.schema import Recipe
from genwright.training.engine import Engine, cores
from genwright.training.settings import Optimizer

# of a run: keys of what is held out, so that its split does not depend on the cache
HELD = "held_out.npy"
NAMED = 3  # things passed over that are named; environment.json lists them all
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
    optimizers = {name: _rates(o, suggested) for name, o in training.optimizers.items()}
    changed = {"optimizer": _rates(training.optimizer, suggested), "optimizers": optimizers}
    training = training.model_copy(
        update={**changed, "batch_size": training.batch_size or suggested["batch_size"]}
    )
    for where, given in (
        ("training.optimizers", training.optimizers),
        ("training.ema_of", training.ema_of),
    ):
        for name in given:
            if name not in parts:
                raise GenwrightError(
                    f"{where} names {name!r}, which is no network of this recipe",
                    did_you_mean(name, parts),
                )
    return recipe.model_copy(update={"model": model, "training": training})


def _rates(optimizer: Optimizer, suggested: Mapping[str, Any]) -> Optimizer:
    """Open learning rates filled in."""
    open_ = {"learning_rate"} if optimizer.learning_rate is None else set()
    open_ |= {"matrix_rate"} - optimizer.model_fields_set
    return optimizer.model_copy(update={name: suggested[name] for name in open_})


def codec_of(recipe: Recipe, folder: Path) -> Any:
    """The codec's settings; of a tokenizer or a VQ run that was given, the run's own copy, so that
    it needs nothing outside."""
    own = folder / "codec" / "tokenizer.json"
    if recipe.codec.kind == "file" and own.is_file():
        return recipe.codec.model_copy(update={"path": str(own)})
    if recipe.codec.kind == "codes" and (folder / "codec" / "codes.json").is_file():
        return recipe.codec.model_copy(update={"run": str(folder / "codec")})
    return recipe.codec


def data_of(recipe: Recipe, folder: Path) -> DataSettings:
    """The data's settings, with what is held out as the run in `folder` has it, if there is one
    that keeps that."""
    data: DataSettings = recipe.data
    begun = (folder / "recipe.yaml").is_file()
    if begun:
        return data.held_as(folder / HELD)
    return data


def left_out(summary: Mapping[str, Any]) -> list[str]:
    """What preparing the data passed over, as sentences for a person."""
    skipped = list(summary.get("skipped", ()))
    rare = summary.get("rare", 0)
    none = summary.get("unlabelled", 0)
    out = []
    if skipped:
        out.append(f"{len(skipped):,} passed over, the first: {'; '.join(skipped[:NAMED])}")
    out += summary.get("remarks", ())
    out += _remark(
        summary.get("empty", {}),
        "1 row holds no text and is no document",
        "{} rows hold no text and are no documents",
    )
    out += _remark(
        summary.get("quoted", {}),
        "1 cell stands in quotes, which .tsv keeps",
        "{} cells stand in quotes, which .tsv keeps",
    )
    if rare:
        out.append(f"attribute values that are too rare to be a condition (data.minimum): {rare:,}")
    if none and summary.get("attributes"):
        out.append(f"examples without an attribute: {none:,}")
    return out


def on_both_sides(dataset: Any) -> list[str]:
    """Copies in the data, what stands both in training and among what is held out, and a share held
    out that is far from what was asked for, as sentences for a person."""
    summary = dataset.summary
    held = dataset.held
    copies = summary.get("copies", 0)
    across = summary.get("copies across the split", 0)
    near = summary.get("near-copies across the split", 0)
    out = []
    if copies:
        out.append(f"copies of an earlier one: {copies:,}")
    if across:
        out.append(f"{across:,} held out equal a training one, for the split is the source's own")
    if near:
        out.append(
            f"{near:,} held out share at least half of their tune with a training piece (near-copies)"
        )
    if held and not held.wanted / 2 <= held.share <= held.wanted * 2:
        out.append(
            f"{held.share:.1%} are held out, for data.held_out = {held.wanted:g} cannot be had from whole documents"
        )
    return out


def timed_parts(recipe: Recipe) -> dict[str, Settings]:
    """The settings that may hold spans of steps or shares of the run, by dotted name."""
    training = recipe.training
    parts: dict[str, Settings] = {
        "training.schedule": training.schedule,
        "training.optimizer": training.optimizer,
        "objective": recipe.objective,
    }
    return parts | {
        f"training.optimizers.{name}": optimizer for name, optimizer in training.optimizers.items()
    }


def _remark(files: Mapping[str, int], one: str, many: str) -> list[str]:
    """What is said of rows. files: how many of each file."""
    if not files:
        return []
    rows = sum(files.values())
    first = next(iter(files))
    where = f"in {first}" if len(files) == 1 else f"in {len(files):,} files, the first: {first}"
    return [f"{one if rows == 1 else many.format(f'{rows:,}')} ({where})"]


def space_of(recipe: Recipe, codec: Any) -> Space:
    """What the networks see: the codec's space, as the data's settings shape it (windows of
    tokens)."""
    data: DataSettings = recipe.data
    return data.space(codec)


def checked(recipe: Recipe, space: Space) -> dict[str, tuple[str, dict[str, Any]]]:
    """What the objective asks of each network: name -> (role, what it is built with). Raises
    GenwrightError where the recipe's networks are others, or cannot play their role."""
    asked = recipe.objective.needs(space)
    parts = recipe.networks
    if set(asked) != set(parts):
        listed = (
            ", ".join(f"model.{name}" for name in asked)
            if set(asked) != {"model"}
            else "a single network under model"
        )
        what = (
            f"objective {recipe.objective.kind} trains {listed}; the recipe has {', '.join(parts)}"
        )
        raise GenwrightError(what, "give each of them its kind")
    for name, (role, _) in asked.items():
        if parts[name].role != role:
            fit = sorted(kind for kind, cls in kinds("model").items() if cls.role == role)
            where = "model" if set(asked) == {"model"} else f"model.{name}"
            what = f"{where}.kind is {parts[name].kind}, which is no {role} network, and objective {recipe.objective.kind} needs one"
            raise GenwrightError(what, f"choose one of: {', '.join(fit)}")
    return asked


def networks(recipe: Recipe, space: Space) -> dict[str, nn.Module]:
    """The networks, initialised from the recipe's seed alone."""
    asked = checked(recipe, space)
    made = {}
    with torch.random.fork_rng():
        for name, part in recipe.networks.items():  # in whatever order: each has a seed of its own
            torch.manual_seed(
                key(recipe.seed, "weights", *([name] if name != "model" else []))
                & 0x7FFFFFFFFFFFFFFF
            )
            made[name] = part.build(space, **asked[name][1])
    return made


def objective(recipe: Recipe, space: Space) -> Objective:
    settings = recipe.objective.in_steps(recipe.training.steps)
    built: Objective = settings.build(networks(recipe, space), space)
    if isinstance(built, Latent):  # samples begin where training did
        built.start = recipe.data.starts()
    return built


def compiled(built: Objective, device: torch.device) -> str:
    """Compiles the networks in place; returns why not, where there is no compiler."""
    if device.type == "cpu" and not (
        shutil.which("g++") or shutil.which("clang++") or shutil.which("cl")
    ):
        return (
            "no C++ compiler was found (g++ or clang++): training goes on without training.compile"
        )
    try:
        torch.compile(lambda x: x * 2 + 1)(torch.ones(8, device=device))
    except Exception as problem:  # whatever a compiler's installation lacks
        return f"compiling does not work here ({str(problem).strip().splitlines()[0][:200]}): training goes on without training.compile"
    for module in built.modules.values():
        module.compile()
    return ""


def environment(
    recipe: Recipe, dataset: Any, engine: Engine, extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Versions, hardware, commit, data: what a reader needs to judge or repeat a run."""
    from importlib.metadata import distributions

    from genwright.core.version import __version__

    named = ("torch", "numpy", "tokenizers", "safetensors", "pyarrow", "pydantic")
    packages = {found.name: found.version for found in distributions() if found.name in named}
    return {
        "genwright": __version__,
        "commit": _commit(),
        "python": sys.version.split()[0],
        "packages": packages,
        "system": platform.platform(),
        "processor": _processor(),
        "cores": cores(),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if engine.device.type == "cuda" else None,
        "processes": engine.size,
        "data": {
            "digest": dataset.digest,
            "shards": dict(dataset.shards),
            "summary": dict(dataset.summary),
        },
        **extra,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.processor()


def _commit() -> str | None:
    """The commit of genwright's own source, where it runs from a checkout."""
    here = Path(__file__).parent
    try:
        out = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (
        out.stdout.strip() if out.returncode == 0 and (here.parents[2] / ".git").exists() else None
    )


def untrained(run: Any, device: torch.device) -> Objective:
    """A run's objective as it was before its first step."""
    fresh = objective(run.recipe, space_of(run.recipe, run.codec))
    for module in fresh.modules.values():
        module.to(device)
    return fresh
