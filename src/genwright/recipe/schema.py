"""A run, described: the schema of a recipe, its loading with key=value overrides, and what each
setting means.

A recipe is YAML: `data`, `codec`, `model` and `objective` are parts, each validated by the settings
class that its `kind` names in the registry (several networks: `model: {generator: {kind: ...},
discriminator: {kind: ...}}`). What is unknown, mistyped or out of range is refused in one sentence
before any work starts. `dump` writes every setting out; loading that gives an equal recipe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, NamedTuple

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import Settings, default_kind, kinds, settings_of
from genwright.recipe.refusals import dotted_names, refusal
from genwright.recipe.words import Word, opened, read_words
from genwright.recipe.yaml_text import read_yaml, write_yaml
from genwright.training.settings import Training, Watching


def build(cls: type[BaseModel], values: Any, where: str) -> Any:
    """An instance of a settings class. Raises GenwrightError that names the dotted setting, `where`
    being the class's own place."""
    if not isinstance(values, Mapping):
        raise GenwrightError(
            f"{where or 'the recipe'} is {values!r}", "write settings as key: value, one a line"
        )
    try:
        return cls.model_validate(read_words(cls, values, where))
    except ValidationError as error:
        raise refusal(cls, error, where, _everywhere) from None


def _part(family: str, value: Any, where: str) -> Any:
    """The settings of one part, of the class that its kind names."""
    if isinstance(value, Settings):
        return value
    if value is None:
        value = {}
    if isinstance(value, str):  # `codec: bytes` is short for `codec: {kind: bytes}`
        value = {"kind": value}
    if not isinstance(value, Mapping):
        raise GenwrightError(f"{where} is {value!r}", "write settings as key: value, one a line")
    kind = value["kind"] if "kind" in value else _usual_kind(family, where)
    return build(settings_of(family, kind, f"{where}.kind"), {**value, "kind": kind}, where)


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
    """One network, or several by name: then each of them says its kind."""
    parts = value if isinstance(value, Mapping) else {}
    if parts and all(
        isinstance(part, Settings) or isinstance(part, Mapping) and "kind" in part
        for part in parts.values()
    ):
        return {str(name): _part("model", part, f"model.{name}") for name, part in parts.items()}
    return _part("model", value, "model")


def _sampling(value: Any, info: ValidationInfo) -> Any:
    """The settings of sampling, of the class that the objective's samples need."""
    objective = info.data.get("objective")
    if objective is None or isinstance(value, Settings):  # the objective was refused already
        return value
    return build(objective.sampling, {} if value is None else value, "sampling")


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
    plain = re.sub(r"[^\w .+-]+", "-", stem).lstrip(" .+-")[:100].rstrip(" .-")
    return stem if _FOLDER_NAME.fullmatch(stem) else re.sub(r"[ -]*-[ -]*", "-", plain) or "recipe"


