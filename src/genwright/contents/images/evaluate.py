"""Every figure of a trained run that makes pictures or points, each beside what real examples reach
and what needs no learning.

Three sets of one size are compared with one reference of training examples, by the same functions:
samples; real examples that are not in the reference (the ceiling, since no model can be nearer to
it than more of the same data); and examples whose every pixel comes from another one (the floor:
right in each pixel, and nothing else). Samples of a conditional run are asked for what held-out
examples have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from genwright.contents.images import inception
from genwright.core.attributes import spans
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.data.examples import Split
from genwright.evaluation import distances, likelihood
from genwright.evaluation.distances import (
    NEIGHBOURS,
    QUANTILE,
    Memory,
    frechet,
    kernel_distance,
    prdc,
    sliced_wasserstein,
)
from genwright.evaluation.features import (
    ROTATIONS,
    Extractor,
    extractor,
    fit,
    of_split,
    right,
    spread,
)
from genwright.evaluation.figure import Figure
from genwright.evaluation.held_out import POSITION, measure, untrained
from genwright.evaluation.pilot import SampleCounts
from genwright.training.engine import Engine

if TYPE_CHECKING:
    from genwright.runs.run import Run

# drawn at most, unless another number is asked for; points: PacGAN's protocol
SAMPLES = 2000
POINTS = 2500
LEAST, PART = 64, 64  # samples that are always drawn, and at once
SEEN = 1024  # held-out examples that the objective measures, here and while training
REFERENCE = 5000  # training examples that samples are compared with
# numbers of training examples among which copies are looked for: a GiB, all of most data
SEARCHED = 2**28
FRESH = 100  # held-out examples without which every second training example takes their place
TAUGHT = 20_000  # pictures that a classifier sees, when it learns from samples
BOUND, WEIGHTS = 256, 128  # pictures whose likelihood is estimated, importance samples of each
WHOLE = 500  # importance samples where all are: the field's custom
LOSSES = {
    "causal": "nats/token",
    "masked": "nats/token",
    "variational": "nats/picture",
    "flow": "squared error",
    "vector-quantised": "error",
}
UNITS = {"wins": "share", "used": "share", "perplexity": "codes", "active_units": "units"}


def evaluate_images(
    run: Run,
    inception_weights: str | Path | None = None,
    counts: SampleCounts | None = None,
    whole: bool = False,
) -> list[Figure]:
    """Figures of a run, see `Run.evaluate`. inception_weights: safetensors, for a figure called
    FID. counts: how many samples are drawn; it is told how many were. Some minutes on two cores."""
    # it draws what this measures, and is above it otherwise
    from genwright.contents.images.pictured import drawer

    dataset = run.dataset()
    make = drawer(run)
    kind = run.recipe.objective.kind
    if counts and counts.given and not make.able:
        raise GenwrightError(
            "this run turns pictures into codes and back, and draws none of its own",
            "leave --samples out",
        )
    out = _held_out(run, dataset, None if whole else SEEN)
    if len(dataset.split("held_out")):
        out += (
            _likelihood(run, dataset, whole)
            if kind == "variational"
            else _codebook(run, dataset)
            if kind == "vector-quantised"
            else []
        )
    if not make.able:
        return out
    others = dataset.split(_others(dataset))
    order = Draws(0, 0, torch.arange(len(others))).uniform("asked", 1)[:, 0].argsort()

    def asked_of(first: int, count: int) -> Tensor | None:
        """What samples are asked for, by their number: what other examples are, in a drawn order,
        again and again."""
        return (
            others.condition(order[torch.arange(first, first + count) % len(order)])
            if make.conditional
            else None
        )

    most = POINTS if run.content == "points" else min(SAMPLES, len(dataset.split("train")))
    counts = counts or SampleCounts()
    parts = counts.draw(
        "samples",
        lambda first, n: make(n, asked_of(first, n), first=first),
        least=min(LEAST, most),
        most=most,
        part=PART,
    )
    made = torch.cat(parts).nan_to_num(0.0, 1e6, -1e6)
    asked = asked_of(0, len(made))
    if getattr(run.recipe.data, "stacked", False):
        out += _stacked(run, dataset, made)
    return out + compare(dataset, made, asked, run.eyes, inception_weights)


def _others(dataset: Any) -> str:
    """The split of real examples that are beside samples, and whose conditions these are asked for:
    a model that copied what it was trained on would be right about the training examples'."""
    return "held_out" if len(dataset.split("held_out")) >= FRESH else "train"


