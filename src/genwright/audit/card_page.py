"""Cards as one page, for a person: the model card and what is known of its data, or the card of a
corpus. Every text is escaped; nothing runs, nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from genwright.audit.card_answers import OF_BOTH, OF_DATA, PREFIX, QUESTIONS, Answers, Unknown
from genwright.audit.card_audits import Audit, GroupShare, Intersection
from genwright.audit.card_corpus import (
    LABELS,
    CorpusFacts,
    by_size,
    corpus_licence,
    dropped,
    measured_of_corpus,
)
from genwright.audit.card_facts import RunFacts
from genwright.audit.page_pairs import SECONDARY
from genwright.data.cache import SPLITS
from genwright.recipe.yaml_text import write_yaml
from genwright.reporting import page
from genwright.reporting.figure_table import figure_table
from genwright.reporting.fragments import (
    alarms,
    card_grid,
    chapter,
    facts_of,
    lead_text,
    page_title,
    plain_table,
    recipe_of,
    section_title,
    sentence_case,
    soft,
    tile,
    tiles,
)
from genwright.reporting.head import sentence
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.page import RunData
from genwright.reporting.svg import short

HTML = Templates("genwright.audit", "card_page.html")
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


def heading_of(number: int, text: str) -> Markup:
    """The heading of a section of the paper."""
    return section_title(f"{number}. {text}")


def facts_table(values: Mapping[str, Any]) -> Markup:
    """A nested mapping as a table; what is unknown says so, and what makes it known."""
    lines = _lines(values, "")
    open_rows = ROWS
    if len(lines) <= ROWS + 2:
        open_rows = len(lines)
    return facts_of(lines, open_rows)


def _lines(values: Mapping[str, Any], prefix: str) -> list[tuple[str, str]]:
    found = []
    for key, value in values.items():
        name = f"{prefix}{NAMES.get(str(key), str(key).replace('_', ' '))}"
        if isinstance(value, Mapping) and value:
            found += _lines(value, f"{name} / ")
            continue
        if isinstance(value, Mapping):
            value = "none"
        found.append((name, _cell(value)))
    return found


def _cell(value: Any) -> str:
    """A value as HTML, or as a text."""
    if isinstance(value, Unknown):
        return HTML.unknown(f"{value.why}; {value.remedy}")
    if isinstance(value, (list, tuple)):
        if not value:
            return "none"
        return joined([_plain(each) for each in value], "<br>")
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {page.plain(each)}" for name, each in value.items())
    return page.plain(value)


def folded(html: Markup, summary: str) -> Markup:
    """What opens under a summary."""
    return HTML.folded(html, summary)


def bars_of(title: str, counts: Mapping[str, int], whole: int, thing: str) -> Markup:
    """Counts of the values of an attribute as bars, the most frequent first. whole: examples."""

    def place(item: tuple[str, int]) -> tuple[int, str]:
        return -item[1], item[0]

    ordered = sorted(counts.items(), key=place)
    most = max((count for _, count in ordered), default=0)
    rows = [_bar(name, count, most, whole) for name, count in ordered]
    known = f"{len(counts):,} values; shares are of all {whole:,} {thing}s"
    return HTML.bars(title, known, rows[:SHOWN], rows[SHOWN:])


def _bar(name: str, count: int, most: int, whole: int) -> tuple[str, str, str]:
    """Name, width of the bar, and the count with its share."""
    width = count / most if most else 0
    text = f"{count:,}"
    if 0 < whole >= count:
        text += f" ({count / whole:.1%})"
    return name, f"{width:.1%}", text


def unknown_of(names: Mapping[str, str], asked: int, more: Sequence[Unknown]) -> Markup:
    """What is not known, at the head of the page; "" where all is. names: what has no answer, of so
    many questions. more: what was not measured."""
    html = alarms([f"{sentence_case(each.why)}: {each.remedy}" for each in more])
    if names:
        about = f"Nobody has answered yet: {len(names):,} of {asked:,} questions to people"
        questions = [(f"{PREFIX}{name}", question) for name, question in names.items()]
        html += HTML.unanswered(about, questions)
    return html


# ---- a run


def run_page(
    facts: RunFacts, card: Mapping[str, Any], answers: Answers, missing: Sequence[Unknown]
) -> Markup:
    """The body of the page of a run. card: of `card_model.model_card`. missing: what was not
    measured."""
    details = dict(card["model_details"])
    recipe = details.pop("recipe")
    made = {name: details.pop(name) for name in MADE if name in details}
    training = dict(card["training_data"])
    attributes = training.pop("attributes")
    parts = [
        page_title(facts.name),
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
        _pairs(facts),
        heading_of(8, "Ethical considerations"),
        facts_table(card["ethical_considerations"]),
        heading_of(9, "Caveats and recommendations"),
        facts_table(card["caveats_and_recommendations"]),
        section_title("About the data, as people say it"),
        facts_table({name: answers.of(name) for name in OF_DATA}),
        soft(
            "The sections are those of Mitchell et al., Model Cards for Model Reporting, arXiv"
            " 1810.03993. The same as JSON: model-card.json; the data as Croissant JSON-LD:"
            " croissant.json."
        ),
    ]
    return joined([part for part in parts if part], "\n")


def _head(facts: RunFacts) -> Markup:
    figures = facts.evaluation.figures if facts.evaluation else []
    measured = sentence(RunData(facts.name, figures=figures))
    weights = "weights of that step"
    if facts.weights == "ema":
        weights = "averaged weights"
    networks = ""
    if len(facts.parameters) > 1:
        networks = f"in {len(facts.parameters)} networks"
    found = [
        tile(short(sum(facts.parameters.values())), "parameters", networks),
        tile(f"{facts.step:,}", "steps", f"of {facts.steps:,}; {weights}"),
        tile(f"{facts.split('train'):,}", f"{facts.thing}s to train on"),
        tile(f"{facts.split('held_out'):,}", "held out"),
        tile(str(timedelta(seconds=round(facts.seconds))), "of training"),
    ]
    return lead_text(f"{facts.trained_on} {measured}") + tiles(found)


def _metrics(metrics: Any) -> Markup:
    if isinstance(metrics, Unknown):
        return facts_table({"what was measured": metrics})
    summary = f"{len(metrics):,} measures; their values stand in section 7"
    return HTML.metrics(summary, metrics)


def _attributes(facts: RunFacts, attributes: Any) -> Markup:
    if isinstance(attributes, Unknown):
        return facts_table({"attributes": attributes})
    cards = [
        bars_of(name, counts, facts.examples, facts.thing) for name, counts in attributes.items()
    ]
    return card_grid(cards)


def _figures(facts: RunFacts, figures: Any) -> Markup:
    if facts.evaluation is None:
        return facts_table({"figures": figures})
    at = f"step {facts.evaluation.step:,}, {facts.evaluation.weights} weights"
    # how they were measured stands among the metrics
    shown = [replace(figure, detail="") for figure in facts.evaluation.figures]
    return figure_table([RunData(facts.name, figures=shown, measured_at=at)], is_part=True)


def _audits(facts: RunFacts, groups: Any) -> Markup:
    heading = chapter("By group")
    if isinstance(groups, Unknown):
        return heading + facts_table({"groups": groups})
    return heading + joined(_audit(audit) for audit in facts.audits)


def _audit(audit: Audit) -> Markup:
    about = f"At {audit.at}, on {audit.samples:,} samples; in brackets intervals of 95%."
    tables = _shares_table(audit.rows) + joined(_intersection(each) for each in audit.intersections)
    return HTML.audit(about, tables, audit.remarks)


def _shares_table(rows: Sequence[GroupShare]) -> Markup:
    heads = ("grouping", "group", "share in the data", "share in samples", "samples minus data")
    return plain_table(heads, [_audit_row(row) for row in rows])


def _intersection(crossed: Intersection) -> Markup:
    names = " and ".join(crossed.groupings)
    many = "combination" if len(crossed.rows) == 1 else "combinations"
    summary = f"Intersections of {names}: {len(crossed.rows):,} {many}"
    note = f"Intervals hold together. {sentence_case(crossed.how)}."
    return folded(_shares_table(crossed.rows) + soft(note), summary)


def _pairs(facts: RunFacts) -> Markup:
    """What was measured on pairs of sentences; nothing of a run that was not."""
    if not facts.pairs:
        return Markup()
    heading = chapter("On pairs of sentences") + soft(SECONDARY)
    return heading + joined(each.html for each in facts.pairs)


def _audit_row(row: GroupShare) -> list[str]:
    name: str = row.grouping
    if row.too_few:
        name = HTML.too_few(name)
    cells = [name, row.group]
    for found, key in ((row.data, "share"), (row.samples, "share"), (row.difference, "value")):
        cells.append(_interval(found, key, key == "value"))
    return cells


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


def corpus_page(facts: CorpusFacts, answers: Answers) -> Markup:
    """The body of the page of a corpus."""
    kept = facts.counts["kept"]
    lead = (
        f"{facts.documents:,} documents from {len(facts.sources):,} sources:"
        f" {kept[SPLITS[0]]:,} to be trained on, {kept[SPLITS[1]]:,} held out,"
        f" {dropped(facts):,} dropped."
    )
    asked = {**OF_BOTH, **OF_DATA}
    parts = [
        page_title(facts.name),
        lead_text(lead) + _corpus_tiles(facts),
        unknown_of(answers.missing(asked), len(asked), []),
        section_title("Licence"),
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
        parts.append(section_title(title) + facts_table({"counted": measured[key]}))
    digests = {name: sha for name, (sha, _) in facts.shards.items()}
    parts += [
        section_title("What people say of it"),
        facts_table({name: answers.of(name) for name in asked}),
        section_title("Files"),
        facts_table({"SHA-256": digests}),
        soft("The same as Croissant JSON-LD: croissant.json."),
    ]
    return joined([part for part in parts if part], "\n")


def _corpus_tiles(facts: CorpusFacts) -> Markup:
    kept = facts.counts["kept"]
    found = [
        tile(f"{facts.documents:,}", "documents", f"{short(facts.counts['bytes'])} bytes"),
        tile(f"{kept[SPLITS[0]]:,}", "to be trained on"),
        tile(f"{kept[SPLITS[1]]:,}", "held out"),
        tile(f"{dropped(facts):,}", "dropped"),
        tile(f"{facts.unread:,}", "not read", "files, or parts of them"),
    ]
    return tiles(found)


def write(path: Path, name: str, body: Markup) -> Path:
    """Writes a page. Raises GenwrightError where it cannot be written."""
    return page.write(path, f"{name}, card", body)
