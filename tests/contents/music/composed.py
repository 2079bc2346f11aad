"""Small pieces for tests: chorales and tunes from a seed, and runs that learn them in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

TINY = [
    "model.depth=1",
    "model.width=16",
    "model.heads=1",
    "training.steps=4",
    "training.batch_size=4",
    "training.evaluate_every=2",
    "training.checkpoint_every=0",
    "training.precision=fp32",
    "data.minimum=2",
    "data.context=98",
    "sampling.passes=2",
]


def chorale(rng: np.random.Generator, beats: int = 24) -> np.ndarray:
    """(4 * beats, 4) pitches, soprano first, a chord a beat."""
    low = np.array([60, 55, 50, 43])
    return np.repeat(low + rng.integers(0, rng.integers(5, 11), (beats, 4)), 4, axis=0)


def jsb(path: Path, pieces: tuple[int, int, int] = (6, 2, 1), beats: int = 24) -> Path:
    rng = np.random.default_rng(0)
    splits = {
        name: [chorale(rng, beats).tolist() for _ in range(n)]
        for name, n in zip(("train", "valid", "test"), pieces, strict=True)
    }
    path.write_text(json.dumps(splits))
    return path


def tunes(folder: Path, count: int = 16) -> Path:
    """A folder of ABC tunes, some jigs in G and some reels in D, each of eight bars."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    for i in range(count):
        kind, metre, key, notes = ("jig", "6/8", "G", 6) if i % 2 else ("reel", "4/4", "D", 8)
        bars = "|".join(
            "".join(rng.choice(list("GABcdefg"[: 5 + 3 * (i % 3 == 0)]), notes)) for _ in range(8)
        )
        (folder / f"{i}.abc").write_text(
            f"X:1\nT:Tune {i}\nR:{kind}\nM:{metre}\nL:1/8\nK:{key}\n{bars}|\n"
        )
    return folder


def chorales(folder: Path, count: int = 8, beats: int = 16) -> Path:
    """A folder of MusicXML in four voices, 4/4 and in C."""
    from genwright.contents.music.score import Key, Meter, of_grid
    from genwright.contents.music.write import to_musicxml

    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(2)
    for i in range(count):
        bars = tuple(range(0, 4 * beats, 16))
        score = of_grid(
            chorale(rng, beats), bars=bars, meters=(Meter(0, 4, 4),), keys=(Key(0, 0, "major"),)
        )
        (folder / f"{i}.musicxml").write_text(to_musicxml(score))
    return folder
