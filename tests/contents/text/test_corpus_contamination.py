"""Documents that share n-grams with evaluation sets, beside a search word by word."""

import gzip
import json
import unicodedata
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright import api_data
from genwright.contents.text import corpus_ngrams
from genwright.contents.text.corpus_contamination import Contamination, contamination
from genwright.contents.text.corpus_ngrams import Words
from genwright.core.corpus import attributes_of
from genwright.core.errors import GenwrightError
from genwright.curation.build import build, open_corpus
from genwright.curation.built import built
from genwright.curation.look import dropped
from genwright.curation.page import write_page
from genwright.curation.settings import CorpusRecipe

QUESTION = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May."
)
OTHERS = "The ferry leaves twice a day, and nobody on the island minds when it is late."


def plain_words(text: str) -> list[str]:
    found = []
    for word in text.split():
        letters = [c for c in word.lower() if unicodedata.category(c)[0] in "LMN"]
        if letters:
            found.append("".join(letters))
    return found


def plain_share(evaluation: list[str], text: str, n: int) -> float:
    """Word by word: the share of a text's words in n-grams of evaluation texts."""
    known = set()
    for each in evaluation:
        words = plain_words(each)
        known |= {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}
    words = plain_words(text)
    if not words:
        return float("nan")
    covered = set()
    for i in range(len(words) - n + 1):
        if tuple(words[i : i + n]) in known:
            covered |= set(range(i, i + n))
    return len(covered) / len(words)


def measured(folder, evaluation, texts, n):
    """The attributes of texts, through files on disk. evaluation: file -> content."""
    given = folder / "evals"
    given.mkdir(exist_ok=True)
    for name, content in evaluation.items():
        (given / name).write_text(content, encoding="utf-8")
    rules = contamination(Contamination(path=str(given), words=n))
    (group,) = rules.attributes
    place = folder / "prepared"
    place.mkdir(exist_ok=True)
    prepared = attributes_of("text")[group].prepared
    about = prepared.write(place)
    values = prepared.read(place)(texts)
    return values[f"{group}-share"], values[f"{group}-found"], about


def test_words_are_small_letters_without_punctuation():
    words = Words(["Hello, World! ... a-b", "", "x hello WORLD ab", "-- ?", "ΟΔΟΣ οδος"])
    assert words.counts.tolist() == [3, 0, 4, 0, 2]
    assert words.hashes[:3].tolist() == words.hashes[4:7].tolist()[:2] + [words.hashes[6]]
    assert words.hashes[7] == words.hashes[8]  # a sigma at the end of a word is a sigma
    spans = zip(words.document, words.start, words.stop, strict=True)
    found = [words.texts[document][start:stop] for document, start, stop in spans]
    assert found == ["Hello", "World", "a-b", "x", "hello", "WORLD", "ab", "ΟΔΟΣ", "οδος"]


def test_ngrams_stand_in_one_text_alone():
    words = Words(["a b", "c d e", "", "b c d", "a b c d"])
    hashes, first = words.ngrams(2)
    assert first.tolist() == [0, 2, 3, 5, 6, 8, 9, 10]
    by_words = defaultdict(set)
    for place, value in zip(first, hashes, strict=True):
        by_words[tuple(words.hashes[place : place + 2])].add(value)
    assert all(len(values) == 1 for values in by_words.values())
    assert len(set(hashes)) == len(by_words) == 4  # ab, cd, de, bc
    assert len(words.ngrams(5)[0]) == 0


TEXT = st.text(alphabet="aBé1 .-\n", max_size=40)


@given(st.lists(TEXT, min_size=1, max_size=4), st.lists(TEXT, max_size=4), st.integers(2, 4))
def test_shares_are_those_of_a_search_word_by_word(tmp_path_factory, evaluation, texts, n):
    folder = tmp_path_factory.mktemp("c")
    files = {f"{i}.txt": text for i, text in enumerate(evaluation)}
    if all(len(plain_words(text)) < n for text in evaluation):
        with pytest.raises(GenwrightError, match=f"has {n} words"):
            measured(folder, files, texts, n)
        return
    shares, notes, _ = measured(folder, files, texts, n)
    expected = [plain_share(evaluation, text, n) for text in texts]
    assert np.array_equal(shares, np.array(expected, float), equal_nan=True)
    assert [bool(note) for note in notes] == [share > 0 for share in expected]


def test_the_longest_run_is_quoted_with_its_evaluation_text(tmp_path):
    rows = [json.dumps({"question": OTHERS, "answer": "no"})]
    rows.append(json.dumps({"question": QUESTION, "choices": ["72", {"why": "48 and 24"}]}))
    page = f"Some more. {QUESTION.upper()} How many?"
    shares, notes, about = measured(tmp_path, {"gsm.jsonl": "\n".join(rows)}, [page, "none"], 13)
    assert shares[0] == 20 / 24 and shares[1] == 0
    quoted = QUESTION.upper().removesuffix(".")
    assert notes == [f'20 words, "{quoted}", as in gsm.jsonl, row 1 (from 0)', ""]
    folder = tmp_path / "evals"
    # row 0 has 17 words, row 1 has 24
    assert about == [f"{folder}: 17 different n-grams of 13 words in 2 evaluation texts of 1 file"]


