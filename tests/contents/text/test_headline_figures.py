"""The headline figures of a text run against an independent computation.

The exported model is opened by `transformers`; texts are read from their files; windows, counts,
losses and floors are made by loops here. Nothing of genwright is called but what trains, exports
and evaluates, and what draws which tokens are hidden.
"""

import json
import math
from functools import cache

import numpy as np
import pytest
import torch

import genwright
from genwright.contents.text.evaluate import SAMPLES
from genwright.core.contracts import Loss, Objective, Space
from genwright.core.draws import Draws
from genwright.evaluation.figure import LOSS, Figure, named
from genwright.evaluation.language import BITS_PER_BYTE, bits_per_byte, evaluate_language
from genwright.reporting.head import sentence
from genwright.reporting.page import RunData
from independent import bigram, distinct, longest_copy, nats, near, repetition, unigram

transformers = pytest.importorskip("transformers")

WORDS = ["alpha", "beta", "gamma", "delta", "(x)", "= 1", "return", "if", "über", "naïve"]
CONTEXT = 16


def folder_of_texts(place):
    """Texts whose lengths differ, some characters of which take two bytes."""
    folder = place / "text"
    folder.mkdir()
    for i in range(12):
        lines = (f"{WORDS[i * j % 10]} {WORDS[(i + j) % 10]}" for j in range(20 + 3 * i))
        (folder / f"{i}.txt").write_text("\n".join(lines), encoding="utf-8")
    return folder


def trained(place, recipe, **changed):
    settings = {
        "data.path": str(folder_of_texts(place)),
        "data.cache": str(place / "cache"),
        "data.context": CONTEXT,
        "data.held_out": 0.3,
        "codec": "bytes",
        "model.depth": 1,
        "model.width": 32,
        "model.heads": 2,
        "training.batch_size": 6,
        "training.steps": 20,
        "training.threads": 1,
        "training.precision": "fp32",
        "training.evaluate_every": 10,
        "training.checkpoint_every": 10,
        "training.ema": 0.9,
    }
    return genwright.train(recipe, run=place / "run", quiet=True, **settings | changed)


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    place = tmp_path_factory.mktemp("causal")
    run = trained(place, "docs")
    return run, run.evaluate(samples=SAMPLES), Outside(run, place)


class Outside:
    """What another program knows of a run: its exported model, and the texts."""

    def __init__(self, run, place):
        self.folder = run.export("hf", place / "hf")
        self.config = json.loads((self.folder / "config.json").read_text())
        texts = {p.name: p.read_bytes() for p in sorted((place / "text").iterdir())}
        order = {
            split: [name for name, _ in run.dataset().documents(split)]
            for split in ("train", "held_out")
        }
        self.texts = {
            split: [texts[name.rsplit("/", 1)[-1]] for name in names]
            for split, names in order.items()
        }
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(self.folder)
        self.end = self.tokenizer.eos_token_id

    def row(self, split):
        """All tokens of a split: each text's, and an end token after each."""
        tokens = []
        for text in self.texts[split]:
            tokens += self.tokenizer(text.decode("utf-8"), add_special_tokens=False)[
                "input_ids"
            ] + [self.end]
        return tokens

    @property
    def bytes_held_out(self):
        return sum(map(len, self.texts["held_out"]))


@cache
def causal_costs(outside):
    """[(target, its left neighbour, nats, whether the likeliest token is right)] of every held-out
    token but the first: each window of CONTEXT tokens is read from nothing."""
    model = transformers.AutoModelForCausalLM.from_pretrained(outside.folder).eval()
    row, out = outside.row("held_out"), []
    for start in range(0, len(row) - 1, CONTEXT):
        given = row[start : start + CONTEXT]
        targets = row[start + 1 : start + CONTEXT + 1]
        given = given[: len(targets)]
        with torch.no_grad():
            logits = model(torch.tensor([given])).logits[0].double()
        for place, target in enumerate(targets):
            scores = logits[place].numpy()
            out.append((target, given[place], nats(scores, target), int(scores.argmax()) == target))
    return out


def figures_of(found):
    return {figure.name: figure for figure in found.figures}


