"""MusicXML (partwise or timewise; plain or .mxl): notes at exact times and sounding pitches, ties,
fermatas, bars, metres, keys, tempos.

Reads with the standard library alone, in a third of the time that music21 needs. A doctype may name
a DTD, which is never fetched, and may declare nothing: without entities there is nothing to expand
or to fetch (XXE, "billion laughs"). What is unpacked is bounded. A voice of a staff of a part is a
voice of the piece (`musicxml_part`); a measure is as long as its longest part. Metres and keys are
those of the first part that has pitches, tempos those of all.
https://www.w3.org/2021/06/musicxml40/

Not read: dynamics, articulation, ornaments, lyrics, layout. Counted, for they would change what
sounds: grace and cue notes, notes without a pitch, chord symbols, repeats, and what is said of time
or pitch and makes no sense.
"""

import io
import lzma
import struct
import xml.etree.ElementTree as ET
import zipfile
import zlib
from fractions import Fraction
from xml.parsers import expat

from genwright.contents.music.draft import BadMusic, Draft
from genwright.contents.music.musicxml_part import PartReader, join_ties, join_voices

LARGEST = 32 << 20  # bytes of a file, packed and unpacked
MOST_PARTS = 256
CREATORS = ("composer", "arranger", "lyricist")  # that a piece's facts name
DRUMS = "10"  # MIDI's channel, counted from 1


def parse(data: bytes) -> ET.Element:
    """The root of an XML document, names without their namespace. Raises BadMusic for a doctype
    that declares anything, and for what is no XML."""

    def doctype(name, system, public, declares) -> None:
        if declares:
            raise BadMusic(
                "declares entities in its doctype, which could read other files or fill the memory"
            )

    try:
        first = expat.ParserCreate()
        first.StartDoctypeDeclHandler = doctype
        first.Parse(data, True)  # nothing was expanded yet when a doctype is refused
        root = ET.fromstring(data)
    # the last two: of encodings
    except (expat.ExpatError, ET.ParseError, LookupError, ValueError) as error:
        raise BadMusic(f"is no well-formed XML ({error})") from None
    if root.tag.startswith("{"):
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
    return root


def unpack(data: bytes) -> bytes:
    """The score within an .mxl. Raises BadMusic where it is damaged, or unpacks to more than
    LARGEST."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _member(archive, _score_name(archive))
    except (
        zipfile.BadZipFile,
        zlib.error,
        lzma.LZMAError,
        struct.error,
        EOFError,
        OSError,
        RuntimeError,
        ValueError,
        KeyError,
    ) as error:
        raise BadMusic(
            f"is a damaged archive ({str(error).strip(chr(34)) or type(error).__name__})"
        ) from None


def _score_name(archive: zipfile.ZipFile) -> str:
    """What the container names; without one, the only XML there is."""
    if "META-INF/container.xml" in archive.namelist():
        for element in parse(_member(archive, "META-INF/container.xml")).iter("rootfile"):
            if path := element.get("full-path"):
                return path
    scores = [
        name
        for name in archive.namelist()
        if name.endswith((".xml", ".musicxml")) and not name.startswith("META-INF/")
    ]
    if len(scores) != 1:
        raise BadMusic("is an archive that does not say which of its files is the score")
    return scores[0]


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    with archive.open(name) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise BadMusic(f"unpacks to more than {LARGEST >> 20} MB, as zip bombs do")
    return text


def read(data: bytes) -> Draft:
    """Raises BadMusic."""
    root = parse(unpack(data) if data[:2] == b"PK" else data)
    if root.tag not in ("score-partwise", "score-timewise"):
        raise BadMusic(f"is XML, but no MusicXML (its root is <{root.tag[:40]}>)")
    parts = (
        _timewise(root)
        if root.tag == "score-timewise"
        else [(p.get("id", ""), p.findall("measure")) for p in root.findall("part")]
    )
    if len(parts) > MOST_PARTS:
        raise BadMusic(f"has {len(parts):,} parts, more than any orchestra")
    draft = Draft(facts=_facts(root))
    listed = {part.get("id", ""): part for part in root.findall("part-list/score-part")}
    readers = [PartReader(draft, drums=_is_drums(listed.get(name))) for name, _ in parts]
    for number in range(max((len(measures) for _, measures in parts), default=0)):
        start = draft.end
        draft.bars.append(start)
        rows = zip(readers, parts, strict=True)
        ends = [
            reader.measure(start, measures[number])
            for reader, (_, measures) in rows
            if number < len(measures)
        ]
        draft.end = max([start, *ends])
        if _overfull(start, ends, readers):
            draft.lost["bars that some parts overfill"] += 1
    for reader, (name, _) in zip(readers, parts, strict=True):
        called = listed[name].findtext("part-name") if name in listed else None
        draft.voices += [(called or "", notes) for notes in join_ties(join_voices(reader.voices))]
    _changes(draft, readers)
    return draft


def _overfull(start: Fraction, ends: list[Fraction], readers: list[PartReader]) -> bool:
    """Whether a bar is longer than its metre says, and not in all parts: the others wait, which
    moves their notes against the bar lines."""
    meter = next((reader.meters[-1] for reader in readers if reader.meters), None)
    if meter is None or not meter[2]:
        return False
    stop = start + Fraction(4 * meter[1], meter[2])
    return min(ends) <= stop < max(ends)


def _timewise(root: ET.Element) -> list[tuple[str, list[ET.Element]]]:
    """(a part's name, its measures) of a score that gives, measure by measure, all parts. Where a
    part has none, an empty one."""
    names: dict[str, None] = {}
    rows: list[dict[str, ET.Element]] = []
    for measure in root.findall("measure"):
        rows.append({part.get("id", ""): part for part in measure.findall("part")})
        names |= dict.fromkeys(rows[-1])
    return [(name, [row.get(name, ET.Element("measure")) for row in rows]) for name in names]


def _facts(root: ET.Element) -> dict[str, str]:
    facts: dict[str, str] = {}
    for creator in root.findall("identification/creator"):
        kind = creator.get("type", "composer")
        if kind in CREATORS and creator.text:
            facts.setdefault(kind, creator.text)
    titles = (
        root.findtext(where)
        for where in ("work/work-title", "movement-title", "credit/credit-words")
    )
    facts["title"] = next((title for title in titles if title), "")
    facts["rights"] = root.findtext("identification/rights") or ""
    return facts


def _is_drums(part: ET.Element | None) -> bool:
    """Whether every instrument of it plays on MIDI's channel of drums, where a pitch is none."""
    channels = (
        []
        if part is None
        else [
            (channel.text or "").strip() for channel in part.findall("midi-instrument/midi-channel")
        ]
    )
    return bool(channels) and set(channels) == {DRUMS}


def _changes(draft: Draft, readers: list[PartReader]) -> None:
    """Metres and keys of the first part that has pitches and says any, the most repeats, and every
    tempo once."""
    pitched = [reader for reader in readers if reader.voices] or readers
    draft.meters = next((reader.meters for reader in pitched if reader.meters), [])
    draft.keys = next((reader.keys for reader in pitched if reader.keys), [])
    if repeats := max((reader.repeats for reader in readers), default=0):
        draft.lost["repeats not played out"] += repeats
    tempos: dict[Fraction, float] = {}
    for reader in readers:
        for start, tempo in reader.tempos:
            tempos.setdefault(start, tempo)
    draft.tempos = sorted(tempos.items())
