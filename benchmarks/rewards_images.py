"""Pictures as codes that are rewarded, beside the alternatives: recipe `emoji-colour`.

    genwright train emoji-vq; genwright train emoji-codes
    genwright train emoji-colour --from runs/emoji-codes
    python benchmarks/rewards_images.py RUN [--samples 512] [--kl 0.01 0.2] [--sheet FILE.png]

Before and after are the run's frozen reference and its policy, asked for the same held-out
conditions with the same random numbers, at temperature 1. Floor: pictures of codes by chance;
ceiling: held-out drawings, passed through the same codes. A judge that is not rewarded says whether
what was asked for is recognised: the classifier of `genwright evaluate`, another one than the
reward's. Diversity: distinct-4 of codes, recall of training drawings in the judge's features, and
near copies of training drawings. `--kl` trains the other points of the frontier too.

Bars, of the run: its first term at least as high as of best-of-8 of the model of before, which
costs 8 draws a picture; recognised by the judge, and distinct-4, at least 95% of before; nats a
token of held-out drawings at most 3% more.
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import torch
from PIL import Image
from torch import Tensor

import genwright
from common import finish
from genwright.contents.images.codec_codes import CodesCodec
from genwright.core.attributes import spans
from genwright.core.content import Sample
from genwright.evaluation.distances import Memory, prdc
from genwright.evaluation.features import Extractor, extractor, of_split
from genwright.objectives.language import CausalObjective
from genwright.rewards.alternatives import alternative, best_of_n
from genwright.rewards.frontier import frontier, questions_of

BEST_OF = 8
COLUMNS = 16  # of the sheet
SCALE = 2


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def mean(values: Tensor) -> float:
    return round(float(values.double().nanmean()), 4)


def pictures_of(samples: list[Sample]) -> Tensor:
    """(n, C, H, W) in [-1, 1]."""
    return torch.stack([each.content for each in samples])


class Judge:
    """Figures of samples, by a classifier that no reward knows."""

    def __init__(self, run: genwright.Run):
        dataset = run.dataset()
        self.extractor: Extractor = extractor(dataset, run.recipe.data.cache)
        self.attribute = next(iter(self.extractor.attributes))
        self.columns = spans(self.extractor.attributes)[self.attribute]
        self.name = f"judge: {self.attribute} recognised"
        pictures, _ = of_split(dataset.originals.split("train"), 4000)
        self.train = self.extractor.features(pictures)
        real, _ = of_split(dataset.originals.split("held_out"), 1000)
        self.memory = Memory(self.train, self.extractor.features(real))

    def recognised(self, samples: list[Sample]) -> Tensor:
        """(n,): 1 where what a picture was asked for is recognised; NaN where that is not one
        value."""
        width = sum(len(values) for values in self.extractor.attributes.values())
        conditions = [
            torch.zeros(width) if each.condition is None else each.condition for each in samples
        ]
        asked = torch.stack(conditions)[:, self.columns]  # (n, values)
        found = self.extractor.predict(pictures_of(samples))[:, self.columns]
        right = (found.argmax(1) == asked.argmax(1)).double()
        return right.where(asked.sum(1) == 1, math.nan)

    def figures(self, samples: list[Sample]) -> dict[str, float]:
        features = self.extractor.features(pictures_of(samples))
        k = min(5, len(features) - 1, len(self.train) - 1)
        near = prdc(self.train, features, k)
        return {
            self.name: mean(self.recognised(samples)),
            "judge: precision": round(near["precision"], 4),
            "judge: recall": round(near["recall"], 4),
            "judge: near copies": round(self.memory.share(features), 4),
        }


def scores(stream, samples: list[Sample]) -> dict[str, float]:
    """Means of the rewarded and the watched measures."""
    found = {}
    for name, measure in {**stream.reward.measures, **stream.watched}.items():
        values = torch.tensor(measure.values(samples), dtype=torch.float64)
        found[name] = mean(values)
    return found


def real_samples(run: genwright.Run, codec: CodesCodec, count: int) -> list[Sample]:
    """Held-out drawings, passed through the codes."""
    real = run.kind.sampler.real(run.dataset(), "held_out", count)
    pictures = codec.pictures(codec.codes_of(pictures_of(real)))
    return [each._replace(content=x) for each, x in zip(real, pictures, strict=True)]


def noise_samples(codec: CodesCodec, like: list[Sample]) -> list[Sample]:
    """Pictures of codes by chance."""
    generator = torch.Generator().manual_seed(0)
    codes = torch.randint(0, codec.codes, (len(like), codec.places), generator=generator)
    pictures = codec.pictures(codes)
    return [each._replace(content=x) for each, x in zip(like, pictures, strict=True)]


def of_model(run, stream, judge: Judge, network, samples: int) -> tuple[dict, list[Sample]]:
    policy = CausalObjective({"model": network}, None)
    found = alternative(stream, policy, run.objective.modules["reference"], samples)
    pictures = list(found.samples)
    figures: dict = {"reward": mean(found.reward)}
    figures |= scores(stream, pictures)
    figures |= judge.figures(pictures)
    figures["distinct-4"] = round(found.distinct_4, 4)
    figures["nats from before, a picture"] = round(found.kl, 3)
    right = judge.recognised(pictures).view(found.reward.shape)
    best = best_of_n(found.reward, BEST_OF, {**found.parts, judge.name: right})
    of_best = {"reward": round(best.reward, 4), "nats, at most": round(best.kl, 3)}
    for name, value in best.parts.items():
        of_best[name.removeprefix("reward/").removeprefix("watched/")] = round(value, 4)
    figures[f"best of {BEST_OF}"] = of_best
    return figures, pictures


def sheet(before: list[Sample], after: list[Sample], path: str) -> None:
    """Before above after, of the same questions and random numbers, side by side."""
    rows = []
    for first in range(0, min(len(before), 4 * COLUMNS), COLUMNS):
        for samples in (before, after):
            pictures = [each.content for each in samples[first : first + COLUMNS]]
            rows.append(torch.cat(pictures, 2))
    whole = torch.cat(rows, 1)  # (C, height, width)
    values = whole.add(1).mul(127.5).clamp(0, 255).byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(values)
    image.resize((image.width * SCALE, image.height * SCALE)).save(path)


def bars(figures: dict, term: str, judged: str) -> dict:
    """What the bars hold, and what each is compared with."""
    before, after = figures["before"], figures["after"]
    nats = figures["held-out nats a token"]
    wanted = {
        f"{term}, at least best of {BEST_OF}": (after[term], before[f"best of {BEST_OF}"][term]),
        f"{judged}, at least 95% of before": (after[judged], before[judged]),
        "distinct-4, at least 95% of before": (after["distinct-4"], before["distinct-4"]),
        "held-out nats, at most 3% more": (nats["after"], nats["before"]),
    }
    return {
        name: {"value": value, "compared with": other} for name, (value, other) in wanted.items()
    }


def nats_of(run: genwright.Run, step: int) -> float:
    """Of held-out drawings, as the run measured it at a step."""
    found = [line for line in run.records if line["step"] == step and "held_out" in line]
    return round(found[-1]["held_out"]["loss"], 4)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", help="a run of recipe emoji-colour")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument(
        "--kl", type=float, nargs="*", help="train what the run is compared with, and these weights"
    )
    parser.add_argument("--sheet", help="a picture of samples before and after")
    parser.add_argument("--out")
    arguments = parser.parse_args()
    run = genwright.load(arguments.run)
    stream = questions_of(run, BEST_OF, 64)
    judge = Judge(run)
    samples = arguments.samples
    modules = run.objective.modules
    before, pictures = of_model(run, stream, judge, modules["reference"], samples)
    say(f"before: {before}")
    after, learned = of_model(run, stream, judge, modules["model"], samples)
    say(f"after: {after}")
    real = real_samples(run, run.codec, 1000)
    noise = noise_samples(run.codec, pictures)
    figures: dict = {
        "pictures": len(pictures),
        "before": before,
        "after": after,
        "real, through the codes (ceiling)": scores(stream, real) | judge.figures(real),
        "codes by chance (floor)": scores(stream, noise) | judge.figures(noise),
        "held-out nats a token": {"before": nats_of(run, 0), "after": nats_of(run, run.step)},
        "seconds of training": round(sum(line["seconds"] for line in run.records if "kl" in line)),
    }
    train = arguments.kl is not None
    found = frontier(run.folder, arguments.kl, [2, 4, 8, 16], samples, train)
    for line in found.lines():
        say(line)
    keys = ("name", "reward", "error", "kl", "is_bound", "distinct_4", "held_out", "seconds")
    figures["frontier"] = [{key: getattr(point, key) for key in keys} for point in found.points]
    figures["bars"] = bars(figures, next(iter(stream.reward.terms)), judge.name)
    if arguments.sheet:
        sheet(pictures, learned, arguments.sheet)
    sys.exit(finish("rewards_images", figures, arguments.out))


if __name__ == "__main__":
    main()
