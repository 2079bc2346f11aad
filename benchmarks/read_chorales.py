"""Reading the four-part Bach chorales of music21's installed corpus from cold into arrays: seconds,
beside music21's own parsing of those files in the same run, and whether every note, fermata, bar,
key and metre is the same.

    python benchmarks/read_chorales.py [--pieces 40] [--json benchmarks/results/read_chorales.json]

Ours: zip, XML, grid, and (frames, voices) arrays of pitches and onsets, of every file of the
folder, because which has four parts is known only then. music21's:
`converter.parse(forceSource=True)` of the four-part ones alone. Both in one process, one after the
other.
"""

from __future__ import annotations

import argparse
import sys
import time
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from common import finish
from genwright.contents.music import musicxml
from genwright.contents.music import sources as source_music
from genwright.contents.music.score import Score


def exact(value) -> Fraction:
    return Fraction(value).limit_denominator(10_080)


def same(draft, stream) -> bool:
    """Whether our exact times, before any grid, are music21's."""
    score, counts = draft.score(96)
    scaled = [
        sorted((Fraction(n.start, 96), Fraction(n.length, 96), n.pitch) for n in notes)
        for notes in score.voices
    ]
    theirs, marked, top = [], [], stream.parts[0]
    for part in stream.toSoundingPitch().parts:
        notes = [n for n in part.flatten().stripTies().notes if not n.duration.isGrace]
        theirs.append(
            sorted(
                (exact(n.offset), exact(n.duration.quarterLength), p.midi)
                for n in notes
                for p in n.pitches
            )
        )
        marked.append(
            [
                exact(n.offset)
                for n in part.flatten().notes
                if any("Fermata" in e.classes for e in n.expressions)
            ]
        )
    fermatas = [[raw.start for raw in notes if raw.fermata] for _, notes in draft.voices]
    bars = sorted(set(draft.bars)) == sorted(
        {exact(m.offset) for m in top.getElementsByClass("Measure")}
    )
    keys = [
        (exact(k.getOffsetInHierarchy(top)), k.sharps)
        for k in top.recurse().getElementsByClass("KeySignature")
    ]
    meters = [
        (exact(m.getOffsetInHierarchy(top)), m.numerator, m.denominator)
        for m in top.recurse().getElementsByClass("TimeSignature")
    ]
    exactly = not counts["notes moved"] and scaled == theirs and fermatas == marked and bars
    return exactly and keys == [key[:2] for key in draft.keys] and meters == draft.meters


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pieces", type=int, help="only so many files")
    parser.add_argument("--json", help="where to keep the result")
    args = parser.parse_args()
    files = source_music.find("chorales")[: args.pieces]
    start, cpu = time.perf_counter(), time.process_time()
    pieces = [
        piece
        for piece in source_music.pieces("chorales", files, 4)
        if isinstance(piece.score, Score)
    ]
    frames = sum(len(piece.score.grid()[0]) for piece in pieces)  # type: ignore[union-attr]
    figures: dict = {
        "chorales": len(pieces),
        "frames": frames,
        "notes": sum(piece.counts["notes"] for piece in pieces),
    }
    figures |= {"seconds": time.perf_counter() - start, "cpu_seconds": time.process_time() - cpu}
    figures["lost"] = {
        kind: n
        for kind in ("notes moved", "notes dropped", "grace notes")
        if (n := sum(p.counts[kind] for p in pieces))
    }

    from music21 import converter

    paths = {file.name: file.path for file in files}
    start, cpu = time.perf_counter(), time.process_time()
    streams = {
        piece.name: converter.parse(paths[piece.name], format="musicxml", forceSource=True)
        for piece in pieces
    }
    figures |= {
        "music21_seconds": time.perf_counter() - start,
        "music21_cpu_seconds": time.process_time() - cpu,
    }
    figures["ratio_cpu"] = figures["music21_cpu_seconds"] / figures["cpu_seconds"]
    figures["differ"] = [
        name
        for name, stream in streams.items()
        if not same(musicxml.read(Path(paths[name]).read_bytes()), stream)
    ]
    sys.exit(finish("read_chorales", figures, args.json))


if __name__ == "__main__":
    main()