def compare(
    dataset: Any,
    made: Tensor,
    asked: Tensor | None,
    eyes: Extractor,
    inception_weights: str | Path | None = None,
) -> list[Figure]:
    """Figures of samples made (n, *shape), which were asked to be `asked` (n, columns)."""
    train = dataset.split("train")
    held_out = dataset.split("held_out")
    reference, _ = of_split(train, REFERENCE)
    many = _others(dataset) == "held_out"
    fresh = of_split(held_out, len(made))[0] if many else reference[1::2]
    reference = reference if many else reference[::2]
    n = min(len(made), len(fresh))
    sets = {
        "samples": made[spread(len(made), n)],
        "real": fresh[spread(len(fresh), n)],
        "pixels": _shuffled(reference, n),
    }
    out = _distances(sets, reference, eyes, inception_weights) if min(n, len(reference)) > 1 else []
    if getattr(dataset, "means", None) is not None:
        out += _modes(made, dataset.means, dataset.std)
    if many and len(train) > 1:
        near = of_split(train, max(REFERENCE, SEARCHED // made[0].numel()))[0]
        for space, of in (("values", torch.Tensor.cpu), ("features", eyes.features))[
            : 2 if eyes.network else 1
        ]:
            out.append(
                _memorised(space, of(sets["samples"]), of(near), of(sets["real"]), len(train))
            )
    if asked is not None and ROTATIONS not in eyes.attributes:
        out += _attributes(dataset, made, asked, eyes, reference, sets["real"])
    return out


def _distances(
    sets: Mapping[str, Tensor],
    reference: Tensor,
    eyes: Extractor,
    inception_weights: str | Path | None,
) -> list[Figure]:
    """How far each of the sets is from the reference."""
    seen = {name: eyes.features(x) for name, x in sets.items()}
    n = len(sets["samples"])
    real = eyes.features(reference)
    how = eyes.describe()
    out: list[Figure] = []

    def add(
        name: str, unit: str, values: dict[str, float], direction: Any, detail: str = how
    ) -> None:
        beside = (
            {
                "independent " + ("pixels" if reference.dim() > 2 else "coordinates"): values[
                    "pixels"
                ]
            },
            {"real": values["real"]},
        )
        out.append(Figure(name, values["samples"], unit, n, "samples", *beside, direction, detail))

    if n > 5 and len(reference) > 5:
        # as many as samples: more could not all be covered
        some = real[torch.linspace(0, len(real) - 1, min(n, len(real))).long()]
        found = {name: prdc(some, x) for name, x in seen.items()}
        against = f"{n:,} samples against {len(some):,} training examples, k = 5; {how}"
        for name in found["real"]:
            unit = "per ball" if name == "density" else "share"
            add(
                name,
                unit,
                {k: v[name] for k, v in found.items()},
                "near" if name == "density" else "higher",
                against,
            )

    def few(size):
        return f"fewer samples than the {size} dimensions: far too high; " if n < size else ""

    sizes = f"{n:,} samples against {len(reference):,} training examples; "
    add(
        "Frechet distance",
        "squared",
        {k: frechet(real, x) for k, x in seen.items()},
        "lower",
        sizes + few(real.shape[1]) + how,
    )
    kernel = {k: kernel_distance(real, x) for k, x in seen.items()}
    error = f"standard error {kernel['samples'][1]:.2g}, of real {kernel['real'][1]:.2g}; "
    add(
        "kernel distance",
        "squared MMD",
        {k: v for k, (v, _) in kernel.items()},
        "lower",
        sizes + error + how,
    )
    sliced = {k: sliced_wasserstein(reference, x) for k, x in sets.items()}
    add(
        "sliced Wasserstein",
        "of values",
        sliced,
        "lower",
        "128 directions, on the values themselves",
    )
    if inception_weights:
        network = inception.load(inception_weights)
        true = inception.features(network, reference)
        fid = {k: frechet(true, inception.features(network, x)) for k, x in sets.items()}
        told = f"{few(true.shape[1])}Inception weights of the user; {n:,} samples against {len(reference):,} training pictures"
        add("FID", "squared", fid, "lower", told)
    return out


def _shuffled(x: Tensor, count: int) -> Tensor:
    """(count, ...) whose every value is that of another example at the same place."""
    rows = Draws(0, 0, torch.arange(count)).integers("row", len(x), x[0].numel())
    return x.flatten(1).gather(0, rows).view(count, *x.shape[1:])


def _held_out(run: Run, dataset: Any, limit: int | None) -> list[Figure]:
    """What the objective measures of held-out examples, beside the untrained network."""
    recipe = run.recipe
    windows = dataset.held_out(recipe.objective.lookahead)
    if not windows.windows:
        return []
    device = next(p.device for m in run.objective.modules.values() for p in m.parameters())
    common: dict[str, Any] = {
        "batch": 64,
        "seed": recipe.seed,
        "engine": Engine.alone(device),
        "limit": limit,
    }
    trained, floors = (
        measure(o, windows, **common) for o in (run.objective, untrained(run, device))
    )
    out = []
    for name, value in trained.items():
        unit = UNITS.get(name) or LOSSES.get(recipe.objective.kind, "score")
        title = f"held-out {name.replace('_', ' ')}"
        count = min(limit or windows.windows, windows.windows)
        before = {"untrained": floors[name]}
        direction: Any = "lower" if name in ("loss", "reconstruction") else "near"
        out.append(
            Figure(
                title,
                value,
                unit,
                count,
                "held out",
                before,
                {},
                direction,
                "as training measures it",
            )
        )
    return out


def _likelihood(run: Run, dataset: Any, whole: bool) -> list[Figure]:
    """Likelihood, bound, active units; of sprites the mutual information gap."""
    objective = run.objective
    split = dataset.split("held_out")
    device = next(objective.modules["model"].parameters()).device
    order = dataset.held_out().order[: None if whole else SAMPLES]
    count, weights = (len(order), WHOLE) if whole else (min(BOUND, len(order)), WEIGHTS)

    def pictures(start: int, stop: int) -> dict[str, Tensor]:
        found = {k: v.to(device) for k, v in split.batch(order[start:stop]).items()}
        draws = Draws(
            run.recipe.seed, POSITION, torch.arange(start, start + len(found["x"]), device=device)
        )
        return found | {"x": objective.prepare_held_out(found, draws, Engine.alone(device))["x"]}

    seen = pictures(0, BOUND)["x"].cpu()
    known = of_split(dataset.split("train"), REFERENCE)[0]
    if objective.settings.likelihood == "bernoulli":
        floor = likelihood.marginal_nll((known.mean(0) + 1) / 2, seen)
    else:
        floor = likelihood.histogram_nll(known, seen)
    out = likelihood.figures(objective, pictures, count, weights, run.recipe.seed, floor)
    if getattr(dataset.settings, "source", "") == "sprites":
        from genwright.contents.images.source_sprites import FACTORS, Sprites

        means = likelihood.estimate(objective, pictures, len(order), samples=1).mean
        out.append(
            likelihood.factor_figure(
                means, torch.from_numpy(Sprites.factors(split.numbers[order])), FACTORS
            )
        )
    return out


def _codebook(run: Run, dataset: Any) -> list[Figure]:
    from genwright.objectives.quantised import perplexity

    x = of_split(dataset.split("held_out"), SAMPLES)[0]
    network = run.objective.modules["model"]
    with torch.no_grad():
        codes = torch.cat(
            [network(part.to(next(network.parameters()).device))[1].cpu() for part in x.split(64)]
        )
    counts = torch.bincount(codes.flatten(), minlength=network.bottleneck.size)
    value = float(perplexity(counts))
    used = int((counts > 0).sum())
    size = {"all alike": float(len(counts))}
    detail = f"exp of the entropy of all codes together; {used:,} of {len(counts):,} are used"
    return [
        Figure(
            "codebook perplexity",
            value,
            "codes",
            len(x),
            "held out",
            {"collapsed": 1.0},
            size,
            "higher",
            detail,
        )
    ]


def _modes(made: Tensor, means: Tensor, std: float) -> list[Figure]:
    found = distances.mixture(made, means, std)
    n = len(made)
    m = len(means)
    noise = distances.kl_floor(m, round(found.high_quality * n))
    among = "of the modes of samples of high quality, to uniform"
    among += "" if math.isfinite(found.kl) else "; not finite, since no sample is of high quality"
    good = f"within 3 standard deviations ({std:g}) of the nearest of {m} means"
    return [
        Figure(
            "modes",
            found.modes,
            "modes",
            n,
            "samples",
            {},
            {"all": m},
            "higher",
            f"with a sample {good}",
        ),
        Figure(
            "high quality",
            found.high_quality,
            "share",
            n,
            "samples",
            {},
            {"perfect": distances.PERFECT},
            "near",
            good,
        ),
        Figure(
            "reverse KL",
            found.kl,
            "nats",
            n,
            "samples",
            {"one mode": float(np.log(m))},
            {"perfect": noise},
            "lower",
            among,
        ),
    ]


def _stacked(run: Run, dataset: Any, made: Tensor) -> list[Figure]:
    """The modes of three digits, each named by a classifier of single ones; nothing where the
    digits have no labels."""
    single = run.recipe.data.model_copy(update={"stacked": False})
    codec = getattr(dataset.codec, "image", dataset.codec)
    eyes = extractor(
        single.prepare(codec.settings.model_copy(update={"channels": 1})), single.cache
    )
    if len(eyes.attributes.get("label", ())) != 10:
        return []
    sets = made, of_split(dataset.split("held_out"), len(made))[0]
    found, real = (
        distances.stacked(eyes.predict(x.reshape(-1, 1, *x.shape[2:])).argmax(1).view(-1, 3))
        for x in sets
    )
    n = len(made)
    how = f"of 1,000, which {len(made):,} samples cannot all reach; {eyes.describe()}"
    ceilings = {"real": real.kl, "perfect": distances.kl_floor(1000, n)}
    return [
        Figure(
            "modes",
            found.modes,
            "modes",
            n,
            "samples",
            {"one mode": 1},
            {"real": real.modes},
            "higher",
            how,
        ),
        Figure(
            "reverse KL",
            found.kl,
            "nats",
            n,
            "samples",
            {"one mode": float(np.log(1000))},
            ceilings,
            "lower",
            f"to uniform; {how}",
        ),
    ]


def _memorised(space: str, made: Tensor, train: Tensor, fresh: Tensor, of: int) -> Figure:
    memory = Memory(train, fresh)
    searched = f"{len(train):,}" + (f" of the {of:,}" if of > len(train) else "")
    near = f"nearest over mean of {NEIGHBOURS} nearest of {searched} training examples, in {space}"
    detail = f"{near}, below the {QUANTILE:.0%} quantile of held-out ones"
    name = f"memorised, by {space}"
    floors = {"copies": 1.0}
    return Figure(
        name,
        memory.share(made),
        "share",
        len(made),
        "samples",
        floors,
        {"real": memory.floor},
        "lower",
        detail,
    )


def taught(
    x: Tensor, condition: Tensor, eyes: Extractor, test: Split, seen: int
) -> dict[str, tuple[float, int]]:
    """A fresh classifier that learns from x and condition alone: attribute -> (accuracy on `test`,
    how many)."""
    own = Split(
        np.arange(len(x)),
        lambda numbers: x[torch.from_numpy(numbers)],
        str,
        condition.numpy().astype(np.uint8),
    )
    network = fit(own, x.shape[1:], eyes.attributes, eyes.single, seen)
    real, wanted = of_split(test, REFERENCE)
    assert wanted is not None
    return right(
        Extractor(network, "", eyes.attributes, eyes.single).predict(real), wanted, eyes.attributes
    )


def _attributes(
    dataset: Any, made: Tensor, asked: Tensor, eyes: Extractor, reference: Tensor, fresh: Tensor
) -> list[Figure]:
    """Whether samples are what they were asked to be, teach a classifier as real ones do, and hold
    values as often as the data."""
    how = f"asked for what {_others(dataset).replace('_', '-')} pictures have; {eyes.describe()}"
    out = []
    guess = eyes.predict(made)
    for name, (value, count) in right(guess, asked, eyes.attributes).items():
        beside = (
            {"most frequent value": eyes.majority.get(name, 0.0)},
            {"real": eyes.accuracy[name][0]} if name in eyes.accuracy else {},
        )
        out.append(
            Figure(f"recognised {name}", value, "share", count, "samples", *beside, "higher", how)
        )
    if len(dataset.split("held_out")):
        real, known = of_split(dataset.split("train"), len(made))
        assert known is not None
        learned, ceiling = (
            taught(x, c, eyes, dataset.split("held_out"), TAUGHT)
            for x, c in ((made, asked), (real, known))
        )
        detail = f"a classifier that saw {len(made):,} samples, on held-out real ones; ceiling: one that saw as many real ones"
        for name, (value, count) in learned.items():
            beside = (
                {"most frequent value": eyes.majority.get(name, 0.0)},
                {"trained on real": ceiling[name][0]},
            )
            out.append(
                Figure(
                    f"train on samples, {name}",
                    value,
                    "share",
                    count,
                    "held out",
                    *beside,
                    "higher",
                    detail,
                )
            )
    shares = [eyes.predict(x).double().mean(0) for x in (reference, made, fresh) if len(x)]
    for name, columns in spans(eyes.attributes).items():
        real_share, made_share, *others = (
            s[columns] / s[columns].sum().clamp(min=1e-12) for s in shares
        )
        change = made_share - real_share
        largest = change.abs().argsort(descending=True)[:3].tolist()
        told = ", ".join(
            f"{eyes.attributes[name][i]} {float(made_share[i]):.1%} for {float(real_share[i]):.1%}"
            for i in largest
        )
        floors = {"one value": 1 - float(real_share.max())}
        near = {"real": float((others[0] - real_share).abs().sum() / 2)} if others else {}
        value = float(change.abs().sum() / 2)
        out.append(
            Figure(
                f"balance of {name}",
                value,
                "total variation",
                len(made),
                "samples",
                floors,
                near,
                "lower",
                f"{told}; {how}",
            )
        )
    return out
