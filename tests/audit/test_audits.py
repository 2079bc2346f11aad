"""Audits of data, of a run, of two runs: figures against counts made by hand."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from genwright import api_audit
from genwright.api import load, train
from genwright.core.errors import GenwrightError

LEXICON = "word,group\nshe,female\nher,female\nhe,male\nhis,male\n"
CHANGES: dict[str, Any] = {
    "data.source": "files",
    "data.held_out": 0.2,
    "data.context": 32,
    "data.split": "documents",
    "codec": "bytes",
    "model.depth": 1,
    "model.width": 32,
    "model.heads": 2,
    "training.steps": 4,
    "training.batch_size": 4,
    "training.precision": "fp32",
    "training.threads": 1,
    "training.evaluate_every": 0,
    "training.checkpoint_every": 0,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """60 documents of two folders, of which 45 say she and 15 say he; and a list of words."""
    root = tmp_path_factory.mktemp("audits")
    for number in range(60):
        word = "he" if number % 4 == 0 else "she"
        place = root / "texts" / ("first" if number < 40 else "second")
        place.mkdir(parents=True, exist_ok=True)
        text = f"Line {number}: {word} sings to {number * 7919 % 1000} birds.\n"
        (place / f"{number:02}.txt").write_text(text, encoding="utf-8")
    (root / "gender.csv").write_text(LEXICON, encoding="utf-8")
    return root


def changes(folder: Path) -> dict[str, Any]:
    return CHANGES | {"data.path": str(folder / "texts"), "data.cache": str(folder / "cache")}


@pytest.fixture(scope="module")
def run(folder: Path) -> Path:
    place = folder / "runs" / "before"
    train("shakespeare", run=place, quiet=True, **changes(folder))
    return place


def count_words(folder: Path, split: str) -> dict[str, int]:
    """Counted from the names of the documents of a split, without the audit's code."""
    from genwright.runs.request import read_recipe

    recipe = read_recipe("shakespeare", changes(folder))
    dataset = recipe.data.prepare(recipe.codec)
    found = {"female": 0, "male": 0}
    for name, _ in dataset.documents(split):
        number = int(Path(name).stem)
        found["male" if number % 4 == 0 else "female"] += 1
    return found


def loss_by_hand(folder: Path) -> float:
    """Nats a byte over the held-out documents, each behind the end token, one at a time."""
    run = load(folder)
    dataset: Any = run.dataset()
    end = run.codec.space.special["end"]
    total = 0.0
    count = 0
    for _, tokens in dataset.documents("held_out"):
        ids = torch.tensor([[end, *tokens.tolist()][:33]])
        with torch.no_grad():
            scores = run.model(ids[:, :-1]).log_softmax(-1)
        total -= float(scores[0].gather(1, ids[0, 1:, None]).sum())
        count += ids.shape[1] - 1
    return total / count


def test_data_shares_are_what_was_counted(folder: Path, tmp_path: Path) -> None:
    groups = f"{folder / 'gender.csv'},folder"
    found, page = api_audit.audit_of_data(
        "shakespeare",
        groups=groups,
        target="gender=uniform",
        output=tmp_path / "page.html",
        **changes(folder),
    )
    gender, place = found.groups
    wanted = count_words(folder, "train")
    assert {share.group: share.count for share in gender.shares} == wanted
    assert gender.distances is not None
    total = sum(wanted.values())
    assert gender.distances.tv.value == pytest.approx(abs(wanted["female"] / total - 0.5))
    assert gender.shares[0].share == pytest.approx(wanted["female"] / total)
    assert place.target is None
    assert sum(share.count for share in place.shares) == total
    crossed = {cell.groups: cell.share.count for cell in found.crossed[0].cells}
    assert sum(crossed.values()) == total
    html = page.read_text(encoding="utf-8")
    assert "Groups in the data of" in html
    rows = list(
        csv.DictReader((tmp_path / "page-shares.csv").read_text(encoding="utf-8").splitlines())
    )
    kept = {row["group"]: int(row["count"]) for row in rows if row["grouping"] == "gender"}
    assert kept == wanted


def test_a_run_is_audited_beside_its_data_and_kept(folder: Path, run: Path) -> None:
    groups = str(folder / "gender.csv")
    found, page = api_audit.audit_of_run(run, groups=groups, target="data", n=12, conditions=0)
    assert (found.samples, found.measured) == (12, 12)
    own = found.groups[0]
    wanted = count_words(folder, "train")
    assert {share.group: share.count for share in own.data.shares} == wanted
    kept = json.loads(next((run / "audits").glob("*.json")).read_text(encoding="utf-8"))
    assert kept["groups"][0]["data"]["shares"][0]["count"] == wanted["female"]
    held_out = count_words(folder, "held_out")
    assert {loss.group: loss.examples for loss in own.losses} == held_out
    assert found.loss == pytest.approx(loss_by_hand(run), rel=1e-5)
    assert found.loss_low is not None and found.loss_high is not None
    assert found.loss_low < found.loss < found.loss_high
    assert sum(kept["held_out"]["counts"]) > 12 and len(kept["held_out"]["totals"]) == 12
    members = kept["groups"][0]["members"]
    assert {group: len(rows) for group, rows in members.items()} == held_out
    assert "Groups that before makes" in page.read_text(encoding="utf-8")
    assert "samples - data" in api_audit.in_words(found)


