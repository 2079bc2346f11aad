"""The vector-quantised objective: figures in closed form, and the same codebook however a batch is
split."""

import math

import pytest
import torch

from genwright.core.contracts import Source, Space
from genwright.core.draws import Draws
from genwright.models.vq import VQSettings
from genwright.objectives.quantised import VectorQuantised, perplexity
from genwright.training import loop, state_tensors
from genwright.training.engine import Engine
from genwright.training.settings import Optimizer, Training

SPACE = Space(shape=(1, 8, 8))


class Shapes:
    """Bars and squares of a random shade."""

    units, unit = 1, "images"

    def __init__(self, size):
        self.size = size

    def batch(self, position, examples, policy=None):
        draws = Draws(5, position, examples)
        shade, kind = draws.uniform("shade", 1)[:, 0], draws.integers("kind", 3)
        x = torch.full((len(examples), 1, 8, 8), -1.0)
        for row, k, s in zip(x, kind.tolist(), shade.tolist(), strict=True):
            row[0, slice(2, 6) if k else slice(None), slice(1, 5) if k != 1 else slice(None)] = s
        return {"x": x}

    def sources(self, position, examples):
        return [Source(f"shapes {position}") for _ in examples]


def made(**settings):
    torch.manual_seed(0)
    network = VQSettings(
        **{"width": 4, "blocks": 1, "codes": 8, "code_width": 3, "levels": (3, 3)} | settings
    ).build(SPACE)
    objective = VectorQuantised(restart=3, decay=0.9)
    assert objective.needs(SPACE) == {"model": ("vq", {})}
    return objective.build({"model": network}, SPACE)


def trained(objective, steps, *, start=None, micro_batch=None, size=12, records=None):
    settings = Training(
        steps=20,
        batch_size=size,
        micro_batch=micro_batch,
        precision="fp32",
        optimizer=Optimizer(kind="adamw", learning_rate=0.005, eps=1e-6),
    )
    engine = Engine("cpu")
    state = loop.start(objective, settings, engine, seed=3)
    if start:
        state_tensors.put(objective, state, *start)

    class Keep(loop.Hook):
        def after_step(self, state, record):
            if records is not None:
                records.append(record)

    loop.run(
        objective, Shapes(size), state, steps, settings=settings, engine=engine, hooks=[Keep()]
    )
    files, plain = state_tensors.take(objective, state)
    return {
        file: {n: t.clone() for n, t in tensors.items()} for file, tensors in files.items()
    }, plain


def test_perplexity_in_closed_form():
    assert perplexity(torch.tensor([5, 5, 5, 5, 0])).item() == pytest.approx(4)
    assert perplexity(torch.tensor([7, 0])).item() == 1
    p = [0.5, 0.3, 0.2]
    assert perplexity(torch.tensor([50, 30, 20])).item() == pytest.approx(
        math.exp(-sum(q * math.log(q) for q in p))
    )


@pytest.mark.parametrize("kind", ["l2", "l1"])
def test_the_loss_is_what_it_says(kind):
    objective = made(normalised=False)
    objective.settings = VectorQuantised(reconstruction=kind, commitment=0.5)
    engine = Engine("cpu")
    batch = objective.prepare(
        Shapes(6).batch(0, torch.arange(6)), Draws(0, 0, torch.arange(6)), engine
    )
    loss = objective.loss(batch)
    net, x = objective.modules["model"], batch["x"]
    z, codes = net(x)
    error = net(codes=codes) - x
    for i in range(6):
        expected = error[i].abs().mean() if kind == "l1" else error[i].square().mean()
        distance = torch.stack(
            [(z[i, j] - net.bottleneck.codebook[codes[i, j]]).square().mean() for j in range(4)]
        ).mean()
        assert loss.total[i].item() == pytest.approx((expected + 0.5 * distance).item(), rel=1e-4)
    assert loss.count.tolist() == [1] * 6 and set(loss.metrics) == {"loss", "reconstruction"}
    found = objective.held_out_figures(objective.measured(batch).sums)
    assert found["perplexity"] == pytest.approx(
        perplexity(torch.bincount(codes.flatten(), minlength=8)).item()
    )


