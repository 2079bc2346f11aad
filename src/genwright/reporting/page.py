"""What a report is given, and the look of its page. Plain data in, one HTML document out; nothing
is fetched, nothing runs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genwright.core.content import Section
from genwright.core.errors import GenwrightError
from genwright.core.files import write_whole
from genwright.data.own_output import GENERATOR
from genwright.evaluation.figure import Figure
from genwright.reporting.lead import Lead
from genwright.reporting.markup import Markup, Templates, package_text, trusted


@dataclass(frozen=True)
class RunData:
    """One run as plain data.

    name: of its folder, unlike the others' in one report. trained_on: a sentence
    (`provenance.trained_on`). recipe_name, description: the recipe's own, the latter "" where it is
    about other data. recipe: YAML. records: the lines of metrics.jsonl. measured_at: which
    checkpoint and weights the figures are of. watched: metric of the records -> on how much it was
    measured. data, sizes, environment: nested mappings, shown as they are (data: sources, digests,
    tokens; sizes: parameters of the model). status: how it ended. sections: what its kind of
    content shows. lead: what stands before all that, of a run that did more than learn its
    data."""

    name: str
    trained_on: str = ""
    recipe_name: str = ""
    description: str = ""
    recipe: str = ""
    measured_at: str = ""
    watched: Mapping[str, str] = field(default_factory=dict)
    records: Sequence[Mapping[str, Any]] = ()
    figures: Sequence[Figure] = ()
    sections: Sequence[Section] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    sizes: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    status: str = ""
    lead: Lead = Lead()


POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:; "
    "base-uri 'none'; form-action 'none'"
)

HTML = Templates("genwright.reporting", "page.html")


def document(title: str, body: Markup) -> Markup:
    """A whole HTML document around a body."""
    style = package_text("genwright.reporting", "page.css")
    return HTML.document(trusted(GENERATOR), trusted(POLICY), title, trusted(style), body)


def write(path: Path, title: str, body: Markup) -> Path:
    """Writes a page as one file, whole or not at all. Raises GenwrightError where it cannot be
    written."""
    try:
        write_whole(path, document(f"{title} - genwright", body))
    except OSError as problem:
        raise GenwrightError(
            f"{path} cannot be written ({problem.strerror})", "choose another place with --output"
        ) from problem
    return path


def rows(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested mapping as (path, text), for a table."""
    for key, value in values.items():
        name = f"{prefix}{str(key).replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from rows(value, f"{name} / ")
        elif value not in (None, "", [], ()):
            yield name, plain(value)


def plain(value: Any) -> str:
    """A value as a person writes it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(plain, value))
    return str(value)
