"""The Python door, end to end on tiny runs: train, stop, resume, load, sample, evaluate, export,
report, start from weights."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import genwright
from genwright import api
from genwright.contents.text.view import TextView
from genwright.core.content import Advanced, Drawn, Sample
from genwright.core.errors import GenwrightError
from genwright.recipe.schema import Recipe
from genwright.runs import train as runs_train
from genwright.runs.new_files import write_new
from genwright.training import checkpoint
from genwright.training.records import read, without_clock

WORDS = ["alpha", "beta", "gamma", "delta", "(x)", "= 1", "return", "if"]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Overrides of a run that takes a second or two."""
    place = tmp_path_factory.mktemp("tiny")
    folder = place / "text"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i}.txt").write_text(
            "\n".join(f"{WORDS[i * j % 8]} {WORDS[(i + j) % 8]}" for j in range(40))
        )
    return {
        "data.path": str(folder),
        "data.cache": str(place / "cache"),
        "data.context": 16,
        "data.held_out": 0.3,
        "codec": "bytes",
        "model.depth": 2,
        "model.width": 32,
        "model.heads": 2,
        "training.batch_size": 6,
        "training.micro_batch": 4,
        "training.steps": 12,
        "training.threads": 1,
        "training.precision": "fp32",
        "training.evaluate_every": 5,
        "training.checkpoint_every": 5,
        "training.ema": 0.9,
    }


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    return genwright.train(
        "docs", run=tmp_path_factory.mktemp("runs") / "whole", quiet=True, **tiny
    )


def final(run, step=12):
    root = checkpoint.folder_of(run.folder / "checkpoints", step)
    tensors = {(p.stem, n): t for p in root.glob("*.safetensors") for n, t in load_file(p).items()}
    return tensors, [without_clock(r) for r in read(run.folder / "metrics.jsonl")]


def same(a, b):
    return (
        a[1] == b[1]
        and a[0].keys() == b[0].keys()
        and all(torch.equal(a[0][k], b[0][k]) for k in a[0])
    )


def tree(folder):
    return {
        p: p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != ".lock"
    }


def test_a_run_leaves_what_the_design_says(trained):
    names = {
        p.relative_to(trained.folder).as_posix() for p in trained.folder.rglob("*") if p.is_file()
    }
    assert {
        "recipe.yaml",
        "environment.json",
        "metrics.jsonl",
        "codec/tokenizer.json",
        "checkpoints/step-00000012/manifest.json",
    } <= names
    environment = json.loads((trained.folder / "environment.json").read_text())
    assert all(len(sha) == 64 for sha in environment["data"]["shards"].values())
    records = trained.records
    assert [r["step"] for r in records if "loss" in r] == list(range(1, 13))
    assert [r["step"] for r in records if "held_out" in r] == [0, 5, 10, 12]
    assert not any(name.endswith((".pt", ".pkl", ".bin")) for name in names)


def test_stopping_and_resuming_is_the_run_never_stopped(trained, tiny, tmp_path):
    run = genwright.train("docs", run=tmp_path / "r", until=4, quiet=True, **tiny)
    assert run.step == 4
    assert (
        genwright.train("docs", run=tmp_path / "r", resume=True, until=7, quiet=True, **tiny).step
        == 7
    )
    assert same(
        final(genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True, **tiny)),
        final(trained),
    )


def test_the_resolved_recipe_runs_again_to_the_same_losses(trained, tmp_path):
    again = genwright.train(trained.folder / "recipe.yaml", run=tmp_path / "again", quiet=True)
    assert same(final(again), final(trained))
    assert again.recipe == trained.recipe


