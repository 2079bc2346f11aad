"""The curves of a report: the loss with its floors, then a small chart of everything else that was
recorded while runs trained."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from genwright.evaluation.figure import EXAMPLE_LOSS, TOKEN_LOSSES, named, number
from genwright.evaluation.group_shares import is_limit
from genwright.reporting.fragments import soft
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.page import RunData
from genwright.reporting.svg import Series, chart, legend

POINTS = 400  # of a curve: more than a screen shows
SMALL = (330, 210)  # pixels of a small chart
OPEN = 6  # small charts that stand open: two rows
NO_CURVE = {"step", "loss", "seconds", "elapsed", "memory_mb", "memorised_floor", "nearest_floor"}
LABELS = {
    "rate": "learning rate / its peak",
    "frechet": "Frechet distance",
    "reverse_kl": "reverse KL",
}
# what the beginning of a name says
BEFORE = {
    "watched/": "not rewarded: ",
    "reward/": "reward: ",
    "gradient_norm/": "gradient norm of ",
}
NOTE = "Lines: each step of training. Marks: held-out data, or samples drawn on the way."
HTML = Templates("genwright.reporting", "curves.html")

Row = dict[str, Any]  # numbers of one record by name, None where one was not finite, and its step


class _Measured(NamedTuple):
    """What a run's records say: of each step of training, and of held-out data."""

    run: RunData
    steps: list[Row]
    held_out: list[Row]


def curves(runs: Sequence[RunData]) -> Markup:
    """All curves of some runs; "" where nothing was recorded."""
    measured = [_measured(run) for run in runs]
    large = _loss_card(measured)
    cards = []
    for key in _recorded(measured):
        is_speed = key.endswith("_per_second")
        drawn = chart(
            _series(measured, key),
            _beside(runs, key),
            label=_label(runs, key),
            size=SMALL,
            zero=is_speed,
            label_above=True,
        )
        if drawn:
            cards.append(HTML.card(drawn, _sizes(runs, key)))
    if not large and not cards:
        return Markup()
    # a fold of one chart would hide little
    opened = len(cards) if len(cards) == OPEN + 1 else OPEN
    return HTML.curves(soft(NOTE), large, joined(cards[:opened]), cards[opened:])


def _label(runs: Sequence[RunData], key: str) -> str:
    """What a run itself calls a curve, else what its name says."""
    for run in runs:
        if key in run.lead.labels:
            return run.lead.labels[key]
    return label_of(key)


def label_of(key: str) -> str:
    """What was recorded under a name, for a person.

    >>> label_of("watched/RL Tuner key"), label_of("tokens_per_second")
    ('not rewarded: RL Tuner key', 'tokens a second')
    """
    if key in LABELS:
        return LABELS[key]
    for start, words in BEFORE.items():
        if key.startswith(start):
            return words + key.removeprefix(start)
    return key.replace("_", " ").replace("per second", "a second")


def _measured(run: RunData) -> _Measured:
    steps = []
    held_out = []
    for record in run.records:
        if "step" not in record:
            continue
        if "held_out" in record:
            held_out.append(_numbers({**record["held_out"], "step": record["step"]}))
        else:
            steps.append(_numbers(record))
    return _Measured(run, steps, held_out)


def _numbers(record: Mapping[str, Any]) -> Row:
    """What a record says in numbers, or as None, where one was not finite."""
    row = {}
    for name, value in record.items():
        if value is None or isinstance(value, (int, float)):
            row[name] = value
    return row


def _recorded(measured: Sequence[_Measured]) -> list[str]:
    """The names of what was recorded, in order: what comes first by a run's lead, then of samples
    and held-out data, which say how good a model is, then of steps."""
    names: dict[str, None] = {}
    there = {name for each in measured for row in (*each.steps, *each.held_out) for name in row}
    for each in measured:
        names.update(dict.fromkeys(name for name in each.run.lead.curves if name in there))
    for rows in [run.held_out for run in measured] + [run.steps for run in measured]:
        for row in rows:
            names.update(dict.fromkeys(row))
    return [name for name in names if name not in NO_CURVE and not is_limit(name)]


