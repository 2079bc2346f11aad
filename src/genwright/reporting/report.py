"""report.html: what was trained, on what, and how good it is, for a person who never saw the terminal. One run, or several compared.

One self-contained file: inline SVG, no script (its Content-Security-Policy forbids them), every text from a run escaped.
"""

import base64
import itertools
import math
import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from genwright.errors import GenwrightError
from genwright.evaluation.figure import Figure, number, shown
from genwright.evaluation.table import ARROWS, marks
from genwright.reporting.page import RunData, Sample, document, rows
from genwright.reporting.svg import COLOURS, Series, chart, scale
from genwright.training.checkpoint import write_whole

POINTS = 400  # of a curve: more than a screen shows
ROWS = 16  # of a table that stand open; a corpus may have thousands of shards
NO_CURVE = {"step", "loss", "seconds", "elapsed", "memory_mb", "memorised_floor"}
LABELS = {"rate": "learning rate / its peak"}
KEYS = {
    "Curves": '<p class="soft">Lines: each step of training. Marks: held-out data, or samples drawn on the way.</p>',
    "Figures": '<p class="soft">Beside each value: <span class="floors">floors</span>, what needs no learning reaches, and '
    '<span class="ceilings">ceilings</span>, what real data reaches.</p>',
    "Samples": '<p class="soft"><mark class="prompt">The prompt</mark> was given, the rest is the model\'s. '
    '<u class="copy">Underlined</u>: the longest piece that stands word for word in the training data.</p>',
}
FLOORS = {"bigram": "counting pairs of tokens", "unigram": "counting tokens", "uniform": "blind guessing"}
FLOORS |= {"untrained": "the untrained network"}
WAY = {"lower": "lower is better", "higher": "higher is better", "near": "like real data is best"}


def write_report(runs: Sequence[RunData], path: str | Path) -> Path:
    """Writes one HTML file about one run, or several compared. Raises GenwrightError without runs or where it cannot be written."""
    if not runs:
        raise GenwrightError("a report needs a run", "name at least one run's folder")
    path, several = Path(path), len(runs) > 1
    title = " and ".join([", ".join(r.name for r in runs[:-1])] * several + [runs[-1].name])
    sections = [_head(title, runs), _curves(runs), _table(runs)]
    makers: dict[str, Callable[[RunData], str]] = {
        "Samples": _texts, "Pictures": _pictures, "Filled gaps": _fills, "Data": _data, "Speed": _speed, "Recipe": _recipe,
        "Environment": lambda run: _table_of(run.environment),
    }  # fmt: skip
    for heading, make in makers.items():
        parts = [(f"<h3>{_chip(i, run)}</h3>" if several else "") + found for i, run in enumerate(runs) if (found := make(run))]
        sections.append(f"<h2>{heading}</h2>{KEYS.get(heading, '')}{''.join(parts)}" if parts else "")
    try:
        write_whole(path, document(f"{title} - genwright", "\n".join(s for s in sections if s)))
    except OSError as problem:
        raise GenwrightError(f"{path} cannot be written ({problem.strerror})", "choose another place with --output") from problem
    return path


def _chip(index: int, run: RunData) -> str:
    return f'<span class="legend"><span><i class="points" style="background:var(--c{index % COLOURS})"></i>{escape(run.name)}</span></span>'


def _unit(unit: str) -> str:
    return "" if unit == "share" else escape(unit)  # per cent need none


def _table_of(values: Mapping[str, Any]) -> str:
    lines = [f'<tr><td class="key">{escape(k)}</td><td class="text">{escape(v)}</td></tr>' for k, v in rows(values)]
    rest = f"<details><summary>{len(lines) - ROWS} more</summary><table>{''.join(lines[ROWS:])}</table></details>"
    return f'<div class="card"><table>{"".join(lines[:ROWS])}</table>{rest * (len(lines) > ROWS)}</div>' if lines else ""


# ---- head


def sentence(run: RunData) -> str:
    """How good the run is beside its floors, in plain words; plain text."""
    loss = next((f for f in run.figures if f.unit == "nats/token" and math.isfinite(f.value) and not run.pictures), None)
    if loss is None and run.figures:  # pictures, points: several figures, none of which says all
        told = [f for f in run.figures if "real" in f.ceilings and math.isfinite(f.value)][:3]
        said = (f"{f.name} {shown(f.value, f.unit)} ({marks(f.ceilings, f.unit)})" for f in told)
        return "Its samples, beside what real data reaches: " + ", ".join(said) + "." if told else "It has been measured on held-out data."
    if loss is None:
        return "It has not been measured on held-out data yet."
    per = "hidden token" if "masked" in loss.name else "token"
    choices = number(math.exp(min(loss.value, 700)))
    text = f"On text it never saw it needs {number(loss.value)} nats a {per}: as unsure as between {choices} equally likely ones"
    best = min(loss.floors.items(), key=lambda item: item[1], default=None)
    if best is None:
        return text + "."
    floor = f"{FLOORS.get(best[0], best[0])} needs {number(best[1])}"
    return f"{text}, more than {floor}: it has learned nothing yet." if loss.value > best[1] else f"{text}, where {floor}."


