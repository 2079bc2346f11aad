"""The page of a corpus: each number is what plain Python counts of the raw files, examples are
those that `data dropped` shows, nothing in a text is markup, nothing that was redacted is shown."""

import itertools
import json
import re
import shutil
from html import unescape

import numpy as np
import pytest
from corpora import write_files
from test_build import recipe

import genwright
from commands import command
from genwright import api_data
from genwright.core.corpus import (
    Attributes,
    Column,
    Edit,
    Rule,
    RuleSet,
    add_attributes,
    add_rules,
)
from genwright.core.errors import GenwrightError
from genwright.curation import page_numbers, page_values
from genwright.curation.build import build, open_corpus
from genwright.curation.built import built
from genwright.curation.look import dropped, trace
from genwright.curation.mix import counts_of
from genwright.curation.page_copies import count_copies
from genwright.curation.page_edits import SHOWN, EditKind, count_edits, shown_edit, shown_text
from genwright.curation.page_numbers import FATES, numbers_of, total
from genwright.curation.page_parts import in_bytes
from genwright.curation.page_values import Spread, bins_of
from genwright.data.selection import corpus_of, selected, selections
from pages import Page
from rooms_here import needs


def page_of(folder) -> str:
    html = api_data.data_report(folder).read_text(encoding="utf-8")
    assert "script" not in Page(html).tags  # which also checks that tags nest
    return html


def text_of(html: str) -> str:
    """What a reader sees."""
    body = re.sub(r"<(style|title)>.*?</\1>", "", html, flags=re.S)
    return unescape(re.sub(r"<[^>]+>", "|", body))


def one_file(folder, text: str, name: str = "a.txt") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


@pytest.fixture
def sources(tmp_path):
    """A corpus of two sources, and the documents of each."""
    every = {name: write_files(tmp_path / name, files) for name, files in (("a", 5), ("b", 2))}
    given = [
        {"kind": "listed", "path": str(tmp_path / "a"), "licence": "CC0-1.0"},
        {"kind": "listed", "path": str(tmp_path / "b")},
    ]
    own = recipe(None, sources=given, mix={"held_out": 0.2}, deduplicate=None)
    build(own, tmp_path / "c", workers=1)
    return tmp_path / "c", every


def expected_fates(folder, every):
    """What became of the documents of each source, counted in plain Python."""
    held_out = set()
    for path in selections(str(folder)):
        if path.parent.name == "held_out":
            held_out |= {text for _, text in selected(path)}
    found = {}
    for source, texts in every.items():
        fates = {fate: [0, 0] for fate in FATES}
        for text in texts:
            fate = "train"
            if text in held_out:
                fate = "held_out"
            if not 3 <= len(text.split()) <= 12:
                fate = "dropped"
            fates[fate][0] += 1
            fates[fate][1] += len(text.encode())
        found[source] = fates
    return found


def test_the_first_sentence_counts_right(sources):
    folder, every = sources
    fates = expected_fates(folder, every)
    kept, held_out, dropped_count = (
        sum(each[fate][0] for each in fates.values()) for fate in FATES
    )
    words = [len(text.split()) for texts in every.values() for text in texts]
    short = sum(count < 3 for count in words)
    long = sum(count > 12 for count in words)
    size = sum(len(text.encode()) for texts in every.values() for text in texts)
    assert dropped_count == short + long
    assert held_out > 0
    html = text_of(page_of(folder))
    assert (
        f"{len(words)} documents, {size / 1000:.3g} kB, from 2 sources:"
        f" {kept} to be trained on ({kept / len(words):.1%}),"
        f" {held_out} held out ({held_out / len(words):.1%})"
        f" and {dropped_count} dropped ({dropped_count / len(words):.1%})."
        f" The most frequent reasons: toy.long ({long}), toy.short ({short})."
    ) in html


