"""Personal data that are numbers with a check: internet addresses, payment cards, bank accounts.

1. IPv4 (RFC 791, four numbers to 255) and IPv6 (RFC 4291): only global ones, as Python's
   `ipaddress` knows them; not those for documentation (RFC 5737, 3849), private ones (RFC 1918), or
   loopback. Four numbers that are all small, or of which the first two are, are a version or a
   section unless a word says that they are an address.
2. Payment cards (ISO/IEC 7812): an issuer's prefix and its lengths, then Luhn's check digit. 17 to
   19 digits without a sign between them, which seeds and keys of tables have too, need a word
   before them ("card", "Visa").
3. IBAN (ISO 13616): the length of its country (registry of SWIFT), then the remainder 1 of 97.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv6Address

from genwright.contents.text.corpus_personal_context import Hit, before, stands_alone

SMALL = 63  # four numbers up to this are rather a version than an address (one in 250 of these)

_IPV4 = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9])")
_RESOLVERS = ("8.8.8.8", "8.8.4.4", "9.9.9.9")
_VERSION = re.compile(
    r"(?:(?<![a-z])(?:version|ver|release|firmware|driver|build|upgrade|update|section|chapter|oid|objectidentifier|v)|[=<>~!]=|"
    r"(?<=[\s\"'])[<>]|\bto|\bsince|\bfrom version)[ \t\"':=.(]*$",
    re.IGNORECASE,
)
_ADDRESS = re.compile(
    r"(?<![^\W_])(?:ips?|ipv[46]|ip_?addr\w*|address(?:es)?|addr|hosts?|servers?|clients?|peers?|"
    r"remote|dns|nameservers?|gateway|ping|src|dst|login|listen|connect(?:ed)?|proxy)(?![^\W\d_])"
    r"|://$",
    re.IGNORECASE,
)
_SUFFIX = re.compile(
    r"\.in-addr|[-+]?[A-Za-z_]|[-+][0-9]|\.(?:[0-9]|tar|zip|whl|dll|so|exe|jar|deb|rpm)"
)
# drawings of SVG run numbers together: "-2.12 3.51.98.32 2.03.5" are seven
_DECIMAL_BEFORE = re.compile(r"(?<![0-9.])[0-9]*\.[0-9]+[ ,]\Z")
_DECIMAL_AFTER = re.compile(r"[ ,]-?[0-9]*\.[0-9]+(?:\.[0-9]+)?(?![0-9]|\.[0-9])")
_IPV6_MIDDLE = re.compile(r":[0-9A-Fa-f]{0,4}:")
_IPV6_SIGNS = frozenset("0123456789abcdefABCDEF:.")

_CARD = re.compile(
    r"[0-9]{4}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}(?:\1[0-9]{3})?"
    r"|[0-9]{4}([ -])[0-9]{6}\2[0-9]{4,5}"
    r"|[0-9]{12,19}"
)
_CARD_WORD = re.compile(
    r"(?:card|visa|maestro|mastercard|amex|discover|unionpay|karte|carte|tarjeta|pan)(?![a-z])"
    r"[^0-9]*\Z",
    re.IGNORECASE,
)
_SEED = re.compile(r"(?:seed|rng|random\w*)[\W_]*\Z", re.IGNORECASE)
_SHORT_BEFORE = re.compile(r"(?<![0-9])[0-9]{1,6}, \Z")
_SHORT_AFTER = re.compile(r", -?[0-9]{1,6}(?![0-9])")
# prefixes from and to, of the same number of digits; lengths
_ISSUERS: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("4", "4", (16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),
    ("6011", "6011", (16, 17, 18, 19)),  # Discover
    ("644", "659", (16, 17, 18, 19)),
    ("300", "305", (14, 16)),  # Diners Club
    ("3095", "3095", (14, 16)),
    ("36", "36", (14, 16)),
    ("38", "39", (14, 16)),
    ("3528", "3589", (16, 17, 18, 19)),  # JCB
    ("62", "62", (16, 17, 18, 19)),  # UnionPay
    ("2200", "2204", (16, 17, 18, 19)),  # Mir
    ("5018", "5018", (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro
    ("5020", "5020", (12, 13, 14, 15, 16, 17, 18, 19)),
    ("5038", "5038", (12, 13, 14, 15, 16, 17, 18, 19)),
    ("5893", "5893", (12, 13, 14, 15, 16, 17, 18, 19)),
    ("6304", "6304", (12, 13, 14, 15, 16, 17, 18, 19)),
    ("6759", "6763", (12, 13, 14, 15, 16, 17, 18, 19)),
)
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # digit -> sum of the digits of its double

# the check digits, which are rarer than letters
_IBAN = re.compile(r"[0-9]{2}(?=[ \u00a0-]?[A-Za-z0-9]{2})(?<=[A-Za-z]{2}[0-9]{2})")
_LISTED_LENGTHS = """
AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18
DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23
IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27
MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19
SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_IBAN_LENGTHS = {each[:2]: int(each[2:]) for each in _LISTED_LENGTHS.split()}


def addresses_v4(text: str) -> Iterator[Hit]:
    """Global IPv4 addresses."""
    for match in _IPV4.finditer(text):
        if _is_address_v4(text, match.start(), match.end()):
            yield Hit(match.start(), match.end(), "ip")


