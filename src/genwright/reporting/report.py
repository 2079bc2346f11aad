"""report.html: what was trained, on what, and how good it is, for a person who never saw the
terminal. One run, or several compared.

One self-contained file: inline SVG, no script (its Content-Security-Policy forbids them), every
text from a run escaped.
"""

import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from genwright.core.errors import GenwrightError
from genwright.core.files import write_whole
from genwright.evaluation.figure import (
    ARROWS,
    EXAMPLE_LOSS,
    TOKEN_LOSSES,
    Figure,
    marks,
    named,
    number,
    shown,
)
from genwright.evaluation.telling import can_lead, no_better_than, tells_nothing
from genwright.reporting.page import RunData, document, rows
from genwright.reporting.provenance import differences
from genwright.reporting.svg import Series, chart, legend, scale, short
from genwright.reporting.svg import key as coloured_name

POINTS = 400  # of a curve: more than a screen shows
# figures in the opening sentence; and in tiles, where none is a headline
LEADING = 3
TILES = 4
ROWS = 16  # of a table that stand open; a corpus may have thousands of shards
NO_CURVE = {"step", "loss", "seconds", "elapsed", "memory_mb", "memorised_floor"}
LABELS = {
    "rate": "learning rate / its peak",
    "frechet": "Frechet distance",
    "reverse_kl": "reverse KL",
}
KEYS = {
    "Curves": '<p class="soft">Lines: each step of training. Marks: held-out data, or samples drawn on the way.</p>',
    "Figures": '<p class="soft">Beside each value: <span class="floors">floors</span>, what needs no learning reaches, and '
    '<span class="ceilings">ceilings</span>, what real data reaches.</p>',
}
FLOORS = {
    "bigram": "counting pairs of tokens",
    "unigram": "counting tokens",
    "uniform": "blind guessing",
}
FLOORS |= {"untrained": "the untrained network"}
# near what real data reaches, which is not known
UNDECIDED = "neither up nor down is better by itself"
WAY = {"lower": "lower is better", "higher": "higher is better", "near": "like real data is best"}


def write_report(runs: Sequence[RunData], path: str | Path) -> Path:
    """Writes one HTML file about one run, or several compared. Raises GenwrightError without runs
    or where it cannot be written."""
    if not runs:
        raise GenwrightError("a report needs a run", "name at least one run's folder")
    path, several = Path(path), len(runs) > 1
    title = " and ".join([", ".join(r.name for r in runs[:-1])] * several + [runs[-1].name])
    chips = [f"<h3>{_chip(i, run)}</h3>" * several for i, run in enumerate(runs)]
    makers: dict[str, Callable[[RunData], str]] = {
        "Data": lambda run: _table_of({**run.data, "model": run.sizes}),
        "Speed": _speed,
        "Recipe": _recipe,
        "Environment": lambda run: _table_of(run.environment),
    }
    leads = (chip + _lead(run) for chip, run in zip(chips, runs, strict=True))
    parts = [
        f"<h1>{escape(title)}</h1>",
        _alarms(differences(runs)),
        *leads,
        _curves(runs),
        _table(runs),
        *_sections(runs, chips),
    ]
    for heading, make in makers.items():
        parts.append(_headed(heading, "", [make(run) for run in runs], chips))
    body = "\n".join(part for part in parts if part)
    try:
        write_whole(path, document(f"{title} - genwright", body))
    except OSError as problem:
        raise GenwrightError(
            f"{path} cannot be written ({problem.strerror})", "choose another place with --output"
        ) from problem
    return path


def _sections(runs: Sequence[RunData], chips: Sequence[str]) -> list[str]:
    """What kinds of content show, those of one heading together."""
    notes: dict[str, str] = {}
    found: dict[str, list[str]] = {}
    for index, run in enumerate(runs):
        for section in run.sections:
            notes.setdefault(section.heading, section.note)
            own = found.setdefault(section.heading, [""] * len(runs))
            own[index] += section.html
    return [_headed(heading, notes[heading], own, chips) for heading, own in found.items()]


def _headed(heading: str, note: str, of_runs: Sequence[str], chips: Sequence[str]) -> str:
    """A section, of each run that has something to show; "" where none has."""
    shown = [chip + html for chip, html in zip(chips, of_runs, strict=True) if html]
    return f"<h2>{heading}</h2>{note}{''.join(shown)}" if shown else ""


def _chip(index: int, run: RunData) -> str:
    return f'<span class="legend">{coloured_name(run.name, index)}</span>'


