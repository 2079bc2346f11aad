import pytest

from genwright.evaluation.figure import ACCURACY, LOSS, Figure


def test_a_figure_is_read_back_as_it_was_written():
    figure = Figure("share of good ones", 0.5, "share", 8, "samples", {"noise": 0.1}, headline=True)
    assert Figure.from_json(figure.to_json()) == figure


@pytest.mark.parametrize(
    ("name", "unit", "headline"),
    [
        (LOSS, "nats/token", True),
        ("loss of some tokens, held out", "nats/token", True),
        ("bits per byte, held out", "bits/byte", True),
        (ACCURACY, "share", True),
        ("distinct-1", "share", False),
        ("Frechet distance", "squared distance", False),
    ],
)
def test_figures_of_older_files_lead_as_they_did(name, unit, headline):
    older = Figure(name, 0.5, unit, 8).to_json()
    del older["headline"]
    assert Figure.from_json(older).headline is headline


def test_a_judgement_of_texts_led_in_older_files():
    floors = {"token noise": 0.0}
    older = Figure("parses", 0.5, "share", 8, floors=floors, direction="higher").to_json()
    del older["headline"]
    assert Figure.from_json(older).headline
    assert not Figure.from_json(older | {"direction": "near"}).headline
