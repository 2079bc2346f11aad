"""The licences and the personal data of real texts in a corpus that is built of files."""

import pytest

from decided import decisions
from genwright.curation.build import build
from genwright.curation.look import dropped
from genwright.curation.page_numbers import numbers_of
from genwright.curation.settings import CorpusRecipe

FILES = {
    "free.py": "# SPDX-License-Identifier: MIT\nprint('Ask jane.doe@example.org about it.')\n",
    "choice.py": "# SPDX-License-Identifier: MIT OR GPL-3.0-only\nprint(1)\n",
    "bound.py": "# SPDX-License-Identifier: GPL-3.0-only\nprint(2)\n",
    "silent.py": "print('nothing is said here of any right')\n",
}


def built(folder, filters, licence=""):
    raw = folder / "raw"
    raw.mkdir()
    for name, text in FILES.items():
        (raw / name).write_text(text, encoding="utf-8")
    source = {"kind": "files", "path": str(raw)}
    if licence:
        source["licence"] = licence
    recipe = CorpusRecipe(name="mine", sources=[source], filters=filters, mix={"held_out": 0})
    corpus, _ = build(recipe, folder / "corpus", workers=1)
    return corpus


def reasons_of(corpus):
    """File -> the reason it was dropped for, "" for one that stays."""
    return {name: each["reason"] for name, each in decisions(corpus).items()}


def test_what_no_licence_allows_is_dropped_with_its_reason(tmp_path):
    corpus = built(tmp_path, [{"licence": "MIT"}])
    assert reasons_of(corpus) == {
        "free.py": "",
        "choice.py": "",
        "bound.py": "licence.not-allowed",
        "silent.py": "licence.unknown",
    }
    (document,) = dropped(corpus, "licence.not-allowed", 5).documents
    assert document.why == "licence_found is 'GPL-3.0-only'; wanted: one of MIT"
    assert numbers_of(corpus).breaking == {"licence.unknown": 1, "licence.not-allowed": 1}


@pytest.mark.parametrize(("licence", "reason"), [("MIT", ""), ("CC-BY-4.0", "licence.not-allowed")])
def test_where_a_text_is_silent_the_licence_of_its_source_counts(tmp_path, licence, reason):
    corpus = built(tmp_path, [{"licence": "MIT"}], licence=licence)
    assert reasons_of(corpus)["silent.py"] == reason
    assert reasons_of(corpus)["bound.py"] == "licence.not-allowed"
    expected = {"licence.unknown": 0, "licence.not-allowed": 2 if reason else 1}
    assert numbers_of(corpus).breaking == expected
    whys = {each.file: each.why for each in dropped(corpus, "licence.not-allowed", 5).documents}
    assert whys.get("silent.py") == (
        "licence is 'CC-BY-4.0'; wanted: one of MIT" if reason else None
    )


def test_personal_data_is_dropped_where_that_is_asked_for(tmp_path):
    corpus = built(tmp_path, [{"personal-data": "drop"}])
    expected = dict.fromkeys(FILES, "") | {"free.py": "personal-data.email"}
    assert reasons_of(corpus) == expected
