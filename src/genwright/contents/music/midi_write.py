"""A score as a Standard MIDI File of format 1: a track for tempos, metres and keys, then a track
and a channel a voice.

Every reader finds the same notes: within a voice no two notes of one pitch overlap (`score.apart`),
a note ends before another of its pitch begins at the same tick, and each track ends where the piece
does. Channel 10 is left to drums; a 16th voice begins anew on the next port.
Source: Standard MIDI Files 1.0, RP-001.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction

from genwright.contents.music.score import Meter, Note, Score, apart, edges, first_number
from genwright.contents.music.write import checked, names

FORMAT = 1  # tracks that sound together
CHANNELS = (*range(9), *range(10, 16))
FINEST = 480  # ticks of a quarter note, about
FINEST_UNIT = 64  # of a metre
CLOCKS = 24  # of MIDI, in a quarter note: a click of the metronome
THIRTY_SECONDS = 8  # in a quarter note
NOTE_OFF = 0x80
NOTE_ON = 0x90
# kinds of meta events
COPYRIGHT = 0x02
TRACK_NAME = 0x03
PORT = 0x21
END_OF_TRACK = 0x2F
TEMPO = 0x51
METER = 0x58
KEY = 0x59

Timed = tuple[int, bytes]  # tick, event


def to_midi(score: Score) -> bytes:
    """The bytes of a .mid file. Raises GenwrightError (`checked`)."""
    ticks = max(1, FINEST // checked(score).per_quarter)  # of a step
    end = edges(score)[-1] * ticks
    tracks = [_track(_conductor(score, ticks), end)]
    for number, (voice, name) in enumerate(zip(score.voices, names(score), strict=True)):
        port, place = divmod(number, len(CHANNELS))
        events = _named(name)
        if port:
            events.append((0, _meta(PORT, bytes([port]))))
        events += _played(voice, CHANNELS[place], ticks)
        tracks.append(_track(events, end))
    header = _two_bytes(FORMAT) + _two_bytes(len(tracks)) + _two_bytes(ticks * score.per_quarter)
    return _chunk(b"MThd", header) + b"".join(tracks)


def _conductor(score: Score, ticks: int) -> list[Timed]:
    """The events that hold for all voices. ticks: of a step."""
    events = _named(score.facts.get("title", ""))
    rights = score.facts.get("rights", "")
    if rights:
        events.append((0, _meta(COPYRIGHT, _words(rights))))
    for start, per_minute in [(0, score.tempo), *score.tempos]:
        micros = round(60e6 / per_minute)  # of a quarter note
        events.append((start * ticks, _meta(TEMPO, micros.to_bytes(3, "big"))))
    for meter in _with_pickup(score):
        power = meter.unit.bit_length() - 1
        data = bytes([meter.beats, power, CLOCKS, THIRTY_SECONDS])
        events.append((meter.start * ticks, _meta(METER, data)))
    for key in score.keys:
        mode = 1 if key.mode == "minor" else 0
        data = key.sharps.to_bytes(1, "big", signed=True) + bytes([mode])
        events.append((key.start * ticks, _meta(KEY, data)))
    return sorted(events, key=lambda event: event[0])


def _with_pickup(score: Score) -> list[Meter]:
    """The metres; a pickup, of which MIDI knows nothing, is a bar of its own metre before the
    first, as notation programs write it."""
    meters = list(score.meters)
    if not meters or first_number(score):
        return meters
    first = meters[0]
    stop = edges(score)[1]  # where the pickup ends
    beats = Fraction(stop * first.unit, 4 * score.per_quarter)  # in the metre's own unit, or finer
    unit = first.unit * beats.denominator
    if unit > FINEST_UNIT or not _is_power_of_two(beats.denominator):
        return meters
    pickup = Meter(0, beats.numerator, unit)
    after = first  # what holds after the pickup
    later = []
    for meter in meters[1:]:
        if meter.start <= stop:
            after = meter
        else:
            later.append(meter)
    return [pickup, after._replace(start=stop), *later]


def _is_power_of_two(number: int) -> bool:
    return number & (number - 1) == 0


def _played(voice: Iterable[Note], channel: int, ticks: int) -> list[Timed]:
    """The notes of a voice; at one tick, ends come before beginnings. ticks: of a step."""
    keyed: list[tuple[int, int, bytes]] = []  # tick, 0 for an end, event
    for note in apart(voice):
        begin = note.start * ticks
        end = (note.start + note.length) * ticks
        velocity = max(1, min(127, note.velocity))
        keyed.append((begin, 1, bytes([NOTE_ON | channel, note.pitch, velocity])))
        keyed.append((end, 0, bytes([NOTE_OFF | channel, note.pitch, 0])))
    return [(tick, event) for tick, _, event in sorted(keyed)]


def _track(events: Sequence[Timed], end: int) -> bytes:
    """A chunk of events in the order of time, and the end of the track at the tick `end`."""
    data = bytearray()
    before = 0
    for tick, event in [*events, (end, _meta(END_OF_TRACK, b""))]:
        data += _number(tick - before) + event
        before = tick
    return _chunk(b"MTrk", bytes(data))


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + len(data).to_bytes(4, "big") + data


def _two_bytes(value: int) -> bytes:
    return value.to_bytes(2, "big")


def _number(value: int) -> bytes:
    """A number of variable length: 7 bits a byte, the highest first; all but the last have the top
    bit."""
    digits = [value & 0x7F]
    value >>= 7
    while value:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(reversed(digits))


def _meta(kind: int, data: bytes) -> bytes:
    """A meta event."""
    return bytes([0xFF, kind]) + _number(len(data)) + data


def _named(name: str) -> list[Timed]:
    """The name of a track, where it has one."""
    return [(0, _meta(TRACK_NAME, _words(name)))] if name else []


def _words(text: str) -> bytes:
    return text.encode(errors="replace")
