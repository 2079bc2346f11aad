"""The parts of a corpus's page, as HTML: tables of what became of documents, reasons with examples,
histograms of attributes, edits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from genwright.core.corpus import Column, Rule
from genwright.curation import removed_table
from genwright.curation.attributes import about_prepared, columns_of
from genwright.curation.build import Corpus
from genwright.curation.copies import EXACT, NEAR
from genwright.curation.look import bounds_of, dropped_document, edits_in, row_of, where
from genwright.curation.mix_jobs import BUDGET, UNWANTED
from genwright.curation.page_edits import Edits, shown_edit
from genwright.curation.page_numbers import (
    DROPPED,
    FATES,
    MEASURED,
    Count,
    Fates,
    Numbers,
    rules_in,
    summed,
    total,
)
from genwright.curation.page_shown import COLUMNS, as_html
from genwright.curation.page_values import Bins, Spread
from genwright.curation.removed import RemovedOf
from genwright.curation.store import Shard
from genwright.data.cache import SPLITS
from genwright.reporting.bars import Bound, Counts, Part, histogram, stacked
from genwright.reporting.fragments import ROWS, card_grid, chapter, section_title, soft
from genwright.reporting.markup import Markup, Templates, joined
from genwright.reporting.svg import key, short

HTML = Templates("genwright.curation", "page.html")
NAMES = {SPLITS[0]: "trained on", SPLITS[1]: "held out", DROPPED: "dropped"}
COLOURS = {SPLITS[0]: 0, SPLITS[1]: 2, DROPPED: 1}
VALUES = 20  # of a label that have a row of their own
EXPLAINED = 40  # reasons with examples, the most frequent ones
OPEN = 3  # reasons whose examples stand open
NO_RULES = {
    UNWANTED: "mix.weights gives it the weight 0",
    EXACT: "equal to another document, which stays",
    NEAR: "nearly equal to another document, which stays",
    BUDGET: "left out by chance, for mix.tokens asks for less than there is",
}
UNKNOWN = "not known"


def share(part: float, whole: float) -> str:
    """A part in percent of the whole.

    >>> share(1, 3), share(1, 100000), share(0, 0)
    ('33.3%', '< 0.1%', '0%')
    """
    if not part:
        return "0%"
    if part < 0.001 * whole:
        return "< 0.1%"
    return f"{part / whole:.1%}"


def in_bytes(count: int) -> str:
    """Bytes for a person, in three digits or all of them.

    >>> in_bytes(999), in_bytes(1234), in_bytes(12_345_678)
    ('999 B', '1.23 kB', '12.3 MB')
    """
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5 or unit == "GB":
            break
        size /= 1000
    if unit == "B":
        return f"{count} B"
    digits = max(0, 2 - int(math.log10(size)))
    return f"{size:,.{digits}f} {unit}"


def table(heads: Sequence[str], lines: Sequence[Sequence[str]], numbers: int) -> Markup:
    """A table. lines: cells, the last `numbers` of which are numbers. Rows beyond ROWS open on
    demand."""
    plain = len(heads) - numbers
    open_rows = ROWS
    if len(lines) <= ROWS + 1:
        open_rows = len(lines)
    rest = lines[open_rows:]
    return HTML.table(heads, lines[:open_rows], rest, f"{len(rest):,} more", plain)


# ---- what became of everything


def legend() -> Markup:
    """The colours of what became of documents."""
    return HTML.legend([key(NAMES[fate], COLOURS[fate]) for fate in FATES])


def bar(fates: Fates, measure: Callable[[Count], int]) -> Markup:
    """What became of documents as a bar. measure: documents, or bytes."""
    return stacked([Part(NAMES[fate], measure(fates[fate]), COLOURS[fate]) for fate in FATES])


def tables(numbers: Numbers, sources: Mapping[str, str]) -> Markup:
    """What became of everything: by source, and by every label. sources: name -> what it is."""
    parts = [section_title("What became of everything"), legend()]
    parts.append(_fates_table("source", numbers.by["source"], sources))
    for label, by_value in numbers.by.items():
        if label == "source" or not by_value:
            continue
        name = label.removeprefix(MEASURED)
        told = ""
        if label.startswith(MEASURED):
            told = ", as an attribute says it"
        elif label in numbers.attribute_of:
            told = ": what the document says, else its source"
        parts.append(chapter(f"By {name}{told}"))
        if set(by_value) == {""}:
            parts.append(soft(f"The {name} of no document is known."))
        else:
            parts.append(_fates_table(name, by_value, {}))
    return joined(parts)


def _fates_table(label: str, by_value: Mapping[str, Fates], about: Mapping[str, str]) -> Markup:
    """Values of a label, the most frequent first, the rest in one row, all together in the last."""
    ordered = sorted(by_value.items(), key=lambda each: (-total(each[1]).documents, each[0]))
    lines = []
    for value, fates in ordered[:VALUES]:
        name: str = value or UNKNOWN
        if value in about:
            name = HTML.small(name, about[value])
        lines.append(_fates_line(name, fates))
    rest = ordered[VALUES:]
    if rest:
        lines.append(_fates_line(f"{len(rest):,} others", summed(fates for _, fates in rest)))
    if len(ordered) > 1:
        lines.append(_fates_line(HTML.all_of_it(), summed(by_value.values())))
    heads = (label, "documents, bytes", "documents", "bytes", *(NAMES[fate] for fate in FATES))
    return table(heads, lines, 5)


def _fates_line(name: str, fates: Fates) -> list[str]:
    whole = total(fates)
    by_documents = bar(fates, lambda count: count.documents)
    by_bytes = bar(fates, lambda count: count.bytes)
    cells = [name, by_documents + by_bytes, f"{whole.documents:,}", in_bytes(whole.bytes)]
    for fate in FATES:
        count = fates[fate]
        portion = share(count.documents, whole.documents)
        cells.append(HTML.small(f"{count.documents:,}", portion))
    return cells


# ---- why


def in_words(corpus: Corpus, rule: Rule) -> str:
    """What a rule demands, with its bounds."""
    _, column = columns_of(corpus.recipe.kind)[rule.attribute]
    exactly = rule.attribute
    bounds = bounds_of(rule)
    if bounds != rule.detail:  # of a rule without bounds they are its detail
        exactly += f" {bounds}"
    about = _about(column)
    if about:
        exactly += f" ({about})"
    if not rule.detail:
        return exactly
    return HTML.small(rule.detail, exactly)


def _about(column: Column) -> str:
    """The unit of an attribute and what it is of."""
    if column.detail.startswith("of ") and column.unit:
        return f"{column.unit} {column.detail}"
    return ", ".join(text for text in (column.unit, column.detail) if text)


def reasons(corpus: Corpus, numbers: Numbers) -> Markup:
    """Why documents were dropped, with examples."""
    heading = section_title("Why documents were dropped")
    if not numbers.reasons:
        return heading + soft("None was dropped.")
    rules: dict[str, list[Rule]] = {}
    for rule in rules_in(corpus):
        rules.setdefault(rule.reason, []).append(rule)
    ordered = sorted(numbers.reasons.items(), key=lambda each: (-each[1].documents, each[0]))
    most = ordered[0][1].documents
    lines = []
    for reason, count in ordered:
        width = f"{count.documents / most:.1%}"
        words = [in_words(corpus, rule) for rule in rules.get(reason, ())]
        line = [
            HTML.reason(reason, width, COLOURS[DROPPED]),
            joined(words) or NO_RULES.get(reason, ""),
            f"{count.documents:,}",
            share(count.documents, numbers.total.documents),
            in_bytes(count.bytes),
            f"{numbers.breaking[reason]:,}" if reason in rules else "",
        ]
        lines.append(line)
    note = soft(
        "A document is dropped for the first rule that it breaks, in the order of the filters;"
        " copies are looked for among the others. The last column counts all that break the rule,"
        " those that were dropped for an earlier one among them."
    )
    heads = ("reason", "rule", "documents", "of all", "bytes", "break it")
    parts = [heading, note, table(heads, lines, 4)]
    parts.append(chapter("Examples, chosen by chance"))
    for place, (reason, count) in enumerate(ordered[:EXPLAINED]):
        parts.append(_examples(corpus, numbers, reason, count, place < OPEN))
    if len(ordered) > EXPLAINED:
        parts.append(soft("Of rarer reasons, genwright data dropped CORPUS shows examples."))
    return joined(parts)


def removed_section(several: Sequence[RemovedOf]) -> Markup:
    """What was removed by the labels of documents; "" where no label tells groups apart, or nothing
    was removed."""
    parts = []
    for part in several:
        steps = removed_table.columns_of(part)
        if len(part.groups) < 2 or not steps:
            continue
        note = Markup()
        if part.silent:
            note = soft(f"Of {part.silent:,} documents it is not known.")
        if len(part.groups) > removed_table.GROUPS:
            note += soft(f"Of {len(part.groups):,}, those of most documents.")
        lines = removed_table.lines_of(part, steps)
        shown = table((part.name, *steps), lines, len(steps))
        parts.append(chapter(f"By {part.name}") + shown + note)
    if not parts:
        return Markup()
    parts.insert(0, section_title("What was removed, by group") + soft(removed_table.NOTE))
    more = "genwright data removed CORPUS --groups FILE.csv takes groups of your own words."
    return joined([*parts, soft(more)])


def _examples(corpus: Corpus, numbers: Numbers, reason: str, count: Count, is_open: bool) -> Markup:
    """Some documents that were dropped for a reason."""
    documents = []
    for place in numbers.examples[reason]:
        shard = Shard(corpus.folder, place.key)
        row = int(place.row)
        edits = edits_in(corpus, shard, row)
        hides = any(edit.text for edit in edits)  # a note could quote what is not to be seen
        found = dropped_document(corpus, shard, row, noted=not hides)
        name = where(found.source, found.file, found.place)
        known = row_of(shard.documents, row, COLUMNS)
        shown = as_html(corpus.recipe.kind, known, edits)
        documents.append((found.why, f"{name} ({found.id[:12]})", shown))
    counted = f": {len(numbers.examples[reason])} of {count.documents:,}"
    return HTML.examples(reason, counted, documents, is_open)


# ---- what the rules measure


def values(corpus: Corpus, numbers: Numbers) -> Markup:
    """Histograms of the attributes that rules ask for."""
    if not numbers.bins:
        return Markup()
    rules = rules_in(corpus)
    cards = []
    for name, bins in numbers.bins.items():
        own = [rule for rule in rules if rule.attribute == name]
        group, column = columns_of(corpus.recipe.kind)[name]
        about = about_prepared(corpus.folder, group)
        cards.append(_histogram(numbers.spreads[name], bins, own, column, about))
    note = soft(
        "Documents by the value of each attribute. Dashed lines are the bounds of rules; what is"
        " dropped between them broke another rule. Scales are logarithmic where their marks say so."
    )
    colours = [key("kept", COLOURS[SPLITS[0]]), key("dropped", COLOURS[DROPPED])]
    return section_title("What the rules measure") + note + HTML.legend(colours) + card_grid(cards)


def _histogram(
    spread: Spread, bins: Bins, rules: Sequence[Rule], column: Column, prepared: Sequence[str]
) -> Markup:
    """The values of an attribute. prepared: what there is to say about what it needed."""
    about = _about(column)
    title = column.name
    if about:
        title += f": {about}"
    counts = [
        Counts("kept", bins.kept.tolist(), COLOURS[SPLITS[0]], bins.zeros[0]),
        Counts("dropped", bins.dropped.tolist(), COLOURS[DROPPED], bins.zeros[1]),
    ]
    apart = "0" if sum(bins.zeros) else ""
    label = column.unit or column.name
    chart = histogram(
        bins.edges.tolist(),
        counts,
        _bounds(rules, spread.whole),
        log=bins.log,
        label=label,
        apart=apart,
    )
    facts = []
    if spread.low <= spread.high:
        median = spread.median()
        if median is None:
            middle = f"about {float(f'{spread.quantile(0.5):.2g}'):,.10g}"
        else:
            middle = _value(median)
        facts.append(f"{_value(spread.low)} to {_value(spread.high)}, median {middle}")
    if spread.missing:
        kept, dropped = bins.missing
        facts.append(f"no value: {kept:,} kept, {dropped:,} dropped")
    return HTML.histogram(title, prepared, chart, "; ".join(facts))


def _bounds(rules: Sequence[Rule], whole: bool) -> list[Bound]:
    """The bounds of rules as lines. whole: the values are whole numbers, and a line stands between
    those that satisfy the rule and those that do not."""
    away = 0.5 if whole else 0.0
    bounds = []
    for rule in rules:
        if rule.at_least is not None:
            name = f"at least {short(rule.at_least)}"
            bounds.append(Bound(rule.at_least - away, name, rule.reason))
        if rule.at_most is not None:
            name = f"at most {short(rule.at_most)}"
            bounds.append(Bound(rule.at_most + away, name, rule.reason))
    return bounds


def _value(value: float) -> str:
    return f"{float(f'{value:.4g}'):,.10g}"


# ---- edits


def edits_section(corpus: Corpus, edits: Edits) -> Markup:
    """What is replaced in documents that are kept, by kind, with examples."""
    if not edits.kinds:
        return Markup()
    count = sum(edits.kinds.values())
    intro = soft(
        f"{count:,} edits in {edits.documents:,} of the documents that are kept replace"
        f" {edits.characters:,} characters when these are read. What stood in the place of"
        " another text is not shown here."
    )
    ordered = sorted(edits.kinds.items(), key=lambda each: (-each[1], each[0]))
    lines = []
    for kind, number in ordered:
        _, column = columns_of(corpus.recipe.kind)[kind.column]
        about = HTML.small(kind.column, column.detail)
        text = HTML.code(kind.text) if kind.text else "nothing"
        lines.append([about, text, f"{number:,}", share(number, count)])
    heads = ("edits", "what is read in the place", "how many", "of all")
    parts = [section_title("What is replaced in documents"), intro, table(heads, lines, 2)]
    for nth, (kind, _) in enumerate(ordered[:VALUES]):
        texts = []
        for place in edits.examples[kind]:
            shard = Shard(corpus.folder, place.key)
            row = int(place.row)
            known = row_of(shard.documents, row, ["text", "source", "file", "place"])
            name = where(known["source"], known["file"], known["place"])
            texts.append(
                (name, shown_edit(known["text"], edits_in(corpus, shard, row), place.edit))
            )
        summary = f"{kind.column}: {kind.text or 'taken out'}"
        parts.append(HTML.edits(summary, texts, nth < OPEN))
    return joined(parts)
