"""A figure whose floor reaches its ceiling is no headline, and the page and the terminal say
why."""

import math

import pytest

from genwright.evaluation.figure import Figure
from genwright.evaluation.telling import can_lead, tells_nothing
from genwright.reporting.head import sentence
from genwright.reporting.page import RunData
from genwright.runs.checkpoint_figures import Evaluation
from pages import page_of


def figure(name, value, floor, real, direction="higher", unit="share", **ceilings):
    return Figure(
        name,
        value,
        unit,
        1002,
        "samples",
        {"independent pixels": floor},
        {"real": real, **ceilings},
        direction,
    )


BLOBS = [
    figure("precision", 0.835, 0.998, 0.943),
    figure("recall", 0.31, 0.01, 0.95),
    figure("density", 1.2, 0.1, 0.98, "near", "per ball"),
    figure("coverage", 0.05, 0.12, 0.97),
    figure("Frechet distance", 12.0, 40.0, 0.5, "lower", "squared"),
]


@pytest.mark.parametrize(
    "value, floor, real, direction, silent",
    [
        (0.8, 0.998, 0.943, "higher", True),
        (0.8, 0.943, 0.943, "higher", True),
        (0.8, 0.94, 0.943, "higher", False),
        (3.0, 1.0, 2.0, "lower", True),
        (3.0, 2.1, 2.0, "lower", False),
        (0.7, 0.701, 0.7, "near", True),
        (0.5, 0.701, 0.7, "near", False),  # a fault that neither noise nor real data has
        (0.5, 0.9, 0.7, "near", False),
        (0.5, math.nan, 0.7, "higher", True),
        (0.5, 0.1, math.inf, "higher", True),
    ],
)
def test_a_floor_that_reaches_the_ceiling_says_nothing(value, floor, real, direction, silent):
    found = figure("x", value, floor, real, direction)
    assert bool(tells_nothing(found)) is silent
    assert can_lead(found) is not silent


def test_of_several_ceilings_the_spread_of_real_data_counts():
    real = {"held-out music": 0.93, "training music": 0.96}
    close = Figure("scale consistency", 0.9, "share", 32, "pieces", {"noise": 0.91}, real, "near")
    assert "for noise it is 91.0%, for held-out music 93.0%" in tells_nothing(close)
    far = Figure("scale consistency", 0.9, "share", 32, "pieces", {"noise": 0.71}, real, "near")
    assert tells_nothing(far) == ""
    perfect = figure("reverse KL", 0.2, 6.9, 0.08, "lower", "nats", perfect=0.04)
    assert tells_nothing(perfect) == "" and can_lead(perfect)


def test_without_a_floor_or_a_ceiling_there_is_no_doubt_and_alone_no_headline():
    assert tells_nothing(Figure("held-out loss", 0.2, "", 5, floors={"untrained": 0.1})) == ""
    assert not can_lead(Figure("held-out loss", 0.2, "", 5)) and can_lead(
        Figure("held-out loss", 0.2, "", 5, floors={"untrained": 0.3})
    )
    assert not can_lead(figure("recall", math.nan, 0.0, 0.9))


def test_a_gan_that_draws_blobs_does_not_open_with_its_precision():
    said = sentence(RunData("blobs", figures=BLOBS))
    head, _, rest = said.partition(". ")
    assert head == (
        "Its samples, beside what real data reaches: "
        "recall 31.0% (real 95.0%), density 1.2 (real 0.98), "
        "coverage 5.0% (real 97.0%; no better than independent pixels, 12.0%)"
    )
    assert rest == (
        "Precision says nothing about these samples: "
        "for independent pixels it is 99.8%, for real 94.3%."
    )
    assert "says nothing" in sentence(RunData("x", figures=BLOBS[:1])) and "83.5%" not in sentence(
        RunData("x", figures=BLOBS[:1])
    )


def test_the_page_has_no_tile_of_it_and_says_why_at_the_figure(tmp_path):
    for runs in (
        [RunData("blobs", figures=BLOBS)],
        [RunData("blobs", figures=BLOBS), RunData("other", figures=BLOBS[1:])],
    ):
        page, text = page_of(tmp_path, *runs)
        first = text.index('class="tiles"')
        tiles = text[first : text.index("<h2>", first)]
        compared = text[:first]
        assert "precision" not in compared, "nor is it compared"
        assert (
            "precision" not in tiles.split("</p>")[0] and "83.5%" not in tiles and "recall" in tiles
        )
        row = text[text.index("<tr><td>precision") :]
        row = row[: row.index("</tr>")]
        assert "83.5%" in row and "Precision says nothing about these samples" in row
        other = text[text.index("<tr><td>recall") :]
        assert "says nothing" not in other[: other.index("</tr>")]


def test_a_loss_without_finite_floors_is_told_without_them():
    loss = Figure("loss, held out", 2.0, "nats/token", 10, "tokens", {"unigram": math.nan})
    assert sentence(RunData("x", figures=[loss])).endswith("equally likely ones.")


def test_the_terminal_says_it_too():
    said = str(Evaluation(10, "ema", BLOBS, []))
    assert (
        "Precision says nothing about these samples: "
        "for independent pixels it is 99.8%, for real 94.3%."
    ) in said
    assert said.count("says nothing") == 1


def test_tiles_prefer_what_stands_beside_real_data(tmp_path):
    score = Figure(
        "held-out score real", -0.27, "score", 56, "held out", {"untrained": 0.1}, {}, "near"
    )
    _, text = page_of(tmp_path, RunData("gan", figures=[score, *BLOBS]))
    tiles = text[text.index('class="tiles"') : text.index("<h2>")]
    assert "held-out score" not in tiles and "recall" in tiles and "Frechet" in tiles
    _, text = page_of(tmp_path, RunData("gan", figures=[score]))
    assert "held-out score" in text[text.index('class="tiles"') : text.index("<h2>")]
    assert (
        "neither up nor down is better by itself" in text and "like real data is best" not in text
    )


def test_runs_that_were_measured_differently_each_say_how(tmp_path):
    figures = [
        Figure("coverage", 0.5, "share", 9, "samples", detail=f"by network {name}") for name in "ab"
    ]
    page, _ = page_of(
        tmp_path, RunData("x", figures=figures[:1]), RunData("y", figures=figures[1:])
    )
    assert "by network a" in page.text and "by network b" in page.text
    page, _ = page_of(
        tmp_path, RunData("x", figures=figures[:1]), RunData("y", figures=figures[:1])
    )
    assert page.text.count("by network a") == 1