def test_the_same_seed_gives_the_same_audit(folder: Path, run: Path) -> None:
    groups = str(folder / "gender.csv")
    one, _ = api_audit.audit_of_run(run, groups=groups, n=8)
    other, _ = api_audit.audit_of_run(run, groups=groups, n=8)
    assert one == other or json.dumps(one.to_json()) == json.dumps(other.to_json())


def test_two_audited_runs_are_compared(folder: Path, run: Path) -> None:
    import shutil

    groups = str(folder / "gender.csv")
    other = folder / "runs" / "after"
    shutil.copytree(run, other)
    api_audit.audit_of_run(run, groups=groups, target="data", n=8)
    api_audit.audit_of_run(other, groups=groups, target="data", n=8)
    found, page = api_audit.audit_compare(run, other)
    assert (found.before, found.after, found.samples) == ("before", "after", (8, 8))
    assert all(row.change.value == 0 or row.before.total == 0 for row in found.groups[0].changed)
    assert found.prices[0].worse == 0
    assert found.prices[0].low == found.prices[0].high == 0  # the same losses, one by one
    assert "before and after" in page.read_text(encoding="utf-8")
    assert "held-out loss" in api_audit.in_words(found)


def test_runs_that_were_not_audited_are_not_compared(folder: Path, run: Path) -> None:
    import shutil

    other = folder / "runs" / "fresh"
    shutil.copytree(run, other)
    shutil.rmtree(other / "audits", ignore_errors=True)
    with pytest.raises(GenwrightError, match="was not audited"):
        api_audit.audit_compare(other, run)


def test_no_samples_are_refused(run: Path) -> None:
    with pytest.raises(GenwrightError, match="-n is 0"):
        api_audit.audit_of_run(run, groups="language", n=0)


def test_texts_cannot_be_asked_for_values_in_turn(run: Path) -> None:
    with pytest.raises(GenwrightError, match="cannot be asked for the values of folder in turn"):
        api_audit.audit_of_run(run, groups="language", n=4, evenly="folder")


def test_fewer_samples_of_conditions_than_none_are_refused(run: Path) -> None:
    with pytest.raises(GenwrightError, match="conditions is -1"):
        api_audit.audit_of_run(run, groups="language", n=2, conditions=-1)


def test_what_no_sample_shows_is_refused(run: Path) -> None:
    with pytest.raises(GenwrightError, match="none of the groups folder can be found in samples"):
        api_audit.audit_of_run(run, groups="folder", n=4)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GenwrightError, match="is not a run"):
        api_audit.audit_of_run(tmp_path, groups="language", n=4)


def test_a_target_of_what_is_not_audited_is_refused(folder: Path) -> None:
    with pytest.raises(GenwrightError, match="a target of tone"):
        api_audit.audit_of_data(
            "shakespeare",
            groups=str(folder / "gender.csv"),
            target="tone=uniform",
            **changes(folder),
        )


def test_a_run_that_draws_no_samples_is_refused(folder: Path) -> None:
    place = folder / "runs" / "masked"
    masked = changes(folder)
    train("docs-masked", run=place, quiet=True, **masked)
    with pytest.raises(GenwrightError, match="masked gives no samples to audit"):
        api_audit.audit_of_run(place, groups=str(folder / "gender.csv"), n=4)


def test_groups_of_fewer_than_five_have_no_rate(folder: Path, tmp_path: Path) -> None:
    rare = tmp_path / "rare.csv"
    rare.write_text("word,group\nshe,female\n4,four\n", encoding="utf-8")
    found, page = api_audit.audit_of_data(
        "shakespeare", groups=str(rare), output=tmp_path / "page.html", **changes(folder)
    )
    four = next(share for share in found.groups[0].shares if share.group == "four")
    assert four.examples == 1 and four.small
    assert any("four (1)" in remark for remark in found.remarks)
    line = next(line for line in api_audit.in_words(found).splitlines() if line.startswith("four "))
    assert "too few" in line and "%" not in line
    rows = list(
        csv.DictReader((tmp_path / "page-shares.csv").read_text(encoding="utf-8").splitlines())
    )
    row = next(row for row in rows if row["group"] == "four")
    assert (row["share"], row["low"], row["note"]) == ("", "", "too few")
    assert "<script" not in page.read_text(encoding="utf-8")


