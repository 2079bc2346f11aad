import json
import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import nn

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.evaluation.figure import Figure, number, table
from genwright.evaluation.held_out import measure
from genwright.evaluation.language import _floors, bits_per_byte, evaluate_language
from genwright.evaluation.token_floors import Floors
from genwright.objectives.language import Causal, Masked

VOCABULARY, CONTEXT = 11, 8
SPACE = Space(VOCABULARY, {"end": 0, "mask": 10})


class Table(nn.Module):
    """A bigram model: the logits of the next token by the token at hand."""

    def __init__(self, seed=0):
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.logits = nn.Parameter(torch.randn(VOCABULARY, VOCABULARY, generator=generator))

    def forward(self, tokens, targets=None, documents=None, padding=None):
        return nn.functional.cross_entropy(
            self.logits[tokens].transpose(1, 2), targets, reduction="none", ignore_index=-100
        )


class Windows:
    def __init__(self, tokens, lookahead):
        self.tokens, self.width = tokens, CONTEXT + lookahead
        self.windows = -(-(len(tokens) - lookahead) // CONTEXT)

    def batch(self, start, stop):
        out = torch.full((stop - start, self.width), -1)
        for row, i in zip(out, range(start, stop), strict=True):
            piece = self.tokens[i * CONTEXT : i * CONTEXT + self.width]
            row[: len(piece)] = torch.from_numpy(piece.astype(np.int64))
        return {"tokens": out}


class Data:
    codec = SimpleNamespace(space=SPACE)

    def __init__(self):
        rng = np.random.default_rng(0)
        self.splits = {
            "train": rng.integers(0, 10, 500).astype(np.uint16),
            "held_out": rng.integers(0, 10, 77).astype(np.uint16),
        }

    def held_out(self, lookahead):
        return Windows(self.splits["held_out"], lookahead)

    def tokens(self, split):
        return self.splits[split]

    @property
    def summary(self):
        return {name: {"bytes": 3 * len(tokens)} for name, tokens in self.splits.items()}


def test_causal_figures_equal_a_loop_over_every_token():
    data, model = Data(), Table()
    loss, bits = evaluate_language(
        Causal().build({"model": model}, SPACE), data, 1, batch=3, untrained=lambda: {"loss": 2.5}
    )
    held = data.splits["held_out"].astype(int)
    logp = model.logits.detach().double().log_softmax(1)
    expected = -sum(logp[a, b].item() for a, b in zip(held, held[1:], strict=False)) / (
        len(held) - 1
    )
    assert loss.value == pytest.approx(expected, rel=1e-6)
    assert loss.count == len(held) - 1
    floors = Floors.of(data.splits["train"], VOCABULARY)
    assert loss.floors["bigram"] == pytest.approx(
        -np.log(floors.probability(held[1:], held[:-1])).mean()
    )
    assert loss.floors["unigram"] == pytest.approx(-np.log(floors.unigram[held[1:]]).mean())
    assert (
        loss.floors["uniform"] == pytest.approx(math.log(VOCABULARY))
        and loss.floors["untrained"] == 2.5
    )
    assert bits.value == pytest.approx(
        expected / math.log(2) / 3, rel=1e-6
    ) and bits.count == 3 * len(held)


def test_masked_figures_do_not_depend_on_the_batch_and_floors_use_the_hidden_positions():
    data = Data()
    objective = Masked(rate=0.4).build({"model": Table()}, SPACE)
    found = [evaluate_language(objective, data, 0, batch=n) for n in (1, 4, 99)]
    assert [len(f) for f in found] == [1, 1, 1], (
        "no bits per byte: a masked model gives no probability of a text"
    )
    assert found[0][0].count == found[1][0].count == found[2][0].count > 10
    for other in found[1:]:
        assert other[0].value == pytest.approx(found[0][0].value, rel=1e-6)
        assert dict(other[0].floors) == pytest.approx(dict(found[0][0].floors))


class TwoRanks:
    """Rank r of two; what the other rank adds is measured beside it."""

    def __init__(self, rank, parts):
        self.rank, self.size, self.device, self.parts = rank, 2, torch.device("cpu"), parts

    def sum_(self, tensor):
        self.parts.append(tensor)
        return tensor


def test_ranks_share_the_windows_exactly_even_when_one_has_none():
    data = Data()
    objective, floors = (
        Masked(rate=0.4).build({"model": Table()}, SPACE),
        Floors.of(data.splits["train"], VOCABULARY),
    )
    for batch in (3, 50):  # 10 windows: with 50 the second rank is empty
        parts: list = []
        for rank in range(2):
            try:
                measure(
                    objective,
                    data.held_out(0),
                    batch=batch,
                    engine=TwoRanks(rank, parts),
                    each=partial(_floors, floors),
                )
            except GenwrightError:
                assert batch == 50 and rank == 1
        alone = measure(objective, data.held_out(0), batch=4, each=partial(_floors, floors))
        both = (parts[0] + parts[1]).tolist()
        assert len(alone) > 3 and "loss, bigram" in alone
        for (total, count), (name, mean) in zip(both, sorted(alone.items()), strict=True):
            assert (total, count) == pytest.approx((mean * count, alone.counts[name]))


def test_modes_come_back_and_nothing_to_measure_is_said():
    data, model = Data(), Table()
    objective = Causal().build({"model": model}, SPACE)
    model.train()
    measure(objective, data.held_out(1), limit=2)
    assert model.training
    with pytest.raises(GenwrightError, match="nothing to measure"):
        measure(objective, Windows(np.zeros(1), 1))


def test_bits_per_byte_by_hand():
    loss = Figure("loss", math.log(2), "nats/token", 100, "tokens", {"unigram": 2 * math.log(2)})
    bits = bits_per_byte(loss, tokens=200, nbytes=800)
    assert bits.value == pytest.approx(0.25) and bits.floors["unigram"] == pytest.approx(0.5)


def test_figure_json_and_table():
    figure = Figure(
        "loss [bold]x[/bold]",
        1.5,
        "nats/token",
        1234,
        "tokens",
        {"bigram": 3.25},
        {"text": 1.0},
        "lower",
        "how",
    )
    assert Figure.from_json(json.loads(json.dumps(figure.to_json()))) == figure
    unknown = Figure("share", math.nan, "share", 0)
    assert json.loads(json.dumps(unknown.to_json(), allow_nan=False))["value"] is None
    assert math.isnan(Figure.from_json(unknown.to_json()).value)
    console = Console(width=140, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(table([figure, unknown], "Held out"))
    text = console.export_text()
    for part in (
        "loss [bold]x[/bold]",
        "1.5",
        "nats/token",
        "bigram 3.25",
        "text 1",
        "1,234 tokens",
        "not finite",
    ):
        assert part in text


@pytest.mark.parametrize(
    "value, text",
    [
        (1.88574, "1.886"),
        (0.00012345, "0.0001234"),
        (1.2e-7, "1.20e-07"),
        (0, "0"),
        (-3.0, "-3"),
        (1234567.4, "1,234,567"),
        (math.inf, "not finite"),
    ],
)
def test_number(value, text):
    assert number(value) == text
