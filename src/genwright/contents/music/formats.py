"""Readers of two formats: **kern (by music21), and the JSB json of chorales as pitches."""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from genwright.contents.music.abc_file import decoded
from genwright.contents.music.draft import BadMusic, Draft, Raw
from genwright.contents.music.score import of_grid

# a bar line, of the first spine, that ends a repeat
_KERN_REPEAT = re.compile(r"(?m)^=[^\s:]*:[|!]")
# a fact -> what music21's metadata call it
_KERN_FACTS = {
    "title": "title",
    "work": "parentTitle",
    "composer": "composer",
    "rights": "copyright",
}


def kern(data: bytes) -> Draft:
    """A voice a **kern spine, what it splits into included. https://www.humdrum.org/rep/kern/"""
    from music21.humdrum.spineParser import HumdrumDataCollection

    text = decoded(data)
    file = HumdrumDataCollection(text + "\n")
    file.parse()
    piece = file.stream
    draft = Draft(by_height=True, end=Fraction(piece.highestTime))
    for name, attribute in _KERN_FACTS.items():
        draft.facts[name] = str(getattr(piece.metadata, attribute, None) or "")
    # music21 puts all tempos of a measure at its beginning: the first is taken
    tempos: defaultdict[Fraction, list[float]] = defaultdict(list)
    for part in piece.parts:
        draft.bars += [Fraction(measure.offset) for measure in part.getElementsByClass("Measure")]
        flat = part.flatten()
        for mark in flat.getElementsByClass("MetronomeMark"):
            tempos[Fraction(mark.offset)].append(float(mark.getQuarterBPM()))
        for meter in flat.getElementsByClass("TimeSignature"):
            draft.meters.append((Fraction(meter.offset), meter.numerator, meter.denominator))
        for key in flat.getElementsByClass("KeySignature"):
            draft.keys.append((Fraction(key.offset), key.sharps, ""))
        sounds = [sound for sound in flat.notes if sound.quarterLength]
        draft.lost["grace notes"] += len(flat.notes) - len(sounds)
        draft.voices.append(("", _kern_notes(sounds)))
    draft.bars.append(Fraction(0))
    draft.tempos = sorted((start, found[0]) for start, found in tempos.items())
    other_tempos = [len(set(found)) - 1 for found in tempos.values()]
    draft.lost["changes of tempo"] += sum(other_tempos)
    # music21 knows few of their signs
    draft.lost["repeats not played out"] += len(_KERN_REPEAT.findall(text))
    return draft


def _kern_notes(sounds: Iterable[Any]) -> list[Raw]:
    """The notes of a part, of music21's notes and chords."""
    notes: list[Raw] = []
    for sound in sounds:
        start = Fraction(sound.offset)
        length = Fraction(sound.quarterLength)
        fermata = any("Fermata" in mark.classes for mark in sound.expressions)
        tuplet = bool(sound.duration.tuplets)
        for note in getattr(sound, "notes", [sound]):
            tied = note.tie is not None and note.tie.type in ("stop", "continue")
            notes.append(Raw(start, length, note.pitch.midi, 80, fermata, tied, tuplet))
    return notes


def jsb(data: bytes) -> Iterator[tuple[str, Draft]]:
    """(name, piece) of {"train": [[[soprano, alto, tenor, bass], ... sixteenths], ... pieces],
    ...}, -1 a rest. Raises BadMusic."""
    try:
        splits = json.loads(data)
    # also of numbers that are too long, and of brackets that are too many
    except (ValueError, RecursionError) as error:
        raise BadMusic(f"is no JSON ({error})") from None
    is_of_lists = isinstance(splits, dict) and all(
        isinstance(pieces, list) for pieces in splits.values()
    )
    if not is_of_lists:
        raise BadMusic('is no json of chorales: {"train": [[[67, 62, 59, 43], ...], ...], ...}')
    for split, pieces in splits.items():
        for number, frames in enumerate(pieces):
            name = f"{split}/{number}"
            score = of_grid(_frames(frames, name))
            draft = Draft(end=Fraction(score.length, 4), facts={"split": split})
            for notes in score.voices:
                exact = [Raw(Fraction(n.start, 4), Fraction(n.length, 4), n.pitch) for n in notes]
                draft.voices.append(("", exact))
            yield name, draft


def _frames(frames: object, name: str) -> np.ndarray:
    """(steps, voices) int. Raises BadMusic for what is no table of whole numbers."""
    try:
        table = np.asarray(frames)
    except (ValueError, OverflowError):  # of rows that differ in length
        table = np.empty(0)
    if table.ndim != 2 or table.dtype.kind != "i":
        raise BadMusic(f"holds {name}, whose steps are no rows of as many whole pitches each")
    return table
