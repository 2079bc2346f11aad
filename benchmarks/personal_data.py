"""Personal data in texts: what is found of what was planted, what is found that is none, how fast.

    python benchmarks/personal_data.py planted [--documents 6000] [--seed 1] [--examples 20]
    python benchmarks/personal_data.py hits PATH... [-n 200] [--kinds phone] [--seed 1] [--skip 200]

planted: documents with one piece of personal data each, in the forms of the standards and of the
providers' documentation (benchmarks/personal_forms.py, which knows nothing of the patterns that
look for them), in prose, tables, JSON, programs, logs; and as many documents with what looks alike:
versions, hashes, dates, ISBNs, coordinates, order numbers, private addresses, sums. A piece is
found where a hit of its kind covers it and at most two characters more. Precision counts hits over
both sorts of documents. Both by kind, with Wilson's 95% intervals. MB/s in processor seconds, on
the planted documents and on the sources of Python's standard library.

hits: what is found in files that a person names, for reading by hand: each hit between >>> and <<<
on its line, a line that stands in many files once. A sample of -n, drawn evenly of the kinds;
--skip leaves out those of earlier readings.

Bars: recall .98, precision .95, 5 MB/s.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from common import finish
from genwright.contents.text.corpus_personal import KINDS, Hit, found
from personal_forms import BARE, FORMS, LABELLED, LABELS, MARKS, NEGATIVES, filled

SLACK = 2  # characters that a hit may hold beyond what was planted
STANDARD_LIBRARY = 8 << 20  # characters of it that are timed, at most
LARGEST = 2 << 20  # bytes of a file whose hits are listed
SUFFIXES = {".py", ".pyi", ".txt", ".md", ".rst", ".html", ".json", ".csv", ".c", ".h", ".cfg", ""}


class Planted(NamedTuple):
    """A document. form: of what it holds; kind: "" where that is no personal data; start, stop: of
    what was planted."""

    text: str
    form: str
    kind: str = ""
    start: int = 0
    stop: int = 0


def planted(documents: int, seed: int) -> list[Planted]:
    """So many documents with personal data, of every kind and form in turn, and as many without."""
    dice = random.Random(seed)
    kinds = list(FORMS)
    made = []
    for number in range(documents):
        forms = FORMS[kinds[number % len(kinds)]]
        made.append(with_one(forms[number // len(kinds) % len(forms)], dice))
    for number in range(documents):
        form = NEGATIVES[number % len(NEGATIVES)]
        made.append(Planted(form.make(dice), form.name))
    return made


def with_one(form, dice: random.Random) -> Planted:
    """A document with one piece of this form."""
    written = form.make(dice)
    carriers = LABELLED if form.needs_label or dice.random() < 0.4 else BARE
    carrier = dice.choice(carriers).replace("LABEL", dice.choice(LABELS[form.kind]))
    front, back = (filled(part, dice) for part in carrier.split("VALUE"))
    start = 0
    stop = len(written)
    if MARKS[0] in written:
        start = written.index(MARKS[0])
        stop = written.index(MARKS[1]) - 1
        written = written.replace(MARKS[0], "").replace(MARKS[1], "")
    at = len(front)
    return Planted(front + written + back, form.name, form.kind, at + start, at + stop)


def is_found(document: Planted, hit: Hit) -> bool:
    """Whether a hit is what was planted."""
    covers = hit.start <= document.start and document.stop <= hit.stop
    extra = document.start - hit.start + hit.stop - document.stop
    return hit.kind == document.kind and covers and extra <= SLACK


def interval(right: int, of: int) -> list[float]:
    """Wilson's 95% interval of a share."""
    if of == 0:
        return [0.0, 1.0]
    z = 1.96
    share = right / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / (1 + z * z / of)
    return [round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4)]


def share(right: int, of: int) -> dict[str, object]:
    return {
        "share": round(right / of, 4) if of else None,
        "interval": interval(right, of),
        "right": right,
        "of": of,
    }


def score(documents: Sequence[Planted], examples: int) -> dict[str, object]:
    """Recall and precision by kind and of all; errors are shown on stderr."""
    there: Counter[str] = Counter()
    right: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    missed_forms: Counter[str] = Counter()
    wrong_forms: Counter[str] = Counter()
    for document in documents:
        hits = found(document.text)
        good = [hit for hit in hits if is_found(document, hit)]
        if document.kind:
            there[document.kind] += 1
            right[document.kind] += bool(good)
            if not good:
                missed_forms[document.form] += 1
                if sum(missed_forms.values()) <= examples:
                    print(f"missed {document.form}: {document.text!r} {hits}", file=sys.stderr)
        for hit in hits:
            if hit not in good:
                wrong[hit.kind] += 1
                wrong_forms[document.form] += 1
                if sum(wrong_forms.values()) <= examples:
                    part = document.text[hit.start : hit.stop]
                    print(f"wrong {document.form}: {part!r} {document.text!r}", file=sys.stderr)
    names = [kind for kind in KINDS if there[kind]]
    return {
        "recall": share(sum(right.values()), sum(there.values())),
        "precision": share(sum(right.values()), sum(right.values()) + sum(wrong.values())),
        "recall_by_kind": {kind: share(right[kind], there[kind]) for kind in names},
        "precision_by_kind": {
            kind: share(right[kind], right[kind] + wrong[kind]) for kind in names
        },
        "missed_by_form": dict(missed_forms.most_common()),
        "wrong_by_form": dict(wrong_forms.most_common()),
    }


