"""What the length of a window cuts off, by group, against counts by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_audits import CHANGES

from genwright import api_audit
from genwright.api import train
from genwright.audit.cut import cut_by_group
from genwright.core.groups import GroupCounts, Lengths
from genwright.evaluation.intervals import wilson


def test_a_group_that_is_longer_three_times_as_often_is_found() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for turn in range(60):
        of = rng.integers(0, 2, 400)
        longer = rng.random(400) < np.where(of == 0, 0.45, 0.15)
        lengths = Lengths(np.where(longer, 50, 20), 32, "data.context")
        counts = GroupCounts(("a", "b"), np.eye(2, dtype=np.int64)[of], np.arange(400))
        one, other = cut_by_group(counts, lengths, "folder", "training data").groups
        assert one.ratio is not None and other.ratio is not None
        inside += one.ratio.low <= 3 <= one.ratio.high
        assert one.ratio.low > 1 > other.ratio.high
        if turn == 0:
            count = int(longer[of == 0].sum())
            total = int((of == 0).sum())
            assert (one.longer.count, one.longer.total) == (count, total)
            assert (one.longer.low, one.longer.high) == pytest.approx(wilson(count, total))
            tokens = count * 50 + (total - count) * 20
            assert one.beyond == pytest.approx(count * 18 / tokens)
    assert inside >= 53


def test_groups_of_few_and_of_several_labels() -> None:
    counts = np.zeros((12, 3), np.int64)
    counts[:8, 0] = 1
    counts[6:11, 1] = 2  # two are of both
    counts[11, 2] = 1
    lengths = Lengths(np.arange(12) + 25, 32, "data.context")
    found = cut_by_group(GroupCounts(("a", "b", "c"), counts, np.arange(12)), lengths, "w", "data")
    assert found.every.count == 4  # of 33 tokens and more
    first, second, third = found.groups
    assert (first.longer.count, first.longer.total, first.others.total) == (0, 8, 4)
    assert (second.longer.count, second.longer.total) == (3, 5)
    assert third.longer.small and third.ratio is None


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """20 short documents in one folder, 20 of which every second is long in the other."""
    root = tmp_path_factory.mktemp("cut")
    for number in range(40):
        place = root / "texts" / ("short" if number < 20 else "long")
        place.mkdir(parents=True, exist_ok=True)
        text = f"{number * 7919 % 1000} birds"
        if number >= 20 and number % 2:
            text += " sing and sing and sing and sing and sing"
        (place / f"{number}.txt").write_text(text, encoding="utf-8")
    return CHANGES | {"data.path": str(root / "texts"), "data.cache": str(root / "cache")}


def test_an_audit_says_what_windows_cut(texts: dict[str, Any], tmp_path: Path) -> None:
    found, page = api_audit.audit_of_data(
        "shakespeare", groups="folder", output=tmp_path / "page.html", **texts
    )
    (cut,) = found.cut
    assert (cut.limit, cut.setting) == (32, "data.context")
    rows = {row.group: row for row in cut.groups}
    assert rows["short"].longer.count == 0 and rows["short"].beyond == 0
    assert rows["long"].longer.count == cut.every.count > 4
    assert 0 < rows["long"].beyond < 0.5
    said = " ".join(api_audit.in_words(found).split())
    assert "are longer than a window (data.context = 32 tokens), by folder" in said
    assert "Longer than a window, by folder" in page.read_text(encoding="utf-8")
    assert found.to_json()["cut"][0]["limit"] == 32
    wide, _ = api_audit.audit_of_data(
        "shakespeare",
        groups="folder",
        output=tmp_path / "wide.html",
        **(texts | {"data.context": 128}),
    )
    assert wide.cut == []


def test_an_audit_of_a_run_says_what_its_losses_leave_out(
    texts: dict[str, Any], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train("shakespeare", run=run, quiet=True, **texts)
    found, page = api_audit.audit_of_run(run, groups="ending", n=4, conditions=0)
    (cut,) = found.cut
    assert cut.of == "held-out data" and cut.every.total == 8
    assert "held-out data" in api_audit.in_words(found)
    assert "Longer than a window, by ending" in page.read_text(encoding="utf-8")


def test_pieces_of_music_have_lengths(tmp_path: Path) -> None:
    pytest.importorskip("music21")
    from composed import tunes

    from genwright.contents.music.codec_event import Event
    from genwright.contents.music.content import MusicContent
    from genwright.contents.music.data import MusicData

    given = {"cache": str(tmp_path / "cache"), "minimum": 2, "workers": 1, "context": 64}
    data = MusicData(path=str(tunes(tmp_path / "tunes")), **given)
    dataset = data.prepare(Event())
    lengths = MusicContent().lengths(dataset, "train")
    names = MusicContent().known(dataset, "train", []).names
    assert len(lengths.tokens) == len(names) and lengths.limit == 64
    tokens = sum(len(dataset.row(piece)) for piece in dataset.pieces["train"])
    assert lengths.tokens.sum() == tokens


def test_prompts_that_leave_no_room_for_a_sample_are_counted_by_group(
    texts: dict[str, Any], tmp_path: Path
) -> None:
    """Against the questions that a rollout asks."""
    from genwright.contents.text.questions import CutDocuments
    from genwright.runs.request import read_recipe

    root = tmp_path / "texts"
    for number in range(30):
        place = root / ("long" if number % 3 else "short")
        place.mkdir(parents=True, exist_ok=True)
        before = "sing " * (number % 3 * 4 if number % 2 else 1)
        answer = "" if number % 10 == 0 else "= birds"
        (place / f"{number}.txt").write_text(f"{number} {before}{answer}", encoding="utf-8")
    given = texts | {"data.path": str(root), "data.cache": str(tmp_path / "cache")}
    given |= {"objective.rollout.cut_after": "=", "objective.rollout.max_tokens": 8}
    given |= {"objective.rewards": [{"measure": "length"}], "data.context": 32}
    given |= {"objective.kind": "policy", "data.held_out": 0}
    found, page = api_audit.audit_of_data(
        "shakespeare", groups="folder", output=tmp_path / "page.html", **given
    )
    cut = found.cut[-1]
    assert cut.left_out and cut.limit == 24
    recipe = read_recipe("shakespeare", given)
    dataset: Any = recipe.data.prepare(recipe.codec)
    kept = len(CutDocuments(dataset, "train", "=", 24))
    assert cut.every.total == 27  # three hold no "="
    assert cut.every.total - cut.every.count == kept and cut.every.count > 3
    rows = {row.group: row for row in cut.groups}
    assert rows["short"].longer.count == 0 and rows["long"].longer.count == cut.every.count
    said = " ".join(api_audit.in_words(found).split())
    assert f"{cut.every.count} of 27 prompts that documents give to rollouts are longer" in said
    assert "Prompts that are too long, by folder" in page.read_text(encoding="utf-8")
