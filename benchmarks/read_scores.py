"""Our reading of MusicXML beside music21's own, on the scores of its corpus that are no chorales:
piano music on two staves, songs, quartets, madrigals, an orchestra. Compared are all notes (onset,
length, pitch), ties joined, grace notes apart.

    python benchmarks/read_scores.py [--limit 20] [--json benchmarks/results/read_scores.json]

music21 reads the same file in the same process:
`converter.parse(forceSource=True).toSoundingPitch()`. Its parts drift apart where one of them fills
a bar that the others do not, so its notes are taken bar by bar. Cue notes, which we count, it
keeps. Voices are not compared, for music21 has none across bars.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from common import finish
from genwright.contents.music import musicxml
from genwright.contents.music.draft import Draft, Raw, untie

FOLDERS = (
    "beach",
    "beethoven",
    "ciconia",
    "corelli",
    "cpebach",
    "demos",
    "handel",
    "haydn",
    "johnson_j_r",
    "joplin",
    "leadSheet",
    "liliuokalani",
    "luca",
    "lusitano",
    "monteverdi",
    "mozart",
    "schoenberg",
    "schubert",
    "schumann_clara",
    "schumann_robert",
    "theoryExercises",
    "trecento",
    "verdi",
    "weber",
    "webern",
)
EXPLAINED = {
    "PMFC_13_04-Credo Cursor.xml": (
        "a B with a printed sharp and no <alter>: "
        "the standard says that <alter> sounds, music21 takes the sign"
    ),
}
ENDINGS = (".mxl", ".xml", ".musicxml")

Sound = tuple[Fraction, Fraction, int]  # onset and length in quarter notes, MIDI pitch


def scores(limit: int | None = None) -> list[Path]:
    """The corpus's files by folder, or about `limit` of them, from all folders."""
    spec = find_spec("music21")
    assert spec and spec.origin, "music21 is not installed"
    corpus = Path(spec.origin).parent / "corpus"
    found = [
        path
        for folder in FOLDERS
        for path in sorted((corpus / folder).rglob("*"))
        if path.suffix in ENDINGS
    ]
    return found if limit is None else found[:: max(1, -(-len(found) // limit))]


def exact(value: float | Fraction) -> Fraction:
    return Fraction(value).limit_denominator(100_000)


def ours(draft: Draft) -> Counter[Sound]:
    notes: Counter[Sound] = Counter()
    for _, voice in draft.voices:
        notes.update((exact(note.start), exact(note.length), note.pitch) for note in untie(voice))
    return notes


def theirs(path: Path, bars: Sequence[Fraction]) -> Counter[Sound]:
    """bars: where each begins. Ties are joined note by note, for music21's `stripTies` joins chords
    as wholes."""
    from music21 import converter

    stream = converter.parse(path, format="musicxml", forceSource=True).toSoundingPitch()
    notes: Counter[Sound] = Counter()
    for part in stream.parts:
        found: list[Raw] = []
        for bar, measure in zip(bars, part.getElementsByClass("Measure"), strict=False):
            found += [raw for sound in measure.flatten().notes for raw in _raws(sound, bar)]
        notes.update(_tied(found))
    return notes


def _tied(found: list[Raw]) -> list[Sound]:
    """A tied note goes on from whichever note of the part ends there: voices of one pitch cross in
    piano music."""
    sounds: list[Sound] = []
    ending: dict[tuple[int, Fraction], list[int]] = {}  # pitch, time -> which of `sounds` end then
    for note in sorted(found):
        before = ending.get((note.pitch, note.start), []) if note.tied else []
        place = before.pop() if before else len(sounds)
        start = sounds[place][0] if place < len(sounds) else note.start
        sounds[place : place + 1] = [(start, exact(note.start + note.length - start), note.pitch)]
        ending.setdefault((note.pitch, note.start + note.length), []).append(place)
    return sounds


def _raws(sound: Any, bar: Fraction) -> Iterator[Raw]:
    """Of a note or a chord with a pitch, in a bar that begins there."""
    if {"ChordSymbol", "Unpitched", "PercussionChord"} & set(
        sound.classes
    ) or sound.duration.isGrace:
        return
    for note in getattr(sound, "notes", [sound]):
        tied = note.tie is not None and note.tie.type in ("stop", "continue")
        yield Raw(bar + exact(sound.offset), exact(sound.quarterLength), note.pitch.midi, tied=tied)


def compare(path: Path) -> dict:
    """How many notes there are, and which only one of the two has."""
    draft = musicxml.read(path.read_bytes())
    mine, other = ours(draft), theirs(path, draft.bars)
    return {
        "notes": sum(mine.values()),
        "ours": mine - other,
        "theirs": other - mine,
        "lost": dict(+draft.lost),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--limit", type=int, help="only so many files, from all over")
    parser.add_argument("--json", help="where to keep the result")
    args = parser.parse_args()
    files = scores(args.limit)
    figures: dict = {
        "files": len(files),
        "notes": 0,
        "files that are equal": 0,
        "differ": {},
        "lost": Counter(),
    }
    begun = time.process_time()
    for path in files:
        name = f"{path.parent.name}/{path.name}"
        found = compare(path)
        figures["notes"] += found["notes"]
        figures["lost"].update(found["lost"])
        cues = found["lost"].get("cue notes", 0)
        if found["ours"] or found["theirs"].total() != cues:
            some = {
                side: [[str(x) for x in note] for note in sorted(found[side])[:5]]
                for side in ("ours", "theirs")
            }
            counts = {f"only {side}": sum(found[side].values()) for side in ("ours", "theirs")}
            figures["differ"][name] = counts | some | {"why": EXPLAINED.get(path.name, "")}
            print(f"{name}: {counts}", file=sys.stderr)
        else:
            figures["files that are equal"] += 1
    figures["processor seconds"] = time.process_time() - begun
    sys.exit(finish("read_scores", figures, args.json))


if __name__ == "__main__":
    main()