def test_names_are_escaped_on_the_page(folder: Path, tmp_path: Path) -> None:
    words = tmp_path / "tags.csv"
    words.write_text("word,group\nshe,<b>a</b>\nhe,x & y\n", encoding="utf-8")
    _, page = api_audit.audit_of_data(
        "shakespeare", groups=str(words), output=tmp_path / "page.html", **changes(folder)
    )
    html = page.read_text(encoding="utf-8")
    assert "<b>a</b>" not in html
    assert "&lt;b&gt;a&lt;/b&gt;" in html and "x &amp; y" in html


def test_a_balance_is_said_beside_the_shares_of_the_data(folder: Path, tmp_path: Path) -> None:
    balanced = changes(folder) | {
        "data.lexicons": {"gender": str(folder / "gender.csv")},
        "data.balance": {"gender": "uniform"},
    }
    found, _ = api_audit.audit_of_data(
        "shakespeare",
        groups=str(folder / "gender.csv"),
        output=tmp_path / "page.html",
        **balanced,
    )
    assert {share.group: share.count for share in found.groups[0].shares} == count_words(
        folder, "train"
    )
    assert any("gender is balanced by sampling" in each for each in found.remarks)


def test_swapped_twins_are_counted_and_said_to_be(folder: Path, tmp_path: Path) -> None:
    swaps = tmp_path / "swaps.csv"
    swaps.write_text("he,she\n", encoding="utf-8")
    found, _ = api_audit.audit_of_data(
        "shakespeare",
        groups=str(folder / "gender.csv"),
        output=tmp_path / "page.html",
        **(changes(folder) | {"data.swap": str(swaps)}),
    )
    documents = sum(count_words(folder, "train").values())
    assert [share.count for share in found.groups[0].shares] == [documents, documents]
    assert any("a swapped twin is one" in each for each in found.remarks)
    assert found.clusters == documents, "a document and its twin are not independent"


def test_a_page_that_cannot_be_written_is_one_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    groups = str(folder / "gender.csv")
    with pytest.raises(GenwrightError, match="cannot be written"):
        api_audit.audit_of_data(
            "shakespeare",
            groups=groups,
            output=tmp_path / "file" / "page.html",
            **changes(folder),
        )


def test_an_audit_that_cannot_be_read_or_kept_is_one_sentence(folder: Path, run: Path) -> None:
    import shutil

    other = folder / "runs" / "damaged"
    shutil.copytree(run, other)
    shutil.rmtree(other / "audits", ignore_errors=True)
    (other / "audits").write_text("no folder")
    with pytest.raises(GenwrightError, match="cannot be written"):
        api_audit.audit_of_run(other, groups=str(folder / "gender.csv"), n=2)
    (other / "audits").unlink()
    (other / "audits").mkdir()
    (other / "audits" / "step-0.json").write_bytes(b"\xff\xfe")
    with pytest.raises(GenwrightError, match="cannot be read"):
        api_audit.audit_compare(other, other)


def test_remarks_on_samples_name_them_once(folder: Path, run: Path) -> None:
    found, _ = api_audit.audit_of_run(run, groups=str(folder / "gender.csv"), n=2)
    assert not any("samples of samples" in remark for remark in found.remarks)
    assert any("fewer than 5 samples are" in remark for remark in found.remarks)


def test_a_list_of_words_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    words = tmp_path / "gender.csv"
    words.write_text(LEXICON, encoding="utf-8")
    _, page = api_audit.audit_of_data(
        "shakespeare", groups=str(words), output=tmp_path / "gender.html", **changes(folder)
    )
    assert words.read_text(encoding="utf-8") == LEXICON
    assert page.with_name("gender-shares.csv").is_file()


