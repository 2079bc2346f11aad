"""How likely a model finds the notes of held-out pieces: of a causal one, all and those that
change; of a masked one, the lower voices given the soprano."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F

from genwright.contents.music.compose import first_bars, rewrite
from genwright.contents.music.dataset import by_piece
from genwright.contents.music.figures import (
    HELD_OUT,
    NOISE,
    PARALLEL_FIGURE,
    SAMPLES,
    led_figures,
)
from genwright.contents.music.sampler import noise
from genwright.contents.music.score import Score, to_plain
from genwright.contents.music.voice_floors import changed, voice_floors
from genwright.core.progress import track
from genwright.evaluation.figure import Figure, named
from genwright.evaluation.pilot import SampleCounts

if TYPE_CHECKING:
    from genwright.runs.trained import TrainedRun

NOTES_LOSS = "loss of all notes, held out"
CHANGED_LOSS = "loss of changed notes, held out"
HARMONISED = 16  # held-out melodies that are given other voices
LEAST = 4  # of them that are always drawn
PART = 4  # that are drawn at once
SHOWN = 4  # harmonised melodies in a report
SHORT = 8  # bars of a melody in a report


def kept_piece(title: str, score: Score) -> dict[str, Any]:
    """A piece as plain data, for an evaluation's file."""
    return {"title": title, "score": to_plain(score)}


@torch.no_grad()
def notes_figures(run: TrainedRun, dataset: Any) -> list[Figure]:
    """Nats of the voices' tokens alone, of all and of those whose pitch changes, beside tables of
    counts of each voice; and of a frame."""
    codec = dataset.codec
    losses = losses_by_piece(run, dataset)
    total = sum(float(nll.double().sum()) for nll in losses.values())
    nats = np.concatenate(
        [codec.slots(dataset.row(piece), nll.double().numpy()) for piece, nll in losses.items()]
    )  # (steps, voices)
    new = np.concatenate([changed(score.grid()[0]) for score in dataset.scores("held_out")])
    counted = _floors(dataset, dataset.pieces["held_out"])
    detail = (
        "a token is what one voice does in one step of time; floors count each voice by itself, "
        "bigram after its own last step"
    )
    figures = []
    for name, where in ((NOTES_LOSS, np.ones_like(new)), (CHANGED_LOSS, new)):
        count = int(where.sum())
        value = float(nats[where].sum()) / max(1, count)
        floors = {
            floor: float(counted[floor][where].sum()) / max(1, count)
            for floor in ("unigram", "bigram")
        }
        figures.append(
            Figure(name, value, "nats/token", count, "tokens", floors, {}, "lower", detail, True)
        )
    frames = len(nats)
    what = (
        f"everything that is said of one step of time, {codec.settings.per_quarter} a quarter note"
    )
    name = "loss of a frame, held out"
    value = total / frames
    figures.append(Figure(name, value, "nats/frame", frames, "frames", {}, {}, "lower", what))
    return figures


def losses_by_piece(run: TrainedRun, dataset: Any) -> dict[int, torch.Tensor]:
    """Piece -> (counted tokens,) nats."""
    device = next(run.model.parameters()).device
    losses: dict[int, list[torch.Tensor]] = {}
    for piece, batch in by_piece(dataset, "held_out", 1):
        inputs = batch["tokens"][:, :-1].to(device)
        targets = batch["tokens"][:, 1:].to(device)
        counted = batch["counted"][:, 1:].to(device)
        nll = run.model(inputs, targets=targets)[counted]
        losses.setdefault(piece, []).append(nll.cpu())
    return {piece: torch.cat(parts) for piece, parts in losses.items()}


def _floors(dataset: Any, pieces: Sequence[int]) -> dict[str, np.ndarray]:
    """table -> (steps of those pieces, voices) nats, counted in the training pieces."""
    codec = dataset.codec
    train = [codec.slots(dataset.row(piece)) for piece in dataset.pieces["train"]]
    asked = [codec.slots(dataset.row(piece)) for piece in pieces]
    found = voice_floors(train, asked, codec.size)
    return {name: np.concatenate(nats) for name, nats in found.items()}


