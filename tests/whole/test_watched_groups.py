"""Groups that are watched in training: the shares of what is drawn are recorded, an alarm rings
where one is out of its band and not where it is in it, and a run that was stopped says the same."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

import genwright
from commands import command
from genwright.audit import watching
from genwright.audit.groups import Grouping
from genwright.audit.watching import WatchedGroups
from genwright.core.content import Sample
from genwright.core.errors import GenwrightError
from genwright.core.groups import NONE, Judge
from genwright.evaluation.group_shares import is_limit, side
from genwright.evaluation.intervals import wilson
from genwright.runs.alarms import alarms, ringing
from genwright.runs.content import registered
from genwright.runs.request import read_recipe
from genwright.runs.resume import resumed_recipe
from genwright.runs.watch import check_draws
from genwright.training.settings import Watching
from labelled import toned_pictures
from rooms_here import needs

UPPER = "share of upper left (quadrant)"


def row(share, low, high, name=UPPER):
    return {name: share, f"{name}, low": low, f"{name}, high": high}


OUT = row(0.05, 0.02, 0.09)  # of a band from .1
IN = row(0.2, 0.15, 0.26)
FEW = row(0.05, 0.01, 0.2)  # too few samples to say
ABOVE = row(0.6, 0.5, 0.7)
BAND = Watching(groups={"quadrant": {"upper left": (0.1, 0.3)}})


def test_it_rings_after_two_in_a_row_and_once():
    history = []
    heard = []
    for each in [IN, OUT, OUT, OUT, IN, OUT, IN, ABOVE, ABOVE, {}, ABOVE]:
        history.append(each)
        heard.append(len(ringing(history, BAND)))
    assert heard == [0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize("rows", [[FEW, FEW], [OUT], [OUT, ABOVE], [IN, OUT], [OUT, FEW], []])
def test_it_does_not_ring(rows):
    assert alarms(rows, BAND) == []


def test_what_it_says():
    (text,) = alarms([OUT, OUT], BAND)
    what, remedy = text.split("; ")
    assert what == (
        f"{UPPER} left its band: 5.0% (2.0% to 9.0%) in 500 samples,"
        " and it should be 10.0% to 30.0%"
    )
    assert remedy.startswith("try ")
    assert alarms([OUT, OUT], Watching(groups={"quadrant": {}})) == []
    of_list = Watching(groups={"lists/sex.csv": {"female": (0.4, 0.6)}})
    rows = [row(0.1, 0.05, 0.2, "share of female (sex)")] * 2
    assert len(alarms(rows, of_list)) == 1


def test_groups_whose_names_begin_alike_ring_apart():
    bands = {"key": {"C: major": (0.5, 1.0), "C: minor": (0.5, 1.0)}}
    one = row(0.1, 0.05, 0.2, "share of C: major (key)")
    other = row(0.1, 0.05, 0.2, "share of C: minor (key)")
    settings = Watching(groups=bands)
    assert len(ringing([one, one, one | other, one | other], settings)) == 1


def test_an_interval_that_ends_at_the_band_is_in_it():
    assert side(row(0.05, 0.02, 0.1), UPPER, (0.1, 0.3)) == 0
    assert side(row(0.5, 0.3, 0.7), UPPER, (0.1, 0.3)) == 0
    assert side({}, UPPER, (0.1, 0.3)) == 0


def test_bands_that_are_none_are_refused():
    with pytest.raises(GenwrightError, match="upper left .quadrant. goes from 0.3 to 0.1"):
        read_recipe("moons-flow", {"watching.groups": {"quadrant": {"upper left": [0.3, 0.1]}}})
    with pytest.raises(GenwrightError, match="it must be at most 1"):
        read_recipe("moons-flow", {"watching.groups": {"quadrant": {"upper left": [0.3, 30]}}})


# ---- in a run


@pytest.fixture
def trained(tmp_path):
    """Trains points for a moment; gives (evaluations after the untrained one, events) of the
    run."""

    def train(name, groups, resume=False, **changes):
        given = {
            "training.steps": 60,
            "training.evaluate_every": 20,
            "training.checkpoint_every": 20,
            "training.batch_size": 64,
            "training.precision": "fp32",
            "training.threads": 1,
            "watching.samples": 200,
            "watching.groups": groups,
            "sampling.steps": 4,
        }
        run = tmp_path / name
        until = changes.pop("until", None)
        genwright.train(
            "moons-flow", run=run, quiet=True, resume=resume, until=until, **(given | changes)
        )
        return read(run)

    return train


def read(run):
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [each["held_out"] for each in lines if "held_out" in each]
    events = [(each["step"], each["event"]) for each in lines if "event" in each]
    shares = []
    for each in rows:
        shares.append({name: value for name, value in each.items() if name.startswith("share of")})
    return shares, events


@needs("points")
def test_a_run_rings_where_a_share_is_out_of_its_band_and_goes_on_alike(trained, tmp_path):
    lines, events = trained("out", {"quadrant": {"upper left": [0.9, 1.0]}})
    assert len(lines) == 4  # the untrained one, too
    for each in lines:
        names = [name for name in each if not is_limit(name)]
        assert UPPER in names and len(each) == 3 * len(names)
        assert sum(each[name] for name in names) == pytest.approx(1)
        count = round(200 * each[UPPER])
        assert (each[f"{UPPER}, low"], each[f"{UPPER}, high"]) == pytest.approx(wilson(count, 200))
    assert [step for step, _ in events] == [40]
    assert events[0][1].startswith(f"{UPPER} left its band: ")
    for until in (30, 40):
        trained(f"stopped {until}", {"quadrant": {"upper left": [0.9, 1.0]}}, until=until)
        again = trained(f"stopped {until}", {"quadrant": {"upper left": [0.9, 1.0]}}, resume=True)
        assert again == (lines, events)
    genwright.load(tmp_path / "out").evaluate(samples=16)
    html = genwright.report([tmp_path / "out"], tmp_path / "r.html").read_text(encoding="utf-8")
    assert UPPER in html and "band, from" in html and "200 samples" in html
    assert f"{UPPER}, low" not in html


@needs("points")
def test_a_run_does_not_ring_where_shares_are_in_their_bands(trained):
    bands = {"upper left": [0.05, 0.6], "lower right": [0.05, 0.6]}
    lines, events = trained("in", {"quadrant": bands})
    assert events == []
    assert 0.05 < lines[-1][UPPER] < 0.6
    without, _ = trained("without", {"quadrant": {}})
    assert without == lines  # bands change nothing of what is drawn


@needs("points")
def test_a_run_stops_where_it_is_asked_to(trained):
    bands = {"quadrant": {"upper left": [0.9, 1.0]}}
    lines, events = trained("stop", bands, **{"watching.on_alarm": "stop"})
    assert len(lines) == 3 and events[-1][0] == 40


@needs("points")
def test_what_cannot_be_watched_is_refused_before_the_run_begins(trained, tmp_path):
    with pytest.raises(GenwrightError, match="'quadrat' gives no groups") as raised:
        trained("a", {"quadrat": {}})
    assert "quadrant" in raised.value.remedy
    with pytest.raises(GenwrightError, match="a band for 'upper lft', and the data have no such"):
        trained("b", {"quadrant": {"upper lft": [0, 1]}})
    with pytest.raises(GenwrightError, match="watching.samples is 0"):
        trained("c", {"quadrant": {}}, **{"watching.samples": 0})
    assert not [path.name for path in tmp_path.iterdir() if (path / "recipe.yaml").exists()]


def test_resuming_may_change_what_is_watched():
    saved = read_recipe("moons-flow", {"watching.groups": {"quadrant": {"upper left": [0.1, 0.3]}}})
    asked = read_recipe("moons-flow", {"watching.groups": {"lists/a.b.csv": {"x.y": [0.2, 0.3]}}})
    recipe, _ = resumed_recipe(asked, saved, [])
    assert recipe.watching.groups == {"lists/a.b.csv": {"x.y": (0.2, 0.3)}}
    nothing, _ = resumed_recipe(read_recipe("moons-flow", {}), saved, [])
    assert nothing.watching.groups == {}


# ---- words


@needs("text")
def test_what_draws_no_text_is_refused_before_the_run_begins(tmp_path):
    (tmp_path / "texts").mkdir()
    for number in range(20):
        (tmp_path / "texts" / f"{number}.txt").write_text("he and she " * (20 + number))
    (tmp_path / "sex.csv").write_text("she,female\nhe,male\n")
    given = {
        "data.path": str(tmp_path / "texts"),
        "data.source": "files",
        "data.cache": str(tmp_path / "cache"),
        "data.context": 16,
        "model.depth": 1,
        "model.width": 32,
        "model.heads": 2,
        "codec": "bytes",
        "training.precision": "fp32",
        "watching.samples": 4,
        "watching.groups": {str(tmp_path / "sex.csv"): {}},
    }
    with pytest.raises(GenwrightError, match="none can be drawn: this model sees both sides"):
        genwright.train("docs-masked", run=tmp_path / "run", quiet=True, **given)
    assert not (tmp_path / "run" / "recipe.yaml").exists()
    shared = SimpleNamespace(strategy="fsdp", size=2)
    with pytest.raises(GenwrightError, match="weights that are shared out cannot"):
        check_draws(None, registered("text"), shared)


@needs("text")
def test_texts_of_a_planted_share_ring_by_their_words(tmp_path):
    folder = tmp_path / "texts"
    folder.mkdir()
    draws = np.random.default_rng(0)
    for number in range(40):
        words = np.where(draws.random(60) < 0.9, "he", "she")
        (folder / f"{number}.txt").write_text(" ".join(words))
    (tmp_path / "sex.csv").write_text("she,female\nhe,male\n")
    given = {
        "data.path": str(folder),
        "data.source": "files",
        "data.cache": str(tmp_path / "cache"),
        "data.context": 32,
        "codec": "bytes",
        "model.depth": 1,
        "model.width": 32,
        "model.heads": 2,
        "sampling.max_tokens": 48,
        "training.steps": 60,
        "training.evaluate_every": 20,
        "training.batch_size": 16,
        "training.precision": "fp32",
        "training.threads": 1,
        "watching.samples": 60,
    }
    found = {}
    for name, band in (("even", [0.4, 0.6]), ("planted", [0.7, 1.0])):
        groups = {str(tmp_path / "sex.csv"): {"male": band}}
        run = tmp_path / name
        genwright.train("shakespeare", run=run, quiet=True, **(given | {"watching.groups": groups}))
        found[name] = read(run)
    lines, events = found["even"]
    last = lines[-1]
    assert 0.75 < last["share of male (sex)"] < 1
    assert last["share of female (sex)"] == pytest.approx(1 - last["share of male (sex)"])
    assert [text.split(" left")[0] for _, text in events] == ["share of male (sex)"]
    assert found["planted"] == (lines, [])


# ---- what a judge says


def test_a_judge_tells_what_only_the_data_say():
    tones = ("light", "dark", NONE)

    def of(samples):
        return np.eye(3)[[sample.content for sample in samples]]

    truth = np.repeat([0, 1, 2], 100)
    held_out = np.eye(3)[truth]
    watched = WatchedGroups.__new__(WatchedGroups)
    watched.groupings = [Grouping("tone", "", None)]
    watched.order = {"tone": tones[:2]}
    watched.judges = {"tone": Judge(tones, of, "", truth, held_out, np.arange(300))}
    samples = [Sample(place) for place in [0] * 30 + [1] * 90 + [2] * 80]
    found = watched.measured(samples)
    assert found["share of light (tone)"] == pytest.approx(0.25, abs=0.02)
    assert found["share of dark (tone)"] == pytest.approx(0.75, abs=0.02)
    assert found["share of light (tone), low"] < 0.25 < found["share of light (tone), high"]
    assert not any(NONE in name for name in found)
    assert watched.measured([Sample(2)] * 20) == {}


def test_a_judge_that_says_nothing_ends_no_run(monkeypatch, caplog):
    def at_chance(*given):
        raise GenwrightError("the classifier is at chance", "leave it out")

    monkeypatch.setattr(watching, "judged_samples", at_chance)
    watched = WatchedGroups.__new__(WatchedGroups)
    watched.groupings = [Grouping("tone", "", None)]
    watched.order = {"tone": ("light", "dark")}
    watched.judges = {"tone": None}
    assert watched.measured([Sample(0)]) == {}
    assert "shares of tone are not known: the classifier is at chance" in caplog.text


@needs("images")
def test_what_nothing_tells_in_samples_is_refused(tmp_path, monkeypatch):
    """Pictures with two tones each: no judge says one of them. Of one tone there are too few."""
    from genwright.contents.images import known

    folder = toned_pictures(tmp_path / "pictures", ['"light,dark"'] * 40)
    given = {
        "data.path": str(folder),
        "data.source": "files",
        "data.cache": str(tmp_path / "cache"),
        "codec.size": 8,
        "training.steps": 2,
        "training.batch_size": 8,
        "training.precision": "fp32",
        "model.width": 8,
        "watching.samples": 8,
        "watching.groups": {"tone": {}},
    }
    with pytest.raises(GenwrightError, match="nothing tells the tone of a picture that was made"):
        genwright.train("emoji-flow", run=tmp_path / "run", quiet=True, **given)
    lines = [
        "file,tone",
        *(f"{number}.png,{'light' if number % 2 else 'dark'}" for number in range(40)),
    ]
    lines[1] = "0.png,medium"
    (folder / "attributes.csv").write_text("\n".join(lines), encoding="utf-8")
    given |= {"watching.groups": {"tone": {"medium": [0, 1]}}, "data.held_out": 0}
    monkeypatch.setattr(known, "LEAST", 500)
    monkeypatch.setattr(known, "MOST", 500)
    with pytest.raises(GenwrightError, match="too few examples are medium .tone. for a network"):
        genwright.train("emoji-flow", run=tmp_path / "again", quiet=True, **given)


@needs("images")
def test_pictures_are_told_by_a_network_that_learned_from_the_data(tmp_path, monkeypatch):
    from PIL import Image

    from genwright.contents.images import known

    monkeypatch.setattr(known, "LEAST", 6000)
    monkeypatch.setattr(known, "MOST", 6000)
    folder = tmp_path / "pictures"
    folder.mkdir()
    lines = ["file,tone"]
    for number in range(200):
        is_light = number % 5 == 0
        grey = (200 if is_light else 40) + number % 40
        Image.new("RGB", (8, 8), (grey, grey, grey)).save(folder / f"{number}.png")
        lines.append(f"{number}.png,{'light' if is_light else 'dark'}")
    (folder / "attributes.csv").write_text("\n".join(lines), encoding="utf-8")
    given = {
        "data.path": str(folder),
        "data.source": "files",
        "data.cache": str(tmp_path / "cache"),
        "data.held_out": 0.3,
        "codec.size": 8,
        "training.steps": 4,
        "training.evaluate_every": 2,
        "training.batch_size": 16,
        "training.precision": "fp32",
        "training.threads": 1,
        "model.width": 8,
        "sampling.steps": 2,
        "watching.samples": 40,
        "watching.groups": {"tone": {"light": [0, 1]}},
    }
    genwright.train("emoji-flow", run=tmp_path / "run", quiet=True, **given)
    lines, events = read(tmp_path / "run")
    assert len(lines) == 3 and not events
    for each in lines:
        assert each["share of light (tone)"] + each["share of dark (tone)"] == pytest.approx(1)
        assert each["share of light (tone), low"] <= each["share of light (tone)"]


@pytest.mark.parametrize(
    ("groups", "match"),
    [
        ({"quadrand": {}}, "'quadrand' gives no groups"),
        ({"quadrant": {"uper left": (0.1, 0.3)}}, "a band for 'uper left'"),
    ],
)
def test_inspect_refuses_watched_groups_that_are_none(groups, match):
    given = {"watching.groups": groups, "watching.samples": 20, "training.steps": 2}
    with pytest.raises(GenwrightError, match=match):
        genwright.inspect("moons-flow", **given)
    with pytest.raises(GenwrightError, match="watching.samples is 0"):
        genwright.inspect("moons-flow", **given | {"watching.samples": 0})
    good = given | {"watching.groups": {"quadrant": {"upper left": (0.1, 0.3)}}}
    assert genwright.inspect("moons-flow", **good).facts


def test_an_alarm_is_seen_with_quiet(tmp_path, capsys):
    """Half of the samples are never in one quadrant."""
    words = ["training.steps=6", "training.evaluate_every=2", "watching.samples=200"]
    words += ["training.precision=fp32", "training.threads=1", "sampling.steps=2"]
    words += ['watching.groups:={"quadrant":{"upper left":[0.9,1.0]}}']
    code, _, shown = command(
        capsys, "train", "moons-flow", "--run", tmp_path / "run", "--quiet", *words
    )
    assert code == 0
    lines = shown.strip().splitlines()
    assert len(lines) == 1 and "upper left (quadrant) left its band" in lines[0]
