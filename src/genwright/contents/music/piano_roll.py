"""A score as a piano roll, as one SVG: time to the right, pitch upwards, a colour a voice.

Nothing runs and nothing is fetched; colours are those of the report's page where it stands in it.
"""

from collections.abc import Iterable, Sequence

from genwright.contents.music.engraving import PAPER
from genwright.contents.music.score import Note, Score, apart, edges, first_number, notes_of
from genwright.contents.music.write import checked, names
from genwright.reporting.markup import Markup, joined
from genwright.reporting.svg import TITLE

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

ROLL = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="piano roll" '
    'viewBox="{}" style="{}">{}</svg>'
)
BOX = Markup('<rect x="{:.1f}" y="{}" width="{:.1f}" height="{}" rx="1.5"/>')
VOICE = Markup('<g style="fill:var({});fill-opacity:.85">{}{}</g>')
SPOT = Markup('<circle cx="{:.1f}" cy="{}" r="4" style="fill:{}"/>')
RING = Markup('<g style="fill:transparent;stroke:{};stroke-width:2">{}{}{}</g>')
LINE = Markup('<path d="{}" style="stroke:var({});stroke-width:1"/>')
LABEL = Markup(
    '<text x="{:.1f}" y="{}" text-anchor="{}"'
    ' style="font:11px system-ui,sans-serif;fill:var({})">{}</text>'
)


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

    def boxes(self, notes: Iterable[Note]) -> Markup:
        """A box a note."""
        boxes = []
        for note in notes:
            width = max(1.5, self.step * note.length - 1)
            boxes.append(BOX.format(self.x(note.start), self.y(note.pitch), width, ROW))
        return joined(boxes)

    def grid(self) -> list[Markup]:
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

    def voices(self) -> list[Markup]:
        """The notes of each voice, and its name in its colour."""
        parts = []
        x = float(LEFT)
        for voice, notes in enumerate(self.score.voices):
            name = names(self.score)[voice] or f"Voice {voice + 1}"
            number = voice % len(INKS)
            ink = f"--c{number},#{INKS[number]}"
            parts.append(VOICE.format(ink, TITLE.format(name), self.boxes(apart(notes))))
            parts.append(_label(x, 14, name, ink))
            x += LETTER * len(name) + 16
        return parts

    def mark(self, step: int, voices: Sequence[int], text: str) -> Markup:
        """A ring around what sounds in these voices at a step, and a spot above."""
        sounding = []
        for voice in voices or range(len(self.score.voices)):
            for note in self.score.voices[voice]:
                if note.start <= step < note.start + note.length:
                    sounding.append(note)
        spot = SPOT.format(self.x(step), ABOVE, MARK)
        return RING.format(MARK, TITLE.format(text), self.boxes(sounding), spot)


def piano_roll_svg(score: Score, marks: Iterable[tuple[int, Sequence[int], str]] = ()) -> Markup:
    """Time to the right, pitch upwards, a colour a voice. marks: (step, voices, text) of faults and
    the like, ringed, with the text under the pointer; no voices: all. Raises GenwrightError for an
    empty score."""
    roll = _Roll(checked(score))
    parts = roll.grid() + roll.voices()
    parts += [roll.mark(step, voices, text) for step, voices, text in marks]
    least_width = roll.width if roll.width > 980 else 0
    box = f"0 0 {roll.width:.0f} {roll.below + 4}"
    style = f"{PAPER};min-width:{least_width:.0f}px"
    return ROLL.format(box, style, joined(parts))


def _line(path: str, strong: bool) -> Markup:
    ink = STRONG_LINE if strong else FAINT_LINE
    return LINE.format(path, ink)


def _label(x: float, y: int, text: str, ink: str = SOFT, anchor: str = "start") -> Markup:
    return LABEL.format(x, y, anchor, ink, text)
