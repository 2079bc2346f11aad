"""What stands first on the page of a run that learned from rewards: the verdict, and what it earns
beside the model of before, real data and noise, all measured anew."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from genwright.core.content import Mark, Question, Sample, Section, TokenSampler, drawn_sample
from genwright.core.errors import GenwrightError
from genwright.core.registry import register
from genwright.evaluation.figure import Figure, number, shown, with_error
from genwright.objectives.terms import Term
from genwright.reporting.fragments import soft
from genwright.reporting.lead import Lead
from genwright.reporting.markup import Markup, Templates, joined, trusted
from genwright.rewards.before_after import BeforeAfter, before_after, difference
from genwright.rewards.frontier_chart import frontier_html
from genwright.rewards.frontier_points import read_frontier
from genwright.rewards.measured import Measured, error_of, mean_of
from genwright.rewards.reward import Reward
from genwright.rewards.rollout_log import FILE
from genwright.rewards.verdict import gamed, known, moved_away, verdict
from genwright.runs.content import kind_of
from genwright.runs.trained import TrainedRun
from genwright.training.records import read

PAIRS = 4  # samples that are shown before and after
# curves that come first, behind those of the reward
CURVES = {
    "kl": "distance from the model of before, nats a token",
    "entropy": "entropy, nats a token",
    "distinct_4": "different 4-grams, share",
    "length": "length of samples, tokens",
    "truncated": "samples cut by their length, share",
    "dead_groups": "questions that teach nothing, share",
    "nearest": "found in one training example, share",
}
ALARMED = 5  # samples of an alarm that are shown
HTML = Templates("genwright.rewards", "page.html")
MEASURED_NOTE = (
    "Measured for this page: model before and after answer the same questions with the same random"
    " numbers, at temperature 1 from all tokens. ± is a standard error, which heeds that samples of"
    " one question are alike; of the change over pairs of samples. Real data that are longer than a"
    " sample may be are cut there."
)
PAIRS_NOTE = (
    "The first samples of the first questions, not chosen; left of before, right of after, of the"
    " same random numbers. What measures have found is marked at its place."
)


def lead(run: TrainedRun) -> Lead:
    """The first part of a run's page; where its rewards cannot be measured any more, it says
    why."""
    try:
        found = before_after(run)
    except GenwrightError as problem:
        return Lead(
            f"{gamed(run.records, run.step)}What it earns could not be measured again: {problem}"
            f" {recorded(run.records)}",
            curves=["reward", *CURVES],
            labels=CURVES,
            own_loss=True,
        )
    reward = found.reward
    assert reward is not None  # of what was measured
    sections = [
        Section("What it earns", _table(run, found, reward), soft(MEASURED_NOTE)),
        Section("Before and after", _pairs(run, found, reward), soft(PAIRS_NOTE)),
        Section("Reward and divergence", _frontier(run, found)),
        Section("When it was gamed", _alarmed(run)),
    ]
    beside = {}
    for name, values in found.real.terms.items():
        beside[f"reward/{name}"] = {"real data": mean_of(values)}
    for name, values in found.real.watched.items():
        beside[f"watched/{name}"] = {"real data": mean_of(values)}
    floors = [line["held_out"].get("nearest_floor") for line in run.records if "held_out" in line]
    measured = [floor for floor in floors if floor is not None]
    if measured:
        beside["nearest"] = {"held-out data": measured[-1]}
    return Lead(
        verdict(found, run.records, run.step),
        [figure(found)],
        sections,
        beside,
        ["reward", *(f"reward/{name}" for name in reward.terms), *CURVES],
        labels=CURVES,
        own_loss=True,
    )


def recorded(records: Sequence[Mapping[str, Any]]) -> str:
    """The reward of the first and of the last steps, as they were recorded."""
    rewards = [record["reward"] for record in records if "reward" in record]
    if not rewards:
        return ""
    few = max(1, len(rewards) // 10)
    first = math.fsum(rewards[:few]) / few
    last = math.fsum(rewards[-few:]) / few
    return (
        f"While it learned, its reward went from {number(first)} to {number(last)}"
        f" (means of {few} steps)."
    )


def figure(found: BeforeAfter) -> Figure:
    """The reward."""
    return Figure(
        "reward",
        found.after.mean_reward,
        "weighted sum",
        found.count,
        floors=_finite({"before": found.before.mean_reward, "noise": found.noise.mean_reward}),
        ceilings=_finite({"real data": found.real.mean_reward}),
        direction="higher",
        detail="of the model after learning; before: the same questions and random numbers",
        headline=True,
    )


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in values.items() if math.isfinite(value)}


# ---- the table


def _table(run: TrainedRun, found: BeforeAfter, reward: Reward) -> Markup:
    """Terms, of real data, before, after, and noise; what is not rewarded and moved away from real
    data; and, folded, what else is measured."""
    of_all = _means(found, _rewards(found), "")
    lines = [HTML.row(HTML.reward(), "", of_all, *_change(found, _rewards(found), ""))]
    for name, term in reward.terms.items():
        values = [state.terms[name] for state in found.states]
        lines.append(_row(found, name, _role(term), reward.measures[name].unit, values))
    units = {name: measure.unit for name, measure in kind_of(run).measures.items()}
    moved = moved_away(found)
    others = [name for name in known(found) if name not in moved]
    lines += [_watched_row(found, name, units, "moved away from real data") for name in moved]
    lines += _whole(found)
    html = _of_states(found, lines)
    if others:
        rows = [_watched_row(found, name, units, "not rewarded") for name in others]
        summary = f"not rewarded, and measured too: {len(others)}"
        html += HTML.folded(summary, _of_states(found, rows))
    return html


def _of_states(found: BeforeAfter, lines: Sequence[Markup]) -> Markup:
    """A table with the columns of `_row`."""
    names = ("real data", "before", "after", "noise")
    heads = []
    for name, state in zip(names, found.states, strict=True):
        heads.append((name, f"of {len(state.samples):,}"))
    return HTML.of_states(heads, lines)


def _watched_row(found: BeforeAfter, name: str, units: Mapping[str, str], role: str) -> Markup:
    """units: of the content's measures; a person's own may be missing."""
    values = [state.watched[name] for state in found.states]
    return _row(found, name, role, units.get(name, ""), values)


def _rewards(found: BeforeAfter) -> list[Tensor]:
    return [state.reward for state in found.states]


def _role(term: Term) -> str:
    """How a term counts."""
    if term.target is not None:
        return f"rewarded near {number(term.target)}, weight {number(term.weight)}"
    if term.weight < 0:
        return f"avoided, weight {number(term.weight)}"
    return f"rewarded, weight {number(term.weight)}"


def _row(found: BeforeAfter, name: str, role: str, unit: str, values: Sequence[Tensor]) -> Markup:
    """values: (n,) of real data, before, after, and noise."""
    label = HTML.label(name, role)
    return HTML.row(label, unit, _means(found, values, unit), *_change(found, values, unit))


def _means(found: BeforeAfter, values: Sequence[Tensor], unit: str) -> list[Markup]:
    means = []
    for state, of in zip(found.states, values, strict=True):
        means.append(_mean_shown(of, unit, state.alike))
    return means


def _change(found: BeforeAfter, values: Sequence[Tensor], unit: str) -> tuple[str, str]:
    """How much it changed, with its standard error; nothing of fewer than two questions."""
    _, before, after, _ = values
    change, error = difference(before, after, found.candidates)
    if math.isnan(change):
        return "", ""
    text, error_text = with_error(change, error, unit)
    return _signed(change, text), error_text


def _mean_shown(values: Tensor, unit: str, alike: int) -> Markup:
    """A mean with its standard error, and of how many where that is not all. alike: of
    `Measured`."""
    known = values[~values.isnan()]
    if not len(known):
        return Markup("-")
    error = error_of(values, alike)
    if math.isnan(error):
        texts = (shown(mean_of(values), unit), "")
    else:
        texts = with_error(mean_of(values), error, unit)
    count = f"of {len(known):,}" if len(known) < len(values) else ""
    return HTML.mean(*texts, count)


def _signed(value: float, text: str) -> str:
    """A change, whose text has no sign where it is positive."""
    return f"+{text}" if value >= 0 else text


def _whole(found: BeforeAfter) -> list[Markup]:
    """What is measured of all samples together."""
    lines = []
    of_all = {
        "different 4-grams of tokens": [state.distinct_4 for state in (found.before, found.after)],
        "cut by their length": [state.truncated for state in (found.before, found.after)],
    }
    for name, (before, after) in of_all.items():
        values = [shown(value, "share") for value in (before, after)]
        change = _signed(after - before, shown(after - before, "share"))
        lines.append(HTML.whole(name, values, change))
    return lines


# ---- samples


def _pairs(run: TrainedRun, found: BeforeAfter, reward: Reward) -> Markup:
    """The first candidate of the first questions, before and after."""
    html = []
    for row in range(0, found.count, found.candidates)[:PAIRS]:
        before = _card(run, "before", found.before, row, reward)
        after = _card(run, "after", found.after, row, reward)
        html.append(HTML.pair(before, after))
    return joined(html)


def _card(run: TrainedRun, name: str, of: Measured, row: int, reward: Reward) -> Markup:
    earned = [f"reward {number(float(of.reward[row]))}"]
    for term, values in of.terms.items():
        unit = reward.measures[term].unit
        earned.append(_of_one(term, values, row, unit))
    title = f"{name}: {', '.join(earned)}"
    sample = of.samples[row]
    html = kind_of(run).view.show(sample, marks_of(run, sample, reward)).html
    return HTML.card(title, trusted(html))


def _of_one(name: str, values: Tensor, row: int, unit: str) -> str:
    """What a measure says of one sample, in words: yes or no where it says nothing else of any.
    values: (n,) of all samples."""
    value = float(values[row])
    if math.isnan(value):
        return f"{name}: nothing to say"
    known = values[~values.isnan()]
    if unit == "share" and bool(((known == 0) | (known == 1)).all()):
        return f"{name}: {'yes' if value else 'no'}"
    return f"{name} {shown(value, unit)}"


def marks_of(run: TrainedRun, sample: Sample, reward: Reward) -> list[Mark]:
    """Where terms that say where have found something; what costs is a fault."""
    marks = []
    for name, measure in reward.measures.items():
        if measure.gives != "parts":
            continue
        for place, value in measure.values([sample])[0].items():
            worth = reward.terms[name].weight * value
            if worth:
                kind = "earned" if worth > 0 else "fault"
                mark = kind_of(run).mark(sample, place, kind, name)
                marks += [] if mark is None else [mark]
    return marks


def _frontier(run: TrainedRun, found: BeforeAfter) -> Markup:
    """The run beside its alternatives, where that was measured (`genwright reward frontier`)."""
    measured = read_frontier(run.folder)
    if measured is None:
        return Markup()
    return frontier_html(measured, found.real.mean_reward)


def _alarmed(run: TrainedRun) -> Markup:
    """The samples that an alarm has shown."""
    entries = [entry for entry in read(run.folder / FILE) if "alarm" in entry][:ALARMED]
    html = []
    for entry in entries:
        question = Question(tuple(entry["question"]), entry.get("prompt"))
        tokens = entry["tokens"]
        unknown = [0.0] * len(tokens)
        ended = bool(entry["ended"])
        sampler = kind_of(run).sampler
        assert isinstance(sampler, TokenSampler)  # of a run that learned from rewards
        sample = drawn_sample(
            sampler, run.codec, question, tokens, unknown, ended, number=entry["number"]
        )
        title = f"step {entry['step']:,}: reward {number(entry['reward'])}"
        shown_html = kind_of(run).view.show(sample).html
        html.append(HTML.card(title, trusted(shown_html)))
    return joined(html)


register("page", "rollouts", lead)
