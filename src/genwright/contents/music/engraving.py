"""A score as notation, as one SVG: engraved by verovio from our MusicXML.

Of an SVG nothing runs and nothing is fetched. Colours are those of the report's page where it
stands in it, else dark ink on white. Ids are a digest of the music, so that several fit one page
and the same music gives the same bytes.
"""

import re
import zlib
from collections.abc import Mapping

from genwright.contents.music.score import Score, edges
from genwright.contents.music.write import to_musicxml
from genwright.core.errors import GenwrightError, optional

# the style of an SVG: a page's colours where it stands in one
PAPER = (
    "display:block;width:100%;height:auto;color:var(--ink,#1d2126);fill:currentColor;"
    "background:var(--card,#fff)"
)
PAGE_WIDTH = 2400
OPTIONS = {  # of verovio, beside pageWidth
    "pageHeight": 60_000,
    "adjustPageHeight": True,
    "scale": 40,
    "footer": "none",
    "pageMarginLeft": 90,
    "pageMarginTop": 30,
    "pageMarginBottom": 30,
    "svgViewBox": True,
    "svgFormatRaw": True,
    "svgRemoveXlink": True,
    "smuflTextFont": "none",
    "xmlIdSeed": 1,
}
_METRONOME = re.compile("<metronome>.*?<per-minute>(.*?)</.*?</metronome>")
# groups around single shapes
_GROUP = re.compile(r'<g class="(?:stem|dots|flag)">((?:<(?:use|path|ellipse) [^>]*/>)+)</g>')
_STROKE = re.compile(r'(<path [^>]*?)stroke-width="(\d+)"')


def notation_svg(
    score: Score, labels: Mapping[int, str] | None = None, width: int = PAGE_WIDTH
) -> str:
    """Four voices on two staves, else a staff each; labels: step -> the name of a chord; width: of
    the page, in tenths of a millimetre. Raises GenwrightError without verovio, and for a score that
    is empty or too long."""
    xml = to_musicxml(score, closed=True, labels=labels)
    # a letter needs no font of music
    xml = _METRONOME.sub(r"<words>♩ = \1</words>", xml)
    svg = _engraved(xml, len(edges(score)) - 1, width)

    root_id = re.findall(' id="([^"]+)"', svg)[0]
    own_id = f"music-{zlib.crc32(xml.encode()):08x}"
    # ids of notes: nothing refers to them
    other_id = re.compile(rf'(<[a-z]+[^<>]*?) id="(?!{root_id})[a-z0-9]+"')
    svg = other_id.sub(r"\1", svg).replace(root_id, own_id)
    svg = _GROUP.sub(r"\1", svg)
    # a style, which a page's rule for paths cannot change
    svg = _STROKE.sub(r'\1style="stroke-width:\2"', svg)
    rules = f"#{own_id} path{{fill:inherit}} #{own_id} .harm tspan{{font-size:290px}}"
    svg = svg.replace("</style>", f"{rules}</style>", 1)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="notation" style="{PAPER}" ', 1)
    return svg.replace(' color="black"', "")


def _engraved(xml: str, bars: int, width: int) -> str:
    """One page of MusicXML, as verovio draws it. Raises GenwrightError where it needs more."""
    verovio = optional("verovio", "drawing notes needs verovio", "music")
    verovio.enableLog(verovio.LOG_OFF)
    engraver = verovio.toolkit()
    engraver.setOptions(OPTIONS | {"pageWidth": width})
    if not engraver.loadData(xml) or engraver.getPageCount() != 1:
        raise GenwrightError(
            f"the score is too long to draw ({bars} bars)", "draw some hundred bars at a time"
        )
    return engraver.renderToSVG(1)
