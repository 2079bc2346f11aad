"""The classifier that tells good texts from bad ones, beside plain mathematics, and in a corpus."""

import ast
import json
import math
import random
import shutil
import warnings
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from genwright.contents.text.corpus_features import features_of
from genwright.contents.text.corpus_ngrams import Words
from genwright.contents.text.corpus_quality_trained import LEAST, Quality, quality
from genwright.core.corpus import attributes_of
from genwright.core.errors import GenwrightError
from genwright.curation.build import build, open_corpus
from genwright.curation.built import built
from genwright.curation.look import dropped
from genwright.curation.page import write_page
from genwright.curation.settings import CorpusRecipe
from genwright.data import hashed_classifier
from genwright.data.hashed_classifier import BUCKETS, joined, minimum, trained
from genwright.data.importance import area_under_curve

COMMON = [
    "the",
    "of",
    "a",
    "to",
    "in",
    "is",
    "it",
    "that",
    "for",
    "on",
    "with",
    "as",
    "are",
    "this",
]


# ---- mathematics


def bucket_of(text: str) -> int:
    return int(Words([text]).ngrams(len(text.split()))[0][0] >> np.uint64(64 - 18))


def test_features_are_shares_of_words_and_pairs():
    features = features_of(["A b, a!", "", "c d e f"], words=3)
    assert features.examples == 3
    own = slice(features.first[0], features.first[1])
    found = dict(zip(features.bucket[own].tolist(), features.share[own].tolist(), strict=True))
    fifth = np.float32(0.2)
    expected = {bucket_of("a"): 2 * fifth, bucket_of("b"): fifth}
    expected |= {bucket_of("a b"): fifth, bucket_of("b a"): fifth}
    assert found == pytest.approx(expected)
    assert features.first[1] == features.first[2]  # a text without a word
    own = slice(features.first[2], features.first[3])
    assert sorted(features.bucket[own]) == sorted(map(bucket_of, ["c", "d", "e", "c d", "d e"]))


TEXTS = st.lists(st.text(alphabet="abc d", max_size=20), min_size=1, max_size=5)


@given(TEXTS)
def test_features_do_not_depend_on_other_texts(texts):
    together = features_of(texts, 4)
    alone = joined(features_of([text], 4) for text in texts)
    for one, other in zip(together, alone, strict=True):
        assert np.array_equal(one, other)


def test_sums_are_those_of_a_matrix():
    features = features_of(["a b a", "", "b c", "x"], 99)
    matrix = np.zeros((4, BUCKETS))
    for text in range(4):
        for place in range(features.first[text], features.first[text + 1]):
            matrix[text, features.bucket[place]] += features.share[place]
    weights = np.random.default_rng(0).normal(size=BUCKETS)
    values = np.array([1.0, -2.0, 3.0, 0.5])
    assert features.times(weights) == pytest.approx(matrix @ weights)
    assert features.transposed_times(values, BUCKETS) == pytest.approx(matrix.T @ values)


def test_the_minimum_is_where_scipy_finds_it():
    generator = np.random.default_rng(3)
    factors = generator.normal(size=(30, 12)) * np.geomspace(1, 30, 12)
    targets = generator.normal(size=30)

    def value(point):
        rest = factors @ point - targets
        # not quadratic: the curvature changes from place to place
        loss = np.logaddexp(rest, -rest).sum() + 0.1 * point @ point
        return float(loss), factors.T @ np.tanh(rest) + 0.2 * point

    expected = minimize(value, np.zeros(12), jac=True, options={"gtol": 1e-10}).x
    assert minimum(value, np.zeros(12)) == pytest.approx(expected, abs=1e-6)


def test_training_minimises_the_balanced_logistic_loss():
    texts = ["good fine", "good day", "fine day today", "bad day", "bad bad thing"]
    is_good = np.array([True, True, True, False, False])
    penalty = 1e-2
    features = features_of(texts, 99)
    linear = trained(features, is_good, penalty)
    used = np.unique(features.bucket)
    matrix = np.zeros((5, len(used)))
    for text in range(5):
        for place in range(features.first[text], features.first[text + 1]):
            column = np.searchsorted(used, features.bucket[place])
            matrix[text, column] += features.share[place]

    def loss(point):
        logits = matrix @ point[:-1] + point[-1]
        good = np.log1p(np.exp(-logits[is_good])).mean()
        bad = np.log1p(np.exp(logits[~is_good])).mean()
        return (good + bad) / 2 + penalty / 2 * (point[:-1] ** 2).sum()

    expected = minimize(loss, np.zeros(len(used) + 1), options={"gtol": 1e-9}).x
    assert linear.weights[used] == pytest.approx(expected[:-1], abs=2e-3)
    assert linear.bias == pytest.approx(expected[-1], abs=2e-3)
    assert np.count_nonzero(linear.weights) == len(used)
    logits = matrix @ expected[:-1] + expected[-1]
    assert linear.probability(features) == pytest.approx(1 / (1 + np.exp(-logits)), abs=1e-3)


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=12))
def test_the_area_counts_pairs(given):
    scores = np.array([score for score, _ in given], float)
    is_good = np.array([good for _, good in given])
    if is_good.all() or not is_good.any():
        return
    pairs = list(product(scores[is_good], scores[~is_good]))
    wins = sum((good > bad) + (good == bad) / 2 for good, bad in pairs)
    assert area_under_curve(scores, is_good) == pytest.approx(wins / len(pairs))


