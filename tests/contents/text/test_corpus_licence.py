"""The licence that a text says it has, and the rules over it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.text.corpus_licence import allow_list, licence_of, licences
from genwright.contents.text.corpus_licence_expressions import folded, read
from genwright.contents.text.corpus_licence_texts import hashes_of, packed, unpacked, words_of
from genwright.core.corpus import attributes_of, rules_of
from genwright.core.errors import GenwrightError

MIT = """
Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
associated documentation files (the "Software"), to deal in the Software without restriction,
including without limitation the rights to use, copy, modify, merge, publish, distribute,
sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or
substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
BSD_2 = """
Redistribution and use in source and binary forms, with or without modification, are permitted
provided that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice, this list of conditions
and the following disclaimer.
2. Redistributions in binary form must reproduce the above copyright notice, this list of conditions
and the following disclaimer in the documentation and/or other materials provided with the
distribution.
"""
BSD_CLAUSE_3 = """
3. Neither the name of the copyright holder nor the names of its contributors may be used to endorse
or promote products derived from this software without specific prior written permission.
"""
BSD_END = """
THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS IS" AND ANY EXPRESS OR
IMPLIED WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES OF MERCHANTABILITY AND
FITNESS FOR A PARTICULAR PURPOSE ARE DISCLAIMED. IN NO EVENT SHALL THE COPYRIGHT HOLDER OR
CONTRIBUTORS BE LIABLE FOR ANY DIRECT, INDIRECT, INCIDENTAL, SPECIAL, EXEMPLARY, OR CONSEQUENTIAL
DAMAGES (INCLUDING, BUT NOT LIMITED TO, PROCUREMENT OF SUBSTITUTE GOODS OR SERVICES; LOSS OF USE,
DATA, OR PROFITS; OR BUSINESS INTERRUPTION) HOWEVER CAUSED AND ON ANY THEORY OF LIABILITY, WHETHER
IN CONTRACT, STRICT LIABILITY, OR TORT (INCLUDING NEGLIGENCE OR OTHERWISE) ARISING IN ANY WAY OUT OF
THE USE OF THIS SOFTWARE, EVEN IF ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
"""
ISC = """
Permission to use, copy, modify, and/or distribute this software for any purpose with or without fee
is hereby granted, provided that the above copyright notice and this permission notice appear in all
copies.

THE SOFTWARE IS PROVIDED "AS IS" AND THE AUTHOR DISCLAIMS ALL WARRANTIES WITH REGARD TO THIS
SOFTWARE INCLUDING ALL IMPLIED WARRANTIES OF MERCHANTABILITY AND FITNESS. IN NO EVENT SHALL THE
AUTHOR BE LIABLE FOR ANY SPECIAL, DIRECT, INDIRECT, OR CONSEQUENTIAL DAMAGES OR ANY DAMAGES
WHATSOEVER RESULTING FROM LOSS OF USE, DATA OR PROFITS, WHETHER IN AN ACTION OF CONTRACT, NEGLIGENCE
OR OTHER TORTIOUS ACTION, ARISING OUT OF OR IN CONNECTION WITH THE USE OR PERFORMANCE OF THIS
SOFTWARE.
"""
APACHE = """
Licensed under the Apache License, Version 2.0 (the "License"); you may not use this file except in
compliance with the License.
"""


