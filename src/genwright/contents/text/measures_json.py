"""Whether a text is JSON, and whether it fits a schema."""

from __future__ import annotations

from typing import Any

from genwright.contents.text.json_schema import NotJson, compiled, read
from genwright.contents.text.measures import text_of
from genwright.core.content import Measure, MeasureKind, Sample, add_measure_kinds, add_measures
from genwright.core.registry import Settings


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
    """The schema, written out here. A keyword that is not known is refused."""


def fits_schema(settings: Schema) -> Measure:
    """1 where the whole text is one JSON value that fits the schema, else 0. Raises GenwrightError
    for a schema that cannot be held to."""
    fits = compiled(settings.json_schema, "options.json_schema")

    def of(sample: Sample) -> float:
        try:
            return float(fits(read(text_of(sample))))
        except (NotJson, RecursionError):
            return 0.0

    return Measure("fits a JSON schema", of, "share", "higher")


add_measures("text", Measure("is JSON", is_json, "share", "higher", detail="the whole text"))
add_measure_kinds(
    "text",
    MeasureKind("JSON schema", Schema, fits_schema, "whether a text is JSON that fits a schema"),
)
