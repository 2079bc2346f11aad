"""The quality rules of texts in plain, slow Python, one document at a time: what the vectorised
ones must equal. Written from the papers' definitions, of strings and sets, without arrays or
hashes."""

import re
from collections import Counter

NAN = float("nan")
BULLETS = "-*–—•·‣⁃◦●○▪▫■□►▸▶"
STOP_WORDS = {"the", "be", "to", "of", "and", "that", "have", "with"}


def lines_of(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def paragraphs_of(text: str) -> list[tuple[str, ...]]:
    found = [[]]
    for line in text.splitlines():
        if line.strip():
            found[-1].append(line.strip())
        elif found[-1]:
            found.append([])
    return [tuple(lines) for lines in found if lines]


def share(part: float, whole: float) -> float:
    return part / whole if whole else NAN


def duplicates(pieces: list) -> list:
    """Those that stood before."""
    return [piece for at, piece in enumerate(pieces) if piece in pieces[:at]]


def covered(words: list[str], n: int, places: list[int]) -> int:
    """Characters of the words in the n-grams that begin at some places."""
    inside = {place + i for place in places for i in range(n)}
    return sum(len(words[at]) for at in inside)


def places_of(words: list[str], n: int) -> dict[tuple[str, ...], list[int]]:
    found = {}
    for at in range(len(words) - n + 1):
        found.setdefault(tuple(words[at : at + n]), []).append(at)
    return found


def top(words: list[str], n: int) -> int:
    found = places_of(words, n)
    times = Counter({gram: len(places) for gram, places in found.items()})
    most = max(times.values(), default=0)
    if most < 2:
        return 0
    return max(covered(words, n, found[gram]) for gram in found if times[gram] == most)


def repeated(words: list[str], n: int) -> int:
    later = [place for places in places_of(words, n).values() for place in places[1:]]
    return covered(words, n, later)


def gopher(text: str) -> dict[str, float]:
    words = text.split()
    lines = lines_of(text)
    paragraphs = paragraphs_of(text)
    letters = sum(map(len, words))
    in_lines = sum(map(len, lines))
    lowered = {word.lower() for word in words if word.isascii()}
    found = {
        "words": len(words),
        "mean-word-length": share(letters, len(words)),
        "hashes-to-words": share(text.count("#"), len(words)),
        "ellipses-to-words": share(text.count("...") + text.count("…"), len(words)),
        "bullet-lines": share(sum(line[0] in BULLETS for line in lines), len(lines)),
        "ellipsis-lines": share(sum(line.endswith(("...", "…")) for line in lines), len(lines)),
        "words-with-letter": share(sum(any(map(str.isalpha, w)) for w in words), len(words)),
        "stop-words": len(STOP_WORDS & lowered),
        "duplicate-lines": share(len(duplicates(lines)), len(lines)),
        "duplicate-line-characters": share(sum(map(len, duplicates(lines))), in_lines),
        "duplicate-paragraphs": share(len(duplicates(paragraphs)), len(paragraphs)),
        "duplicate-paragraph-characters": share(
            sum(len(line) for lines in duplicates(paragraphs) for line in lines), in_lines
        ),
    }
    for n in (2, 3, 4):
        found[f"top-{n}-gram"] = share(top(words, n), letters)
    for n in range(5, 11):
        found[f"duplicate-{n}-grams"] = share(repeated(words, n), letters)
    return found


CITATION = re.compile(r"\[\d*\]|\[edit\]|\[citation needed\]")
NOTICES = {
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
}
STOPS = ".?!。？！"
QUOTES = "\"'”’"
CLOSING = QUOTES + ")]}»」"


def ends_a_sentence(word: str) -> bool:
    return any(
        word[-1 - closed :][:1] in STOPS
        and all(mark in CLOSING for mark in word[len(word) - closed :])
        for closed in range(3)
        if closed < len(word)
    )


def c4_line(line: str) -> tuple[bool, int]:
    """Whether a line stays, and how many sentences it has then."""
    words = CITATION.sub("", line).split()
    if len(words) < 5 or words[-1][-1] not in STOPS + QUOTES:
        return False, 0
    lowered = line.replace("İ", "?").lower()
    if any(notice in lowered for notice in NOTICES):
        return False, 0
    return True, sum(map(ends_a_sentence, words[:-1])) + 1


def c4(text: str) -> dict:
    """What is left of a text, and the attributes."""
    left = []
    found = {"c4-sentences": 0, "c4-curly-brackets": 0, "c4-lorem-ipsum": 0}
    for line in text.splitlines(keepends=True):
        stays, sentences = c4_line(line)
        if stays:
            left.append(CITATION.sub("", line))
            found["c4-sentences"] += sentences
            found["c4-curly-brackets"] += line.count("{")
            found["c4-lorem-ipsum"] += line.replace("İ", "?").lower().count("lorem ipsum")
    return {"left": "".join(left), **found}


def fineweb(text: str) -> dict[str, float]:
    lines = lines_of(text)
    return {
        "ended-lines": share(sum(line[-1] in STOPS + QUOTES for line in lines), len(lines)),
        "short-lines": share(sum(len(line) < 30 for line in lines), len(lines)),
    }
