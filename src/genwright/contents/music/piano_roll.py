"""A score as a piano roll, as one SVG: time to the right, pitch upwards, a colour a voice.

Nothing runs and nothing is fetched; colours are those of the report's page where it stands in it.
"""

from collections.abc import Iterable, Sequence
from html import escape

from genwright.contents.music.engraving import PAPER
from genwright.contents.music.score import Note, Score, apart, edges, first_number, notes_of
from genwright.contents.music.write import checked, names

# --c0 .. --c5 of page.css, for an SVG that stands alone
INKS = ("2563eb", "d9480f", "0f8a5f", "9333ea", "0891b2", "be185d")
SOFT = "--soft,#626b76"
STRONG_LINE = "--line,#d3d7dc"
FAINT_LINE = "--grid,#eceef0"
MARK = "#dc2626"
# pixels
LEFT = 34
ABOVE = 34
ROW = 6  # of a semitone
WIDTH = 926  # of all steps, at least
QUARTER = 10  # of a quarter note, at least: a long piece is scrolled
LETTER = 7  # of a name


class _Roll:
    """Where steps and pitches lie, and what is drawn there."""

    def __init__(self, score: Score):
        pitches = [note.pitch for note in notes_of(score)] or [60]
        self.score = score
        self.bars = edges(score)
        self.lowest = min(pitches)
        self.top = max(pitches) + 2
        self.step = max(WIDTH / self.bars[-1], QUARTER / score.per_quarter)
        self.width = self.x(self.bars[-1]) + 2
        self.below = ABOVE + ROW * (self.top - self.lowest + 3)

    def x(self, step: int) -> float:
        return LEFT + self.step * step

    def y(self, pitch: int) -> int:
        return ABOVE + ROW * (self.top - pitch)

    def boxes(self, notes: Iterable[Note]) -> str:
        """A box a note."""
        boxes = ""
        for note in notes:
            width = max(1.5, self.step * note.length - 1)
            boxes += (
                f'<rect x="{self.x(note.start):.1f}" y="{self.y(note.pitch)}" '
                f'width="{width:.1f}" height="{ROW}" rx="1.5"/>'
            )
        return boxes

    def grid(self) -> list[str]:
        """Names of the octaves, then lines of bars and octaves, every fourth bar's number."""
        lines = []
        for bar, start in enumerate(self.bars):
            path = f"M{self.x(start):.1f} {ABOVE}V{self.below}"
            lines.append(_line(path, strong=bar % 4 == 0))
        octave_names = []
        first_octave = -(-self.lowest // 12)  # rounded up
        for octave in range(first_octave, self.top // 12 + 1):
            y = self.y(12 * octave - 1)  # the lower edge of a C
            lines.append(_line(f"M{LEFT} {y}H{self.width - 2:.1f}", strong=True))
            octave_names.append(_label(LEFT - 5, y, f"C{octave - 1}", anchor="end"))
        numbers = []
        for bar in range(0, len(self.bars) - 1, 4):
            number = str(bar + first_number(self.score))
            numbers.append(_label(self.x(self.bars[bar]) + 2, ABOVE - 4, number))
        return octave_names + lines + numbers

    def voices(self) -> list[str]:
        """The notes of each voice, and its name in its colour."""
        parts = []
        x = float(LEFT)
        for voice, notes in enumerate(self.score.voices):
            name = names(self.score)[voice] or f"Voice {voice + 1}"
            number = voice % len(INKS)
            ink = f"--c{number},#{INKS[number]}"
            parts.append(
                f'<g style="fill:var({ink});fill-opacity:.85"><title>{escape(name)}</title>'
                f"{self.boxes(apart(notes))}</g>"
            )
            parts.append(_label(x, 14, name, ink))
            x += LETTER * len(name) + 16
        return parts

    def mark(self, step: int, voices: Sequence[int], text: str) -> str:
        """A ring around what sounds in these voices at a step, and a spot above."""
        sounding = []
        for voice in voices or range(len(self.score.voices)):
            for note in self.score.voices[voice]:
                if note.start <= step < note.start + note.length:
                    sounding.append(note)
        spot = f'<circle cx="{self.x(step):.1f}" cy="{ABOVE}" r="4" style="fill:{MARK}"/>'
        return (
            f'<g style="fill:transparent;stroke:{MARK};stroke-width:2">'
            f"<title>{escape(text)}</title>{self.boxes(sounding)}{spot}</g>"
        )


def piano_roll_svg(score: Score, marks: Iterable[tuple[int, Sequence[int], str]] = ()) -> str:
    """Time to the right, pitch upwards, a colour a voice. marks: (step, voices, text) of faults and
    the like, ringed, with the text under the pointer; no voices: all. Raises GenwrightError for an
    empty score."""
    roll = _Roll(checked(score))
    parts = roll.grid() + roll.voices()
    parts += [roll.mark(step, voices, text) for step, voices, text in marks]
    least_width = roll.width if roll.width > 980 else 0
    box = f"0 0 {roll.width:.0f} {roll.below + 4}"
    style = f"{PAPER};min-width:{least_width:.0f}px"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="piano roll" '
        f'viewBox="{box}" style="{style}">{"".join(parts)}</svg>'
    )


def _line(path: str, strong: bool) -> str:
    ink = STRONG_LINE if strong else FAINT_LINE
    return f'<path d="{path}" style="stroke:var({ink});stroke-width:1"/>'


def _label(x: float, y: int, text: str, ink: str = SOFT, anchor: str = "start") -> str:
    style = f"font:11px system-ui,sans-serif;fill:var({ink})"
    place = f'x="{x:.1f}" y="{y}"'
    return f'<text {place} text-anchor="{anchor}" style="{style}">{escape(text)}</text>'
