"""What a page of several runs begins with."""

import math

from genwright.evaluation.figure import Figure
from genwright.reporting.comparison import better, settings_that_differ
from genwright.reporting.page import RunData
from pages import page_of


def figure(value, direction="lower", ceilings=None, floors=None, name="loss, held out"):
    return Figure(name, value, "nats/token", 100, "tokens", floors or {}, ceilings or {}, direction)


def run_of(name, value, depth, seconds=1.0):
    recipe = (
        f"description: of {name}\nmodel: {{depth: {depth}, width: 64}}\ntraining: {{steps: 5}}\n"
    )
    records = [{"step": 5, "loss": value, "seconds": seconds}]
    return RunData(name, recipe=recipe, figures=[figure(value)], records=records)


def test_the_better_value_is_marked_once_and_settings_that_differ_are_named(tmp_path):
    page, text = page_of(tmp_path, run_of("small", 2.5, 2), run_of("large", 2.25, 4, 60.0))
    compared = text[text.index("<h2>Compared</h2>") : text.index("<h2>Curves</h2>")]
    assert compared.count('class="better"') == 1
    assert '<b>2.25</b><small class="better">better</small>' in compared
    assert "another seed would move it" in page.text
    assert "model.depth" in compared and "model.width" not in compared
    assert "description" not in compared
    assert "0:00:01" in compared and "0:01:00" in compared, "what it cost stands beside"


def test_one_run_is_compared_with_nothing(tmp_path):
    _, text = page_of(tmp_path, run_of("small", 2.5, 2))
    assert "Compared" not in text


def test_runs_that_cannot_be_compared_have_no_better_value(tmp_path):
    one, other = run_of("one", 2.5, 2), run_of("other", 2.0, 2)
    data = {"kind": "text", "source": "files", "files": 3, "train": {"documents": 3}}
    changed = {**data, "files": 9}
    runs = [
        RunData("one", recipe=one.recipe, figures=one.figures, data={**data, "digest": "a"}),
        RunData(
            "other", recipe=other.recipe, figures=other.figures, data={**changed, "digest": "b"}
        ),
    ]
    page, text = page_of(tmp_path, *runs)
    assert 'class="better"' not in text and "cannot be compared directly" in page.text


def test_what_is_better():
    assert better([figure(2.0), figure(1.0), figure(3.0)]) == [1]
    assert better([figure(2.0, "higher"), figure(1.0, "higher")]) == [0]
    assert better([figure(1.0), None, figure(2.0)]) == [0]
    assert better([figure(math.nan), figure(2.0), figure(3.0)]) == [1]
    assert better([figure(1.0), figure(1.0), figure(2.0)]) == [0, 1]
    # not as printed
    assert better([figure(1.00001), figure(1.00002)]) == []
    # near what real data have; without that nothing is better
    near = [figure(value, "near", {"real": 5.0}, {"noise": 0.0}) for value in (4.0, 5.5)]
    assert better(near) == [1]
    assert better([figure(4.0, "near"), figure(5.5, "near")]) == []
    # the floor is as good as real data
    silent = [figure(value, "lower", {"real": 1.0}, {"noise": 0.5}) for value in (2.0, 3.0)]
    assert better(silent) == []


def test_settings_that_a_recipe_lacks_or_that_cannot_be_read():
    runs = [
        RunData("a", recipe="model: {depth: 2}\nseed: 0\n"),
        RunData("b", recipe="generator: {depth: 2}\nseed: 0\n"),
    ]
    names = [name for name, _ in settings_that_differ(runs)]
    assert names == ["model.depth", "generator.depth"]
    assert settings_that_differ(runs)[0][1] == [("2", False), ("-", False)]
    assert settings_that_differ([RunData("a", recipe="a: ["), RunData("b")]) == []