def _head(title: str, runs: Sequence[RunData]) -> str:
    parts = [f"<h1>{escape(title)}</h1>"]
    for i, run in enumerate(runs):
        status = f' <span class="status">{escape(run.status)}</span>' if run.status else ""
        intro = f"{escape(run.description.rstrip('.'))}. " if run.description else ""
        parts.append((f"<h3>{_chip(i, run)}</h3>" if len(runs) > 1 else "") + f'<p class="lead">{intro}{escape(sentence(run))}{status}</p>')
        if len(runs) == 1:
            parts.append(_tiles(run))
        parts += [f'<div class="alarm">{escape(text)}</div>' for text in _alarms(run)]
    return "".join(parts)


def _alarms(run: RunData) -> list[str]:
    """What was handed in, then what the records hold: skipped steps and rollbacks; each once."""
    found = [*run.alarms, *(str(r[key]) for r in run.records for key in ("event", "skipped") if r.get(key))]
    found = list(dict.fromkeys(found))
    return found if len(found) <= 12 else [*found[:12], f"and {len(found) - 12} more, in metrics.jsonl"]


def _tiles(run: RunData) -> str:
    steps = [r for r in run.records if "held_out" not in r and "step" in r]
    tiles = [(shown(f.value, f.unit), f.unit, f.name) for f in run.figures if math.isfinite(f.value) and not f.unit.startswith("char")]
    chosen = [t for t in tiles if t[1] in ("nats/token", "bits/byte") or t[2].startswith(("accuracy", "parses"))] or tiles[:4]
    if "parameters" in run.sizes:
        chosen.append((_big(run.sizes["parameters"]), "", "parameters"))
    if steps:
        chosen.append((f"{steps[-1]['step']:,}", "", "steps"))
    if seconds := sum(r.get("seconds") or 0 for r in run.records):
        chosen.append((_duration(seconds), "", "of training"))
    drawn = (f'<div class="tile"><b>{escape(v)}</b><span>{escape(n)}<br>{_unit(u)}</span></div>' for v, u, n in chosen)
    return f'<div class="tiles">{"".join(drawn)}</div>'