def test_what_became_of_each_source_and_licence_adds_up(sources):
    folder, every = sources
    fates = expected_fates(folder, every)
    numbers = numbers_of(open_corpus(folder))
    for label, names in (("source", ("a", "b")), ("licence", ("CC0-1.0", ""))):
        for name, source in zip(names, ("a", "b"), strict=True):
            found = numbers.by[label][name]
            assert {fate: [found[fate].documents, found[fate].bytes] for fate in FATES} == (
                fates[source]
            )
    html = page_of(folder)
    for source in ("a", "b"):
        counts = [f"{fates[source][fate][0]:,}" for fate in FATES]
        line = re.search(rf'<td class="text">{source}<small>.*?</tr>', html).group()
        assert re.findall(r'<td class="number">(\d+)<small>', line) == counts
        whole = sum(each[0] for each in fates[source].values())
        for fate, name in zip(FATES, ("trained on", "held out", "dropped"), strict=True):
            if fates[source][fate][0]:
                assert f'title="{name}: {fates[source][fate][0] / whole:.1%}"' in line
    assert "not known" in html  # the licence of b
    assert "The language of no document is known." in html


def test_reasons_say_the_bound_and_show_what_data_dropped_shows(sources):
    folder, every = sources
    words = [len(text.split()) for texts in every.values() for text in texts]
    html = page_of(folder)
    seen = text_of(html)
    for reason, count in (
        ("toy.short", sum(n < 3 for n in words)),
        ("toy.long", sum(n > 12 for n in words)),
    ):
        line = re.search(rf'<td class="text">{reason}<div.*?</tr>', html).group()
        share = f"{count / len(words):.1%}"
        assert re.findall(r'<td class="number">([^<]*)', line)[:2] == [str(count), share]
        assert re.findall(r'<td class="number">([^<]*)', line)[3] == str(count)
        for each in dropped(open_corpus(folder), reason, 3).documents:
            assert each.why in seen and each.text in seen and each.id[:12] in seen
        assert f"{reason}|: 3 of {count}" in seen
    assert "toy words at most 12 (words)" in seen


def test_a_document_that_breaks_two_rules_is_dropped_for_the_first(tmp_path):
    every = write_files(tmp_path / "raw", 3)
    own = recipe(tmp_path / "raw", filters=[{"attribute": "toy words", "at_most": 5}, "toy"])
    corpus, _ = build(own, tmp_path / "c", workers=1)
    numbers = numbers_of(corpus)
    words = [len(text.split()) for text in every]
    assert numbers.reasons.keys() == {"own.toy words", "toy.short"}
    assert numbers.breaking == {
        "own.toy words": sum(n > 5 for n in words),
        "toy.short": sum(n < 3 for n in words),
        "toy.long": sum(n > 12 for n in words),
    }


def test_two_bounds_of_ones_own_on_one_attribute_count_each_document_once(tmp_path):
    write_files(tmp_path / "raw", 3)
    filters = [{"attribute": "toy words", "at_most": n} for n in (9, 5)]
    corpus, _ = build(recipe(tmp_path / "raw", filters=filters), tmp_path / "c", workers=1)
    numbers = numbers_of(corpus)
    assert numbers.breaking["own.toy words"] == numbers.reasons["own.toy words"].documents
    for each in dropped(corpus, "own.toy words", 50).documents:
        words = len(each.text.split())
        assert each.why == f"toy words is {words}, at most {9 if words > 9 else 5}"


# ---- values


def odd(texts):
    """NaN of texts without an x, else a value of many magnitudes."""
    values = [10.0 ** (text.count("x") - 3) if "x" in text else np.nan for text in texts]
    return {"odd": np.array(values)}


def add_odd(bound: float) -> None:
    add_attributes("text", Attributes("odd things", (Column("odd"),), odd))
    add_rules("text", RuleSet("odd", (Rule("odd.high", "odd", at_most=bound),), ("odd things",)))


def bars_in(html: str, name: str) -> list[int]:
    return [int(n.replace(",", "")) for n in re.findall(rf"<title>{name}: ([\d,]+), ", html)]


