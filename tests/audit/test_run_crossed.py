"""Intersections of what a model makes, against counts made by hand."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_audits import folder, run  # noqa: F401 - fixtures
from test_recognised import judge
from test_recognised import run as folders  # noqa: F401 - fixture

from genwright import api_audit
from genwright.audit import run as auditing
from genwright.audit.groups import Grouping, Labelled
from genwright.audit.judged import judged_samples
from genwright.audit.run_crossed import EXACT, crossed_run
from genwright.contents.text.content import TextContent

SIZES = ("big", "small")


def by_rule(name: str, labels: list[str]) -> Grouping:
    def rule(samples: Any) -> list[tuple[str, ...]]:
        return [(labels[sample.number],) for sample in samples]

    return Grouping(name, "by hand", rule)


def crossed_by_hand() -> Any:
    from genwright.core.content import Sample

    tones = ["dark"] * 30 + ["light"] * 70
    sizes = ["big"] * 20 + ["small"] * 10 + ["big"] * 70
    of_data = Labelled(
        [""] * 40,
        np.arange(40),
        {
            "tone": [("dark",)] * 20 + [("light",)] * 20,
            "size": [("big",)] * 10 + [("small",)] * 20 + [("big",)] * 10,
        },
    )
    samples = [Sample("", number=number) for number in range(100)]
    asked = [by_rule("tone", tones), by_rule("size", sizes)]
    judged = {}
    for grouping, order in zip(asked, (("dark", "light"), SIZES), strict=True):
        judged[grouping.name] = judged_samples(grouping, None, samples, order)
    (found,) = crossed_run(asked, judged, of_data)
    return found


def test_intersections_of_samples_are_counted_beside_the_data() -> None:
    found = crossed_by_hand()
    assert (found.names, found.how, found.corrected) == (("tone", "size"), EXACT, True)
    counts = {cell.groups: (cell.data.count, cell.samples.count) for cell in found.cells}
    assert counts == {
        ("dark", "big"): (10, 20),
        ("dark", "small"): (10, 10),
        ("light", "big"): (10, 70),
        ("light", "small"): (10, 0),
    }
    assert found.never_made == [("light", "small")] and found.empty == []
    cell = found.cells[2]
    assert cell.difference.value == pytest.approx(0.7 - 0.25)
    # of four cells at once: wider than that of one alone
    assert cell.samples.low < 0.604 and cell.samples.high > 0.781


def test_intersections_of_a_run_are_printed_and_on_its_page(
    folder: Path,  # noqa: F811
    run: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def by_hand(*_: Any) -> list[Grouping]:
        content = TextContent()

        def gender(samples: Any) -> list[tuple[str, ...]]:
            texts = [content.as_text(one) for one in samples]
            return [("she",) if "she" in text else ("he",) for text in texts]

        def sings(samples: Any) -> list[tuple[str, ...]]:
            texts = [content.as_text(one) for one in samples]
            return [("sings",) if "sings" in text else ("<noise>",) for text in texts]

        return [Grouping("gender", "", gender), Grouping("what", "", sings)]

    monkeypatch.setattr(auditing, "groupings", by_hand)
    found, page = api_audit.audit_of_run(
        run, groups="gender,what", n=8, conditions=0, output=folder / "crossed.html"
    )
    (cells,) = found.crossed
    assert cells.of_samples == 8
    assert ("she", "sings") in cells.never_made
    said = api_audit.in_words(found)
    assert "in the data, and in no sample: " in said and "she and sings" in said
    html = page.read_text(encoding="utf-8")
    assert "gender and what" in html and "<b>empty</b>" in html and "<noise>" not in html
    rows = list(csv.DictReader((folder / "crossed-shares.csv").open(encoding="utf-8")))
    own = [row for row in rows if row["grouping"] == "gender × what" and row["of"] == "samples"]
    assert sum(int(row["count"]) for row in own) == 8
    assert found.to_json()["crossed"][0]["cells"][0]["groups"] == ["he", "sings"]


def test_what_a_judge_says_of_an_intersection_is_said_to_be_uncorrected(
    folders: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def judges(content: Any, dataset: Any, attributes: Any) -> Any:
        return {name: judge(0.9) for name in attributes}

    monkeypatch.setattr(TextContent, "judges", judges)
    found, _ = api_audit.audit_of_run(
        folders, groups="folder,ending", n=20, conditions=0, output=tmp_path / "page.html"
    )
    (cells,) = found.crossed
    assert not cells.corrected
    assert "folder of samples as the judge says, which is not corrected" in cells.how
    assert "not corrected here" in " ".join(api_audit.in_words(found).split())
