"""Cards of a run or of a corpus: what a person who gets the model or the data should know before
using it.

Written from what was measured before; nothing is measured here. What is unknown is stated as
unknown with what makes it known, and what only a person knows is asked for by name and kept.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genwright.audit import card_page
from genwright.audit.card_answers import (
    FILE,
    OF_BOTH,
    OF_DATA,
    PREFIX,
    QUESTIONS,
    Answers,
    Unknown,
    answers_of,
    keep_answers,
)
from genwright.audit.card_corpus import corpus_card, corpus_facts
from genwright.audit.card_data import data_card
from genwright.audit.card_facts import facts_of
from genwright.audit.card_model import NOT_AUDITED, NOT_MEASURED, model_card, plain
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, write_whole
from genwright.data.selection import is_corpus
from genwright.runs.run import load

FOLDER = "card"  # in the folder of a run
DATA = "croissant.json"
MODEL = "model-card.json"
PAGE = "card.html"


@dataclass(frozen=True)
class Cards:
    """What was written, and what is not known. Printable. folder: of the run or corpus. missing:
    name -> what is asked. unmeasured: what was not measured."""

    folder: Path
    written: list[Path]
    missing: Mapping[str, str] = field(default_factory=dict)
    unmeasured: list[Unknown] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{path}: written" for path in self.written]
        if self.unmeasured:
            lines.append("")
            folder = shlex.quote(str(self.folder))
            for each in self.unmeasured:
                lines.append(f"{each.why}: {each.remedy.replace('RUN', folder)}")
        if self.missing:
            lines += [
                "",
                "unknown, for only a person knows it; give it as card.NAME=TEXT, or in a YAML file"
                " with --about:",
            ]
            width = max(len(name) for name in self.missing) + len(PREFIX)
            for name, asked in self.missing.items():
                lines.append(f"  {PREFIX + name:<{width}}  {asked}")
        return "\n".join(lines)


def card(
    folder: str | Path,
    about: str | Path | None,
    output: str | Path | None,
    given: Mapping[str, Any],
) -> Cards:
    """Writes the cards of a run, or of a corpus. about: a YAML file of answers; given: answers by
    name; both are kept in the folder. output: a folder; default: card/ in that of a run, and that
    of a corpus itself, beside the files that its card names. Raises GenwrightError."""
    place = Path(folder)
    is_run = (place / "recipe.yaml").is_file()
    if not is_run and not is_corpus(str(place)):
        raise GenwrightError(
            f"{place} is neither a run nor a corpus: it has no recipe.yaml and no corpus.yaml",
            "give the folder that genwright train or genwright data build made",
        )
    answers, changed = answers_of(place, about, given)
    usual = place
    if is_run:
        usual = place / FOLDER
    target = Path(output or usual)
    if target.exists() and not target.is_dir():
        raise GenwrightError(f"{target} is no folder", "name another one with --output")
    make = _cards_of_run if is_run else _cards_of_corpus
    found = make(place, answers, target)
    if changed:
        keep_answers(place, answers)
    return found


def _cards_of_run(place: Path, answers: Answers, target: Path) -> Cards:
    facts = facts_of(load(place))
    model = model_card(facts, answers)
    data = data_card(facts, answers)
    unmeasured = []
    if facts.evaluation is None:
        unmeasured.append(NOT_MEASURED)
    if not facts.audits:
        unmeasured.append(NOT_AUDITED)
    missing = answers.missing(QUESTIONS)
    asked = {f"{PREFIX}{name}": text for name, text in missing.items()}
    written = [
        _write_json(target / DATA, data),
        _write_json(target / MODEL, {**plain(model), "asked_for": asked}),
        card_page.write(
            target / PAGE, facts.name, card_page.run_page(facts, model, answers, unmeasured)
        ),
    ]
    return Cards(place, written, missing, unmeasured)


def _cards_of_corpus(place: Path, answers: Answers, target: Path) -> Cards:
    facts = corpus_facts(place)
    written = [
        _write_json(target / DATA, corpus_card(facts, answers)),
        card_page.write(target / PAGE, facts.name, card_page.corpus_page(facts, answers)),
    ]
    return Cards(place, written, answers.missing({**OF_BOTH, **OF_DATA}))


def _write_json(path: Path, values: Mapping[str, Any]) -> Path:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write_whole(path, f"{json_text(values, indent=1)}\n")
    except OSError as problem:
        raise GenwrightError(
            f"{path} cannot be written ({problem.strerror})", "name another folder with --output"
        ) from problem


__all__ = ["FILE", "Cards", "card"]