def test_a_histogram_counts_every_document_once(tmp_path):
    add_odd(1e4)
    texts = [f"{'x' * (n % 10)} one two {n}" for n in range(200)]
    one_file(tmp_path / "raw", "\n".join(texts))
    own = recipe(tmp_path / "raw", filters=["odd"])
    build(own, tmp_path / "c", workers=1)
    html = page_of(tmp_path / "c")
    values = odd(texts)["odd"]
    assert sum(bars_in(html, "dropped")) == (values > 1e4).sum() == 40
    assert sum(bars_in(html, "kept")) == (values <= 1e4).sum() == 140
    assert "no value: 20 kept, 0 dropped" in html
    assert "at most 10 k</text>" in html  # the line of the bound
    assert "0.01 to 1,000,000" in html


def test_small_batches_give_the_same_page(sources, monkeypatch):
    folder, _ = sources
    before = page_of(folder)
    monkeypatch.setattr(page_numbers, "ROWS", 7)
    assert page_of(folder) == before


# ---- edits


def test_what_is_redacted_is_nowhere_on_the_page(tmp_path):
    kept = ["a secret word and secret more", "three words secret"]
    short = ["secret x"]
    one_file(tmp_path / "raw", "\n".join([*kept, *short, "no such word here"]))
    corpus, _ = build(recipe(tmp_path / "raw", mix={"held_out": 0.0}), tmp_path / "c", workers=1)
    edits = count_edits(corpus)
    assert edits.kinds == {EditKind("toy edits", "<gone>"): sum(t.count("secret") for t in kept)}
    assert edits.documents == 2
    assert edits.characters == 3 * len("secret")
    html = page_of(tmp_path / "c")
    assert "secret" not in html
    assert "a <mark>&lt;gone&gt;</mark> word and <mark>&lt;gone&gt;</mark> more" in html
    assert "<mark>&lt;gone&gt;</mark> x</pre>" in html  # of one that was dropped
    assert "3 edits in 2 of the documents" in html


def test_lines_that_are_taken_out_are_shown_without_what_is_redacted_in_them():
    text = "first line\nmenu of secret things\nlast [1] line"
    line = Edit(11, 33, "")
    assert text[line.start : line.stop] == "menu of secret things\n"
    secret = Edit(19, 25, "<s>")
    note = Edit(38, 41, "")
    html = shown_edit(text, [line, secret, note], line)
    assert html == (
        "first line\n<del>menu of </del><mark>&lt;s&gt;</mark><del> things\n</del>"
        "last <mark>[3 characters taken out]</mark> line"
    )
    assert shown_text(text, [line, secret, note]) == (
        "first line\nmenu of <mark>&lt;s&gt;</mark> things\nlast [1] line"
    )


def test_an_edit_at_the_end_of_what_is_shown_is_hidden_to_its_end():
    text = "x" * (SHOWN - 3) + "secret" + "y" * 100
    html = shown_text(text, [Edit(SHOWN - 3, SHOWN + 3, "<s>")])
    assert html == "x" * (SHOWN - 3) + "<mark>&lt;s&gt;</mark> ..."


# ---- what is odd


