"""Identifiers of licences (the list of SPDX) that are often met, to tell a misspelt one: a filter
that allows a licence that does not exist drops everything.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import logging
import multiprocessing
import re
from functools import lru_cache

from genwright.contents.text.corpus_licence_expressions import newer
from genwright.core.errors import GenwrightError

log = logging.getLogger(__name__)
_WORDS = """
    0BSD AFL-2.1 AFL-3.0 AGPL-1.0-only AGPL-1.0-or-later AGPL-3.0-only AGPL-3.0-or-later APL-1.0
    APSL-2.0 Apache-1.0 Apache-1.1 Apache-2.0 Artistic-1.0 Artistic-1.0-Perl Artistic-2.0 Beerware
    BSD-1-Clause BSD-2-Clause BSD-2-Clause-Patent BSD-3-Clause BSD-3-Clause-Clear BSD-4-Clause
    BSD-4-Clause-UC BSD-Source-Code BSL-1.0 BUSL-1.1 CC0-1.0 CC-PDDC CDDL-1.0 CDDL-1.1
    CDLA-Permissive-1.0 CDLA-Permissive-2.0 CDLA-Sharing-1.0 CECILL-2.0 CECILL-2.1 CECILL-B CECILL-C
    CPL-1.0 curl ECL-1.0 ECL-2.0 EFL-1.0 EFL-2.0 EPL-1.0 EPL-2.0 EUPL-1.0 EUPL-1.1 EUPL-1.2 FSFAP
    FSFUL FTL GFDL-1.1-only GFDL-1.1-or-later GFDL-1.2-only GFDL-1.2-or-later GFDL-1.3-only
    GFDL-1.3-or-later GPL-1.0-only GPL-1.0-or-later GPL-2.0-only GPL-2.0-or-later GPL-3.0-only
    GPL-3.0-or-later HPND ICU IJG Info-ZIP Intel IPL-1.0 ISC JSON LGPL-2.0-only LGPL-2.0-or-later
    LGPL-2.1-only LGPL-2.1-or-later LGPL-3.0-only LGPL-3.0-or-later Libpng libpng-2.0 LPL-1.0
    LPL-1.02 LPPL-1.3c MIT MIT-0 MITNFA MPL-1.0 MPL-1.1 MPL-2.0 MPL-2.0-no-copyleft-exception MS-PL
    MS-RL MulanPSL-1.0 MulanPSL-2.0 NASA-1.3 NCSA NGPL NPL-1.0 NPL-1.1 NTP ODbL-1.0 ODC-By-1.0
    OFL-1.0 OFL-1.1 OGL-UK-1.0 OGL-UK-2.0 OGL-UK-3.0 OLDAP-2.8 OpenSSL OPL-1.0 OSL-1.0 OSL-2.0
    OSL-2.1 OSL-3.0 PDDL-1.0 PHP-3.0 PHP-3.01 PostgreSQL PSF-2.0 Python-2.0 QPL-1.0 RPL-1.1 RPL-1.5
    Ruby SISSL SPL-1.0 SSPL-1.0 TCL Unicode-3.0 Unicode-DFS-2015 Unicode-DFS-2016 Unlicense UPL-1.0
    Vim W3C WTFPL X11 XFree86-1.1 Xnet Zlib ZPL-1.1 ZPL-2.0 ZPL-2.1
"""
_CREATIVE = ("BY", "BY-SA", "BY-ND", "BY-NC", "BY-NC-SA", "BY-NC-ND")
_VERSIONS = ("1.0", "2.0", "2.5", "3.0", "4.0")
COMMON = (
    *_WORDS.split(),
    *(f"CC-{kind}-{version}" for kind in _CREATIVE for version in _VERSIONS),
)
_KNOWN = frozenset(name.lower() for name in COMMON)
_OWN = ("licenseref-", "documentref-")  # how SPDX begins what is on no list


def check_identifier(name: str) -> None:
    """A note where a name is no identifier that is often met; it may be one all the same. Raises
    GenwrightError where it is one of them misspelt."""
    current = newer(name).removesuffix("+")
    if current.lower() in _KNOWN or current.lower().startswith(_OWN):
        return
    near = near_identifier(current)
    if near:
        raise GenwrightError(
            f"the filter licence names {name!r}, which is no identifier of SPDX",
            f"did you mean {near!r}?",
        )
    _note(name)


def near_identifier(name: str) -> str:
    """The identifier that is meant by one that is misspelt by a letter, by its hyphens, or by a
    version without its .0; "" for none. The number of a version is never taken for another."""
    of_version = [known for known in COMMON if _digits(known) == _digits(name)]
    for known in of_version:
        if _letters(known) == _letters(name):
            return known
    for known in of_version:
        if _is_near(_letters(name), _letters(known)):
            return known
    return ""


def _letters(name: str) -> str:
    return "".join(re.findall("[a-z]", name.lower()))


def _digits(name: str) -> str:
    return "".join(re.findall("[0-9]", name)).rstrip("0")


def _is_near(word: str, other: str) -> bool:
    """Whether two words are alike but for one letter: one more, one less, another one."""
    shorter, longer = sorted((word, other), key=len)
    if len(longer) - len(shorter) > 1:
        return False
    same = 0  # letters at the beginning
    while same < len(shorter) and shorter[same] == longer[same]:
        same += 1
    if len(shorter) == len(longer):
        return shorter[same + 1 :] == longer[same + 1 :]
    return shorter[same:] == longer[same + 1 :]


@lru_cache
def _note(name: str) -> None:
    """Says so, once, and not in each worker process."""
    if multiprocessing.parent_process() is None:
        log.info("the filter licence names %r: see that it is an identifier of SPDX", name)
