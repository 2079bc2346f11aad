"""What only a person knows of a model and its data, asked for by name; and the file of a run or
corpus that keeps the answers.

    card.yaml: a line each, `intended_use: ...`

Measured facts are never asked for, and nothing is answered for a person: what is not answered
stands on the card as unknown, with the name to give.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.files import write_whole
from genwright.recipe.yaml_text import read_yaml, write_yaml

FILE = "card.yaml"  # in the folder of a run or of a corpus
PREFIX = "card."

Answer = str | list[str]


@dataclass(frozen=True)
class Unknown:
    """A fact that a card does not know. why: "not measured"; remedy: what makes it known."""

    why: str
    remedy: str

    def __str__(self) -> str:
        return f"unknown: {self.why}; {self.remedy}"

    def to_json(self) -> dict[str, str]:
        """Plain data."""
        return {"unknown": self.why, "remedy": self.remedy}


# name -> what is asked; of the model, and of the data
OF_MODEL = {
    "intended_use": "what the model is for, and for whom",
    "out_of_scope": "what the model must not be used for",
    "factors": "groups of people, instruments or surroundings with which its quality may change",
    "limitations": "what is known to go wrong",
    "ethical_considerations": "who could be harmed, and what was done about it",
    "recommendations": "what whoever uses the model should do or check first",
    "licence": "the licence of the model",
    "model_date": "when the model was made, as 2026-11-30",
    "contact": "where questions and complaints go",
}
OF_BOTH = {
    "creator": "the person who made this",
    "publisher": "the organisation that gives it out",
    "citation": "how it should be cited",
}
OF_DATA = {
    "data_licence": "the licence of the data: an SPDX identifier or an address",
    "data_collection": "how, when and by whom the data were collected",
    "data_annotation": "who gave the labels, and how",
    "personal_sensitive_information": "what the data say of persons, and what was done about it",
    "data_biases": "which biases the data are known to have, beside what was counted",
    "data_limitations": "what the data should not be used for",
    "data_use": "what the data may be used for",
    "social_impact": "whom the use of the data may affect, and how",
    "maintenance": "who keeps the data up to date, and how long",
    "url": "the web page of the data",
    "version": "the version of the data, as 1.0.0",
    "date_published": "when the data were published, as 2026-11-30",
}
QUESTIONS = {**OF_MODEL, **OF_BOTH, **OF_DATA}


def _is_date(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _is_url(text: str) -> bool:
    return re.fullmatch(r"https?://\S+", text) is not None


def _is_version(text: str) -> bool:
    return re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){0,2}", text) is not None


# answers that programs read: what they must be
CHECKS: dict[str, tuple[Callable[[str], bool], str]] = {
    "model_date": (_is_date, "a date such as 2026-11-30"),
    "date_published": (_is_date, "a date such as 2026-11-30"),
    "url": (_is_url, "an address such as https://example.org/data"),
    "version": (_is_version, "a version such as 1.0.0"),
}


class Answers:
    """Answers by name."""

    def __init__(self, given: Mapping[str, Answer]):
        self.given = {name: given[name] for name in QUESTIONS if name in given}

    def of(self, name: str) -> Answer | Unknown:
        """An answer; Unknown, with what to give, where there is none."""
        if name in self.given:
            return self.given[name]
        return Unknown("only a person knows it", f"give {PREFIX}{name}: {QUESTIONS[name]}")

    def text(self, name: str) -> str:
        """An answer as one text; "" where there is none."""
        found = self.given.get(name, "")
        if isinstance(found, list):
            return "; ".join(found)
        return found

    def missing(self, names: Mapping[str, str]) -> dict[str, str]:
        """name -> what is asked, of those that have no answer."""
        return {name: names[name] for name in names if name not in self.given}


def answers_of(
    folder: Path, about: str | Path | None, given: Mapping[str, Any]
) -> tuple[Answers, bool]:
    """The answers that are kept in a folder, changed by those of a YAML file, then by those that
    were given; and whether that changed anything. An answer of nothing takes one back. Raises
    GenwrightError."""
    kept: dict[str, Any] = {}
    if (folder / FILE).is_file():
        kept = _read(folder / FILE)
    before = _checked(kept, str(folder / FILE))
    found = dict(before)
    if about is not None:
        found |= _checked(_read(Path(about)), str(about))
    found |= _checked(given, "")
    answered = {name: answer for name, answer in found.items() if answer}
    return Answers(answered), answered != before


def keep_answers(folder: Path, answers: Answers) -> None:
    """Writes answers where the next card finds them."""
    write_whole(folder / FILE, write_yaml(dict(answers.given)))


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise GenwrightError(
            f"{path} cannot be read ({problem.strerror})",
            "give a YAML file of answers with --about",
        ) from None
    except UnicodeDecodeError as problem:
        raise GenwrightError(
            f"{path} is not UTF-8 text (byte {problem.start})", "save it as UTF-8"
        ) from None
    values = read_yaml(text, str(path))
    inner = values.get("card")
    if set(values) == {"card"} and isinstance(inner, dict):
        return inner
    return values


def _checked(values: Mapping[str, Any], where: str) -> dict[str, Answer]:
    """Answers by their names without the prefix. where: the file that says so; "" of a command
    line. Raises GenwrightError for an unknown name, and for an answer that is none."""
    place = ""
    if where:
        place = f"{where}: "
    found: dict[str, Answer] = {}
    for key, value in values.items():
        name = str(key).removeprefix(PREFIX)
        if name not in QUESTIONS:
            meant = did_you_mean(f"{PREFIX}{name}", [f"{PREFIX}{each}" for each in QUESTIONS])
            raise GenwrightError(f"{place}{key} is not a setting of cards", meant)
        found[name] = _answer(f"{place}{PREFIX}{name}", name, value)
    return found


def _answer(title: str, name: str, value: Any) -> Answer:
    if value is None:
        return ""
    if isinstance(value, list):
        texts = [_text(title, each) for each in value]
        answer: Answer = [text for text in texts if text]
    else:
        answer = _text(title, value)
    if name in CHECKS and answer:
        is_right, wanted = CHECKS[name]
        if not isinstance(answer, str) or not is_right(answer):
            raise GenwrightError(f"{title} is {value!s}", f"give {wanted}")
    return answer


def _text(title: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise GenwrightError(f"{title} is no text", "give a text, or a list of texts")
    return str(value).strip()