def test_nothing_in_a_text_or_a_name_is_markup(tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=a>&amp;\"'"
    add_rules("text", RuleSet("<b>set", (Rule("<b>.r", "toy words", at_most=1, detail=evil),), ()))
    one_file(tmp_path / "<i>raw", f"{evil}\nthree words {evil} here\n?\none", "<u>.txt")
    own = recipe(tmp_path / "<i>raw", name=evil.replace("/", ""), filters=["<b>set"])
    build(own, tmp_path / "c", workers=1)
    html = page_of(tmp_path / "c")
    for tag in ("script", "img", "i>raw", "b>set", "u>"):
        assert f"<{tag}" not in html
    assert "default-src 'none'" in html
    assert text_of(html).count("<script>alert(1)</script>") >= 2


def test_a_corpus_of_one_document_and_no_rule(tmp_path):
    one_file(tmp_path / "raw", "just this")
    own = recipe(tmp_path / "raw", filters=[], mix={"held_out": 0.0})
    build(own, tmp_path / "c", workers=1)
    seen = text_of(page_of(tmp_path / "c"))
    assert (
        "1 document, 9 B, from 1 source: 1 to be trained on (100.0%), 0 held out (0%)"
        " and 0 dropped (0%)."
    ) in seen
    assert "None was dropped." in seen
    assert "Everything was read." in seen
    assert "No filter is named" in seen


def test_a_corpus_without_a_mix_is_refused(tmp_path):
    with pytest.raises(GenwrightError, match="is no corpus"):
        api_data.data_report(tmp_path)
    one_file(tmp_path / "raw", "too short\n")
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    shutil.rmtree(tmp_path / "c" / "mix")
    with pytest.raises(GenwrightError, match="has no mix yet"):
        api_data.data_report(tmp_path / "c")
    with pytest.raises(GenwrightError, match="has no mix yet"):
        corpus_of([str(tmp_path / "c")])


NOTHING = {
    "all dropped": ("too short\n", {}, "1 document, 9 B, from 1 source: 0 to be trained on (0%)"),
    "none read": ("?\n", {}, "0 documents, 0 B, from 0 sources: 0 to be trained on (0%)"),
    "budget": ("too short\n", {"mix": {"tokens": 9}}, "0 held out (0%) and 1 dropped (100.0%)"),
    "held out": (
        "".join(f"a line of words and {number}\n" for number in range(3)),
        {"mix": {"held_out": 0.999}, "deduplicate": None},
        "3 held out (100.0%) and 0 dropped (0%)",
    ),
}


@pytest.mark.parametrize("case", NOTHING)
def test_a_corpus_of_which_nothing_is_left_has_a_page(tmp_path, case):
    words, changes, expected = NOTHING[case]
    one_file(tmp_path / "raw", words)
    corpus, _ = build(recipe(tmp_path / "raw", **changes), tmp_path / "c", workers=1)
    assert f"nothing is left to train on: genwright data report {tmp_path / 'c'}" in str(
        built(corpus)
    )
    seen = text_of(page_of(tmp_path / "c"))
    assert expected in seen
    if case == "all dropped":
        assert "toy.short" in seen
        assert "too short" in seen
    if case == "none read":
        assert "is a question mark" in seen
    with pytest.raises(GenwrightError, match="nothing of the corpus .* is trained on") as raised:
        corpus_of([str(tmp_path / "c")])
    assert f"genwright data report {tmp_path / 'c'}" in raised.value.remedy


@needs("text")
def test_nothing_can_be_trained_on_nothing(tmp_path):
    one_file(tmp_path / "raw", "too short\n")
    build(recipe(tmp_path / "raw"), tmp_path / "c", workers=1)
    given = {"data.path": str(tmp_path / "c"), "data.cache": str(tmp_path / "cache")}
    given |= {"data.source": "files", "codec": "bytes"}
    with pytest.raises(GenwrightError, match="nothing of the corpus .* is trained on"):
        genwright.train("code", run=tmp_path / "run", quiet=True, **given)
    assert not (tmp_path / "run").exists()


def test_a_thousand_reasons_are_all_counted(tmp_path):
    def number(texts):
        return {"number": np.array([float(text.split()[0]) for text in texts])}

    add_attributes("text", Attributes("numbers", (Column("number"),), number))
    rules = [Rule(f"many.r{n:04}", "number", at_most=1000 - n - 0.5) for n in range(1000)]
    add_rules("text", RuleSet("many", tuple(rules), ("numbers",)))
    one_file(tmp_path / "raw", "\n".join(f"{n} text" for n in range(1001)))
    own = recipe(tmp_path / "raw", filters=["many"], mix={"held_out": 0.0})
    build(own, tmp_path / "c", workers=1)
    html = page_of(tmp_path / "c")
    for n in range(1000):
        assert f"many.r{n:04}<div" in html
    assert len(html) < 2_000_000
    assert "Of rarer reasons" in html


def test_a_very_long_text_is_shortened(tmp_path):
    texts = ["word " * 400_000, "x" * 2_000_000]
    one_file(tmp_path / "raw", "\n".join([*texts, "some words to be kept"]))
    build(recipe(tmp_path / "raw", mix={"held_out": 0.0}), tmp_path / "c", workers=1)
    html = page_of(tmp_path / "c")
    assert len(html) < 100_000
    assert "x" * 600 + " ..." in html and "x" * 601 not in html


def test_what_could_not_be_read_is_listed(tmp_path):
    one_file(tmp_path / "raw", "one two three four\n" + "?\n" * 50)
    build(recipe(tmp_path / "raw", mix={"held_out": 0.0}), tmp_path / "c", workers=1)
    html = page_of(tmp_path / "c")
    assert "raw/a.txt, line 2<" in html and "is a question mark" in html
    assert "and 20 more, in documents/*.json" in html
    assert "<b>50</b><span>not read<br>" in html


def test_a_recipe_that_was_edited_since_is_said(sources):
    folder, _ = sources
    before = page_of(folder)
    path = folder / "corpus.yaml"
    path.write_text(path.read_text().replace("rules: toy", "attribute: toy words\n  at_most: 4"))
    html = page_of(folder)
    assert "corpus.yaml was edited since" in html and "corpus.yaml was edited since" not in before
    assert re.sub(r'<div class="alarm">.*?</div>', "", html).replace("\n\n", "\n") == before


def test_a_mix_of_other_documents_is_refused(sources):
    folder, _ = sources
    path = folder / "mix" / "counts.json"
    counts = counts_of(folder)
    path.write_text(json.dumps(counts | {"documents": counts["documents"] + 1}))
    with pytest.raises(GenwrightError, match="its documents are 211, and there are 210"):
        api_data.data_report(folder)


@pytest.mark.parametrize("seed", range(4))
def test_quantiles_and_bins_are_those_of_all_values(seed):
    """Whatever batches they come in, on every kind of axis."""
    rng = np.random.default_rng(seed)
    several = [
        rng.lognormal(0, 3, 4000),
        np.floor(rng.lognormal(4, 2, 4000)),
        rng.normal(0, 5, 4000),
        rng.random(4000),
    ]
    values = several[seed]
    values[rng.random(4000) < 0.1] = np.nan
    kept = rng.random(4000) < 0.5
    spread = Spread()
    for part in np.array_split(values, 7):
        spread.add(part)
    finite = values[~np.isnan(values)]
    assert (spread.low, spread.high) == (finite.min(), finite.max())
    assert spread.missing == np.isnan(values).sum()
    for share in (0.05, 0.5, 0.95):
        assert spread.quantile(share) == pytest.approx(
            np.quantile(finite, share), rel=0.03, abs=0.02
        )
    bins = bins_of(spread, [Rule("r", "a", at_least=0.5)], Column("a"))
    assert bins.log == (seed < 2)
    for part, side in zip(np.array_split(values, 7), np.array_split(kept, 7), strict=True):
        bins.add(part, side)
    edges = bins.edges.copy()
    assert (np.diff(edges) > 0).all()
    edges[0], edges[-1] = -np.inf, np.inf
    shown = values
    if bins.log:
        shown = np.where(values > 0, values, np.nan)
    for side, counts in ((kept, bins.kept), (~kept, bins.dropped)):
        own = shown[side]
        expected = [((own >= a) & (own < b)).sum() for a, b in itertools.pairwise(edges)]
        assert counts.tolist() == expected
    assert bins.kept.sum() + bins.zeros[0] + bins.missing[0] == kept.sum()


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 1001])
def test_a_median_is_exact_until_too_many_values_are_different(count, monkeypatch):
    values = np.random.default_rng(count).integers(0, 300, count) / 3
    for limit in (1 << 16, 1):
        monkeypatch.setattr(page_values, "DIFFERENT", limit)
        spread = Spread()
        for part in np.array_split(np.append(values, [np.nan, np.inf]), 3):
            spread.add(part)
        if limit > 1 or count == 1:
            assert spread.median() == pytest.approx(np.median(values), abs=1e-12)
        else:
            assert spread.median() is None


