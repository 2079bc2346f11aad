"""What is made of prepared text once and kept beside it: an index of documents, and the counts of
tokens; right, verified, and not made again."""

import json
from collections import Counter

import numpy as np
import pytest

from genwright.contents.text import documents, floors
from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
from genwright.core.errors import GenwrightError
from genwright.data.cache import kept


def prepared(tmp_path, count=40, **settings):
    dice = np.random.default_rng(0)
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    rows = [
        " ".join(dice.choice(["alpha", "beta", "x"], 1 + n % 9)) + f" {n}" for n in range(count)
    ]
    for part in range(4):
        lines = "".join(json.dumps({"text": row}) + "\n" for row in rows[part::4])
        (folder / f"{part}.jsonl").write_text(lines)
    (folder / "note.txt").write_text("a whole file\n" * 9)
    given = {"context": 8, "held_out": 0.3, "workers": 1, "cache": str(tmp_path / "cache")}
    return TextData(path=str(folder), **(given | settings)).prepare(Bytes())


@pytest.mark.parametrize("split", ["documents", "tail"])
def test_every_token_is_of_the_document_that_its_shard_says(tmp_path, monkeypatch, split):
    monkeypatch.setattr(documents, "AT_ONCE", 3)
    dataset = prepared(tmp_path, split=split)
    texts = {"note.txt": "a whole file\n" * 9}
    for path in (tmp_path / "in").glob("*.jsonl"):
        for number, line in enumerate(path.read_text().splitlines()):
            texts[f"{path.name}:{number}"] = json.loads(line)["text"]
    found: Counter[str] = Counter()
    for side in ("train", "held_out"):
        tokens = dataset.tokens(side)
        for number, (name, own) in enumerate(dataset.documents(side)):
            text = dataset.codec.decode(own.tolist())
            assert text and text in texts[name] and dataset.name(side, number) == name
            found[name] += len(text)
            first = int(dataset._documents[side].starts[number])
            assert tokens[first : first + len(own)].tolist() == own.tolist()
            assert dataset.document_at(side, first + len(own) - 1) == (name, len(own) - 1)
    assert found == {name: len(text) for name, text in texts.items()}


def test_they_are_made_once_and_a_changed_file_is_named(tmp_path, monkeypatch):
    dataset = prepared(tmp_path)
    first = floors.floors_of(dataset)
    assert dataset.document_count("train")
    tokens = np.asarray(dataset.tokens("train")).astype(int)
    assert first.counts.sum() == len(tokens) - 1
    pairs = Counter(zip(tokens.tolist(), tokens[1:].tolist(), strict=False))
    vocabulary = dataset.codec.space.vocabulary
    codes = [a * vocabulary + b for a, b in sorted(pairs)]
    assert first.codes.tolist() == codes
    assert first.counts.tolist() == [pairs[pair] for pair in sorted(pairs)]
    monkeypatch.setattr(floors, "write_counts", lambda *given: pytest.fail("counted again"))
    again = floors.floors_of(prepared(tmp_path))
    assert again.codes.tolist() == codes and again.discount == first.discount
    for folder, name in (("floors", "counts.npy"), ("documents", "starts.npy")):
        for path in (tmp_path / "cache" / folder).glob(f"*/{name}"):
            content = bytearray(path.read_bytes())
            content[-1] ^= 1
            path.write_bytes(content)
    dataset = prepared(tmp_path)
    with pytest.raises(GenwrightError, match="counts.npy was changed on disk; delete"):
        floors.floors_of(dataset)
    with pytest.raises(GenwrightError, match="starts.npy was changed on disk; delete"):
        dataset.document_count("train")


def test_what_cannot_be_kept_is_made_for_once(tmp_path):
    (tmp_path / "file").write_text("")

    def fill(folder):
        (folder / "a").write_text("there")

    def read(folder):
        return (folder / "a").read_text()

    assert kept(tmp_path / "file" / "key", fill, read) == "there"
    assert kept(tmp_path / "cache" / "key", fill, read) == "there"
    (tmp_path / "cache" / "key" / "digests.json").write_text("[]")
    with pytest.raises(GenwrightError, match="was changed on disk"):
        kept(tmp_path / "cache" / "key", fill, read)
