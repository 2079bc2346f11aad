"""MusicXML (score-partwise; plain or .mxl): notes at exact times and sounding pitches, with ties, fermatas, bars, metres, keys and tempo.

Reads with the standard library alone, in a fifth of the time that music21 needs. A doctype may name a DTD, which is never fetched, and may
declare nothing: without entities there is nothing to expand or to fetch (XXE, "billion laughs"). What is unpacked is bounded. A voice of a
part is a voice of the piece; a measure is as long as its longest part; cues are passed over. https://www.w3.org/2021/06/musicxml40/
"""

import io
import xml.etree.ElementTree as ET
import zipfile
from fractions import Fraction
from itertools import zip_longest
from xml.parsers import expat

from genwright.music.draft import SEMITONES, BadMusic, Draft, Raw
from genwright.music.score import Key, moved_key

LARGEST = 32 << 20  # bytes of a file, packed and unpacked


def parse(data: bytes) -> ET.Element:
    """The root of an XML document. Raises BadMusic for a doctype that declares anything, an error of the parser for what is no XML."""

    def doctype(name, system, public, declares) -> None:
        if declares:
            raise BadMusic("declares entities in its doctype, which could read other files or fill the memory")

    first = expat.ParserCreate()
    first.StartDoctypeDeclHandler = doctype
    first.Parse(data, True)  # nothing was expanded yet when a doctype is refused
    return ET.fromstring(data)


def unpack(data: bytes) -> bytes:
    """The score within an .mxl. Raises BadMusic where it unpacks to more than LARGEST."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:

        def member(name: str) -> bytes:
            with archive.open(name) as file:
                if len(text := file.read(LARGEST + 1)) > LARGEST:
                    raise BadMusic(f"unpacks to more than {LARGEST >> 20} MB, as zip bombs do")
                return text

        rootfile = next(element for element in parse(member("META-INF/container.xml")).iter() if element.tag.endswith("rootfile"))
        return member(rootfile.attrib["full-path"])


def read(data: bytes) -> Draft:
    """Raises BadMusic, or whatever a damaged file leads to."""
    root = parse(unpack(data) if data[:2] == b"PK" else data)
    if root.tag != "score-partwise":
        raise BadMusic(f"is XML, but no score-partwise MusicXML (its root is <{root.tag[:40]}>)")
    draft = Draft(facts={creator.get("type", ""): creator.text or "" for creator in root.findall("identification/creator")})
    draft.facts["title"] = root.findtext("work/work-title") or root.findtext("movement-title") or root.findtext("credit/credit-words") or ""
    draft.facts["rights"] = root.findtext("identification/rights") or ""
    if (sound := root.find(".//sound[@tempo]")) is not None:
        draft.tempo = float(sound.attrib["tempo"])
    names = {part.get("id"): part.findtext("part-name") or "" for part in root.findall("part-list/score-part")}
    if len(parts := root.findall("part")) > 256:
        raise BadMusic(f"has {len(parts):,} parts, more than any orchestra")
    readers = [_Part(draft, first=part is parts[0]) for part in parts]
    for measures in zip_longest(*(part.findall("measure") for part in parts)):
        draft.bars.append(start := draft.end)
        for reader, measure in zip(readers, measures, strict=True):
            draft.end = max(draft.end, reader.measure(start, measure if measure is not None else ()))
    for part, reader in zip(parts, readers, strict=True):
        voices = sorted(reader.voices.items(), key=lambda item: (len(item[0]), item[0]))
        draft.voices += [(names.get(part.get("id"), ""), notes) for _, notes in voices]
    return draft


def _number(text: str | None) -> Fraction:
    return Fraction(int(text)) if text and text.isdecimal() else Fraction(float(text or 0))  # a Fraction of "1e999999" would take forever


class _Part:
    """What a part's measures leave for those that follow."""

    def __init__(self, draft: Draft, first: bool):
        self.draft, self.first = draft, first
        self.voices: dict[str, list[Raw]] = {}
        self.divisions, self.transposed = Fraction(1), 0

    def measure(self, start: Fraction, elements) -> Fraction:
        """Where it ends."""
        now = onset = end = start
        for element in elements:
            length = _number(element.findtext("duration")) / self.divisions
            if element.tag == "note":
                if element.find("chord") is None:
                    onset, now = now, now + length
                if element.find("rest") is None and element.find("cue") is None:
                    self._note(element, onset, length)
            elif element.tag == "attributes":
                self._attributes(element, now)
            elif element.tag in ("backup", "forward"):
                now = now + length if element.tag == "forward" else max(start, now - length)
            end = max(end, now)
        return end

    def _note(self, element: ET.Element, start: Fraction, length: Fraction) -> None:
        pitch = element.find("pitch")
        if pitch is None or element.find("grace") is not None:
            self.draft.lost["unpitched notes" if pitch is None else "grace notes"] += 1
            return
        alter, octave = round(float(pitch.findtext("alter") or 0)), int(pitch.findtext("octave") or "")
        midi = 12 + 12 * octave + SEMITONES[pitch.findtext("step") or ""] + alter + self.transposed
        tied = any(tie.get("type") == "stop" for tie in element.findall("tie"))
        fermata, tuplet = element.find("notations/fermata") is not None, element.find("time-modification") is not None
        self.voices.setdefault(element.findtext("voice") or "1", []).append(Raw(start, length, midi, 80, fermata, tied, tuplet))

    def _attributes(self, element: ET.Element, now: Fraction) -> None:
        self.divisions = _number(element.findtext("divisions")) or self.divisions
        if element.find("transpose") is not None:
            octaves, semitones = element.findtext("transpose/octave-change"), element.findtext("transpose/chromatic")
            self.transposed = int(12 * _number(octaves) + _number(semitones))
        if self.first and (fifths := element.findtext("key/fifths")):
            key = moved_key(Key(0, int(fifths), element.findtext("key/mode") or ""), self.transposed)
            self.draft.keys.append((now, key.sharps, key.mode))
        if self.first and (beats := element.findtext("time/beats")):
            self.draft.meters.append((now, sum(map(int, beats.split("+"))), int(element.findtext("time/beat-type") or 0)))