def test_loss_bits_per_byte_and_accuracy_of_the_exported_model(causal):
    run, found, outside = causal
    figures, costs = figures_of(found), causal_costs(outside)
    tokens = len(outside.row("held_out"))
    loss = sum(cost for _, _, cost, _ in costs) / len(costs)
    assert len(costs) == tokens - 1
    assert figures["loss, held out"].value == near(loss) and figures["loss, held out"].count == len(
        costs
    )
    assert figures["accuracy, held out"].value == near(
        sum(right for *_, right in costs) / len(costs)
    )
    bits = figures["bits per byte, held out"]
    assert bits.value == near(loss * tokens / outside.bytes_held_out / math.log(2))
    assert bits.count == outside.bytes_held_out
    assert 1 < bits.value < 9, (
        "bits a byte of a hardly trained model of bytes are near the loss over ln 2"
    )


def test_the_floors_of_the_loss_are_those_of_counts(causal):
    run, found, outside = causal
    figures, costs = figures_of(found), causal_costs(outside)
    train, vocabulary = outside.row("train"), outside.config["vocab_size"]
    alone, after = unigram(train, vocabulary), bigram(train, vocabulary)
    expected = {
        "uniform": math.log(vocabulary),
        "unigram": -np.mean([math.log(alone[target]) for target, *_ in costs]),
        "bigram": -np.mean([math.log(after(left, target)) for target, left, *_ in costs]),
    }
    loss, bits = figures["loss, held out"], figures["bits per byte, held out"]
    scale = len(outside.row("held_out")) / outside.bytes_held_out / math.log(2)
    for name, value in expected.items():
        assert loss.floors[name] == near(value), name
        assert bits.floors[name] == near(value * scale), name
    guess = max(range(vocabulary), key=lambda token: alone[token])
    assert figures["accuracy, held out"].floors["unigram"] == near(
        np.mean([target == guess for target, *_ in costs])
    )


def test_files_and_report_say_what_was_computed(causal):
    run, found, outside = causal
    costs = causal_costs(outside)
    loss = sum(cost for _, _, cost, _ in costs) / len(costs)
    (path,) = (run.folder / "evaluations").iterdir()
    stored = {figure["name"]: figure["value"] for figure in json.loads(path.read_text())["figures"]}
    bits = loss * len(outside.row("held_out")) / outside.bytes_held_out / math.log(2)
    assert stored["loss, held out"] == near(loss) and stored["bits per byte, held out"] == near(
        bits
    )
    measured = [record["held_out"]["loss"] for record in run.records if "held_out" in record]
    assert measured[-1] == near(loss), "what training recorded of its last step"
    page = run.report().read_text()
    for value, unit in ((loss, "nats/token"), (bits, "bits/byte")):
        assert f"<b>{value:.4g}</b> {unit}" in page, "in the table of figures"
        assert f"<b>{value:.4g}</b><span>" in page, "among the headlines"


def test_masked_loss_and_accuracy_of_the_exported_model(tmp_path):
    """Which tokens are hidden is drawn by the run; what they cost is computed from the exported
    model alone."""
    run = trained(tmp_path, "docs", **{"objective": "masked", "model.preset": "modernbert"})
    outside, figures = Outside(run, tmp_path), figures_of(run.evaluate())
    model = transformers.AutoModelForMaskedLM.from_pretrained(outside.folder).eval()
    row, costs = outside.row("held_out"), []
    windows = run.dataset().held_out(0)
    for number, start in enumerate(range(0, len(row), CONTEXT)):
        tokens = row[start : start + CONTEXT]
        assert windows.batch(number, number + 1)["tokens"][0].tolist()[: len(tokens)] == tokens
        batch = run.objective.prepare(
            windows.batch(number, number + 1),
            Draws(run.recipe.seed, -1, torch.tensor([number])),
            None,
        )
        hidden, given = batch["targets"][0].tolist(), batch["inputs"][0].tolist()[: len(tokens)]
        with torch.no_grad():
            logits = model(torch.tensor([given])).logits[0].double().numpy()
        for place, target in enumerate(hidden):
            if target >= 0:
                assert target == tokens[place]
                costs.append((nats(logits[place], target), int(logits[place].argmax()) == target))
    loss, accuracy = figures["loss, held out, masked"], figures["accuracy, held out, masked"]
    assert loss.count == len(costs) and 0.1 < len(costs) / len(row) < 0.5
    assert loss.value == near(np.mean([cost for cost, _ in costs]))
    assert accuracy.value == near(np.mean([right for _, right in costs]))
    assert "bits per byte, held out" not in figures


