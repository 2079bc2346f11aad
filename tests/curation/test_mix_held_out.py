"""Something is held out of however few documents, the same by any way to the mix; and a mix says
where it is not what was asked for."""

import pytest
from corpora import write_files
from test_build import bytes_of, recipe
from test_mix_copies import changed, text

from genwright import api_data
from genwright.curation.build import build
from genwright.curation.built import built
from genwright.data.selection import MIX, selected, selections

FEW = {"mix": {"held_out": 0.001}, "filters": []}


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    """Each raw file is a shard."""
    monkeypatch.setattr("genwright.curation.build.UNIT", 1)


def write(folder, *texts):
    """One file of each text."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, words in enumerate(texts):
        (folder / f"{number}.txt").write_text(words + "\n")


def sides(corpus):
    found = {"train": set(), "held_out": set()}
    for path in selections(str(corpus.folder)):
        found[path.parent.name] |= {words for _, words in selected(path)}
    return found


@pytest.mark.parametrize("count", [2, 7])
def test_one_of_few_texts_is_held_out(tmp_path, count):
    write(tmp_path / "raw", *(text(number) for number in range(count)))
    corpus, counts = build(recipe(tmp_path / "raw", **FEW), tmp_path / "c", workers=1)
    assert counts.kept == {"train": count - 1, "held_out": 1}
    assert len(sides(corpus)["held_out"]) == 1
    assert "nothing is held out" not in str(built(corpus))
    other = recipe(tmp_path / "raw", filters=[], mix={"held_out": 0.0})
    assert build(other, tmp_path / "n", workers=1)[1].kept["held_out"] == 0


def test_a_cluster_is_held_out_whole_or_not_at_all(tmp_path):
    pairs = [each for seed in range(3) for each in (text(seed), changed(text(seed), [30]))]
    for seed in range(4):
        write(tmp_path / "raw", *pairs)
        mix = {"held_out": 0.001, "seed": seed}
        own = recipe(tmp_path / "raw", filters=[], mix=mix)
        corpus, counts = build(own, tmp_path / str(seed), workers=1)
        assert counts.kept == {"train": 2, "held_out": 1}
        held_out = sides(corpus)["held_out"]
        other = own.model_copy(update={"mix": own.mix.model_copy(update={"seed": 9})})
        again, _ = build(other, corpus.folder, workers=1)
        assert sides(again)["held_out"] == held_out  # a cluster keeps its side


def test_it_is_the_same_after_an_update_and_with_more_processes(tmp_path, monkeypatch):
    write_files(tmp_path / "raw", 3, lines=4)
    own = recipe(tmp_path / "raw", **FEW)
    build(own, tmp_path / "c", workers=1)
    write_files(tmp_path / "raw", 4, lines=4)
    corpus, counts = build(own, tmp_path / "c", workers=1)
    fresh, again = build(own, tmp_path / "f", workers=1)
    assert counts == again and counts.kept["held_out"] == 1
    assert bytes_of(corpus.folder / MIX) == bytes_of(fresh.folder / MIX)
    monkeypatch.setattr("genwright.curation.mix.FEW", 1)
    several, _ = build(own, tmp_path / "s", workers=2)
    assert bytes_of(several.folder / MIX) == bytes_of(fresh.folder / MIX)


def test_where_nothing_can_be_held_out_it_is_said(tmp_path):
    write(tmp_path / "raw", text(1), text(1))
    corpus, counts = build(recipe(tmp_path / "raw", **FEW), tmp_path / "c", workers=1)
    assert counts.kept == {"train": 1, "held_out": 0}
    said = "othing is held out: too few different documents are kept"
    assert said in str(built(corpus))
    assert said in api_data.data_report(corpus.folder).read_text(encoding="utf-8")


def test_a_budget_that_is_not_met_is_said(tmp_path):
    write(tmp_path / "raw", *(text(number, 200) for number in range(5)))
    mix = {"held_out": 0.0, "tokens": 430}
    corpus, counts = build(recipe(tmp_path / "raw", filters=[], mix=mix), tmp_path / "c", workers=1)
    taken = counts.repeated_bytes / 4
    assert abs(taken - 430) > 22  # one document more or less is much of it
    said = f"bout 430 tokens were asked for, and {taken:,.0f} are taken"
    assert said in str(built(corpus))
    assert said in api_data.data_report(corpus.folder).read_text(encoding="utf-8")


def test_a_budget_is_of_what_is_trained_on(tmp_path):
    write(tmp_path / "raw", *(text(number) for number in range(300)))
    mix = {"held_out": 0.5, "tokens": 8000}
    corpus, counts = build(recipe(tmp_path / "raw", filters=[], mix=mix), tmp_path / "c", workers=1)
    assert counts.kept_bytes["train"] / 4 == pytest.approx(8000, rel=0.15)