# ---- texts


def sentences(generator: random.Random, own: list[str], count: int) -> list[str]:
    """Texts of common words, with some words of their own kind."""
    texts = []
    for _ in range(count):
        words = generator.choices(COMMON, k=40) + generator.choices(own, k=10 * bool(own))
        generator.shuffle(words)
        texts.append(" ".join(words))
    return texts


def learned(folder, good, bad):
    """The figures of a classifier of these texts, and what measures documents."""
    for name, texts in (("good", good), ("bad", bad)):
        lines = [json.dumps({"text": text}) for text in texts]
        (folder / f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    given = Quality(good=str(folder / "good.jsonl"), bad=str(folder / "bad.jsonl"))
    (group,) = quality(given).attributes
    prepared = attributes_of("text")[group].prepared
    place = folder / group
    place.mkdir()
    about = prepared.write(place)
    facts = json.loads((place / "classifier.json").read_text())
    compute = prepared.read(place)
    return facts, about, lambda texts: compute(texts)[group]


def test_separable_texts_are_told_apart(tmp_path):
    generator = random.Random(0)
    good = sentences(generator, ["theorem", "proof", "lemma"], 120)
    bad = sentences(generator, ["buy", "cheap", "click"], 80)
    facts, about, measured = learned(tmp_path, good, bad)
    assert facts["accuracy"] == 1 and facts["area"] == 1
    assert facts["majority"] == 24 / 40
    assert about == [
        f"{tmp_path}/good.jsonl against {tmp_path}/bad.jsonl: on 40 texts held out accuracy 1.000"
        " (majority class 0.600), area under the ROC curve 1.000 (chance 0.5); learned from 96 and"
        " 64 texts"
    ]
    found = measured(["a proof of the lemma", "click to buy", "", "?!"])
    assert found[0] > 0.9 and found[1] < 0.1 and np.isnan(found[2:]).all()


def test_texts_that_nothing_tells_apart_are_not(tmp_path):
    generator = random.Random(0)
    good = sentences(generator, [], 500)
    bad = sentences(generator, [], 500)
    facts, _, _ = learned(tmp_path, good, bad)
    # four standard deviations of 200 throws of a coin, and of Mann and Whitney's statistic
    assert abs(facts["accuracy"] - 0.5) < 4 * math.sqrt(0.25 / 200)
    assert abs(facts["area"] - 0.5) < 4 * math.sqrt(201 / (12 * 100 * 100))
    assert facts["majority"] == 0.5


def docstrings(count: int) -> list[str]:
    """Of the standard library, different ones of 40 words or more."""
    found = {}
    folder = Path(json.__file__).parents[1]
    for path in sorted(folder.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.Module)):
                text = ast.get_docstring(node) or ""
                if len(text.split()) >= 40:
                    found[text] = None
        if len(found) >= count:
            break
    return list(found)[:count]


def test_documentation_is_told_from_random_words(tmp_path):
    """A real difference: docstrings of the standard library beside words of theirs by chance."""
    generator = random.Random(0)
    good = docstrings(200)
    generator.shuffle(good)  # neighbours are of one module
    words = sorted({word for text in good for word in text.split()})
    bad = [" ".join(generator.choices(words, k=len(text.split()))) for text in good]
    facts, _, measured = learned(tmp_path, good[:150], bad[:150])
    assert facts["accuracy"] > 0.9 and facts["area"] > 0.95
    new_good = measured(good[150:])
    new_bad = measured(bad[150:])
    assert (new_good >= 0.5).mean() > 0.9 and (new_bad < 0.5).mean() > 0.9


def test_nothing_depends_on_files_and_their_order(tmp_path):
    generator = random.Random(0)
    good = sentences(generator, ["theorem", "proof"], 60)
    bad = sentences(generator, ["buy", "cheap"], 60)
    results = []
    for number, texts in enumerate((good, good[::-1] + good[:7])):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, _, measured = learned(folder, texts, bad)
        results.append(measured(["a proof", "the cheap one", COMMON[0]]).tolist())
    assert results[0] == results[1]


def test_a_great_many_texts_are_learned_from_in_part(tmp_path, monkeypatch):
    generator = random.Random(0)
    good = sentences(generator, ["theorem"], 230)
    bad = sentences(generator, ["buy"], 60)
    monkeypatch.setattr("genwright.contents.text.corpus_quality_trained.MOST", 70)
    _, about, _ = learned(tmp_path, good, bad)
    assert about[0].endswith("learned from 56 and 48 texts")


# ---- in a corpus


