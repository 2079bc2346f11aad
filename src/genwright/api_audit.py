"""The Python interface of audits, for the command line: of data, of a run, of a mitigation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genwright.audit.compare import Comparison, compare
from genwright.audit.data import audit_data
from genwright.audit.found import DataAudit
from genwright.audit.gaps import Gaps, gaps_of
from genwright.audit.page import check_page, data_page, run_page, table_of
from genwright.audit.page_compare import compare_page
from genwright.audit.page_pairs import PAGE, keep_gaps, keep_pairs, pairs_part
from genwright.audit.pairs import PairScores, pairs_of
from genwright.audit.run import RunAudit, audit_run
from genwright.audit.scoring import is_run
from genwright.audit.table import data_text
from genwright.audit.table_compare import compare_text
from genwright.audit.table_run import run_text
from genwright.audit.targets import read_target
from genwright.core.parameters import parameters_named
from genwright.recipe.schema import Recipe
from genwright.runs.request import read_recipe

Words = str | Sequence[str]
EVENLY = "audit-evenly.html"  # of samples that were asked for values in turn


def _listed(words: Words) -> list[str]:
    """Names as a list; one text holds several with commas between them."""
    several = words.split(",") if isinstance(words, str) else words
    return [word.strip() for word in several if word.strip()]


def audit_of_data(
    recipe: str | Path | Recipe,
    *,
    groups: Words = (),
    target: str | None = None,
    split: str = "train",
    output: str | Path | None = None,
    **overrides: Any,
) -> tuple[DataAudit, Path]:
    """The groups of a recipe's data, and the page that was written, with a CSV file beside it.

    groups: attributes of the data, measures that give labels, files of words with their groups;
    none: all attributes. target: "uniform", "gender=woman:0.5|man:0.5" or a YAML file. split:
    "train" or "held_out". output: the page; default audits/RECIPE.html. Raises GenwrightError."""
    if output is not None:
        check_page(Path(output))
    with parameters_named():
        read = read_recipe(recipe, overrides)
        wanted = None if target is None else read_target(target)
        found, shown = audit_data(read, _listed(groups), wanted, split)
    page = data_page(found, shown, Path(output or Path("audits") / f"{found.name}.html"))
    return found, page


def audit_of_run(
    run: str | Path,
    *,
    groups: Words = (),
    target: str | None = None,
    n: int | None = None,
    conditions: int | None = None,
    prompt: Sequence[str] = (),
    step: int | None = None,
    weights: str | None = None,
    evenly: str = "",
    output: str | Path | None = None,
) -> tuple[RunAudit, Path]:
    """The groups that a run's model makes and finds likely, beside those of its data, kept in the
    run's folder; and the page that was written.

    groups, target: as of `audit_of_data`; target "data": the training data. n: samples. conditions:
    samples of each group that the model can be asked for. prompt: what texts begin with. evenly:
    attributes whose values samples are asked for in turn. output: the page; default RUN/audit.html,
    or RUN/audit-evenly.html. Raises GenwrightError."""
    if output is not None:
        check_page(Path(output))
    with parameters_named():
        wanted = None if target is None else read_target(target)
        found, shown = audit_run(
            run,
            _listed(groups),
            wanted,
            n,
            conditions,
            prompt,
            step,
            weights,
            evenly=",".join(_listed(evenly)),
        )
    if evenly:
        return found, run_page(found, shown, Path(output or Path(run) / EVENLY))
    page = run_page(found, shown, Path(output or Path(run) / PAGE), pairs_part(Path(run)))
    return found, page


def audit_compare(
    before: str | Path,
    after: str | Path,
    *,
    evenly: bool = False,
    output: str | Path | None = None,
) -> tuple[Comparison, Path]:
    """What a mitigation changed, and its price: two runs whose audits are in their folders; and the
    page that was written, default AFTER/audit-compared.html. evenly: of AFTER the audit of samples
    that were asked for values in turn; AFTER may be BEFORE then. Raises GenwrightError."""
    if output is not None:
        check_page(Path(output))
    found = compare(before, after, evenly)
    page = compare_page(found, Path(output or Path(after) / "audit-compared.html"))
    return found, page


def audit_pairs(
    source: str | Path,
    file: str | Path,
    *,
    kind: str | None = None,
    step: int | None = None,
    weights: str | None = None,
) -> PairScores:
    """How often a language model finds the more stereotyping sentence of a pair likelier, beside
    how well it tells sentences from shuffled words. Printable; of a run kept in its folder, and
    shown on the page of its audit.

    source: a run or a Hugging Face folder. file: of CrowS-Pairs or WinoBias. kind: "crows-pairs" or
    "winobias"; None: by the file's name. Raises GenwrightError."""
    found = pairs_of(source, file, kind, step, weights)
    if is_run(source):
        keep_pairs(found, Path(source))
    return found


def audit_gaps(
    run: str | Path,
    swaps: str | Path,
    *,
    n: int | None = None,
    step: int | None = None,
    weights: str | None = None,
) -> Gaps:
    """How much likelier a run finds held-out documents than their twins with swapped words.
    Printable; kept in the run's folder, and shown on the page of its audit. swaps: a file of pairs
    of words. n: documents, at most. Raises GenwrightError."""
    found = gaps_of(run, swaps, n, step, weights)
    keep_gaps(found, Path(run))
    return found


def page_of_pairs(source: str | Path) -> Path | None:
    """The page that shows what `audit_pairs` and `audit_gaps` found of a run; None of a Hugging
    Face folder, in which nothing is kept."""
    return Path(source) / PAGE if is_run(source) else None


def in_words(found: DataAudit | RunAudit | Comparison) -> str:
    """What an audit found, as tables for a terminal."""
    if isinstance(found, DataAudit):
        return data_text(found)
    if isinstance(found, RunAudit):
        return run_text(found)
    return compare_text(found)


def shares_beside(page: Path) -> Path:
    """Where the shares of a page lie, as CSV."""
    return table_of(page)