def speed(texts: Sequence[str]) -> float:
    """MB (10^6 bytes of UTF-8) that are searched in a second of the processor."""
    size = sum(len(text.encode("utf-8", "replace")) for text in texts)
    start = time.process_time()
    for text in texts:
        found(text)
    return round(size / max(time.process_time() - start, 1e-9) / 1e6, 2)


def standard_library(limit: int) -> list[str]:
    """Sources of Python's standard library, in order of their names, up to so many characters."""
    texts = []
    size = 0
    for path in sorted(Path(os.__file__).parent.glob("*.py")):
        texts.append(path.read_text(encoding="utf-8", errors="replace"))
        size += len(texts[-1])
        if size >= limit:
            break
    return texts


def run_planted(args: argparse.Namespace) -> int:
    documents = planted(args.documents, args.seed)
    figures = score(documents, args.examples)
    figures["documents"] = len(documents)
    figures["forms"] = sum(map(len, FORMS.values())) + len(NEGATIVES)
    figures["mb_per_second_planted"] = speed([document.text for document in documents])
    figures["mb_per_second_sources"] = speed(standard_library(args.characters))
    return finish("personal_data", figures, args.json)


def files_of(paths: Sequence[str]) -> Iterator[Path]:
    """The files of text that paths name, in order."""
    for path in map(Path, paths):
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in inside:
            if file.suffix in SUFFIXES and file.is_file() and file.stat().st_size <= LARGEST:
                yield file


def run_hits(args: argparse.Namespace) -> int:
    """Lists hits as PLACE KIND: the line, the hit between >>> and <<<; the same words once."""
    listed: dict[str, list[str]] = {kind: [] for kind in args.kinds}
    seen: set[tuple[str, str, str]] = set()
    all_hits = Counter[str]()
    files = 0
    size = 0
    start = time.process_time()
    for path in files_of(args.paths):
        text = path.read_text(encoding="utf-8", errors="replace")
        files += 1
        size += len(text)
        for hit in found(text):
            if hit.kind in listed:
                front = text[max(0, hit.start - 50) : hit.start].rpartition("\n")[2]
                middle = text[hit.start : hit.stop].replace("\n", "\\n")[:90]
                back = text[hit.stop : hit.stop + 30].partition("\n")[0]
                all_hits[hit.kind] += 1
                if (front, middle, back) in seen:
                    continue
                seen.add((front, middle, back))
                line = text.count("\n", 0, hit.start) + 1
                place = f"{path}:{line} {hit.kind}"
                listed[hit.kind].append(f"{place}: {front}>>>{middle}<<<{back}")
    seconds = time.process_time() - start
    dice = random.Random(args.seed)
    shown = []
    for lines in listed.values():
        dice.shuffle(lines)
    for place in range(max(map(len, listed.values()), default=0)):
        shown += [lines[place] for lines in listed.values() if place < len(lines)]
    for line in sorted(shown[args.skip : args.skip + args.n]):
        print(line)
    figures = {
        "files": files,
        "characters": size,
        "hits": dict(all_hits),
        "of different words": {kind: len(lines) for kind, lines in listed.items()},
        "mb_per_second": round(size / max(seconds, 1e-9) / 1e6, 2),
    }
    return finish("personal_data, hits", figures, args.json)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    modes = parser.add_subparsers(dest="mode", required=True)
    one = modes.add_parser("planted")
    one.add_argument("--documents", type=int, default=6000)
    one.add_argument("--examples", type=int, default=0, help="errors that are shown")
    one.add_argument("--characters", type=int, default=STANDARD_LIBRARY)
    other = modes.add_parser("hits")
    other.add_argument("paths", nargs="+")
    other.add_argument("-n", type=int, default=200)
    other.add_argument("--skip", type=int, default=0)
    other.add_argument("--kinds", nargs="*", default=list(KINDS), choices=list(KINDS))
    for each in (one, other):
        each.add_argument("--seed", type=int, default=1)
        each.add_argument("--json")
    args = parser.parse_args()
    return run_planted(args) if args.mode == "planted" else run_hits(args)


if __name__ == "__main__":
    sys.exit(main())
