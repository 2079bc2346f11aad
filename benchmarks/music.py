"""Figures of music, of runs that were trained by `genwright train`.

    python benchmarks/music.py likelihood RUN
        nats a token of held-out pieces: all, and those whose top voice is none of training
    python benchmarks/music.py parallels RUN -n 200
        samples of 240 sixteenths, free and under the rules: parallels, changes of note
    python benchmarks/music.py drift RUN -n 200
        of codec jsb: parallels expected after real music, and those of samples by quarter
    python benchmarks/music.py harmonise RUN
        the test split's sopranos (held-out ones where there is none): nats, notes, faults
    python benchmarks/music.py melodies RUN -n 2000
        the statistics of RL Tuner, and the distance to the band of real tunes
    python benchmarks/music.py corpus [FILES]
        the chorales (or the music of FILES) into shards, cold and from the cache; the round trip
        of every piece
    python benchmarks/music.py speed RUN -n 16
        `genwright sample` with all its files, in a process of its own

`--out FILE` keeps the result. Data are those of the run's recipe. Samples of parallels, drift and
melodies are drawn at temperature 1 from all tokens; `--min-p P` leaves out those that are less
likely than P times the likeliest.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np
import torch

import genwright
from common import finish
from genwright.contents.music import figures as music_figures
from genwright.contents.music.dataset import by_piece
from genwright.contents.music.likeness import near_copies
from genwright.contents.music.notes_likelihood import harmonised_figures, notes_figures
from genwright.contents.music.rules import parallel
from genwright.contents.music.sampler import noise
from genwright.contents.music.voice_leading import FAULTS, marks
from genwright.evaluation.figure import Figure
from genwright.evaluation.pilot import SampleCounts

BARS = 15  # of 16 sixteenths: 240 of them
PLAIN = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0}


def told(figures: list[Figure]) -> dict:
    return {
        f.name: {"value": f.value, "unit": f.unit, "on": f"{f.count} {f.counted}"}
        | dict(f.floors)
        | dict(f.ceilings)
        for f in figures
    }


def about(run) -> dict:
    """What was trained, and how long: processor time is the threads' times the seconds of steps."""
    seconds, training = (
        sum(r.get("seconds") or 0 for r in run.records if "held_out" not in r),
        run.recipe.training,
    )
    parameters = sum(p.numel() for p in run.model.parameters())
    return {
        "step": run.step,
        "parameters": parameters,
        "training seconds": seconds,
        "threads": training.threads,
        "weights": run.weights,
    }


def likelihood(run, count: int) -> dict:
    dataset = run.dataset()
    totals: dict[int, np.ndarray] = {}
    device = next(run.model.parameters()).device
    with torch.no_grad():
        for piece, batch in by_piece(dataset, "held_out", 1):
            inputs, targets = batch["tokens"][:, :-1].to(device), batch["tokens"][:, 1:].to(device)
            nll = run.model(inputs, targets=targets)[batch["counted"][:, 1:].to(device)].double()
            totals[piece] = totals.get(piece, np.zeros(2)) + np.array([float(nll.sum()), len(nll)])
    pieces, held_out = list(dataset.pieces["held_out"]), dataset.scores("held_out")
    near = {pieces[j] for j, _, _ in near_copies(dataset.scores("train"), held_out, 5, 0.5)}
    new = [i for i in totals if i not in near]

    def mean(pieces):
        return float(np.divide(*sum(totals[i] for i in pieces)))

    found = {
        "nats a token": mean(totals),
        "pieces": len(totals),
        "tokens": int(sum(row[1] for row in totals.values())),
    }
    if new:
        found |= {
            "nats a token, half of the top voice in no training piece": mean(new),
            "of them": len(new),
        }
        found |= (
            {"nats a token, the others": mean(sorted(near)), "others": len(near)} if near else {}
        )
    return found | {"more": told(notes_figures(run, dataset))}


def parallels(run, count: int) -> dict:
    dataset, out = run.dataset(), {}
    real = {"held-out music": dataset.scores("held_out"), "training music": dataset.scores("train")}
    for name, rules in (("free", False), ("under the rules", True)):
        began = time.perf_counter()
        made = run.sample(n=count, bars=BARS, rules=rules, seed=1, **PLAIN)
        sets = {"samples": made, **real, "noise": noise(real["training music"][:count])}
        seconds = time.perf_counter() - began
        out[name] = told(music_figures.led_figures(sets)) | {
            "shortest": min(score.length for score in made),
            "seconds": seconds,
        }
    return out