def commented(text, sign="# "):
    return "\n".join(sign + line for line in text.splitlines()) + "\nimport os\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (MIT, "MIT"),
        (commented(MIT), "MIT"),
        (MIT.replace("this permission notice", "this permission notice (and the next)"), "MIT"),
        ("/*\n" + commented(MIT, " * ") + "*/", "MIT"),
        (BSD_2 + BSD_END, "BSD-2-Clause"),
        (BSD_2 + BSD_CLAUSE_3 + BSD_END, "BSD-3-Clause"),
        (commented(BSD_2 + BSD_CLAUSE_3 + BSD_END, "// "), "BSD-3-Clause"),
        (ISC, "ISC"),
        (MIT + ISC, "ISC AND MIT"),
        (commented(APACHE), "Apache-2.0"),
        ("# This Source Code Form is subject to the terms of the Mozilla Public\n# License, v. 2.0",
         "MPL-2.0"),
        ("under the terms of the GNU General Public License as published by\n * the Free Software"
         " Foundation; either version 2 of the License, or\n * (at your option) any later version.",
         "GPL-2.0-or-later"),
        ("under the terms of the GNU Lesser General Public License as published by the Free "
         "Software Foundation, version 2.1 of the license.", "LGPL-2.1-only"),
        ("# Licensed to PSF under a Contributor Agreement.", "PSF-2.0"),
        ("# Released under the MIT License.", "MIT"),
        ("x = 1\n# SPDX-License-Identifier: MIT\n", "MIT"),
        ("/* SPDX-License-Identifier: GPL-2.0+ WITH Classpath-exception-2.0 */",
         "GPL-2.0-or-later WITH Classpath-exception-2.0"),
        ("<!-- SPDX-License-Identifier: Apache-2.0 OR MIT -->", "Apache-2.0 OR MIT"),
        ("SPDX-License-Identifier: MIT\nSPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause",
         "(Apache-2.0 OR BSD-3-Clause) AND MIT"),
        ("# SPDX-License-Identifier: MIT\n" + commented(APACHE), "MIT"),
        ("r'SPDX-License-Identifier: ([^\\n]*)'", ""),
        ("", ""),
        ("All rights reserved. See the licence.", ""),
        (MIT[: len(MIT) // 2], ""),
    ],
)  # fmt: skip
def test_worked_cases(text, expected):
    assert licence_of(text) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Apache-2.0", "Apache-2.0"),
        ("GPL-2", "GPL-2.0-only"),
        ("GPL-3", "GPL-3.0-only"),
        ("LGPL-2", "LGPL-2.0-only"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("LGPL-3", "LGPL-3.0-only"),
        ("MPL-2.0", "MPL-2.0"),
        ("CC0-1.0", "CC0-1.0"),
        ("BSD", "BSD-3-Clause"),
        ("Artistic", ""),
        ("GFDL-1.3", ""),
    ],
)
def test_whole_licences_as_debian_has_them(name, expected):
    path = Path("/usr/share/common-licenses") / name
    if not path.is_file():
        pytest.skip("needs /usr/share/common-licenses of Debian")
    assert licence_of(path.read_text(encoding="utf-8")) == expected


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("MIT", "MIT"),
        ("MIT AND Apache-2.0 OR ISC", "MIT AND Apache-2.0 OR ISC"),
        ("(MIT OR Apache-2.0) AND ISC", "(MIT OR Apache-2.0) AND ISC"),
        ("mit-0 or GPL-2.0", "mit-0 OR GPL-2.0-only"),
        ("LicenseRef-Own", "LicenseRef-Own"),
        ("MIT OR", "MIT"),
        ("MIT AND text", "MIT"),
        ("(MIT", None),
        ("see the file", None),
        ("", None),
    ],
)
def test_expressions_are_read_and_written(text, written):
    found = read(text)
    assert (None if found is None else str(found)) == written


