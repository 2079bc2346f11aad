"""What `audit pairs` and `audit gaps` found of a run, on the page of its audit.

They are measured apart from the audit of groups, before it or after. So their part of the page
stands between two marks, and is made anew from their files each time that one of them is
measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genwright.audit.gaps import Gaps
from genwright.audit.kept import FOLDER, is_newest, keep, kept_name
from genwright.audit.page_run import HTML, STRONG, table
from genwright.audit.pairs import PairScores
from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import read_json, write_whole
from genwright.reporting import page
from genwright.reporting.fragments import alarms, page_title, soft
from genwright.reporting.markup import Markup, joined

PAGE = "audit.html"  # of a run
BEGIN = Markup("<!-- pairs of sentences -->")
END = Markup("<!-- end of pairs of sentences -->")
SECONDARY = (
    "Sets of pairs are noisy: take them for a second opinion, and for none of a model that tells"
    " sentences from shuffled words no better than chance."
)


def keep_pairs(found: PairScores, folder: Path) -> Path:
    """Keeps scores in a run's folder, and shows them on the page of its audit, which is given.
    Raises GenwrightError."""
    name = kept_name("pairs", found.step or 0, found.weights, [found.kind, found.file])
    keep(found.to_json(), folder, name)
    return _shown(folder)


def keep_gaps(found: Gaps, folder: Path) -> Path:
    """The same of gaps."""
    keep(found.to_json(), folder, kept_name("gaps", found.step, found.weights, [found.swaps]))
    return _shown(folder)


def _shown(folder: Path) -> Path:
    """Writes the part of the page anew; a page of that alone where the run was not audited."""
    path = folder / PAGE
    part = pairs_part(folder)
    try:
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        before, mark, rest = text.partition(BEGIN)
        after = rest.partition(END)[2]
        if not mark:  # a page of another version, or none
            before, ends, after = text.rpartition("</main>")
            after = ends + after
        if before:
            write_whole(path, f"{before}{part}{after}")
            return path
    except (OSError, UnicodeDecodeError) as problem:
        raise GenwrightError(
            f"{path} cannot be written anew ({in_words(problem)})",
            "move it away, and run this again",
        ) from problem
    heading = page_title(f"Audits of {folder.name}")
    return page.write(path, f"audits of {folder.name}", heading + part)


@dataclass(frozen=True)
class KeptPairs:
    """A file of `audit pairs` or `audit gaps` in a run's folder. kind: "pairs" or "gaps". found:
    what it holds. html: the same, for a page."""

    kind: str
    found: Mapping[str, Any]
    html: Markup


def kept_pairs(folder: Path) -> list[KeptPairs]:
    """All that was measured on pairs of sentences and is kept in a run's folder. Raises
    GenwrightError for a file that is damaged."""
    found = []
    for kind, section in (("pairs", _pairs), ("gaps", _gaps)):
        for path in sorted((folder / FOLDER).glob(f"{kind}-*.json")):
            if is_newest(path):
                found.append(_read(path, kind, section))
    return found


def pairs_part(folder: Path) -> Markup:
    """The same as part of a page, between its marks. Raises GenwrightError."""
    body = joined(each.html for each in kept_pairs(folder))
    if body:
        body = HTML.part("Language models on pairs of sentences", soft(SECONDARY) + body)
    return BEGIN + body + END


def _read(path: Path, kind: str, section: Callable[[Mapping[str, Any]], Markup]) -> KeptPairs:
    remedy = "delete it, and measure it again"
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise GenwrightError(f"{path} cannot be read ({in_words(problem)})", remedy) from problem
    kept = read_json(text, path, remedy)
    try:
        html = section(kept)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise GenwrightError(f"{path} is not as this version writes it", remedy) from None
    return KeptPairs(kind, kept, html)


def _at(kept: Mapping[str, Any]) -> str:
    return f"step {kept['step']:,}, {kept['weights']} weights"


def _pairs(kept: Mapping[str, Any]) -> Markup:
    lines = []
    named = [(rate, rate["group"]) for rate in kept["rates"]]
    named.append((kept["by_total"], "all pairs, by total log-probability"))
    for rate, name in named:
        cells: list[str] = [str(name), f"{rate['pairs']:,}"]
        if rate["small"]:
            cells += ["too few", ""]
        else:
            interval = f"{rate['low']:.1%} to {rate['high']:.1%}"
            cells.append(STRONG.format(f"{rate['share']:.1%}", interval))
            cells.append(f"{rate['placebo_low']:.1%} to {rate['placebo_high']:.1%}")
        lines.append(cells)
    heads = ("group", "pairs", "more stereotyping one likelier", "placebo")
    title = f"{kept['file']}: how often the more stereotyping sentence has the {kept['rule']}"
    ordered = f"{kept['ordered_low']:.1%} to {kept['ordered_high']:.1%}"
    score = (
        f"{_at(kept)}. 50% is the target. Language model: {kept['nats_per_token']:.3f} nats a"
        f" token; {kept['ordered']:.1%} of {kept['shuffled']:,} sentences likelier than their"
        f" shuffled words ({ordered}; 50% is chance)."
    )
    return table(heads, lines, title) + soft(score) + alarms(kept["remarks"])


def _gaps(kept: Mapping[str, Any]) -> Markup:
    rows = list(kept["gaps"])
    if kept["difference"] is not None:
        rows.append(kept["difference"])
    lines = []
    for row in rows:
        cells: list[str] = [str(row["direction"]), f"{row['documents']:,}"]
        if row["mean"] is None:
            cells += ["too few", ""]
        else:
            interval = f"{row['low']:.3f} to {row['high']:.3f}"
            cells.append(STRONG.format(f"{row['mean']:.3f}", interval))
            cells.append(f"{row['placebo_low']:.3f} to {row['placebo_high']:.3f}")
        lines.append(cells)
    title = f"{kept['swaps']}: how much likelier documents are than with its words exchanged"
    score = f"{_at(kept)}. {kept['read']:,} held-out documents were read."
    if kept["nats_per_token"] is not None:
        score += f" Language model: {kept['nats_per_token']:.3f} nats a token of these."
    heads = ("direction", "documents", "nats a document", "placebo")
    return table(heads, lines, title) + soft(score) + alarms(kept["remarks"])
