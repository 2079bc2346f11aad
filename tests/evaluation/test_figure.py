import pytest

from genwright.evaluation.figure import ACCURACY, LOSS, SAID_AGAIN, Figure, details, noted


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


def measured(name, detail):
    return Figure(name, 0.5, "share", 8, detail=detail)


def test_what_is_said_again_and_again_stands_in_a_note_once():
    network = "a network of this size; right on real ones: " + "colour 91.0%, " * 12
    ways = [f"k = 5; {network}", network, f"asked for; {network}", "as it is", ""]
    texts, notes = noted(ways)
    assert texts == [
        "k = 5; a network of this size [1]",
        "a network of this size [1]",
        "asked for; a network of this size [1]",
        "as it is",
        "",
    ]
    assert notes == [f"[1] {network.partition('; ')[2]}"]
    figures = [measured(f"f{i}", way) for i, way in enumerate(ways)]
    text = details(figures)
    assert text.count("right on real ones") == 1
    assert text.splitlines()[0] == "f0: k = 5; a network of this size [1]"
    assert "f3: as it is" in text and "f4" not in text


def test_what_is_said_twice_in_few_words_stays_where_it_is():
    ways = ["the mean over pieces"] * 3
    assert noted(ways) == (ways, [])
    assert len(ways[0]) * 2 < SAID_AGAIN
    assert details([measured("a", ways[0]), measured("b", ways[0])]) == f"a; b: {ways[0]}"


def test_other_notes_have_other_numbers():
    one, other = "x" * 200, "y" * 200
    texts, notes = noted([one, one, one, other, other, other])
    assert texts == ["[1]"] * 3 + ["[2]"] * 3
    assert notes == [f"[1] {one}", f"[2] {other}"]