@pytest.mark.parametrize(
    ("expression", "allowed", "verdict"),
    [
        ("MIT", "MIT", True),
        ("mit", "MIT", True),
        ("MIT OR GPL-3.0-only", "MIT", True),
        ("MIT AND GPL-3.0-only", "MIT", False),
        ("(MIT OR GPL-3.0-only) AND ISC", "MIT,ISC", True),
        ("MIT OR GPL-3.0-only AND ISC", "GPL-3.0-only", False),
        ("GPL-2.0-or-later", "GPL-2.0-only", True),
        ("GPL-2.0-only", "GPL-2.0-or-later", False),
        ("GPL-2.0", "GPL-2.0-only", True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", "GPL-2.0-only", True),
        ("Apache-2.0", "MIT", False),
    ],
)
def test_expressions_are_weighed_against_a_list(expression, allowed, verdict):
    assert read(expression).is_allowed({folded(name) for name in allowed.split(",")}) is verdict


def test_the_rules_of_an_allow_list():
    rules = rules_of("text")["licence"].make("MIT, Apache-2.0")
    assert [rule.reason for rule in rules.rules] == ["licence.unknown", "licence.not-allowed"]
    labels = np.array(["MIT", "", "GPL-3.0-only", "MIT OR GPL-3.0-only", None, "(("], dtype=object)
    unknown, other = (rule.breaks(labels).tolist() for rule in rules.rules)
    assert unknown == [False, True, False, False, True, False]
    assert other == [False, False, True, False, False, True]
    assert {rule.attribute for rule in rules.rules} == {"licence_found"}
    assert attributes_of("text")["licence"].columns[0].name == "licence_found"


def test_the_word_unknown_keeps_what_says_nothing():
    rules = allow_list("MIT,unknown")
    assert [rule.reason for rule in rules.rules] == ["licence.not-allowed"]


@pytest.mark.parametrize("option", ["", " , "])
def test_an_empty_list_is_refused(option):
    with pytest.raises(GenwrightError, match="names no licence"):
        rules_of("text")["licence"].make(option)


@given(st.text(alphabet=st.sampled_from("MIT ANDORWITH()GPL-2.0+:or "), max_size=80))
def test_any_expression_is_read_or_not_and_means_the_same_when_written(text):
    found = read(text)
    if found is not None:
        assert str(read(str(found))) == str(found)
        assert found.is_allowed({"mit"}) in (True, False)


PIECES = st.sampled_from([MIT, ISC, APACHE, "SPDX-License-Identifier: "])


@given(st.lists(st.one_of(st.text(), PIECES), max_size=5))
def test_any_text_has_a_label_whatever_is_beside_it(pieces):
    text = "".join(pieces)
    assert licences([text, MIT])["licence_found"] == [licence_of(text), "MIT"]


def test_fingerprints_are_the_same_on_every_machine():
    words = words_of("The quick brown fox jumps over the lazy dog.")
    hashes = hashes_of(words)
    assert hashes.tolist()[:2] == [2559792890, 1703217190]
    assert len(hashes) == 5
    assert np.array_equal(unpacked(packed(hashes)), np.sort(hashes))
    assert len(hashes_of(words[:4])) == 0


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        ("setup(name='x',\n      license = 'LGPL',\n      py_modules=[])", "LGPL-2.0-or-later"),
        ('__author__ = "A"\n__license__ = "MPL 2.0"\n', "MPL-2.0"),
        ('__license__ = "GPLv3+"', "GPL-3.0-or-later"),
        ("__license__ = 'GNU General Public License v2'", "GPL-2.0-only"),
        ("# License: BSD 3 clause\nimport os\n", "BSD-3-Clause"),
        ('{"name": "x", \n "license": "MIT"}', "MIT"),
        ("license = 'Apache License, Version 2.0'", "Apache-2.0"),
        ("license = 'Apache-2.0 OR MIT'", "Apache-2.0 OR MIT"),
        ("license = 'MIT OR ISC'", "MIT OR ISC"),
        ("// License: MIT\n// SPDX-License-Identifier: ISC", "ISC"),
        (":license: BSD, see LICENSE for details.", ""),
        ("License: see the file COPYING", ""),
        ("license = read('LICENSE')", ""),
        ("# License: CC-BY (see the link below)", ""),
        ("def license(self): return 'MIT'", ""),
        ("The license: it is MIT", ""),
        (">>> text = 'a\\n    ... license: mit\\n    ...'", ""),
    ],
)
def test_a_field_names_a_licence(text: str, licence: str) -> None:
    assert licence_of(text) == licence


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("MITT", "MIT"),
        ("MIT,Apache2.0", "Apache-2.0"),
        ("Apache-2", "Apache-2.0"),
        ("Apachi-2.0", "Apache-2.0"),
        ("GPL-3", "GPL-3.0-only"),
        ("CC-BYSA-4.0", "CC-BY-SA-4.0"),
        ("BSD-3-Clauses", "BSD-3-Clause"),
    ],
)
def test_a_misspelt_identifier_is_refused_with_the_one_that_is_meant(option, meant):
    with pytest.raises(GenwrightError, match="which is no identifier of SPDX") as refused:
        rules_of("text")["licence"].make(option)
    assert refused.value.remedy == f"did you mean {meant!r}?"


@pytest.mark.parametrize(
    "option",
    ["mit", "GPL-2.0+", "Apache-2.0+", "LicenseRef-mine", "CC-BY-3.0", "MPL-1.0", "unknown"],
)
def test_identifiers_that_are_often_met_are_taken_as_they_are(option, caplog):
    caplog.set_level("INFO", "genwright")
    rules_of("text")["licence"].make(option)
    assert not caplog.text


def test_an_identifier_that_is_like_none_is_noted_once(caplog):
    caplog.set_level("INFO", "genwright")
    for _ in range(2):  # valid, and seldom met; GPL-3.1 would be another version, not a slip
        rules_of("text")["licence"].make("Borceux,GPL-3.1-only")
    assert caplog.text.count("names 'Borceux': see that it is an identifier") == 1
    assert caplog.text.count("names 'GPL-3.1-only'") == 1
