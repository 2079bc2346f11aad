"""A corpus of texts through the filters gopher, c4, fineweb and a list of words, built by one
process and by two."""

import pytest

from decided import reasons
from genwright.curation import build as building
from genwright.curation.build import build
from genwright.curation.settings import CorpusRecipe
from genwright.data.selection import selected, selections

GOOD = """The ferry leaves from the old harbour twice a day, at seven and at noon.
Most people who take it have some business to do on the larger island.
Others come to look for birds, and bring their own sandwiches with them.
In winter it may be late, because of fog that lies over the narrow strait.
Nobody seems to mind: there is a stove below, and coffee can be had for nothing.
The captain, whose father built this boat, knows every rock between both shores.
"Wait until spring," he says to strangers, "then you will want to stay.\""""
MENU = (
    "Home News Weather Timetable Tickets Prices Harbour Island Birds Cafe Museum Hotels Contact "
    "Links Search Imprint"
)
TEXTS = {
    "good": f"Home\nContact\n\n{GOOD}\nTerms of use\n",
    "short": "The end of it.",
    "curly": GOOD + "\nThis line with a { in it has words enough.",
    "repeated": "\n".join([GOOD] * 3),
    "menu": "\n".join(MENU.split()) + "\n" + GOOD,
    "bad": GOOD + "\nAnd that was the heck of a day, really.",
}
REASONS = {
    "short": "gopher.words",
    "curly": "c4.curly-bracket",
    "repeated": "gopher.duplicate-lines",
    "menu": "fineweb.short-lines",
    "bad": "words.bad",
}


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, text in TEXTS.items():
        (raw / f"{name}.txt").write_text(text, encoding="utf-8")
    listed = tmp_path / "bad.txt"
    listed.write_text("heck\n", encoding="utf-8")
    monkeypatch.setattr(building, "UNIT", 1000)  # several shards
    return CorpusRecipe(
        name="mine",
        sources=[{"kind": "files", "path": str(raw)}],
        filters=["gopher", "c4", "fineweb", {"words": str(listed)}],
        deduplicate=None,
        mix={"held_out": 0},
    )


@pytest.mark.parametrize("workers", [1, 2])
def test_each_text_is_dropped_for_its_reason(tmp_path, recipe, workers):
    corpus, counts = build(recipe, tmp_path / "c", workers=workers)
    assert len(corpus.shards) > 1
    found = {name.removesuffix(".txt"): reason for name, reason in reasons(corpus).items()}
    assert found == REASONS
    assert counts.dropped == dict.fromkeys(REASONS.values(), 1)
    kept = [text for path in selections(str(corpus.folder)) for _, text in selected(path)]
    assert kept == [GOOD + "\n"]
