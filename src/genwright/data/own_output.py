"""What this program wrote itself, which is no data: runs, prepared data, corpora, and pages with
the tables beside them, in the folder that a person names.

Without this, `data.path=.` would train on the samples of earlier runs, and a run in its own data
would change them while it trains, so that it could be neither resumed nor evaluated. A run's folder
is known by its files (docs/files.md), and so is that of a corpus; a cache by its tag
(https://bford.info/cachedir), a page by its <meta name="generator">, the shares of an audit by
their heading. What a person names itself is read whatever it is.
"""

import os
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

# two of them make a run
OF_A_RUN = frozenset(("recipe.yaml", "environment.json", "metrics.jsonl", "checkpoints", ".lock"))
OF_A_CORPUS = "corpus.yaml"  # with one of these beside it: what was read, or a build at work
BESIDE_IT = frozenset(("sources.json", ".lock"))
TAG = "CACHEDIR.TAG"
SIGNATURE = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# This folder holds data that genwright prepared; it can be deleted.\n"
)
GENERATOR = '<meta name="generator" content="genwright">'
PAGES = (".html", ".htm")
SHARES = "-shares.csv"  # of an audit, beside its page
COLUMNS = ("grouping", "of", "group", "count", "total", "share", "low", "high", "target", "note")
OF_SHARES = ",".join(COLUMNS)
HEAD = 1024  # bytes of a page in which its generator is named


class Own(NamedTuple):
    """What this program wrote. name: below the folder that was named; what: "a run"."""

    name: str
    what: str

    def __str__(self) -> str:
        return f"{self.name} ({self.what} of genwright)"


def mark_cache(folder: Path) -> None:
    """Tags a cache as one. Where that cannot be written, neither can what is prepared, which is
    said then."""
    tag = folder / TAG
    if tag.exists():
        return
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        tag.write_text(SIGNATURE, encoding="utf-8")


def what_is(folder: str, names: Collection[str]) -> str:
    """ "a run", "a corpus" or "prepared data" for a folder that holds entries of these names; ""
    for any other."""
    if len(OF_A_RUN.intersection(names)) >= 2:
        return "a run"
    if OF_A_CORPUS in names and BESIDE_IT.intersection(names):
        return "a corpus"
    if TAG in names and _head(os.path.join(folder, TAG)).startswith(SIGNATURE):
        return "prepared data"
    return ""


def page_of_ours(path: str | Path) -> str:
    """ "a report", "a page" or "shares" for such a file of this program, whatever its name; "" for
    any other file."""
    name = os.path.basename(path)
    if name.endswith(SHARES):
        return "shares" if _head(path).startswith(OF_SHARES) else ""
    if not name.endswith(PAGES) or GENERATOR not in _head(path):
        return ""
    return "a report" if name.startswith("report") else "a page"


def _head(path: str | Path) -> str:
    """The first characters of a file, "" for what is none: to open a pipe would wait for ever."""
    if not os.path.isfile(path):
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read(HEAD)
    except OSError:
        return ""


def holder(path: str, root: str, known: dict[str, str]) -> str:
    """The folder of this program's, below `root`, that a file lies in; "" for none. known: what was
    found before, by folder."""
    folder = os.path.dirname(path)
    if len(folder) <= len(root):
        return ""
    if folder not in known:
        found = holder(folder, root, known)
        if not found and what_is(folder, os.listdir(folder)):
            found = folder
        known[folder] = found
    return known[folder]
