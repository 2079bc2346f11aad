"""The licence that a text says it has: attribute `licence_found`, rule set `licence`.

1. Header: SPDX-License-Identifier with its expression, in the first 5,000 characters. Several
   (a file made of others) hold together: AND.
2. Otherwise the texts of licences that stand in the first 60,000 characters
   (`corpus_licence_texts`), and the customary notices ("Licensed under the Apache License, Version
   2.0", those of the GNU licences, MPL, MIT) and fields (`corpus_licence_fields`: "License: MIT")
   in the first 5,000; together: AND.
3. Otherwise "": the text says nothing. Its folder may: a source that knows a licence (a checkout of
   git, `licence:` of the source) gives it to the document, and the rules take that one then.

A whole licence without a notice is taken for "-only", the careful reading. A licence that is named
in any other words is not found.

    filters: [{licence: "MIT,Apache-2.0,BSD-3-Clause"}]

keeps documents whose licence, by SPDX, allows what one of these allows: MIT OR GPL-3.0-only stays,
MIT AND GPL-3.0-only goes (licence.not-allowed). Documents whose licence is not known go
(licence.unknown), as what nobody gave leave for; the word `unknown` in the list keeps them:
"MIT,unknown".

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from genwright.contents.text.corpus_licence_expressions import Licence, folded, read
from genwright.contents.text.corpus_licence_fields import declared
from genwright.contents.text.corpus_licence_names import check_identifier
from genwright.contents.text.corpus_licence_texts import texts_in, words_of
from genwright.core.corpus import (
    Attributes,
    Column,
    Rule,
    RuleSet,
    add_attributes,
    add_rules,
)
from genwright.core.errors import GenwrightError

HEADER = 5000  # characters in which a header or a notice stands
TEXT = 60_000  # characters in which the text of a licence stands
UNKNOWN = "unknown"  # word of an allow-list
_TAG = re.compile(r"SPDX-License-Identifier:[ \t]*([^\n]{1,500})")
_SIGNS = re.compile(r"licen[cs]e|copyright|permission|redistribut|public domain", re.IGNORECASE)
# what is said in a notice, in words without signs, and the licence that is meant
_NOTICES = (
    (r"licensed under the apache license version 2 0", "Apache-2.0"),
    (r"licensed under the terms of the apache license version 2 0", "Apache-2.0"),
    (r"subject to the terms of the mozilla public license v(?:ersion)? 2 0", "MPL-2.0"),
    (
        r"(?:licensed|released|distributed|available) under (?:the )?(?:terms of )?(?:the )?"
        r"mit license",
        "MIT",
    ),
    (r"licensed to psf under a contributor agreement", "PSF-2.0"),
    (r"the isc license copyright", "ISC"),
)
_NOTICE = tuple((re.compile(rf"(?<![a-z0-9]){words}"), name) for words, name in _NOTICES)
_GNU = re.compile(
    r"terms of the gnu (?P<kind>lesser |library |affero )?general public license"
    r"(?: (?:gpl|lgpl|agpl))?(?: as published by the free software foundation)?"
    r"(?:,? either)?(?: in)? version (?P<number>[123](?: [0-9])?)"
    r"(?P<later>(?: of the license)? or (?:at your option )?any later version)?"
)
_GNU_NAMES = {
    None: "GPL",
    "lesser ": "LGPL",
    "library ": "LGPL",
    "affero ": "AGPL",
}


def licence_of(text: str) -> str:
    """The licence that a text says it has, as an SPDX expression; "" where it says none."""
    header = text[:HEADER]
    tags = [read(match.group(1)) for match in _TAG.finditer(header)]
    tagged = [tag for tag in tags if tag is not None]
    if tagged:
        return _together(tagged)
    beginning = text[:TEXT]
    if _SIGNS.search(beginning) is None:
        return ""
    texts = texts_in(beginning)
    if texts:
        return _together([Licence(name) for name in texts])
    noticed = _noticed(" ".join(words_of(header)))
    return _together([Licence(name) for name in noticed] + declared(header))


def _together(licences: Sequence[Licence]) -> str:
    """All of them, each once, in the order of their names."""
    distinct = sorted(set(licences), key=str)
    if not distinct:
        return ""
    if len(distinct) == 1:
        return str(distinct[0])
    return str(Licence(joined="AND", parts=tuple(distinct)))


def _noticed(words: str) -> list[str]:
    """The licences that notices name. words: small letters with single spaces."""
    found = [name for pattern, name in _NOTICE if pattern.search(words)]
    for match in _GNU.finditer(words):
        number = match.group("number").replace(" ", ".")
        if "." not in number:
            number += ".0"
        ending = "or-later" if match.group("later") else "only"
        found.append(f"{_GNU_NAMES[match.group('kind')]}-{number}-{ending}")
    return sorted(set(found))


def licences(texts: Sequence[str]) -> dict[str, Any]:
    """The column of the group, of each text."""
    return {"licence_found": [licence_of(text) for text in texts]}


@dataclass(frozen=True)
class Allowed(Rule):
    """A rule over labels that are SPDX expressions. allowed: identifiers, as `folded` has them."""

    allowed: tuple[str, ...] = ()

    def breaks(self, values: np.ndarray) -> np.ndarray:
        """(documents,) bool: which say a licence that is not allowed. values: (documents,) of str;
        an empty one breaks nothing."""
        verdicts: dict[str, bool] = {}
        for label in {str(value or "") for value in values}:
            licence = read(label)
            is_free = licence is not None and licence.is_allowed(self.allowed)
            verdicts[label] = bool(label.strip()) and not is_free
        return np.array([verdicts[str(value or "")] for value in values], bool)


@dataclass(frozen=True)
class Known(Rule):
    """A rule over labels: there must be one."""

    def breaks(self, values: np.ndarray) -> np.ndarray:
        """(documents,) bool: which have none. values: (documents,) of str."""
        return np.array([not str(value or "").strip() for value in values], bool)


ATTRIBUTES = Attributes(
    "licence",
    (
        Column(
            "licence_found",
            "label",
            detail="SPDX expression; empty: the text says none",
            label="licence",
        ),
    ),
    licences,
    version=2,
)


def allow_list(option: str) -> RuleSet:
    """The set with a list of SPDX identifiers with commas, and `unknown` perhaps. Raises
    GenwrightError for an empty list, and for an identifier that is misspelt."""
    words = re.findall(r"[A-Za-z0-9.\-+:]+", option)
    names = [word for word in words if word.lower() != UNKNOWN]
    if not words:
        raise GenwrightError(
            "the filter licence names no licence that is allowed",
            'write SPDX identifiers: {licence: "MIT,Apache-2.0,BSD-3-Clause"}',
        )
    for name in names:
        check_identifier(name)
    listed = ", ".join(names) or "none"
    rules: list[Rule] = []
    if len(names) == len(words):
        rules.append(
            Known(
                "licence.unknown", "licence_found", detail="a licence is known", otherwise="licence"
            )
        )
    rules.append(
        Allowed(
            "licence.not-allowed",
            "licence_found",
            detail=f"one of {listed}",
            otherwise="licence",
            allowed=tuple(folded(name) for name in names),
        )
    )
    return RuleSet(
        "licence",
        tuple(rules),
        (ATTRIBUTES.name,),
        "SPDX specification 2.3, annex D",
        make=allow_list,
    )


add_attributes("text", ATTRIBUTES)
add_rules("text", RuleSet("licence", (), (ATTRIBUTES.name,), make=allow_list))
