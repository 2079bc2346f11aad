"""What was removed by group: counts are those of plain Python, a planted ratio lies within its
interval as often as it says, copies widen the interval, and odd names are refused."""

import csv
import io
import math

import numpy as np
import pytest
from corpora import write_files
from test_build import recipe
from test_corpus_page import page_of, text_of
from test_mix_copies import changed, text

from commands import command
from genwright import api_data
from genwright.core.corpus import Attributes, Column, RuleSet, add_attributes, add_rules
from genwright.core.errors import GenwrightError
from genwright.curation import removed_table
from genwright.curation.build import build, open_corpus
from genwright.curation.removed import ALL, removals
from genwright.curation.removed_rates import BINS, no_counts, removal_rate
from genwright.curation.settings import Near
from genwright.evaluation.intervals import ratio, wilson
from rooms_here import needs

FEW = {"she": 3, "he": 1}  # of ten texts of each word, how many are short: planted


def planted(folder, count=1500):
    """Files of lines with one word of FEW, of which some are too short for a rule; (word, line) of
    each."""
    folder.mkdir(parents=True)
    every = []
    for file in range(3):
        lines = []
        for number in range(count // 3):
            word = "she" if number % 50 < 20 else "he"
            line = f"{word} n{file}x{number}"
            if number % 10 >= FEW[word]:
                line += " goes home"
            lines.append(line)
            every.append((word, line))
        (folder / f"{file}.txt").write_text("\n".join([*lines, f"nobody goes home {file}"]))
    return every


def listed(tmp_path, lines=("she,female", "he,male")):
    path = tmp_path / "sex.csv"
    path.write_text("word,group\n" + "\n".join(lines))
    return str(path)


def test_a_filter_that_hits_one_group_three_times_as_often(tmp_path):
    every = planted(tmp_path / "raw")
    corpus, _ = build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    (found,) = removals(corpus, [listed(tmp_path)])
    assert found.groups == ("male", "female")
    assert (found.documents, found.silent) == (1503, 3)
    for group, word in (("female", "she"), ("male", "he")):
        row = found.row("toy.short", group)
        own = [line for each, line in every if each == word]
        short = sum(len(line.split()) < 3 for line in own)
        assert (row.rate.count, row.rate.total) == (short, len(own))
        assert (row.rate.low, row.rate.high) == pytest.approx(wilson(short, len(own)))
        assert row.rate.share == FEW[word] / 10
        assert row.others.total == len(every) - len(own)
        assert found.row(ALL, group).rate.count == short
    beside = found.row("toy.short", "female").ratio
    assert beside.value == pytest.approx(3)
    assert 2 < beside.low < 3 < beside.high < 4
    back = found.row("toy.short", "male").ratio
    assert back.low < 1 / 3 < back.high
    seen = str(removed_table.Removed((found,)))
    assert f"{beside.value:.2f} times" in seen
    assert "3 of 1,503 documents have none" in seen


def test_a_text_with_words_of_two_groups_is_of_both_and_no_other(tmp_path):
    (tmp_path / "raw").mkdir()
    lines = [f"she and he meet {n}" for n in range(6)] + [f"she {n}" for n in range(7)]
    (tmp_path / "raw" / "a.txt").write_text("\n".join([*lines, *(f"he {n}" for n in range(8))]))
    own = recipe(tmp_path / "raw", deduplicate=None)
    corpus, _ = build(own, tmp_path / "c", workers=1)
    (found,) = removals(corpus, [listed(tmp_path)])
    row = found.row("toy.short", "female")
    assert (row.rate.count, row.rate.total) == (7, 13)
    assert (row.others.count, row.others.total) == (8, 8)  # those of both are not among them


def test_each_step_is_judged_on_what_came_to_it(tmp_path):
    every = {name: write_files(tmp_path / name, files) for name, files in (("a", 5), ("b", 2))}
    given = [{"kind": "listed", "path": str(tmp_path / name)} for name in ("a", "b")]
    own = recipe(None, sources=given, deduplicate=None, mix={"weights": {"source": {"b": 0}}})
    build(own, tmp_path / "c", workers=1)
    source, licence, language = removals(open_corpus(tmp_path / "c"))
    assert source.groups == ("a", "b")
    for name, texts in every.items():
        counts = [len(each.split()) for each in texts]
        short = sum(count < 3 for count in counts)
        long = sum(count > 12 for count in counts)
        row = source.row("toy.long", name)
        assert (row.rate.count, row.rate.total) == (long, len(texts) - short)
    assert source.row("mix.weight", "b").rate.share == 1
    assert source.row("mix.weight", "a").rate.share == 0
    assert source.row(ALL, "b").rate.count == len(every["b"])
    assert not licence.groups and licence.silent == licence.documents == 210
    # the rates of the steps multiply to that of all
    kept = math.prod(
        1 - source.row(step, "a").rate.share for step in ("toy.short", "toy.long", "mix.weight")
    )
    assert 1 - kept == pytest.approx(source.row(ALL, "a").rate.share)
    (only,) = removals(open_corpus(tmp_path / "c"), ["source"], "toy")
    assert [row.step for row in only.rows] == 2 * ["toy"] + 2 * ["toy.short"] + 2 * ["toy.long"]
    toy = only.row("toy", "a").rate
    assert toy.total == len(every["a"])
    assert toy.count == sum(not 3 <= len(each.split()) <= 12 for each in every["a"])


def test_a_document_says_its_label_before_its_source(tmp_path):
    def licence(texts):
        return {"own licence": ["MIT" if "MIT" in each else "" for each in texts]}

    columns = (Column("own licence", "label", label="licence"),)
    add_attributes("text", Attributes("own licences", columns, licence))
    (tmp_path / "raw").mkdir()
    lines = [f"MIT {n}" for n in range(6)] + [f"text of words {n}" for n in range(9)]
    (tmp_path / "raw" / "a.txt").write_text("\n".join(lines))
    add_rules("text", RuleSet("licences", (), ("own licences",)))
    own = recipe(tmp_path / "raw", filters=["licences", "toy"], deduplicate=None)
    corpus, _ = build(own, tmp_path / "c", workers=1)
    said, attribute = removals(corpus, ["licence", "own licence"])
    assert said.groups == ("CC0-1.0", "MIT")
    assert said.row("toy.short", "MIT").rate.share == 1
    assert said.row("toy.short", "CC0-1.0").rate.share == 0
    assert attribute.groups == ("MIT",) and attribute.silent == 9
    row = attribute.row("toy.short", "MIT")
    assert row.ratio is None  # there are no others


def test_too_few_documents_have_no_rate(tmp_path):
    (tmp_path / "raw").mkdir()
    lines = [f"she {n}" for n in range(4)] + [f"he {n}" for n in range(9)]
    (tmp_path / "raw" / "a.txt").write_text("\n".join(lines))
    corpus, _ = build(recipe(tmp_path / "raw", deduplicate=None), tmp_path / "c", workers=1)
    (found,) = removals(corpus, [listed(tmp_path)])
    row = found.row("toy.short", "female")
    assert row.rate.small and row.ratio is None
    shown = removed_table.Removed((found,))
    assert "too few" in str(shown)
    lines = {line["group"]: line for line in csv.DictReader(io.StringIO(shown.csv()))}
    assert lines["female"]["removed"] == "4"
    assert lines["female"]["rate"] == lines["female"]["ratio to others"] == ""
    assert lines["male"]["rate"] == "1"


# ---- copies


def test_copies_are_counted_by_cluster(tmp_path):
    (tmp_path / "raw").mkdir()
    every = {"she": [], "he": []}
    for number in range(40):
        original = text(number)
        every["she"] += [f"she {original}", f"she {changed(original, [30])}"]
        every["he"].append(f"he {text(1000 + number)}")
    for number, lines in enumerate(every.values()):
        (tmp_path / "raw" / f"{number}.txt").write_text("\n".join(lines))
    own = recipe(
        tmp_path / "raw", filters=[], mix={"held_out": 0.0}, deduplicate=Near(similarity=0.7)
    )
    corpus, counts = build(own, tmp_path / "c", workers=1)
    assert counts.dropped == {"copies.near": 40}
    (found,) = removals(corpus, [listed(tmp_path)])
    row = found.row("copies.near", "female")
    assert (row.rate.count, row.rate.total) == (40, 80)
    other = found.row("copies.near", "male").rate
    assert (other.count, other.total, other.effective) == (0, 40, 40.0)


def counted(removed, clusters):
    """Counts of documents. removed: (documents,) bool; clusters: (documents,), -1 of those without
    copies."""
    places = np.where(clusters < 0, 0, 1 + clusters % BINS)
    came = np.bincount(places, minlength=1 + BINS)
    return np.bincount(places[removed], minlength=1 + BINS), came


def simulated(draws, rate, documents, largest):
    """A group of which a share is removed. largest: members of a cluster, of which all or nothing
    is removed, at most."""
    if largest == 1:
        return counted(draws.random(documents) < rate, np.full(documents, -1))
    sizes = draws.integers(1, largest + 1, documents)
    sizes = sizes[: np.searchsorted(np.cumsum(sizes), documents)]
    numbers = draws.integers(0, BINS, len(sizes))
    clusters = np.repeat(np.where(sizes == 1, -1, numbers), sizes)
    removed = np.repeat(draws.random(len(sizes)) < rate, sizes)
    return counted(removed, clusters)


@pytest.mark.parametrize("largest", [1, 5])
def test_intervals_hold_the_planted_ratio_as_often_as_they_say(largest):
    draws = np.random.default_rng(largest)
    hits = {"rate": 0, "ratio": 0}
    sets = 400
    for _ in range(sets):
        one = removal_rate("one", *simulated(draws, 0.3, 500, largest))
        other = removal_rate("other", *simulated(draws, 0.1, 1000, largest))
        beside = ratio(one, other)
        hits["rate"] += one.low <= 0.3 <= one.high
        hits["ratio"] += beside.low <= 3 <= beside.high
    assert 0.92 <= hits["rate"] / sets <= 0.98
    assert 0.92 <= hits["ratio"] / sets <= 0.98


def test_clusters_that_go_together_say_as_much_as_one_document_each():
    draws = np.random.default_rng(0)
    effective = []
    for _ in range(50):
        clusters = np.repeat(draws.integers(0, BINS, 400), 4)
        removed = np.repeat(draws.random(400) < 0.5, 4)
        rate = removal_rate("a", *counted(removed, clusters))
        effective.append(rate.effective)
    assert np.mean(effective) == pytest.approx(400, rel=0.05)
    nothing = removal_rate("a", *counted(np.zeros(1600, bool), clusters))
    assert nothing.effective == pytest.approx(400, rel=0.5)
    assert nothing.share == nothing.low == 0 < nothing.high


def test_a_high_rate_of_copies_beside_a_low_one_of_others_is_no_cluster():
    """What all clusters have in common is not taken for what one has."""
    effective = []
    draws = np.random.default_rng(0)
    for _ in range(50):
        clusters = np.concatenate([np.full(4000, -1), draws.integers(0, 10**6, 4000)])
        removed = np.concatenate([draws.random(4000) < 0.1, draws.random(4000) < 0.9])
        effective.append(removal_rate("a", *counted(removed, clusters)).effective)
    assert np.mean(effective) > 7000


def test_nothing_came():
    rate = removal_rate("a", no_counts(), no_counts())
    assert math.isnan(rate.share) and rate.small and (rate.low, rate.high) == (0.0, 1.0)


# ---- what a person sees


def test_the_command_and_the_page_say_the_same(tmp_path, capsys):
    write_files(tmp_path / "a", 5)
    write_files(tmp_path / "b", 2)
    given = [{"kind": "listed", "path": str(tmp_path / name)} for name in ("a", "b")]
    build(recipe(None, sources=given, deduplicate=None), tmp_path / "c", workers=1)
    code, out, _ = command(capsys, "data", "removed", tmp_path / "c", "--csv", tmp_path / "r.csv")
    assert code == 0
    found = api_data.data_removed(tmp_path / "c")
    assert out.strip() == str(found)
    assert "by licence (of documents): 210 of 210 documents have none\n  no groups" in out
    lines = list(csv.DictReader(io.StringIO((tmp_path / "r.csv").read_text())))
    assert {line["removed by"] for line in lines} == {ALL, "toy.short", "toy.long"}
    seen = text_of(page_of(tmp_path / "c"))
    assert "What was removed, by group|" in seen
    row = found.parts[0].row("toy.long", "b")
    assert removed_table.interval_of(row.rate) in seen
    assert f"{row.ratio.value:.2f} times the others" in seen


def test_many_groups_are_cut_in_tables_and_whole_in_csv(tmp_path, monkeypatch):
    monkeypatch.setattr(removed_table, "GROUPS", 2)
    given = []
    for name in "abc":
        write_files(tmp_path / name, 1)
        given.append({"kind": "listed", "path": str(tmp_path / name), "licence": f"<i>{name}"})
    build(recipe(None, sources=given, deduplicate=None), tmp_path / "corpus", workers=1)
    found = api_data.data_removed(tmp_path / "corpus", groups=["licence"])
    assert "and 1 more, of fewer documents" in str(found)
    assert "<i>c" in found.csv() and "<i>c" not in str(found)
    html = page_of(tmp_path / "corpus")
    assert "<i>a" not in html and "Of 3, those of most documents." in html


def test_nothing_was_removed(tmp_path):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.txt").write_text("some words here\nand some others there")
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    found = api_data.data_removed(tmp_path / "c", groups=["source"])
    assert found.parts[0].row(ALL, "raw").rate.small
    assert "too few" in str(found)
    assert "What was removed" not in text_of(page_of(tmp_path / "c"))
    with pytest.raises(GenwrightError, match="no document was dropped for 'toy'"):
        api_data.data_removed(tmp_path / "c", reason="toy")


def test_names_that_give_no_groups_are_refused(tmp_path):
    write_files(tmp_path / "raw", 1)
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    with pytest.raises(GenwrightError, match="'langage' gives no groups .*did you mean 'language'"):
        api_data.data_removed(tmp_path / "c", groups=["langage"])
    with pytest.raises(GenwrightError, match="source is given twice"):
        api_data.data_removed(tmp_path / "c", groups=["source", "source"])
    with pytest.raises(GenwrightError, match="cannot be read as a list of words"):
        api_data.data_removed(tmp_path / "c", groups=["nothing.csv"])
    twice = listed(tmp_path, ["she,female", "She,male"])
    with pytest.raises(GenwrightError, match="lists 'she' twice"):
        api_data.data_removed(tmp_path / "c", groups=[twice])


@needs("music")
def test_a_list_of_words_says_nothing_of_music(tmp_path):
    tune = "X:1\nT:a\nM:4/4\nL:1/4\nK:C\nCDEF|GABc|CDEF|GABc|\n"
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.abc").write_text(tune)
    own = recipe(
        None, kind="music", filters=[], sources=[{"kind": "files", "path": str(tmp_path / "raw")}]
    )
    build(own, tmp_path / "c", workers=1)
    with pytest.raises(GenwrightError, match="list of words, and .* have none"):
        api_data.data_removed(tmp_path / "c", groups=[listed(tmp_path)])
    assert api_data.data_removed(tmp_path / "c").parts[0].groups == ("raw",)
