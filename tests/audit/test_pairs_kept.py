"""What was measured on pairs of sentences is kept in the run, and stands on its page."""

import json
import shutil
from pathlib import Path

import pytest
from pair_folders import crows_file, folder_of, wino_files
from test_audits import folder, run  # noqa: F401 - fixtures

from genwright import api_audit, api_card
from genwright.audit.card_audits import audits_of
from genwright.audit.page_pairs import BEGIN, END
from genwright.core.errors import GenwrightError


@pytest.fixture
def mine(folder: Path, run: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A run that nothing was audited of."""
    place = tmp_path / "mine"
    shutil.copytree(run, place)
    shutil.rmtree(place / "audits", ignore_errors=True)
    for page in place.glob("audit*"):
        page.unlink()
    return place


@pytest.fixture
def swaps(tmp_path: Path) -> Path:
    path = tmp_path / "swaps.csv"
    path.write_text("he,she\nhis,her\n", encoding="utf-8")
    return path


def test_pairs_are_kept_and_shown_with_interval_and_score(mine: Path, tmp_path: Path) -> None:
    found = api_audit.audit_pairs(mine, crows_file(tmp_path / "crows_pairs.csv"))
    (path,) = (mine / "audits").glob("pairs-*.json")
    kept = json.loads(path.read_text(encoding="utf-8"))
    assert kept["rates"][0]["share"] == found.rates[0].share
    assert (kept["step"], kept["weights"]) == (4, found.weights)
    rate = found.rates[0]
    html = (mine / "audit.html").read_text(encoding="utf-8")
    assert f"<b>{rate.share:.1%}</b> <small>{rate.low:.1%} to {rate.high:.1%}</small>" in html
    assert f"{found.nats_per_token:.3f} nats a token" in html
    api_audit.audit_pairs(mine, wino_files(tmp_path))
    html = (mine / "audit.html").read_text(encoding="utf-8")
    assert "crows_pairs.csv" in html and "pro_stereotyped_type1" in html
    assert html.count(BEGIN) == html.count(END) == 1


def test_gaps_stand_on_the_page_of_an_audit_before_and_after_it(
    folder: Path,  # noqa: F811
    mine: Path,
    swaps: Path,
) -> None:
    gender = str(folder / "gender.csv")
    api_audit.audit_of_run(mine, groups=gender, n=4)
    found = api_audit.audit_gaps(mine, swaps)
    html = (mine / "audit.html").read_text(encoding="utf-8")
    mean = found.gaps[0]
    shown = f"<b>{mean.mean:.3f}</b> <small>{mean.low:.3f} to {mean.high:.3f}</small>"
    assert shown in html and "Groups that mine makes" in html
    assert f"{found.nats_per_token:.3f} nats a token" in html and "nats a token" in str(found)
    api_audit.audit_of_run(mine, groups=gender, n=8)
    assert shown in (mine / "audit.html").read_text(encoding="utf-8")
    # audits of groups are read beside it, by cards, too
    assert [audit.samples for audit in audits_of(mine)] == [8]
    assert api_audit.audit_compare(mine, mine)[0].samples == (8, 8)
    fewer = api_audit.audit_gaps(mine, swaps, n=6)
    kept = sorted((mine / "audits").glob("gaps-*.json"))
    assert len(kept) == 2
    read = [json.loads(path.read_text(encoding="utf-8"))["read"] for path in kept]
    assert read == [found.read, fewer.read]


def test_a_page_of_another_version_is_added_to(mine: Path, swaps: Path) -> None:
    (mine / "audit.html").write_text("<html><body><main>earlier</main></body></html>")
    api_audit.audit_gaps(mine, swaps)
    html = (mine / "audit.html").read_text(encoding="utf-8")
    assert html.startswith("<html><body><main>earlier") and "nats a document" in html
    assert html.endswith("</main></body></html>")


def test_damaged_figures_are_named(mine: Path, swaps: Path) -> None:
    (mine / "audits").mkdir()
    (mine / "audits" / "pairs-00000004-raw-0.json").write_text("{}")
    with pytest.raises(GenwrightError, match="pairs-00000004-raw-0.json is not as this version"):
        api_audit.audit_gaps(mine, swaps)


def test_nothing_is_kept_in_a_hugging_face_folder(tmp_path: Path) -> None:
    place = tmp_path / "weights"
    place.mkdir()
    folder_of(place, "Llama")
    before = sorted(path.name for path in place.iterdir())
    api_audit.audit_pairs(place, crows_file(tmp_path / "crows_pairs.csv"))
    assert sorted(path.name for path in place.iterdir()) == before
    assert api_audit.page_of_pairs(place) is None


def test_pairs_stand_on_the_card_of_a_run(mine: Path, swaps: Path, tmp_path: Path) -> None:
    api_card.card(mine, output=tmp_path / "plain")
    plain = json.loads((tmp_path / "plain" / "model-card.json").read_text(encoding="utf-8"))
    assert "pairs_of_sentences" not in plain["quantitative_analyses"]

    found = api_audit.audit_pairs(mine, crows_file(tmp_path / "crows_pairs.csv"))
    api_audit.audit_gaps(mine, swaps)
    api_card.card(mine, output=tmp_path / "card")
    kept = json.loads((tmp_path / "card" / "model-card.json").read_text(encoding="utf-8"))
    pairs, gaps = kept["quantitative_analyses"]["pairs_of_sentences"]
    assert (pairs["measured"], gaps["measured"]) == ("pairs", "gaps")
    assert pairs["rates"][0]["share"] == found.rates[0].share
    (page,) = (tmp_path / "card").glob("*.html")
    html = page.read_text(encoding="utf-8")
    assert f"<b>{found.rates[0].share:.1%}</b>" in html
    assert "take them for a second opinion" in html
