"""A corpus in numbers, as a build or a mix prints them, and what the mix could not do as asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genwright.curation.attributes import about_prepared, needed
from genwright.curation.build import Corpus
from genwright.curation.mix import BYTES_A_TOKEN, counts_of
from genwright.data.cache import SPLITS

NEAR_BUDGET = 0.05  # how far from a budget a mix may be without a remark


@dataclass(frozen=True)
class Built:
    """A corpus in numbers, after a build or a mix; printed, a table. prepared: what there is to say
    about what its filters needed."""

    folder: Path
    counts: dict[str, Any]
    unread: list[tuple[str, str, str]]
    prepared: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        counts = self.counts
        kept = counts["kept"]
        size = counts["kept_bytes"]
        documents = f"{counts['documents']:,} document"
        if counts["documents"] != 1:
            documents += "s"
        lines = [
            f"{self.folder}: {documents}, {megabytes(counts['bytes'])}",
            f"  trained on   {kept['train']:>10,}  {megabytes(size['train'])}",
            f"  held out     {kept['held_out']:>10,}  {megabytes(size['held_out'])}",
        ]
        read = counts["repeated_bytes"] - size["held_out"]  # what is held out is taken once
        if read != size["train"]:
            lines.append(
                f"  read         {'':>10}  {megabytes(read)} in training, with repetitions"
            )
        for reason, count in sorted(counts["dropped"].items(), key=lambda each: -each[1]):
            lines.append(f"  dropped      {count:>10,}  {reason}")
        lines += [f"  filter       {line}" for line in self.prepared]
        if not kept["train"]:
            lines.append(
                f"  nothing is left to train on: genwright data report {self.folder} shows what was"
                " dropped and why; loosen a rule or mix.held_out in its corpus.yaml, then run"
                " genwright data mix"
            )
        lines += [f"  {remark}" for remark in remarks(counts)]
        if counts["edits"]:
            lines.append(f"  edits        {counts['edits']:>10,}  in documents that are kept")
        if counts["crossing"]:
            lines.append(
                f"  across       {counts['crossing']:>10,}  pairs of similar documents on both"
                " sides of the split"
            )
        if self.unread:
            lines.append(f"  not read     {len(self.unread):>10,}")
            lines += [f"    {_named(*each)}" for each in self.unread[:5]]
            if len(self.unread) > 5:
                lines.append(f"    and {len(self.unread) - 5:,} more, in documents/*.json")
        return "\n".join(lines)


def remarks(counts: Mapping[str, Any]) -> list[str]:
    """What a mix could not do as it was asked to, a sentence each. counts: as of `counts_of`."""
    if "recipe" not in counts:  # of an earlier version
        return []
    settings = counts["recipe"]["mix"]
    held_out = counts["kept_bytes"][SPLITS[1]]
    found = []
    if settings["held_out"] and counts["kept"][SPLITS[0]] and not counts["kept"][SPLITS[1]]:
        found.append(
            "nothing is held out: too few different documents are kept; add sources, or train with"
            " data.held_out=0"
        )
    if settings["tokens"]:
        taken = (counts["repeated_bytes"] - held_out) / BYTES_A_TOKEN
        if abs(taken - settings["tokens"]) > NEAR_BUDGET * settings["tokens"]:
            found.append(
                f"about {settings['tokens']:,.0f} tokens were asked for, and {taken:,.0f} are"
                " taken: documents are taken whole, and by chance"
            )
    return found


def _named(file: str, place: str, what: str) -> str:
    where = f"{file}, {place}," if place else file
    return f"{where} {what}"


def megabytes(count: float) -> str:
    """Bytes for a person."""
    return f"{count / 1e3:,.2f} kB" if count < 1e6 else f"{count / 1e6:,.2f} MB"


def built(corpus: Corpus) -> Built:
    """The numbers of a corpus as its last mix left it. Raises GenwrightError."""
    prepared = []
    for group in needed(corpus.recipe.kind, corpus.recipe.rule_sets()):
        prepared += about_prepared(corpus.folder, group)
    return Built(corpus.folder, counts_of(corpus.folder), corpus.unread, prepared)
