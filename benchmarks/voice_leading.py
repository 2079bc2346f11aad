"""What real Bach does, and what tables of counts reach on it, beside what was published of the same
file.

    python benchmarks/voice_leading.py --data Jsb16thSeparated.json [--out FILE]

The file is czhuang/JSB-Chorales-dataset's: 229, 76 and 77 chorales on a grid of sixteenths, -1 for
a rest. Faults are means a chorale, "any parallel" the share of chorales that have one; the
parallels of 64 frames and the rate of note changes are what samples are compared by. Floors are
nats a token of the whole split, of tables that counted the training split. Bars, for novelty and
groove, are of 4/4 from the first frame, since the file has none. Exits with 1 where a published
figure is not met to its last digit (201 crossings in 76 chorales are 2.645, which was published as
2.65).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from common import finish
from genwright.contents.music.descriptors import descriptors
from genwright.contents.music.novelty import novelty
from genwright.contents.music.score import of_grid
from genwright.contents.music.voice_floors import changed, voice_floors
from genwright.contents.music.voice_leading import FAULTS, PARALLELS, marks

PARALLEL = PARALLELS
NAMES = (
    "frames",
    "parallel fifths",
    "parallel octaves and unisons",
    "hidden fifths",
    "hidden octaves",
    "crossings",
    "spacing",
    "range",
    "any parallel",
)
PUBLISHED = {
    "train": ("241", "0.140", "0.127", "0.31", "0.11", "2.18", "1.28", "0.01", "0.18"),
    "valid": ("242", "0.158", "0.079", "0.28", "0.14", "2.65", "1.18", "0.01", "0.17"),
    "test": ("245", "0.195", "0.078", "0.39", "0.08", "2.05", "1.66", "0.00", "0.18"),
}
FLOORS = {
    "valid": {"unigram": "2.611", "bigram": "0.937"},
    "test": {"unigram": "2.639", "bigram": "0.986"},
}


def of_split(pieces: list[np.ndarray]) -> dict[str, float]:
    found = [{kind: int(mark.sum()) for kind, mark in marks(piece).items()} for piece in pieces]
    mean = {kind: float(np.mean([counts[kind] for counts in found])) for kind in FAULTS}
    frames, parallels = (
        [len(piece) for piece in pieces],
        [sum(counts[kind] for kind in PARALLEL) for counts in found],
    )
    octaves, hidden = (
        mean["parallel octave"] + mean["parallel unison"],
        (mean["hidden fifth"], mean["hidden octave"]),
    )
    values = (
        np.mean(frames),
        mean["parallel fifth"],
        octaves,
        *hidden,
        mean["crossing"],
        mean["spacing"],
        mean["range"],
        np.mean([p > 0 for p in parallels]),
    )
    more = {
        "parallel unisons": mean["parallel unison"],
        "parallels per 64 frames": 64 * sum(parallels) / sum(frames),
        "note changes, share of tokens": float(
            np.concatenate([changed(piece) for piece in pieces]).mean()
        ),
        "chorales": len(pieces),
    }
    return {name: float(value) for name, value in zip(NAMES, values, strict=True)} | more


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--out")
    a = parser.parse_args()
    data = {
        split: [np.array(piece, np.int16) for piece in pieces]
        for split, pieces in json.loads(Path(a.data).read_text()).items()
    }
    began, figures, missed = time.perf_counter(), {}, []

    def compare(where: str, name: str, value: float, published: str) -> None:
        if abs(value - float(published)) > 0.55 * 10.0 ** -(len(published.partition(".")[2])):
            missed.append(f"{where}, {name}: {value:.4f}, published {published}")

    for split, published in PUBLISHED.items():
        figures[split] = of_split(data[split])
        for name, known in zip(NAMES, published, strict=True):
            compare(split, name, figures[split][name], known)
    for split, known in FLOORS.items():
        new, floors = (
            np.concatenate([changed(piece) for piece in data[split]]),
            voice_floors(data["train"], data[split]),
        )
        for name, nats in floors.items():
            rows = np.concatenate(nats)
            means = {
                "all": rows.mean(),
                "changed": rows[new].mean(),
                "lower voices": rows[:, 1:].mean(),
                "lower voices, changed": rows[:, 1:][new[:, 1:]].mean(),
            }
            figures[split][f"nats per token, {name}"] = {
                key: float(value) for key, value in means.items()
            }
            if name in known:
                compare(split, name, means["all"], known[name])
    figures["seconds for faults and floors"] = time.perf_counter() - began
    scores = {split: [of_grid(piece) for piece in pieces] for split, pieces in data.items()}
    for split in data:
        values = [descriptors(score) for score in scores[split]]
        figures[split] |= {
            name: float(np.nanmean([value[name] for value in values])) for name in values[0]
        }
    began = time.perf_counter()
    for split in FLOORS:
        found = novelty(scores[split], scores["train"])
        figures[split] |= {
            "longest run of bars in training, median": float(np.median([f.bars for f in found])),
            "most": max(f.bars for f in found),
        }
        figures[split]["share of the nearest training soprano, mean"] = float(
            np.mean([f.share for f in found])
        )
    figures["seconds for the novelty of 153 pieces"] = time.perf_counter() - began
    figures["not as published"] = missed
    sys.exit(finish("voice_leading", figures, a.out))


if __name__ == "__main__":
    main()
