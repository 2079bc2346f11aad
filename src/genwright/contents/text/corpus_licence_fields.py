"""The licence that a field of a file names: `__license__ = "MPL 2.0"`, `license='LGPL'` of a
setup.py, `"license": "MIT"`, and comments that begin with "License:".

What stands there is an SPDX expression or one of the usual names below; other words ("see LICENSE",
"BSD" without the number of clauses) say nothing. A GNU licence without a version may be taken in
any version (GPL-3.0, section 14), which SPDX writes as "or-later" than the first.
"""

from __future__ import annotations

import re

from genwright.contents.text.corpus_licence_expressions import Licence, read

FIELD = re.compile(
    r"""^[ \t#*/;%!"':\-]{0,20}  # a comment's signs, quotes of a key, a field of reST
    (?:__licen[cs]e__|licen[cs]e)["']?[ \t]{0,20}[:=][ \t]{0,20}
    (?P<name>[A-Za-z0-9][A-Za-z0-9 .,+()\-/]{1,60}|["'][^"'\n]{2,60}["'])""",
    re.IGNORECASE | re.MULTILINE | re.VERBOSE,
)
_EXPRESSION = re.compile(
    r"\(?[A-Za-z][A-Za-z0-9.\-]*-[0-9][A-Za-z0-9.+\-]*\)?"
    r"|[A-Za-z0-9.+()\-]+(?: (?:OR|AND|WITH) [A-Za-z0-9.+()\-]+)+"
)
_GNU = re.compile(
    r"(?:gnu )?(?P<kind>lgpl|agpl|gpl|lesser general public|affero general public|general public)"
    r"(?: licen[cs]e)?,?(?: version)? ?v?(?P<number>[123](?:\.[0-9])?)?"
    r"(?P<later>\+| ?or[ -](?:any )?later(?: version)?)?"
)
_GNU_NAMES = {
    "lgpl": ("LGPL", "2.0"),
    "lesser general public": ("LGPL", "2.0"),
    "agpl": ("AGPL", "1.0"),
    "affero general public": ("AGPL", "1.0"),
    "gpl": ("GPL", "1.0"),
    "general public": ("GPL", "1.0"),
}
_NAMES = {
    "mit": "MIT",
    "expat": "MIT",
    "isc": "ISC",
    "unlicense": "Unlicense",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache v2": "Apache-2.0",
    "apache 2.0 software": "Apache-2.0",
    "apache software 2.0": "Apache-2.0",
    "apache version 2.0": "Apache-2.0",
    "bsd 2 clause": "BSD-2-Clause",
    "2 clause bsd": "BSD-2-Clause",
    "simplified bsd": "BSD-2-Clause",
    "bsd 3 clause": "BSD-3-Clause",
    "3 clause bsd": "BSD-3-Clause",
    "new bsd": "BSD-3-Clause",
    "modified bsd": "BSD-3-Clause",
    "mpl 1.1": "MPL-1.1",
    "mpl 2.0": "MPL-2.0",
    "mozilla public 2.0": "MPL-2.0",
    "psf": "PSF-2.0",
    "python software foundation": "PSF-2.0",
    "cc0": "CC0-1.0",
    "cc0 1.0": "CC0-1.0",
    "cc by 4.0": "CC-BY-4.0",
    "cc by 3.0": "CC-BY-3.0",
    "cc by sa 4.0": "CC-BY-SA-4.0",
    "cc by sa 3.0": "CC-BY-SA-3.0",
}


def declared(header: str) -> list[Licence]:
    """The licences that fields of a file's beginning name, each once."""
    found: dict[str, Licence] = {}
    for match in FIELD.finditer(header):
        licence = _meant(match.group("name").strip("\"' .,"))
        if licence is not None:
            found[str(licence)] = licence
    return list(found.values())


def _meant(name: str) -> Licence | None:
    """What an SPDX expression or a usual name stands for; None for other words."""
    words = " ".join(re.sub(r"\b(?:the|licen[cs]e[ds]?)\b", " ", name.lower()).split())
    gnu = _GNU.fullmatch(words)
    if gnu is not None:
        return Licence(_gnu_name(gnu))
    plain = " ".join(re.sub(r"[-_(),/]", " ", words).split())
    if plain in _NAMES:
        return Licence(_NAMES[plain])
    if _EXPRESSION.fullmatch(name) is None:  # words of a sentence
        return None
    return read(name)


def _gnu_name(match: re.Match[str]) -> str:
    """LGPL-2.1-only and so on."""
    kind, first = _GNU_NAMES[match.group("kind")]
    number = match.group("number")
    if number is None:
        return f"{kind}-{first}-or-later"
    if "." not in number:
        number += ".0"
    ending = "or-later" if match.group("later") else "only"
    return f"{kind}-{number}-{ending}"
