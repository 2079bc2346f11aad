"""data.balance of texts: documents as often as their group wants it; data.swap: their twins."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from texts import documents, prepare, refused

from genwright.contents.text import importance
from genwright.contents.text.balance import group_of, row_of
from genwright.data.balance import Balance

WORDS = "word,group\nhe,male\nhis,male\nhim,male\nshe,female\nher,female\n"


@pytest.fixture
def corpus(tmp_path):
    """90 documents about him, 10 about her, 20 about neither or both; of several lengths."""
    rows = [f"{'so ' * (n % 5)}he saw {n}" for n in range(90)]
    rows += [f"{'so ' * (n % 3)}she saw {n}" for n in range(10)]
    rows += [f"it saw {n}" for n in range(10)] + [f"he saw her and {n}" for n in range(10)]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    (tmp_path / "gender.csv").write_text(WORDS)
    return path


def balanced(tmp_path, corpus, shares="uniform", **settings):
    settings = {"balance": {"gender": shares}, "context": 16} | settings
    return prepare(tmp_path, corpus, lexicons={"gender": str(tmp_path / "gender.csv")}, **settings)


def in_row(dataset):
    """The documents of the row that is trained on, in order."""
    row = dataset.stream(1, 0).split.tokens
    tokens = np.empty(len(row), np.int64)
    row.copy(0, tokens)
    ends = np.flatnonzero(tokens == dataset.codec.space.special["end"])
    parts = np.split(tokens, ends[:-1] + 1)
    return [dataset.codec.decode(part[:-1].tolist()) for part in parts]


def by_group(texts):
    found = Counter()
    for text in texts:
        words = text.split()
        he = bool({"he", "him"} & set(words))
        she = bool({"she", "her"} & set(words))
        found["both" if he and she else "male" if he else "female" if she else "none"] += 1
    return found


def test_uniform(tmp_path, corpus):
    dataset = balanced(tmp_path, corpus)
    texts = in_row(dataset)
    assert by_group(texts) == {"male": 90, "female": 90, "none": 18, "both": 18}
    assert set(texts) == set(documents(dataset))  # none is left out
    often = Counter(texts)
    assert {often[text] for text in often if "he saw" not in text} <= {1, 2}
    # copies are spread: the halves of the row are alike
    half = by_group(texts[: len(texts) // 2])
    assert abs(half["female"] - 45) < 12
    assert "gender is balanced by sampling: male 90.0% -> 50.0%" in dataset.summary["balance"][0]


def test_shares_that_need_rounding(tmp_path, corpus):
    dataset = balanced(tmp_path, corpus, {"male": 0.35, "female": 0.65})
    found = by_group(in_row(dataset))
    assert abs(found["female"] - 0.65 * (found["male"] + found["female"])) < 1


def test_windows_and_lineage(tmp_path, corpus):
    dataset = balanced(tmp_path, corpus, isolate_documents=True)
    stream = dataset.stream(4, 0)
    row = stream.split.tokens
    whole = np.empty(len(row), np.int64)
    row.copy(0, whole)
    for position in range(5):
        batch = stream.batch(position, torch.arange(4))
        starts = stream.indices(position, torch.arange(4))
        for start, tokens, of in zip(starts, batch["tokens"], batch["documents"], strict=True):
            assert tokens.tolist() == whole[start : start + 17].tolist()
            ends = tokens[:-1] == dataset.codec.space.special["end"]
            assert torch.equal(of.diff() > 0, ends)  # copies are documents of their own
        sources = stream.sources(position, torch.arange(4))
        assert sources[0].document.startswith("texts.jsonl:")
        assert sources[0].offset == starts[0] - row.starts[row.of(starts[0])]


def test_digests_and_held_out(tmp_path, corpus):
    plain = prepare(tmp_path, corpus, held_out=0.2, context=16)
    even = balanced(tmp_path, corpus, held_out=0.2)
    same = balanced(tmp_path, corpus, {"male": 0.5, "female": 0.5}, held_out=0.2)
    other = balanced(tmp_path, corpus, {"male": 0.6, "female": 0.4}, held_out=0.2)
    assert even.digest == same.digest
    assert len({plain.digest, even.digest, other.digest}) == 3
    held = plain.held_out().batch(0, 999)["tokens"]
    assert torch.equal(held, even.held_out().batch(0, 999)["tokens"])
    assert np.array_equal(plain.tokens("train")[:], even.tokens("train")[:])


def test_by_folder(tmp_path):
    for name, count in {"a": 6, "b": 2}.items():
        (tmp_path / "texts" / name).mkdir(parents=True)
        for number in range(count):
            (tmp_path / "texts" / name / f"{number}.txt").write_text(f"{name} {number} text")
    dataset = prepare(tmp_path, tmp_path / "texts", balance={"folder": "uniform"})
    assert Counter(text[0] for text in in_row(dataset)) == {"a": 6, "b": 6}


def test_groups_of_documents():
    assert group_of([2, 1]) == 0
    assert group_of([1, 3, 2]) == 1
    assert group_of([2, 2, 1]) == -1
    assert group_of([0, 0]) == -1


def test_the_row_is_no_longer_than_eight_times():
    weights = np.array([1.0] * 99 + [0.001])
    slots = row_of(Balance(weights, "sampling", np.arange(100)))
    often = np.bincount(slots, minlength=100)
    assert len(slots) in (800, 801)
    assert set(often[:99].tolist()) == {8, 9} or set(often[:99].tolist()) == {8}
    assert often[99] == 0


def test_refused(tmp_path, corpus):
    words = {"gender": str(tmp_path / "gender.csv")}
    refused("lexicons.gender gives documents groups, and", tmp_path, corpus, lexicons=words)
    uniform = {"balance": {"gender": "uniform"}}
    refused("data.balance names 'gender', and nothing", tmp_path, corpus, **uniform)
    weights = {"lexicons": words, "balance_by": "weights"} | uniform
    refused("data.balance_by is weights, and a window of text", tmp_path, corpus, **weights)
    (tmp_path / "gender.csv").write_text("he,male\nxyzzy,other\n")
    refused("there is only male among the documents", tmp_path, corpus, lexicons=words, **uniform)


# ---- data.swap


def swaps(tmp_path, lines="he,she\nhim,her\nhis,hers\n"):
    path = tmp_path / "swaps.csv"
    path.write_text(lines)
    return str(path)


def test_twins(tmp_path, corpus):
    plain = prepare(tmp_path, corpus)
    dataset = prepare(tmp_path, corpus, swap=swaps(tmp_path))
    before = documents(plain)
    texts = documents(dataset)
    assert texts[: len(before)] == before
    twins = texts[len(before) :]
    assert len(twins) == 110  # all but "it saw"
    assert "so she saw 1" in twins
    assert "she saw him and 3" in twins
    assert dataset.name("train", len(before)) == "texts.jsonl:0 (swapped)"
    assert dataset.summary["train"]["documents"] == 230
    assert dataset.summary["balance"][0].startswith("110 documents are trained on a second time")
    assert dataset.digest != plain.digest


def test_what_is_held_out_has_no_twins(tmp_path, corpus):
    plain = prepare(tmp_path, corpus, held_out=0.3)
    dataset = prepare(tmp_path, corpus, held_out=0.3, swap=swaps(tmp_path))
    held = [dataset.codec.decode(tokens[:-1]) for _, tokens in dataset.documents("held_out")]
    assert held == [plain.codec.decode(tokens[:-1]) for _, tokens in plain.documents("held_out")]
    assert not set(held) & set(documents(dataset))


def test_a_twin_that_is_held_out(tmp_path):
    """The twin of what is trained on may be a document that is held out."""
    rows = [f"he saw {n}" for n in range(20)] + [f"she saw {n}" for n in range(20)]
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    dataset = prepare(tmp_path, path, held_out=0.4, swap=swaps(tmp_path))
    held = [dataset.codec.decode(tokens[:-1]) for _, tokens in dataset.documents("held_out")]
    assert not set(held) & set(documents(dataset))
    assert any("equal a held-out one" in line for line in dataset.summary["balance"])


def test_files_in_pieces(tmp_path):
    folder = tmp_path / "files"
    folder.mkdir()
    long = "".join(f"line {n} he saw her.\n" for n in range(100_000))  # several blocks
    (folder / "a.txt").write_text(long)
    (folder / "b.txt").write_text("nothing here")
    (folder / "c.txt").write_text("He went")
    dataset = prepare(tmp_path, folder, swap=swaps(tmp_path))
    texts = documents(dataset)
    assert len(texts) == 5
    assert texts[3] == "".join(f"line {n} she saw him.\n" for n in range(100_000))
    assert texts[4] == "She went"


def test_a_list_that_changes_nothing(tmp_path, corpus):
    refused(
        "no document that is trained on holds a word of data.swap",
        tmp_path,
        corpus,
        swap=swaps(tmp_path, "king,queen\n"),
    )


def test_twins_are_made_once(tmp_path, corpus):
    first = prepare(tmp_path, corpus, swap=swaps(tmp_path))
    folders = sorted(path.name for path in (tmp_path / "cache" / "shards").iterdir())
    second = prepare(tmp_path, corpus, swap=swaps(tmp_path, "she,he\nher,him\nhers,his\nhe,she\n"))
    assert second.digest == first.digest  # another order of the same pairs
    third = prepare(tmp_path, corpus, swap=swaps(tmp_path))
    assert third.digest == first.digest
    assert len(folders) == 2
    refused("pairs 'he' with itself", tmp_path, corpus, swap=swaps(tmp_path, "he,he\n"))


def test_swapped_and_balanced(tmp_path, corpus):
    dataset = balanced(tmp_path, corpus, {"male": 0.25, "female": 0.75}, swap=swaps(tmp_path))
    found = by_group(in_row(dataset))
    assert abs(found["female"] - 3 * found["male"]) <= 2


# ---- data.balance_to


NOUNS = [
    "apple",
    "bread",
    "chair",
    "door",
    "elbow",
    "fork",
    "glass",
    "hat",
    "ink",
    "jar",
    "kite",
    "lamp",
    "map",
    "net",
    "oar",
    "pen",
]


def written(count, share, seed):
    """Texts, of which so many are about her."""
    rng = np.random.default_rng(seed)
    texts = []
    for number in range(count):
        word = "she" if number < share * count else "he"
        texts.append(f"{word} saw the {rng.choice(NOUNS)} and the {rng.choice(NOUNS)}")
    return texts


def reference(tmp_path, share, count=150):
    """A file of such texts."""
    path = tmp_path / f"reference-{share}-{count}.jsonl"
    rows = written(count, share, 1)
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in rows))
    return str(path)


def test_balanced_to_a_reference(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in written(600, 0.1, 0)))
    plain = prepare(tmp_path, path)
    dataset = prepare(tmp_path, path, balance_to=reference(tmp_path, 0.5))
    found = by_group(in_row(dataset))
    assert 0.4 < found["female"] / found.total() < 0.6
    assert "documents are balanced to" in dataset.summary["balance"][0]
    assert dataset.digest != plain.digest
    alike = prepare(tmp_path, path, balance_to=reference(tmp_path, 0.1))
    assert alike.digest == plain.digest
    assert "cannot be told from the data" in alike.summary["balance"][0]
    both = {"balance": {"folder": "uniform"}, "balance_to": str(tmp_path)}
    refused("data.balance and data.balance_to are both set", tmp_path, path, **both)
    few = reference(tmp_path, 0.25, count=20)
    refused("holds 20 documents, and a classifier needs 50", tmp_path, path, balance_to=few)


def test_documents_beyond_those_that_are_learned_from(tmp_path, monkeypatch):
    monkeypatch.setattr(importance, "MOST", 200)
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": row}) + "\n" for row in written(600, 0.1, 0)))
    dataset = prepare(tmp_path, path, balance_to=reference(tmp_path, 0.5))
    found = by_group(in_row(dataset))
    assert 0.35 < found["female"] / found.total() < 0.65
