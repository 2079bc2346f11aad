"""Kern (by music21), and the JSB json."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from genwright.contents.music.abc_file import decoded
from genwright.contents.music.draft import BadMusic, Draft, Raw
from genwright.contents.music.score import of_grid

# a bar line, of the first spine, that ends a repeat
_KERN_REPEAT = re.compile(r"(?m)^=[^\s:]*:[|!]")
# in music21's words
_KERN = {"title": "title", "work": "parentTitle", "composer": "composer", "rights": "copyright"}


def kern(data: bytes) -> Draft:
    """A voice a **kern spine, what it splits into included. https://www.humdrum.org/rep/kern/"""
    from music21.humdrum.spineParser import HumdrumDataCollection

    file = HumdrumDataCollection(decoded(data) + "\n")
    file.parse()
    draft = Draft(by_height=True, end=Fraction(file.stream.highestTime))
    draft.facts = {
        name: str(getattr(file.stream.metadata, own, None) or "") for name, own in _KERN.items()
    }
    tempos: dict[Fraction, float] = {}
    # music21 puts all tempos of a measure at its beginning
    merged: defaultdict[Fraction, set[float]] = defaultdict(set)
    for part in file.stream.parts:
        draft.bars += [Fraction(measure.offset) for measure in part.getElementsByClass("Measure")]
        part, notes = part.flatten(), list[Raw]()
        for mark in part.getElementsByClass("MetronomeMark"):
            first = tempos.setdefault(Fraction(mark.offset), float(mark.getQuarterBPM()))
            merged[Fraction(mark.offset)] |= {float(mark.getQuarterBPM())} - {first}
        draft.meters += [
            (Fraction(m.offset), m.numerator, m.denominator)
            for m in part.getElementsByClass("TimeSignature")
        ]
        draft.keys += [
            (Fraction(k.offset), k.sharps, "") for k in part.getElementsByClass("KeySignature")
        ]
        draft.lost["grace notes"] += sum(not sound.quarterLength for sound in part.notes)
        for sound in (sound for sound in part.notes if sound.quarterLength):
            fermata = any("Fermata" in mark.classes for mark in sound.expressions)
            for note in getattr(sound, "notes", [sound]):
                tied = note.tie is not None and note.tie.type in ("stop", "continue")
                about = note.pitch.midi, 80, fermata, tied, bool(sound.duration.tuplets)
                notes.append(Raw(Fraction(sound.offset), Fraction(sound.quarterLength), *about))
        draft.voices.append(("", notes))
    draft.bars.append(Fraction(0))
    draft.tempos = sorted(tempos.items())
    draft.lost["changes of tempo"] += sum(map(len, merged.values()))
    # music21 knows few of their signs
    draft.lost["repeats not played out"] += len(_KERN_REPEAT.findall(decoded(data)))
    return draft


def jsb(data: bytes) -> Iterator[tuple[str, Draft]]:
    """(name, piece) of {"train": [[[soprano, alto, tenor, bass], ... sixteenths], ... pieces],
    ...}, -1 a rest."""
    try:
        splits = json.loads(data)
    # also of numbers that are too long, and of brackets that are too many
    except (ValueError, RecursionError) as error:
        raise BadMusic(f"is no JSON ({error})") from None
    if not isinstance(splits, dict) or not all(
        isinstance(pieces, list) for pieces in splits.values()
    ):
        raise BadMusic('is no json of chorales: {"train": [[[67, 62, 59, 43], ...], ...], ...}')
    for split, pieces in splits.items():
        for number, frames in enumerate(pieces):
            score = of_grid(_frames(frames, f"{split}/{number}"))
            voices = [
                [Raw(Fraction(n.start, 4), Fraction(n.length, 4), n.pitch) for n in notes]
                for notes in score.voices
            ]
            yield (
                f"{split}/{number}",
                Draft(
                    [("", notes) for notes in voices],
                    end=Fraction(score.length, 4),
                    facts={"split": split},
                ),
            )


def _frames(frames: object, name: str) -> np.ndarray:
    """(steps, voices) int. Raises BadMusic for what is no table of whole numbers."""
    try:
        table = np.asarray(frames)
    except (ValueError, OverflowError):  # of rows that differ in length
        table = np.empty(0)
    if table.ndim != 2 or table.dtype.kind != "i":
        raise BadMusic(f"holds {name}, whose steps are no rows of as many whole pitches each")
    return table