def test_the_page_says_the_median(tmp_path, monkeypatch):
    lines = [" ".join(["word"] * (200 + 31 * number)) for number in range(3)]
    one_file(tmp_path / "raw", "\n".join(lines))
    own = recipe(tmp_path / "raw", mix={"held_out": 0.0}, deduplicate=None)
    build(own, tmp_path / "c", workers=1)
    assert "200 to 262, median 231<" in page_of(tmp_path / "c")
    monkeypatch.setattr(page_values, "DIFFERENT", 2)
    assert "200 to 262, median about 230<" in page_of(tmp_path / "c")


def test_infinite_values_are_counted_in_the_outer_bins():
    values = np.array([np.inf, -np.inf, 1.0, 2.0, np.nan])
    spread = Spread()
    spread.add(values)
    bins = bins_of(spread, [], Column("a"))
    bins.add(values, np.ones(5, bool))
    assert bins.kept.tolist() == [2, 2] and bins.missing == [1, 0]


def test_attributes_without_a_value_have_no_bins():
    spread = Spread()
    spread.add(np.full(3, np.nan))
    bins = bins_of(spread, [Rule("r", "a", at_least=1)], Column("a"))
    bins.add(np.full(3, np.nan), np.array([True, False, False]))
    assert bins.missing == [1, 2] and not len(bins.kept)


