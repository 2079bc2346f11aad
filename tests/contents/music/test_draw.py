import re
import sys
from xml.etree import ElementTree

import pytest

from genwright.contents.music.engraving import OPTIONS, notation_svg
from genwright.contents.music.piano_roll import piano_roll_svg
from genwright.contents.music.score import Key, Meter, Note, Score
from genwright.core.errors import GenwrightError

pytest.importorskip("verovio")


def chorale(shift=0, bars=4):
    """Four voices in quarters, a fermata at the end."""
    end = 16 * bars
    chords = [
        tuple(Note(4 * i, 4, pitch + shift + i % 3, 80, 4 * i + 4 == end) for i in range(end // 4))
        for pitch in (72, 67, 64, 48)
    ]
    return Score(
        tuple(chords),
        end,
        meters=(Meter(0, 4, 4),),
        keys=(Key(0, 1, "major"),),
        names=("S", "A", "T", "B"),
        facts={"title": "A & <B>"},
    )


def safe(svg):
    """Well-formed, nothing runs, nothing is fetched; its ids."""
    root = ElementTree.fromstring(svg)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not tags & {"script", "foreignObject", "image", "a", "iframe", "animate"}
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.lower().startswith("on")
            assert not name.endswith("href") or value.startswith("#")
    said = re.sub(r' xmlns(:\w+)?="[^"]*"', "", svg)
    assert not re.search("http|url\\(|@import|@font-face|javascript", said)
    return {element.get("id") for element in root.iter()} - {None}


@pytest.mark.parametrize("draw", [notation_svg, piano_roll_svg])
def test_drawings_stand_alone_and_beside_each_other(draw):
    one, other = draw(chorale()), draw(chorale(2))
    assert one == draw(chorale()) and one != other, "the same bytes for the same music"
    assert not safe(one) & safe(other), "several fit one page"
    assert "var(--card,#fff)" in one and 'color="black"' not in one, (
        "the page's colours, or its own"
    )


def test_references_within_the_notation_are_whole():
    svg = notation_svg(chorale())
    ids = safe(svg)
    used = set(re.findall('href="#(.*?)"', svg))
    assert used and used <= ids
    style = svg[svg.index("<style") : svg.index("</style>")]
    assert set(re.findall("#([\\w-]+) ", style)) <= ids, "rules reach this drawing alone"
    assert len(ids - used) == 1, "notes carry no ids"


def test_notation_shows_every_note_and_what_belongs_to_it():
    svg = notation_svg(chorale())
    assert svg.count('class="notehead"') == 4 * 16 and svg.count('class="measure"') == 4
    assert svg.count('class="fermata"') == 2, "one above, one below"
    assert svg.count('class="keyAccid"') >= 2 and "A &amp; &lt;B&gt;" in svg and "♩ = 100" in svg
    assert svg.count('class="clef"') == 2, "two staves"
    alone = Score(chorale().voices[:3], 64)
    assert notation_svg(alone).count('class="clef"') == 3, "a staff a voice"


def test_chords_stand_above_the_notes_they_name():
    named = notation_svg(chorale(), {0: "C", 20: "Bbm7", 24: "G7 (half)"})
    assert named.count('class="harm"') == 3 and all(
        f">{text}<" in named for text in ("C", "Bbm7", "G7 (half)")
    )
    x = [float(found) for found in re.findall('class="harm".*?<text x="(.*?)"', named, re.S)]
    assert x == sorted(x) and len(set(x)) == 3, "each at its step, also within a bar"
    assert 'class="harm"' not in notation_svg(chorale())


def test_many_systems_are_one_tall_drawing_until_it_would_be_cut(monkeypatch):
    heights = [
        float(notation_svg(chorale(bars=bars)).split('viewBox="0 0 ')[1].split('"')[0].split()[1])
        for bars in (8, 80)
    ]
    assert heights[1] > 4 * heights[0]
    monkeypatch.setitem(OPTIONS, "pageHeight", 1000)
    with pytest.raises(
        GenwrightError,
        match=r"the score is too long to draw \(80 bars\); draw some hundred bars at a time",
    ):
        notation_svg(chorale(bars=80))


def boxes(svg):
    return [
        tuple(map(float, found))
        for found in re.findall('<rect x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)"', svg)
    ]


def test_a_piano_roll_is_to_scale():
    score = Score(((Note(0, 4, 72), Note(4, 8, 60)), (Note(4, 4, 67),)), 16)
    (x0, y0, w0, h), (x1, y1, w1, _), (x2, y2, _, _) = boxes(piano_roll_svg(score))
    assert (
        x1 - x0 == pytest.approx(w0 + 1, abs=0.2)
        and w1 + 1 == pytest.approx(2 * (w0 + 1), abs=0.2)
        and x2 == x1
    )
    assert y1 - y0 == 12 * h and y2 - y0 == 5 * h, "a semitone a row, up is higher"
    assert ">C4<" in piano_roll_svg(score) and ">C5<" in piano_roll_svg(score)


def test_voices_have_names_and_colours():
    svg = piano_roll_svg(Score(tuple((Note(0, 4, 60 + v),) for v in range(8)), 4, names=("<b>",)))
    assert (
        "<title>&lt;b&gt;</title>" in svg and "<title>Voice 8</title>" in svg and "<b>" not in svg
    )
    assert len(set(re.findall(r"fill:var\(--c(\d)", svg))) == 6


def test_marks_ring_the_notes_that_sound_there():
    svg = piano_roll_svg(chorale(), [(5, (0, 3), "parallel <fifths>"), (9, (), "all")])
    rings = re.findall("stroke:#dc2626.*?</g>", svg)
    assert [len(boxes(ring)) for ring in rings] == [2, 4]
    assert "<title>parallel &lt;fifths&gt;</title>" in rings[0]
    plain = boxes(piano_roll_svg(chorale()))
    assert boxes(rings[0]) == [plain[1], plain[16 * 3 + 1]]


def test_bars_are_numbered_as_in_print():
    score = Score(((Note(0, 36, 60),),), 36, bars=(0, 4, 20))
    labels = re.findall('y="30".*?>(.*?)</text>', piano_roll_svg(score))
    assert labels == ["0"], "a pickup"


def test_long_and_silent_pieces():
    assert "min-width:0px" in piano_roll_svg(chorale()) and "min-width:10036px" in piano_roll_svg(
        Score(((),), 4000)
    )
    safe(piano_roll_svg(Score(((),), 16)))
    safe(notation_svg(Score(((), ()), 16)))


@pytest.mark.parametrize("draw", [notation_svg, piano_roll_svg])
def test_an_empty_score_is_said(draw):
    with pytest.raises(
        GenwrightError,
        match="the score is empty: it has no voices or no length; give one of at least a bar",
    ):
        draw(Score((), 0))


def test_without_verovio_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "verovio", None)
    with pytest.raises(
        GenwrightError,
        match=(
            r"drawing notes needs verovio, which is not installed; "
            r"pip install 'genwright\[music\]'"
        ),
    ):
        notation_svg(chorale())
