"""What the finders of personal data share: what a hit is, and what stands around it.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from typing import NamedTuple

SPACES = " \u00a0\u2009\u202f"  # of any width
DASHES = "\\-\u2010\u2011\u2013"  # as they stand in a class of a pattern
# a row of digits and what stands between those of telephone numbers and cards, at least seven signs
_RUN = re.compile(rf"[+(]{{0,3}}[0-9][0-9()./{SPACES}{DASHES}]{{5,}}[0-9]")
_DIGIT = re.compile(r"[0-9]")
LOOK_BACK = 32  # characters before a number in which a word says what it is

# words before a number, and what they say of it
_PHONE = (
    r"tel|phone|phones|telephone|telefon|t[ée]l[ée]phone|t[ée]l|fon|fax|telefax|mobile?|mob|"
    r"cellphone|handy|whatsapp|hotline|durchwahl|rufnummer|landline|voicemail"
)
# words with other meanings, which must stand right before: "call me at", not "CALL: Final ="
_CALL = re.compile(
    r"(?<![^\W])(?<!\.)(?:cell|calls?|ring|dial|ruf|anrufen|appele[rz]|portable|"
    r"fixe|contact)(?: (?:me|us|him|her|them|at|on|now|back|to|unter|au|number|is)){0,3}"
    r"(?:</?[a-z]+>|[^\w\n]){0,6}\Z",
    re.IGNORECASE,
)
_OTHER = (
    r"order|orders|invoice|isbn|issn|ean|upc|doi|id|ids|ref|reference|version|serial|sku|part|"
    r"item|account|acct|ticket|tracking|customer|article|case|issue|patent|imei|vat|tax|"
    r"bestellnummer|bestellung|rechnung|commande|facture|kundennummer|artikel|uuid|sha|hash|"
    r"code|zip|seed|rng|merge|commit|revision|offset|timestamp|parcel|batch|lot|model|arxiv|pmid|oclc|barcode"
)
_WORDS = re.compile(rf"(?<![^\W_])(?:({_PHONE})|({_OTHER}))(?![^\W\d_])", re.IGNORECASE)


class Hit(NamedTuple):
    """Personal data: characters start to before stop of a text. kind: email, phone, ..."""

    start: int
    stop: int
    kind: str


def digit_runs(text: str) -> list[tuple[int, int]]:
    """Where telephone numbers and cards may be: (start, stop) of rows with seven digits or more."""
    runs = []
    for run in _RUN.finditer(text):
        if sum(1 for _ in _DIGIT.finditer(text, run.start(), run.end())) >= 7:
            runs.append(run.span())
    return runs


def before(text: str, start: int, characters: int = LOOK_BACK) -> str:
    """What stands before a place, on its line."""
    beginning = max(0, start - characters)
    newline = text.rfind("\n", beginning, start)
    return text[max(beginning, newline + 1) : start]


def says_phone(text: str, start: int) -> bool | None:
    """What the nearest word before a number says: that it is a telephone number (True), that it is
    something else (False), or nothing (None)."""
    front = before(text, start)
    if _CALL.search(front):
        return True
    said = None
    for word in _WORDS.finditer(front):
        said = word.group(1) is not None
    return said


def stands_alone(text: str, start: int, stop: int) -> bool:
    """Whether a number is no part of something longer: of a word, a decimal fraction, a version, a
    UUID, a sum."""
    return _free_before(text, start) and _free_after(text, stop)


def _free_before(text: str, start: int) -> bool:
    if start == 0:
        return True
    last = text[start - 1]
    if last.isalnum() or last in "_$€£#%^*~\\":
        return False
    if last in ".-+/:" and start > 1:
        previous = text[start - 2]
        if last in ":/" and previous.isalpha():
            return True
        return not (previous.isalnum() or previous in "_)]")
    return not (last == "," and text[max(0, start - 3) : start - 1].strip(" (") == "0")


def _free_after(text: str, stop: int) -> bool:
    if stop >= len(text):
        return True
    first = text[stop]
    if first.isalnum() or first in "_$€£%°^*":
        return False
    if stop + 1 == len(text):
        return True
    second = text[stop + 1]
    if first in ".:/":
        return not second.isdigit()
    return not (first in "-+" and (second.isalnum() or second == "_"))
