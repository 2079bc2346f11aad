r"""The rules of Gopher, C4 and FineWeb: documents a second on one core, beside datatrove's filters.

    python -m venv PY && PY/bin/pip install datatrove nltk regex 'spacy>=3.8'
    python benchmarks/filters_speed.py [--rival PY/bin/python] [--pages 2000] \
        [--out benchmarks/results/filters_speed.json]

The texts are like those of the web, about 4,000 characters each, the same each time (of one version
of Python): a title, a menu, headings, long paragraphs of prose with lists, short lines and code in
between, notices about cookies, a footer, at times the menu again or a paragraph twice. The prose is
that of Python's own reference (pydoc_data.topics) and of the docstrings of its library; some pages
are of little else than menus, some hold quotation marks and dashes beyond ASCII.

- Time is processor time of one process, the median of some rounds over all pages. `all` is the
  attribute group as a corpus is built with it, which says everything that the three sets ask for,
  with the edits of C4. A set alone has its own pass over the words.
- datatrove's four filters are asked about each page in turn; its splitting of words is kept from
  one filter to the next, as it does by itself. A filter of datatrove stops at the first rule that
  is broken, ours answers all of them.
- Of each set: how many pages both drop, ours alone, theirs alone. Its bounds are set to those of
  the papers where its defaults are others: 5 words a line and 3 sentences of C4, .1 and no rule on
  line ends of FineWeb. The definitions still differ (its words are cut at punctuation, a word then;
  what shares are of; what a sentence is): corpus_quality_*.py say how.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

LENGTH = 4000  # characters of a page, about
# of the library, whose docstrings are the prose
MODULES = """
argparse array ast asyncio base64 calendar cmath codecs collections configparser csv ctypes datetime
decimal difflib dis email enum fractions functools gettext hashlib heapq hmac html http imaplib
inspect io ipaddress itertools json locale logging mailbox math mmap operator os pathlib pickle
platform plistlib pprint random re sched secrets select shelve shlex shutil signal smtplib socket
sqlite3 ssl statistics string struct subprocess sys tarfile tempfile textwrap threading time timeit
tokenize traceback types typing unittest urllib uuid venv warnings wave weakref xml zipfile zlib
"""
MENU = """
Home
About us
Contact
Products
Services
News
Blog
Log in
Sign up
Search
Help
Careers
FAQ
Downloads
Shop
Gallery
Events
Press
Forum
Support
Sitemap
Archive
Next page
Previous page
"""
NOTICES = (
    "This site uses cookies to improve your experience.",
    "Please enable JavaScript in your browser to see this page.",
    "By using this site you accept our terms of use and privacy policy.",
)
FOOTER = ("Copyright 2019. All rights reserved.", "Privacy Policy", "Terms of use", "Back to top")


def prose() -> list[str]:
    """Paragraphs of real text, each on one line, in order."""
    from pydoc_data import topics

    texts = [topics.topics[name] for name in sorted(topics.topics)]
    for name in MODULES.split():
        module = importlib.import_module(name)
        for _, thing in sorted(vars(module).items()):
            if callable(thing):
                texts.append(inspect.getdoc(thing) or "")
    found = {}
    for text in texts:
        for paragraph in re.split(r"\n\s*\n", text):
            line = " ".join(re.sub("[`*]", "", paragraph).split())  # without its markup
            if len(line) > 60:
                found[line] = None
    return list(found)


def page(dice: random.Random, paragraphs: list[str]) -> str:
    """A page like those of the web."""
    entries = MENU.strip().splitlines()
    menu = dice.sample(entries, dice.randint(4, 12))
    blocks = [paragraphs[dice.randrange(len(paragraphs))][:50], "\n".join(menu)]
    only_menus = dice.random() < 0.1
    typeset = dice.random() < 0.4
    begin = dice.randrange(len(paragraphs))
    while sum(map(len, blocks)) < LENGTH * dice.uniform(0.75, 1.1):
        if only_menus:
            blocks.append("\n".join(dice.choices(entries, k=8)))
            continue
        begin = (begin + 1) % len(paragraphs)
        paragraph = paragraphs[begin]
        if typeset:
            paragraph = paragraph.replace("'", "\N{RIGHT SINGLE QUOTATION MARK}")
            paragraph = paragraph.replace("--", "\N{EM DASH}")
        kind = dice.random()
        if kind < 0.1:
            words = paragraph.split()
            items = [" ".join(words[at : at + 5]) for at in range(0, len(words), 5)]
            blocks.append("\n".join(f"- {item}" for item in items))
        elif kind < 0.2:
            blocks.append(paragraph[:40] + "\n" + "\n".join(dice.sample(entries, 3)))
        elif kind < 0.25:
            blocks.append(paragraph[:100] + "...\nRead more\n" + dice.choice(NOTICES))
        elif kind < 0.28:
            blocks.extend([paragraph, paragraph])
        else:
            blocks.append(paragraph)
    if dice.random() < 0.3:
        blocks.append("\n".join(menu))
    blocks.append("\n".join(FOOTER))
    between = dice.choice(["\n", "\n\n"])
    return between.join(blocks)


def pages(count: int) -> list[str]:
    """Pages, the same each time."""
    paragraphs = prose()
    return [page(random.Random(seed), paragraphs) for seed in range(count)]


def rate(do: Callable[[], object], texts: list[str], rounds: int) -> dict[str, float]:
    """Documents and megabytes a second of processor time, the median of some rounds."""
    spent = []
    for _ in range(rounds):
        began = time.process_time()
        do()
        spent.append(time.process_time() - began)
    seconds = statistics.median(spent)
    size = sum(len(text.encode()) for text in texts)
    return {
        "documents/s": round(len(texts) / seconds),
        "MB/s": round(size / seconds / 1e6, 2),
        "slowest round, documents/s": round(len(texts) / max(spent)),
    }


def ours(texts: list[str], rounds: int) -> tuple[dict, dict[str, list[bool]]]:
    """Rates by set, and of each page whether each set drops it."""
    from genwright.contents.text.corpus_quality import quality
    from genwright.contents.text.corpus_quality_c4 import c4
    from genwright.contents.text.corpus_quality_fineweb import fineweb
    from genwright.contents.text.corpus_quality_gopher import gopher
    from genwright.contents.text.corpus_quality_pieces import Pieces, batches
    from genwright.contents.text.corpus_quality_words import WordList

    def alone(family: Callable[[Pieces], object]) -> Callable[[], object]:
        def measure() -> None:
            for batch in batches(texts):
                family(Pieces.of(batch))

        return measure

    listed = WordList("list", tuple(f"word{at}" for at in range(400)))

    def words() -> None:
        for text in texts:
            listed.occurrences(text)

    quality(texts[:50])  # tables are made at the first call
    rates = {
        "all": rate(lambda: quality(texts), texts, rounds),
        "gopher": rate(alone(gopher), texts, rounds),
        "c4": rate(alone(c4), texts, rounds),
        "fineweb": rate(alone(fineweb), texts, rounds),
        "words, a list of 400": rate(words, texts, rounds),
    }
    return rates, drops(quality(texts))


def drops(found: dict) -> dict[str, list[bool]]:
    """Of each page whether each set drops it; Gopher's in two parts. found: attributes."""
    from genwright.core.corpus import rules_of

    parts: dict[str, list] = {}
    for name in ("gopher", "c4", "fineweb"):
        for rule in rules_of("text")[name].rules:
            part = name
            if name == "gopher":
                repeats = rule.attribute.startswith(("duplicate-", "top-"))
                part = "gopher repetition" if repeats else "gopher quality"
            parts.setdefault(part, []).append(rule.breaks(found[rule.attribute]))
    return {name: np.any(broken, axis=0).tolist() for name, broken in parts.items()}


