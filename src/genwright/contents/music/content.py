"""Symbolic music as a kind of content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from genwright.contents.music import judge, known
from genwright.contents.music.codec import music_codec
from genwright.contents.music.compose import BARS, first_bars
from genwright.contents.music.dataset import pieces_of
from genwright.contents.music.evaluate import COMPARED, evaluate_music, samples_shown
from genwright.contents.music.figures import HELD_OUT
from genwright.contents.music.first_batch import marked_pieces
from genwright.contents.music.in_words import piece_in_words, place_in_words
from genwright.contents.music.sampler import MusicSampler
from genwright.contents.music.score import from_plain
from genwright.contents.music.view import MusicView, piece_card, spread_cards
from genwright.core.content import FirstBatch, FirstSeen, Mark, Opened, Sample, Section
from genwright.core.dataset import Dataset
from genwright.core.groups import Judge, Known, Lengths
from genwright.core.progress import track
from genwright.core.registry import register
from genwright.evaluation.figure import Figure
from genwright.evaluation.pilot import SampleCounts
from genwright.reporting.markup import joined
from genwright.runs.content import Content

if TYPE_CHECKING:
    from genwright.runs.checkpoint_figures import Evaluation
    from genwright.runs.trained import TrainedRun


class MusicContent(Content):
    """Scores of one voice or several."""

    kind = "music"
    thing = "piece"
    sampler = MusicSampler()
    view = MusicView()

    def evaluate(
        self, run: TrainedRun, options: Any, counts: SampleCounts
    ) -> tuple[list[Figure], list[dict[str, Any]]]:
        """Figures of likelihood, notes and rules, and pieces that the report shows; takes some
        minutes on two cores."""
        return evaluate_music(run, counts)

    def in_words(self, sample: Sample) -> str:
        """Its first bars, voice by voice."""
        return piece_in_words(sample.content)

    def place_in_words(self, sample: Sample, place: Any) -> str:
        """place: (step, voice), or what a measure calls it."""
        if isinstance(place, str):
            return place
        step, voice = place
        return place_in_words(sample.content, step, voice)

    def mark(self, sample: Sample, place: tuple[int, int], kind: str, note: str) -> Mark:
        """place: (step, voice)."""
        step, _ = place
        return Mark(step, step + 1, kind, note)

    def sections(self, run: TrainedRun, evaluation: Evaluation) -> list[Section]:
        """Samples, harmonised melodies and a real piece; and the histograms of what was made beside
        held-out music."""
        dataset = pieces_of(run.dataset())
        kept = evaluation.samples or samples_shown(run)
        shown = [(str(piece["title"]), from_plain(piece["score"])) for piece in kept]
        samples = [score for title, score in shown if title.startswith("Sample")]
        real = dataset.scores("held_out", COMPARED)
        for score in dataset.scores("held_out", 1):
            shown.append(("Held-out music, for comparison", first_bars(score, BARS)))
        cards = []
        for title, score in track(shown, "engraving pieces"):
            cards.append(piece_card(title, score))
        sets = {
            f"these {len(samples)} samples": samples,
            f"{HELD_OUT}, {len(real)} pieces": real,
        }
        return [Section("Music", joined([*cards, spread_cards(sets)]))]

    def first_seen(self, first: FirstBatch) -> FirstSeen:
        """The notes of the chosen rows, each with whether it counts in the loss; nothing for a
        batch without targets."""
        if "targets" not in first.prepared:
            return FirstSeen()
        codec = first.dataset.codec
        return FirstSeen([marked_pieces(first.prepared, row, codec) for row in first.rows])

    def split_remarks(self, summary: Mapping[str, Any]) -> list[str]:
        """How many held-out pieces share a tune with a training piece; nothing where none does."""
        near = summary.get("near-copies across the split", 0)
        if not near:
            return []
        return [
            f"{near:,} held out share at least half of their tune with a training piece"
            " (near-copies)"
        ]

    # ---- audits (`core.groups.Audited`)

    def known_attributes(self, dataset: Dataset) -> Sequence[str]:
        """What the data say of pieces."""
        return known.known_attributes(dataset)

    def known(self, dataset: Dataset, split: str, attributes: Sequence[str]) -> Known:
        """Of every piece of a split."""
        return known.known(dataset, split, attributes)

    def judges(self, dataset: Dataset, attributes: Sequence[str]) -> Mapping[str, Judge]:
        """Classifiers that recognise attributes of which pieces have one value at most."""
        return judge.judges(dataset, attributes)

    def examples(self, dataset: Dataset, split: str, numbers: Sequence[int]) -> list[Sample]:
        """Pieces of a split."""
        return known.examples(dataset, split, numbers)

    def lengths(self, dataset: Dataset, split: str) -> Lengths:
        """Tokens of pieces beside those of a window."""
        return known.lengths(dataset, split)

    def measurable(self, samples: Sequence[Sample], opened: Opened) -> list[Sample]:
        """The beginnings of pieces, as long as the model's window."""
        codec = music_codec(opened.codec)
        model: Any = opened.objective.modules["model"]
        before = codec.before(None, 1).shape[1]  # places of conditions
        length = model.context - before - 1  # a piece that is cut gets a token that ends it
        return [self.sampler.shortened(codec, sample, length) for sample in samples]


register("content", MusicContent.kind, MusicContent())