def _of(family: str) -> BeforeValidator:
    return BeforeValidator(lambda value: _part(family, value, family))


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
        return self.model if isinstance(self.model, dict) else {"model": self.model}

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
            elif (
                isinstance(part, Mapping)
                and "kind" not in part
                and not any(isinstance(inner, Mapping) for inner in part.values())
            ):
                # not several networks, each with its own kind
                filled[name] = {**part, "kind": kind}
        return filled

    @model_validator(mode="after")
    def _fits(self) -> Recipe:
        if self.codec.content != self.data.content:
            fit = sorted(
                kind for kind, known in kinds("codec").items() if known.content == self.data.content
            )
            what = f"codec {self.codec.kind} is for {self.codec.content}, and data.kind is {self.data.kind}"
            raise GenwrightError(what, f"choose one of: {', '.join(fit)}")
        return self

    @classmethod
    def load(cls, name_or_path: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
        """A shipped recipe by name, or a YAML file (or a run's folder). overrides: dotted setting
        -> value. Raises GenwrightError."""
        values, stem = _values(name_or_path)
        values.setdefault("name", _named_after(stem))
        return cls.of(_changed(values, overrides or {}))

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Recipe:
        """A recipe from nested settings. Raises GenwrightError."""
        return build(cls, values, "")

    def overridden(self, overrides: Mapping[str, Any]) -> Recipe:
        """This recipe with some settings changed, by dotted name. Raises GenwrightError."""
        return Recipe.of(_changed(self.model_dump(), overrides))

    def settled(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """The overrides that made this recipe, each word of a command line replaced by the value
        that it was read as."""
        values = self.model_dump(mode="json", exclude_unset=True)
        return {
            key: _at(values, key) if isinstance(value, Word) else value
            for key, value in overrides.items()
        }

    def dump(self) -> str:
        """Every setting as YAML; `Recipe.load` of it gives an equal recipe."""
        return write_yaml(self.model_dump(mode="json"))


def _at(values: Any, key: str) -> Any:
    """What stands at a dotted key of nested settings."""
    for name in key.split("."):
        values = values[name]
    return values


def _changed(values: dict[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in overrides.items():
        override(values, key, value)
    if "data.path" in overrides and "data.source" not in overrides:
        # a person's own files, whatever the recipe usually learns from
        values["data"].pop("source", None)
    return values


def _values(name_or_path: str | Path) -> tuple[dict[str, Any], str]:
    """The raw settings of a shipped recipe or a file, and the name it has unless it says
    otherwise."""
    text = str(name_or_path)
    path = Path(name_or_path)
    shipped_file = resources.files("genwright") / "recipes" / f"{text}.yaml"
    if (
        isinstance(name_or_path, str)
        and text.isidentifier() | text.replace("-", "_").isidentifier()
        and shipped_file.is_file()
    ):
        return read_yaml(shipped_file.read_text(encoding="utf-8"), text), text
    if path.is_dir() and (path / "recipe.yaml").is_file():
        path = path / "recipe.yaml"
    elif path.suffix not in (".yaml", ".yml") and not path.is_file():
        near = did_you_mean(text, [name for name, _ in shipped()])
        raise GenwrightError(
            f"there is no recipe {text!r}", f"{near}; or give the path of a .yaml file"
        )
    try:
        return read_yaml(path.read_text(encoding="utf-8"), text), path.stem
    except OSError as error:
        raise GenwrightError(
            f"the recipe {text} cannot be read ({error.strerror})",
            "check the path, or see `genwright recipes`",
        ) from None
    except UnicodeDecodeError as error:
        raise GenwrightError(
            f"the recipe {text} is not UTF-8 text (byte {error.start})", "save it as UTF-8"
        ) from None


def shipped() -> list[tuple[str, str]]:
    """(name, description) of every recipe that comes with the package; imports nothing heavy."""
    files = (resources.files("genwright") / "recipes").iterdir()
    names = sorted(file.name.removesuffix(".yaml") for file in files if file.name.endswith(".yaml"))
    return [(name, str(_values(name)[0].get("description", ""))) for name in names]


def parse_overrides(words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words of a command line -> {key: Word(value)}, to be read by the type of the
    setting; `key:=json` -> {key: value}. Raises GenwrightError for a word without `=`."""
    found: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        exact = key.endswith(":")
        key = key.removesuffix(":").strip()
        if not equals or not key:
            raise GenwrightError(
                f"{word!r} is not a setting", "write key=value, for example training.steps=500"
            )
        found[key] = _json(key, text) if exact else Word(text)
    return found


def _json(key: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise GenwrightError(
            f"{key}:={text} is not JSON", f"write {key}=VALUE, or JSON after := as in {key}:=null"
        ) from None


def override(values: dict[str, Any], key: str, value: Any) -> None:
    """Sets a dotted key in nested settings, in place."""
    *parents, last = key.split(".")
    place = values
    for depth, name in enumerate(parents, start=1):
        inner = place.get(name)
        if isinstance(inner, Word):
            inner = opened(inner)
        if isinstance(inner, str) and depth == 1:
            inner = {"kind": inner}
        elif inner is not None and not isinstance(inner, Mapping):
            raise GenwrightError(
                f"{key} is not a setting", f"{'.'.join(parents[:depth])} holds one value, {inner!r}"
            )
        place[name] = dict(inner or {})
        place = place[name]
    place[last] = value


class Row(NamedTuple):
    """A setting: its dotted key, value, default (`...`: it must be given) and what it means."""

    key: str
    value: Any
    default: Any
    meaning: str


def explain(
    settings: BaseModel, defaults: BaseModel | None = None, prefix: str = ""
) -> Iterator[Row]:
    """Every setting of a recipe, nested ones by their dotted key. defaults: of these settings' own
    class, where the default is one."""
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        key = prefix + name
        if field.is_required():
            default: Any = ...
        elif type(defaults) is type(settings):
            default = getattr(defaults, name)
        else:
            default = field.get_default(call_default_factory=True)
        if isinstance(value, BaseModel):
            yield from explain(
                value, default if isinstance(default, BaseModel) else None, f"{key}."
            )
        elif (
            isinstance(value, Mapping)
            and value
            and all(isinstance(inner, BaseModel) for inner in value.values())
        ):
            for inner_name, inner in value.items():
                yield from explain(inner, None, f"{key}.{inner_name}.")
        else:
            yield Row(key, value, default, field.description or "")