def _table_of(values: Mapping[str, Any]) -> str:
    lines = [
        f'<tr><td class="key">{escape(k)}</td><td class="text">{escape(v)}</td></tr>'
        for k, v in rows(values)
    ]
    rest = f"<details><summary>{len(lines) - ROWS} more</summary><table>{''.join(lines[ROWS:])}</table></details>"
    return (
        f'<div class="card"><table>{"".join(lines[:ROWS])}</table>{rest * (len(lines) > ROWS)}</div>'
        if lines
        else ""
    )


# ---- head


def sentence(run: RunData) -> str:
    """How good the run is beside its floors, in plain words; plain text."""
    measured = [f for f in run.figures if math.isfinite(f.value)]
    loss = named(measured, *TOKEN_LOSSES)
    if loss is None:  # pictures, points: several figures, none of which says all
        return _beside_real(run.figures)
    per = "hidden token" if "masked" in loss.name else "token"
    choices = number(math.exp(min(loss.value, 700)))
    text = f"On data it never saw it needs {number(loss.value)} nats a {per}: as unsure as between {choices} equally likely ones"
    floors = {name: value for name, value in loss.floors.items() if math.isfinite(value)}
    if not floors:
        return text + "."
    best = min(floors, key=floors.__getitem__)
    floor = f"{FLOORS.get(best, best)} needs {number(floors[best])}"
    worse = [name for name in floors if loss.value > floors[name]]
    if not worse:
        return f"{text}, where {floor}."
    if len(worse) == len(floors):
        return f"{text}, more than {floor}: it has learned nothing yet."
    return f"{text}. {floor[:1].upper()}{floor[1:]}, so it knows less than that yet."


def _beside_real(figures: Sequence[Figure]) -> str:
    """The first figures that tell something, beside what real data reaches; and why others cannot
    stand here."""
    compared = [f for f in figures if "real" in f.ceilings]
    leading = [f for f in compared if can_lead(f)]
    silent = [f for f in compared if tells_nothing(f)]
    if not compared:
        return (
            "It has been measured on held-out data."
            if figures
            else "It has not been measured on held-out data yet."
        )
    text = (
        [
            f"Its samples, beside what real data reaches: {', '.join(map(_headline, leading[:LEADING]))}."
        ]
        if leading
        else []
    )
    if silent:
        reason = tells_nothing(silent[0])
        text.append(f"{reason[:1].upper()}{reason[1:]}.")
    if silent[1:]:
        text.append(f"The same holds for {', '.join(f.name for f in silent[1:])}.")
    return " ".join(text) or "None of its figures is finite."


def _headline(figure: Figure) -> str:
    """A value with its ceilings, and the floor that it does not beat."""
    beside = marks(figure.ceilings, figure.unit)
    if floor := no_better_than(figure):
        beside += f"; no better than {floor}, {shown(figure.floors[floor], figure.unit)}"
    return f"{figure.name} {shown(figure.value, figure.unit)} ({beside})"


def _lead(run: RunData) -> str:
    status = f' <span class="status">{escape(run.status)}</span>' if run.status else ""
    intro = f"{escape(run.trained_on)} " if run.trained_on else ""
    alarms = list(
        dict.fromkeys(
            str(r[key]) for r in run.records for key in ("event", "skipped") if r.get(key)
        )
    )
    alarms[12:] = [f"and {len(alarms) - 12} more, in metrics.jsonl"] * (len(alarms) > 12)
    recipe = ": ".join(escape(text) for text in (run.recipe_name, run.description) if text)
    about = f'<p class="soft">Recipe {recipe}</p>' if recipe else ""
    if licence := run.data.get("licence"):
        about += f'<p class="soft">Licence of the data: {escape(str(licence))}</p>'
    return f'<p class="lead">{intro}{escape(sentence(run))}{status}</p>{about}{_tiles(run)}{_alarms(alarms)}'


def _alarms(texts: Sequence[str]) -> str:
    return "".join(f'<div class="alarm">{escape(text)}</div>' for text in texts)


def _tiles(run: RunData) -> str:
    steps = [r for r in run.records if "held_out" not in r and "step" in r]
    telling = [f for f in run.figures if math.isfinite(f.value) and not tells_nothing(f)]
    compared = [f for f in telling if f.ceilings] or telling
    headlines = [f for f in telling if f.headline] or compared[:TILES]
    chosen = [(shown(f.value, f.unit), f.unit, f.name) for f in headlines]
    if count := run.sizes.get("parameters"):
        chosen.append((short(count) if isinstance(count, int) else str(count), "", "parameters"))
    if steps:
        chosen.append((f"{steps[-1]['step']:,}", "", "steps"))
    if seconds := sum(r.get("seconds") or 0 for r in run.records):
        chosen.append((str(timedelta(seconds=round(seconds))), "", "of training"))
    drawn = (
        f'<div class="tile"><b>{escape(v)}</b><span>{escape(n)}<br>{escape(u)}</span></div>'
        for v, u, n in chosen
    )
    return f'<div class="tiles">{"".join(drawn)}</div>'