def test_two_processes_make_the_same_run_and_one_resumes_it(trained, tiny, tmp_path, monkeypatch):
    """Nothing is imported from the folder a person works in."""
    for name in ("tokenizers", "queue", "numpy"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported')")
    monkeypatch.chdir(tmp_path)
    tiny = tiny | {"data.cache": str(tmp_path / "cache")}
    genwright.train("docs", run=tmp_path / "two", processes=2, until=6, quiet=True, **tiny)
    two = genwright.train("docs", run=tmp_path / "two", resume=True, quiet=True, **tiny)
    (a, records), (b, expected) = final(two), final(trained)
    assert a.keys() == b.keys()
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 3e-5
    losses = [[r["loss"] for r in rs if "loss" in r] for rs in (records, expected)]
    assert all(abs(x - y) < 1e-5 for x, y in zip(*losses, strict=True))
    held_out = [
        [r["held_out"]["loss"] for r in rs if "held_out" in r] for rs in (records, expected)
    ]
    assert all(abs(x - y) < 1e-5 for x, y in zip(*held_out, strict=True))


def test_fsdp_makes_the_same_run(trained, tiny, tmp_path, monkeypatch, forks):
    def launch(arguments, processes):
        forks.run_ranks(processes, ["genwright", *arguments], tmp_path)

    monkeypatch.setattr(runs_train, "launch", launch)  # which another test calls
    run = genwright.train(
        "docs",
        run=tmp_path / "fsdp",
        processes=2,
        quiet=True,
        **tiny | {"training.strategy": "fsdp"},
    )
    (a, _), (b, _) = final(run), final(trained)
    assert a.keys() == b.keys()
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 3e-5


def test_a_process_group_that_somebody_else_made_is_accepted(trained, tiny, tmp_path, forks):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys, json, torch.distributed as dist, genwright\n"
        "rank, store, run, overrides = int(sys.argv[1]), sys.argv[2], sys.argv[3], "
        "json.loads(sys.argv[4])\n"
        "dist.init_process_group('gloo', init_method='file://' + store, rank=rank, world_size=2)\n"
        "genwright.train('docs', run=run, quiet=True, **overrides)\n"
        "assert dist.is_initialized()\n"
        "dist.barrier(); dist.destroy_process_group()\n"
    )
    args = [str(tmp_path / "store"), str(tmp_path / "run"), json.dumps(tiny)]
    commands = [[str(script), str(rank), *args] for rank in range(2)]
    ended = forks.run_together(commands, tmp_path, [{}, {}])
    assert [done.returncode for done in ended] == [0, 0], [done.stderr for done in ended]
    a, b = final(genwright.load(tmp_path / "run"))[0], final(trained)[0]
    assert max(float((a[k] - b[k]).abs().max()) for k in a) < 3e-5


def test_an_existing_run_is_never_overwritten(trained, tiny):
    before = tree(trained.folder)
    with pytest.raises(
        GenwrightError,
        match=(
            r"exists already, and a run is never overwritten; "
            r"go on with resume=True, or choose another"
        ),
    ):
        genwright.train("docs", run=trained.folder, quiet=True, **tiny)
    assert tree(trained.folder) == before


def test_resuming_another_recipe_is_refused(trained, tiny):
    before = tree(trained.folder)
    with pytest.raises(
        GenwrightError, match=r"started with another recipe: model.depth is 3 here and 2 there"
    ):
        genwright.train(
            "docs", run=trained.folder, resume=True, quiet=True, **tiny | {"model.depth": 3}
        )
    assert tree(trained.folder) == before


def test_resuming_what_is_no_run_is_refused(tiny, tmp_path):
    with pytest.raises(GenwrightError, match="there is no run in .* to resume"):
        genwright.train("docs", run=tmp_path / "none", resume=True, quiet=True, **tiny)
    assert not (tmp_path / "none").exists()


def test_more_steps_may_be_asked_for_on_resume(tiny, tmp_path):
    shorter = tiny | {"training.schedule.kind": "constant"}
    genwright.train("docs", run=tmp_path / "r", quiet=True, **shorter | {"training.steps": 5})
    more = genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True, **shorter)
    whole = genwright.train("docs", run=tmp_path / "whole", quiet=True, **shorter)
    assert same(final(more), final(whole))


