"""A score for the eyes, as one SVG: notation, engraved by verovio from our MusicXML, and a piano roll.

Nothing runs and nothing is fetched. Colours are those of the report's page where an SVG stands in it, else dark ink on white; ids are a
digest of the music, so that several fit one page and the same music gives the same bytes.
"""

import re
import zlib
from collections.abc import Iterable, Sequence
from html import escape

from genwright.errors import GenwrightError
from genwright.music.score import Note, Score, edges, first_number
from genwright.music.write import checked, names, to_musicxml

PAPER = "display:block;width:100%;height:auto;color:var(--ink,#1d2126);fill:currentColor;background:var(--card,#fff)"
INKS = ("2563eb", "d9480f", "0f8a5f", "9333ea", "0891b2", "be185d")  # --c0 .. --c5 of page.css, for an SVG that stands alone
OPTIONS = {
    "pageWidth": 2400, "pageHeight": 60_000, "adjustPageHeight": True, "scale": 40, "footer": "none", "pageMarginLeft": 90,
    "pageMarginTop": 30, "pageMarginBottom": 30, "svgViewBox": True, "svgFormatRaw": True, "svgRemoveXlink": True,
    "smuflTextFont": "none", "xmlIdSeed": 1,
}  # fmt: skip


def notation_svg(score: Score) -> str:
    """Four voices on two staves, else a staff each. Raises GenwrightError without verovio, and for a score that is empty or too long."""
    xml = to_musicxml(score, closed=True)
    xml = re.sub("<metronome>.*?<per-minute>(.*?)</.*?</metronome>", r"<words>♩ = \1</words>", xml)  # a letter needs no font of music
    try:
        import verovio
    except ImportError:
        raise GenwrightError("drawing notes needs verovio, which is not installed", "pip install 'genwright[music]'") from None
    verovio.enableLog(verovio.LOG_OFF)
    engraver = verovio.toolkit()
    engraver.setOptions(OPTIONS)
    if not engraver.loadData(xml) or engraver.getPageCount() != 1:
        raise GenwrightError(f"the score is too long to draw ({len(edges(score)) - 1} bars)", "draw some hundred bars at a time")
    svg = engraver.renderToSVG(1)
    root, own = re.findall(' id="([^"]+)"', svg)[0], f"music-{zlib.crc32(xml.encode()):08x}"
    svg = re.sub(rf'(<[a-z]+[^<>]*?) id="(?!{root}")[a-z0-9]+"', r"\1", svg).replace(root, own)  # of notes: nothing refers to them
    svg = re.sub(r'(<path [^>]*?)stroke-width="(\d+)"', r'\1style="stroke-width:\2"', svg)  # which a page's rule for paths cannot change
    svg = svg.replace("</style>", f"#{own} path{{fill:inherit}}</style>", 1)
    return svg.replace("<svg ", f'<svg role="img" aria-label="notation" style="{PAPER}" ', 1).replace(' color="black"', "")


def piano_roll_svg(score: Score, marks: Iterable[tuple[int, Sequence[int], str]] = ()) -> str:
    """Time to the right, pitch upwards, a colour a voice. marks: (step, voices, text) of faults and the like, ringed, with the text under
    the pointer; no voices: all. Raises GenwrightError for an empty score."""
    pitches = [n.pitch for voice in checked(score).voices for n in voice] or [60]
    top, bars, left, above, row = max(pitches) + 2, edges(score), 34, 34, 6
    step = max(926 / bars[-1], 10 / score.per_quarter)  # pixels; a long piece is scrolled
    width, below = left + step * bars[-1] + 2, above + row * (top - min(pitches) + 3)

    def boxes(notes: Iterable[Note]) -> str:
        size = ((n, max(1.5, step * n.length - 1)) for n in notes)
        place = f'<rect x="{{:.1f}}" y="{{}}" width="{{:.1f}}" height="{row}" rx="1.5"/>'
        return "".join(place.format(left + step * n.start, above + row * (top - n.pitch), wide) for n, wide in size)

    def label(x: float, y: float, text: str, ink: str = "--soft,#626b76", anchor: str = "start") -> str:
        style = f"font:11px system-ui,sans-serif;fill:var({ink})"
        return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'

    parts, x = [], float(left)
    lines = [(f"M{left + step * start:.1f} {above}V{below}", i % 4 == 0) for i, start in enumerate(bars)]
    for octave in range(-(-min(pitches) // 12), top // 12 + 1):
        y = above + row * (top - 12 * octave + 1)
        lines.append((f"M{left} {y}H{width - 2:.1f}", True))
        parts.append(label(left - 5, y, f"C{octave - 1}", anchor="end"))
    parts += [f'<path d="{d}" style="stroke:var({"--line,#d3d7dc" if s else "--grid,#eceef0"});stroke-width:1"/>' for d, s in lines]
    parts += [label(left + step * bars[i] + 2, above - 4, str(i + first_number(score))) for i in range(0, len(bars) - 1, 4)]
    for v, voice in enumerate(score.voices):
        name = names(score)[v] or f"Voice {v + 1}"
        ink = f"--c{v % len(INKS)},#{INKS[v % len(INKS)]}"
        parts += [f'<g style="fill:var({ink});fill-opacity:.85"><title>{escape(name)}</title>{boxes(voice)}</g>', label(x, 14, name, ink)]
        x += 7 * len(name) + 16
    for when, voices, text in marks:
        rings = boxes(n for v in voices or range(len(score.voices)) for n in score.voices[v] if n.start <= when < n.start + n.length)
        spot = f'<circle cx="{left + step * when:.1f}" cy="{above}" r="4" style="fill:#dc2626"/>'
        parts.append(f'<g style="fill:transparent;stroke:#dc2626;stroke-width:2"><title>{escape(text)}</title>{rings}{spot}</g>')
    size = f'viewBox="0 0 {width:.0f} {below + 4}" style="{PAPER};min-width:{width * (width > 980):.0f}px"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="piano roll" {size}>{"".join(parts)}</svg>'
