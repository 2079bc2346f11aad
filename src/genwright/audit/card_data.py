"""The data card of a run: what it was trained on, as Croissant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from genwright.audit.card_answers import Answers, Unknown
from genwright.audit.card_croissant import dataset, file_object, table
from genwright.audit.card_facts import (
    SPLITS,
    RunFacts,
    counted_facts,
    place_of_data,
)
from genwright.audit.card_places import without_places

TEXT = "sc:Text"
NUMBER = "sc:Integer"


def data_card(facts: RunFacts, answers: Answers) -> dict[str, Any]:
    """Croissant JSON-LD of the data of a run."""
    description = f"The data of the run {facts.name}. {facts.trained_on}"
    if facts.data_digest:
        description += (
            f" SHA-256 of all that decides the examples and their split: {facts.data_digest}."
        )
    distribution = []
    for name, sha in facts.shards.items():
        about = "prepared examples, in the cache of genwright; made again from the raw files"
        distribution.append(file_object(name, sha, "application/octet-stream", about))
    return dataset(
        f"{facts.name}-data",
        description,
        licence_of(facts, answers),
        answers,
        measured_of(facts),
        distribution,
        _record_sets(facts),
        {"keywords": [facts.content, "genwright"]},
    )


def licence_of(facts: RunFacts, answers: Answers) -> str | Unknown:
    """The licence of the data: what a person says, else what their source says."""
    said = answers.text("data_licence")
    if said:
        return said
    known = facts.summary.get("licence")
    if known and facts.recipe["data"].get("source") != "files":
        return str(known)
    asked = answers.of("data_licence")
    assert isinstance(asked, Unknown)  # it has no answer
    return Unknown("the data do not say it", asked.remedy)


def attributes_of(facts: RunFacts) -> dict[str, dict[str, int]]:
    """attribute -> value -> how many examples of both splits have it."""
    found: Mapping[str, Mapping[str, int]] = facts.summary.get("attributes", {})
    return {name: dict(values) for name, values in found.items()}


def passed_over(facts: RunFacts) -> int:
    """Files, or parts of them, that were not read."""
    return len(facts.summary.get("skipped", ()))


def measured_of(facts: RunFacts) -> dict[str, list[str]]:
    """Fields of the responsible-AI extension -> what was counted."""
    summary = facts.summary
    raw = f"From {place_of_data(facts)}"
    if "files" in summary:
        raw += f", {summary['files']:,} files"
    missing = [f"{passed_over(facts):,} files or parts of files were passed over."]
    if "unlabelled" in summary and summary.get("attributes"):
        missing.append(f"{summary['unlabelled']:,} {facts.thing}s have no attribute.")
    return {
        "rai:dataCollectionRawData": [f"{raw}."],
        "rai:dataCollectionMissingData": missing,
        "rai:dataPreprocessingProtocol": _preprocessing(facts),
        "rai:dataBiases": bias_sentences(facts),
        "rai:dataLimitations": limit_sentences(facts),
    }


def _preprocessing(facts: RunFacts) -> list[str]:
    codec = facts.recipe["codec"]
    settings = [f"{name} {value}" for name, value in codec.items() if _is_said(name, value)]
    found = [f"Encoded by the codec {codec.get('kind', facts.content)}: {', '.join(settings)}."]
    copies = facts.summary.get("copies")
    if copies:
        found.append(f"{copies:,} examples equal an earlier one.")
    rare = facts.summary.get("rare")
    if rare:
        found.append(f"{rare:,} values of attributes were too rare to be a condition.")
    for name in ("balance", "remarks"):
        found += [without_places(str(text)) for text in facts.summary.get(name, ())]
    return found


def _is_said(name: str, value: Any) -> bool:
    return name != "kind" and isinstance(value, (str, int, float)) and value != ""


def bias_sentences(facts: RunFacts) -> list[str]:
    """How often each value of an attribute stands in the data, and what audits found."""
    found = []
    for name, values in attributes_of(facts).items():
        total = sum(values.values())
        if not total:
            continue
        most = max(values, key=values.__getitem__)
        least = min(values, key=values.__getitem__)
        found.append(
            f"Of {facts.examples:,} {facts.thing}s {total:,} times a value of {name} is known"
            f" ({len(values):,} values): most often {most} ({values[most]:,}), least often {least}"
            f" ({values[least]:,})."
        )
    if not found:
        found.append("The data name no attributes, so no groups were counted.")
    return found


def limit_sentences(facts: RunFacts) -> list[str]:
    """What of the data is held out, and what stands on both sides."""
    held_out = facts.split("held_out")
    if not held_out:
        return ["Nothing is held out."]
    found = [f"{held_out:,} of {facts.examples:,} {facts.thing}s are held out."]
    for name, value in facts.summary.items():
        if name.endswith("across the split"):
            found.append(f"{name[0].upper()}{name[1:]}: {value:,}.")
    return found


def _record_sets(facts: RunFacts) -> list[dict[str, Any]]:
    splits = []
    for name, words in SPLITS.items():
        for unit, count in facts.summary.get(name, {}).items():
            splits.append([words, unit, count])
    found = []
    if splits:
        about = "how much each split holds"
        columns = {"split": TEXT, "unit": TEXT, "count": NUMBER}
        found.append(table("splits", about, columns, splits))
    values = []
    for name, counts in attributes_of(facts).items():
        for value, count in counts.items():
            values.append([name, value, count])
    if values:
        about = "how many examples of both splits have each value of each attribute"
        columns = {"attribute": TEXT, "value": TEXT, "count": NUMBER}
        found.append(table("attributes", about, columns, values))
    counted = _flat(counted_facts(facts.summary))
    counted.append(["passed over", passed_over(facts)])
    about = "what else was counted while the data were prepared"
    found.append(table("counts", about, {"what": TEXT, "count": NUMBER}, counted))
    return found


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[list[Any]]:
    found: list[list[Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name} / ")
        else:
            found.append([f"{prefix}{name}", value])
    return found
