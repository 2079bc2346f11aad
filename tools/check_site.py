"""Whether a built documentation site stands alone: every picture, script, style sheet, font and
sound of its pages lies in its folder, and every link between its pages arrives.

python tools/check_site.py FOLDER    names what does not, and exits with 1. Links that a reader may
follow to other sites are allowed; what a page loads from there by itself is not.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADS = {"src", "srcset", "poster", "data"}  # attributes whose address a browser opens by itself
IN_STYLES = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


class Page(HTMLParser):
    """loads: addresses that the page opens by itself; links: those that a reader may follow; ids:
    the places in it that links may name."""

    def __init__(self, text: str):
        super().__init__()
        self.loads: list[str] = []
        self.links: list[str] = []
        self.ids: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called for every element."""
        given = {name: value or "" for name, value in attrs}
        if "id" in given:
            self.ids.add(given["id"])
        for name in LOADS & set(given):
            self.loads.append(given[name])
        if tag == "link" and given.get("rel") not in ("canonical", "author", "license"):
            self.loads.append(given.get("href", ""))
        if tag == "a" and "href" in given:
            self.links.append(given["href"])


def elsewhere(address: str) -> bool:
    """Whether an address is of another site."""
    parts = urlsplit(address)
    return bool(parts.netloc) or parts.scheme in ("http", "https", "ftp")


def lacks(path: Path, address: str, pages: dict[Path, Page]) -> str:
    """What an address lacks that the page at `path` names, in words; "" where it arrives."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return ""  # elsewhere, or data in the page itself
    target = path
    if parts.path:
        target = (path.parent / unquote(parts.path)).resolve()
    if target.is_dir():
        target /= "index.html"
    if not target.exists():
        return "which is not there"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return "a place that is not in that page"
    return ""


def check(folder: Path) -> list[str]:
    """What is wrong, a sentence each."""
    wrong = []
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in folder.rglob("*.html")}
    for path, page in sorted(pages.items()):
        name = path.relative_to(folder)
        for address in page.loads:
            if elsewhere(address):
                wrong.append(f"{name} loads {address}")
        for address in sorted({*page.loads, *page.links}):
            lacking = lacks(path, address, pages)
            if lacking:
                wrong.append(f"{name} names {address}, {lacking}")
    for path in sorted(folder.rglob("*.css")):
        for found in IN_STYLES.findall(path.read_text(encoding="utf-8")):
            address = found[0] or found[1]
            if elsewhere(address):
                wrong.append(f"{path.relative_to(folder)} loads {address}")
    return wrong


def main() -> int:
    """Checks the folder that is named."""
    folder = Path(sys.argv[1]).resolve()
    wrong = check(folder)
    if not (folder / "index.html").is_file():
        wrong.append(f"{folder} has no index.html")
    for sentence in wrong:
        print(sentence)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
