"""The perplexity of documents under a run: beside the run's own evaluation, and a forward pass
token by token."""

import json
import math
import shutil

import numpy as np
import pytest
import torch

import genwright
from genwright.contents.text import corpus_perplexity
from genwright.contents.text.corpus_perplexity import Perplexity, batches_of, perplexity
from genwright.core import registry
from genwright.core.corpus import attributes_of
from genwright.core.errors import GenwrightError
from genwright.curation.attributes import write_attributes
from genwright.curation.build import build, open_corpus, remix
from genwright.curation.built import built
from genwright.curation.look import dropped
from genwright.curation.page import write_page
from genwright.curation.settings import CorpusRecipe
from genwright.evaluation.figure import LOSS
from genwright.evaluation.language import BITS_PER_BYTE
from rooms_here import needs
from short_runs import SHORT, by_name

CONTEXT = 24
GOOD = "the cat sat on the mat, and the dog sat on the cat. " * 4
HELD_OUT = "the dog sat on the mat, and the café cat sat on the dog; then it rained all day long."
ODD = "Qz7#vX!w9@Kp%Jj0^Gg&Yy*Uu(Ii)Oo_Pp+Ll"
SMALL = {
    "data.context": CONTEXT,
    "model.depth": 1,
    "model.width": 32,
    "model.heads": 2,
    "codec": "bytes",
    "training.device": "cpu",
    **SHORT,
}


def trained(place, **changes):
    """A run whose held-out split is one document."""
    texts = place / "texts"
    for side, text in (("train", GOOD), ("held_out", HELD_OUT)):
        (texts / side).mkdir(parents=True, exist_ok=True)
        (texts / side / "a.txt").write_text(text, encoding="utf-8")
    settings = SMALL | {"data.path": str(texts), "data.cache": str(place / "cache")} | changes
    return genwright.train("docs", run=place / "run", quiet=True, **settings)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("causal"), **{"data.source": "files"})


def measured(folder, name, texts):
    """(perplexity, bits per byte) of texts."""
    (group,) = perplexity(Perplexity(run=str(name), at_most=9)).attributes
    prepared = attributes_of("text")[group].prepared
    place = folder / group
    place.mkdir(exist_ok=True)
    if not any(place.iterdir()):
        prepared.write(place)
    values = prepared.read(place)(texts)
    return values[f"{group}-perplexity"], values[f"{group}-bits-per-byte"]


def nats_by_hand(run, text, alone=False):
    """Sum of -log p over the tokens of a text, one token and one prefix at a time; how many."""
    end = run.codec.space.special["end"]
    tokens = [*text.encode(), end]
    if not alone:
        tokens = [end, *tokens]
    total = 0.0
    for place in range(1, len(tokens)):
        start = (place - 1) // CONTEXT * CONTEXT  # of the window that predicts it
        with torch.no_grad():
            logits = run.model(torch.tensor([tokens[start:place]]))[0, -1].double()
        total -= float(logits.log_softmax(-1)[tokens[place]])
    return total, len(tokens) - 1


TEXTS = [
    "a",
    "the cat sat",
    GOOD,
    "x" * (CONTEXT - 2),
    "y" * (CONTEXT - 1),
    "z" * CONTEXT,
    "the café",
    ODD,
]


def test_values_are_those_of_a_forward_pass_token_by_token(run, tmp_path):
    found, bits = measured(tmp_path, run.folder, TEXTS)
    for number, text in enumerate(TEXTS):
        nats, count = nats_by_hand(run, text)
        assert count == len(text.encode()) + 1
        assert found[number] == pytest.approx(math.exp(nats / count), rel=1e-5)
        expected = nats / math.log(2) / len(text.encode())
        assert bits[number] == pytest.approx(expected, rel=1e-5)


def test_values_are_those_of_the_evaluation_of_the_same_text(tmp_path):
    run = trained(tmp_path, **{"data.source": "files", "data.isolate_documents": True})
    figures = by_name(run.evaluate(samples=4))
    found, bits = measured(tmp_path, run.folder, [HELD_OUT])
    assert run.dataset().summary["held_out"]["documents"] == 1
    assert np.log(found[0]) == pytest.approx(figures[LOSS].value, rel=1e-6)
    assert bits[0] == pytest.approx(figures[BITS_PER_BYTE].value, rel=1e-6)
    nats, count = nats_by_hand(run, HELD_OUT, alone=True)
    assert np.log(found[0]) == pytest.approx(nats / count, rel=1e-5)


