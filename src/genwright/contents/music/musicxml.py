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
from typing import NamedTuple
from xml.parsers import expat

from genwright.contents.music.draft import BadMusic, Draft
from genwright.contents.music.musicxml_part import PartReader, join_ties, join_voices

LARGEST = 32 << 20  # bytes of a file, packed and unpacked
MOST_PARTS = 256
CREATORS = ("composer", "arranger", "lyricist")  # that a piece's facts name
CONTAINER = "META-INF/container.xml"  # of an .mxl
DRUMS = "10"  # MIDI's channel, counted from 1


def parse(data: bytes) -> ET.Element:
    """The root of an XML document, names without their namespace. Raises BadMusic for a doctype
    that declares anything, and for what is no XML."""

    def doctype(name: str, system: str | None, public: str | None, declares: bool) -> None:
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


# what a damaged archive may raise
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
)


def unpack(data: bytes) -> bytes:
    """The score within an .mxl. Raises BadMusic where it is damaged, or unpacks to more than
    LARGEST."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _member(archive, _score_name(archive))
    except _DAMAGED as error:
        why = str(error).strip('"') or type(error).__name__
        raise BadMusic(f"is a damaged archive ({why})") from None


def _score_name(archive: zipfile.ZipFile) -> str:
    """What the container names; without one, the only XML there is. Raises BadMusic."""
    files = archive.namelist()
    if CONTAINER in files:
        for element in parse(_member(archive, CONTAINER)).iter("rootfile"):
            path = element.get("full-path")
            if path:
                return path
    documents = [name for name in files if name.endswith((".xml", ".musicxml"))]
    scores = [name for name in documents if not name.startswith("META-INF/")]
    if len(scores) != 1:
        raise BadMusic("is an archive that does not say which of its files is the score")
    return scores[0]


def _member(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the archive. Raises BadMusic where it is larger than LARGEST."""
    with archive.open(name) as file:
        text = file.read(LARGEST + 1)
    if len(text) > LARGEST:
        raise BadMusic(f"unpacks to more than {LARGEST >> 20} MB, as zip bombs do")
    return text


class _Part(NamedTuple):
    """name: its id in the file."""

    name: str
    measures: list[ET.Element]


def read(data: bytes) -> Draft:
    """The piece of a file, packed or not. Raises BadMusic."""
    root = parse(unpack(data) if data[:2] == b"PK" else data)
    parts = _parts(root)
    if len(parts) > MOST_PARTS:
        raise BadMusic(f"has {len(parts):,} parts, more than any orchestra")
    draft = Draft(facts=_facts(root))
    listed = {part.get("id", ""): part for part in root.findall("part-list/score-part")}
    readers = [PartReader(draft, drums=_is_drums(listed.get(part.name))) for part in parts]
    _read_measures(draft, parts, readers)
    for reader, part in zip(readers, parts, strict=True):
        name = None
        if part.name in listed:
            name = listed[part.name].findtext("part-name")
        for notes in join_ties(join_voices(reader.voices)):
            draft.voices.append((name or "", notes))
    _changes(draft, readers)
    return draft


def _parts(root: ET.Element) -> list[_Part]:
    """The parts of a score. Raises BadMusic for what is no score."""
    if root.tag == "score-timewise":
        return _timewise(root)
    if root.tag == "score-partwise":
        return [_Part(part.get("id", ""), part.findall("measure")) for part in root.findall("part")]
    raise BadMusic(f"is XML, but no MusicXML (its root is <{root.tag[:40]}>)")


def _read_measures(draft: Draft, parts: list[_Part], readers: list[PartReader]) -> None:
    """Reads all parts measure by measure; each measure is as long as its longest part."""
    count = max((len(part.measures) for part in parts), default=0)
    for number in range(count):
        start = draft.end
        draft.bars.append(start)
        ends = []
        for reader, part in zip(readers, parts, strict=True):
            if number < len(part.measures):
                ends.append(reader.measure(start, part.measures[number]))
        draft.end = max([start, *ends])
        if _overfull(start, ends, readers):
            draft.lost["bars that some parts overfill"] += 1


def _overfull(start: Fraction, ends: list[Fraction], readers: list[PartReader]) -> bool:
    """Whether a bar is longer than its metre says, and not in all parts: the others wait, which
    moves their notes against the bar lines."""
    meter = next((reader.meters[-1] for reader in readers if reader.meters), None)
    if meter is None:
        return False
    _, beats, unit = meter
    if not unit:
        return False
    stop = start + Fraction(4 * beats, unit)
    return min(ends) <= stop < max(ends)


def _timewise(root: ET.Element) -> list[_Part]:
    """The parts of a score that gives, measure by measure, all parts. Where a part has none, an
    empty one."""
    names: dict[str, None] = {}  # in the order in which they are first named
    rows: list[dict[str, ET.Element]] = []
    for measure in root.findall("measure"):
        row = {part.get("id", ""): part for part in measure.findall("part")}
        rows.append(row)
        names |= dict.fromkeys(row)
    parts = []
    for name in names:
        measures = [row.get(name, ET.Element("measure")) for row in rows]
        parts.append(_Part(name, measures))
    return parts


def _facts(root: ET.Element) -> dict[str, str]:
    """Title, creators and rights."""
    facts: dict[str, str] = {}
    for creator in root.findall("identification/creator"):
        kind = creator.get("type", "composer")
        if kind in CREATORS and creator.text:
            facts.setdefault(kind, creator.text)
    facts["title"] = ""
    for path in ("work/work-title", "movement-title", "credit/credit-words"):
        facts["title"] = facts["title"] or root.findtext(path) or ""
    facts["rights"] = root.findtext("identification/rights") or ""
    return facts


def _is_drums(part: ET.Element | None) -> bool:
    """Whether every instrument of it plays on MIDI's channel of drums, where a pitch is none."""
    if part is None:
        return False
    channels = part.findall("midi-instrument/midi-channel")
    return {(channel.text or "").strip() for channel in channels} == {DRUMS}


def _changes(draft: Draft, readers: list[PartReader]) -> None:
    """Metres and keys of the first part that has pitches and says any, the most repeats, and every
    tempo once."""
    pitched = [reader for reader in readers if reader.voices] or readers
    draft.meters = next((reader.meters for reader in pitched if reader.meters), [])
    draft.keys = next((reader.keys for reader in pitched if reader.keys), [])
    repeats = max((reader.repeats for reader in readers), default=0)
    if repeats:
        draft.lost["repeats not played out"] += repeats
    tempos: dict[Fraction, float] = {}
    for reader in readers:
        for start, tempo in reader.tempos:
            tempos.setdefault(start, tempo)
    draft.tempos = sorted(tempos.items())
