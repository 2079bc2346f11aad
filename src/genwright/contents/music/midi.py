"""Reads a Standard MIDI File: notes at exact times, tempos, metres, keys and names.

1. The file is cut into its chunks, a track into its events, each with its tick (running status,
   system exclusive and meta events included).
2. A voice is what one channel plays in one track, so that a file of format 0 has as many voices as
   channels. Channel 10 is drums: counted.
3. Of one pitch, the note that began first ends first. Where some note never ends, a note of its
   pitch ends where that begins anew, as it does on an instrument, the last one at the end of the
   track; how many is counted.
4. What the standard presumes is presumed: 120 quarter notes a minute, 4/4. A piece ends with its
   last note: how long a file waits after that is its program's habit.

We read it ourselves because a note must not vanish without a word: symusic drops notes that do not
end and events that are damaged.
Not read: controllers, pedals, instruments, lyrics; bends of the pitch are counted. Source: Standard
MIDI Files 1.0, RP-001.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from genwright.contents.music.draft import LONGEST, BadMusic, Draft, Raw, metric_bars

USUAL_TEMPO = 120.0  # quarter notes a minute, until the file says another
DRUMS = 9  # channel 10, counted from 0
NOTE_OFF = 0x80
NOTE_ON = 0x90
BEND = 0xE0
BEND_MIDDLE = b"\x00\x40"  # no bend at all
SYSEX = 0xF0
ESCAPE = 0xF7
META = 0xFF
# kind of a channel's message -> bytes that follow it
DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
# kinds of meta events
COPYRIGHT = 0x02
TRACK_NAME = 0x03
END_OF_TRACK = 0x2F
TEMPO = 0x51
METER = 0x58
KEY = 0x59
SMPTE_REMEDY = "export it with ticks a quarter note (PPQ)"


class Event(NamedTuple):
    """status: as its byte stands in the file, META for a meta event. kind: of a meta event, else
    0."""

    tick: int
    status: int
    kind: int
    data: bytes


class Strike(NamedTuple):
    """A key goes down (velocity above 0) or up (0)."""

    tick: int
    velocity: int


@dataclass
class Track:
    """strikes: (channel, pitch) -> in the order of the file. end: the tick of its end."""

    name: str = ""
    strikes: dict[tuple[int, int], list[Strike]] = field(default_factory=dict)
    end: int = 0


def read(data: bytes) -> Draft:
    """The piece of a file: a voice a track and channel, without drums. Raises BadMusic."""
    ticks, chunks, announced = _chunks(_unwrapped(data))
    draft = Draft(by_height=True, tempo=USUAL_TEMPO)
    tracks = [_track(chunk, ticks, draft) for chunk in chunks]
    if announced > len(tracks):
        draft.lost["tracks that are missing"] = announced - len(tracks)
    for track in tracks:
        draft.voices += _voices(track, ticks, draft.lost)
    if tracks and not tracks[0].strikes:
        draft.facts["title"] = tracks[0].name
    if not any(start == 0 for start, _, _ in draft.meters):
        draft.meters.append((Fraction(0), 4, 4))
    _pickup(draft)
    return draft


def _pickup(draft: Draft) -> None:
    """One bar of a shorter metre before the first is a pickup: the metre that follows holds from
    the beginning, and bars stay where they are."""
    meters = sorted(draft.meters, key=lambda meter: meter[0])
    if len(meters) < 2 or not all(beats and unit for _, beats, unit in meters):
        return
    _, beats, unit = meters[0]
    stop, second_beats, second_unit = meters[1]
    first_bar = Fraction(4 * beats, unit)
    second_bar = Fraction(4 * second_beats, second_unit)
    if first_bar != stop or stop >= second_bar:
        return
    ends: list[Fraction] = []
    for _, notes in draft.voices:
        ends += [note.start + note.length for note in notes]
    end = max(ends, default=stop)
    draft.bars = metric_bars(meters, min(end, Fraction(LONGEST)))
    draft.meters = [(Fraction(0), second_beats, second_unit), *meters[2:]]


def _unwrapped(data: bytes) -> bytes:
    """The MIDI file itself, of one that Windows wrapped in a RIFF container."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    place = 12
    while place + 8 <= len(data):
        name = data[place : place + 4]
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if name == b"data":
            return data[place + 8 : place + 8 + size]
        place += 8 + size + size % 2
    raise BadMusic("is a RIFF container without MIDI in it")


