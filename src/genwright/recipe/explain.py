"""Every setting of a recipe with its value, default and meaning, for a person to read."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel

from genwright.core.meanings import meaning


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
            inner_defaults = default if isinstance(default, BaseModel) else None
            yield from explain(value, inner_defaults, f"{key}.")
        elif _holds_settings(value):
            for inner_name, inner in value.items():
                yield from explain(inner, None, f"{key}.{inner_name}.")
        else:
            yield Row(key, value, default, meaning(type(settings), name))


def _holds_settings(value: Any) -> bool:
    """Whether it is several settings by name."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(inner, BaseModel) for inner in value.values())
