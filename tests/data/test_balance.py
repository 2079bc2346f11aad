import itertools

import numpy as np
import pytest
import torch

from genwright.core.errors import GenwrightError
from genwright.core.groups import NONE
from genwright.data.balance import UNKNOWN, Balance, attributes_in, balance_of, effective, raked
from genwright.data.examples import ExampleDataset, ExampleStream, Split

TONES = [("light",)] * 6 + [("dark",)] * 2 + [()] * 2
SEXES = [("w",), ("m",), ("m",), ("m",), ("m",), ("m",), ("w",), ("m",), ("w",), ()]


def shares(values, weights):
    """value -> its share of the weights of examples that have one."""
    found = {}
    for own, weight in zip(values, weights, strict=True):
        if own:
            found[own[0]] = found.get(own[0], 0.0) + weight
    total = sum(found.values())
    return {value: weight / total for value, weight in found.items()}


def balanced(wanted, values=None, by="weights"):
    values = values or {"tone": TONES, "sex": SEXES}
    found = {name: values[name] for name in attributes_in(wanted) if name in values}
    return balance_of(wanted, by, found, "pictures", list(values))


def test_one_attribute():
    balance = balanced({"tone": {"light": 0.4, "dark": 0.6}})
    assert balance is not None
    expected = [0.4 * 8 / 6] * 6 + [0.6 * 8 / 2] * 2 + [1, 1]
    assert np.allclose(balance.weights, expected)
    assert "light 75.0% -> 40.0%" in balance.remarks[0]
    assert balance.weights[:8].sum() == pytest.approx(8)


def test_those_without_a_value_as_a_group():
    balance = balanced({"tone": {"light": 0.25, "dark": 0.25, NONE: 0.5}})
    assert balance is not None
    assert np.allclose(balance.weights, [2.5 / 6] * 6 + [2.5 / 2] * 2 + [2.5] * 2)


def test_raking_against_enumeration():
    """Of all weights of a 2 x 2 table that meet the shares, the raked ones are nearest to 1 in
    relative entropy: found here by trying them out."""
    counts = np.array([[8, 3], [2, 7]])
    cells = list(itertools.product(range(2), range(2)))
    first = np.concatenate([np.full(counts[cell], cell[0]) for cell in cells])
    second = np.concatenate([np.full(counts[cell], cell[1]) for cell in cells])
    weights = raked([first, second], [np.array([0.5, 0.5]), np.array([0.3, 0.7])])
    assert weights is not None
    best = None
    for corner in np.linspace(0, 6, 600_001)[1:-1]:  # what the first cell weighs; 6 = 0.3 * 20
        totals = np.array([[corner, 10 - corner], [6 - corner, 4 + corner]])
        entropy = (totals * np.log(totals / counts)).sum()
        if best is None or entropy < best[0]:
            best = (entropy, totals)
    found = np.zeros((2, 2))
    np.add.at(found, (first, second), weights)
    assert np.allclose(found, best[1], atol=1e-4)


def test_several_attributes_with_gaps():
    wanted = {"tone": "uniform", "sex": {"w": 0.6, "m": 0.4}}
    balance = balanced(wanted)
    assert balance is not None
    tones = shares(TONES, balance.weights)
    sexes = shares(SEXES, balance.weights)
    assert tones == pytest.approx({"light": 0.5, "dark": 0.5})
    assert sexes == pytest.approx({"w": 0.6, "m": 0.4})
    assert balance.weights[:8].sum() == pytest.approx(8)
    assert balance.weights[:9].sum() == pytest.approx(9)
    assert balance.weights[9] == 1  # of which nothing is known


def test_what_is_balanced_already_stays():
    values = {"tone": [("a",), ("b",), ()]}
    assert balanced({"tone": "uniform"}, values) is None


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"tune": "uniform"}, "data.balance names 'tune', and nothing is known of that"),
        ({"tone": "even"}, "data.balance.tone is 'even'"),
        ({"tone": {"light": 0.5, "blue": 0.5}}, "names 'blue', which the data lack"),
        ({"tone": {"light": 0.5, "dark": 0.6}}, "the shares of data.balance.tone sum to 1.1"),
        ({"tone": {"light": 1.5, "dark": -0.5}}, "gives dark a share of -0.5"),
    ],
)
def test_refused(wanted, message):
    with pytest.raises(GenwrightError) as caught:
        balanced(wanted)
    assert message in caught.value.what
    assert caught.value.remedy


def test_refused_values():
    with pytest.raises(GenwrightError, match="some pictures have several values of tone"):
        balanced({"tone": "uniform"}, {"tone": [("a", "b"), ("a",)]})
    with pytest.raises(GenwrightError, match="there is only a among the pictures"):
        balanced({"tone": "uniform"}, {"tone": [("a",), ()]})
    with pytest.raises(GenwrightError, match="no value among the pictures"):
        balanced({"tone": "uniform"}, {"tone": [(), ()]})


def test_shares_that_exclude_each_other():
    values = {"tone": [("a",), ("b",)] * 2, "sex": [("w",), ("m",)] * 2}
    wanted = {"tone": {"a": 0.9, "b": 0.1}, "sex": {"w": 0.1, "m": 0.9}}
    with pytest.raises(GenwrightError, match="tone and sex in data.balance cannot be met together"):
        balanced(wanted, values)