def test_a_document_does_not_depend_on_others(run, tmp_path, monkeypatch):
    together = measured(tmp_path, run.folder, [*TEXTS, "", *TEXTS[::-1]])
    monkeypatch.setattr(corpus_perplexity, "TOKENS", 1)  # a window at a time
    corpus_perplexity.loaded.cache_clear()
    for number, text in enumerate([*TEXTS, "", *TEXTS[::-1]]):
        alone = measured(tmp_path, run.folder, [text])
        for one, other in zip(together, alone, strict=True):
            assert one[number] == pytest.approx(other[0], rel=1e-5, nan_ok=True)
    corpus_perplexity.loaded.cache_clear()


def test_a_document_without_text_has_no_value(run, tmp_path):
    found, bits = measured(tmp_path, run.folder, [""])
    assert np.isnan(found[0]) and np.isnan(bits[0])
    assert [len(values) for values in measured(tmp_path, run.folder, [])] == [0, 0]


def test_batches_hold_so_many_tokens_or_one_window():
    windows = [corpus_perplexity.Window(0, np.zeros(n)) for n in (1, 2, 2, 3, 9, 9)]
    sizes = [[len(window.tokens) for window in batch] for batch in batches_of(windows, 6)]
    assert sizes == [[1, 2, 2], [3], [9], [9]]


# ---- in a corpus


def recipe(folder, **given):
    return CorpusRecipe(
        name="mine",
        sources=[{"kind": "files", "path": str(folder / "raw")}],
        filters=[{"perplexity": given}],
        deduplicate=None,
        mix={"held_out": 0},
    )


@pytest.fixture
def sources(tmp_path):
    (tmp_path / "raw").mkdir()
    for name, text in (("good", GOOD), ("odd", ODD), ("held", HELD_OUT), ("more", GOOD[:90])):
        (tmp_path / "raw" / f"{name}.txt").write_text(text, encoding="utf-8")
    return tmp_path


def test_a_corpus_drops_what_the_run_finds_unlikely(run, sources):
    own = recipe(sources, run=str(run.folder), at_most=40)
    corpus, counts = build(own, sources / "c", workers=1)
    assert counts.dropped == {"perplexity.run": 1}
    shown = str(dropped(open_corpus(corpus.folder), "perplexity"))
    assert "raw/odd.txt" in shown and "at most 40" in shown
    about = f"{run.folder}: step 30, {run.weights} weights"
    assert about in str(built(corpus))
    page = write_page(corpus, sources / "c" / "report.html").read_text(encoding="utf-8")
    assert about in page and "at most 40" in page and "perplexity of a token" in page
    bits = {"measure": "bits-per-byte", "at_least": 8.5}
    _, counts = build(recipe(sources, run=str(run.folder), **bits), sources / "c", workers=1)
    assert counts.dropped == {"perplexity.run": 3}


def test_another_result_of_the_run_is_another_attribute(run, sources, monkeypatch):
    copy = sources / "run"
    shutil.copytree(run.folder, copy)
    given = {"run": str(copy), "at_most": 40}
    build(recipe(sources, **given), sources / "c", workers=1)
    first = genwright.load(copy).step
    new = copy / "checkpoints" / f"step-{first + 5:08d}"
    shutil.copytree(genwright.load(copy).checkpoint, new)
    corpus, _ = build(recipe(sources, **given), sources / "c", workers=1)
    groups = sorted(path.name for path in (corpus.folder / "attributes").iterdir())
    assert len(groups) == 2
    about = [path.read_text() for path in corpus.folder.glob("prepared/*/about.json")]
    assert sum(f"step {first + 5}," in text for text in about) == 1
    # a run that names an earlier checkpoint as its result
    state = json.loads((new / "state.json").read_text())
    (new / "state.json").write_text(json.dumps(state | {"result": first}))
    build(recipe(sources, **given), sources / "c", workers=1)
    assert len(list((corpus.folder / "attributes").iterdir())) == 2
    # values that were computed with another run than is there now
    filters = [each.model_dump(mode="json") for each in corpus.recipe.filters]
    group = next(name for name in groups).rpartition("-")[0]
    (copy / "recipe.yaml").write_text((copy / "recipe.yaml").read_text() + "\n")
    monkeypatch.setitem(registry._known, "attributes", {})  # as in a new process
    with pytest.raises(GenwrightError, match="changed meanwhile; build the corpus again"):
        write_attributes(str(corpus.folder), corpus.shards[0].key, "text", group, filters)