def _is_address_v4(text: str, start: int, stop: int) -> bool:
    try:
        address = IPv4Address(text[start:stop])
    except ValueError:  # a number over 255, or one that begins with 0
        return False
    if not address.is_global or address.is_multicast:
        return False
    if start and (text[start - 1].isalnum() or text[start - 1] in "._-+"):
        return False
    if _SUFFIX.match(text, stop):
        return False
    front = before(text, start)
    if _VERSION.search(front):
        return False
    if _DECIMAL_BEFORE.search(front) and _DECIMAL_AFTER.match(text, stop):
        return False
    first, second, *_ = address.packed
    is_like_version = max(address.packed) <= SMALL or (first <= 9 and second <= 19)
    is_known = text[start:stop] in _RESOLVERS
    return is_known or not is_like_version or _ADDRESS.search(front) is not None


def addresses_v6(text: str) -> Iterator[Hit]:
    """Global IPv6 addresses: of 2000::/3, where all of them are."""
    stop = 0
    for match in _IPV6_MIDDLE.finditer(text):
        if match.start() < stop:
            continue
        start = match.start()
        while start > 0 and start > match.start() - 40 and text[start - 1] in _IPV6_SIGNS:
            start -= 1
        stop = match.end()
        while stop < len(text) and stop < start + 50 and text[stop] in _IPV6_SIGNS:
            stop += 1
        while text[stop - 1] == "." or (text[stop - 1] == ":" and text[stop - 2] != ":"):
            stop -= 1  # of the sentence
        if _is_address_v6(text, start, stop):
            yield Hit(start, stop, "ip")


def _is_address_v6(text: str, start: int, stop: int) -> bool:
    written = text[start:stop]
    if start and (text[start - 1].isalnum() or text[start - 1] == "_"):
        return False
    if stop < len(text) and (text[stop].isalnum() or text[stop] == "_"):
        return False
    try:
        address = IPv6Address(written)
    except ValueError:
        return False
    if not 0x2001 <= address.packed[0] * 256 + address.packed[1] <= 0x3FFF:
        return False
    of_digits = written.replace(":", "").isdigit()  # x[2001::2] is a slice
    return address.is_global and not (of_digits and written.count(":") < 3)


def cards(text: str, runs: Sequence[tuple[int, int]]) -> Iterator[Hit]:
    """Numbers of payment cards. runs: as of `digit_runs`."""
    for at, end in runs:
        if end - at >= 12:
            yield from _cards_of_run(text, at, end)


def _cards_of_run(text: str, at: int, end: int) -> Iterator[Hit]:
    while match := _CARD.search(text, at, end):
        at = match.end()
        if _is_card(text, match.start(), match.end()):
            yield Hit(match.start(), match.end(), "card")
        elif match.group(1) or match.group(2):
            at = match.start() + 5  # past the first group: a card may begin at the next
        else:
            while at < end and text[at].isdigit():
                at += 1


def _is_card(text: str, start: int, stop: int) -> bool:
    number = text[start:stop]
    if not stands_alone(text, start, stop) or _goes_on(text, start, stop):
        return False
    digits = number.replace(" ", "").replace("-", "")
    if not issued(digits) or not luhn(digits) or len(set(digits)) == 1:
        return False
    if number != digits:
        return True
    front = before(text, start)
    if _CARD_WORD.search(front):
        return True
    return len(digits) <= 16 and not _SEED.search(front) and not _in_tuple(text, start, stop)


def _in_tuple(text: str, start: int, stop: int) -> bool:
    """Whether shorter numbers stand on both sides, as in (0, 6458161865649291, -53)."""
    return bool(_SHORT_BEFORE.search(text, max(0, start - 8), start)) and bool(
        _SHORT_AFTER.match(text, stop)
    )


def _goes_on(text: str, start: int, stop: int) -> bool:
    """Whether a number in groups is part of a longer row of groups of four digits."""
    is_grouped = not text[start:stop].isdigit()
    front = text[max(0, start - 5) : start]
    back = text[stop : stop + 5]
    if is_grouped and (front[:4].isdigit() and front[4:] in (" ", "-")):
        return True
    return is_grouped and back[:1] in (" ", "-") and len(back) == 5 and back[1:].isdigit()


def issued(digits: str) -> bool:
    """Whether an issuer gives out cards whose numbers begin so and are so long."""
    for first, last, lengths in _ISSUERS:
        if first <= digits[: len(first)] <= last and len(digits) in lengths:
            return True
    return False


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of ISO/IEC 7812-1, annex B: from the right every
    second digit is doubled, the digits of all are summed, and the sum ends in 0."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = ord(digit) - 48
        total += _DOUBLED[value] if place % 2 else value
    return total % 10 == 0


def ibans(text: str) -> Iterator[Hit]:
    """Numbers of bank accounts, together or in groups."""
    for match in _IBAN.finditer(text):
        start = match.start() - 2
        length = _IBAN_LENGTHS.get(text[start : start + 2].upper())
        if length is None or (start and (text[start - 1].isalnum() or text[start - 1] == "_")):
            continue
        signs, stop = _gathered(text, start, length)
        ends = stop >= len(text) or not (text[stop].isalnum() or text[stop] == "_")
        if ends and len(signs) == length and iban_checks(signs):
            yield Hit(start, stop, "iban")


def _gathered(text: str, start: int, length: int) -> tuple[str, int]:
    """The next so many letters and digits with at most one space or hyphen between two, and where
    they end."""
    signs: list[str] = []
    at = start
    while at < len(text) and len(signs) < length:
        sign = text[at]
        if sign.isascii() and sign.isalnum():
            signs.append(sign)
        elif sign not in " \u00a0-" or not text[at - 1].isalnum():
            break
        at += 1
    return "".join(signs), at


def iban_checks(signs: str) -> bool:
    """Whether the check digits hold (ISO 7064, MOD 97-10): the first four signs go to the end,
    letters count 10 to 35, and the whole number leaves 1 of 97."""
    moved = signs[4:] + signs[:4]
    number = "".join(str(int(sign, 36)) for sign in moved)
    return int(number) % 97 == 1
