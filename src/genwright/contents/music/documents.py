"""Pieces of music as the documents of a corpus: a file that holds one is the document, byte by
byte; of an ABC file with several tunes each tune is one, with the file's header.

What a document is, its bytes say: MIDI, MusicXML (packed or not), **kern, else ABC.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from genwright.contents.music import abc_file, abc_reader, formats, midi, musicxml
from genwright.contents.music.draft import BadMusic, Draft
from genwright.contents.music.score import Score

LOOKED_AT = 1 << 16  # bytes in which **kern says that it is that
MIDI = (b"MThd", b"RIFF")
PACKED = b"PK"
MARKS = b"\xef\xbb\xbf\xff\xfe\0 \t\r\n"  # byte-order marks and white space before XML


def form_of(data: bytes) -> str:
    """What a document is, for a person: "MIDI", "MusicXML", "**kern" or "ABC"."""
    if data.startswith(MIDI):
        return "MIDI"
    if data.startswith(PACKED) or data[:64].lstrip(MARKS).startswith(b"<"):
        return "MusicXML"
    if b"**kern" in data[:LOOKED_AT]:
        return "**kern"
    return "ABC"


def draft_of(data: bytes) -> Draft:
    """The piece of a document. Raises BadMusic, and what readers raise for damaged data."""
    readers: dict[str, Callable[[bytes], Draft]] = {
        "MIDI": midi.read,
        "MusicXML": musicxml.read,
        "**kern": formats.kern,
        "ABC": _abc,
    }
    return readers[form_of(data)](data)


def score_of(data: bytes, per_quarter: int) -> tuple[Score, Counter[str]]:
    """The piece on a grid, and what that loses. Raises as `draft_of`."""
    return draft_of(data).score(per_quarter)


def tunes_in(data: bytes) -> list[bytes]:
    """The documents of a file. Raises BadMusic for a damaged file of ABC."""
    if form_of(data) != "ABC":
        return [data]
    tunes = abc_file.tunes(data)
    if len(tunes) == 1:
        return [data]
    return [tune.encode() for tune in tunes]


def _abc(data: bytes) -> Draft:
    tunes = abc_file.tunes(data)
    if len(tunes) > 1:
        raise BadMusic(f"holds {len(tunes)} tunes, and not one")
    return abc_reader.read(tunes[0])
