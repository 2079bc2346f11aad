"""The real objectives of pictures and points, stopped and taken up again: bit for bit the run that
was never stopped."""

import pytest
import torch
from safetensors.torch import load_file

import watched as w
from genwright.training import checkpoint
from genwright.training.engine import Engine
from genwright.training.records import read, without_clock
from genwright.training.session import Session
from genwright.training.settings import Training

FAMILIES = {
    "packed gan": (lambda space: w.gan(space, packing=2), w.ring),
    "wasserstein": (lambda space: w.gan(space, loss="wasserstein"), w.ring),
    "vae": (w.vae, w.squares),
    "vq": (lambda space: w.vq(space, 16), w.squares),
    "flow": (w.flow, w.ring),
}


def session(name, folder):
    make, data = FAMILIES[name]
    dataset = data()
    settings = Training(
        steps=9,
        batch_size=8,
        micro_batch=4,
        ema=0.9,
        precision="fp32",
        optimizer=w.adam(1e-3),
        checkpoint_every=3,
        evaluate_every=0,
    )
    return Session(folder, make(dataset.codec.space), dataset.stream(8, 0), settings, Engine("cpu"))


def ended(folder):
    root = checkpoint.folder_of(folder / "checkpoints", 9)
    tensors = {(p.stem, n): t for p in root.glob("*.safetensors") for n, t in load_file(p).items()}
    return tensors, [without_clock(r) for r in read(folder / "metrics.jsonl")]


@pytest.mark.parametrize("name", FAMILIES)
def test_a_run_that_was_stopped_ends_as_one_that_was_not(name, tmp_path):
    for folder, stops in (("whole", ()), ("parts", (2, 5))):
        (tmp_path / folder).mkdir()
        for i, until in enumerate([*stops, None]):
            session(name, tmp_path / folder).train(resume=i > 0, until=until)
    (a, lines), (b, others) = ended(tmp_path / "whole"), ended(tmp_path / "parts")
    assert lines == others
    assert a.keys() == b.keys() and len(a) > 4
    assert all(torch.equal(a[k], b[k]) for k in a)
