"""What rewards change in music: a run before and after `genwright train chorales-harmony` or
`folk-phrases`, beside best-of-n and rule-masked decoding of the run before.

    python benchmarks/rewards_music.py harmony BEFORE AFTER -n 256
        four voices: parallels in 64 frames, changes of note, rests, cadences, diversity, nats of
        held-out pieces; the first bars of pieces, at temperature 1 from all tokens
    python benchmarks/rewards_music.py phrases BEFORE AFTER -n 1000
        melodies: bars that come again, and RL Tuner's 12 statistics, which are not rewarded

`--out FILE` keeps the result. BEFORE and AFTER are folders of runs; both are measured on the data
of AFTER and sampled from the same seeds. Intervals (95%) and standard errors are of a bootstrap
over pieces. `draws a piece` and `seconds a piece` are what one took: best-of-n pays for all it
draws, the rules for asking what may come next, a policy for neither. So at equal cost best-of-n is
the best of one, the run before; `at equal cost` says who wins there, and what best-of-n reaches for
its price. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

import genwright
from common import finish
from genwright.contents.music.compose import first_bars
from genwright.contents.music.figures import frames_of
from genwright.contents.music.notes_likelihood import losses_by_piece
from genwright.contents.music.phrases import bars_of
from genwright.contents.music.sampler import noise
from genwright.contents.music.score import REST, Score
from genwright.contents.music.tunes import melody_tokens, statistics
from genwright.contents.music.voice_floors import changed
from genwright.contents.music.voice_leading import PARALLELS, cadences, marks
from genwright.core.content import Sample
from genwright.core.registry import measures_of
from genwright.rewards.reward import Reward

PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}
SEED = 1001  # of samples; no run was trained with it
BARS = 8  # of four voices
BEST_OF = 8
ROUNDS = 2000  # of the bootstrap
FRAMES = 64
SHORT = 16  # bars of a melody, where lengths are to be equal
PHRASE = 4  # bars of a phrase of a fiddle tune
REAL = "held-out music"
Count = Callable[[Score], tuple[float, float]]  # of a piece: what is counted, of how many


@dataclass
class Drawn:
    """Pieces, and what one of them took: pieces that were drawn for it, 0 of what was not drawn;
    and seconds."""

    scores: Sequence[Score]
    seconds: float = float("nan")
    draws: int = 0


def drawn(run, count: int, **options) -> Drawn:
    began = time.perf_counter()
    scores = run.sample(n=count, seed=SEED, **PLAIN, **options)
    return Drawn(scores, (time.perf_counter() - began) / count, 1)


def best_of(recipe, many: Drawn) -> Drawn:
    """Of every BEST_OF pieces the one that the recipe's terms reward most."""
    count = len(many.scores) // BEST_OF
    reward = rewards(recipe, many.scores[: count * BEST_OF]).reshape(count, BEST_OF)
    best = reward.argmax(1) + BEST_OF * np.arange(count)
    return Drawn([many.scores[place] for place in best], BEST_OF * many.seconds, BEST_OF)


def rewards(recipe, scores: Sequence[Score]) -> np.ndarray:
    """(pieces,) the sum of the recipe's terms."""
    reward = Reward(recipe.objective.rewards, "music")
    samples = [Sample(score, tokens=(0,)) for score in scores]
    return reward(samples, 1, first_token).total.double().numpy()


def first_token(sample: Sample, place) -> int:
    """Where a part of the reward is put, of which only the sum is looked at here."""
    return 0


def interval(counted: np.ndarray, out_of: np.ndarray) -> dict:
    """A ratio of sums, its 95% interval and standard error, the pieces drawn anew."""
    again = np.random.default_rng(0).integers(len(out_of), size=(ROUNDS, len(out_of)))
    values = counted[again].sum(1) / np.maximum(out_of[again].sum(1), 1e-12)
    low, high = np.quantile(values, (0.025, 0.975))
    return {
        "value": float(counted.sum() / max(out_of.sum(), 1e-12)),
        "low": float(low),
        "high": float(high),
        "standard error": float(values.std()),
    }


