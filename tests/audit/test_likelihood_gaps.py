"""Counterfactual likelihood gaps: of a run against forward passes by hand; of planted models."""

import json
import math

import numpy as np
import pytest
import torch
from test_audits import changes, folder, run  # noqa: F401 - fixtures

from genwright.api import load, train
from genwright.audit.gaps import ALL, BOTH, TextPair, gap, gaps_between, gaps_of
from genwright.core.errors import GenwrightError
from genwright.core.likelihoods import TextScore

T_95 = {9: 2.262157, 11: 2.200985}  # of Student's distribution, from a table
WAYS = ["he → she", "she → he"]


@pytest.fixture(scope="module")
def swaps(folder):  # noqa: F811
    path = folder / "swaps.csv"
    path.write_text("he,she\nhis,her\n", encoding="utf-8")
    return path


def log_of(run, text):  # noqa: F811
    """Sum of the log-probabilities of the bytes of a text behind the end token."""
    end = run.codec.space.special["end"]
    tokens = torch.tensor([[end, *text.encode()]])
    with torch.no_grad():
        logs = run.model(tokens[:, :-1]).double().log_softmax(-1)
    return float(logs.gather(2, tokens[:, 1:, None]).sum())


def test_gaps_of_a_run_are_those_by_hand(run, swaps):  # noqa: F811
    found = gaps_of(run, swaps)
    opened = load(run)
    values = {way: [] for way in WAYS}
    count = 0
    for _, tokens in opened.dataset().documents("held_out"):
        count += 1
        text = opened.codec.decode(tokens.tolist())
        said = "he" if " he " in text else "she"
        other = "she" if said == "he" else "he"
        twin = text.replace(f" {said} ", f" {other} ")
        while max(len(text), len(twin)) > 32:
            text = text.rpartition(" ")[0]
            twin = twin.rpartition(" ")[0]
        values[f"{said} → {other}"].append(log_of(opened, text) - log_of(opened, twin))
    assert count == found.read == 12
    by_direction = {each.direction: each for each in found.gaps}
    assert list(by_direction) == [ALL, *WAYS]
    every = np.array(values[WAYS[0]] + values[WAYS[1]])
    own = by_direction[ALL]
    assert own.mean == pytest.approx(every.mean(), abs=1e-4)
    half = T_95[11] * every.std(ddof=1) / math.sqrt(12)
    assert own.high - own.mean == pytest.approx(half, abs=1e-4)
    assert own.mean - own.low == pytest.approx(half, abs=1e-4)
    for way in WAYS:
        assert by_direction[way].documents == len(values[way])
        if len(values[way]) >= 5:
            assert by_direction[way].mean == pytest.approx(np.mean(values[way]), abs=1e-4)
        else:
            assert by_direction[way].mean is None and found.difference is None
    assert json.loads(json.dumps(found.to_json()))["causal"] is True
    assert WAYS[0] in str(found) and gaps_of(run, swaps, n=3).gaps[0].documents == 3


class Planted:
    """Log-probabilities of whole texts: -1 a word, and `of` of "she"."""

    name = "planted"
    causal = True
    room = 100

    def __init__(self, of):
        self.of = of

    def scores(self, texts):
        found = []
        for text in texts:
            words = text.split()
            logs = np.array([self.of if word == "she" else -1.0 for word in words])
            found.append(TextScore(np.arange(len(words)), logs))
        return found


def documents(count):
    found = []
    for number in range(count):
        one, other = ("he", "she") if number % 2 else ("she", "he")
        found.append(TextPair(f"{one} left", f"{other} left", f"{one} → {other}"))
    return found


def test_a_planted_preference_is_found_and_its_placebo_is_around_zero():
    rng = np.random.default_rng(0)
    pairs = documents(40)
    found, difference, remarks = gaps_between(pairs, ("he", "she"), Planted(-1.5), rng)
    means = {each.direction: each.mean for each in found}
    assert means == {ALL: 0, WAYS[0]: pytest.approx(0.5), WAYS[1]: pytest.approx(-0.5)}
    assert difference.mean == 1.0
    assert difference.placebo_low < -0.1 and 0.1 < difference.placebo_high < 1
    first = found[1]
    assert first.placebo_low < 0 < first.placebo_high < first.low and not remarks


def test_few_documents_give_no_mean():
    rng = np.random.default_rng(0)
    pairs = [*documents(12), TextPair("he saw her", "she saw him", BOTH)]
    found, _, remarks = gaps_between(pairs, ("he", "she"), Planted(-1.5), rng)
    assert found[-1].direction == BOTH and found[-1].mean is None
    assert remarks == ["too few documents of both to give a mean: 1"]


def test_the_interval_of_a_mean_is_students():
    values = np.arange(10.0)
    found = gap(ALL, values, np.random.default_rng(0))
    half = T_95[9] * values.std(ddof=1) / math.sqrt(10)
    assert found.low == pytest.approx(4.5 - half, rel=1e-5)
    assert found.high == pytest.approx(4.5 + half, rel=1e-5)


def test_what_has_no_gap_is_refused(run, folder):  # noqa: F811
    absent = folder / "absent.csv"
    absent.write_text("king,queen\n", encoding="utf-8")
    with pytest.raises(GenwrightError, match="none of 12 held-out documents of .* holds a word"):
        gaps_of(run, absent)
    with pytest.raises(GenwrightError, match="-n is 0"):
        gaps_of(run, absent, n=0)
    itself = folder / "itself.csv"
    itself.write_text("he,he\n", encoding="utf-8")
    with pytest.raises(GenwrightError, match="pairs 'he' with itself"):
        gaps_of(run, itself)


def test_a_gan_has_no_gap(folder, tmp_path):  # noqa: F811
    short = {"training.steps": 2, "training.device": "cpu", "training.evaluate_every": 0}
    gan = train("ring-gan", run=tmp_path / "run", quiet=True, **short)
    with pytest.raises(GenwrightError, match="which gives no likelihood of a text"):
        gaps_of(gan.folder, folder / "swaps.csv")
