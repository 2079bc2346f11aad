"""Web pages: the main text of each, without menus, headers and footers.

1. The encoding is what the page says: a byte-order mark, else <meta charset>, else what its bytes
   look like. A page that cannot be decoded so, without a single error, is named and not read.
2. `resiliparse` (extra `curation`) parses it as browsers do (HTML Living Standard) and tells main
   text from the rest by rules of its own.
3. Language, date and licence are what the page says, where it says them plainly.

A page is held in memory as a whole, and so is bounded. Time grows with the square of how deep
elements are nested, and of how many attributes one has; pages beyond both bounds are named.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Any, Literal, NamedTuple

from pydantic import Field

from genwright.core.corpus import Document, RawFile
from genwright.core.errors import optional
from genwright.core.registry import Settings
from genwright.curation.raw import MEGABYTE, Found, Unreadable, found_at, guarded
from genwright.data.encodings import NAMES, encoding_of
from genwright.data.readers import MARK, raw_chunks, suffix_of
from genwright.data.source_files import may_be_read

SUFFIXES = frozenset((".html", ".htm", ".xhtml", ".shtml"))
DEEPEST = 1000  # elements in one another; browsers stop at about 500
MOST_ATTRIBUTES = 1000  # of one element
_ATTRIBUTE = rb"[\s/]*+[^\s/>=][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"|'[^']*+'|[^\s>\"'][^\s>]*+)?)?"
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_TAG = re.compile(
    rb"<!--(?:.*?-->|.*+)"
    rb"|<(?:script|style)(?=[\s/>])(?:.*?</(?:script|style)|.*+)"
    rb"|<(/?)([a-z][^\s/>]*+)((?:" + _ATTRIBUTE + rb")*+)",
    re.IGNORECASE | re.DOTALL,
)
_CHARSET = re.compile(rb"<meta\s[^>]*?charset\s*=\s*[\"']?\s*([\w.:-]+)", re.IGNORECASE)
_HEAD = 1024  # bytes in which a page declares its encoding
# elements that have no end, or end where the next of their kind begins
_WORDS = """
    area base br col embed hr img input link meta param source track wbr
    body colgroup dd dt head html li optgroup option p rb rp rt rtc tbody td tfoot th thead tr