def test_texts_that_are_too_short_are_counted(tmp_path):
    _, _, about = measured(tmp_path, {"a.txt": QUESTION, "b.txt": "yes"}, [], 13)
    assert about[0].endswith("; not looked for are 1 text of fewer words")


def test_all_ways_to_store_texts_are_read(tmp_path):
    folder = tmp_path / "evals"
    folder.mkdir()
    texts = [f"{name} {QUESTION}" for name in ("plain", "zipped", "csv", "parquet")]
    (folder / "a.md").write_text(texts[0], encoding="utf-16")
    (folder / "b.txt.gz").write_bytes(gzip.compress(texts[1].encode()))
    (folder / "c.csv").write_text(f'id,question\n1,"{texts[2]}"\n', encoding="utf-8")
    table = pa.table({"id": [1], "q": [{"deep": [texts[3]]}], "none": pa.nulls(1)})
    pq.write_table(table, folder / "d.parquet")
    shares, notes, _ = measured(tmp_path, {}, texts, 13)
    assert shares.tolist() == [1.0] * 4
    names = [note.partition("as in ")[2] for note in notes]
    row = "row 0 (from 0)"
    assert names == ["a.md", "b.txt.gz", f"c.csv, {row}", f"d.parquet, {row}"]


def test_equal_ngrams_are_put_together_as_they_are_gathered(tmp_path, monkeypatch):
    files = {f"{i}.txt": f"x{i} {QUESTION} y{i % 3}" for i in range(7)}
    texts = [QUESTION, f"x3 {QUESTION}", "x9 y9"]
    expected = measured(tmp_path, files, texts, 13)
    for name in ("TOGETHER", "MERGED"):
        monkeypatch.setattr(f"genwright.contents.text.corpus_contamination.{name}", 1)
    found = measured(tmp_path, files, texts, 13)
    assert found[0].tolist() == expected[0].tolist()
    assert found[1:] == expected[1:]


# ---- in a corpus


@pytest.fixture
def sources(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "a.txt").write_text(OTHERS, encoding="utf-8")
    (raw / "b.txt").write_text(f"Look: {QUESTION.lower()} Easy!", encoding="utf-8")
    (raw / "c.txt").write_text(QUESTION[:40] + OTHERS[40:], encoding="utf-8")
    evals = tmp_path / "evals"
    evals.mkdir()
    (evals / "gsm.jsonl").write_text(json.dumps({"question": QUESTION}), encoding="utf-8")
    return tmp_path


def recipe(folder, filters):
    return CorpusRecipe(
        name="mine",
        sources=[{"kind": "files", "path": str(folder / "raw")}],
        filters=filters,
        deduplicate=None,
        mix={"held_out": 0},
    )


@pytest.mark.parametrize("short", [True, False])
def test_a_corpus_drops_what_is_contaminated_and_says_why(sources, short):
    evals = str(sources / "evals")
    given = {"contamination": evals if short else {"path": evals, "words": 13}}
    corpus, counts = build(recipe(sources, [given]), sources / "c", workers=1)
    assert counts.dropped == {"contamination.evals": 1}
    shown = str(dropped(open_corpus(corpus.folder), "contamination"))
    assert "raw/b.txt" in shown and "at most 0" in shown
    assert f'"{QUESTION.lower().removesuffix(".")}", as in gsm.jsonl, row 0' in shown
    assert "8 different n-grams of 13 words" in str(built(corpus))
    page = write_page(corpus, sources / "c" / "report.html").read_text(encoding="utf-8")
    assert "as in gsm.jsonl, row 0" in page and "at most 0" in page
    assert "no 13 words in a row" in page and "8 different n-grams" in page


def test_a_changed_evaluation_set_is_looked_at_again(sources):
    filters = [{"contamination": str(sources / "evals")}]
    _, before = build(recipe(sources, filters), sources / "c", workers=1)
    (sources / "evals" / "more.txt").write_text(OTHERS, encoding="utf-8")
    _, after = build(recipe(sources, filters), sources / "c", workers=1)
    assert before.dropped == {"contamination.evals": 1}
    assert after.dropped == {"contamination.evals": 2}


def test_a_bound_changes_without_measuring_again(sources, monkeypatch):
    evals = str(sources / "evals")
    build(recipe(sources, [{"contamination": evals}]), sources / "c", workers=1)
    monkeypatch.setattr(corpus_ngrams, "_word_hashes", None)  # whoever used it would fail
    loose = recipe(sources, [{"contamination": {"path": evals, "at_most": 0.95}}])
    _, counts = build(loose, sources / "c", workers=1)
    assert counts.dropped == {}


