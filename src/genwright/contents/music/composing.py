"""Music of a trained run: what `genwright sample` writes, what `evaluate` measures, and what its
report shows and plays."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from genwright.contents.images.pictured import Wanted, chosen
from genwright.contents.music import tunes
from genwright.contents.music.compose import BARS, blank, compose, first_bars, rewrite
from genwright.contents.music.dataset import by_piece
from genwright.contents.music.descriptors import (
    densities,
    descriptors,
    histograms,
    novelty,
    overlap,
)
from genwright.contents.music.pieces import COMPARED, HELD_OUT, kept_piece
from genwright.contents.music.score import Note, Score, edges, first_number
from genwright.contents.music.sources import read_file
from genwright.contents.music.voice_floors import changed, voice_floors
from genwright.contents.music.voice_leading import PARALLELS, cadences, chords, marks
from genwright.contents.text.evaluate import evaluate_language
from genwright.core.attributes import encode
from genwright.core.errors import GenwrightError
from genwright.core.progress import task, track
from genwright.evaluation.figure import Figure, named
from genwright.evaluation.held_out import measure, untrained
from genwright.evaluation.pilot import SampleCounts
from genwright.training.engine import Engine

if TYPE_CHECKING:
    from genwright.runs.run import Run

SAMPLES = 32  # of which the figures are made, at most, unless another number is asked for
LEAST = 4  # samples that are always drawn
CAUSAL_PART, MASKED_PART = 16, 4  # samples that are drawn at once
SHOWN = 4  # pieces in a report, and harmonised melodies
SHORT = 8  # bars of a melody in a report
HARMONISED = 16  # held-out melodies that are given other voices
TRAINING = "training music"  # beside `HELD_OUT`: sets of real pieces
NOTES_LOSS = "loss of all notes, held out"
CHANGED_LOSS = "loss of changed notes, held out"
PARALLEL_FIGURE = "parallel fifths, octaves and unisons"


def sample_music(
    run: Run,
    n: int | None = None,
    tempo: float | None = None,
    soundfont: str | None = None,
    output: str | Path | None = None,
    **asked: Any,
) -> list[Path]:
    """Writes each piece as MIDI, MusicXML, notation and piano roll (SVG) and sound (WAV) into
    `output` (RUN/samples); what had the same name is replaced. asked: of `draw`. Returns the paths.
    Raises GenwrightError."""
    from genwright.contents.music.shown import files_of

    scores = [
        score if tempo is None else replace(score, tempo=tempo, tempos=())
        for score in draw(run, n or SHOWN, **asked)
    ]
    way = "harmonised-" if asked.get("harmonise") else "filled-" if asked.get("fill") else ""
    folder = Path(output or run.folder / "samples")
    return [
        path
        for i, score in enumerate(scores)
        for path in files_of(score, folder, f"{way}{i + 1:04d}", soundfont)
    ]


def draw(
    run: Run,
    n: int = 1,
    condition: Wanted = "",
    bars: str | int | None = None,
    theme: str | None = None,
    harmonise: str | None = None,
    fill: str | None = None,
    rules: bool = False,
    first: int = 0,
    **settings: Any,
) -> list[Score]:
    """`n` pieces, from piece `first` on. theme: a file that they begin with; harmonise: one whose
    top voice they keep; fill: one of which they keep all but `bars` (5-8). Raises
    GenwrightError."""
    codec = run.codec
    causal = run.recipe.objective.causal
    asked = [
        name
        for name, value in (("continue", theme), ("harmonise", harmonise), ("fill", fill))
        if value
    ]
    if len(asked) > 1:
        raise GenwrightError(
            f"--{asked[0]} and --{asked[1]} were both given", "ask for one of them at a time"
        )
    if asked and causal != (asked == ["continue"]):
        kind, other = ("causal", "--continue") if causal else ("masked", "--harmonise or --fill")
        raise GenwrightError(
            f"--{asked[0]} is not for this run, whose model is {kind}",
            f"use {other}, or another run",
        )
    if rules:
        check_rules(codec, causal)
    decoding = run.sampling(**settings)
    wanted = chosen(condition) if condition else {}
    if wanted and asked and not causal:
        raise GenwrightError("--condition is for new pieces, and this one is given", "leave it out")
    row = encode(codec.space.attributes, wanted)[None] if wanted else None
    if causal:
        given = _opened(theme, codec) if theme else None
        count = _count(bars)
        # a pickup is no bar
        if given and count and count <= (own := len(edges(given)) - 2 + first_number(given)):
            raise GenwrightError(
                f"{theme} has {own} bars already",
                f"give --bars {own + 1} or more, for they count from its beginning",
            )
        return compose(
            run.model,
            codec,
            n,
            decoding,
            condition=row,
            theme=given,
            bars=count,
            rules=rules,
            first=first,
        )
    if fill:
        codec.check(score := _opened(fill, codec))
        return rewrite(run.model, codec, score, n, decoding, steps=_steps(score, bars), first=first)
    if harmonise:
        melody = _opened(harmonise, codec)
        if len(melody.voices) > 1:
            print(
                f"note: {harmonise} has {len(melody.voices)} voices; the first is taken",
                file=sys.stderr,
            )
        melody = replace(melody, voices=melody.voices[:1], names=melody.names[:1])
        melody = melody if bars is None else first_bars(melody, _count(bars) or 1)
        return rewrite(run.model, codec, melody, n, decoding, voices=(0,), first=first)
    names = ["".join(wanted.get(name, [])) for name in ("metre", "key")]  # of one value each
    return rewrite(
        run.model,
        codec,
        blank(codec, _count(bars) or BARS, *names),
        n,
        decoding,
        condition=row,
        first=first,
    )


def check_rules(codec: Any, causal: bool) -> None:
    """Raises GenwrightError where --rules cannot be kept; says what it means for a single voice."""
    if not causal:
        what = "--rules rules out tokens from left to right, and this run's masked model writes all places at once"
        raise GenwrightError(what, "leave it out, or train with objective=causal")
    if not codec.rows:
        what = "--rules compares voices in each step of time, and this run's codec writes one note after the other"
        raise GenwrightError(what, "leave it out, or train with codec.kind=grid")
    if codec.voices == 1:
        print(
            "note: of a single voice --rules keeps the range; parallels need two", file=sys.stderr
        )


def _opened(path: str, codec: Any) -> Score:
    scores = read_file(path, codec.settings.per_quarter)
    if len(scores) > 1:
        print(f"note: {path} holds {len(scores)} pieces; the first is taken", file=sys.stderr)
    return scores[0]


def _count(bars: str | int | None) -> int | None:
    if bars is None:
        return None
    if not str(bars).isdecimal() or not 0 < int(bars) <= 1000:
        raise GenwrightError(
            f"--bars is {bars}",
            "give a number of bars, 1 to 1000; of --fill those to rewrite, as in 5-8",
        )
    return int(bars)


def _steps(score: Score, bars: str | int | None) -> range:
    """The steps of bars a-b, by their printed numbers."""
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", str(bars or ""))
    every = edges(score)
    first = first_number(score)
    if not found:
        raise GenwrightError("--fill needs the bars to rewrite", "add for example --bars 5-8")
    begin = int(found[1])
    end = int(found[2] or found[1])
    if not first <= begin <= end < first + len(every) - 1:
        raise GenwrightError(
            f"there are no bars {bars}: the piece has {first} to {first + len(every) - 2}",
            "give bars that it has",
        )
    return range(every[begin - first], every[end - first + 1])


# ---- figures


def evaluate_music(
    run: Run, counts: SampleCounts | None = None
) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Likelihood of held-out music, and samples beside held-out music, training music and noise;
    and pieces to be shown, as plain data.
    counts: how many samples are drawn; it is told how many were. Some minutes on two cores."""
    counts = counts or SampleCounts()
    recipe = run.recipe
    dataset = run.dataset()
    codec = run.codec
    lookahead = recipe.objective.lookahead
    held_out = dataset.scores("held_out", COMPARED)
    figures = list[Figure]()
    if held_out:
        engine = Engine("cpu" if recipe.training.device == "cpu" else "auto")
        batch = max(
            1, min(32, 2**25 // ((codec.prefix + recipe.data.context) * codec.space.vocabulary))
        )
        common: dict[str, Any] = {"batch": batch, "seed": recipe.seed, "engine": engine}
        before = measure(untrained(run, engine.device), dataset.held_out(lookahead), **common)
        figures += evaluate_language(run.objective, dataset, lookahead, untrained=before, **common)
        figures += _of_notes(run, dataset) if lookahead and codec.rows else []
    plain: dict[str, Any] = {
        "temperature": 1.0,
        "top_k": 0,
        "top_p": 1.0,
        "min_p": 0.0,
        "seed": recipe.seed,
    }
    harmonises = not recipe.objective.causal and codec.voices == 4 and bool(held_out)

    def some(first: int, count: int) -> list[Score]:
        return draw(run, count, bars=BARS if codec.rows else None, first=first, **plain)

    part, share = (
        (CAUSAL_PART, 1.0)
        if recipe.objective.causal
        else (MASKED_PART, 2 / 3 if harmonises else 1.0)
    )
    drawn = list(
        chain(*counts.draw("samples", some, least=LEAST, most=SAMPLES, part=part, share=share))
    )
    kept = samples_shown(run, drawn, run.sampling(**plain))
    made = [score for score in drawn if any(score.voices)]
    if not made:
        return [*figures, Figure("pieces with a note", 0.0, "share", len(drawn))], kept
    train = dataset.scores("train", COMPARED)
    real = {HELD_OUT: held_out, TRAINING: train} if held_out else {TRAINING: train}
    sets = {"samples": made, **real, "noise": noise(train[: len(made)], recipe.seed)}
    figures += _described(sets, recipe.seed)
    figures += (
        _led(sets) if all(len(score.voices) == 4 for its in sets.values() for score in its) else []
    )
    figures += (
        _sung(sets, recipe.seed) if codec.voices == 1 and not codec.settings.per_quarter % 4 else []
    )
    figures += _new(sets, dataset.scores("train"))
    if harmonises:
        harmonised, more = _harmonised(run, dataset, counts)
        figures, kept = figures + harmonised, kept + more
    return figures, kept


def samples_shown(
    run: Run, drawn: Sequence[Score] = (), settings: Any = None
) -> list[dict[str, Any]]:
    """The pieces that a report shows, as plain data: by the recipe's own settings of sampling.
    drawn: pieces that are there already, by `settings`, which may be others."""
    if settings != run.recipe.sampling:
        with task("drawing pieces by the recipe's own settings", SHOWN) as part:
            drawn = draw(run, SHOWN, bars=BARS if run.codec.rows else None)
            part.advance(SHOWN)
    return [kept_piece(f"Sample {i + 1}", score) for i, score in enumerate(drawn[:SHOWN])]


def _of_notes(run: Run, dataset: Any) -> list[Figure]:
    """Nats of the voices' tokens alone, of all and of those whose pitch changes, beside tables of
    counts of each voice; and of a frame."""
    codec = dataset.codec
    device = next(run.model.parameters()).device
    losses: dict[int, list[torch.Tensor]] = {}
    with torch.no_grad():
        for piece, batch in by_piece(dataset, "held_out", 1):
            inputs = batch["tokens"][:, :-1].to(device)
            targets = batch["tokens"][:, 1:].to(device)
            nll = run.model(inputs, targets=targets)[batch["counted"][:, 1:].to(device)]
            losses.setdefault(piece, []).append(nll.cpu())
    total = sum(float(nll.double().sum()) for its in losses.values() for nll in its)
    nats = np.concatenate(
        [codec.slots(dataset.row(i), torch.cat(its).double().numpy()) for i, its in losses.items()]
    )
    new = np.concatenate([changed(score.grid()[0]) for score in dataset.scores("held_out")])
    counted = _floors(dataset, dataset.pieces["held_out"])
    frames = len(nats)
    out = []
    for name, where in ((NOTES_LOSS, np.ones_like(new)), (CHANGED_LOSS, new)):
        count = int(where.sum())
        value = float(nats[where].sum()) / max(1, count)
        floors = {
            floor: float(counted[floor][where].sum()) / max(1, count)
            for floor in ("unigram", "bigram")
        }
        detail = "a token is what one voice does in one step of time; floors count each voice by itself, bigram after its own last step"
        out.append(
            Figure(name, value, "nats/token", count, "tokens", floors, {}, "lower", detail, True)
        )
    what = (
        f"everything that is said of one step of time, {codec.settings.per_quarter} a quarter note"
    )
    return [
        *out,
        Figure(
            "loss of a frame, held out",
            total / frames,
            "nats/frame",
            frames,
            "frames",
            {},
            {},
            "lower",
            what,
        ),
    ]


def _floors(dataset: Any, pieces: Sequence[int]) -> dict[str, np.ndarray]:
    """table -> (steps of those pieces, voices) nats, counted in the training pieces."""
    train, asked = (
        [dataset.codec.slots(dataset.row(i)) for i in its]
        for its in (dataset.pieces["train"], pieces)
    )
    return {
        name: np.concatenate(nats)
        for name, nats in voice_floors(train, asked, dataset.codec.size).items()
    }


def noise(scores: Sequence[Score], seed: int = 0) -> list[Score]:
    """As many pieces of the same lengths, bars and voices, whose notes last and sound as chance has
    it, within each voice's range."""
    rng = np.random.default_rng(seed)
    out = []
    for score in scores:
        voices = []
        for voice in score.voices:
            pitches = [note.pitch for note in voice] or [60]
            starts = np.flatnonzero(
                rng.random(score.length) < max(0.05, len(voice) / max(1, score.length))
            )
            ends = np.append(starts, score.length)[1:]
            drawn = rng.integers(min(pitches), max(pitches) + 1, len(starts))
            ending = rng.random(len(starts)) < sum(note.fermata for note in voice) / len(pitches)
            rows = zip(starts, ends, drawn, ending, strict=True)
            voices.append(
                tuple(Note(int(a), int(b - a), int(p), fermata=bool(f)) for a, b, p, f in rows)
            )
        out.append(replace(score, voices=tuple(voices)))
    return out


def _reference(sets: Mapping[str, Sequence[Score]]) -> str:
    """Which set of real pieces samples are compared with: held-out ones where there are any."""
    return HELD_OUT if HELD_OUT in sets else TRAINING


def _beside(
    name: str,
    values: Mapping[str, float],
    unit: str,
    count: int,
    detail: str,
    counted: str = "pieces",
    direction: Any = "near",
) -> Figure:
    ceilings = {kind: value for kind, value in values.items() if kind not in ("samples", "noise")}
    return Figure(
        name,
        values["samples"],
        unit,
        count,
        counted,
        {"noise": values["noise"]},
        ceilings,
        direction,
        detail,
    )


def _described(sets: Mapping[str, Sequence[Score]], seed: int) -> list[Figure]:
    """What pieces are like, and how much of it they share with held-out music."""
    count = len(sets["samples"])
    reference = _reference(sets)
    found = {kind: [descriptors(score) for score in its] for kind, its in sets.items()}
    tables = {kind: histograms(its) for kind, its in sets.items()}
    pairs = {
        name: {kind: (table[name], tables[reference][name]) for kind, table in tables.items()}
        for name in tables["samples"]
    }
    out = []
    for name, unit in (
        ("pitch-class entropy", "bits"),
        ("scale consistency", "share"),
        ("groove consistency", "share"),
    ):
        values = {kind: np.array([row[name] for row in its]) for kind, its in found.items()}
        known = min(np.isfinite(row).sum() for row in values.values())
        if known:
            means = {kind: float(np.nanmean(row)) for kind, row in values.items()}
            out.append(_beside(name, means, unit, count, "the mean over pieces"))
        if known > 1:
            pairs[name] = {kind: densities(row, values[reference]) for kind, row in values.items()}
    for name, its in pairs.items():
        areas = {kind: overlap(*pair, seed) for kind, pair in its.items() if kind != reference}
        detail = (
            "area shared with {}; 95% interval {:.3f} to {:.3f} (bootstrap over pieces)".format(
                reference, *areas["samples"][1:]
            )
        )
        means = {kind: area[0] for kind, area in areas.items()}
        out.append(_beside(f"overlap of {name}", means, "share", count, detail, direction="higher"))
    return out


def _led(sets: Mapping[str, Sequence[Score]]) -> list[Figure]:
    """Faults of voice-leading in 64 sixteenths, and how often a voice changes its note."""
    grids = {
        kind: [score.grid()[0][:: max(1, score.per_quarter // 4)] for score in its]
        for kind, its in sets.items()
    }
    frames = {kind: sum(map(len, its)) for kind, its in grids.items()}
    found = {kind: [marks(grid) for grid in its] for kind, its in grids.items()}
    groups = {
        PARALLEL_FIGURE: PARALLELS,
        "hidden fifths": ("hidden fifth",),
        "hidden octaves": ("hidden octave",),
        "crossings": ("crossing",),
        "wide spacings": ("spacing",),
        "notes out of range": ("range",),
    }
    out = []
    for name, kinds in groups.items():
        means = {
            kind: 64 * sum(int(m[k].sum()) for m in its for k in kinds) / max(1, frames[kind])
            for kind, its in found.items()
        }
        out.append(
            _beside(
                name, means, "per 64 frames", frames["samples"], "frames are sixteenths", "frames"
            )
        )
    moved = {
        kind: sum(int(changed(grid).sum()) for grid in its) / max(1, 4 * frames[kind])
        for kind, its in grids.items()
    }
    out.append(
        _beside(
            "note changes",
            moved,
            "share",
            4 * frames["samples"],
            "of a voice's frames, its pitch is new",
            "notes",
        )
    )
    ends = {
        kind: [end.kind == "authentic" for score in its for end in cadences(score)]
        for kind, its in sets.items()
    }
    triads = {
        kind: [q in ("major", "minor") for s in its for _, q in chords(s) if q]
        for kind, its in sets.items()
    }
    for name, its, of in (
        ("authentic cadences", ends, "fermatas"),
        ("major and minor triads", triads, "quarter notes"),
    ):
        if all(its.values()):
            shares = {kind: float(np.mean(row)) for kind, row in its.items()}
            out.append(
                _beside(
                    name,
                    shares,
                    "share",
                    len(its["samples"]),
                    f"of {of}, by the chord of the quarter note",
                    of,
                )
            )
    return out


def _sung(sets: Mapping[str, Sequence[Score]], seed: int) -> list[Figure]:
    """The statistics of RL Tuner, of melodies."""
    tables = {
        kind: tunes.statistics(np.stack([tunes.melody_tokens(score) for score in its]))
        for kind, its in sets.items()
    }
    real = _reference(sets)
    out = []
    for name in tables["samples"]:
        bands = {
            kind: tunes.value_and_band(*table[name], seed=seed) for kind, table in tables.items()
        }
        detail = f"first 32 sixteenths; {real} is within {bands[real][1]:.4g} to {bands[real][2]:.4g} (95%, bootstrap over pieces)"
        unit = "correlation" if name.startswith("autocorrelation") else "share"
        out.append(
            _beside(
                name,
                {kind: band[0] for kind, band in bands.items()},
                unit,
                len(sets["samples"]),
                detail,
            )
        )
    return [figure for figure in out if np.isfinite(figure.value)]


def _new(sets: Mapping[str, Sequence[Score]], train: Sequence[Score]) -> list[Figure]:
    """How much of a piece stands in a training piece."""
    found = {kind: novelty(its, train) for kind, its in sets.items() if kind != TRAINING}
    longest = {kind: float(np.mean([row.bars for row in its])) for kind, its in found.items()}
    alike = {kind: float(np.mean([row.share for row in its])) for kind, its in found.items()}
    count = len(sets["samples"])
    most = max(row.bars for row in found["samples"])
    nearest = max(found["samples"], key=lambda row: row.share)
    named = (
        f"; at most {nearest.share:.0%}, of {train[nearest.nearest].facts['title']}"
        if nearest.share
        else ""
    )
    return [
        _beside(
            "longest run of copied bars",
            longest,
            "bars",
            count,
            f"note for note, transposed or not; {most} at most",
        ),
        _beside(
            "share of the tune in the nearest training piece",
            alike,
            "share",
            count,
            f"runs of five notes of the top voice{named}",
        ),
    ]


def _harmonised(
    run: Run, dataset: Any, counts: SampleCounts
) -> tuple[list[Figure], list[dict[str, Any]]]:
    """Held-out sopranos, given other voices by the model: how surprising Bach's are to it, how many
    of its notes are Bach's, faults. And the first of them, to be shown, as plain data."""
    codec = dataset.codec
    pieces = dataset.pieces["held_out"]

    def decoded(some: Sequence[int]) -> list[Score]:
        return [codec.decode(dataset.row(i).tolist()) for i in some]

    def some(first: int, count: int) -> list[Score]:
        few = decoded(pieces[first : first + count])
        return [
            rewrite(run.model, codec, score, 1, run.recipe.sampling, voices=(0,))[0]
            for score in few
        ]

    drawn = counts.draw(
        "harmonised melodies",
        some,
        least=LEAST,
        most=HARMONISED,
        part=MASKED_PART,
        share=1 / 3,
        limit=len(pieces),
    )
    made = list(chain(*drawn))
    pieces = pieces[: len(made)]
    real = decoded(pieces)
    shown = zip(pieces, made[:SHOWN], strict=False)
    kept = [
        kept_piece(f"Harmonised: {dataset.names[i]}", first_bars(score, SHORT))
        for i, score in shown
    ]
    grids = [(a.grid()[0][:, 1:], b.grid()[0][:, 1:]) for a, b in zip(real, made, strict=True)]
    surprise = float(_floors(dataset, pieces)["given the soprano"][:, 1:].mean())
    nats = np.concatenate(
        [hidden_nats(run, dataset, i) for i in track(pieces, "measuring harmonies")]
    )
    equal = np.concatenate([(a == b).ravel() for a, b in grids])
    guess = np.concatenate([(a == np.median(a, axis=0).astype(int)).ravel() for a, _ in grids])
    sets = {"samples": made, HELD_OUT: real, "noise": noise(real)}
    parallel = named(_led(sets), PARALLEL_FIGURE)
    assert parallel is not None
    order = "alto, tenor and bass written in a drawn order, each note given the soprano and all that is written"
    bigram = {"bigram given the soprano": surprise}
    middle = {"each voice's middle note": float(guess.mean())}
    what = "harmonising: notes equal to the composer's"
    of = "of alto, tenor and bass, a sixteenth each"
    return [
        Figure(
            "harmonising: loss of a note",
            float(nats.mean()),
            "nats/note",
            nats.size,
            "notes",
            bigram,
            {},
            "lower",
            order,
        ),
        Figure(what, float(equal.mean()), "share", equal.size, "notes", middle, {}, "near", of),
        replace(parallel, name=f"harmonising: {PARALLEL_FIGURE}"),
    ], kept


@torch.no_grad()
def hidden_nats(run: Run, dataset: Any, piece: int, orders: int = 8, seed: int = 0) -> np.ndarray:
    """(hidden notes,) an unbiased estimate of the nats of each of the lower voices' tokens given
    the soprano, where they are written one by one in a random order: each is hidden together with
    those that come after it (as Uria et al., arXiv 1310.1757, for orderless NADE)."""
    model: Any = run.model
    codec = dataset.codec
    half = model.context // 2 // model.row * model.row
    rng = np.random.default_rng(seed)
    out = list[float]()
    row = torch.from_numpy(dataset.row(piece).astype(np.int64))
    tokens = torch.cat([codec.before(dataset.conditions[piece][None], 1, 0)[0], row]).to(
        next(run.model.parameters()).device
    )
    open_ = ~codec.kept(tokens, (0,), None, codec.prefix)
    # what is longer than the context: from left to right, half of it at a time
    for start in range(0, len(tokens), half):
        window = tokens[max(0, start - half) : start + half]
        places = open_[start : start + half].nonzero()[:, 0] + min(start, half)
        nats = []
        for _ in range(orders * bool(len(places))):
            hidden = places[
                torch.from_numpy(rng.permutation(len(places)) >= rng.integers(len(places))).to(
                    places.device
                )
            ]
            logits = run.model(window.index_fill(0, hidden, codec.id["mask",])[None])[0]
            nats.append(float(torch.nn.functional.cross_entropy(logits[hidden], window[hidden])))
        out += [sum(nats) / orders] * len(places)
    return np.array(out)