@pytest.mark.parametrize("bottleneck", ["vq", "fsq"])
def test_micro_batches_change_nothing(bottleneck):
    whole, parts = [], []
    a, _ = trained(made(bottleneck=bottleneck), 6, records=whole)
    b, _ = trained(made(bottleneck=bottleneck), 6, micro_batch=5, records=parts)
    for name, tensor in a["weights"].items():
        assert torch.allclose(tensor.double(), b["weights"][name].double(), rtol=1e-4, atol=1e-5), (
            name
        )
    for x, y in zip(whole, parts, strict=True):
        assert all(
            x[k] == pytest.approx(y[k], rel=1e-4)
            for k in ("loss", "reconstruction", "perplexity", "used")
        )


def test_parts_of_a_batch_sum_to_what_the_whole_one_teaches():
    objective, engine, n = made(codes=29), Engine("cpu"), 12
    batch = objective.prepare(
        Shapes(n).batch(0, torch.arange(n)), Draws(0, 0, torch.arange(n)), engine
    )
    whole = objective.loss(batch).sums
    z, codes = objective.modules["model"](batch["x"])
    assert whole["counts"].tolist() == torch.bincount(codes.flatten(), minlength=29).tolist()
    for code in range(29):
        assert torch.allclose(whole["latents"][code].float(), z[codes == code].sum(0), atol=1e-5)
        assert (z.flatten(0, 1) == whole["candidates"][code].float()).all(1).any(), (
            "a latent of the batch for every code"
        )
    parts = [
        objective.loss({k: v[rows] for k, v in batch.items()}).sums
        for rows in (slice(0, 12, 2), slice(1, 8, 2), slice(9, 12, 2))
    ]
    for name, tensor in whole.items():
        assert torch.allclose(
            sum(part[name].double() for part in parts), tensor.double(), atol=1e-5
        ), name


def test_dead_codes_come_back():
    objective, records = made(codes=32), []
    book = objective.model.bottleneck
    # 31 equal codes opposite to the first: no more than two can be in use
    book.codebook[1:] = -book.codebook[:1]
    book.mass.fill_(1)
    trained(objective, 12, records=records)
    assert records[0]["perplexity"] <= 2 and records[-1]["perplexity"] > 4
    assert len(book.codebook.unique(dim=0)) == 32


def test_preparing_what_is_only_measured_moves_nothing():
    objective, engine = made(), Engine("cpu")
    before = {n: t.clone() for n, t in objective.model.state_dict().items()}
    prepared = objective.prepare(
        Shapes(4).batch(9, torch.arange(4)), Draws(0, 9, torch.arange(4)), engine
    )
    assert objective.measured(prepared).metrics["loss"].count.sum() == 4
    assert all(torch.equal(t, before[n]) for n, t in objective.model.state_dict().items())


@pytest.mark.parametrize("bottleneck", ["vq", "fsq"])
def test_a_resumed_run_is_the_same_run(bottleneck):
    whole, _ = trained(made(bottleneck=bottleneck), 8)
    half = trained(made(bottleneck=bottleneck), 5)
    again, plain = trained(made(bottleneck=bottleneck), 8, start=half)
    assert plain["step"] == 8 and all(
        torch.equal(t, again["weights"][n]) for n, t in whole["weights"].items()
    )
    assert f"model.bottleneck.{'codebook' if bottleneck == 'vq' else 'idle'}" in whole["weights"]


def test_it_learns():
    records = []
    trained(made(codes=16), 20, records=records)
    assert (
        records[-1]["reconstruction"] < 0.6 * records[0]["reconstruction"]
        and 0 < records[-1]["used"] <= 1
    )
