"""Personal data in texts: found, counted by kind, and what stands in place of each.

1. E-mail addresses, telephone numbers, global IP addresses, payment cards, bank accounts, keys:
   each kind has a finder that looks for a cheap sign (an @, two colons, a row of digits) and then
   checks what is there by its standard. The modules corpus_personal_* say which.
2. Where two overlap, the kind that is checked more strictly stays.
3. The text with its edits made is searched again, until nothing is found: a number may stand free
   only once what was beside it is gone. So redacting twice finds nothing more.

E-mail: dot-atoms of letters, digits and . _ + - ' & % ~, or quoted words, before the @ (RFC 5322,
RFC 6531 for other scripts); after it a domain whose last label IANA lists. Not: accounts in
addresses (ssh://git@host), paths of git (git@host:path), names that are spelt out ("at", "dot").

Names of persons and postal addresses are not looked for: they have no form to check.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np

from genwright.contents.text.corpus_personal_context import Hit, digit_runs
from genwright.contents.text.corpus_personal_domains import LAST_LABELS, RESERVED_LABELS
from genwright.contents.text.corpus_personal_keys import keys
from genwright.contents.text.corpus_personal_numbers import (
    addresses_v4,
    addresses_v6,
    cards,
    ibans,
)
from genwright.contents.text.corpus_personal_phones import phones
from genwright.core.corpus import (
    Attributes,
    Column,
    Edit,
    Rule,
    RuleSet,
    add_attributes,
    add_rules,
    edited,
)
from genwright.core.errors import GenwrightError, did_you_mean

KINDS = {  # kind -> what it is, for a person; the first of two that overlap stays
    "key": "keys, tokens and passwords",
    "email": "e-mail addresses",
    "iban": "bank accounts (IBAN)",
    "card": "payment cards",
    "ip": "global IP addresses",
    "phone": "telephone numbers",
}
ROUNDS = 20  # of searching what is left, at most; two are the rule
_LOCAL_SIGNS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+-'&%~")
_LOCAL_LENGTH = 64  # RFC 5321, 4.5.3.1.1
_DOMAIN = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63})+")
_QUOTED = re.compile(r"\"[^\"\\\r\n<>@]{1,62}\"\Z")
_ACCOUNT = re.compile(r"://[^\s/?#@<>\"']*\Z")
_MESSAGE_ID = re.compile(r"(?:(?:-id|in-reply-to|references):| id) *<?\Z", re.IGNORECASE)


def emails(text: str) -> Iterator[Hit]:
    """E-mail addresses."""
    at = text.find("@")
    while at >= 0:
        start = _local_start(text, at)
        stop = _domain_stop(text, at + 1)
        if start < at and stop and _is_free(text, start, stop):
            yield Hit(start, stop, "email")
        at = text.find("@", at + 1)


def _local_start(text: str, at: int) -> int:
    """Where what stands before an @ begins; `at` where nothing does."""
    limit = max(0, at - _LOCAL_LENGTH)
    if at and text[at - 1] == '"':
        quoted = _QUOTED.search(text, limit, at)
        return quoted.start() if quoted else at
    start = at
    while start > limit and (
        text[start - 1] in _LOCAL_SIGNS or (text[start - 1] > "\x7f" and text[start - 1].isalnum())
    ):
        start -= 1
    while start < at and text[start] in ".'&%~-+":  # signs of the text around it
        start += 1
    local = text[start:at]
    return at if local.endswith(".") or ".." in local else start


def _domain_stop(text: str, start: int) -> int:
    """Where a domain ends that begins here, 0 where none does."""
    match = _DOMAIN.match(text, start)
    if match is None:
        return 0
    stop = match.end()
    labels = match.group().split(".")
    while len(labels) > 1:
        last = labels[-1]
        whole = re.split("[-_]", last)[0] if not last.lower().startswith("xn--") else last
        if _is_last_label(whole) and all(_is_label(label) for label in labels[:-1]):
            return stop - len(last) + len(whole)
        stop -= len(last) + 1
        labels.pop()
    return 0


def _is_last_label(label: str) -> bool:
    lower = label.lower()
    if not lower.isascii():
        return len(lower) > 1 and lower.isalpha()
    return lower in LAST_LABELS or lower in RESERVED_LABELS or lower.startswith("xn--")


def _is_label(label: str) -> bool:
    return not (label.startswith("-") or label.endswith("-") or "_" in label)


def _is_free(text: str, start: int, stop: int) -> bool:
    """Whether what has the form of an address is one: no account before a host in an address, no
    path of git, no call in a program, no name of a message."""
    front = text[max(0, start - 80) : start]
    if front.endswith(("@", "$")) or _ACCOUNT.search(front) or _MESSAGE_ID.search(front):
        return False
    after = text[stop : stop + 2]
    if after[:1] in ("(", "@"):
        return False
    return not (after[:1] == ":" and (after[1:].isalnum() or after[1:] in ("/", "~", ".")))


def found(text: str) -> list[Hit]:
    """The personal data of a text, in order and apart: with all of them replaced, nothing is found
    any more."""
    hits = _search(text)
    if not hits:
        return hits
    for _ in range(ROUNDS):
        more = _search(edited(text, replacements(hits)))
        if not more:
            break
        hits = _together(hits, more)
    return hits


def replacements(hits: Sequence[Hit]) -> list[Edit]:
    """What stands in place of each: its kind in angle brackets."""
    return [Edit(hit.start, hit.stop, f"<{hit.kind}>") for hit in hits]


def _search(text: str) -> list[Hit]:
    """What the finders find, in order and apart."""
    runs = digit_runs(text)
    found_of_kind = (
        keys(text),
        emails(text),
        ibans(text),
        cards(text, runs),
        addresses_v4(text),
        addresses_v6(text),
        phones(text, runs),
    )
    kept: list[Hit] = []
    starts: list[int] = []
    for hit in chain.from_iterable(found_of_kind):
        place = bisect_right(starts, hit.start)
        overlaps_left = place > 0 and kept[place - 1].stop > hit.start
        overlaps_right = place < len(kept) and kept[place].start < hit.stop
        if not overlaps_left and not overlaps_right:
            kept.insert(place, hit)
            starts.insert(place, hit.start)
    return kept


def _together(hits: Sequence[Hit], more: Sequence[Hit]) -> list[Hit]:
    """Hits of a text, and hits of that text with the first replaced, all as places of the text. One
    of the later that holds a replacement takes it in."""
    pieces = []  # of the replaced text: (start there, stop there, hit)
    moved = 0
    for hit in hits:
        length = len(hit.kind) + 2
        pieces.append((hit.start + moved, hit.start + moved + length, hit))
        moved += length - (hit.stop - hit.start)
    merged = []
    rest = 0
    shift = 0  # characters that the text is longer than the replaced text, up to here
    for new in more:
        while rest < len(pieces) and pieces[rest][1] <= new.start:
            start, stop, hit = pieces[rest]
            merged.append(hit)
            shift = hit.stop - stop
            rest += 1
        begin = new.start + shift
        end = new.stop + shift
        while rest < len(pieces) and pieces[rest][0] < new.stop:
            start, stop, hit = pieces[rest]
            begin = min(begin, hit.start)
            shift = hit.stop - stop
            end = max(hit.stop, new.stop + shift)
            rest += 1
        merged.append(Hit(begin, end, new.kind))
    merged += [hit for _, _, hit in pieces[rest:]]
    return merged


def measured(texts: Sequence[str]) -> dict[str, Any]:
    """How many of each kind every text has, and the edits that replace them."""
    counts = {kind: np.zeros(len(texts)) for kind in KINDS}
    edits = []
    for number, text in enumerate(texts):
        hits = found(text)
        for hit in hits:
            counts[hit.kind][number] += 1
        edits.append(replacements(hits))
    values: dict[str, Any] = {f"personal_{kind}": counts[kind] for kind in KINDS}
    return values | {"personal_edits": edits}


_COUNTS = tuple(Column(f"personal_{kind}", detail=detail) for kind, detail in KINDS.items())
ATTRIBUTES = Attributes(
    "personal",
    (
        *_COUNTS,
        Column(
            "personal_edits", "edits", detail="personal data, replaced by <email>, <phone>, ..."
        ),
    ),
    measured,
)
OPTIONS = ("redact", "drop")


def personal_data(option: str) -> RuleSet:
    """The set as asked for. redact: every document stays, its personal data replaced; drop:
    documents with any are dropped. Raises GenwrightError for another word."""
    if option not in OPTIONS:
        raise GenwrightError(
            f"personal-data has no option {option!r}", did_you_mean(option, OPTIONS)
        )
    rules = tuple(
        Rule(f"personal-data.{kind}", f"personal_{kind}", at_most=0, detail=f"no {detail}")
        for kind, detail in KINDS.items()
    )
    is_drop = option == "drop"
    return RuleSet(
        "personal-data",
        rules if is_drop else (),
        (ATTRIBUTES.name,),
        "RFC 5322, E.164, RFC 791, RFC 4291, ISO/IEC 7812, ISO 13616",
        () if is_drop else ("personal_edits",),
        OPTIONS,
        personal_data,
    )


add_attributes("text", ATTRIBUTES)
add_rules("text", personal_data("redact"))