def test_the_command_says_where_the_page_is(sources, tmp_path, capsys):
    folder, _ = sources
    code, out, _ = command(capsys, "data", "report", folder, "--output", tmp_path / "x.html")
    assert (code, out) == (0, f"{tmp_path / 'x.html'}: written\n")
    assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")
    code, _, err = command(capsys, "data", "report", folder, "--output", tmp_path / "no" / "x.html")
    assert code != 0 and "cannot be written" in err


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (99_949, "99.9 kB"),
        (999_600, "1.00 MB"),
        (12_345_678_901_234, "12,346 GB"),
    ],
)
def test_bytes_in_words(count, text):
    assert in_bytes(count) == text


# ---- copies


def shingles(text: str) -> set:
    words = text.lower().split()
    return {tuple(words[at : at + 5]) for at in range(len(words) - 4)}


def test_copies_are_those_of_plain_python(tmp_path):
    texts = []
    for number in range(12):
        texts.append(" ".join(f"w{number}x{place}" for place in range(60)))
    texts += [texts[0], texts[0], texts[1]]  # exact copies
    for number, changed in ((2, 1), (2, 2), (3, 1), (4, 3)):  # words at the end that differ
        texts.append(" ".join([*texts[number].split()[:-changed], *["other"] * changed]))
    one_file(tmp_path / "raw", "\n".join(texts))
    near = {"similarity": 0.9, "recall": 0.99}
    own = recipe(tmp_path / "raw", filters=[], mix={"held_out": 0.0}, deduplicate=near)
    corpus, _ = build(own, tmp_path / "c", workers=1)
    sets = [shingles(text) for text in dict.fromkeys(texts)]
    pairs = []
    for one, other in itertools.combinations(sets, 2):
        pairs.append(len(one & other) / len(one | other))
    found = count_copies(corpus)
    numbers = numbers_of(corpus)
    assert numbers.reasons["copies.exact"].documents == 3
    assert numbers.reasons["copies.near"].documents == 3  # the pair of number 4 is just below
    stored = [similarity for similarity in pairs if similarity >= 0.8]
    assert found.pairs.sum() == len(stored) == 5
    for similarity in stored:
        assert found.pairs[int((similarity - found.floor) / 0.01 + 1e-6)]
    sizes = [sum(member.kind != "kept" for member in members) for members in found.largest]
    assert sizes == [2, 2, 1, 1]
    html = page_of(tmp_path / "c")
    assert sum(bars_in(html, "pairs")) == len(stored)
    seen = text_of(html)
    assert "Exact copies of another document: 3. Near copies: 3;" in seen
    assert "Dropped as copies: 3 exact and 3 near ones" in seen
    least = min(similarity for similarity in stored if similarity >= 0.9)
    assert f"3 documents, 2 copies; similarity {least:.3f}" in seen
    assert f"{texts[2]}</pre>" in html and f"{texts[-3]}</pre>" in html


