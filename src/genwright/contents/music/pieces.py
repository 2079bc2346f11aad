"""Pieces of music that a person looks at and listens to: kept by an evaluation as plain data, and
drawn for the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from genwright.contents.music.compose import BARS, first_bars
from genwright.contents.music.descriptors import histograms
from genwright.contents.music.score import Score, from_plain, to_plain
from genwright.contents.music.voice_leading import faults, labels
from genwright.core.progress import track
from genwright.reporting.page import Piece
from genwright.reporting.svg import Series

if TYPE_CHECKING:
    from genwright.runs.run import Run

COMPARED = 400  # real pieces that samples are compared with, at most
HELD_OUT = "held-out music"  # what the set of them is called


def kept_piece(title: str, score: Score) -> dict[str, Any]:
    """A piece as plain data, for an evaluation's file."""
    return {"title": title, "score": to_plain(score)}


def pieces_of(
    run: Run, kept: Sequence[Mapping[str, Any]]
) -> tuple[list[Piece], dict[str, list[Series]]]:
    """Samples, harmonised melodies and a real piece, as a person wants them; and the histograms of
    what was made beside held-out music.
    kept: pieces of the run's evaluation (`kept_piece`)."""
    from genwright.contents.music.shown import notation_svg, piano_roll_svg, player

    dataset = run.dataset()
    out = list[Piece]()
    shown = [(str(its["title"]), from_plain(its["score"])) for its in kept]
    made = [score for title, score in shown if title.startswith("Sample")]
    real = dataset.scores("held_out", COMPARED)
    spread = _spread({f"these {len(made)} samples": made, f"{HELD_OUT}, {len(real)} pieces": real})
    shown += [
        ("Held-out music, for comparison", first_bars(score, BARS))
        for score in dataset.scores("held_out", 1)
    ]
    for title, score in track(shown, "engraving pieces"):
        if not any(score.voices):
            out.append(Piece(f"{title}: without a note", "", "", ""))
        else:
            found, named = (faults(score), labels(score)) if len(score.voices) == 4 else ([], {})
            said = (
                f"{f.kind}, bar {f.bar} beat {f.beat:g}, {'-'.join('SATB'[v] for v in f.voices)}"
                for f in found
            )
            roll = piano_roll_svg(
                score, [(f.step, f.voices, words) for f, words in zip(found, said, strict=True)]
            )
            out.append(Piece(title, notation_svg(score, named), roll, player(score), len(found)))
    return out, spread


def _spread(sets: Mapping[str, Sequence[Score]]) -> dict[str, list[Series]]:
    """What lies across -> a curve a set: which share of the notes has a pitch, a duration."""
    tables = {kind: histograms(its) for kind, its in sets.items() if its}
    out = dict[str, list[Series]]()
    for name, across in (("pitch", "MIDI pitch"), ("duration", "duration in sixteenths")):
        shares = {kind: table[name].mean(0) for kind, table in tables.items()}
        if (heard := np.flatnonzero(sum(shares.values()))).size:
            bins = range(heard[0], heard[-1] + 1)
            out[across] = [
                Series(kind, bins, share[bins].tolist(), i, "points")
                for i, (kind, share) in enumerate(shares.items())
            ]
    return out