def test_the_weights_are_loaded_once_a_process(run, tmp_path):
    corpus_perplexity.loaded.cache_clear()
    for _ in range(3):
        measured(tmp_path, run.folder, ["a"])
    assert corpus_perplexity.loaded.cache_info().misses == 1


def test_deciding_needs_no_torch(run, sources):
    """A mix, a page and a list of what was dropped read no weights."""
    import subprocess
    import sys

    build(recipe(sources, run=str(run.folder), at_most=40), sources / "c", workers=1)
    code = (
        "import sys; from genwright import api_data as api\n"
        f"api.data_mix({str(sources / 'c')!r}, workers=1)\n"
        f"print(api.data_dropped({str(sources / 'c')!r}))\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert "perplexity is" in done.stdout


def test_a_run_that_is_gone_is_needed_for_new_documents_alone(run, sources):
    shutil.copytree(run.folder, sources / "copy")
    given = {"run": str(sources / "copy"), "at_most": 40}
    corpus, _ = build(recipe(sources, **given), sources / "c", workers=1)
    shutil.rmtree(sources / "copy")
    made = sources / "c"
    assert "raw/odd.txt" in str(dropped(open_corpus(made), "perplexity"))
    write_page(open_corpus(made), made / "report.html")
    written = made / "corpus.yaml"
    written.write_text(written.read_text().replace("at_most: 40", "at_most: 1.0e+09"))
    assert remix(open_corpus(made), workers=1).dropped == {}
    again, _ = build(open_corpus(made).recipe, made, workers=1)
    assert again.shards == corpus.shards
    (sources / "raw" / "new.txt").write_text("the cat", encoding="utf-8")
    what = "^the run .*/copy is gone, and not all documents are measured by it yet; bring it back"
    with pytest.raises(GenwrightError, match=what):
        build(open_corpus(made).recipe, made, workers=1)
    shutil.copytree(run.folder, sources / "copy")
    build(open_corpus(made).recipe, made, workers=1)
    assert len(list((made / "prepared").iterdir())) == 1


@pytest.mark.parametrize(
    "changes,what",
    [
        ({}, "the filter perplexity has no bound; give at_most, at_least or both"),
        ({"at_most": 0}, "filters.perplexity.at_most is 0; it must be more than 0"),
        ({"at_most": 9, "measure": "bits"}, "measure is 'bits'; it must be 'perplexity' or"),
        ({"at_most": 9, "run": "missing"}, "missing is not a run: it has no recipe.yaml; give the"),
        ({"at_most": 9, "run": "begun"}, "begun has no checkpoint yet; train it first"),
        ({"at_most": 9, "run": "cut"}, "cut/checkpoints is whole"),
    ],
)
def test_bad_runs(run, sources, monkeypatch, changes, what):
    monkeypatch.chdir(sources)
    (sources / "begun").mkdir()
    shutil.copy(run.folder / "recipe.yaml", sources / "begun")
    shutil.copytree(run.folder, sources / "cut")
    for weights in (sources / "cut").rglob("*.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(GenwrightError, match=what):
        build(recipe(sources, **{"run": str(run.folder), **changes}), sources / "c", workers=1)
    assert not (sources / "c" / "documents").exists()  # refused before anything is read


def test_a_masked_run_is_refused(sources):
    masked = trained(
        sources, **{"data.source": "files", "objective": "masked", "model.causal": False}
    )
    with pytest.raises(GenwrightError, match="objective masked, which gives no probability of a t"):
        build(recipe(sources, run=str(masked.folder), at_most=9), sources / "c", workers=1)


def test_a_run_that_lacks_characters_is_refused(sources):
    own = trained(sources, **{"data.source": "files", "codec": "characters"})
    with pytest.raises(GenwrightError, match="the character 'Q' is not among .* cannot measure"):
        build(recipe(sources, run=str(own.folder), at_most=9), sources / "c", workers=1)
    (sources / "raw" / "odd.txt").unlink()
    _, counts = build(recipe(sources, run=str(own.folder), at_most=99), sources / "c", workers=1)
    assert counts.dropped == {}


@needs("points")
def test_a_run_of_another_content_is_refused(sources):
    short = SHORT | {"training.steps": 2}
    other = genwright.train("moons-flow", run=sources / "run", quiet=True, **short)
    with pytest.raises(GenwrightError, match="makes points, and documents are text; name a run"):
        build(recipe(sources, run=str(other.folder), at_most=9), sources / "c", workers=1)
