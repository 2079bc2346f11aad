"""Telephone numbers, as E.164 and the national plans of four countries have them.

1. Cheap: a row of at least seven digits with the signs that stand between them.
2. In such a row, what has the form of a number: international (+ or 00 or 011, a country code, up
   to 15 digits), of North America (three, three and four digits), or with the 0 of a trunk call
   (United Kingdom, Germany, France).
3. A check by the plan: country codes that are given out and the digits that follow them; area codes
   and groups as each country writes them.
4. What has no mark of a telephone number, digits without anything between them, needs a word before
   it ("tel", "call"); a word that says otherwise ("order", "ISBN") ends the matter.

Left out: national numbers of other countries, local numbers without area code, short codes.
Sources: E.164 (11/2010) with its list of country codes, RFC 3966, NANP (area and exchange codes
begin with 2 to 9, none is N11), Ofcom's national numbering plan, DIN 5008, ARCEP's plan.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from genwright.contents.text.corpus_personal_context import (
    DASHES,
    SPACES,
    Hit,
    says_phone,
    stands_alone,
)

_SPACE = rf"[{SPACES}]"
_BETWEEN = rf"(?:{_SPACE}?[/{DASHES}]{_SPACE}?|[.{SPACES}])"
_EXTENSION = re.compile(r"(?: ?x| ?#|,? ?ext(?:ension)?[.:]?) ?[0-9]{1,5}(?![0-9])", re.IGNORECASE)

_CODE = r"[1-9][0-9]{0,2}"
_INTERNATIONAL = (
    rf"(?P<international>(?:\((?:\+|00){_CODE}\)|\+{_SPACE}?\({_CODE}\)|"
    rf"(?:\+{_SPACE}?|00{_SPACE}?|011[ .\-])[1-9][0-9]*)"
    rf"(?:{_SPACE}?\(0\)|(?:{_BETWEEN}|{_SPACE}?)(?:[0-9]+|\([0-9]+\))){{0,8}})"
)
_AMERICAN = (
    rf"(?P<american>(?:1[ .\-])?(?:\([2-9][0-9]{{2}}\){_SPACE}?-?|[2-9][0-9]{{2}}{_BETWEEN}?)"
    rf"[2-9][0-9]{{2}}{_BETWEEN}?[0-9]{{4}}(?![0-9])|1[2-9][0-9]{{2}}[2-9][0-9]{{6}}(?![0-9]))"
)
_TRUNK = rf"(?P<trunk>(?:\(0[1-9][0-9]*\)|0[1-9][0-9]*)(?:{_BETWEEN}?[0-9]+){{0,5}})"
_NUMBER = re.compile(rf"{_INTERNATIONAL}|{_AMERICAN}|{_TRUNK}")
_BYTE_BEFORE = re.compile(r"(?<![^\s])(?:[0-9][0-9a-fA-F]|[a-fA-F][0-9]) \Z")
_BYTE_AFTER = re.compile(r" (?:[0-9][0-9a-fA-F]|[a-fA-F][0-9])(?![^\s])")
_DATE = re.compile(r"(?:[0-9][-./][0-9]{1,2}[-./](?:[0-9]{2}|[0-9]{4})|[0-9]:[0-9]{2}),? \Z")
_FIRST_DIGITS = re.compile(r"[^0-9]*[0-9]+")
_DIGITS = re.compile(r"[0-9]+")

# country code -> digits that may follow it, at least and at most; others: as E.164 allows
_AFTER = {
    "1": (10, 10),
    "7": (10, 10),
    "20": (8, 10),
    "27": (9, 9),
    "30": (10, 10),
    "31": (9, 9),
    "32": (8, 9),
    "33": (9, 9),
    "34": (9, 9),
    "36": (8, 9),
    "39": (6, 12),
    "41": (9, 9),
    "43": (5, 13),
    "44": (9, 10),
    "45": (8, 8),
    "46": (7, 10),
    "47": (8, 8),
    "48": (9, 9),
    "49": (5, 13),
    "52": (10, 11),
    "55": (10, 11),
    "61": (9, 9),
    "65": (8, 8),
    "81": (9, 10),
    "86": (9, 11),
    "90": (10, 10),
    "91": (10, 10),
    "351": (9, 9),
    "353": (7, 9),
    "358": (6, 11),
    "380": (9, 9),
    "420": (9, 9),
    "852": (8, 8),
    "972": (8, 9),
}
_BEGINS_WITH_ZERO = ("39", "378", "225", "241", "242")  # Italy and others
_WITH_TRUNK_ZERO = ("33", "44", "49")
_LISTED_CODES = """
1 7 20 27 30 31 32 33 34 36 39 40 41 43 44 45 46 47 48 49 51 52 53 54 55 56 57 58 60 61 62 63 64 65
66 81 82 84 86 90 91 92 93 94 95 98 211 212 213 216 218 220 221 222 223 224 225 226 227 228 229 230
231 232 233 234 235 236 237 238 239 240 241 242 243 244 245 246 247 248 249 250 251 252 253 254 255
256 257 258 260 261 262 263 264 265 266 267 268 269 290 291 297 298 299 350 351 352 353 354 355 356
357 358 359 370 371 372 373 374 375 376 377 378 380 381 382 383 385 386 387 389 420 421 423 500 501
502 503 504 505 506 507 508 509 590 591 592 593 594 595 596 597 598 599 670 672 673 674 675 676 677
678 679 680 681 682 683 685 686 687 688 689 690 691 692 800 808 850 852 853 855 856 870 878 880 881
882 883 886 888 960 961 962 963 964 965 966 967 968 970 971 972 973 974 975 976 977 979 992 993 994
995 996 998
"""
_CODES = frozenset(_LISTED_CODES.split())
_BRITISH_GROUPS = {  # how long the groups are, by how the number begins
    "02": ((3, 4, 4), (3, 8), (11,), (5, 6), (5, 3, 3)),
    "01": ((4, 3, 4), (4, 7), (5, 6), (5, 5), (5, 3, 3), (11,), (6, 5), (6, 4)),
    "03": ((4, 3, 4), (4, 7), (4, 3, 2, 2), (11,)),
    "05": ((4, 3, 4), (5, 6), (11,)),
    "07": ((5, 6), (5, 3, 3), (11,), (4, 3, 4), (4, 7), (3, 4, 4), (5, 2, 2, 2)),
    "08": ((4, 3, 4), (4, 7), (4, 3, 3), (4, 6), (4, 4), (11,)),
    "09": ((4, 3, 4), (4, 7), (11,)),
}


def phones(text: str, runs: Sequence[tuple[int, int]]) -> Iterator[Hit]:
    """Telephone numbers, with the extension where one follows. runs: as of `digit_runs`."""
    for start, stop in runs:
        yield from _phones_of_run(text, start, stop)


def _phones_of_run(text: str, at: int, end: int) -> Iterator[Hit]:
    while match := _NUMBER.search(text, at, end):
        start = match.start()
        if match.group("international"):
            stop = _international(text, start, match.end())
        elif match.group("american"):
            stop = _american(text, start, match.end())
        else:
            stop = _trunk(text, start, match.end())
        if stop:
            extension = _EXTENSION.match(text, stop)
            if extension:
                stop = extension.end()
        if stop and stands_alone(text, start, stop):
            yield Hit(start, stop, "phone")
            at = stop
        else:
            first = _FIRST_DIGITS.match(text, start)
            at = first.end() if first else match.end()


def _groups(text: str, start: int, stop: int) -> list[tuple[str, int]]:
    """The groups of digits, each with where it ends."""
    return [(group.group(), group.end()) for group in _DIGITS.finditer(text, start, stop)]


def _international(text: str, start: int, stop: int) -> int:
    """Where an international number ends, 0 where it is none: the last group of digits until which
    it has as many as its country allows."""
    written = text[start:stop]
    groups = _groups(text, start, stop)
    prefix = _prefix_length(written)
    has_plus = prefix == 0
    digits = ""
    best = 0
    first = 3 if has_plus else _first_length(groups, prefix)
    for group, end in groups:
        is_trunk_zero = group == "0" and text[end : end + 1] == ")"
        if not is_trunk_zero:
            digits += group
        if _fits_e164(digits[prefix:], first):
            best = end
    if not best or _goes_on(text, best, stop) or len(set(digits)) < 3:
        return 0
    if len(groups) == 2 and len(groups[0][0]) > 3 and "." in written:  # a fraction
        return 0
    said = says_phone(text, start)
    if not has_plus:  # 00 and 011 begin other numbers too
        is_grouped = len(groups) > 1
        if said is False or not (said or is_grouped) or _in_dump(text, start, best):
            return 0
    return best


def _prefix_length(written: str) -> int:
    """How many digits come before the country code: those of 00 and 011; none after +."""
    if "+" in written[:2]:
        return 0
    return 3 if written.startswith(("011", "(011")) else 2


def _first_length(groups: list[tuple[str, int]], prefix: int) -> int:
    """How many digits the first group has behind 00 or 011, which may be a group of their own."""
    length = len(groups[0][0]) - prefix
    if length <= 0 and len(groups) > 1:
        return len(groups[1][0])
    return length


def _fits_e164(digits: str, first: int) -> bool:
    """Whether digits are a country code that is given out and as many as may follow it. first: how
    many of them, at most, the code may have."""
    for length in range(1, min(first, 3) + 1):
        code = digits[:length]
        if code in _CODES:
            at_least, at_most = _AFTER.get(code, (8 - length, 15 - length))
            after = digits[length:]
            if code in _WITH_TRUNK_ZERO:
                after = after.removeprefix("0")  # +44 020 ..., against E.123, but often
            if after.startswith("0") and code not in _BEGINS_WITH_ZERO:
                return False
            if code == "1" and not _is_american(after):
                return False
            return at_least <= len(after) <= at_most
    return False


def _goes_on(text: str, end: int, stop: int) -> bool:
    """Whether digits follow that are no part of the number, as in a row of numbers."""
    return end < stop and sum(sign.isdigit() for sign in text[end : end + 4]) > 0


def _is_american(digits: str) -> bool:
    """Whether ten digits are a number of the North American plan."""
    if len(digits) != 10 or digits[0] in "01" or digits[3] in "01":
        return False
    return digits[1:3] != "11" and digits[4:6] != "11" and digits[1] != "9"


def _american(text: str, start: int, stop: int) -> int:
    """Where a North American number ends, 0 where it is none."""
    groups = _groups(text, start, stop)
    digits = "".join(group for group, _ in groups)
    said = says_phone(text, start)
    if said is False or not _is_american(digits[-10:]) or len(set(digits)) < 3:
        return 0
    if len(groups) == 1 and text[start - 1 : start] == "-":  # a number below 0
        return 0
    written = text[start:stop]
    if not _are_american_signs(written):
        return 0
    if said:
        return stop
    if len(groups) < 3:  # nothing between the digits, or only once
        return stop if "(" in written else 0
    has_mark = any(sign not in SPACES and not sign.isdigit() for sign in written)
    return stop if has_mark or not _among_numbers(text, start, stop) else 0


def _are_american_signs(written: str) -> bool:
    """Whether the signs between groups go together: points with points alone (206.766 9880 is a
    fraction), and no space after a hyphen (259-264 1970 are pages and a year)."""
    signs = "".join(sign for sign in written if not sign.isdigit())
    if "." in signs and set(signs) - set(".()" + SPACES):
        return False
    if "." in signs and "(" not in signs and len(set(signs)) > 1:
        return False
    return not (signs[-1:] in SPACES and "-" in signs[-2:] and "(" not in signs) or not signs


def _among_numbers(text: str, start: int, stop: int) -> bool:
    """Whether a number stands next to it, as in a table; a date or a time before it is none."""
    front = text[max(0, start - 12) : start]
    back = text[stop : stop + 3]
    is_after = front[-3:].rstrip(" ,")[-1:].isdigit() and not _DATE.search(front)
    return is_after or back.lstrip(" ,")[:1].isdigit()


def _trunk(text: str, start: int, stop: int) -> int:
    """Where a number that begins with 0 ends, 0 where it is none."""
    said = says_phone(text, start)
    if said is False:
        return 0
    groups = _groups(text, start, stop)
    digits = "".join(group for group, _ in groups)
    if len(set(digits)) < 3:
        return 0
    lengths = tuple(len(group) for group, _ in groups)
    written = text[start:stop]
    is_one = len(lengths) == 1
    if is_one:
        is_name = text[start - 1 : start] == "`" or "012345678" in digits  # of a commit; a count
        return stop if _unparted(digits, bool(said)) and (said or not is_name) else 0
    if lengths == (2, 2, 2, 2, 2):
        return (
            stop if said or _french(text, start, stop, [int(group) for group, _ in groups]) else 0
        )
    if "." in written and not said:
        return 0
    if lengths == (5, 4) and "-" in written and not said:  # a ZIP code of the United States
        return 0
    fits = _british(digits, lengths) or _german(digits, lengths)
    if not fits:
        return 0
    has_mark = any(sign in "(/-" for sign in written)
    return stop if said or has_mark or not _among_numbers(text, start, stop) else 0


def _unparted(digits: str, is_said: bool) -> bool:
    """Whether digits with nothing between them are a number that begins with 0."""
    if is_said:
        return 9 <= len(digits) <= 13
    if len(set(digits)) < 4:  # as of numbers to the base 8
        return False
    if len(digits) == 10 and digits[:2] in ("06", "07"):  # French, mobile
        return not _is_isbn(digits)
    if len(digits) == 11 and digits[1] in "1237":  # British, any; German, mobile
        return True
    return len(digits) == 12 and digits[:3] in ("015", "016", "017")


def _is_isbn(digits: str) -> bool:
    """Whether ten digits are an ISBN of old: weights 10 to 1, remainder 0 of 11."""
    total = sum((10 - place) * int(digit) for place, digit in enumerate(digits))
    return total % 11 == 0


def _french(text: str, start: int, stop: int, pairs: list[int]) -> bool:
    """Whether five pairs with the same sign between them are a number, and neither part of a longer
    row (a dump of bytes) nor a count."""
    signs = {sign for sign in text[start:stop] if not sign.isdigit()}
    if len(signs) != 1:
        return False
    steps = {second - first for first, second in zip(pairs, pairs[1:], strict=False)}
    sign = next(iter(signs))
    front = text[max(0, start - 4) : start]
    back = text[stop : stop + 3]
    is_free = front[:-3] in ("", sign, " ", "\n", "\t", "(", "[", "{")
    is_longer_before = front[-1:] == sign and _is_pair(front[-3:-1]) and is_free
    is_longer_after = back[:1] == sign and _is_pair(back[1:])
    return steps != {1} and not is_longer_before and not is_longer_after


def _is_pair(written: str) -> bool:
    """Whether this is a byte in hexadecimal."""
    return len(written) == 2 and all(sign in "0123456789abcdefABCDEF" for sign in written)


def _british(digits: str, lengths: tuple[int, ...]) -> bool:
    """Whether groups are as a British number of this beginning has them."""
    if digits[:2] == "01" and lengths[0] == 4 and "1" not in digits[2:4]:
        return False  # of four digits are only 011x and 01x1
    return lengths in _BRITISH_GROUPS.get(digits[:2], ())


def _in_dump(text: str, start: int, stop: int) -> bool:
    """Whether a byte in hexadecimal stands right before or after."""
    return bool(_BYTE_BEFORE.search(text, max(0, start - 4), start)) or bool(
        _BYTE_AFTER.match(text, stop)
    )


def _german(digits: str, lengths: tuple[int, ...]) -> bool:
    """Whether groups are an area code and a number as Germany writes them: the number together, in
    pairs or threes, perhaps an extension at the end."""
    area = lengths[0]
    if not 3 <= area <= 6 or not 9 <= len(digits) <= 14:
        return False
    if digits[1] == "1" and digits[2] not in "35678":  # 01: mobile and services
        return False
    rest = lengths[1:]
    if len(rest) == 1:
        return 4 <= rest[0] <= 9
    if rest == (4, 4):
        return area == 3 or digits[1] == "1"
    if all(1 < length <= 3 for length in rest[:-1]) and rest[-1] <= 4 and len(rest) <= 4:
        return rest[-1] > 1 or len(rest) == 2
    return len(rest) == 2 and 3 <= rest[0] <= 8 and 1 <= rest[1] <= 4
