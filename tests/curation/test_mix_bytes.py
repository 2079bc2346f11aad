"""The bytes that a mix counts are those that training reads: with edits made, as often as each
document is taken."""

import re

import pyarrow.parquet as pq
import pytest
from test_build import recipe

from genwright import api_data
from genwright.core.corpus import (
    Attributes,
    Column,
    Edit,
    RuleSet,
    add_attributes,
    add_rules,
)
from genwright.core.errors import GenwrightError
from genwright.curation.build import build
from genwright.curation.built import built
from genwright.curation.mix import counts_of
from genwright.curation.page_numbers import numbers_of
from genwright.data.selection import selected, selections


def umlauts(texts):
    """An edit of each pair of letters of two bytes each."""
    return {
        "umlauts": [[Edit(m.start(), m.end(), "é") for m in re.finditer("äö", t)] for t in texts]
    }


def add_umlauts():
    add_attributes("text", Attributes("letters", (Column("umlauts", "edits"),), umlauts))
    add_rules("text", RuleSet("letters", (), ("letters",), edits=("umlauts",)))


def write(folder, count=60):
    """Documents of which all have letters of two bytes, and most a word that is replaced."""
    folder.mkdir(parents=True)
    lines = []
    for number in range(count):
        lines.append(f"{'secret ' * (number % 4)}äö äöü word{number} and some more é")
    (folder / "a.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def read_of(corpus):
    """Split -> the sizes of the texts that training reads, in order, repetitions included."""
    found = {"train": [], "held_out": []}
    for path in selections(str(corpus.folder)):
        for row, text in selected(path):
            found[path.parent.name].append((row, len(text.encode())))
    return found


@pytest.mark.parametrize("weight", [1.0, 2.5])
def test_bytes_are_counted_as_they_are_read(tmp_path, weight):
    write(tmp_path / "raw")
    add_umlauts()
    mix = {"weights": {"source": {"raw": weight}}, "held_out": 0.2}
    own = recipe(tmp_path / "raw", mix=mix, filters=["toy", "letters"])
    corpus, counts = build(own, tmp_path / "c", workers=1)
    read = read_of(corpus)
    every = [size for pairs in read.values() for _, size in pairs]
    once = {split: sum(size for _, size in set(pairs)) for split, pairs in read.items()}
    assert counts.repeated_bytes == sum(every)
    assert counts.kept_bytes == once
    assert counts.by_source["raw"]["kept bytes"] == sum(once.values())
    assert counts.edits > 0 and counts.bytes != sum(once.values())
    numbers = numbers_of(corpus)
    assert numbers.read == once
    assert numbers.repeated == sum(size for _, size in read["train"])
    told = str(built(corpus))
    assert ("in training, with repetitions" in told) == (weight > 1)


def test_a_budget_counts_what_is_read(tmp_path):
    """Most of each text are lines without an end, which c4 takes out."""
    (tmp_path / "raw").mkdir()
    texts = []
    for number in range(400):
        noise = "".join(f"a menu of {number} things and {n} others and more\n" for n in range(30))
        line = f"This is sentence {number} of a text, which ends as it should.\n"
        texts.append(noise + line + line.replace("text", "page") + line.replace("text", "book"))
    for number, text in enumerate(texts):
        (tmp_path / "raw" / f"{number}.txt").write_text(text, encoding="utf-8")
    own = {
        "sources": [{"kind": "files", "path": str(tmp_path / "raw")}],
        "filters": ["c4"],
    }
    all_of_it, counts = build(
        recipe(None, **own, mix={"held_out": 0.0}, deduplicate=None), tmp_path / "c", workers=1
    )
    read = sum(size for _, size in read_of(all_of_it)["train"])
    assert counts.repeated_bytes == read < counts.bytes / 5
    mix = {"held_out": 0.0, "tokens": read / 4 / 2}
    corpus, less = build(recipe(None, **own, mix=mix, deduplicate=None), tmp_path / "c", workers=1)
    assert less.repeated_bytes == sum(size for _, size in read_of(corpus)["train"])
    assert less.repeated_bytes == pytest.approx(read / 2, rel=0.15)
    mix["tokens"] = counts.bytes / 4 / 2  # less than there is before the edits
    with pytest.raises(GenwrightError, match=f"and there are {read / 4:,.0f}"):
        build(recipe(None, **own, mix=mix, deduplicate=None), tmp_path / "c", workers=1)


def test_a_page_of_a_mix_that_counted_otherwise_is_refused(tmp_path):
    write(tmp_path / "raw")
    corpus, _ = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    for path in (corpus.folder / "mix" / "list").glob("*.parquet"):
        pq.write_table(pq.read_table(path).drop_columns(["read"]), path)
    with pytest.raises(GenwrightError, match="was made by an earlier version"):
        api_data.data_report(corpus.folder)
    assert counts_of(corpus.folder)["edits"]
