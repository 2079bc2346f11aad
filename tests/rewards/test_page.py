"""The page of a run that learned from rewards: its first figures, computed by hand a second time,
and what stands around them."""

import math
import re
from types import SimpleNamespace

import pytest
import torch

import genwright
from genwright.rewards.before_after import BeforeAfter, before_after, difference
from genwright.rewards.measured import Measured, error_of, total
from genwright.rewards.page import _of_one, figure
from genwright.rewards.verdict import moved_away, verdict
from rooms_here import needs

pytestmark = needs("text")
WORDS = ("red", "green")
COLOURS = ("red", "blue", "green", "grey")
FEW = {
    "model.depth": 1,
    "model.width": 32,
    "model.heads": 2,
    "training.threads": 1,
    "training.precision": "fp32",
    "training.optimizer.kind": "adamw",
    "watching.samples": 0,
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A small run of text that is rewarded for words of a list."""
    folder = tmp_path_factory.mktemp("page")
    data = folder / "data"
    data.mkdir()
    dice = torch.Generator().manual_seed(0)
    for number in range(60):
        chosen = torch.randint(len(COLOURS), (5,), generator=dice).tolist()
        text = " ".join(COLOURS[i] for i in chosen)
        (data / f"{number:03d}.txt").write_text(f"{text} number {number}.\n")
    few = FEW | {"data.cache": str(folder / "cache")}
    base = genwright.train(
        "docs",
        run=folder / "base",
        quiet=True,
        **few
        | {
            "data.path": str(data),
            "data.context": 48,
            "data.held_out": 0.3,
            "codec": "bytes",
            "training.steps": 150,
            "training.batch_size": 16,
        },
    )
    recipe = folder / "policy.yaml"
    recipe.write_text(
        f"""
name: words
data: {{kind: text, source: files, path: [{data}], context: 48, held_out: 0.3}}
codec: bytes
objective:
  kind: policy
  rewards:
    - {{measure: lexicon, name: listed, weight: 2, options: {{words: [red, green]}}}}
    - {{measure: words, name: few words, weight: 0.1, target: 6}}
  watched: [characters]
  rollout: {{max_tokens: 40}}
  candidates: 4
training: {{steps: 25, batch_size: 32, evaluate_every: 25, checkpoint_every: 0}}
"""
    )
    given = few | {"training.optimizer.learning_rate": 0.003, "watching.on_gaming": "warn"}
    return genwright.train(
        str(recipe), run=folder / "run", start=str(base.folder), quiet=True, **given
    )


@pytest.fixture(scope="module")
def found(run):
    return before_after(run)


def reward_by_hand(text):
    """Of a text, as a person would count it."""
    words = re.findall(r"\w+(?:['’-]\w+)*", text)
    listed = sum(word.lower() in WORDS for word in words) / len(words) if words else 0.0
    return 2 * listed - 0.1 * abs(len(words) - 6)


def mean(values):
    return sum(values) / len(values)


def test_the_first_figures_are_those_of_a_count_by_hand(run, found, tmp_path):
    by_hand = {}
    for name in ("before", "after", "real"):
        samples = getattr(found, name).samples
        texts = [getattr(sample.content, "text", sample.content) for sample in samples]
        by_hand[name] = mean([reward_by_hand(text) for text in texts])
        assert getattr(found, name).mean_reward == pytest.approx(by_hand[name], abs=1e-9)
    assert by_hand["after"] > by_hand["before"] + 0.1, "it has learned"
    page = run.report(tmp_path / "page.html").read_text()
    first = re.search(r'<p class="lead"><b>(.*?)</b></p>', page).group(1)
    before, after, real = map(
        float,
        re.search(r"from ([\d.-]+) to ([\d.-]+); real data have ([\d.]+\d)", first).groups(),
    )
    assert before == pytest.approx(by_hand["before"], abs=6e-3)
    assert after == pytest.approx(by_hand["after"], abs=6e-3)
    assert real == pytest.approx(by_hand["real"], abs=6e-3)


def logprobs_of(network, sample, end):
    """Of the drawn tokens behind the end token that begins a document, by a plain forward."""
    tokens = torch.tensor([[end, *sample.tokens]])
    with torch.no_grad():
        logprobs = network(tokens[:, :-1]).float().log_softmax(-1)
    return logprobs.gather(2, tokens[:, 1:, None])[0, :, 0]


def test_samples_are_of_the_models_that_they_are_said_to_be_of(run, found):
    end = run.codec.space.special["end"]
    base = genwright.load(run.folder.parent / "base")
    networks = {"before": base.model, "after": run.objective.modules["model"]}
    for name, network in networks.items():
        other = networks["after" if name == "before" else "before"]
        samples = getattr(found, name).samples
        for sample in samples[:6]:
            there = torch.tensor(sample.logprobs)
            assert (logprobs_of(network, sample, end) - there).abs().max() < 1e-4
        apart = [
            (logprobs_of(other, s, end) - torch.tensor(s.logprobs)).abs().max() for s in samples
        ]
        assert max(apart) > 0.1


def test_real_samples_are_of_the_held_out_split(run, found):
    texts = {getattr(sample.content, "text", sample.content) for sample in found.real.samples}
    held_out = set()
    dataset = run.dataset()
    for _, tokens in dataset.documents("held_out"):
        held_out.add(dataset.codec.decode(list(tokens)))
    assert found.split == "held_out"
    assert len(texts) == len(held_out)
    for text in texts:
        assert len(text) <= 40, "no longer than a sample may be"
        assert any(document.startswith(text) for document in held_out)


def test_before_and_after_have_the_same_random_numbers(run, found, monkeypatch):
    modules = run.objective.modules
    monkeypatch.setitem(modules, "model", modules["reference"])
    again = before_after(run)
    assert [s.tokens for s in again.before.samples] == [s.tokens for s in found.before.samples]
    assert [s.tokens for s in again.after.samples] == [s.tokens for s in found.before.samples]
    assert [s.tokens for s in found.after.samples] != [s.tokens for s in found.before.samples]


def test_the_page_shows_terms_samples_and_what_real_data_have(run, found, tmp_path):
    page = run.report(tmp_path / "page.html").read_text()
    for heading in ("What it earns", "Before and after", "Curves", "Figures"):
        assert f"<h2>{heading}</h2>" in page
    assert page.index("What it earns") < page.index("<h2>Curves</h2>")
    assert page.count(">before: reward") == page.count(">after: reward") == 4
    curves = page[page.index("<h2>Curves") :]
    assert (
        curves.index(">reward: listed<")
        < curves.index(">entropy, nats")
        < curves.index(">clipped<")
    )
    wide = curves[curves.index("card wide") : curves.index(">reward<")]
    assert "training" not in wide, "what a policy minimises is no likelihood"
    row = re.search(r"<tr><td>listed<small>rewarded, weight 2.*?</tr>", page, re.S).group(0)
    values = [found.real, found.before, found.after, found.noise]
    shares = [f"{float(of.terms['listed'].nanmean()):.1%}" for of in values]
    assert re.findall(r"<b>([\d.]+%)</b>", row) == shares
    assert 'class="earned"' in page
    assert "longer than a sample may be are cut" in page, "or real data would seem to end badly"
    held_out = [record["held_out"] for record in run.records if "held_out" in record]
    assert 0 <= held_out[-1]["nearest"] <= 1
    assert "held-out data" in page[page.index("<h2>Curves") :]
    assert "real data" in page[page.index("<h2>Curves") :]
    assert "<script" not in page


def test_the_page_shows_what_an_alarm_has_shown(run, tmp_path):
    events = [record for record in run.records if str(record.get("event")).startswith("gaming: ")]
    page = run.report(tmp_path / "page.html").read_text()
    assert f"It gamed its reward: at step {events[0]['step']} listed rose" in page
    assert "What follows is of step 25, after that" in page
    shown = page[page.index("When it was gamed") : page.index("<h2>Curves</h2>")]
    assert shown.count("<pre>") == 5


def test_a_run_whose_reward_is_gone_says_so(run, monkeypatch, tmp_path):
    from genwright.core import registry

    monkeypatch.delitem(registry._known["measure"], "text words")
    page = run.report(tmp_path / "page.html").read_text()
    assert "What it earns could not be measured again: there is no measure" in page
    assert re.search(r"While it learned, its reward went from [\d.-]+ to [\d.-]+ \(means", page)


# ---- the verdict, by hand


def seen(reward, watched=None):
    values = torch.tensor(reward, dtype=torch.float64)
    watched = {name: torch.tensor(v, dtype=torch.float64) for name, v in (watched or {}).items()}
    return Measured([None] * len(reward), {"x": values}, watched, values)


def compared(before, after, real, **watched):
    of = {
        name: {measure: values[i] for measure, values in watched.items()}
        for i, name in enumerate(("before", "after", "real"))
    }
    return BeforeAfter(
        seen(before, of["before"]),
        seen(after, of["after"]),
        seen(real, of["real"]),
        seen(real),
        "held_out",
        1,
    )


def test_a_standard_error_heeds_that_candidates_of_a_question_are_alike():
    values = torch.tensor([0.1, 0.9, 0.4, 0.2, 0.7], dtype=torch.float64)
    single = float(values.std()) / math.sqrt(5)
    assert error_of(values, 1) == pytest.approx(single)
    # the same answer four times says as much as once
    assert error_of(values.repeat_interleave(4), 4) == pytest.approx(single)
    assert error_of(values.repeat_interleave(4), 1) < single / 1.9
    # candidates that differ among themselves: no error above that of their question's mean
    pairs = torch.tensor([[0.0, 1.0], [0.2, 0.8], [0.4, 1.0]], dtype=torch.float64)
    of_means = float(pairs.mean(1).std()) / math.sqrt(3)
    assert error_of(pairs.flatten(), 2) == pytest.approx(of_means)
    silent = torch.tensor([0.1, math.nan, 0.9, 0.4, math.nan, 0.2, 0.7])
    assert error_of(silent, 1) == pytest.approx(single, abs=1e-6)
    assert math.isnan(error_of(torch.tensor([0.3, 0.5]), 2)), "one question"


def test_the_verdict_names_what_is_rewarded_and_earns_less():
    from genwright.objectives.terms import Term

    terms = {"ends": Term(measure="ends"), "bars": Term(measure="bars", target=16.0, weight=0.1)}

    def of(ends, bars):
        values = {
            "ends": torch.tensor(ends, dtype=torch.float64),
            "bars": torch.tensor(bars, dtype=torch.float64),
        }
        return Measured([None] * 4, values, {}, total(terms, values))

    before = of([0.0, 0.0, 1.0, 0.0], [16.0, 15.0, 17.0, 16.0])
    after = of([1.0, 1.0, 1.0, 1.0], [12.0, 13.0, 21.0, 11.0])
    reward = SimpleNamespace(terms=terms)
    found = BeforeAfter(before, after, before, before, "held_out", 1, reward)
    assert "Of what is rewarded, bars earns less than before." in verdict(found, [], 9)
    found = BeforeAfter(before, before, before, before, "held_out", 1, reward)
    assert "earns less" not in verdict(found, [], 9)


def test_one_sample_says_yes_or_no_where_its_measure_does():
    nan = math.nan
    both = torch.tensor([1.0, 0.0, nan])
    texts = [_of_one("ends on the tonic", both, row, "share") for row in range(3)]
    assert texts == [
        "ends on the tonic: yes",
        "ends on the tonic: no",
        "ends on the tonic: nothing to say",
    ]
    assert _of_one("repeats", torch.tensor([1.0, 0.5]), 0, "share") == "repeats 100.0%"
    assert _of_one("bars", torch.tensor([1.0, 0.0]), 0, "bars") == "bars 1"


def test_the_verdict_says_whether_the_reward_rose_beyond_chance():
    up = compared([0.1, 0.2, 0.1, 0.2], [0.6, 0.7, 0.5, 0.8], [0.4, 0.4])
    assert verdict(up, [], 9) == "The reward rose from 0.150 to 0.650; real data have 0.400."
    down = compared([0.6, 0.7, 0.5, 0.8], [0.1, 0.2, 0.1, 0.2], [math.nan] * 2)
    assert verdict(down, [], 9) == "The reward fell from 0.650 to 0.150."
    same = compared([0.1, 0.9, 0.1, 0.9], [0.9, 0.1, 0.2, 0.9], [0.4, 0.4])
    assert "did not change beyond chance (from 0.50 to 0.53)" in verdict(same, [], 9)


def test_the_verdict_says_what_it_cost():
    found = compared([0.1, 0.2], [0.6, 0.6], [0.4])
    records = [
        {"step": 0, "held_out": {"loss": 2.0}},
        {"step": 5, "held_out": {"loss": 2.1}},
        {"step": 9, "held_out": {"loss": 3.0}},
    ]
    assert "Real held-out data cost 2.1 nats a token (2 before, +5.0%)" in verdict(
        found, records, 5
    )
    assert "nats" not in verdict(found, records, 4)


def test_the_verdict_names_measures_that_moved_away_from_real_data():
    found = compared(
        [0.1, 0.2],
        [0.6, 0.6],
        [0.4],
        away=([1.0, 1.1, 0.9], [3.0, 3.1, 2.9], [1.0]),
        nearer=([1.0, 1.1, 0.9], [3.0, 3.1, 2.9], [3.0]),
        hardly=([1.0, 1.1, 0.9], [1.1, 1.2, 1.0], [1.0]),
    )
    assert moved_away(found) == ["away"]
    assert "1 of 3 measures that were not rewarded moved away from real data: away." in verdict(
        found, [], 1
    )


def test_gaming_comes_first():
    found = compared([0.1, 0.2], [0.6, 0.6], [0.4])
    records = [{"step": 40, "event": "gaming: x rose while y fell; try less"}]
    text = verdict(found, records, 25)
    assert text.startswith(
        "It gamed its reward: at step 40 x rose while y fell."
        " What follows is of step 25, the last good one. The reward rose"
    )


def test_weights_targets_and_silence_count_as_in_training():
    from genwright.objectives.terms import Term

    terms = {
        "a": Term(measure="a", weight=2.0),
        "b": Term(measure="b", weight=0.5, target=3.0),
        "c": Term(measure="c", otherwise=-1.0),
    }
    nan = math.nan
    values = {
        "a": torch.tensor([1.0, 2.0, nan]),
        "b": torch.tensor([1.0, 3.0, 3.0]),
        "c": torch.tensor([nan, 4.0, 4.0]),
    }
    found = total(terms, values)
    assert found[:2].tolist() == [2 - 1 - 1, 4 - 0 + 4]
    assert found[2].isnan()


def test_a_difference_is_of_pairs():
    before = torch.tensor([1.0, 2.0, math.nan, 4.0])
    after = torch.tensor([2.0, 3.0, 9.0, 5.5])
    change, error = difference(before, after, 1)
    assert change == pytest.approx(3.5 / 3)
    assert error == pytest.approx(math.sqrt((2 * (1 / 6) ** 2 + (1 / 3) ** 2) / 2 / 3))


def test_the_figure_leads_with_its_floors(found):
    of = figure(found)
    assert of.headline and of.value == found.after.mean_reward
    assert of.floors["before"] == found.before.mean_reward
    assert set(of.ceilings) == {"real data"}