def test_a_corpus_whose_copies_were_not_looked_for_says_so(sources):
    folder, _ = sources
    assert "Copies were not looked for" in page_of(folder)


@needs("text")
def test_rules_over_labels_are_counted_with_what_the_source_says(tmp_path):
    """What a text says of its licence counts; where it says none, the licence of its source."""
    texts = ["SPDX-License-Identifier: GPL-3.0-only and words", "SPDX-License-Identifier: MIT"]
    one_file(tmp_path / "a", "\n".join([*texts, "no licence is named here"]))
    one_file(tmp_path / "b", "nothing is known of this one")
    given = [
        {"kind": "listed", "path": str(tmp_path / "a"), "licence": "MIT"},
        {"kind": "listed", "path": str(tmp_path / "b")},
    ]
    own = recipe(None, sources=given, filters=[{"licence": "MIT"}], mix={"held_out": 0.0})
    corpus, _ = build(own, tmp_path / "c", workers=1)
    numbers = numbers_of(corpus)
    assert numbers.breaking == {"licence.unknown": 1, "licence.not-allowed": 1}
    found = {value: total(fates).documents for value, fates in numbers.by["licence"].items()}
    assert found == {"GPL-3.0-only": 1, "MIT": 2, "": 1}
    assert "measured licence_found" not in numbers.by
    html = page_of(tmp_path / "c")
    assert "one of MIT<small>licence_found (SPDX expression" in html
    assert "licence.unknown" in html
    assert "By licence: what the document says, else its source" in html
    assert "By licence_found" not in html
    for row in range(3):
        said = [("GPL-3.0-only", "MIT"), ("MIT", "MIT")][row:]
        facts = trace(corpus, f"{corpus.shards[0].key}:{row}").facts
        wanted = f"{said[0][0]}, as it says; its source says {said[0][1]}" if said else "MIT"
        assert facts["licence"] == wanted


def test_weights_take_what_a_document_says_else_its_source(tmp_path):
    said = ["SPDX-License-Identifier: GPL-3.0-only", "SPDX-License-Identifier: MIT"]
    one_file(tmp_path / "a", "\n".join([*said, "no licence is named here"]))
    one_file(tmp_path / "b", "nothing is known of this one")
    given = [
        {"kind": "listed", "path": str(tmp_path / "a"), "licence": "GPL-3.0-only"},
        {"kind": "listed", "path": str(tmp_path / "b")},
    ]
    allowed = [{"licence": "MIT,GPL-3.0-only,unknown"}]
    for licence, kept in (
        ("GPL-3.0-only", {said[1]}),
        ("MIT", {said[0], "no licence is named here"}),
    ):
        mix = {"held_out": 0.0, "weights": {"licence": {licence: 0}}}
        own = recipe(None, sources=given, filters=allowed, mix=mix, deduplicate=None)
        corpus, counts = build(own, tmp_path / "c", workers=1)
        texts = {text for path in selections(str(corpus.folder)) for _, text in selected(path)}
        assert texts == kept | {"nothing is known of this one"}
        assert counts.dropped == {"mix.weight": 4 - len(texts)}
