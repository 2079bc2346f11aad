"""A run, described: the schema of a recipe, its loading with key=value overrides, and what each
setting means.

A recipe is YAML: `data`, `codec`, `model` and `objective` are parts, each validated by the settings
class that its `kind` names in the registry (several networks: `model: {generator: {kind: ...},
discriminator: {kind: ...}}`). What is unknown, mistyped or out of range is refused in one sentence
before any work starts. `dump` writes every setting out; loading that gives an equal recipe.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationInfo,
    model_validator,
)

from genwright.core.brackets import unbalanced
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import CodecSettings, Settings, default_kind, kinds, settings_of
from genwright.data.settings import DataSettings
from genwright.models.settings import NetworkSettings
from genwright.recipe.overrides import override_all, value_at
from genwright.recipe.refusals import dotted_names
from genwright.recipe.settings import settings_from
from genwright.recipe.shipped import values_of
from genwright.recipe.words import Word
from genwright.recipe.yaml_text import write_yaml
from genwright.training.settings import Training, Watching

# what settings of a family derive from
BASES: dict[str, type[Settings]] = {
    "codec": CodecSettings,
    "data": DataSettings,
    "model": NetworkSettings,
}


def build(cls: type[BaseModel], values: Any, where: str) -> Any:
    """An instance of a settings class. Raises GenwrightError that names the dotted setting, `where`
    being the class's own place."""
    return settings_from(cls, values, where, _everywhere)


def _part(family: str, value: Any, where: str) -> Any:
    """The settings of one part, of the class that its kind names."""
    if isinstance(value, Settings):
        return value
    if value is None:
        value = {}
    if isinstance(value, str):  # `codec: bytes` is short for `codec: {kind: bytes}`
        _check_brackets(value, where)
        value = {"kind": value}
    if not isinstance(value, Mapping):
        raise GenwrightError(f"{where} is {value!r}", "write settings as key: value, one a line")
    kind = value["kind"] if "kind" in value else _usual_kind(family, where)
    cls = settings_of(family, kind, f"{where}.kind")
    _check_base(family, cls)
    return build(cls, {**value, "kind": kind}, where)


def _check_brackets(word: str, where: str) -> None:
    """Raises GenwrightError for settings in braces of which one is missing."""
    problem = unbalanced(word)
    if problem:
        raise GenwrightError(f"{where} is {str(word)!r}", problem)


def _check_base(family: str, cls: type[Any]) -> None:
    """Raises GenwrightError for a class of a plug-in that lacks what a run asks of its family."""
    base = BASES.get(family, Settings)
    if not issubclass(cls, base):
        raise GenwrightError(
            f"{cls.__module__}.{cls.__name__} is no {base.__name__}, as settings of {family} are",
            f"derive it from {base.__module__}.{base.__name__}",
        )


def _usual_kinds() -> dict[str, str]:
    """family -> the kind of a part that names none, where the recipe's data do not settle it: of
    data the registered default, of any other part what that usually goes with."""
    data = default_kind("data")
    if data is None:
        return {}
    return {"data": data, **settings_of("data", data).usual}


def _usual_kind(family: str, where: str) -> str:
    """Raises GenwrightError where nothing says it."""
    usual = _usual_kinds()
    if family not in usual:
        known = ", ".join(sorted(kinds(family)))
        raise GenwrightError(f"{where}.kind is not given", f"set it to one of: {known}")
    return usual[family]


def _models(value: Any) -> Any:
    """One network, or several by name: then each of them says its kind, or is just that."""
    if isinstance(value, Mapping) and "kind" not in value:
        value = _with_kinds(value)
    if isinstance(value, Mapping) and value and all(map(_says_kind, value.values())):
        return {str(name): _part("model", part, f"model.{name}") for name, part in value.items()}
    if isinstance(value, Mapping) and "kind" not in value:
        _check_several(value)
    return _part("model", value, "model")


def _with_kinds(value: Mapping[str, Any]) -> Mapping[str, Any]:
    """Networks by name, in which the kind of one may stand for its settings: `generator:
    mlp-generator` is short for `generator: {kind: mlp-generator}`. Settings of a single network are
    given back as they are."""
    if not all(_says_kind(part) or _is_kind(part) for part in value.values()):
        return value
    return {name: {"kind": str(part)} if _is_kind(part) else part for name, part in value.items()}


def _is_kind(part: Any) -> bool:
    """Whether this is the name of a kind of network."""
    return isinstance(part, str) and part in kinds("model")


def _check_several(value: Mapping[str, Any]) -> None:
    """Raises GenwrightError for what is no network among several: a setting of which it is not said
    whose it is, or a network without its kind."""
    networks = {str(name): part for name, part in value.items() if _says_kind(part)}
    if not networks:
        return
    for name, part in value.items():
        if name in networks:
            continue
        if isinstance(part, Mapping):
            known = ", ".join(networks)
            raise GenwrightError(
                f"model.{name}.kind is not given",
                f"the networks of this recipe are {known}; a further one says its kind",
            )
        fit = [network for network, own in networks.items() if name in _fields_of(own)]
        known_kinds = kinds("model")
        if not fit and isinstance(part, str) and get_close_matches(part, known_kinds):
            raise GenwrightError(f"model.{name} is {str(part)!r}", did_you_mean(part, known_kinds))
        remedy = f"none of them has it: {', '.join(networks)}"
        if fit:
            dotted = " or ".join(f"model.{network}.{name}" for network in fit)
            remedy = f"did you mean {dotted}?"
        raise GenwrightError(
            f"model.{name} is not a setting, for this recipe has several networks", remedy
        )


