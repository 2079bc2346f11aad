"""What can be rewarded of a kind of content: `genwright reward list`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from genwright.core.content import Measure
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.registry import kinds, measure_kinds_of, measures_of
from genwright.evaluation.figure import ARROWS
from genwright.rewards.reward import NUMBERS
from genwright.runs.run import load


@dataclass(frozen=True)
class Listed:
    """A measure. gives: "number" or "parts"; of one that takes options, "" and "near", for they
    depend on those. options: their names with their defaults, in words."""

    name: str
    direction: str
    unit: str
    gives: str
    detail: str
    options: str = ""


@dataclass(frozen=True)
class Listing:
    """The measures of a kind of content that can be rewarded; printed, a table."""

    content: str
    measures: list[Listed]

    def __str__(self) -> str:
        console = Console(width=140)
        out = Table(header_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
        out.add_column("measure")
        out.add_column("", no_wrap=True)
        for column in ("unit", "of", "what"):
            out.add_column(column)
        for each in self.measures:
            of = {"number": "a sample", "parts": "its parts"}.get(each.gives, "")
            what = each.detail
            if each.options:
                what = f"{what}; options: {each.options}" if what else f"options: {each.options}"
            direction = ARROWS[each.direction] if each.gives else ""
            out.add_row(Text(each.name), direction, Text(each.unit), of, Text(what))
        with console.capture() as captured:
            console.print(out)
        return captured.get().rstrip()


def listing(word: str) -> Listing:
    """Of a kind of content, or of what a run makes. Raises GenwrightError."""
    content = word
    known = kinds("content")
    if content not in known:
        if not (Path(word) / "recipe.yaml").is_file():
            raise GenwrightError(f"{word!r} is neither a run nor a kind of content", _known(word))
        content = load(word).content
    measures = []
    for name, measure in measures_of(content).items():
        if isinstance(measure, Measure) and measure.gives in NUMBERS:
            measures.append(
                Listed(name, measure.direction, measure.unit, measure.gives, measure.detail)
            )
    for name, kind in measure_kinds_of(content).items():
        options = []
        for field, about in kind.settings.model_fields.items():
            options.append(field if about.is_required() else f"{field} = {about.default!r}")
        measures.append(Listed(name, "near", "", "", kind.detail, ", ".join(options)))
    if not measures:
        raise GenwrightError(
            f"{content} has no measures of samples",
            f'write one: @genwright.measure(content="{content}")',
        )
    return Listing(content, measures)


def _known(word: str) -> str:
    return did_you_mean(word, kinds("content"))
