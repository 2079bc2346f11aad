"""How music is shown: files of each piece, and notation, piano roll and player on a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from genwright.contents.music.descriptors import histograms
from genwright.contents.music.engraving import notation_svg
from genwright.contents.music.options import SampleOptions
from genwright.contents.music.piano_roll import piano_roll_svg
from genwright.contents.music.score import Score, edges, first_number
from genwright.contents.music.shown import files_of
from genwright.contents.music.sound import player
from genwright.contents.music.voice_leading import faults, labels
from genwright.core.content import Event, Fragment, Mark, Opened, Part, Sample
from genwright.core.errors import GenwrightError
from genwright.reporting.markup import Markup, Templates, joined, trusted
from genwright.reporting.svg import Series, chart, legend

HTML = Templates("genwright.contents.music", "view.html")
VOICES = "SATB"
EXCERPT = 1300  # width of the page of a few bars


class MusicView:
    """See `core.content.View`. Marks are ranges of steps."""

    def write(
        self,
        samples: Sequence[Sample],
        folder: Path,
        options: SampleOptions | None,
        opened: Opened | None,
    ) -> list[Path]:
        """Each piece as MIDI, MusicXML, notation and piano roll (SVG) and sound (WAV)."""
        beginning = ""
        soundfont = None
        if options:
            beginning = "harmonised-" if options.harmonise else "filled-" if options.fill else ""
            soundfont = str(options.soundfont) if options.soundfont else None
        paths: list[Path] = []
        for number, sample in enumerate(samples, start=1):
            paths += files_of(sample.content, folder, f"{beginning}{number:04d}", soundfont)
        return paths

    def terminal(self, out: TextIO, options: SampleOptions) -> Callable[[Event], None] | None:
        """A terminal shows no music."""
        return None

    def show(self, sample: Sample, marks: Sequence[Mark] = ()) -> Fragment:
        """Notation, player and piano roll of a `Score`; in the roll what is marked is ringed."""
        ringed = [(mark.start, (), mark.note) for mark in marks]
        return Fragment(piece_card(str(sample.prompt or ""), sample.content, ringed))

    def parts(self, sample: Sample, codec: Any) -> list[Part]:
        """Each voice of each bar. A range is of steps; of the tokens that the codec makes of the
        piece, where it writes rows of voices: from the voice's first place to the end of the bar's
        last row, other voices' places between."""
        score: Score = sample.content
        bars = edges(score)
        parts = []
        for number, (start, stop) in enumerate(pairwise(bars), start=first_number(score)):
            for voice in range(len(score.voices)):
                name = f"bar {number}, voice {voice + 1}"
                if codec.rows:
                    first = _row_of(score, codec, start) * codec.row_length
                    end = (_row_of(score, codec, stop - 1) + 1) * codec.row_length
                    parts.append(Part(name, first + codec.row_head + voice, end))
                else:
                    parts.append(Part(name, start, stop))
        return parts


def _row_of(score: Score, codec: Any, step: int) -> int:
    """Which of a codec's rows is a step's: a change of metre or key, where the codec writes those,
    is a row of its own before the step that it holds from."""
    if not codec.row_head:
        return step
    changes = [meter.start for meter in score.meters] + [key.start for key in score.keys]
    return step + sum(start <= step for start in changes)


Ringed = Sequence[tuple[int, Sequence[int], str]]  # step, voices, what is said of it


def piece_card(title: str, score: Score, ringed: Ringed = ()) -> Markup:
    """A piece; of four voices chords are named, and faults of voice-leading are ringed."""
    if not any(score.voices):
        return HTML.silent(title)
    named: dict[int, str] = {}
    rings = list(ringed)
    note = ""
    if len(score.voices) == 4:
        named = labels(score)
        found = faults(score)
        for fault in found:
            voices = "-".join(VOICES[voice] for voice in fault.voices)
            words = f"{fault.kind}, bar {fault.bar} beat {fault.beat:g}, {voices}"
            rings.append((fault.step, fault.voices, words))
        if found:
            note = f"{len(found)} faults of voice-leading are ringed in the piano roll"
    drawn = trusted(notation_svg(score, named))
    return HTML.piece(title, trusted(player(score)), drawn, piano_roll_svg(score, rings), note)


def excerpt(title: str, score: Score) -> Markup:
    """The notation of a short piece, without its sound; where it cannot be drawn, its piano
    roll."""
    if not any(score.voices):
        return HTML.silent(title)
    try:
        # the title is above
        drawn = trusted(notation_svg(replace(score, facts={}), width=EXCERPT))
    except GenwrightError:  # verovio is not installed, or cannot draw it
        drawn = piano_roll_svg(score)
    return HTML.excerpt(title, EXCERPT // 2, drawn)


def spread_cards(sets: Mapping[str, Sequence[Score]]) -> Markup:
    """Histograms of pitch and duration, a curve for each set of pieces."""
    tables = {kind: histograms(scores) for kind, scores in sets.items() if scores}
    across = {"pitch": "MIDI pitch", "duration": "duration in sixteenths"}
    cards = []
    for name, words in across.items():
        shares = {kind: table[name].mean(0) for kind, table in tables.items()}
        heard = np.flatnonzero(sum(shares.values()))
        if not heard.size:
            continue
        bins = range(heard[0], heard[-1] + 1)
        series = [
            Series(kind, bins, share[bins].tolist(), colour, "points")
            for colour, (kind, share) in enumerate(shares.items())
        ]
        drawn = chart(series, label="share of notes", zero=True, across=words)
        cards.append(HTML.spread(legend(series), drawn))
    return joined(cards)