def begun_over_files(tiny, tmp_path):
    """A run in tmp_path / "r" that stopped at step 3: (the folder of its text, its settings)."""
    folder = tmp_path / "text"
    folder.mkdir()
    for i in range(6):
        (folder / f"{i}.txt").write_text(f"some words {i} " * 40)
    changed = tiny | {"data.path": str(folder), "data.cache": str(tmp_path / "cache")}
    genwright.train("docs", run=tmp_path / "r", until=3, quiet=True, **changed)
    return folder, changed


def test_data_that_changed_after_preparing_is_named(tiny, tmp_path):
    folder, changed = begun_over_files(tiny, tmp_path)
    before = tree(tmp_path / "r")
    (folder / "1.txt").write_text("other words " * 40)
    with pytest.raises(GenwrightError, match="the data changed since it was prepared"):
        genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True, **changed)
    assert tree(tmp_path / "r") == before


def test_prepared_data_that_changed_on_disk_is_named(tiny, tmp_path):
    _, changed = begun_over_files(tiny, tmp_path)
    tokens = next((tmp_path / "cache").rglob("train.bin"))
    data = bytearray(tokens.read_bytes())
    data[-1] ^= 1
    tokens.write_bytes(data)
    with pytest.raises(GenwrightError, match="was changed on disk"):
        genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True, **changed)


def test_a_damaged_checkpoint_falls_back_and_the_run_ends_the_same(trained, tiny, tmp_path):
    genwright.train("docs", run=tmp_path / "r", until=10, quiet=True, **tiny)
    file = checkpoint.folder_of(tmp_path / "r" / "checkpoints", 10) / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(
        GenwrightError, match="is damaged: weights.safetensors is not what was written"
    ):
        genwright.load(tmp_path / "r", step=10).tensors()
    assert same(
        final(genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True, **tiny)),
        final(trained),
    )