def _chunks(data: bytes) -> tuple[int, list[bytes], int]:
    """(ticks of a quarter note, the tracks' bytes, how many tracks the header announces). Other
    chunks are passed over, as the standard wants. Raises BadMusic."""
    if data[:4] != b"MThd":
        raise BadMusic("is no MIDI file: it does not begin with MThd")
    size = int.from_bytes(data[4:8], "big")
    if size < 6 or len(data) < 8 + size:
        raise BadMusic("is cut short in its header")
    kind = int.from_bytes(data[8:10], "big")
    announced = int.from_bytes(data[10:12], "big")
    division = int.from_bytes(data[12:14], "big")
    _check_header(kind, announced, division)
    return division, _track_chunks(data, 8 + size), announced


def _check_header(kind: int, tracks: int, division: int) -> None:
    """Raises BadMusic for a file that cannot be read. kind: the format, 0 to 2; division: ticks a
    quarter note, or frames a second."""
    if division >= 0x8000:
        raise BadMusic(
            "counts time in SMPTE frames, which say nothing of quarter notes or bars", SMPTE_REMEDY
        )
    if not division:
        raise BadMusic("has 0 ticks a quarter note")
    if kind > 2:
        raise BadMusic(f"is of MIDI format {kind}, which does not exist")
    if kind == 2 and tracks > 1:
        raise BadMusic(
            "is of MIDI format 2, whose tracks are pieces of their own",
            "export each of them as a file of format 0 or 1",
        )


def _track_chunks(data: bytes, place: int) -> list[bytes]:
    """The bytes of the tracks, from a place in the file on. Raises BadMusic."""
    tracks = []
    while place + 8 <= len(data):
        name = data[place : place + 4]
        size = int.from_bytes(data[place + 4 : place + 8], "big")
        place += 8
        if place + size > len(data):
            raise BadMusic(
                f"is cut short: {place + size - len(data):,} bytes of a track are missing"
            )
        if name == b"MTrk":
            tracks.append(data[place : place + size])
        place += size
    return tracks


class _Bytes:
    """What is left of a track's bytes."""

    def __init__(self, data: bytes):
        self.data = data
        self.place = 0

    def more(self) -> bool:
        """Whether anything is left."""
        return self.place < len(self.data)

    def take(self, count: int) -> bytes:
        """The next bytes. Raises BadMusic where there are fewer."""
        if self.place + count > len(self.data):
            raise BadMusic("ends a track in the middle of an event")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self) -> int:
        """A number of variable length: 7 bits a byte, 4 bytes at most. Raises BadMusic."""
        value = 0
        for _ in range(4):
            byte = self.take(1)[0]
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise BadMusic("holds a number of more than four bytes")


def _events(data: bytes) -> Iterator[Event]:
    """The events up to the end of the track. Raises BadMusic."""
    left = _Bytes(data)
    tick = 0
    running = 0
    while left.more():
        tick += left.number()
        status = left.data[left.place] if left.more() else 0
        if status >= 0x80:
            left.take(1)
        elif running:
            status = running
        else:
            raise BadMusic("holds an event of no kind")
        if status in (SYSEX, ESCAPE):
            yield Event(tick, status, 0, left.take(left.number()))
        elif status == META:
            kind = left.take(1)[0]
            yield Event(tick, status, kind, left.take(left.number()))
            if kind == END_OF_TRACK:
                return
        elif status >= SYSEX:
            raise BadMusic(f"holds a message (0x{status:02X}) that has no place in a file")
        else:
            running = status
            values = left.take(DATA_BYTES[status & 0xF0])
            if max(values) > 0x7F:
                raise BadMusic("holds an event whose values are out of range")
            yield Event(tick, status, 0, values)


