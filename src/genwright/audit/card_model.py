"""The model card of a run (Mitchell et al., "Model Cards for Model Reporting", arXiv 1810.03993),
as plain data: its nine sections, each from what was measured, or unknown with what makes it
known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from genwright.audit.card_answers import Answers, Unknown
from genwright.audit.card_data import attributes_of, licence_of, limit_sentences, passed_over
from genwright.audit.card_facts import SPLITS, RunFacts, counted_facts, place_of_data
from genwright.audit.card_places import without_places
from genwright.evaluation.figure import shown
from genwright.evaluation.telling import no_better_than, tells_nothing

SOURCE = "Mitchell et al., Model Cards for Model Reporting, arXiv 1810.03993"
NOT_MEASURED = Unknown("its quality is not measured", "run genwright evaluate RUN")
NOT_AUDITED = Unknown("groups are not audited", "run genwright audit run RUN --groups ...")
NO_GROUPS = Unknown("the data name no attributes", "audit with a list of words, or a classifier")
NO_ENVIRONMENT = Unknown("environment.json is gone", "put back a copy of it")
NO_MANIFEST = Unknown("the checkpoint has no manifest", "use another checkpoint")
ASKED = {  # of the details: name -> the answer
    "made_by": "creator",
    "published_by": "publisher",
    "date": "model_date",
    "licence": "licence",
    "contact": "contact",
    "citation": "citation",
}
MACHINE = ("python", "packages", "system", "processor", "cores", "threads", "gpu", "processes")


def model_card(facts: RunFacts, answers: Answers) -> dict[str, Any]:
    """The sections, in the order of the paper. Facts that are unknown are of the class `Unknown`;
    `plain` gives JSON."""
    return {
        "name": facts.name,
        "source": SOURCE,
        "model_details": _details(facts, answers),
        "intended_use": {
            "primary_uses_and_users": answers.of("intended_use"),
            "out_of_scope_uses": answers.of("out_of_scope"),
        },
        "factors": _factors(facts, answers),
        "metrics": _metrics(facts),
        "evaluation_data": _evaluation_data(facts),
        "training_data": _training_data(facts, answers),
        "quantitative_analyses": {
            "figures": _figures(facts),
            "groups": _groups(facts),
            **_pairs(facts),
        },
        "ethical_considerations": {
            "stated": answers.of("ethical_considerations"),
            "personal_and_sensitive_information": answers.of("personal_sensitive_information"),
        },
        "caveats_and_recommendations": {
            "limitations": answers.of("limitations"),
            "recommendations": answers.of("recommendations"),
            "found_by_measuring": caveats(facts),
        },
    }


def plain(value: Any) -> Any:
    """JSON data of a card."""
    if isinstance(value, Unknown):
        return value.to_json()
    if isinstance(value, Mapping):
        return {str(name): plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    return value


def _details(facts: RunFacts, answers: Answers) -> dict[str, Any]:
    found: dict[str, Any] = {"makes": facts.content, "objective": facts.recipe["objective"]["kind"]}
    if facts.description:
        found["description_of_the_recipe"] = facts.description
    if facts.started_from:
        found["started_from"] = facts.started_from
    if facts.rewards:
        found["rewards"] = [_term(term) for term in facts.rewards]
    if facts.earned:
        first, last = facts.earned
        found["reward_while_learning"] = {"first_steps": first, "last_steps": last}
    found["parameters"] = {**facts.parameters, "all_networks": sum(facts.parameters.values())}
    found["checkpoint"] = {
        "step": facts.step,
        "of_steps": facts.steps,
        "trained_to_step": facts.last_step,
        "weights": facts.weights,
    }
    for name, answer in ASKED.items():
        found[name] = answers.of(answer)
    environment = facts.environment
    found["sha256_of_checkpoint_files"] = dict(facts.digests) or NO_MANIFEST
    found["training_seconds"] = round(facts.seconds, 1)
    found["genwright"] = {
        "version": environment.get("genwright") or NO_ENVIRONMENT,
        "commit": environment.get("commit") or "not run from a checkout",
    }
    found["machine"] = {name: environment[name] for name in MACHINE if environment.get(name)}
    if facts.sizes:
        found["sizes"] = dict(facts.sizes)
    found["recipe"] = dict(facts.recipe)
    return found


def _term(term: Mapping[str, Any]) -> dict[str, Any]:
    """What a term of a reward says, without what it leaves open."""
    return {name: value for name, value in term.items() if value not in (None, "", {}, [])}


def _factors(facts: RunFacts, answers: Answers) -> dict[str, Any]:
    attributes = attributes_of(facts)
    counted: Any = {name: f"{len(values):,} values" for name, values in attributes.items()}
    audited: Any = NOT_AUDITED
    if facts.audits:
        names = [row.grouping for audit in facts.audits for row in audit.rows]
        audited = list(dict.fromkeys(names))
    return {
        "relevant": answers.of("factors"),
        "counted_in_the_data": counted or NO_GROUPS,
        "audited": audited,
    }


def _metrics(facts: RunFacts) -> Any:
    """What was measured and how; the values stand among the analyses."""
    if facts.evaluation is None:
        return NOT_MEASURED
    found = []
    for figure in facts.evaluation.figures:
        found.append(
            {
                "name": figure.name,
                "unit": figure.unit,
                "best": figure.direction,
                "how": figure.detail or "as training measures it",
            }
        )
    return found


def _evaluation_data(facts: RunFacts) -> dict[str, Any]:
    settings = facts.recipe["data"]
    share = settings.get("held_out")
    found: dict[str, Any] = {
        "what": f"the held-out split of the same data, never trained on: {place_of_data(facts)}",
        "holds": dict(facts.summary.get("held_out", {})) or "nothing is held out",
    }
    if share is not None:
        found["share_asked_for"] = share
    found["limits"] = limit_sentences(facts)
    return found


def _training_data(facts: RunFacts, answers: Answers) -> dict[str, Any]:
    found: dict[str, Any] = {
        "what": facts.trained_on,
        "source": place_of_data(facts),
        "licence": licence_of(facts, answers),
        "collection": answers.of("data_collection"),
    }
    for name, words in SPLITS.items():
        found[words] = dict(facts.summary.get(name, {}))
    found |= counted_facts(facts.summary)
    found["passed over"] = passed_over(facts)
    for name in ("balance", "remarks"):
        if facts.summary.get(name):
            found[name] = [without_places(str(text)) for text in facts.summary[name]]
    found["attributes"] = attributes_of(facts) or NO_GROUPS
    found["sha256"] = facts.data_digest or NO_ENVIRONMENT
    found["data_card"] = "croissant.json"
    return found


def _figures(facts: RunFacts) -> Any:
    if facts.evaluation is None:
        return NOT_MEASURED
    found = []
    for figure in facts.evaluation.figures:
        found.append({**figure.to_json(), "says_nothing": tells_nothing(figure) or None})
    return found


def _groups(facts: RunFacts) -> Any:
    if not facts.audits:
        return NOT_AUDITED
    return [asdict(audit) for audit in facts.audits]


def _pairs(facts: RunFacts) -> dict[str, Any]:
    """What was measured on pairs of sentences; nothing of a run that was not."""
    if not facts.pairs:
        return {}
    return {"pairs_of_sentences": [{"measured": each.kind, **each.found} for each in facts.pairs]}


def caveats(facts: RunFacts) -> list[str]:
    """What measuring and training have shown that a person should not overlook."""
    found = []
    if facts.last_step < facts.steps:
        found.append(f"Training stopped at step {facts.last_step:,} of {facts.steps:,}.")
    if facts.step < facts.last_step:
        found.append(f"The weights are those of step {facts.step:,}, not of the last one.")
    found += facts.events
    if facts.evaluation is None:
        found.append("Its quality was not measured.")
        return found
    for figure in facts.evaluation.figures:
        reason = tells_nothing(figure)
        floor = no_better_than(figure)
        if reason:
            found.append(f"{reason[0].upper()}{reason[1:]}.")
        elif floor:
            value = shown(figure.value, figure.unit)
            beside = shown(figure.floors[floor], figure.unit)
            found.append(f"{figure.name} {value} is no better than {floor}, {beside}.")
    return found