def test_a_note_quotes_nothing_where_the_page_hides_something(sources):
    (sources / "raw" / "b.txt").write_text(f"{QUESTION} ann.lee@sun.org", encoding="utf-8")
    filters = [{"contamination": str(sources / "evals")}, "personal-data"]
    corpus, _ = build(recipe(sources, filters), sources / "c", workers=1)
    page = write_page(corpus, sources / "c" / "report.html").read_text(encoding="utf-8")
    assert "contamination.evals" in page and "as in gsm.jsonl" not in page


@pytest.mark.parametrize("inside", ["raw/evals", "raw/evals.jsonl", "raw"])
@pytest.mark.parametrize("later", [False, True])
def test_evaluation_sets_may_not_be_sources(sources, inside, later):
    path = sources / inside
    if inside.endswith(".jsonl"):
        path.write_text(json.dumps(QUESTION), encoding="utf-8")
    elif inside != "raw":
        path.mkdir()
        (path / "x.txt").write_text(QUESTION, encoding="utf-8")
    if later:
        corpus, _ = build(recipe(sources, []), sources / "c", workers=1)
        text = (corpus.folder / "corpus.yaml").read_text(encoding="utf-8")
        filters = f"filters: [{{contamination: {path}}}]"
        (corpus.folder / "corpus.yaml").write_text(text.replace("filters: []", filters))
        with pytest.raises(GenwrightError, match="outside of the sources"):
            api_data.data_mix(corpus.folder, workers=1)
    else:
        own = recipe(sources, [{"contamination": str(path)}])
        with pytest.raises(GenwrightError, match="outside of the sources"):
            build(own, sources / "c", workers=1)


@pytest.mark.parametrize(
    "option,what",
    [
        ("missing", "missing does not exist; give a file, a folder or a glob that is there"),
        ("empty", "empty holds no file of text"),
        ({"words": 8}, "filters.contamination.path is not given"),
        ({"path": "evals", "words": 1}, "filters.contamination.words is 1; it must be at least 2"),
        ({"path": "evals", "at_most": 1}, "at_most is 1; it must be less than 1"),
        ({"path": "evals", "word": 8}, "contamination.word is not a setting; did you mean 'words'"),
        ({"path": "evals", "words": 50}, "no text of evals has 50 words; give fewer"),
        ({"path": "evals", "field": "q"}, r"gsm.jsonl row 0 \(from 0\) has no text in field 'q'"),
        ("latin", "latin/a.txt is not UTF-8"),
        ("cut", "cut/a.txt.gz cannot be read"),
        ("json", r"json/a.jsonl row 1 \(from 0\) is not JSON"),
        ("table", r"table/a.csv row 0 \(from 0\) has 1 cell"),
        ("parquet", "parquet/a.parquet cannot be read"),
    ],
)
def test_bad_evaluation_sets(sources, monkeypatch, option, what):
    monkeypatch.chdir(sources)
    packed = gzip.compress(QUESTION.encode() * 99)
    contents = {
        "latin/a.txt": b"caf\xe9 au lait",
        "cut/a.txt.gz": packed[: len(packed) // 2],
        "json/a.jsonl": b'{"a": "b"}\n{"a": \n',
        "table/a.csv": b"a,b\nc\n",
        "parquet/a.parquet": b"PAR1 and no more",
        "empty/a.png": b"",
    }
    for name, content in contents.items():
        (sources / name).parent.mkdir()
        (sources / name).write_bytes(content)
    with pytest.raises(GenwrightError, match=what):
        build(recipe(sources, [{"contamination": option}]), sources / "c", workers=1)


@pytest.mark.parametrize("given", [{"gopher": {"a": 1}}, {"words": {"path": "x"}}])
def test_a_filter_without_settings_takes_none(sources, given):
    with pytest.raises(GenwrightError, match="has no settings"):
        recipe(sources, [given])


def test_an_evaluation_set_that_changes_meanwhile_is_refused(sources, monkeypatch):
    def changing(number, file, field):
        (sources / "evals" / "gsm.jsonl").write_text("{}")
        return iter(())

    monkeypatch.setattr("genwright.contents.text.corpus_texts._texts_of", changing)
    with pytest.raises(GenwrightError, match="changed while"):
        build(
            recipe(sources, [{"contamination": str(sources / "evals")}]), sources / "c", workers=1
        )


def test_an_evaluation_set_that_changed_before_it_is_read_is_refused(sources):
    """What is prepared is named by the digest: it would be wrong where the file comes back."""
    given = recipe(sources, [{"contamination": str(sources / "evals")}])
    given.rule_sets()  # the digest is taken
    (sources / "evals" / "gsm.jsonl").write_text('{"text": "other words of another evaluation"}')
    with pytest.raises(GenwrightError, match="changed while"):
        build(given, sources / "c", workers=1)
    prepared = sources / "c" / "prepared"
    assert not prepared.exists() or not list(prepared.iterdir())