def rate(count: Count, scores: Sequence[Score]) -> dict:
    rows = np.array([count(score) for score in scores])  # (pieces, 2)
    return interval(rows[:, 0], rows[:, 1])


def distance(found: dict, name: str, kind: str) -> float:
    """How far a figure of a set is from that of held-out music."""
    return abs(found[kind][name]["value"] - found[REAL][name]["value"])


def distinct_4(rows: dict[str, np.ndarray]) -> dict[str, float]:
    """Different runs of four tokens as a share of all, in as many tokens of each set."""
    size = min(len(row) for row in rows.values())
    shares: dict[str, float] = {"tokens of each": size}
    if size < 4:
        return shares | dict.fromkeys(rows, 0.0)
    for name, row in rows.items():
        runs = np.lib.stride_tricks.sliding_window_view(row[:size], 4)
        shares[name] = len(np.unique(runs, axis=0)) / len(runs)
    return shares


def diversity(sets: dict[str, Drawn]) -> dict:
    """`distinct_4` of before and after; and of all sets but noise, in as many tokens as the
    smallest of them has."""
    rows = {}
    for name, found in sets.items():
        if name != "noise":
            rows[name] = np.concatenate([plain_tokens(score) for score in found.scores])
    pair = {name: rows[name] for name in ("before", "after")}
    return {"pair": distinct_4(pair), "all": distinct_4(rows)}


def plain_tokens(score: Score) -> np.ndarray:
    """What a piece says, one number each: of a melody a note's pitch and its length; of several
    voices what each does in a step, like codec grid, but of notes that it may not know too."""
    if len(score.voices) == 1:
        numbers = [(note.pitch, 128 + note.length) for note in score.voices[0]]
        return np.array(numbers, int).ravel()
    pitch, onset = score.grid()
    return (2 * pitch.astype(int) + onset).ravel()


def nats_by_piece(run, dataset, voices: bool) -> dict[str, np.ndarray]:
    """Nats of each held-out piece: (pieces, 2) sums and tokens of all tokens; and, where the codec
    has voices by steps, of all notes and of those whose pitch changes."""
    codec = dataset.codec
    found: dict[str, list] = {"all tokens": [], "all notes": [], "changed notes": []}
    for piece, nll in losses_by_piece(run, dataset).items():
        nats = nll.double().numpy()
        found["all tokens"].append((nats.sum(), len(nats)))
        if voices:
            row = dataset.row(piece)
            notes = codec.slots(row, nats)  # (steps, voices)
            new = changed(codec.decode(row.tolist()).grid()[0])
            found["all notes"].append((notes.sum(), notes.size))
            found["changed notes"].append((notes[new].sum(), new.sum()))
    return {name: np.array(rows) for name, rows in found.items() if rows}


def likelihood(before, after, dataset, voices: bool) -> dict:
    """Nats a token of real held-out pieces, and by what share they rose, the pieces drawn anew."""
    figures = {}
    after_nats = nats_by_piece(after, dataset, voices)
    for name, rows in nats_by_piece(before, dataset, voices).items():
        new = after_nats[name]
        again = np.random.default_rng(0).integers(len(rows), size=(ROUNDS, len(rows)))
        rises = new[again, 0].sum(1) / rows[again, 0].sum(1) - 1
        low, high = np.quantile(rises, (0.025, 0.975))
        figures[name] = {
            "before": float(rows[:, 0].sum() / rows[:, 1].sum()),
            "after": float(new[:, 0].sum() / new[:, 1].sum()),
            "rise": float(new[:, 0].sum() / rows[:, 0].sum() - 1),
            "low": float(low),
            "high": float(high),
        }
    return figures


# ---- at equal cost


