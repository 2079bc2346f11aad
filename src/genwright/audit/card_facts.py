"""What is known of a run without asking anybody: what its folder says, and nothing else.

Nothing is measured for a card. What was not measured before is unknown on it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genwright.audit.card_audits import Audit, audits_of
from genwright.audit.card_places import plain_settings, without_places
from genwright.audit.page_pairs import KeptPairs, kept_pairs
from genwright.core.files import read_json
from genwright.reporting.provenance import own_description, trained_on
from genwright.runs.checkpoint_figures import Evaluation, latest
from genwright.runs.content import kind_of
from genwright.runs.run import Run

MANIFEST = "manifest.json"  # of a checkpoint: SHA-256 of each file
SPLITS = {"train": "training", "held_out": "held out"}  # of a summary, and in words
# of a summary, what is said elsewhere on a card
SAID = ("train", "held_out", "attributes", "skipped", "remarks", "licence")


@dataclass(frozen=True)
class RunFacts:
    """A run, for its cards.

    recipe: settings without places of the disk. parameters: of each network. digests: file of the
    checkpoint -> SHA-256. summary: of the data. counted: what a split is counted in ("examples").
    shards: prepared data -> SHA-256. rewards: terms, of a run that learned from some; earned: the
    mean reward of the first and of the last steps."""

    name: str
    content: str
    thing: str
    trained_on: str
    description: str
    recipe: Mapping[str, Any]
    step: int
    weights: str
    steps: int
    last_step: int
    seconds: float
    parameters: Mapping[str, int]
    sizes: Mapping[str, Any]
    digests: Mapping[str, str]
    evaluation: Evaluation | None
    environment: Mapping[str, Any]
    data_digest: str
    summary: Mapping[str, Any]
    counted: str
    shards: Mapping[str, str]
    started_from: str
    events: Sequence[str]
    rewards: Sequence[Mapping[str, Any]]
    earned: tuple[float, float] | None
    audits: Sequence[Audit] = field(default_factory=list)
    pairs: Sequence[KeptPairs] = ()

    @property
    def examples(self) -> int:
        """In both splits."""
        return sum(self.split(name) for name in SPLITS)

    def split(self, name: str) -> int:
        """How much a split holds."""
        values = self.summary.get(name, {})
        return int(values.get(self.counted, values.get("examples", 0)))


def facts_of(run: Run) -> RunFacts:
    """What the folder of a run says. Raises GenwrightError for a run without a checkpoint, and for
    damaged files."""
    recipe = run.recipe
    kind = kind_of(run)
    environment = dict(run.environment)
    data = environment.pop("data", {})
    summary = data.get("summary", {})
    records = run.records
    objective = recipe.objective.model_dump(mode="json")
    parameters = {}
    for name, module in run.objective.modules.items():
        parameters[name] = sum(each.numel() for each in module.parameters())
    return RunFacts(
        name=run.folder.resolve().name,
        content=run.content,
        thing=kind.thing,
        trained_on=trained_on(recipe, summary, kind.thing),
        description=without_places(own_description(recipe, environment.get("overrides", {}))),
        recipe=plain_settings(recipe.model_dump(mode="json")),
        step=run.step,
        weights=run.weights,
        steps=recipe.training.steps,
        last_step=max((record["step"] for record in records if "step" in record), default=0),
        seconds=math.fsum(record.get("seconds") or 0 for record in records),
        parameters=parameters,
        sizes=kind.sizes(run),
        digests=_digests(run.checkpoint),
        evaluation=latest(run),
        environment=environment,
        data_digest=str(data.get("digest", "")),
        summary=summary,
        counted=recipe.data.counted,
        shards={last_two(name): sha for name, sha in data.get("shards", {}).items()},
        started_from=without_places(str(environment.get("from", {}).get("what", ""))),
        events=_events(records),
        rewards=plain_settings(objective.get("rewards") or []),
        earned=_earned(records),
        audits=audits_of(run.folder),
        pairs=kept_pairs(run.folder),
    )


def last_two(name: str) -> str:
    """The last two parts of the name of a file of prepared data: its folder, which is a digest, and
    its own."""
    return "/".join(Path(name).parts[-2:])


def place_of_data(facts: RunFacts) -> str:
    """Where data came from, without a place on the disk."""
    data = facts.recipe["data"]
    paths = data.get("path") or []
    if isinstance(paths, str):
        paths = [paths]
    source = str(data.get("source", data.get("kind", "")))
    if source != "files" or not paths:
        return f"the source {source}"
    return ", ".join(paths)


def counted_facts(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers that a summary of data has besides its splits and attributes. What is counted by file
    is summed."""
    found: dict[str, Any] = {}
    for name, value in summary.items():
        if name in SAID or isinstance(value, bool):
            continue
        if isinstance(value, (int, float)):
            found[name] = value
        elif isinstance(value, Mapping):
            numbers = {str(key): each for key, each in value.items() if isinstance(each, int)}
            by_file = any("." in key or "/" in key for key in numbers)
            if by_file:
                found[f"{name} rows"] = sum(numbers.values())
            elif numbers:
                found[name] = numbers
    return found


def _digests(checkpoint: Path) -> dict[str, str]:
    path = checkpoint / MANIFEST
    if not path.is_file():
        return {}
    found = read_json(path.read_text(encoding="utf-8"), path, "train again, or use another step")
    return {str(name): str(sha) for name, sha in found.items()}


def _events(records: Sequence[Mapping[str, Any]]) -> list[str]:
    """What alarmed in training, each once."""
    events: dict[str, None] = {}
    for record in records:
        for key in ("event", "skipped"):
            if record.get(key):
                events[without_places(str(record[key]))] = None
    return list(events)


def _earned(records: Sequence[Mapping[str, Any]]) -> tuple[float, float] | None:
    """The mean reward of the first tenth of the steps, and of the last."""
    rewards = [record["reward"] for record in records if record.get("reward") is not None]
    if not rewards:
        return None
    few = max(1, len(rewards) // 10)
    return math.fsum(rewards[:few]) / few, math.fsum(rewards[-few:]) / few