def _track(data: bytes, ticks: int, draft: Draft) -> Track:
    """What a track plays; its tempos, metres, keys and what is lost of it go into the draft."""
    track = Track()
    for event in _events(data):
        track.end = event.tick
        kind = event.status & 0xF0
        channel = event.status & 0x0F
        is_bend = kind == BEND and event.data != BEND_MIDDLE
        if event.status == META:
            _meta(event, Fraction(event.tick, ticks), track, draft)
        elif kind in (NOTE_ON, NOTE_OFF):
            pitch, velocity = event.data
            if kind == NOTE_OFF:
                velocity = 0
            strikes = track.strikes.setdefault((channel, pitch), [])
            strikes.append(Strike(event.tick, velocity))
        elif is_bend:
            draft.lost["bends of the pitch"] += 1
    return track


def _meta(event: Event, time: Fraction, track: Track, draft: Draft) -> None:
    """What a meta event says goes into the draft, the name of a track into the track."""
    data = event.data
    if event.kind == TEMPO and len(data) >= 3:
        micros = int.from_bytes(data[:3], "big")  # of a quarter note
        tempo = 60e6 / micros if micros else 0.0
        draft.tempos.append((time, tempo))
    elif event.kind == METER and len(data) >= 2:
        beats, power = data[:2]
        unit = 1 << power if power < 8 else 0
        draft.meters.append((time, beats, unit))
    elif event.kind == KEY and len(data) >= 2 and data[1] in (0, 1):
        sharps = int.from_bytes(data[:1], "big", signed=True)
        mode = "minor" if data[1] else "major"
        draft.keys.append((time, sharps, mode))
    elif event.kind in (TEMPO, METER, KEY):
        draft.lost["tempos, metres and keys that are damaged"] += 1
    elif event.kind == TRACK_NAME and not track.name:
        track.name = _words(data)
    elif event.kind == COPYRIGHT:
        draft.facts.setdefault("rights", _words(data))


def _words(data: bytes) -> str:
    """Text of no stated encoding: UTF-8 where it is that, else Latin-1."""
    try:
        return data.decode("utf-8").strip("\0")
    except UnicodeDecodeError:
        return data.decode("latin-1").strip("\0")


def _voices(track: Track, ticks: int, lost: Counter[str]) -> list[tuple[str, list[Raw]]]:
    """(name, notes) of a track's voices, one a channel. ticks: of a quarter note. What is not read
    or not whole is counted in `lost`."""
    voices: dict[int, list[Raw]] = {}
    for (channel, pitch), strikes in track.strikes.items():
        if channel == DRUMS:
            lost["unpitched notes"] += sum(strike.velocity > 0 for strike in strikes)
            continue
        spans = _whole(strikes)
        if spans is None:
            spans = _cut(strikes, track.end)
            lost["notes without an end"] += _unended(strikes)
        notes = voices.setdefault(channel, [])
        for start, end, velocity in spans:
            length = Fraction(end - start, ticks)
            notes.append(Raw(Fraction(start, ticks), length, pitch, velocity))
    return [(track.name, notes) for _, notes in sorted(voices.items())]


def _whole(strikes: Sequence[Strike]) -> list[tuple[int, int, int]] | None:
    """(start, end, velocity) of the notes of one pitch, the first to begin being the first to end;
    None where one never ends."""
    spans: list[tuple[int, int, int]] = []
    begun: list[Strike] = []
    ended = 0  # how many of `begun` have ended
    for strike in strikes:
        if strike.velocity:
            begun.append(strike)
        elif ended < len(begun):
            spans.append((begun[ended].tick, strike.tick, begun[ended].velocity))
            ended += 1
    return spans if ended == len(begun) else None


def _cut(strikes: Sequence[Strike], end: int) -> list[tuple[int, int, int]]:
    """(start, end, velocity) of the notes of one pitch, each ending at its first release, where the
    pitch begins anew, or at the end."""
    spans: list[tuple[int, int, int]] = []
    sounding: Strike | None = None
    for strike in strikes:
        if sounding:
            spans.append((sounding.tick, strike.tick, sounding.velocity))
        sounding = strike if strike.velocity else None
    if sounding:
        spans.append((sounding.tick, end, sounding.velocity))
    return spans


def _unended(strikes: Sequence[Strike]) -> int:
    """How many notes of one pitch never end."""
    sounding = 0
    for strike in strikes:
        sounding = sounding + 1 if strike.velocity else max(0, sounding - 1)
    return sounding
