"""Cards as one page, for a person: the model card and what is known of its data, or the card of a
corpus. Every text is escaped; nothing runs, nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

from genwright.audit.card_answers import OF_BOTH, OF_DATA, PREFIX, QUESTIONS, Answers, Unknown
from genwright.audit.card_corpus import (
    LABELS,
    CorpusFacts,
    by_size,
    corpus_licence,
    dropped,
    measured_of_corpus,
)
from genwright.audit.card_facts import Audit, GroupShare, RunFacts
from genwright.data.cache import SPLITS
from genwright.recipe.yaml_text import write_yaml
from genwright.reporting import page
from genwright.reporting.figure_table import figure_table
from genwright.reporting.fragments import alarms, recipe_of, sentence_case, soft, tile
from genwright.reporting.head import sentence
from genwright.reporting.page import RunData
from genwright.reporting.svg import short

# details that stand folded
MADE = ("sha256_of_checkpoint_files", "training_seconds", "genwright", "machine", "sizes")
SHOWN = 12  # values of an attribute that stand open
ROWS = 24  # of a table that stand open
NAMES = {  # of facts, where the name itself is not what a person would write
    "sha256": "SHA-256",
    "sha256_of_checkpoint_files": "SHA-256",
    "gpu": "GPU",
    "how": "how it was measured",
    "of_steps": "of steps in all",
    "what": "what it is",
    "held out": "held out",
    "rare": "values too rare to be a condition",
    "unlabelled": "without any attribute",
    "copies": "equal to an earlier one",
}


# ---- pieces


def heading_of(number: int, text: str) -> str:
    """The heading of a section of the paper."""
    return f"<h2>{number}. {escape(text)}</h2>"


def facts_table(values: Mapping[str, Any]) -> str:
    """A nested mapping as a table; what is unknown says so, and what makes it known."""
    lines = _lines(values, "")
    shown = "".join(lines[:ROWS])
    rest = ""
    if len(lines) > ROWS + 2:
        summary = f"<summary>{len(lines) - ROWS} more</summary>"
        rest = f"<details>{summary}<table>{''.join(lines[ROWS:])}</table></details>"
    else:
        shown = "".join(lines)
    return f'<div class="card"><table>{shown}</table>{rest}</div>'


def _lines(values: Mapping[str, Any], prefix: str) -> list[str]:
    found = []
    for key, value in values.items():
        name = f"{prefix}{NAMES.get(str(key), str(key).replace('_', ' '))}"
        if isinstance(value, Mapping) and value:
            found += _lines(value, f"{name} / ")
            continue
        if isinstance(value, Mapping):
            value = "none"
        cells = f'<td class="key">{escape(name)}</td><td class="text">{_cell(value)}</td>'
        found.append(f"<tr>{cells}</tr>")
    return found


def _cell(value: Any) -> str:
    """A value as HTML."""
    if isinstance(value, Unknown):
        why = f"{value.why}; {value.remedy}"
        return f'<span class="status">unknown</span> <span class="soft">{escape(why)}</span>'
    if isinstance(value, (list, tuple)):
        if not value:
            return "none"
        parts = [escape(_plain(each)) for each in value]
        return "<br>".join(parts)
    return escape(_plain(value))


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {page.plain(each)}" for name, each in value.items())
    return page.plain(value)


def folded(html: str, summary: str) -> str:
    """What opens under a summary."""
    return f'<details class="card"><summary>{escape(summary)}</summary>{html}</details>'


def bars_of(title: str, counts: Mapping[str, int], whole: int, thing: str) -> str:
    """Counts of the values of an attribute as bars, the most frequent first. whole: examples."""

    def place(item: tuple[str, int]) -> tuple[int, str]:
        return -item[1], item[0]

    ordered = sorted(counts.items(), key=place)
    most = max((count for _, count in ordered), default=0)
    rows = [_bar(name, count, most, whole) for name, count in ordered]
    html = f'<div class="bars">{"".join(rows[:SHOWN])}</div>'
    if len(rows) > SHOWN:
        summary = f"<summary>{len(rows) - SHOWN} more values</summary>"
        html += f'<details>{summary}<div class="bars">{"".join(rows[SHOWN:])}</div></details>'
    known = f"{len(counts):,} values; shares are of all {whole:,} {thing}s"
    return f'<div class="card"><h3>{escape(title)}</h3>{soft(escape(known))}{html}</div>'


def _bar(name: str, count: int, most: int, whole: int) -> str:
    width = count / most if most else 0
    text = f"{count:,}"
    if 0 < whole >= count:
        text += f" ({count / whole:.1%})"
    return (
        f'<code>{escape(name)}</code><i style="width:{width:.1%}"></i><span>{escape(text)}</span>'
    )


def unknown_of(names: Mapping[str, str], asked: int, more: Sequence[Unknown]) -> str:
    """What is not known, at the head of the page; "" where all is. names: what has no answer, of so
    many questions. more: what was not measured."""
    html = alarms([f"{sentence_case(each.why)}: {each.remedy}" for each in more])
    if names:
        listed = ""
        for name, question in names.items():
            listed += f"<li><code>{PREFIX}{escape(name)}</code>: {escape(question)}</li>"
        about = f"Nobody has answered yet: {len(names):,} of {asked:,} questions to people"
        summary = f"<summary>{escape(about)}</summary>"
        html += f'<div class="alarm"><details>{summary}<ul>{listed}</ul></details></div>'
    return html


# ---- a run


def run_page(
    facts: RunFacts, card: Mapping[str, Any], answers: Answers, missing: Sequence[Unknown]
) -> str:
    """The body of the page of a run. card: of `card_model.model_card`. missing: what was not
    measured."""
    details = dict(card["model_details"])
    recipe = details.pop("recipe")
    made = {name: details.pop(name) for name in MADE if name in details}
    training = dict(card["training_data"])
    attributes = training.pop("attributes")
    parts = [
        f"<h1>{escape(facts.name)}</h1>",
        _head(facts),
        unknown_of(answers.missing(QUESTIONS), len(QUESTIONS), missing),
        heading_of(1, "Model details"),
        facts_table(details),
        folded(facts_table(made), "files with their SHA-256, machine, versions"),
        recipe_of(write_yaml(recipe), "all settings of the recipe"),
        heading_of(2, "Intended use"),
        facts_table(card["intended_use"]),
        heading_of(3, "Factors"),
        facts_table(card["factors"]),
        heading_of(4, "Metrics"),
        _metrics(card["metrics"]),
        heading_of(5, "Evaluation data"),
        facts_table(card["evaluation_data"]),
        heading_of(6, "Training data"),
        facts_table(training),
        _attributes(facts, attributes),
        heading_of(7, "Quantitative analyses"),
        _figures(facts, card["quantitative_analyses"]["figures"]),
        _audits(facts, card["quantitative_analyses"]["groups"]),
        heading_of(8, "Ethical considerations"),
        facts_table(card["ethical_considerations"]),
        heading_of(9, "Caveats and recommendations"),
        facts_table(card["caveats_and_recommendations"]),
        "<h2>About the data, as people say it</h2>",
        facts_table({name: answers.of(name) for name in OF_DATA}),
        soft(
            "The sections are those of Mitchell et al., Model Cards for Model Reporting, arXiv"
            " 1810.03993. The same as JSON: model-card.json; the data as Croissant JSON-LD:"
            " croissant.json."
        ),
    ]
    return "\n".join(part for part in parts if part)


def _head(facts: RunFacts) -> str:
    figures = facts.evaluation.figures if facts.evaluation else []
    measured = sentence(RunData(facts.name, figures=figures))
    lead = f'<p class="lead">{escape(facts.trained_on)} {escape(measured)}</p>'
    weights = "weights of that step"
    if facts.weights == "ema":
        weights = "averaged weights"
    networks = ""
    if len(facts.parameters) > 1:
        networks = f"in {len(facts.parameters)} networks"
    tiles = [
        tile(short(sum(facts.parameters.values())), "parameters", networks),
        tile(f"{facts.step:,}", "steps", f"of {facts.steps:,}; {weights}"),
        tile(f"{facts.split('train'):,}", f"{facts.thing}s to train on"),
        tile(f"{facts.split('held_out'):,}", "held out"),
        tile(str(timedelta(seconds=round(facts.seconds))), "of training"),
    ]
    return f'{lead}<div class="tiles">{"".join(tiles)}</div>'


def _metrics(metrics: Any) -> str:
    if isinstance(metrics, Unknown):
        return facts_table({"what was measured": metrics})
    lines = "<tr><th>measure</th><th>unit</th><th>best</th><th>how it was measured</th></tr>"
    for each in metrics:
        cells = "".join(
            f"<td>{escape(each[name])}</td>" for name in ("name", "unit", "best", "how")
        )
        lines += f"<tr>{cells}</tr>"
    summary = f"<summary>{len(metrics):,} measures; their values stand in section 7</summary>"
    return f'<details class="card">{summary}<table>{lines}</table></details>'


def _attributes(facts: RunFacts, attributes: Any) -> str:
    if isinstance(attributes, Unknown):
        return facts_table({"attributes": attributes})
    cards = [
        bars_of(name, counts, facts.examples, facts.thing) for name, counts in attributes.items()
    ]
    return f'<div class="grid2">{"".join(cards)}</div>'


def _figures(facts: RunFacts, figures: Any) -> str:
    if facts.evaluation is None:
        return facts_table({"figures": figures})
    at = f"step {facts.evaluation.step:,}, {facts.evaluation.weights} weights"
    # how they were measured stands among the metrics
    shown = [replace(figure, detail="") for figure in facts.evaluation.figures]
    table = figure_table([RunData(facts.name, figures=shown, measured_at=at)])
    return table.replace("<h2>Figures</h2>", "<h3>Figures</h3>", 1)


def _audits(facts: RunFacts, groups: Any) -> str:
    heading = "<h3>By group</h3>"
    if isinstance(groups, Unknown):
        return heading + facts_table({"groups": groups})
    return heading + "".join(_audit(audit) for audit in facts.audits)


def _audit(audit: Audit) -> str:
    names = ("grouping", "group", "share in the data", "share in samples", "samples minus data")
    head = "".join(f"<th>{name}</th>" for name in names)
    lines = f"<tr>{head}</tr>"
    for row in audit.rows:
        lines += _audit_row(row)
    about = f"At {audit.at}, on {audit.samples:,} samples; in brackets intervals of 95%."
    remarks = "".join(soft(escape(text)) for text in audit.remarks)
    return f'{soft(escape(about))}<div class="card"><table>{lines}</table></div>{remarks}'


def _audit_row(row: GroupShare) -> str:
    cells = f"<td>{escape(row.grouping)}</td><td>{escape(row.group)}</td>"
    for found, key in ((row.data, "share"), (row.samples, "share"), (row.difference, "value")):
        cells += f"<td>{escape(_interval(found, key, key == 'value'))}</td>"
    if row.too_few:
        cells = cells.replace("</td>", "<small>too few to speak of</small></td>", 1)
    return f"<tr>{cells}</tr>"


def _interval(found: Mapping[str, Any] | None, key: str, signed: bool) -> str:
    """A share with its interval. signed: it is a difference."""
    if found is None:
        return "not measured"
    if found.get(key) is None:
        return "none of them says a group"
    form = "+.1%" if signed else ".1%"
    text = format(found[key], form)
    if found.get("low") is None or found.get("high") is None:
        return text
    return f"{text} ({format(found['low'], form)} to {format(found['high'], form)})"


# ---- a corpus


def corpus_page(facts: CorpusFacts, answers: Answers) -> str:
    """The body of the page of a corpus."""
    kept = facts.counts["kept"]
    lead = (
        f"{facts.documents:,} documents from {len(facts.sources):,} sources:"
        f" {kept[SPLITS[0]]:,} to be trained on, {kept[SPLITS[1]]:,} held out,"
        f" {dropped(facts):,} dropped."
    )
    asked = {**OF_BOTH, **OF_DATA}
    parts = [
        f"<h1>{escape(facts.name)}</h1>",
        f'<p class="lead">{escape(lead)}</p>{_corpus_tiles(facts)}',
        unknown_of(answers.missing(asked), len(asked), []),
        "<h2>Licence</h2>",
        facts_table({"licence": corpus_licence(facts, answers)}),
    ]
    for label in LABELS:
        counts = {value: count.documents for value, count in by_size(facts.labels[label])}
        parts.append(bars_of(f"Documents by {label}", counts, facts.documents, "document"))
    reasons = facts.counts["dropped"]
    if reasons:
        parts.append(bars_of("Dropped, by reason", reasons, facts.documents, "document"))
    titles = {
        "rai:dataCollectionRawData": "Where it comes from",
        "rai:dataCollectionMissingData": "What is missing",
        "rai:dataPreprocessingProtocol": "What was done to it",
        "rai:dataLimitations": "The split",
    }
    measured = measured_of_corpus(facts)
    for key, title in titles.items():
        parts.append(f"<h2>{title}</h2>{facts_table({'counted': measured[key]})}")
    digests = {name: sha for name, (sha, _) in facts.shards.items()}
    parts += [
        "<h2>What people say of it</h2>",
        facts_table({name: answers.of(name) for name in asked}),
        "<h2>Files</h2>",
        facts_table({"SHA-256": digests}),
        soft("The same as Croissant JSON-LD: croissant.json."),
    ]
    return "\n".join(part for part in parts if part)


def _corpus_tiles(facts: CorpusFacts) -> str:
    kept = facts.counts["kept"]
    tiles = [
        tile(f"{facts.documents:,}", "documents", f"{short(facts.counts['bytes'])} bytes"),
        tile(f"{kept[SPLITS[0]]:,}", "to be trained on"),
        tile(f"{kept[SPLITS[1]]:,}", "held out"),
        tile(f"{dropped(facts):,}", "dropped"),
        tile(f"{facts.unread:,}", "not read", "files, or parts of them"),
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def write(path: Path, name: str, body: str) -> Path:
    """Writes a page. Raises GenwrightError where it cannot be written."""
    return page.write(path, f"{name}, card", body)
