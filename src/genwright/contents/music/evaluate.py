"""Every figure of a trained run that makes music: likelihood of held-out pieces, and samples beside
held-out music, training music and noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from genwright.contents.music.codec import music_codec
from genwright.contents.music.compose import BARS
from genwright.contents.music.dataset import MusicDataset, pieces_of
from genwright.contents.music.figures import (
    HELD_OUT,
    NOISE,
    SAMPLES,
    TRAINING,
    described_figures,
    led_figures,
    new_figures,
    sung_figures,
)
from genwright.contents.music.notes_likelihood import (
    SHOWN,
    harmonised_figures,
    kept_piece,
    notes_figures,
)
from genwright.contents.music.sampler import noise
from genwright.contents.music.score import Score
from genwright.core.progress import task
from genwright.evaluation.figure import Figure
from genwright.evaluation.held_out import UNTRAINED, measure
from genwright.evaluation.language import evaluate_language
from genwright.evaluation.pilot import SampleCounts
from genwright.runs.assemble import untrained
from genwright.training.engine import Engine

if TYPE_CHECKING:
    from genwright.runs.trained import TrainedRun

COMPARED = 400  # real pieces that samples are compared with, at most
DRAWN = 32  # of which figures are made, at most, unless another number is asked for
LEAST = 4  # samples that are always drawn
CAUSAL_PART = 16  # samples that are drawn at once
MASKED_PART = 4
LOGITS = 2**25  # of a batch, at most

Plain = dict[str, Any]


def evaluate_music(run: TrainedRun, counts: SampleCounts) -> tuple[list[Figure], list[Plain]]:
    """Figures; and pieces to be shown, as plain data. counts: how many samples are drawn; it is
    told how many were. Some minutes on two cores."""
    dataset = pieces_of(run.dataset())
    codec = music_codec(run.codec)
    causal = run.recipe.objective.causal
    held_out = dataset.scores("held_out", COMPARED)
    figures = _likelihood(run, dataset) if held_out else []
    harmonises = not causal and codec.voices == 4 and bool(held_out)
    drawn, kept = _drawn(run, counts, 2 / 3 if harmonises else 1.0)
    samples = [score for score in drawn if any(score.voices)]
    if not samples:
        return [*figures, Figure("pieces with a note", 0.0, "share", len(drawn))], kept
    figures += _of_samples(run, samples, held_out)
    if harmonises:
        more, shown = harmonised_figures(run, dataset, counts)
        figures += more
        kept += shown
    return figures, kept


def _likelihood(run: TrainedRun, dataset: MusicDataset) -> list[Figure]:
    """What the model finds held-out pieces."""
    recipe = run.recipe
    codec = music_codec(run.codec)
    lookahead = recipe.objective.lookahead
    engine = Engine("cpu" if recipe.training.device == "cpu" else "auto")
    window = (codec.prefix + recipe.data.context) * codec.space.vocabulary
    common: Plain = {
        "batch": max(1, min(32, LOGITS // window)),
        "seed": recipe.seed,
        "engine": engine,
    }
    before = measure(
        untrained(run, engine.device), dataset.held_out(lookahead), **common, task_name=UNTRAINED
    )
    figures = evaluate_language(run.objective, dataset, lookahead, untrained=before, **common)
    if lookahead and codec.rows:
        figures += notes_figures(run, dataset)
    return figures


def _drawn(run: TrainedRun, counts: SampleCounts, share: float) -> tuple[list[Score], list[Plain]]:
    """Pieces drawn at temperature 1, where the model itself is measured; and those that a report
    shows. share: of the time that drawing may take."""
    bars = BARS if music_codec(run.codec).rows else None
    plain: Plain = {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "seed": run.recipe.seed,
    }

    def draw(first: int, count: int) -> list[Score]:
        return run.sample(n=count, bars=bars, first=first, **plain)

    part = CAUSAL_PART if run.recipe.objective.causal else MASKED_PART
    parts = counts.draw("samples", draw, least=LEAST, most=DRAWN, part=part, share=share)
    drawn = [score for part_of in parts for score in part_of]
    return drawn, samples_shown(run, drawn, run.sampling(**plain))


def samples_shown(
    run: TrainedRun, drawn: Sequence[Score] = (), settings: Any = None
) -> list[Plain]:
    """The pieces that a report shows, as plain data: by the recipe's own settings of sampling.
    drawn: pieces that are there already, by `settings`, which may be others."""
    if settings != run.recipe.sampling:
        with task("drawing pieces by the recipe's own settings", SHOWN) as part:
            drawn = run.sample(n=SHOWN, bars=BARS if music_codec(run.codec).rows else None)
            part.advance(SHOWN)
    return [kept_piece(f"Sample {i + 1}", score) for i, score in enumerate(drawn[:SHOWN])]


def _of_samples(run: TrainedRun, samples: list[Score], held_out: list[Score]) -> list[Figure]:
    """Figures of samples that have a note, beside real music and noise."""
    dataset = pieces_of(run.dataset())
    codec = music_codec(run.codec)
    seed = run.recipe.seed
    train = dataset.scores("train", COMPARED)
    sets: dict[str, Sequence[Score]] = {SAMPLES: samples}
    if held_out:
        sets[HELD_OUT] = held_out
    sets[TRAINING] = train
    sets[NOISE] = noise(train[: len(samples)], seed)
    figures = described_figures(sets, seed)
    if all(len(score.voices) == 4 for scores in sets.values() for score in scores):
        figures += led_figures(sets)
    if codec.voices == 1 and not codec.settings.per_quarter % 4:
        figures += sung_figures(sets, seed)
    return figures + new_figures(sets, dataset.scores("train"))