def test_figures_of_samples(causal):
    """The same samples are drawn again; their figures are made of them by loops, and of the texts'
    own tokens."""
    run, found, outside = causal
    plain = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "stop": ()}
    drawn = run.sample(prompts=[""], n=SAMPLES, max_tokens=CONTEXT, seed=run.recipe.seed, **plain)
    samples = []
    for sample in drawn:
        tokens = list(sample.tokens)
        samples.append(tokens[: tokens.index(outside.end)] if outside.end in tokens else tokens)
    figures, train = figures_of(found), outside.row("train")
    for n in (1, 2, 3):
        assert figures[f"distinct-{n}"].value == near(distinct(samples, n))
    assert figures["repetition"].value == near(repetition(samples))
    copies = [longest_copy(sample, train) for sample in samples]
    assert figures["verbatim, mean"].value == near(np.mean(copies))
    longest = [
        f.value for f in found.figures if f.name == "verbatim, longest" and f.unit == "tokens"
    ]
    assert longest == [max(copies)]


# ---- by name, not by place

KNOWN = {"loss": 3.393, "tokens": 81_166, "bytes": 231_217, "bits": 1.718}


class Recorded(Objective):
    """An objective whose loss is known and whose accuracy comes first among its metrics."""

    modules: dict = {}

    def prepare(self, batch, draws, ranks):
        return {"targets": batch["tokens"][:, 1:]}

    def measured(self, batch):
        count = torch.tensor(float((batch["targets"] >= 0).sum()))
        metrics = {"accuracy": (0.325 * count, count), "loss": (KNOWN["loss"] * count, count)}
        return Loss(torch.zeros(1), torch.ones(1), metrics)


class Held:
    """A split of as many tokens as the demo holds out."""

    codec = type("", (), {"space": Space(3)})()
    summary = {"held_out": {"bytes": KNOWN["bytes"]}}

    def tokens(self, split):
        return np.zeros(KNOWN["tokens"] if split == "held_out" else 10, np.uint16)

    def held_out(self, lookahead):
        return self

    windows = 1

    def batch(self, start, stop):
        return {"tokens": torch.zeros(1, KNOWN["tokens"], dtype=torch.int64)}


def test_bits_per_byte_come_from_the_loss_wherever_it_stands():
    figures = evaluate_language(Recorded(), Held(), 1)
    bits, loss = named(figures, BITS_PER_BYTE), named(figures, LOSS)
    assert loss.value == pytest.approx(KNOWN["loss"])
    assert bits.value == pytest.approx(KNOWN["bits"], abs=5e-4)
    assert bits.value == pytest.approx(
        KNOWN["loss"] * KNOWN["tokens"] / KNOWN["bytes"] / math.log(2), rel=1e-6
    )


def test_bits_per_byte_are_made_of_nothing_but_nats_per_token():
    with pytest.raises(ValueError, match="accuracy"):
        bits_per_byte(Figure("accuracy, held out", 0.3, "share", 10), 10, 20)


def test_a_report_finds_its_headline_by_name_wherever_it_stands():
    others = [
        Figure("accuracy, held out", 0.325, "share", 9, "tokens", {"bigram": 0.3}),
        Figure("loss of all notes, held out", 0.5, "nats/token", 9, "tokens", {"bigram": 0.7}),
        Figure("loss, held out", 3.393, "nats/token", 9, "tokens", {"bigram": 4.5}),
    ]
    told = {sentence(RunData("name", figures=order)) for order in (others, others[::-1])}
    assert len(told) == 1 and "needs 3.393 nats a token" in told.pop()
