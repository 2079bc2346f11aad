"""The source `html`: main text, encoding, language, date; and pages that would stop a parser."""

import gzip
import sys
import time
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.core.corpus import Document, Unread
from genwright.core.errors import GenwrightError
from genwright.curation.sources.html import DEEPEST, MOST_ATTRIBUTES, Html

pytest.importorskip("resiliparse")
ARTICLE = "<p>Ein l\u00e4ngerer Absatz, der wirklich etwas sagt.</p>\n<p>Und noch einer.</p>"
TEXT = "Ein l\u00e4ngerer Absatz, der wirklich etwas sagt.\n\nUnd noch einer."
PAGE = (
    '<!doctype html><html lang="de-AT"><head>{head}<title>T</title></head><body>'
    "<nav><a href=/>home</a> <a href=/a>about</a></nav><main><article>" + ARTICLE + "</article>"
    "</main><footer>Imprint</footer><script>run()</script></body></html>"
)


def page(head="", encoding="utf-8"):
    return PAGE.format(head=head).encode(encoding)


def found_in(path, **options):
    source = Html(path=str(path), **options)
    return {file.name: list(source.read(file)) for file in source.find()}


def one(tmp_path, data, **options):
    (tmp_path / "a.html").write_bytes(data)
    (found,) = found_in(tmp_path / "a.html", **options)["a.html"]
    return found


def test_the_main_text_and_what_a_page_says_of_itself(tmp_path):
    head = (
        '<meta charset="utf-8"><meta property="article:published_time" content="2020-03-04T05:06Z">'
        '<link rel="license" href="https://creativecommons.org/licenses/by-sa/4.0/">'
    )
    (tmp_path / "a.html").write_bytes(page(head))
    (tmp_path / "b.htm.gz").write_bytes(gzip.compress(page()))
    (tmp_path / "c.txt").write_text("no page")
    found = found_in(tmp_path)
    assert found == {
        "a.html": [Document(TEXT, "", "CC-BY-SA-4.0", "2020-03-04", "de")],
        "b.htm.gz": [Document(TEXT, language="de")],
    }


@pytest.mark.parametrize(
    ("head", "day"),
    [
        ('<meta name="date" content="2019-12-31">', "2019-12-31"),
        ('<meta name="citation_publication_date" content="2019/12/31">', "2019-12-31"),
        ('<meta name="date" content="2019-13-31">', ""),
        ('<meta name="date" content="last week">', ""),
        ('<meta name="date">', ""),
    ],
)
def test_a_date_that_is_plain(tmp_path, head, day):
    assert one(tmp_path, page(head)).date == day


@pytest.mark.parametrize(
    ("head", "licence"),
    [
        (
            '<a rel=license href="http://creativecommons.org/publicdomain/zero/1.0/">x</a>',
            "CC0-1.0",
        ),
        (
            '<link rel="license" href="https://creativecommons.org/licenses/by-nc-nd/3.0/deed.en">',
            "CC-BY-NC-ND-3.0",
        ),
        ('<link rel="license" href="/terms">', ""),
    ],
)
def test_a_licence_that_is_plain(tmp_path, head, licence):
    assert one(tmp_path, page(head)).licence == licence


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ("", "utf-8"),
        ("", "utf-8-sig"),
        ("", "utf-16"),
        ('<meta charset="iso-8859-1">', "latin-1"),
        ('<meta http-equiv="Content-Type" content="text/html; charset=windows-1252">', "cp1252"),
        ('<meta charset="iso-8859-1">', "utf-8-sig"),  # the mark counts for more
        ('<meta charset="utf-16">', "utf-8"),  # whoever could read that knows better
        ('<meta charset="no-such-thing">', "utf-8"),
    ],
)
def test_the_encoding_is_what_the_page_says(tmp_path, head, encoding):
    found = one(tmp_path, page(head, encoding))
    assert found.text == TEXT and found.language == "de"


def test_an_encoding_that_is_not_declared_is_detected(tmp_path):
    words = "\u041f\u0440\u043e\u0441\u0442\u043e\u0439 \u0440\u0443\u0441\u0441\u043a\u0438\u0439 "
    body = f"<html><body><main><p>{words * 30}</p></main></body></html>"
    assert one(tmp_path, body.encode("cp1251")).text == (words * 30).strip()


def test_a_page_that_is_no_text_is_named(tmp_path):
    japanese = b'<meta charset="euc-jp"><p>' + b"\xff\x81\xfe" * 9
    assert one(tmp_path, japanese).what == "cannot be decoded as euc_jp or utf-8"
    assert one(tmp_path, b"\xff\xfe" + b"\0\xd8" * 9).what.startswith("is not UTF-16")
    assert one(tmp_path, b"<p>text\0").what == "is binary: it holds a zero character"
    assert one(tmp_path, b"<html><script>1</script>") == Unread("", "has no main text")
    assert one(tmp_path, b"") == Unread("", "has no main text")


def test_a_page_of_200_mb_is_named_and_not_held(tmp_path):
    path = tmp_path / "large.html"
    with open(path, "wb") as file:
        file.truncate(200 << 20)
    tracemalloc.start()
    found = found_in(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found == {"large.html": [Unread("", "is larger than 16 MB: raise `largest` to read it")]}
    assert most < 40 << 20
    (tmp_path / "bomb.html.gz").write_bytes(gzip.compress(b"<p>word" * (3 << 20)))
    assert found_in(tmp_path / "bomb.html.gz")["bomb.html.gz"][0].what.startswith("is larger than")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"<div>" * 100_000, f"nests more than {DEEPEST:,} elements in one another"),
        (
            b"<p " + b"".join(b' a%d=">"' % i for i in range(50_000)) + b">text",
            f"has an element of more than {MOST_ATTRIBUTES:,} attributes",
        ),
        (
            b"<p " + b"".join(b" a%d" % i for i in range(50_000)),
            f"has an element of more than {MOST_ATTRIBUTES:,} attributes",
        ),
    ],
)
def test_a_page_that_would_take_hours_is_named_at_once(tmp_path, data, what):
    begin = time.perf_counter()
    assert one(tmp_path, data) == Unread("", what)
    assert time.perf_counter() - begin < 5


def test_long_and_flat_pages_are_no_fault(tmp_path):
    data = page().replace(b"</article>", b"<p>one more<br><li>item" * 3000 + b"</article>")
    data = data.replace(b"<main>", b'<main data-all="' + b"a b > " * 3000 + b'">')
    assert one(tmp_path, data).text.startswith("Ein l")


def test_without_the_library_it_is_said_at_once(tmp_path, monkeypatch):
    (tmp_path / "a.html").write_bytes(page())
    monkeypatch.setitem(sys.modules, "resiliparse.parse.html", None)
    with pytest.raises(GenwrightError, match=r"the source html needs resiliparse.*\[curation\]"):
        Html(path=str(tmp_path)).find()


PIECES = [
    b"<div>",
    b"</div>",
    b"<p",
    b'="',
    b">",
    b"&#xd800;",
    b"<!--",
    b"-->",
    b"<table>",
    b"\xff",
]


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=8), max_size=60))
def test_no_page_raises(tmp_path_factory, pieces):
    folder = tmp_path_factory.mktemp("pages")
    found = one(folder, b"".join(pieces))
    if isinstance(found, Document):
        found.text.encode()
    else:
        assert found.what