@pytest.fixture
def sources(tmp_path):
    generator = random.Random(0)
    for name, own in (("good", "theorem proof lemma"), ("bad", "buy cheap click")):
        (tmp_path / name).mkdir()
        for number, text in enumerate(sentences(generator, own.split(), LEAST)):
            (tmp_path / name / f"{number}.txt").write_text(text)
    raw = tmp_path / "raw"
    raw.mkdir()
    texts = [*sentences(generator, ["proof"], 3), *sentences(generator, ["click", "buy"], 2)]
    for number, text in enumerate(texts):
        (raw / f"{number}.txt").write_text(text)
    return tmp_path


def recipe(folder, **changes):
    given = {"good": str(folder / "good"), "bad": str(folder / "bad")} | changes
    return CorpusRecipe(
        name="mine",
        sources=[{"kind": "files", "path": str(folder / "raw")}],
        filters=[{"quality": {name: value for name, value in given.items() if value is not None}}],
        deduplicate=None,
        mix={"held_out": 0},
    )


def test_a_corpus_keeps_what_is_like_the_good_folder(sources):
    corpus, counts = build(recipe(sources), sources / "c", workers=1)
    assert counts.dropped == {"quality.good": 2}
    shown = str(dropped(open_corpus(corpus.folder), "quality"))
    assert "raw/3.txt" in shown and "raw/4.txt" in shown and "at least 0.5" in shown
    figures = "on 20 texts held out accuracy 1.000 (majority class 0.500), area under the ROC curve"
    assert figures in str(built(corpus))
    page = write_page(corpus, sources / "c" / "report.html").read_text(encoding="utf-8")
    assert figures in page and "at least 0.5" in page
    assert "li et al. 2024" in page.lower()


def test_a_bound_changes_without_training_again(sources, monkeypatch):
    corpus, _ = build(recipe(sources), sources / "c", workers=1)
    weights = sorted(corpus.folder.glob("prepared/*/*"))
    assert [path.name for path in weights] == ["about.json", "classifier.json", "weights.npy"]
    (shard,) = corpus.folder.glob("attributes/*/*.parquet")
    strict = max(pq.read_table(shard).column(0).to_pylist())
    monkeypatch.setattr(hashed_classifier, "minimum", None)
    _, counts = build(recipe(sources, at_least=strict), sources / "c", workers=1)
    assert counts.dropped == {"quality.good": 4}


@pytest.mark.parametrize("name", ["weights.npy", "classifier.json"])
def test_a_damaged_classifier_is_refused(sources, name):
    corpus, _ = build(recipe(sources), sources / "c", workers=1)
    (file,) = corpus.folder.glob(f"prepared/*/{name}")
    file.write_bytes(file.read_bytes()[:20])
    shutil.rmtree(corpus.folder / "attributes")
    with pytest.raises(GenwrightError, match="prepared/quality-.* is damaged .*; delete that fol"):
        build(recipe(sources), sources / "c", workers=1)
    shutil.rmtree(file.parent)
    _, counts = build(recipe(sources), sources / "c", workers=1)
    assert counts.dropped == {"quality.good": 2}


def test_a_changed_folder_trains_again(sources):
    corpus, _ = build(recipe(sources), sources / "c", workers=1)
    (sources / "good" / "more.txt").write_text("another proof of it")
    build(recipe(sources), sources / "c", workers=1)
    assert len(list(corpus.folder.glob("prepared/*"))) == 2


@pytest.mark.parametrize(
    "changes,what",
    [
        ({"good": "missing"}, "filters.quality.good: missing does not exist; give a file"),
        ({"bad": None}, "filters.quality.bad is not given"),
        ({"bad": "empty"}, "filters.quality.bad: empty holds no file of text"),
        ({"bad": "few"}, "few has 1 different texts with words, and a classifier needs 50"),
        ({"bad": "good"}, "50 texts of .*good are in good, too; a text is either good or bad"),
        ({"bad": "latin"}, "latin/a.txt is not UTF-8"),
        ({"at_least": 1.5}, "filters.quality.at_least is 1.5; it must be less than 1"),
        ({"most": 1}, "filters.quality.most is not a setting"),
        ({"bad": "rows"}, r"rows/a.jsonl row 0 \(from 0\) has no text in field 'text'"),
    ],
)
def test_bad_folders(sources, monkeypatch, changes, what):
    monkeypatch.chdir(sources)
    contents = {
        "empty/a.png": b"",
        "few/a.txt": b"one text",
        "few/b.txt": b"one text",
        "few/c.txt": b"...",
        "latin/a.txt": b"caf\xe9 au lait",
        "rows/a.jsonl": b'{"body": "x"}\n',
    }
    for name, content in contents.items():
        (sources / name).parent.mkdir(exist_ok=True)
        (sources / name).write_bytes(content)
    with pytest.raises(GenwrightError, match=what):
        build(recipe(sources, **changes), sources / "c", workers=1)


def test_no_warning_is_raised_by_certain_texts():
    features = features_of(["x", "y"], 9)
    linear = trained(features, np.array([True, False]), 1e-12)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = linear._replace(weights=linear.weights * 1e6).probability(features)
    assert found == pytest.approx([1.0, 0.0])