def test_effective():
    assert effective(np.ones(7)) == 7
    assert effective(np.array([1.0, 0, 0])) == 1
    assert effective(np.array([3.0, 1.0])) == pytest.approx(1.6)


def test_taken_in_an_epoch():
    """Every group has its share of every epoch, and over epochs every example as often as it
    weighs."""
    rng = np.random.default_rng(0)
    cells = rng.integers(0, 3, 50)
    weights = np.array([0.2, 1.0, 2.9])[cells]
    balance = Balance(weights, "sampling", cells)
    scaled = weights * 50 / weights.sum()
    times = np.zeros(50)
    for epoch in range(2000):
        taken = balance.taken(np.full(50, epoch), np.arange(50), seed=1)
        often = np.bincount(taken, minlength=50)
        assert (np.abs(often - scaled) < 1).all()
        in_cells = np.bincount(cells, often) - np.bincount(cells, scaled)
        assert np.abs(in_cells).max() < 1
        times += often
    assert np.allclose(times / 2000, scaled, atol=0.05)


def test_weight_0_is_never_taken():
    balance = Balance(np.array([0.0, 1, 0, 1, 0]), "sampling", np.array([0, 1, 0, 1, 0]))
    epochs, slots = np.divmod(np.arange(500), 5)
    assert set(balance.taken(epochs, slots, 0).tolist()) == {1, 3}


def streams(by):
    x = torch.arange(10.0)[:, None]
    split = Split(np.arange(10), x.__getitem__, str, None)
    balance = balanced({"tone": "uniform"}, by=by)
    return ExampleStream(split, 5, 3, "pictures", balance=balance), balance


def test_a_stream_by_sampling():
    stream, balance = streams("sampling")
    found = []
    for position in range(400):
        batch = stream.batch(position, torch.arange(5))
        assert set(batch) == {"x"}
        found += batch["x"][:, 0].long().tolist()
    own = [TONES[number] for number in found]
    assert shares(own, [1] * len(own)) == pytest.approx({"light": 0.5, "dark": 0.5}, abs=0.01)
    # any rows, in any order, are the same ones
    rows = torch.tensor([4, 1])
    whole = stream.batch(7, torch.arange(5))["x"]
    assert torch.equal(stream.batch(7, rows)["x"], whole[rows])


def test_a_stream_by_weights():
    stream, balance = streams("weights")
    batch = stream.batch(0, torch.arange(5))
    numbers = batch["x"][:, 0].long().numpy()
    assert len(set(numbers.tolist())) == 5  # each once an epoch, as without a balance
    assert np.allclose(batch["weight"].numpy(), balance.weights[numbers])


def test_digests():
    """The digest changes exactly where what is trained on does."""

    def dataset(balance):
        found = ExampleDataset()
        found.digest = "d"
        found.rebalance(balance)
        return found

    plain = dataset(None)
    uniform = dataset(balanced({"tone": "uniform"}))
    written = dataset(balanced({"tone": {"light": 0.5, "dark": 0.5}}))
    other = dataset(balanced({"tone": {"light": 0.4, "dark": 0.6}}))
    sampled = dataset(balanced({"tone": "uniform"}, by="sampling"))
    assert plain.digest == "d"
    assert uniform.digest == written.digest
    assert len({plain.digest, uniform.digest, other.digest, sampled.digest}) == 4
    assert {each.own_digest for each in (plain, uniform, other, sampled)} == {"d"}


def test_unknown_is_no_group():
    weights = raked([np.array([0, 1, UNKNOWN])], [np.array([0.9, 0.1])])
    assert weights is not None
    assert weights.tolist() == pytest.approx([1.8, 0.2, 1.0])


def test_within_another_attribute():
    """Shares of one attribute within each value of another one, whose own shares stay."""
    jobs = [("nurse",)] * 10 + [("smith",)] * 5 + [()]
    sexes = [("w",)] * 9 + [("m",)] + [("w",)] + [("m",)] * 4 + [("m",)]
    balance = balanced({"sex|job": "uniform"}, {"sex": sexes, "job": jobs})
    assert balance is not None
    assert np.allclose(balance.weights, [5 / 9] * 9 + [5] + [2.5] + [2.5 / 4] * 4 + [1])
    given = {"w": 0.2, "m": 0.8}
    balance = balanced({"sex|job": given}, {"sex": sexes, "job": jobs})
    assert balance is not None
    for first, last in ((0, 10), (10, 15)):
        own = shares(sexes[first:last], balance.weights[first:last])
        assert own == pytest.approx(given)
        assert balance.weights[first:last].sum() == pytest.approx(last - first)


def test_within_refused():
    values = {"sex": [("w",), ("m",), ("w",)], "job": [("nurse",), ("nurse",), ("smith",)]}
    with pytest.raises(GenwrightError, match="there are no pictures of smith and m"):
        balanced({"sex|job": "uniform"}, values)
    with pytest.raises(GenwrightError, match="names 'jobs', and nothing is known"):
        balanced({"sex|jobs": "uniform"}, values)
    with pytest.raises(GenwrightError, match="names several attributes"):
        balanced({"sex|job|sex": "uniform"}, values)