def test_a_page_is_html(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(GenwrightError, match="is to hold a page of HTML"):
        api_audit.audit_of_data("shakespeare", output=tmp_path / "page.pdf", **changes(folder))


def test_audits_by_other_groups_stand_beside_each_other(folder: Path, run: Path) -> None:
    import shutil

    one = folder / "runs" / "one"
    other = folder / "runs" / "other"
    for place in (one, other):
        shutil.copytree(run, place)
        shutil.rmtree(place / "audits", ignore_errors=True)
    gender = str(folder / "gender.csv")
    api_audit.audit_of_run(one, groups=gender, n=8)
    api_audit.audit_of_run(one, groups="ending", n=8)
    api_audit.audit_of_run(other, groups="ending", n=8)
    api_audit.audit_of_run(other, groups=gender, n=8)
    assert len(list((one / "audits").glob("*.json"))) == 2
    found, _ = api_audit.audit_compare(one, other)
    assert sorted(each.grouping for each in found.groups) == ["ending", "gender"]


def test_an_earlier_audit_is_kept_beside_the_newest(folder: Path, run: Path) -> None:
    import shutil

    place = folder / "runs" / "twice"
    shutil.copytree(run, place)
    shutil.rmtree(place / "audits", ignore_errors=True)
    for page in place.glob("audit*"):
        page.unlink()
    gender = str(folder / "gender.csv")
    api_audit.audit_of_run(place, groups=gender, n=4)
    earlier = {path.name: path.read_bytes() for path in place.glob("audit*") if path.is_file()}
    assert sorted(earlier) == ["audit-shares.csv", "audit.html"]
    (first,) = (place / "audits").glob("*.json")
    of_first = first.read_bytes()
    api_audit.audit_of_run(place, groups=gender, n=8)
    assert (place / "audit.1.html").read_bytes() == earlier["audit.html"]
    assert (place / "audit.1-shares.csv").read_bytes() == earlier["audit-shares.csv"]
    assert "8 samples of step" in (place / "audit.html").read_text(encoding="utf-8")
    assert first.with_name(f"{first.stem}.1.json").read_bytes() == of_first
    assert json.loads(first.read_text())["samples"] == 8
    # the same once more: nothing new in its file
    api_audit.audit_of_run(place, groups=gender, n=8)
    assert len(list((place / "audits").glob("*.json"))) == 2
    found, page = api_audit.audit_compare(place, place)
    assert found.samples == (8, 8)
    of_two = page.read_bytes()
    api_audit.audit_compare(place, place)
    assert (page.with_name("audit-compared.1.html")).read_bytes() == of_two
    from genwright.audit.card_audits import audits_of

    assert [audit.samples for audit in audits_of(place)] == [8]


def test_a_run_prints_both_distances(folder: Path, run: Path) -> None:
    gender = str(folder / "gender.csv")
    found, page = api_audit.audit_of_run(run, groups=gender, target="uniform", n=8)
    said = " ".join(api_audit.in_words(found).split())
    assert "data: KL divergence to the target: " in said
    assert "data: KL divergence to the target: " in page.read_text(encoding="utf-8")


def test_data_that_say_nothing_give_no_nan(folder: Path, run: Path, tmp_path: Path) -> None:
    words = tmp_path / "colours.csv"
    words.write_text("word,group\nred,warm\nblue,cold\n", encoding="utf-8")
    found, page = api_audit.audit_of_data(
        "shakespeare", groups=str(words), output=tmp_path / "page.html", **changes(folder)
    )
    of_run, of_run_page = api_audit.audit_of_run(
        run, groups=str(words), n=4, output=tmp_path / "run.html"
    )
    api_audit.audit_of_run(run, groups=str(words), n=4)
    compared, of_both = api_audit.audit_compare(run, run, output=tmp_path / "both.html")
    for each in (found, of_run, compared):
        assert "nan" not in api_audit.in_words(each)
    assert "none of 48 examples says anything of colours" in api_audit.in_words(found)
    for each in (page, of_run_page, of_both):
        body = each.read_text(encoding="utf-8").partition("<main>")[2]
        assert "nan" not in body
    assert "nan" not in (tmp_path / "run-shares.csv").read_text(encoding="utf-8")


def test_what_cannot_be_read_is_said_without_numbers_of_errors(folder: Path) -> None:
    given = changes(folder)

    def of_words() -> Any:
        return api_audit.audit_of_data("shakespeare", groups="words.csv", **given)

    def of_target() -> Any:
        return api_audit.audit_of_data("shakespeare", target="wanted.yaml", **given)

    def of_pairs() -> Any:
        return api_audit.audit_pairs(folder, "crows.csv", kind="crows-pairs")

    for name, call in (("words", of_words), ("wanted", of_target), ("crows", of_pairs)):
        with pytest.raises(GenwrightError, match=name) as problem:
            call()
        assert "Errno" not in str(problem.value)
        assert "No such file or directory" in problem.value.what and problem.value.remedy


@pytest.mark.parametrize("content", ["folder of", "bytes"])
def test_lists_that_cannot_be_read_are_said_in_words(tmp_path: Path, content: str) -> None:
    from genwright.contents.text.counterfactual import read_swaps
    from genwright.core.lexicon import read_lexicon

    path = tmp_path / "words.csv"
    if content == "bytes":
        path.write_bytes(b"he,\xff\n")
    for read in (read_swaps, read_lexicon):
        with pytest.raises(GenwrightError, match="words.csv") as problem:
            read(path)
        assert "Errno" not in str(problem.value) and "codec" not in str(problem.value)


def test_weights_and_arrays_that_are_not_there_are_said_in_words(tmp_path: Path) -> None:
    from genwright.contents.images import inception, npz_arrays

    for read in (inception.load, npz_arrays.load):
        with pytest.raises(GenwrightError, match="cannot be read: No such file") as problem:
            read(str(tmp_path / "missing"))
        assert "Errno" not in str(problem.value)