"""
_NO_DEPTH = frozenset(_WORDS.encode().split())
_DATES = (
    'meta[property="article:published_time"]',
    'meta[itemprop="datePublished"]',
    'meta[name="date"]',
    'meta[name="dc.date"]',
    'meta[name="DC.date"]',
    'meta[name="DC.date.issued"]',
    'meta[name="citation_publication_date"]',
)
_CREATIVE_COMMONS = re.compile(
    r"https?://creativecommons\.org/(?:licenses/(by(?:-nc)?(?:-sa|-nd)?)/(\d\.\d)"
    r"|publicdomain/zero/(1\.0))(?:/(?:deed\.\w+|legalcode)?)?"
)


class Resiliparse(NamedTuple):
    """The modules of it that are used."""

    html: Any
    encoding: Any
    text: Any


def _resiliparse() -> Resiliparse:
    """Raises GenwrightError where it is not installed."""
    purpose = "the source html needs resiliparse"
    return Resiliparse(
        optional("resiliparse.parse.html", purpose, "curation"),
        optional("resiliparse.parse.encoding", purpose, "curation"),
        optional("resiliparse.extract.html2text", purpose, "curation"),
    )


def _is_page(path: str) -> bool:
    return suffix_of(path) in SUFFIXES and may_be_read(path)


class Html(Settings, family="raw"):
    """Main texts of web pages."""

    kind: Literal["html"] = "html"
    """Which source: web pages."""
    path: str | tuple[str, ...]
    """Pages (also in .gz or .zst), folders of them, and globs."""
    largest: float = Field(16, gt=0, le=256)
    """Megabytes of a page; a larger one is named and not read."""

    def find(self) -> list[RawFile]:
        """The pages, and the folders that cannot be listed, which `read` then names. Raises
        GenwrightError for a path that is not there, and where there is no page."""
        _resiliparse()
        return found_at(self.path, _is_page, "web page")

    def read(self, file: RawFile) -> Iterator[Found]:
        """The main text of a page. Raises GenwrightError where resiliparse is not installed."""
        return guarded(file.path, self._documents(file.path, _resiliparse()))

    def _documents(self, path: str, library: Resiliparse) -> Iterator[Document]:
        page = _whole(path, int(self.largest * MEGABYTE))
        _check_nesting(page)
        tree = library.html.HTMLTree.parse(_decoded(page, library.encoding))
        text = library.text.extract_plain_text(tree, main_content=True)
        if not text.strip():
            raise Unreadable("has no main text")
        yield Document(text, "", _licence_of(tree), _date_of(tree), _language_of(tree))


def _whole(path: str, largest: int) -> bytes:
    """The bytes of a page. Raises Unreadable for one that is larger."""
    chunks = []
    size = 0
    for chunk in raw_chunks(path):
        size += len(chunk)
        if size > largest:
            megabytes = largest / MEGABYTE
            raise Unreadable(f"is larger than {megabytes:g} MB: raise `largest` to read it")
        chunks.append(chunk)
    return b"".join(chunks)


def _check_nesting(page: bytes) -> None:
    """Raises Unreadable for a page that a parser would need minutes for. Each byte is looked at
    once, about."""
    depth = 0
    for tag in _TAG.finditer(page):
        closes, name, attributes = tag.groups()
        if name is None or name.lower() in _NO_DEPTH:  # None: a comment, or code
            pass
        elif closes:
            depth = max(depth - 1, 0)
        else:
            depth += 1
            if depth > DEEPEST:
                raise Unreadable(f"nests more than {DEEPEST:,} elements in one another")
        if attributes and len(attributes) > MOST_ATTRIBUTES:  # one takes more than a byte
            count = sum(1 for _ in _ONE_ATTRIBUTE.finditer(attributes))
            if count > MOST_ATTRIBUTES:
                raise Unreadable(f"has an element of more than {MOST_ATTRIBUTES:,} attributes")


# ---- encoding ----


def _decoded(page: bytes, library: Any) -> str:
    """The page as text. Raises Unreadable where it is none in the encoding that it declares, nor in
    the one that it looks like."""
    marked = encoding_of(page)
    if page.startswith(MARK) or marked != "utf-8":
        text = _strictly(page, marked)
        if text is None:
            raise Unreadable(f"is not {NAMES[marked]}, as its byte-order mark says")
        return _checked(text.removeprefix("\ufeff"))
    said = _CHARSET.search(page[:_HEAD])
    declared = ""
    if said:
        declared = library.map_encoding_to_html5(said[1].decode(), fallback_utf8=False) or ""
    if declared.lower().startswith("utf-16"):  # then it could not have been read
        declared = ""
    for encoding in (declared, "utf-8"):
        text = _strictly(page, encoding)
        if text is not None:
            return _checked(text)
    seems = library.detect_encoding(page)
    text = _strictly(page, seems)
    if text is None:
        tried = dict.fromkeys(filter(None, (declared, "utf-8", seems)))
        raise Unreadable(f"cannot be decoded as {' or '.join(tried)}")
    return _checked(text)


def _strictly(page: bytes, encoding: str) -> str | None:
    try:
        return page.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _checked(text: str) -> str:
    """Raises Unreadable for what is no text."""
    if "\0" in text:
        raise Unreadable("is binary: it holds a zero character")
    return text


# ---- what a page says of itself ----


def _language_of(tree: Any) -> str:
    """ISO 639-1, of <html lang>; "" for none, and for a language that has no such code."""
    root = tree.document.query_selector("html")
    said = (root.getattr("lang") or "") if root else ""
    language = re.split("[-_]", said.strip().lower())[0]
    return language if re.fullmatch("[a-z]{2}", language) else ""


def _date_of(tree: Any) -> str:
    """The day of publication, of <meta>, as ISO 8601; "" where it is written otherwise."""
    for place in _DATES:
        found = tree.document.query_selector(place)
        said = (found.getattr("content") or "").strip() if found else ""
        day = re.match(r"\d{4}[-/]\d{2}[-/]\d{2}(?!\d)", said)
        if day is None:
            continue
        try:
            return date.fromisoformat(day[0].replace("/", "-")).isoformat()
        except ValueError:
            continue
    return ""


def _licence_of(tree: Any) -> str:
    """SPDX of a licence of Creative Commons that the page links to as its own; "" for none and for
    several."""
    found = set()
    for link in tree.document.query_selector_all('link[rel~="license"], a[rel~="license"]'):
        match = _CREATIVE_COMMONS.fullmatch((link.getattr("href") or "").strip())
        if match is None:
            found.add("")
        elif match[3]:
            found.add("CC0-1.0")
        else:
            found.add(f"CC-{match[1].upper()}-{match[2]}")
    return found.pop() if len(found) == 1 else ""
