"""The head of a report: what was trained and how good it is, in plain words, the figures that lead
as tiles, and what alarmed on the way."""

import math
from collections.abc import Sequence
from datetime import timedelta

from genwright.evaluation.figure import (
    TOKEN_LOSSES,
    Figure,
    marks,
    named,
    number,
    shown,
    unit_beside,
)
from genwright.evaluation.telling import can_lead, no_better_than, tells_nothing
from genwright.reporting.fragments import alarms, sentence_case, soft, tile, tiles
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.page import RunData
from genwright.reporting.svg import short

# figures in the opening sentence; and in tiles, where none is a headline
LEADING = 3
TILES = 4
ALARMS = 12  # that are shown; the rest stand in metrics.jsonl
HTML = Templates("genwright.reporting", "head.html")
FLOORS = {
    "bigram": "counting pairs of tokens",
    "unigram": "counting tokens",
    "uniform": "blind guessing",
    "untrained": "the untrained network",
}


def head(run: RunData) -> Markup:
    """The head of one run."""
    lead = HTML.lead(run.lead.verdict, run.trained_on, sentence(run), run.status)
    return joined([lead, _about(run), _tiles(run), alarms(_events(run))])


def _about(run: RunData) -> Markup:
    """The recipe, and the licence of the data."""
    about = []
    recipe = [text for text in (run.recipe_name, run.description) if text]
    if recipe:
        about.append(soft(f"Recipe {': '.join(recipe)}"))
    licence = run.data.get("licence")
    if licence:
        about.append(soft(f"Licence of the data: {licence}"))
    return joined(about)


def _events(run: RunData) -> list[str]:
    """What alarmed while it trained, each once."""
    events: dict[str, None] = {}
    for record in run.records:
        for key in ("event", "skipped"):
            if record.get(key):
                events[str(record[key])] = None
    texts = list(events)
    if len(texts) <= ALARMS:
        return texts
    return [*texts[:ALARMS], f"and {len(texts) - ALARMS} more, in metrics.jsonl"]


# ---- the sentence


def sentence(run: RunData) -> str:
    """How good the run is beside its floors, in plain words; plain text."""
    measured = [figure for figure in run.figures if math.isfinite(figure.value)]
    loss = named(measured, *TOKEN_LOSSES)
    if loss is None:  # several figures, none of which says all
        return _beside_real(run.figures)
    per = "hidden token" if "masked" in loss.name else "token"
    equal = math.exp(min(loss.value, 700))
    choices = f"{equal:.3g}" if equal < 100 else number(round(equal))
    text = (
        f"On data it never saw it needs {number(loss.value)} nats a {per}: "
        f"as unsure as a choice between {choices} equally likely ones"
    )
    floors = {name: value for name, value in loss.floors.items() if math.isfinite(value)}
    if not floors:
        return f"{text}."
    best = min(floors, key=floors.__getitem__)
    floor = f"{FLOORS.get(best, best)} needs {number(floors[best])}"
    worse = [name for name in floors if loss.value > floors[name]]
    if not worse:
        return f"{text}, where {floor}."
    if len(worse) == len(floors):
        return f"{text}, more than {floor}: it has learned nothing yet."
    return f"{text}. {sentence_case(floor)}, so it knows less than that yet."


def _beside_real(figures: Sequence[Figure]) -> str:
    """The first figures that tell something, beside what real data reaches; and why others cannot
    stand here."""
    if not figures:
        return "It has not been measured on held-out data yet."
    compared = [figure for figure in figures if "real" in figure.ceilings]
    if not compared:
        return "It has been measured on held-out data."
    sentences = []
    leading = [_beside_ceilings(figure) for figure in compared if can_lead(figure)]
    if leading:
        values = ", ".join(leading[:LEADING])
        sentences.append(f"Its samples, beside what real data reaches: {values}.")
    silent = [figure for figure in compared if tells_nothing(figure)]
    if silent:
        sentences.append(f"{sentence_case(tells_nothing(silent[0]))}.")
    if len(silent) > 1:
        names = ", ".join(figure.name for figure in silent[1:])
        sentences.append(f"The same holds for {names}.")
    if not sentences:
        return "None of its figures is finite."
    return " ".join(sentences)


def _beside_ceilings(figure: Figure) -> str:
    """A value with its ceilings, and the floor that it does not beat."""
    beside = marks(figure.ceilings, figure.unit)
    floor = no_better_than(figure)
    if floor:
        beside += f"; no better than {floor}, {shown(figure.floors[floor], figure.unit)}"
    return f"{figure.name} {shown(figure.value, figure.unit)} ({beside})"


# ---- tiles


def _tiles(run: RunData) -> Markup:
    found = []
    for figure in leading(run.figures):
        unit = unit_beside(figure.unit)
        found.append(tile(shown(figure.value, figure.unit), figure.name, unit))
    for name, text in facts(run).items():
        found.append(tile(text, name))
    return tiles(found)


def facts(run: RunData) -> dict[str, str]:
    """How large a run is and how long it took: name -> text, of what is known."""
    found = {}
    count = run.sizes.get("parameters")
    if count:
        found["parameters"] = short(count) if isinstance(count, int) else str(count)
    steps = [record for record in run.records if "held_out" not in record and "step" in record]
    if steps:
        found["steps"] = f"{steps[-1]['step']:,}"
    seconds = sum(record.get("seconds") or 0 for record in run.records)
    if seconds:
        found["time of training"] = str(timedelta(seconds=round(seconds)))
    return found


def leading(figures: Sequence[Figure]) -> list[Figure]:
    """The headlines; without any the first that are compared with real data, or with another
    ceiling, or the first."""
    telling = []
    for figure in figures:
        if math.isfinite(figure.value) and not tells_nothing(figure):
            telling.append(figure)
    headlines = [figure for figure in telling if figure.headline]
    if headlines:
        return headlines
    with_real = [figure for figure in telling if "real" in figure.ceilings]
    compared = [figure for figure in telling if figure.ceilings]
    return (with_real or compared or telling)[:TILES]