def _big(count: Any) -> str:
    if not isinstance(count, (int, float)):
        return str(count)
    return next((f"{count / size:.3g} {letter}" for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")) if count >= size), f"{count:,}")


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 5400 else f"{seconds / 3600:.3g} h"


# ---- curves


def _curve(records: Sequence[Mapping[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Steps and values of a key; a number that JSON could not hold (None) is nan."""
    found = [(r["step"], r[key]) for r in records if key in r and isinstance(r[key], (int, float, type(None))) and "step" in r]
    return [float(x) for x, _ in found], [math.nan if y is None else float(y) for _, y in found]


def thin(x: Sequence[float], y: Sequence[float], points: int = POINTS) -> tuple[list[float], list[float]]:
    """Every n-th point and the last, at most `points` + 1."""
    every = max(1, -(-len(x) // points))
    keep = sorted({*range(0, len(x), every), len(x) - 1}) if x else []
    return [x[i] for i in keep], [y[i] for i in keep]


def smooth(y: Sequence[float]) -> list[float]:
    """Means over windows that widen with the step, to a thirtieth of all: no lag, and the steep beginning stays steep. Values that are
    not finite are passed over."""
    sums, counts = ([0.0, *itertools.accumulate(part)] for part in ([v if math.isfinite(v) else 0.0 for v in y], map(math.isfinite, y)))
    out = []
    for i in range(len(y)):
        half = min(i // 4, len(y) // 60)
        low, high = i - half, min(i + half + 1, len(y))
        count = counts[high] - counts[low]
        out.append((sums[high] - sums[low]) / count if count else math.nan)
    return out


def _legend(series: Sequence[Series]) -> str:
    shown = (s for s in series if s.kind != "faint")
    items = (f'<span><i class="{s.kind}" style="background:var(--c{s.colour % COLOURS})"></i>{escape(s.name)}</span>' for s in shown)
    return f'<div class="legend">{"".join(items)}</div>'


def _loss(runs: Sequence[RunData]) -> str:
    series: list[Series] = []
    floors: dict[str, float] = {}
    for i, run in enumerate(runs):
        several, mine = len(runs) > 1, f"{run.name}: " if len(runs) > 1 else ""
        x, y = _curve(run.records, "loss")
        if x and not several:
            series.append(Series("each step", *thin(x, y), i, "faint"))
        if x:
            series.append(Series(f"{mine}training (smoothed)", *thin(x, smooth(y)), i, "line"))
        held = [{"step": r.get("step"), "loss": r["held_out"].get("loss")} for r in run.records if isinstance(r.get("held_out"), Mapping)]
        x, y = _curve([r for r in held if r["step"] is not None], "loss")
        if x:
            series.append(Series(f"{mine}held out", x, y, i if several else 1, "points"))
        loss = next((f for f in run.figures if f.unit == "nats/token"), None)
        for name, value in (loss.floors if loss else {}).items():
            same = name not in floors or math.isclose(floors[name], value, rel_tol=1e-6)
            floors[name if same else f"{name} ({run.name})"] = value
    unit = next((f.unit for run in runs for f in run.figures if f.name.startswith("loss")), "")
    label = f"loss, {unit}" if unit else "loss"
    made = [chart(series, floors, name=f"loss-{log}", x_label="step", y_label=label, log_x=log) for log in (False, True)]
    if not made[0]:
        return ""
    button = '<input type="radio" name="loss-axis" id="loss-axis-{0}"{1}><label for="loss-axis-{0}">{2}</label>'
    swap = button.format(0, " checked", "steps") + button.format(1, "", "logarithm of steps")
    return f'<div class="card">{_legend(series)}<div class="swap">{swap}<div>{made[0]}</div><div>{made[1]}</div></div></div>'


def _curves(runs: Sequence[RunData]) -> str:
    """The loss with its floors, then a small chart of everything else that is recorded: at each step as a line, on held-out data and
    of samples drawn on the way as points."""
    small = []
    steps, held = ([[_numbers(r, held) for r in run.records] for run in runs] for held in (False, True))
    keys = dict.fromkeys(k for rows in (steps, held) for run in rows for r in run for k in r if k not in NO_CURVE)
    for n, key in enumerate(keys):
        speed, series = key.endswith("_per_second"), []
        for recorded, kind in ((steps, "line"), (held, "points")):
            for i, run in enumerate(runs):
                x, y = _curve(recorded[i], key)
                name, colour = (f"{run.name}: held out", i) if len(runs) > 1 else ("held out", 1)
                named = Series(run.name, *thin(x, smooth(y) if speed else y), i) if kind == "line" else Series(name, x, y, colour, kind)
                series += [named] * bool(x)
        label = LABELS.get(key, key.replace("_", " ").replace("per second", "a second"))
        if made := chart(series, name=f"small-{n}", x_label="step", y_label=label, size=(330, 210), zero=speed):
            small.append(f'<div class="card">{made}</div>')
    loss = _loss(runs)
    return f'<h2>Curves</h2>{KEYS["Curves"]}{loss}<div class="pair">{"".join(small)}</div>' if loss or small else ""


def _numbers(record: Mapping[str, Any], held_out: bool) -> dict[str, Any]:
    """What a record measures: of a step, or on held-out data."""
    if ("held_out" in record) != held_out or "step" not in record:
        return {}
    found = record["held_out"] if held_out else record
    return {k: v for k, v in found.items() if isinstance(v, (int, float)) or v is None} | {"step": record["step"]}


# ---- figures


def _cell(figure: Figure | None, colour: int) -> str:
    if figure is None:
        return '<td class="soft" colspan="2">not measured</td>'
    groups = {kind: group for kind, group in (("floors", figure.floors), ("ceilings", figure.ceilings)) if group}
    lines = (f'<small class="{kind}">{escape(marks(group, figure.unit))}</small>' for kind, group in groups.items())
    count = f"<small>on {figure.count:,} {escape(figure.counted)}</small>"
    towards = [min(group.values(), default=math.nan) for group in (figure.ceilings, figure.floors)]
    falling = figure.direction == "lower" or (figure.direction == "near" and towards[0] < towards[1])
    drawn = scale(figure.value, figure.floors, figure.ceilings, colour, falling)
    return f'<td class="value"><b>{shown(figure.value, figure.unit)}</b> {_unit(figure.unit)}{count}</td><td>{drawn}{"".join(lines)}</td>'


def _table(runs: Sequence[RunData]) -> str:
    """Every figure beside its floors and ceilings; runs side by side."""
    keys = {(f.name, f.unit): f for run in runs for f in run.figures}
    if not keys:
        return ""
    heads = "".join(f'<th colspan="2">{_chip(i, run)}</th>' if len(runs) > 1 else "<th>value</th><th></th>" for i, run in enumerate(runs))
    body = []
    for (name, unit), first in keys.items():
        cells = "".join(_cell(next((f for f in run.figures if (f.name, f.unit) == (name, unit)), None), i) for i, run in enumerate(runs))
        about = f"{ARROWS[first.direction]} {WAY[first.direction]}" + (f"; {first.detail}" if first.detail else "")
        body.append(f"<tr><td>{escape(name)}<small>{escape(about)}</small></td>{cells}</tr>")
    return f'<h2>Figures</h2>{KEYS["Figures"]}<div class="card"><table><tr><th>measure</th>{heads}</tr>{"".join(body)}</table></div>'


# ---- samples


def mark(sample: Sample) -> str:
    """A sample as HTML: the prompt marked, the copied span underlined, where they overlap both."""
    text, prompt = sample.prompt + sample.text, len(sample.prompt)
    start, end = sample.span or (0, 0)
    start, end = max(0, min(start, len(text))), max(0, min(end, len(text)))
    edges = sorted({0, prompt, start, end, len(text)})
    out = []
    for a, b in zip(edges, edges[1:], strict=False):
        piece = escape(text[a:b])
        piece = f'<u class="copy">{piece}</u>' if start <= a and b <= end else piece
        out.append(f'<mark class="prompt">{piece}</mark>' if b <= prompt else piece)
    return "".join(out)


def _texts(run: RunData) -> str:
    cards = []
    for s in run.samples:
        notes = [f"step {s.step:,}"] * (s.step is not None)
        notes += [f"longest piece of the training data: {s.span[1] - s.span[0]:,} characters"] if s.span and s.span[1] > s.span[0] else []
        cards.append(f'<div class="card"><pre>{mark(s)}</pre><small>{escape("; ".join(notes))}</small></div>')
    return "".join(cards)


def _pictures(run: RunData) -> str:
    cards = (
        f'<figure class="card{" small" * p.small}"><figcaption><b>{escape(p.title)}</b><small>{escape(p.caption)}</small></figcaption>'
        f'<img alt="{escape(p.title)}" src="data:image/png;base64,{base64.b64encode(p.png).decode()}"></figure>'
        for p in run.pictures
    )
    return f'<div class="figures">{"".join(cards)}</div>' if run.pictures else ""


def _bars(candidates: Sequence[tuple[str, float]]) -> str:
    line = '<code>{}</code><i style="width:{:.1f}%"></i><span>{:.1%}</span>'
    lines = (line.format(escape(word), max(0.0, min(1.0, p)) * 100, p) for word, p in candidates)
    return f'<div class="bars">{"".join(lines)}</div>'


def _fills(run: RunData) -> str:
    cards = []
    for fill in run.fills:
        best = [f'<mark class="prompt">{escape(gap[0][0] if gap else "?")}</mark>' for gap in fill.gaps]
        line = "".join(part for pair in zip(map(escape, fill.parts), [*best, ""], strict=True) for part in pair)
        cards.append(f'<div class="card"><div class="fill">{line}</div>{"".join(_bars(gap) for gap in fill.gaps)}</div>')
    return "".join(cards)


# ---- what it was made of


def _data(run: RunData) -> str:
    return _table_of({**run.data, **({"model": run.sizes} if run.sizes else {})})


def _speed(run: RunData) -> str:
    """Medians leave out the first tenth of the steps, which compiles and warms up."""
    steps = [r for r in run.records if "held_out" not in r and r.get("seconds")]
    if not steps:
        return ""
    steady = steps[len(steps) // 10 :]
    values: dict[str, Any] = {"steps": len(steps), "training": _duration(sum(r["seconds"] for r in steps))}
    values["a step, median"] = f"{statistics.median(r['seconds'] for r in steady) * 1e3:.4g} ms"
    for key in dict.fromkeys(k for r in steady for k in r if k.endswith("_per_second")):
        values[f"{key.removesuffix('_per_second')} a second, median"] = round(statistics.median(r[key] for r in steady if r.get(key)))
    if memory := [r["memory_mb"] for r in steps if r.get("memory_mb")]:
        values["memory at most"] = f"{max(memory):,.0f} MB"
    if held := [r["seconds"] for r in run.records if "held_out" in r and r.get("seconds")]:
        values["held-out evaluations"] = f"{len(held)}, {_duration(sum(held))} in all"
    return _table_of(values)


def _recipe(run: RunData) -> str:
    shown = re.sub(r"(?m)^([ -]*)([\w.-]+):", r'\1<b class="key">\2</b>:', escape(run.recipe))
    head = "<summary>the resolved recipe; it runs again to the same losses</summary>"
    return f'<details class="card">{head}<pre>{shown}</pre></details>' if run.recipe else ""
