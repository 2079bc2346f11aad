"""A run that is taken up again: what its recipe may change, and what it must not."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError
from genwright.recipe.overrides import override
from genwright.recipe.schema import Recipe
from genwright.runs import assemble
from genwright.runs.request import Request
from genwright.training import checkpoint

# settings, and groups of settings, that a resumed run may change
CHANGEABLE = (
    "training.steps",
    "training.micro_batch",
    "training.evaluate_every",
    "training.checkpoint_every",
    "training.keep",
    "training.sinks",
    "training.threads",
    "name",
    "description",
    "sampling",
    "watching",
    "data.workers",
    "data.cache",
)
WHOLE = ("watching.groups",)  # settings that are one value, whose names a person chose
SHOWN = 3  # settings that a message names


def taken_up(request: Request, environment: Mapping[str, Any]) -> tuple[Recipe, list[str]]:
    """The recipe with which a run goes on, and what a person should know of it. environment: as
    it was written when the run was started. Raises GenwrightError where the run is another one, or
    is further already than it shall go."""
    recipe = request.recipe
    saved = Recipe.load(request.folder / "recipe.yaml")
    if "from" in environment:  # the model and the codec came with the weights
        recipe = recipe.model_copy(update={"model": saved.model, "codec": saved.codec})
    recipe = as_long(recipe, saved, request.named, environment.get("minutes", {}))
    recipe, remarks = resumed_recipe(recipe, saved, request.named)
    _check_reached(recipe, request)
    return recipe, remarks


def _check_reached(recipe: Recipe, request: Request) -> None:
    reached = checkpoint.reached(request.folder / "checkpoints")
    last = min(recipe.training.steps, request.until or reached)
    if last < reached:
        raise GenwrightError(
            f"the run is at step {reached} already",
            "give training.steps and --until at least that, or start another run",
        )


def as_long(
    asked: Recipe, saved: Recipe, named: Collection[str], decided: Mapping[str, Any]
) -> Recipe:
    """The asked recipe with the steps that the run has or shall have from now on. Of a run whose
    steps were decided by `training.minutes` they stay, unless a person names others now, or no
    minutes any more. decided: what `minutes.Fit` has kept of that; empty where nothing was decided.
    Raises GenwrightError for other minutes that are named now."""
    minutes = asked.training.minutes
    if minutes is None:
        return asked
    steps = asked.training.steps
    if "training.minutes" in named and minutes != decided.get("minutes"):
        raise GenwrightError(
            f"training.minutes counts when a run starts, and this one has"
            f" {saved.training.steps:,} steps",
            "name training.steps to make them more, or start another run with --run",
        )
    if decided and "training.steps" not in named:
        steps = saved.training.steps
    training = asked.training.model_copy(update={"steps": steps, "minutes": None})
    return asked.model_copy(update={"training": training})


def first_weights(folder: Path, environment: Mapping[str, Any]) -> str | None:
    """Where the first weights of a run are, if it starts from some and has no checkpoint yet."""
    if "from" not in environment or checkpoint.steps(folder / "checkpoints"):
        return None
    return str(environment["from"]["source"])


def resumed_recipe(
    asked: Recipe, saved: Recipe, named: Collection[str]
) -> tuple[Recipe, list[str]]:
    """The saved recipe, with what a resumed run may change taken from the asked one, and remarks
    for a person. named: dotted settings that the person names now. Raises GenwrightError for
    anything else that differs.

    Warm-ups that recipes used to give in steps, and now give as shares of a run, stay as the run
    was started."""
    here = _flat(asked.model_dump(mode="json"))
    there = _flat(saved.model_dump(mode="json"))
    spans = _spans(asked)
    changed = []
    remarks = []
    for name in _differing(asked, here, there, named):
        if name in spans and name not in named and 0 < here[name] < 1 <= there.get(name, 0):
            remarks.append(f"{name} stays {there[name]:g} steps, as the run was started")
        else:
            changed.append(name)
    if changed:
        listed = []
        for name in changed[:SHOWN]:
            listed.append(f"{name} is {here[name]!r} here and {there.get(name)!r} there")
        raise GenwrightError(
            f"the run was started with another recipe: {', '.join(listed)}",
            "resume with the recipe it was started with, or start another run with --run",
        )
    values = saved.model_dump(mode="json")
    for name, value in here.items():
        if may_change(name) and value is not None:
            override(values, name, value)
    return Recipe.of(values), remarks


def may_change(name: str) -> bool:
    """Whether a dotted setting, or a group that it is in, is one that a resumed run may change."""
    groups = name.split(".")
    return any(".".join(groups[:depth]) in CHANGEABLE for depth in range(1, len(groups) + 1))


def _differing(
    asked: Recipe,
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    named: Collection[str],
) -> list[str]:
    """Dotted settings that must be the same, and are not. Where the asked recipe leaves one open
    it was resolved when the run was started: that is no difference."""
    rate = "training.optimizer.matrix_rate"
    rate_is_open = "matrix_rate" not in asked.training.optimizer.model_fields_set
    differing = []
    for name, value in here.items():
        if may_change(name) or (name == rate and rate_is_open):
            continue
        is_open = value in (None, "auto") and name not in named
        if value != there.get(name) and not is_open:
            differing.append(name)
    return differing


def _spans(recipe: Recipe) -> set[str]:
    """Dotted settings that are a number of steps or a share of the run."""
    names = set()
    for place, settings in assemble.timed_parts(recipe).items():
        for name in (*settings.spans, *settings.warmups):
            names.add(f"{place}.{name}")
    return names


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by dotted name; an empty group is a value."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        is_group = isinstance(value, Mapping) and value and prefix + name not in WHOLE
        if is_group:
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