def at_equal_cost(figures: dict, what: str, off: dict[str, float]) -> dict:
    """Alternatives of which a piece takes one draw, best first, beside best-of-n, and that in
    words. figures: of each set. what: the figure that they are compared by. off: name of a set ->
    how far it is from what is wanted, by that figure."""
    rows = {}
    for name, of_set in figures.items():
        if of_set["draws a piece"]:
            cost = {key: of_set[key] for key in ("draws a piece", "seconds a piece", "reward")}
            rows[name] = cost | {what: of_set[what]["value"]}
    one_draw = [name for name in rows if rows[name]["draws a piece"] == 1]
    one_draw.sort(key=off.__getitem__)
    shown = [_cost_in_words(name, what, rows[name]) for name in one_draw]
    name = f"best of {BEST_OF}"
    beside = f"is no better, at {BEST_OF} draws a piece"
    if off[name] < off[one_draw[0]]:
        beside = f"is better, at {BEST_OF} draws a piece"
    words = (
        f"By {what}, at equal cost (one draw a piece; best of n is then best of 1, the run"
        f" before), {one_draw[0]} wins: {'; '.join(shown)}."
        f" Beside it: {_cost_in_words(name, what, rows[name])}; it {beside}."
    )
    return {"sets": rows, "best first": one_draw, "in words": words}


def _cost_in_words(name: str, what: str, row: dict) -> str:
    return f"{name} has {row[what]:.3g}, {row['seconds a piece']:.2g} s a piece"


# ---- four voices


def parallels(score: Score) -> tuple[float, float]:
    frames = frames_of(score)
    found = marks(frames)
    return FRAMES * sum(float(found[kind].sum()) for kind in PARALLELS), float(len(frames))


def crossings(score: Score) -> tuple[float, float]:
    frames = frames_of(score)
    return FRAMES * float(marks(frames)["crossing"].sum()), float(len(frames))


def note_changes(score: Score) -> tuple[float, float]:
    frames = frames_of(score)
    return float(changed(frames).sum()), float(frames.size)


def rests(score: Score) -> tuple[float, float]:
    frames = frames_of(score)
    return float((frames == REST).sum()), float(frames.size)


def authentic(score: Score) -> tuple[float, float]:
    kinds = [end.kind for end in cadences(score)]
    return float(kinds.count("authentic")), float(len(kinds))


def fermatas(score: Score) -> tuple[float, float]:
    return FRAMES * float(len(cadences(score))), float(len(frames_of(score)))


PARALLEL = "parallels, per 64 frames"
CHANGES = "note changes, share"
RESTS = "rests, share"
AUTHENTIC = "authentic cadences, share of fermatas"
VOICES: dict[str, Count] = {
    PARALLEL: parallels,
    "crossings, per 64 frames": crossings,
    CHANGES: note_changes,
    RESTS: rests,
    AUTHENTIC: authentic,
    "fermatas, per 64 frames": fermatas,
}