def as_rival(path: str, rounds: int) -> None:
    """In datatrove's interpreter: prints its rate, and which pages each of its filters drops."""
    from datatrove.data import Document
    from datatrove.pipeline import filters

    made = [
        filters.GopherQualityFilter(),
        filters.GopherRepetitionFilter(),
        filters.C4QualityFilter(min_num_sentences=3, min_words_per_line=5),
        filters.FineWebQualityFilter(char_duplicates_ratio=0.1, new_line_ratio=float("inf")),
    ]
    texts = json.loads(Path(path).read_text(encoding="utf-8"))

    def ask() -> list[list[bool]]:
        found = []
        for at, text in enumerate(texts):
            answers = [each.filter(Document(text=text, id=str(at))) for each in made]
            found.append([answer is not True for answer in answers])
        return found

    made[0].filter(Document(text=texts[0], id=""))  # the tokenizer is loaded at the first call
    dropped = [list(column) for column in zip(*ask(), strict=True)]
    rates = {"all": rate(ask, texts, rounds)}
    print(json.dumps({"rates": rates, "dropped": dropped}))


def beside(texts: list[str], dropped: dict[str, list[bool]], python: str, few: int) -> dict:
    """datatrove's rate on the first pages, and how its answers differ from ours."""
    texts = texts[:few]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pages.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        command = [python, __file__, "--as-rival", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    found = json.loads(done.stdout.splitlines()[-1])
    answers = {}
    for name, theirs in zip(dropped, found["dropped"], strict=True):
        pairs = list(zip(dropped[name][: len(texts)], theirs, strict=True))
        answers[name] = {
            "both drop": pairs.count((True, True)),
            "ours alone": pairs.count((True, False)),
            "theirs alone": pairs.count((False, True)),
            "both keep": pairs.count((False, False)),
        }
    return {"rates": found["rates"], "pages": len(texts), "answers": answers}


def main() -> None:
    from common import finish

    parser = argparse.ArgumentParser()
    parser.add_argument("--pages", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rival", help="the interpreter of an environment with datatrove")
    parser.add_argument("--rival-pages", type=int, default=300)
    parser.add_argument("--out")
    a = parser.parse_args()
    texts = pages(a.pages)
    rates, dropped = ours(texts, a.rounds)
    figures: dict = {
        "pages": len(texts),
        "bytes a page": round(sum(len(text.encode()) for text in texts) / len(texts)),
        "words a page": round(sum(len(text.split()) for text in texts) / len(texts)),
        "ASCII pages": sum(text.isascii() for text in texts),
        "rates": rates,
        "dropped": {name: sum(each) for name, each in dropped.items()},
    }
    if a.rival:
        figures["datatrove"] = beside(texts, dropped, a.rival, a.rival_pages)
        theirs = figures["datatrove"]["rates"]["all"]["documents/s"]
        figures["times as fast"] = round(rates["all"]["documents/s"] / theirs, 1)
    sys.exit(finish("filters_speed", figures, a.out))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    if sys.argv[1:2] == ["--as-rival"]:
        as_rival(sys.argv[2], 3)
    else:
        main()
