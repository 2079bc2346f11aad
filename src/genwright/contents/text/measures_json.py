"""Whether a text is JSON, and whether it fits a schema (package `jsonschema`).

Schemas are read as of JSON Schema's draft 2020-12. What `$ref` points at must stand in the schema
itself: nothing is fetched.
"""

from __future__ import annotations

import json
from typing import Any

from genwright.contents.text.measures import text_of
from genwright.core.content import Measure, MeasureKind, Sample, add_measure_kinds, add_measures
from genwright.core.errors import GenwrightError, optional
from genwright.core.registry import Settings

_MANY_DIGITS = 4000  # of a whole number, from which on it is read as a float


class NotJson(ValueError):
    """A text is no JSON."""


def read(text: str) -> Any:
    """The value of a JSON text. Raises NotJson."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _refuse(name: str) -> None:
    """NaN and the infinities, which Python reads and JSON does not know."""
    raise NotJson(f"{name} is no JSON")


def _whole_number(digits: str) -> int | float:
    if len(digits) > _MANY_DIGITS:
        return float(digits)
    return int(digits)


def is_json(sample: Sample) -> float:
    """1 where the whole text is one JSON value, else 0."""
    try:
        read(text_of(sample))
    except NotJson:
        return 0.0
    return 1.0


class Schema(Settings):
    """A JSON schema."""

    json_schema: dict[str, Any]
    """The schema, written out here. Keywords that JSON Schema does not know are passed over."""


def fits_schema(settings: Schema) -> Measure:
    """1 where the whole text is one JSON value that fits the schema, else 0. Raises GenwrightError
    for what is no schema, and where the package is not installed."""
    purpose = "measure JSON schema needs jsonschema"
    jsonschema = optional("jsonschema", purpose, "schema")
    referencing = optional("referencing", purpose, "schema")  # which jsonschema itself needs
    schema = settings.json_schema
    known = jsonschema.Draft202012Validator
    try:
        known.check_schema(schema)
    except jsonschema.SchemaError as error:
        place = ".".join(["options.json_schema", *map(str, error.absolute_path)])
        raise GenwrightError(
            f"{place} is no JSON schema: {error.message}", "write it as of draft 2020-12"
        ) from error
    validator = known(schema, registry=referencing.Registry())  # an empty one: it fetches nothing

    def of(sample: Sample) -> float:
        try:
            value = read(text_of(sample))
            return float(validator.is_valid(value))
        except referencing.exceptions.Unresolvable as error:
            raise GenwrightError(
                f"options.json_schema points at {error.ref!r}, which is not in it",
                "write the schema out in one piece",
            ) from error
        except (NotJson, RecursionError, OverflowError):
            return 0.0

    return Measure("fits a JSON schema", of, "share", "higher")


add_measures("text", Measure("is JSON", is_json, "share", "higher", detail="the whole text"))
add_measure_kinds(
    "text",
    MeasureKind("JSON schema", Schema, fits_schema, "whether a text is JSON that fits a schema"),
)
