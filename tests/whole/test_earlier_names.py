"""A run whose checkpoints name weights as they were named before projections were modules is
sampled and resumed as if it had today's names."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

import genwright
from genwright.core.files import digest
from genwright.training import checkpoint
from genwright.training.records import read, without_clock

SETTINGS = {
    "data.source": "files",
    "data.held_out": 0.2,
    "data.context": 16,
    "codec": "bytes",
    "model.preset": "llama",
    "model.depth": 2,
    "model.width": 16,
    "model.heads": 2,
    "training.batch_size": 4,
    "training.checkpoint_every": 3,
    "training.evaluate_every": 0,
    "training.ema": 0.9,
    "training.precision": "fp32",
    "training.threads": 1,
    "watching.samples": 0,
}


def old_name(name):
    return name if "norm" in name else name.removesuffix(".weight")


def rename_back(run, step):
    """Writes a checkpoint anew, by the names of before."""
    folder = checkpoint.folder_of(run / "checkpoints", step)
    count = 0
    for path in folder.glob("*.safetensors"):
        tensors = load_file(path)
        count += sum(name != old_name(name) for name in tensors)
        save_file({old_name(name): tensor for name, tensor in tensors.items()}, path)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest |= {path.name: digest(path) for path in folder.glob("*.safetensors")}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return count


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """(as it is written today, with earlier names) of one run, stopped half-way."""
    folder = tmp_path_factory.mktemp("earlier")
    (folder / "data").mkdir()
    for number in range(12):
        text = f"{number} and {number} are {2 * number}.\n" * 8
        (folder / "data" / f"{number}.txt").write_text(text)
    settings = SETTINGS | {"data.path": str(folder / "data"), "data.cache": str(folder / "cache")}
    settings["training.steps"] = 6
    genwright.train("docs", run=folder / "now", until=3, quiet=True, **settings)
    shutil.copytree(folder / "now", folder / "then")
    # 7 projections in each of 2 layers, and the output layer; weights, average, and two moments of
    # those that AdamW updates
    assert rename_back(folder / "then", 3) > 2 * (2 * 7 + 1)
    return folder / "now", folder / "then", settings


def test_samples_are_the_same(runs):
    now, then, _ = runs
    texts = []
    for run in (now, then):
        drawn = genwright.load(run).sample(prompts=["3 and"], n=2, max_tokens=20, seed=1)
        texts.append([(sample.text, sample.logprob) for sample in drawn])
    assert texts[0] == texts[1]


def test_resuming_goes_on_bit_for_bit(runs, tmp_path):
    ends = []
    for source in runs[:2]:
        run = tmp_path / source.name
        shutil.copytree(source, run)
        genwright.train("docs", run=run, resume=True, quiet=True, **runs[2])
        records = [without_clock(record) for record in read(run / "metrics.jsonl")]
        weights = load_file(checkpoint.folder_of(run / "checkpoints", 6) / "weights.safetensors")
        ends.append((records, {name: tensor.tolist() for name, tensor in weights.items()}))
    assert ends[0] == ends[1]