def harmonised_figures(
    run: TrainedRun, dataset: Any, counts: SampleCounts
) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Held-out sopranos, given other voices by the model: how surprising the composer's are to it,
    how many of its notes are the composer's, faults. And the first of them, to be shown, as plain
    data."""
    codec = dataset.codec
    pieces = dataset.pieces["held_out"]

    def decoded(some: Sequence[int]) -> list[Score]:
        return [codec.decode(dataset.row(piece).tolist()) for piece in some]

    def draw(first: int, count: int) -> list[Score]:
        settings = run.recipe.sampling
        melodies = decoded(pieces[first : first + count])
        return [rewrite(run.model, codec, score, 1, settings, voices=(0,))[0] for score in melodies]

    parts = counts.draw(
        "harmonised melodies",
        draw,
        least=LEAST,
        most=HARMONISED,
        part=PART,
        share=1 / 3,
        limit=len(pieces),
    )
    harmonised = [score for part in parts for score in part]
    pieces = pieces[: len(harmonised)]
    real = decoded(pieces)
    kept = [
        kept_piece(f"Harmonised: {dataset.names[piece]}", first_bars(score, SHORT))
        for piece, score in zip(pieces, harmonised[:SHOWN], strict=False)
    ]
    nats = np.concatenate(
        [hidden_nats(run, dataset, piece) for piece in track(pieces, "measuring harmonies")]
    )
    surprise = float(_floors(dataset, pieces)["given the soprano"][:, 1:].mean())
    sets = {SAMPLES: harmonised, HELD_OUT: real, NOISE: noise(real)}
    parallel = named(led_figures(sets), PARALLEL_FIGURE)
    assert parallel is not None
    order = (
        "alto, tenor and bass written in a drawn order, "
        "each note given the soprano and all that is written"
    )
    return [
        Figure(
            "harmonising: loss of a note",
            float(nats.mean()),
            "nats/note",
            nats.size,
            "notes",
            {"bigram given the soprano": surprise},
            {},
            "lower",
            order,
        ),
        _equal_notes(real, harmonised),
        replace(parallel, name=f"harmonising: {PARALLEL_FIGURE}"),
    ], kept


def _equal_notes(real: Sequence[Score], harmonised: Sequence[Score]) -> Figure:
    """The share of the lower voices' notes that are the composer's."""
    equal = []
    middle = []
    for own, other in zip(real, harmonised, strict=True):
        lower = own.grid()[0][:, 1:]  # (steps, lower voices)
        equal.append((lower == other.grid()[0][:, 1:]).ravel())
        middle.append((lower == np.median(lower, axis=0).astype(int)).ravel())
    hits = np.concatenate(equal)
    guess = float(np.concatenate(middle).mean())
    return Figure(
        "harmonising: notes equal to the composer's",
        float(hits.mean()),
        "share",
        hits.size,
        "notes",
        {"each voice's middle note": guess},
        {},
        "near",
        "of alto, tenor and bass, a sixteenth each",
    )


@torch.no_grad()
def hidden_nats(
    run: TrainedRun, dataset: Any, piece: int, orders: int = 8, seed: int = 0
) -> np.ndarray:
    """(hidden notes,) an unbiased estimate of the nats of each of the lower voices' tokens given
    the soprano, where they are written one by one in a random order: each is hidden together with
    those that come after it (as Uria et al., arXiv 1310.1757, for orderless NADE)."""
    model: Any = run.model
    codec = dataset.codec
    mask = codec.id[("mask",)]
    half = model.context // 2 // model.row * model.row
    rng = np.random.default_rng(seed)
    device = next(model.parameters()).device
    music = torch.from_numpy(dataset.row(piece).astype(np.int64))
    before = codec.before(dataset.conditions[piece][None], 1, 0)[0]
    tokens = torch.cat([before, music]).to(device)
    hidden_places = ~codec.kept(tokens, (0,), None, codec.prefix)
    out: list[float] = []
    # what is longer than the context: from left to right, half of it at a time
    for start in range(0, len(tokens), half):
        window = tokens[max(0, start - half) : start + half]
        places = hidden_places[start : start + half].nonzero()[:, 0] + min(start, half)
        if not len(places):
            continue
        nats = 0.0
        for _ in range(orders):
            order = rng.permutation(len(places))
            later = torch.from_numpy(order >= rng.integers(len(places))).to(device)
            hidden = places[later]
            logits = model(window.index_fill(0, hidden, mask)[None])[0]
            nats += float(F.cross_entropy(logits[hidden], window[hidden]))
        out += [nats / orders] * len(places)
    return np.array(out)