# ---- curves


def _measured(run: RunData, held_out: bool) -> list[dict[str, Any]]:
    """What the records measure at each step, or on held-out data: numbers, and None where one was
    not finite."""
    found = [
        r["held_out"] | {"step": r["step"]} if held_out else r
        for r in run.records
        if ("held_out" in r) == held_out and "step" in r
    ]
    return [
        {k: v for k, v in row.items() if isinstance(v, (int, float, type(None)))} for row in found
    ]


def thin(
    x: Sequence[float], y: Sequence[float], points: int = POINTS
) -> tuple[list[float], list[float]]:
    """Every n-th point and the last, at most `points` + 1."""
    every = max(1, -(-len(x) // points))
    keep = sorted({*range(0, len(x), every), len(x) - 1}) if x else []
    return [x[i] for i in keep], [y[i] for i in keep]


def smooth(y: Sequence[float]) -> list[float]:
    """Means over windows that widen with the step, to a thirtieth of all: no lag, and the steep
    beginning stays steep. Values that are not finite are passed over."""
    values = np.asarray(y, float)
    at = np.arange(len(y))
    known = np.isfinite(values)
    half = np.minimum(at // 4, len(y) // 60)
    low = at - half
    high = np.minimum(at + half + 1, len(y))
    sums, counts = (np.append(0, np.cumsum(v)) for v in (np.where(known, values, 0), known))
    return np.where(
        counts[high] > counts[low],
        (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1),
        np.nan,
    ).tolist()


def _series(
    runs: Sequence[RunData], measured: Sequence[Sequence[list[dict[str, Any]]]], key: str
) -> list[Series]:
    """What was measured of a key at each step of training as lines, of held-out data, or samples
    drawn on the way, as points."""
    out = []
    several = len(runs) > 1
    smoothed = key == "loss" or key.endswith("_per_second")
    for i, (run, of_run) in enumerate(zip(runs, measured, strict=True)):
        mine = f"{run.name}: " * several
        (at, found), (x, y) = (
            (
                [float(r["step"]) for r in rows if key in r],
                [math.nan if r[key] is None else float(r[key]) for r in rows if key in r],
            )
            for rows in of_run
        )
        if key == "loss" and not several:
            out.append(Series("each step", *thin(at, found), i, "faint"))
        out.append(
            Series(
                mine + "training" + " (smoothed)" * smoothed,
                *thin(at, smooth(found) if smoothed else found),
                i,
            )
        )
        marks = "samples" if "samples" in run.watched.get(key, "") else "held out"
        out.append(Series(f"{mine}{marks}", x, y, i if several else 1, "points"))
    return [s for s in out if s.x]


def _curves(runs: Sequence[RunData]) -> str:
    """The loss with its floors, then a small chart of everything else that is recorded."""
    floors: dict[str, float] = {}
    units: list[str] = []
    for run in runs:
        loss = named(run.figures, *TOKEN_LOSSES, EXAMPLE_LOSS)
        for name, value in (loss.floors if loss else {}).items():
            same = name not in floors or math.isclose(floors[name], value, rel_tol=1e-6)
            floors[name if same else f"{name} ({run.name})"] = value
        units += [loss.unit] if loss else []
    unit = f", {units[0]}" if len(set(units)) == 1 else ""
    measured = [[_measured(run, held_out) for held_out in (False, True)] for run in runs]
    series = _series(runs, measured, "loss")
    large = chart(series, floors, label=f"loss{unit}")
    large += _sizes(runs, "loss") if large else ""
    names = legend(series)
    small = []
    for key in dict.fromkeys(
        k
        for held_out in (0, 1)
        for of_run in measured
        for row in of_run[held_out]
        for k in row
        if k not in NO_CURVE
    ):
        label = LABELS.get(key, key.replace("_", " ").replace("per second", "a second"))
        drawn = chart(
            _series(runs, measured, key),
            label=label,
            size=(330, 210),
            zero=key.endswith("_per_second"),
        )
        small.append(drawn + _sizes(runs, key) if drawn else "")
    cards = "".join(f'<div class="card">{made}</div>' for made in small if made)
    loss_card = (
        f'<div class="card wide"><div class="legend">{names}</div>{large}</div>' if large else ""
    )
    return (
        f'<h2>Curves</h2>{KEYS["Curves"]}{loss_card}<div class="pair">{cards}</div>'
        if large or cards
        else ""
    )


def _sizes(runs: Sequence[RunData], key: str) -> str:
    """On how much a curve's held-out values were measured, which the table of figures may do on
    more."""
    told = {
        run.name: run.watched[key]
        for run in runs
        if key in run.watched and any(key in r.get("held_out", ()) for r in run.records)
    }
    if len(set(told.values())) == 1:
        return f"<small>{escape(next(iter(told.values())))}</small>"
    return "".join(f"<small>{escape(name)}: {escape(text)}</small>" for name, text in told.items())


# ---- figures


def _cell(figure: Figure | None, colour: int, how: str) -> str:
    """how: it was measured; of runs that were measured differently, each under its own value."""
    if figure is None:
        return '<td class="soft" colspan="2">not measured</td>'
    groups = {
        kind: group
        for kind, group in (("floors", figure.floors), ("ceilings", figure.ceilings))
        if group
    }
    lines = (
        f'<small class="{kind}">{escape(marks(group, figure.unit))}</small>'
        for kind, group in groups.items()
    )
    count = f"<small>on {figure.count:,} {escape(figure.counted)}</small>"
    towards = [min(group.values(), default=math.nan) for group in (figure.ceilings, figure.floors)]
    falling = figure.direction == "lower" or (
        figure.direction == "near" and towards[0] < towards[1]
    )
    drawn = scale(figure.value, figure.floors, figure.ceilings, colour, falling)
    reason = tells_nothing(figure)
    silent = f"<small><b>{escape(reason[:1].upper() + reason[1:])}.</b></small>" if reason else ""
    value = f'<td class="value"><b>{shown(figure.value, figure.unit)}</b> {escape(figure.unit)}{count}</td>'
    folded = f"<small><details><summary>how</summary>{escape(how)}</details></small>" if how else ""
    return f"{value}<td>{drawn}{''.join(lines)}{silent}{folded}</td>"


def _table(runs: Sequence[RunData]) -> str:
    """Every figure beside its floors and ceilings; runs side by side."""
    keys = dict.fromkeys((f.name, f.unit) for run in runs for f in run.figures)
    if not keys:
        return ""
    tables = [{(f.name, f.unit): f for f in run.figures} for run in runs]
    heads = "".join(
        f'<th colspan="2">{_chip(i, run)}</th>' if len(runs) > 1 else "<th>value</th><th></th>"
        for i, run in enumerate(runs)
    )
    body = []
    for key in keys:
        found = [table.get(key) for table in tables]
        first = next(f for f in found if f)
        alike = len({f.detail for f in found if f}) == 1
        way = (
            UNDECIDED if first.direction == "near" and not first.ceilings else WAY[first.direction]
        )
        about = f"{ARROWS[first.direction]} {way}" + (
            f"; {first.detail}" if alike and first.detail else ""
        )
        cells = "".join(
            _cell(f, i, "" if alike or f is None else f.detail) for i, f in enumerate(found)
        )
        body.append(f"<tr><td>{escape(first.name)}<small>{escape(about)}</small></td>{cells}</tr>")
    measured = [
        f"{run.name} at {run.measured_at}" if len(runs) > 1 else f"At {run.measured_at}"
        for run in runs
        if run.measured_at
    ]
    when = f'<p class="soft">{escape("; ".join(measured))}.</p>' if measured else ""
    return f'<h2>Figures</h2>{KEYS["Figures"]}{when}<div class="card"><table><tr><th>measure</th>{heads}</tr>{"".join(body)}</table></div>'


# ---- what it was made of


def _speed(run: RunData) -> str:
    """Medians leave out the first tenth of the steps, which compiles and warms up."""
    steps = [r for r in run.records if "held_out" not in r and r.get("seconds")]
    if not steps:
        return ""
    steady = steps[len(steps) // 10 :]
    values: dict[str, Any] = {
        "steps": len(steps),
        "training": timedelta(seconds=round(sum(r["seconds"] for r in steps))),
        "a step, median": f"{statistics.median(r['seconds'] for r in steady) * 1e3:.4g} ms",
    }
    for key in dict.fromkeys(k for r in steady for k in r if k.endswith("_per_second")):
        values[f"{key.removesuffix('_per_second')} a second, median"] = round(
            statistics.median(r[key] for r in steady if r.get(key))
        )
    if memory := [r["memory_mb"] for r in steps if r.get("memory_mb")]:
        values["memory at most"] = f"{max(memory):,.0f} MB"
    return _table_of(values)


def _recipe(run: RunData) -> str:
    shown = re.sub(r"(?m)^([ -]*)([\w.-]+):", r'\1<b class="key">\2</b>:', escape(run.recipe))
    head = "<summary>the resolved recipe; it runs again to the same losses</summary>"
    return f'<details class="card">{head}<pre>{shown}</pre></details>' if run.recipe else ""