def _fields_of(network: Any) -> Collection[str]:
    """The settings that a network has, of its settings or of nested ones that say its kind."""
    if isinstance(network, Settings):
        return type(network).model_fields
    cls: type[Settings] = settings_of("model", network["kind"], "model.kind")
    return cls.model_fields


def _says_kind(part: Any) -> bool:
    if isinstance(part, Mapping):
        return "kind" in part
    return isinstance(part, Settings)


def _sampling(value: Any, info: ValidationInfo) -> Any:
    """The settings of sampling, of the class that the objective's samples need."""
    objective = info.data.get("objective")
    if objective is None or isinstance(value, Settings):  # the objective was refused already
        return value
    if value is None:
        value = {}
    return build(objective.sampling, value, "sampling")


def _everywhere() -> Iterator[str]:
    yield from dotted_names(Recipe)
    for family, kind in _usual_kinds().items():
        yield from dotted_names(settings_of(family, kind), f"{family}.")


_FOLDER_NAME = re.compile(r"\w[\w .+-]{,99}")


def _folder_name(name: str) -> str:
    if not _FOLDER_NAME.fullmatch(name):
        raise GenwrightError(
            f"name is {name!r}",
            "use letters, digits, spaces and . _ + - only, for it names the run's folder",
        )
    return name


def _named_after(stem: str) -> str:
    """A run's name from its recipe file's: as it is, or with - for what a folder's name should not
    hold."""
    if _FOLDER_NAME.fullmatch(stem):
        return stem
    plain = re.sub(r"[^\w .+-]+", "-", stem).lstrip(" .+-")[:100].rstrip(" .-")
    return re.sub(r"[ -]*-[ -]*", "-", plain) or "recipe"


def _of(family: str) -> BeforeValidator:
    def part(value: Any) -> Any:
        return _part(family, value, family)

    return BeforeValidator(part)


class Recipe(Settings):
    """What a run is. The parts are of the class that their kind names, which is only known once the
    recipe is read."""

    name: Annotated[str, AfterValidator(_folder_name)]
    """What the run is called; the default folder is runs/NAME."""
    description: str = ""
    """One line for `genwright recipes`."""
    seed: int = Field(0, ge=0, lt=2**63)
    """Picks initial weights, the order of the data and everything else that is random."""
    data: Annotated[Any, _of("data")] = Field(None, validate_default=True)
    """What is learned from."""
    codec: Annotated[Any, _of("codec")] = Field(None, validate_default=True)
    """How content becomes tensors."""
    model: Annotated[Any, BeforeValidator(_models)] = Field(None, validate_default=True)
    """The network, or several by name."""
    objective: Annotated[Any, _of("objective")] = Field(None, validate_default=True)
    """What is learned."""
    training: Training = Training()
    """How long, how fast, where, and what is kept."""
    watching: Watching = Watching()
    """What is drawn and measured while a model trains, and what its alarms do."""
    sampling: Annotated[Any, BeforeValidator(_sampling)] = Field(None, validate_default=True)
    """How samples are drawn, unless a command says otherwise."""

    @property
    def networks(self) -> dict[str, Any]:
        """The networks' settings by name; a single one is called `model`."""
        if isinstance(self.model, dict):
            return self.model
        return {"model": self.model}

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, values: Any) -> Any:
        """What the data's kind usually goes with, where a part is left out."""
        if not isinstance(values, Mapping):
            return values
        data = _part("data", values.get("data"), "data")
        filled = dict(values) | {"data": data}
        for name, kind in data.usual.items():
            part = values.get(name)
            if part is None:
                filled[name] = kind
            elif isinstance(part, Mapping) and "kind" not in part and not _holds_parts(part):
                # not several networks, each with its own kind
                filled[name] = {**part, "kind": kind}
        return filled

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        wanted = self.data.content
        if self.codec.content != wanted:
            fit = [kind for kind, known in kinds("codec").items() if known.content == wanted]
            raise GenwrightError(
                f"codec {self.codec.kind} is for {self.codec.content}, "
                f"and data.kind is {self.data.kind}",
                f"choose one of: {', '.join(sorted(fit))}",
            )
        for network in self.networks.values():
            network.check()
        return self

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
        """A shipped recipe by name, or a YAML file (or a run's folder). overrides: dotted setting
        -> value. Raises GenwrightError."""
        values, stem = values_of(name_or_path)
        values.setdefault("name", _named_after(stem))
        return cls.of(override_all(values, overrides or {}))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Recipe:
        """A recipe from nested settings. Raises GenwrightError."""
        return cast(Recipe, build(cls, values, ""))

    def overridden(self, overrides: Mapping[str, Any]) -> Recipe:
        """This recipe with some settings changed, by dotted name. Raises GenwrightError."""
        return Recipe.of(override_all(self.model_dump(), overrides))

    def settled(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """The overrides that made this recipe, each word of a command line replaced by the value
        that it was read as."""
        values = self.model_dump(mode="json", exclude_unset=True)
        settled = {}
        for key, value in overrides.items():
            settled[key] = value_at(values, key) if isinstance(value, Word) else value
        return settled

    def dump(self) -> str:
        """Every setting as YAML; `Recipe.load` of it gives an equal recipe."""
        return write_yaml(self.model_dump(mode="json"))


def _holds_parts(part: Mapping[str, Any]) -> bool:
    """Whether these are several networks by name, of each its settings or its kind."""
    if any(isinstance(inner, Mapping) for inner in part.values()):
        return True
    return bool(part) and all(map(_is_kind, part.values()))