def harmony(before, after, count: int) -> dict:
    recipe = after.recipe
    dataset = after.dataset()
    real = dataset.scores("held_out")
    many = drawn(before, max(count, BEST_OF), bars=BARS)
    sets = {
        "before": Drawn(many.scores[:count], many.seconds, 1),
        "after": drawn(after, count, bars=BARS),
        "rules": drawn(before, max(1, count // 4), bars=BARS, rules=True),
        f"best of {BEST_OF}": best_of(recipe, many),
        REAL: Drawn([first_bars(score, BARS) for score in real]),
        "held-out music, whole": Drawn(real),
        "noise": Drawn(noise([first_bars(score, BARS) for score in real])),
    }
    figures: dict = {}
    for name, found in sets.items():
        scores = [score for score in found.scores if score.length]
        figures[name] = {kind: rate(of, scores) for kind, of in VOICES.items()}
        figures[name] |= {
            "pieces": len(scores),
            "draws a piece": found.draws,
            "seconds a piece": found.seconds,
            "reward": float(rewards(recipe, scores).mean()),
        }
    result = {
        "sets": figures,
        "distinct-4": diversity(sets),
        "nats": likelihood(before, after, dataset, voices=True),
        "bars of a piece": BARS,
        "seed": SEED,
    }
    off = {name: found[PARALLEL]["value"] for name, found in figures.items()}
    cost = at_equal_cost(figures, PARALLEL, off)
    return result | {"at equal cost": cost}


def after_a_phrase(score: Score) -> tuple[float, float]:
    """Bars that are as the one a phrase before them, and all that have a pattern."""
    return _alike(score, PHRASE)


def droned(score: Score) -> tuple[float, float]:
    """Bars that are as the one before them, and all that have a pattern: a cheap way to repeat."""
    return _alike(score, 1)


def _alike(score: Score, apart: int) -> tuple[float, float]:
    bars = bars_of(score)
    same = 0
    known = 0
    for bar, earlier in zip(bars[apart:], bars, strict=False):
        if bar.pattern is not None:
            known += 1
            same += bar.pattern == earlier.pattern
    return float(same), float(known)


PHRASES = "phrase repetition"


def phrases(before, after, count: int) -> dict:
    recipe = after.recipe
    dataset = after.dataset()
    held_out = dataset.scores("held_out")
    many = drawn(before, max(count, BEST_OF))
    sets = {
        "before": Drawn(many.scores[:count], many.seconds, 1),
        "after": drawn(after, count),
        f"best of {BEST_OF}": best_of(recipe, many),
        REAL: Drawn(held_out),
        "training music": Drawn(dataset.scores("train", 1000)),
        "noise": Drawn(noise(held_out)),
    }
    figures: dict = {}
    tables = {}
    for name, found in sets.items():
        scores = found.scores
        tables[name] = statistics(np.stack([melody_tokens(score) for score in scores]))
        cut = [first_bars(score, SHORT) for score in scores]
        figures[name] = {
            PHRASES: repetition(scores),
            f"phrase repetition, of the first {SHORT} bars": repetition(cut),
            "bars as four before": rate(after_a_phrase, scores),
            "bars as the one before": rate(droned, scores),
            "bars": float(np.mean([len(bars_of(score)) for score in scores])),
            "pieces": len(scores),
            "draws a piece": found.draws,
            "seconds a piece": found.seconds,
            "reward": float(rewards(recipe, scores).mean()),
        }
    result = {
        "sets": figures,
        "statistics": {name: compared(tables, name) for name in tables["before"]},
        "distinct-4": diversity(sets),
        "nats": likelihood(before, after, dataset, voices=False),
        "seed": SEED,
    }
    off = {name: distance(figures, PHRASES, name) for name in figures}
    cost = at_equal_cost(figures, PHRASES, off)
    return result | {"at equal cost": cost}


def repetition(scores: Sequence[Score]) -> dict:
    """The mean of the rewarded measure."""
    measure = measures_of("music")[PHRASES]
    values = np.array(measure.values([Sample(score) for score in scores]))
    known = values[~np.isnan(values)]
    if not len(known):
        known = np.zeros(1)
    return interval(known, np.ones(len(known)))


def compared(tables: dict, name: str) -> dict:
    """A statistic of every set, and how far from held-out music it was before and is after."""
    found = {kind: interval(*table[name]) for kind, table in tables.items()}
    real = found[REAL]["value"]
    away = {kind: abs(found[kind]["value"] - real) for kind in ("before", "after")}
    error = found["before"]["standard error"]
    return {
        "values": {kind: figure["value"] for kind, figure in found.items()},
        "distance before": away["before"],
        "distance after": away["after"],
        "standard error before": error,
        "kept": away["after"] <= away["before"] + 2 * error,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["harmony", "phrases"])
    parser.add_argument("before")
    parser.add_argument("after")
    parser.add_argument("-n", type=int, default=256)
    parser.add_argument("--out")
    arguments = parser.parse_args()
    before = genwright.load(arguments.before)
    after = genwright.load(arguments.after)
    compare = harmony if arguments.what == "harmony" else phrases
    figures = compare(before, after, arguments.n)
    return finish(f"rewards_music {arguments.what}", figures, arguments.out)


if __name__ == "__main__":
    sys.exit(main())
