"""Long work says how far it is: on a terminal, in lines elsewhere, and nothing where nobody
asked."""

import io

from rich.console import Console

from genwright.core.progress import showing, task, track


class Clock:
    """Seconds that pass when told."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def lines(work, seconds, quiet=False):
    clock, out = Clock(), io.StringIO()
    with showing(quiet, Console(file=out, width=80), clock):
        for _ in track(work, "drawing samples"):
            clock.now += seconds
    return out.getvalue().splitlines()


def test_a_call_from_python_is_silent(capsys):
    assert list(track([1, 2], "x")) == [1, 2]
    with task("x", 3) as part:
        part.advance()
    assert (part.done, capsys.readouterr()) == (1, ("", ""))


def test_elsewhere_a_line_every_ten_seconds_and_none_of_what_is_quick():
    assert lines(range(50), 0.19) == []
    assert lines(range(5), 8.0) == [
        "drawing samples: 2 of 5, about 24 s left",
        "drawing samples: 4 of 5, about 8 s left",
    ]
    assert len(lines(range(1000), 0.1)) == 9, "of a hundred seconds"
    assert lines(range(5), 8.0, quiet=True) == []


def test_parts_of_parts_and_totals_that_come_later():
    clock, out = Clock(), io.StringIO()
    with showing(False, Console(file=out, width=80), clock), task("drawing samples") as outer:
        for i in range(2):
            for _ in track(iter(range(3)), "passes", 3):
                clock.now += 5
            outer.advance(2)
            if i == 0:
                outer.expect(8)
    assert out.getvalue().splitlines() == [
        "drawing samples: 0, passes: 2 of 3, about 5 s left",
        "drawing samples: 2 of 8, passes: 1 of 3, about 40 s left",
        "drawing samples: 2 of 8, passes: 3 of 3, about 30 s left",
    ]


def test_a_display_that_is_closed_shows_nothing_more():
    clock, out = Clock(), io.StringIO()
    with showing(False, Console(file=out), clock):
        pass
    for _ in track(range(3), "x"):
        clock.now += 100
    assert out.getvalue() == ""


def test_on_a_terminal_the_bar_goes_away():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=100)
    with showing(False, console):
        for _ in track(range(3), "measuring"):
            for _ in track(range(2), "passes"):
                pass
        console.print("between")  # no bar is in its way
        for _ in track(range(3), "drawing"):
            pass
    said = out.getvalue()
    assert "measuring" in said and "passes" in said and "drawing" in said
    assert said.index("measuring") < said.index("between") < said.index("drawing")
    shown, cursor, rest = said.rpartition("\x1b[?25h")
    assert cursor and not rest.strip() and shown.endswith("\x1b[2K"), (
        "what is left is an empty line and the cursor"
    )