def test_no_permission_is_a_sentence(tiny, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(
        GenwrightError,
        match=r"cannot be written \(Permission denied\); choose another folder with run",
    ):
        genwright.train("docs", run=tmp_path / "r", quiet=True, **tiny)


def test_two_writers_of_one_folder_are_refused(tiny, tmp_path):
    import fcntl

    genwright.train("docs", run=tmp_path / "r", until=2, quiet=True, **tiny)
    with open(tmp_path / "r" / ".lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        with pytest.raises(GenwrightError, match="another process is training in"):
            genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True, **tiny)


def test_load_samples_evaluates_and_reports(trained):
    run = genwright.load(trained.folder)
    one, two = (
        run.sample(prompts=["alpha"], n=2, seed=1, max_tokens=8),
        run.sample(prompts=["alpha"], n=2, seed=1, max_tokens=8),
    )
    assert [s.text for s in one] == [s.text for s in two] and len(one) == 2
    found = run.evaluate()
    figure = next(f for f in found.figures if f.name == "loss, held out")
    last = [r["held_out"]["loss"] for r in run.records if "held_out" in r][-1]
    # the run's own measure, of the averaged weights, through the same path
    assert figure.value == pytest.approx(last, abs=1e-5)
    assert {"unigram", "bigram", "untrained"} <= figure.floors.keys()
    assert "bits per byte" in str(found)
    assert all(f.detail in str(found) for f in found.figures), (
        "how each was measured stands under the table"
    )
    page = run.report().read_text()
    assert page.startswith("<!doctype html>") and "alpha" in page
    assert (
        f"<h1>{trained.folder.name}</h1>" in page
        and "Trained on " in page
        and "the folder text" in page
    )
    assert "Recipe docs</p>" in page, (
        "the recipe's description is of the Python documentation, and these are other texts"
    )


def test_the_number_of_samples_is_kept_with_the_figures(trained, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "evaluations", ignore_errors=True)
    few = genwright.load(tmp_path / "run").evaluate(samples=3)
    assert few.counts == {"samples": 3} and "drawn: 3 samples;" in str(few)
    assert {f.count for f in few.figures if f.counted == "samples"} == {3}
    again = genwright.load(tmp_path / "run").evaluate()
    assert again.to_json() == few.to_json(), "as many, and the same ones"
    more = genwright.load(tmp_path / "run").evaluate(samples=11)
    texts = [[s["text"] for s in found.samples if not s["prompt"]] for found in (few, more)]
    assert len(texts[1]) == 11 and texts[1][:3] == texts[0], (
        "sample i is the same whatever their number"
    )
    place = next((tmp_path / "run" / "evaluations").iterdir())
    place.write_text("{}")  # of an older form
    piloted = genwright.load(tmp_path / "run").evaluate()
    assert piloted.counts == {"samples": 32}, "what is quick is drawn to the full number"
    place.write_text("what is no JSON")
    assert genwright.load(tmp_path / "run").evaluate().counts == {"samples": 32}


def test_runs_with_folders_of_one_name_are_told_apart(trained, tmp_path, caplog):
    folders = [tmp_path / name / "run" for name in ("a", "b")]
    for folder in folders:
        shutil.copytree(trained.folder, folder)
    page = genwright.report(folders, tmp_path / "two.html").read_text()
    assert (
        "<h1>a/run and b/run</h1>" in page and "different data" not in page and not caplog.messages
    )
    environment = folders[1] / "environment.json"
    kept = json.loads(environment.read_text())
    kept["data"]["digest"], kept["data"]["summary"]["files"] = "0" * 64, 11
    kept["data"]["summary"]["content"]["all"] = "1" * 64
    environment.write_text(json.dumps(kept))
    for folder in folders:  # the figures are kept, and the data of text are not opened again
        assert list((folder / "evaluations").glob("*.json"))
    page = genwright.report(folders, tmp_path / "two.html").read_text()
    assert "a/run and b/run saw different data (files: 12 and 11)" in page
    assert "a/run and b/run saw different data" in caplog.text
    with pytest.raises(GenwrightError, match="is given twice"):
        genwright.report([folders[0], folders[0]], tmp_path / "two.html")


def test_ema_and_raw_weights_differ_and_missing_ones_are_named(trained, tiny, tmp_path):
    ema, raw = genwright.load(trained.folder), genwright.load(trained.folder, weights="raw")
    assert (ema.weights, raw.weights) == ("ema", "raw")
    assert not torch.equal(ema.model.embedding, raw.model.embedding)
    plain = genwright.train(
        "docs", run=tmp_path / "r", until=2, quiet=True, **tiny | {"training.ema": None}
    )
    assert genwright.load(plain.folder).weights == "raw"
    with pytest.raises(GenwrightError, match="keeps no averaged weights"):
        genwright.load(plain.folder, weights="ema").tensors()


def test_steps_that_are_not_there_are_named(trained):
    with pytest.raises(GenwrightError, match=r"has no checkpoint of step 7; there are: .*12"):
        genwright.load(trained.folder, step=7).tensors()
    with pytest.raises(GenwrightError, match="is not a run"):
        genwright.load(trained.folder / "checkpoints")


def test_export_loads_with_transformers_and_starts_a_run(trained, tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    run = genwright.load(trained.folder)
    folder = run.export("hf", tmp_path / "hf")
    model = transformers.AutoModelForCausalLM.from_pretrained(folder)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    tokens = torch.tensor([run.codec.encode("alpha beta")])
    assert tokenizer("alpha beta")["input_ids"] == tokens[0].tolist()
    assert (model(tokens).logits - run.model(tokens)).abs().max() < 1e-5
    with pytest.raises(GenwrightError, match="exists already and is not empty"):
        run.export("hf", folder)
    with pytest.raises(GenwrightError, match="hf makes text, and this recipe music; start from a"):
        genwright.train("chorales", run=tmp_path / "of-music", start=str(folder), quiet=True)
    # float32 survives the way out and back: step 0 of the new run holds exactly these weights
    again = genwright.train(
        "docs", run=tmp_path / "from", start=str(folder), until=1, quiet=True, **tiny
    )
    begun = load_file(checkpoint.folder_of(again.folder / "checkpoints", 0) / "weights.safetensors")
    assert all(torch.equal(begun[f"model.{n}"], p) for n, p in run.model.named_parameters())
    other = genwright.train(
        "docs", run=tmp_path / "from2", start=trained.folder, until=1, quiet=True, **tiny
    )
    assert torch.equal(
        load_file(checkpoint.folder_of(other.folder / "checkpoints", 0) / "weights.safetensors")[
            "model.embedding"
        ],
        run.model.embedding,
    )
    with pytest.raises(GenwrightError, match="neither a run nor a Hugging Face folder"):
        genwright.train("docs", run=tmp_path / "from3", start=str(tmp_path), quiet=True, **tiny)


def test_masked_models_fill_evaluate_and_export(tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    run = genwright.train(
        "docs-masked", run=tmp_path / "m", quiet=True, **tiny | {"model.hidden": 64}
    )
    filled = run.fill("alpha [MASK]eta")
    assert len(filled.candidates) == 1 and len(filled.candidates[0]) == 5
    with pytest.raises(GenwrightError, match='use fill="some \\[MASK\\] text"'):
        run.sample(prompts=["alpha"])
    found = run.evaluate()
    assert {"loss, held out, masked"} <= {f.name for f in found.figures}
    with pytest.raises(GenwrightError, match="fills gaps; leave it out"):
        run.evaluate(samples=3)
    assert found.samples[0]["gaps"] and "<script" not in run.report().read_text()
    # parts and what was hidden between them are the held-out text
    kept = found.samples[0]
    whole = kept["parts"][0]
    for hidden, part in zip(kept["hidden"], kept["parts"][1:], strict=True):
        whole += hidden + part
    documents = run.dataset().documents("held_out")
    assert any(whole in run.codec.decode(list(tokens)) for _, tokens in documents)
    model = transformers.AutoModelForMaskedLM.from_pretrained(run.export("hf", tmp_path / "hf"))
    tokens = torch.tensor([run.codec.encode("alpha beta")])
    assert (model(tokens).logits - run.model(tokens)).abs().max() < 1e-5


def test_inspect_marks_what_counts(tiny):
    seen = genwright.inspect("docs", **tiny)
    assert len(seen.examples) == 3 and all(
        counted for piece in seen.examples for _, counted in piece[1:]
    )
    masked = genwright.inspect("docs-masked", **tiny | {"model.hidden": 64})
    assert any(not counted for piece in masked.examples for _, counted in piece)
    assert "parameters" in str(seen) and "«" in str(seen)


def test_a_recipe_object_and_overrides(tiny, tmp_path):
    recipe = Recipe.load("docs", tiny)
    run = genwright.train(recipe, run=tmp_path / "r", until=1, quiet=True, **{"training.steps": 3})
    assert run.recipe.training.steps == 3


def test_compile_without_a_compiler_goes_on_and_says_so(tiny, tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("PATH", str(tmp_path))
    genwright.train("docs", run=tmp_path / "r", until=1, **tiny | {"training.compile": True})
    assert "no C++ compiler was found" in caplog.text


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_sinks_mirror_the_records(tiny, tmp_path):
    pytest.importorskip("tensorboard")
    run = genwright.train(
        "docs", run=tmp_path / "r", quiet=True, **tiny | {"training.sinks": ["tensorboard"]}
    )
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run.folder / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("loss")] == list(range(1, 13))


def test_overrides_need_not_be_repeated_on_resume(trained, tiny, tmp_path):
    genwright.train("docs", run=tmp_path / "r", until=4, quiet=True, **tiny)
    assert same(
        final(genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True)), final(trained)
    )
    # finished: nothing is done twice
    again = genwright.train("docs", run=tmp_path / "r", resume=True, quiet=True)
    assert same(final(again), final(trained))
    with pytest.raises(GenwrightError, match="started with another recipe"):
        genwright.train("code", run=tmp_path / "r", resume=True, quiet=True)


def test_a_run_begun_from_weights_resumes(trained, tiny, tmp_path):
    genwright.train(
        "docs",
        run=tmp_path / "r",
        start=str(trained.folder),
        until=2,
        quiet=True,
        **tiny | {"codec": "bpe"},
    )
    run = genwright.train("docs", run=tmp_path / "r", resume=True, until=4, quiet=True)
    assert run.step == 4 and run.recipe.codec.kind == "file"


def test_a_longer_run_stays_longer_when_it_is_resumed_again(tiny, tmp_path):
    genwright.train("docs", run=tmp_path / "r", until=4, quiet=True, **tiny)
    genwright.train(
        "docs", run=tmp_path / "r", resume=True, until=7, quiet=True, **{"training.steps": 20}
    )
    run = genwright.train("docs", run=tmp_path / "r", resume=True, until=9, quiet=True)
    assert (run.step, run.recipe.training.steps) == (9, 20)


def test_a_run_from_weights_that_stopped_before_its_first_checkpoint_takes_them_up_again(
    trained, tiny, tmp_path
):
    run = genwright.train(
        "docs", run=tmp_path / "r", start=str(trained.folder), until=1, quiet=True, **tiny
    )
    shutil.rmtree(run.folder / "checkpoints")
    genwright.train("docs", run=tmp_path / "r", resume=True, until=1, quiet=True)
    begun = load_file(checkpoint.folder_of(run.folder / "checkpoints", 0) / "weights.safetensors")[
        "model.embedding"
    ]
    assert torch.equal(begun, genwright.load(trained.folder).model.embedding)


def test_a_start_that_was_stopped_before_it_was_a_run_may_be_repeated(tiny, tmp_path):
    (tmp_path / "r" / "codec").mkdir(parents=True)
    (tmp_path / "r" / "environment.json").write_text("{}")
    assert genwright.train("docs", run=tmp_path / "r", until=1, quiet=True, **tiny).step == 1


def test_nothing_held_out_still_trains_and_reports(tiny, tmp_path):
    run = genwright.train(
        "docs", run=tmp_path / "r", until=2, quiet=True, **tiny | {"data.held_out": 0}
    )
    assert not any("held_out" in r for r in run.records)
    assert run.evaluate().figures == [] and run.report().is_file()


def test_weights_with_more_rows_than_the_tokenizer_has_tokens(trained, tiny, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=64,
    )
    model = transformers.LlamaForCausalLM(config)
    model.save_pretrained(tmp_path / "hf")
    trained.codec.save(tmp_path / "hf")
    words = {k: v for k, v in tiny.items() if not k.startswith("model")}
    run = genwright.train(
        "docs", run=tmp_path / "r", start=str(tmp_path / "hf"), until=1, quiet=True, **words
    )
    assert run.model.vocabulary == 320 and run.codec.space.vocabulary < 320
    shutil.rmtree(tmp_path / "hf")  # the run needs nothing outside of its folder
    assert genwright.train("docs", run=tmp_path / "r", resume=True, until=2, quiet=True).step == 2
    assert run.sample(prompts=["alpha"], max_tokens=4)


@pytest.mark.parametrize(
    "wrong", [{"training.optimizers": {"modle": {}}}, {"training.ema_of": ["modle"]}]
)
def test_settings_of_networks_that_are_not_there_are_refused(tiny, tmp_path, wrong):
    with pytest.raises(
        GenwrightError,
        match=r"names 'modle', which is no network of this recipe; did you mean 'model'",
    ):
        genwright.train("docs", run=tmp_path / "r", quiet=True, **tiny | wrong)


def test_settings_of_a_named_network_apply_to_it(tiny, tmp_path):
    run = genwright.train(
        "docs",
        run=tmp_path / "r",
        until=1,
        quiet=True,
        **tiny | {"training.optimizers": {"model": {"kind": "adamw"}}},
    )
    assert run.recipe.training.optimizers["model"].learning_rate


def test_ranks_whose_launcher_was_killed_save_and_stop(tiny, tmp_path):
    words = [
        f"{name}:={json.dumps(value)}"
        for name, value in (
            tiny | {"training.steps": 100000, "training.checkpoint_every": 0}
        ).items()
    ]
    command = [
        sys.executable,
        "-m",
        "genwright",
        "train",
        "docs",
        *words,
        "--run",
        str(tmp_path / "r"),
        "--quiet",
        "--processes",
        "2",
    ]
    parent = subprocess.Popen(command)
    metrics = tmp_path / "r" / "metrics.jsonl"
    deadline = time.monotonic() + 90
    while not (metrics.exists() and metrics.stat().st_size > 2000) and time.monotonic() < deadline:
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    while (
        checkpoint.steps(tmp_path / "r" / "checkpoints")[-1:] in ([], [0])
        and time.monotonic() < deadline
    ):
        time.sleep(0.1)
    assert not checkpoint.faults(checkpoint.newest(tmp_path / "r" / "checkpoints"))
    assert checkpoint.steps(tmp_path / "r" / "checkpoints")[-1] > 0


def test_a_resumed_run_is_never_shortened(trained):
    before = tree(trained.folder)
    for words in ({"training.steps": 5}, {}):
        with pytest.raises(GenwrightError, match="the run is at step 12 already"):
            genwright.train(
                "docs",
                run=trained.folder,
                resume=True,
                quiet=True,
                until=None if words else 5,
                **words,
            )
    assert tree(trained.folder) == before


def test_a_masked_model_does_not_start_a_causal_run(tiny, tmp_path):
    run = genwright.train(
        "docs-masked", run=tmp_path / "m", until=1, quiet=True, **tiny | {"model.hidden": 64}
    )
    with pytest.raises(
        GenwrightError,
        match="is a masked model, and this recipe trains a causal one; set objective=masked",
    ):
        genwright.train("docs", run=tmp_path / "c", start=str(run.folder), quiet=True, **tiny)
    assert not (tmp_path / "c").exists()  # a refused start leaves nothing behind


def test_what_is_written_can_be_read_by_others(trained):
    modes = {
        p.stat().st_mode & 0o777
        for p in trained.folder.rglob("*")
        if p.is_file() and p.name != ".lock"
    }
    assert len(modes) == 1


def test_networks_start_alike_in_whatever_order_a_recipe_names_them():
    from genwright.core.contracts import Space
    from genwright.recipe.schema import Recipe
    from genwright.runs import assemble

    parts = {
        "generator": {"kind": "mlp-generator", "width": 8},
        "discriminator": {"kind": "mlp-discriminator", "width": 8},
    }
    made = []
    for names in (("generator", "discriminator"), ("discriminator", "generator")):
        recipe = Recipe.of(
            {
                "name": "x",
                "data": {"kind": "points"},
                "model": {n: parts[n] for n in names},
                "objective": {"kind": "adversarial"},
            }
        )
        made.append(assemble.networks(recipe, Space(shape=(2,))))
    for name in parts:
        for a, b in zip(made[0][name].parameters(), made[1][name].parameters(), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("size", [4, None])
def test_too_many_processes_are_refused_before_one_is_started(tiny, tmp_path, monkeypatch, size):
    monkeypatch.setattr(runs_train, "launch", lambda *_: pytest.fail("they were started"))
    settings = tiny | {"training.batch_size": size}
    with pytest.raises(GenwrightError, match=r"batch_size=\d+ leaves a process without examples"):
        genwright.train("docs", run=tmp_path / "r", processes=999, quiet=True, **settings)
    assert not (tmp_path / "r").exists()


def drawn_once(folder):
    """A run in a folder that draws one text."""

    def draw(options):
        yield Drawn(Sample("a text", number=0))
        yield Advanced(1, 1)

    kind = SimpleNamespace(view=TextView())
    return SimpleNamespace(folder=folder, kind=kind, draw=draw, opened=lambda: None)


@pytest.mark.parametrize("output", [None, "others"])
def test_files_of_earlier_samples_are_never_replaced(tmp_path, caplog, output):
    run = drawn_once(tmp_path)
    folder = tmp_path / (output or "samples")
    options = SimpleNamespace(output=folder if output else None)
    folder.mkdir()
    (folder / "step-00000010.png").write_bytes(b"drawn while training")
    caplog.set_level("INFO", "genwright")
    (path,) = api.sample(run, options)
    assert path == folder / "0001.txt" and path.read_text() == "a text" and not caplog.messages
    path.write_text("of the person's own")
    (folder / "3").write_text("a file where a folder would be")
    assert api.sample(run, options) == [folder / "2" / "0001.txt"]
    assert api.sample(run, options) == [folder / "4" / "0001.txt"]
    assert path.read_text() == "of the person's own"
    assert caplog.messages[0] == (
        f"{folder} holds files of an earlier call, which stay: these are in {folder / '2'}"
    )
    assert {each.name for each in folder.iterdir()} == {
        "0001.txt",
        "step-00000010.png",
        "2",
        "3",
        "4",
    }


def test_a_call_that_fails_leaves_no_files(tmp_path):
    def write(draft):
        (draft / "a.txt").write_text("half")
        raise GenwrightError("it cannot be written", "do something")

    with pytest.raises(GenwrightError):
        write_new(tmp_path / "out", write)
    assert list((tmp_path / "out").iterdir()) == []


def write_two(draft):
    paths = [draft / "a.txt", draft / "b.txt"]
    for path in paths:
        path.write_text("new")
    return paths


def files_in(folder):
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("failing", [0, 1])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_a_move_that_fails_leaves_no_files(tmp_path, monkeypatch, error, failing):
    (tmp_path / "a.txt").write_text("of before")
    moved = []
    replace = os.replace

    def fail(source, target):
        if len(moved) == failing:
            raise error
        moved.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(type(error)):
        write_new(tmp_path, write_two)
    monkeypatch.undo()
    assert len(moved) == failing
    assert files_in(tmp_path) == {"a.txt": "of before"}
    assert write_new(tmp_path, write_two) == [tmp_path / "2" / name for name in ("a.txt", "b.txt")]


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "no"), KeyboardInterrupt()])
def test_a_name_that_cannot_be_taken_leaves_no_files(tmp_path, monkeypatch, error):
    touch = Path.touch

    def fail(path, *args, **kwargs):
        if path.name == "b.txt":
            raise error
        touch(path, *args, **kwargs)

    monkeypatch.setattr(Path, "touch", fail)
    with pytest.raises(type(error)):
        write_new(tmp_path, write_two)
    assert files_in(tmp_path) == {}


def test_calls_at_the_same_time_replace_nothing_of_each_other(tmp_path):
    def write_one(number):
        def write(draft):
            names = [draft / "grid.png", draft / "0001.png"]
            for path in names:
                path.write_text(str(number))
            return names

        return write_new(tmp_path, write)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(write_one, range(24)))
    for number, paths in enumerate(found):
        assert [path.read_text() for path in paths] == [str(number)] * 2
    assert len({path for paths in found for path in paths}) == 48