def _loss_card(measured: Sequence[_Measured]) -> Markup:
    """The loss with its floors, wide."""
    runs = [each.run for each in measured]
    floors: dict[str, float] = {}
    units = set()
    for run in runs:
        loss = named(run.figures, *TOKEN_LOSSES, EXAMPLE_LOSS)
        if loss is None:
            continue
        units.add(loss.unit)
        for name, value in loss.floors.items():
            same = name not in floors or number(floors[name]) == number(value)
            floors[name if same else f"{name} ({run.name})"] = value
    label = "loss"
    if len(units) == 1:
        label += f", {units.pop()}"
    series = _series(measured, "loss")
    drawn = chart(series, floors, label=label)
    if not drawn:
        return Markup()
    return HTML.large(legend(series), drawn, _sizes(runs, "loss"))


def _beside(runs: Sequence[RunData], key: str) -> dict[str, float]:
    """Lines in the curve of a key, with the run's name where there are several."""
    lines = {}
    for run in runs:
        for name, value in run.lead.beside.get(key, {}).items():
            lines[name if len(runs) == 1 else f"{name} ({run.name})"] = value
    return lines


def _series(measured: Sequence[_Measured], key: str) -> list[Series]:
    """What was measured of a key at each step of training as lines, of held-out data, or samples
    drawn on the way, as points."""
    several = len(measured) > 1
    series = []
    for colour, of_run in enumerate(measured):
        before = f"{of_run.run.name}: " if several else ""
        steps, values = _curve(of_run.steps, key)
        if key == "loss" and of_run.run.lead.own_loss:
            steps, values = [], []
        if key == "loss" and not several:
            series.append(Series("each step", *thin(steps, values), colour, "faint"))
        name = f"{before}training"
        if key == "loss" or key.endswith("_per_second"):
            name += " (smoothed)"
            values = smooth(values)
        series.append(Series(name, *thin(steps, values), colour))
        is_of_samples = "samples" in of_run.run.watched.get(key, "")
        name = f"{before}samples" if is_of_samples else f"{before}held out"
        steps, values = _curve(of_run.held_out, key)
        series.append(Series(name, steps, values, colour if several else 1, "points"))
    return [one for one in series if one.x]


def _curve(rows: Sequence[Row], key: str) -> tuple[list[float], list[float]]:
    """(steps, values) of a key; what was not finite is NaN."""
    steps = []
    values = []
    for row in rows:
        if key in row:
            steps.append(float(row["step"]))
            values.append(math.nan if row[key] is None else float(row[key]))
    return steps, values


def thin(
    x: Sequence[float], y: Sequence[float], points: int = POINTS
) -> tuple[list[float], list[float]]:
    """Every n-th point and the last, at most `points` + 1."""
    if not x:
        return [], []
    every = math.ceil(len(x) / points)
    kept = sorted({*range(0, len(x), every), len(x) - 1})
    return [x[i] for i in kept], [y[i] for i in kept]


def smooth(y: Sequence[float]) -> list[float]:
    """Means over windows that widen with the step, to a thirtieth of all: no lag, and the steep
    beginning stays steep. Values that are not finite are passed over."""
    values = np.asarray(y, float)
    known = np.isfinite(values)
    places = np.arange(len(y))
    half = np.minimum(places // 4, len(y) // 60)
    low = places - half
    high = np.minimum(places + half + 1, len(y))
    sums = np.append(0, np.cumsum(np.where(known, values, 0)))
    counts = np.append(0, np.cumsum(known))
    total = sums[high] - sums[low]
    count = counts[high] - counts[low]
    means: list[float] = np.where(count > 0, total / np.maximum(count, 1), np.nan).tolist()
    return means


def _sizes(runs: Sequence[RunData], key: str) -> list[str]:
    """On how much a curve's held-out values were measured, which the table of figures may do on
    more."""
    sizes = {}
    for run in runs:
        recorded = any(key in record.get("held_out", ()) for record in run.records)
        if key in run.watched and recorded:
            sizes[run.name] = run.watched[key]
    if len(set(sizes.values())) == 1:
        return [next(iter(sizes.values()))]
    return [f"{name}: {text}" for name, text in sizes.items()]