def drift(run, count: int) -> dict:
    """Parallels in 64 frames: what the model would draw as a voice's next note after held-out
    music, each pair of voices by itself: its own smoothing; and those of samples by quarter of the
    piece and by kind: what is more comes as a sample leaves what training was like."""
    dataset, codec, expected, frames = run.dataset(), run.codec, 0.0, 0
    candidates = torch.arange(codec.low, codec.high + 1)
    with torch.no_grad():
        for piece in dataset.pieces["held_out"][:count]:
            row = torch.from_numpy(dataset.row(piece).astype(np.int64))[
                : run.model.context // 4 * 4
            ]
            start = codec.before(None, 1)
            chances = (
                run.model(torch.cat([start, row[None]], 1)[:, :-1])
                .softmax(-1)[0]
                .view(-1, 4, codec.space.vocabulary)
            )
            pitch = torch.from_numpy(codec.decode(row.tolist()).grid()[0].astype(np.int64))
            frames += len(pitch)
            for voice in range(1, 4):
                own = chances[1:, voice, codec.first[voice] : codec.first[voice] + len(candidates)]
                for other in range(voice):
                    sides = (
                        pitch[:-1, other, None],
                        pitch[:-1, voice, None],
                        pitch[1:, other, None],
                        candidates,
                    )
                    expected += float((own * parallel(*sides)).sum())
    made = run.sample(n=count, bars=BARS, seed=1, **PLAIN)
    found = [marks(score.grid()[0]) for score in made]
    steps = sum(score.length for score in made)
    quarters = np.zeros(4)
    for mark, score in zip(found, made, strict=True):
        at, _ = np.nonzero(sum(mark[kind] for kind in FAULTS[:3]))
        quarters += np.bincount(at * 4 // score.length, minlength=4)
    kinds = {kind: 64 * sum(int(mark[kind].sum()) for mark in found) / steps for kind in FAULTS[:3]}
    return {
        "expected after held-out music": 64 * expected / frames,
        "held-out frames": frames,
        "samples": 64 * quarters.sum() / steps,
        "of each quarter of a sample": (64 * quarters / (steps / 4)).tolist(),
        "kinds": kinds,
        "samples drawn": len(made),
    }


def harmonise(run, count: int) -> dict:
    dataset = run.dataset()
    if len(dataset.pieces["test"]):
        dataset.pieces = dataset.pieces | {"held_out": dataset.pieces["test"]}
    return told(harmonised_figures(run, dataset, SampleCounts(count))[0])


def melodies(run, count: int) -> dict:
    dataset, began = run.dataset(), time.perf_counter()
    made = [score for score in run.sample(n=count, seed=1, **PLAIN) if any(score.voices)]
    seconds = time.perf_counter() - began
    train = dataset.scores("train", count)
    sets = {
        "samples": made,
        "held-out music": dataset.scores("held_out", count),
        "training music": train,
    }
    sets["noise"] = noise(train[:count])
    figures, away = music_figures.sung_figures(sets, 0), {}
    for f in figures:
        low, high = (
            float(f.detail.split(" is within ")[1].split(" (")[0].split(" to ")[i]) for i in (0, 1)
        )
        beyond = max(low - f.value, f.value - high, 0.0)
        away[f.name] = beyond / max(abs(low), abs(high), 1e-9)
    worst = max(away, key=lambda name: away[name])
    return told(figures) | {
        "beyond the real band, of its larger end": away,
        "worst": worst,
        "samples": len(made),
        "seconds": seconds,
    }


def corpus(path: str | None) -> dict:
    """path: of other music than the chorales."""
    from genwright.contents.music import sources as source_music
    from genwright.contents.music.score import Score
    from genwright.recipe.schema import Recipe

    out: dict = {}
    with tempfile.TemporaryDirectory() as cache:
        settings = {"data.cache": cache}
        if path:
            settings |= {"data.source": "files", "data.path": path}
        recipe = Recipe.load("chorales", settings)
        for name in ("cold", "cached"):
            began, cpu = time.perf_counter(), time.process_time()
            dataset = recipe.data.prepare(recipe.codec)
            out[f"{name}, seconds"], out[f"{name}, cpu seconds of this process"] = (
                time.perf_counter() - began,
                time.process_time() - cpu,
            )
        out |= {
            "pieces": len(dataset.names),
            "grid": dataset.summary["notes"],
            "left out": len(dataset.summary["skipped"]),
        }
        codec, lost = dataset.codec, []
        source = recipe.data.source
        files = source_music.find(source, (path,) if path else ())
        read = source_music.pieces(source, files, recipe.codec.per_quarter)

        def bare(score):
            return replace(score, tempo=0.0, tempos=(), names=(), facts={})

        for piece in read:
            if isinstance(piece.score, Score):
                score = piece.score
                back = codec.decode(codec.encode(score))
                if bare(back) != bare(score):
                    lost.append(piece.name)
        out |= {"pieces that do not come back": lost}
    return out


def speed(run, count: int) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            "-m",
            "genwright",
            "sample",
            str(run.folder),
            "-n",
            str(count),
            "--bars",
            str(BARS),
            "--output",
            folder,
        ]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds = time.perf_counter() - began
        files = sorted(path.suffix for path in Path(folder).iterdir())
    return {
        "seconds": seconds,
        "pieces": count,
        "bars": BARS,
        "files": {suffix: files.count(suffix) for suffix in dict.fromkeys(files)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "what",
        choices=["likelihood", "parallels", "drift", "harmonise", "melodies", "corpus", "speed"],
    )
    parser.add_argument("run", nargs="?")
    parser.add_argument("-n", type=int)
    parser.add_argument("--min-p", type=float, default=0.0)
    parser.add_argument("--out")
    a = parser.parse_args()
    PLAIN["min_p"] = a.min_p
    count = a.n or {
        "parallels": 200,
        "drift": 200,
        "harmonise": 77,
        "melodies": 2000,
        "speed": 16,
    }.get(a.what, 0)
    if a.what == "corpus":
        figures = corpus(a.run)
    else:
        run = genwright.load(a.run)
        figures = (
            about(run)
            | ({"sampling": PLAIN} if a.what in ("parallels", "drift", "melodies") else {})
            | globals()[a.what](run, count)
        )
    sys.exit(finish(f"music, {a.what}", figures, a.out))


if __name__ == "__main__":
    main()
