"""The head of a report: what was trained and how good it is, in plain words, the figures that lead
as tiles, and what alarmed on the way."""

import math
from collections.abc import Sequence
from datetime import timedelta
from html import escape

from genwright.evaluation.figure import TOKEN_LOSSES, Figure, marks, named, number, shown
from genwright.evaluation.telling import can_lead, no_better_than, tells_nothing
from genwright.reporting.fragments import alarms, sentence_case, soft, tile
from genwright.reporting.page import RunData
from genwright.reporting.svg import short

# figures in the opening sentence; and in tiles, where none is a headline
LEADING = 3
TILES = 4
ALARMS = 12  # that are shown; the rest stand in metrics.jsonl
FLOORS = {
    "bigram": "counting pairs of tokens",
    "unigram": "counting tokens",
    "uniform": "blind guessing",
    "untrained": "the untrained network",
}


def head(run: RunData) -> str:
    """The head of one run, as HTML."""
    intro = f"{escape(run.trained_on)} " if run.trained_on else ""
    status = f' <span class="status">{escape(run.status)}</span>' if run.status else ""
    verdict = run.lead.verdict
    first = f'<p class="lead"><b>{escape(verdict)}</b></p>' if verdict else ""
    lead = f'<p class="lead">{intro}{escape(sentence(run))}{status}</p>'
    return f"{first}{lead}{_about(run)}{_tiles(run)}{alarms(_events(run))}"


def _about(run: RunData) -> str:
    """The recipe, and the licence of the data."""
    about = ""
    recipe = [escape(text) for text in (run.recipe_name, run.description) if text]
    if recipe:
        about += soft(f"Recipe {': '.join(recipe)}")
    licence = run.data.get("licence")
    if licence:
        about += soft(f"Licence of the data: {escape(str(licence))}")
    return about


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
    choices = number(math.exp(min(loss.value, 700)))
    text = (
        f"On data it never saw it needs {number(loss.value)} nats a {per}: "
        f"as unsure as between {choices} equally likely ones"
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


def _tiles(run: RunData) -> str:
    tiles = []
    for figure in _leading(run.figures):
        tiles.append(tile(shown(figure.value, figure.unit), figure.name, figure.unit))
    count = run.sizes.get("parameters")
    if count:
        text = short(count) if isinstance(count, int) else str(count)
        tiles.append(tile(text, "parameters"))
    steps = [record for record in run.records if "held_out" not in record and "step" in record]
    if steps:
        tiles.append(tile(f"{steps[-1]['step']:,}", "steps"))
    seconds = sum(record.get("seconds") or 0 for record in run.records)
    if seconds:
        tiles.append(tile(str(timedelta(seconds=round(seconds))), "of training"))
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _leading(figures: Sequence[Figure]) -> list[Figure]:
    """The headlines; without any the first that are compared with real data, or the first."""
    telling = []
    for figure in figures:
        if math.isfinite(figure.value) and not tells_nothing(figure):
            telling.append(figure)
    headlines = [figure for figure in telling if figure.headline]
    if headlines:
        return headlines
    compared = [figure for figure in telling if figure.ceilings]
    return (compared or telling)[:TILES]
