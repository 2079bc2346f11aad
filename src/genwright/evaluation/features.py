"""One feature extractor for a dataset: a small network trained on its real train split, named in
every figure that uses it with its accuracy on held-out examples. No download, nobody else's
pictures.

It learns the attributes that pictures have: an attribute with one value by cross entropy, one with
several by binary cross entropies.
Pictures without attributes: which of four ways they were turned (Gidaris et al., arXiv 1803.07728).
It is trained by the house's own loop, is a function of the dataset alone (on one kind of machine),
and is kept in the cache. Features favour what the attributes tell apart. Points in the plane are
their own features.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from rich.console import Console
from safetensors.torch import load_file, save
from torch import Tensor, nn

from genwright.core.attributes import spans
from genwright.core.contracts import Batch, Loss, Objective, Ranks, Turn
from genwright.core.draws import Draws
from genwright.core.files import cache_folder, json_text, write_whole
from genwright.core.progress import Task, task
from genwright.data.cache import digest_of
from genwright.data.examples import ExampleStream, Split
from genwright.training.engine import Engine
from genwright.training.hooks import Live
from genwright.training.loop import Hook, State, run, start
from genwright.training.settings import Optimizer, Schedule, Training

VERSION = 1  # of the network and its training: raise it when either changes
BATCH = 128
FEATURES = 64
ROTATIONS = "rotation"
# of the train split; pictures that are seen at least and at most
EPOCHS = 16
LEAST = 50_000
MOST = 120_000


class Network(nn.Module):
    """(n, channels, height, width) -> scores (n, columns) and features (n, 64). Pictures of 48
    pixels and more have blocks of pixels moved into channels first, so that cost hardly depends on
    their size and nothing is lost."""

    def __init__(self, shape: tuple[int, ...], columns: int):
        super().__init__()
        channels = shape[0]
        side = min(shape[1:])
        self.block = max(
            b for b in range(1, max(1, side // 24) + 1) if not any(n % b for n in shape[1:])
        )
        layers: list[nn.Module] = []
        width, side = channels * self.block**2, side // self.block
        for out in (32, 64, 128):
            layers += [
                nn.Conv2d(width, out, 3, 2 if side > 3 else 1, 1),
                nn.GroupNorm(8, out),
                nn.ReLU(),
            ]
            width, side = out, -(-side // 2) if side > 3 else side
        pool = nn.Identity() if side == 4 else nn.AdaptiveAvgPool2d(4)
        self.body = nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(16 * width, FEATURES))
        self.head = nn.Linear(FEATURES, columns)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.body(F.pixel_unshuffle(x, self.block))
        return self.head(F.relu(features)), features


class Recognition(Objective):
    """Modules {"extractor"}. single: attribute -> whether an example has one value of it at
    most."""

    def __init__(
        self,
        network: nn.Module,
        attributes: Mapping[str, tuple[str, ...]],
        single: Mapping[str, bool],
    ):
        self.modules: Mapping[str, nn.Module] = {"extractor": network}
        self.attributes = attributes
        self.single = single

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """Pictures moved by up to a sixteenth of their side, or turned where that is what is to be
        told."""
        x = batch["x"]
        if ROTATIONS in self.attributes:
            return turned(x, draws.integers("turn", 4))
        reach = max(1, x.shape[-1] // 16)
        moves = draws.integers("move", 2 * reach + 1, 2)
        # (n, side)
        places = [
            torch.arange(n, device=x.device) + moves[:, i : i + 1]
            for i, n in enumerate(x.shape[2:])
        ]
        padded = F.pad(x, (reach,) * 4, mode="replicate")
        rows = torch.arange(len(x), device=x.device)[:, None, None]
        return batch | {
            "x": padded[rows, :, places[0][:, :, None], places[1][:, None]]
            .permute(0, 3, 1, 2)
            .contiguous()
        }

    def turns(self, step: int) -> tuple[Turn, ...]:
        return (Turn(("extractor",), self.measured),)

    def measured(self, batch: Batch) -> Loss:
        scores, _ = self.modules["extractor"](batch["x"])
        total = scores.new_zeros(len(scores))
        for name, columns in spans(self.attributes).items():
            own = scores[:, columns]
            wanted = batch["condition"][:, columns]
            if self.single[name]:
                total = total - (own.log_softmax(1) * wanted).sum(1)
            else:
                total = total + F.binary_cross_entropy_with_logits(
                    own, wanted, reduction="none"
                ).sum(1)
        return Loss(
            total,
            torch.ones_like(total),
            {"loss": (total.detach().sum(), torch.tensor(len(total)))},
        )


@dataclass(frozen=True)
class Extractor:
    """network: None for points. accuracy: attribute -> (share of held-out examples whose likeliest
    value is right, how many).
    majority: the share that the most frequent value of the train split reaches on the same."""

    network: Network | None
    name: str
    attributes: Mapping[str, tuple[str, ...]]
    single: Mapping[str, bool] = field(default_factory=dict)
    accuracy: Mapping[str, tuple[float, int]] = field(default_factory=dict)
    majority: Mapping[str, float] = field(default_factory=dict)

    @torch.no_grad()
    def _outputs(self, x: Tensor, which: int) -> Tensor:
        assert self.network is not None
        return torch.cat([self.network(part.cpu().float())[which] for part in x.split(500)])

    def features(self, x: Tensor) -> Tensor:
        """(n, *shape) -> (n, 64), or points as they are."""
        return self._outputs(x, 1) if self.network else x.cpu().flatten(1)

    def predict(self, x: Tensor) -> Tensor:
        """(n, *shape) -> (n, columns) probabilities: of an attribute with one value they sum to 1,
        of others each stands alone."""
        scores = self._outputs(x, 0)
        parts = [
            scores[:, c].softmax(1) if self.single[n] else scores[:, c].sigmoid()
            for n, c in spans(self.attributes).items()
        ]
        return torch.cat(parts, 1)

    def describe(self) -> str:
        told = (
            f"{n} {v:.1%} (most frequent value {self.majority[n]:.1%}) of {c:,}"
            for n, (v, c) in self.accuracy.items()
        )
        return (
            f"{self.name}; right on held-out real ones: {', '.join(told)}"
            if self.accuracy
            else self.name
        )


def turned(x: Tensor, turn: Tensor) -> Batch:
    """Pictures turned by quarter turns (n,), and which as a condition."""
    moved = torch.stack([torch.rot90(p, int(t), (1, 2)) for p, t in zip(x, turn, strict=True)])
    return {"x": moved, "condition": F.one_hot(turn, 4).float()}


def right(
    guess: Tensor, condition: Tensor, attributes: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[float, int]]:
    """For each attribute, over the examples that have a value of it: the share whose highest column
    in `guess` (n or 1, columns) is one of their values, and how many they are."""
    out = {}
    for name, columns in spans(attributes).items():
        own = condition[:, columns]
        has = own.sum(1) > 0
        hit = own.gather(1, guess[:, columns].argmax(1, keepdim=True).expand(len(own), 1))[has, 0]
        out[name] = (float(hit.double().mean()) if len(hit) else 0.0, int(has.sum()))
    return out


class Steps(Hook):
    """Steps of a training, as a part of longer work."""

    def __init__(self, part: Task):
        self.part = part

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        self.part.advance()

    def close(self) -> None:
        pass


def fit(
    split: Split,
    shape: tuple[int, ...],
    attributes: Mapping[str, tuple[str, ...]],
    single: Mapping[str, bool],
    seen: int,
    shown: bool = False,
) -> Network:
    """A network trained on about `seen` pictures of a split, by the loop; the same for the same
    split. The caller's random numbers are left as they were. shown: a line of progress on
    stderr."""
    stream = ExampleStream(split, min(BATCH, len(split)), 0, "images")
    steps = max(50, seen // BATCH)  # of few pictures too: more would not teach more
    # of emoji it learns twice as much as AdamW in as many steps
    muon = Optimizer(kind="muon", matrix_rate=0.03, learning_rate=2e-3)
    settings = Training(
        steps=steps, optimizer=muon, schedule=Schedule(kind="cosine", warmup=0.05), precision="fp32"
    )
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        network = Network(shape, sum(map(len, attributes.values())))
        engine = Engine.alone()
        objective = Recognition(network, attributes, single)
        with task("teaching a classifier", steps) as part:
            # while a run trains, which has no display of tasks
            alone = shown and part.display is None
            line = (
                Live(Console(stderr=True), "telling apart", steps, "images")
                if alone
                else Steps(part)
            )
            run(
                objective,
                stream,
                start(objective, settings, engine),
                steps,
                settings=settings,
                engine=engine,
                hooks=[line],
            )
            line.close()
    return network.eval().requires_grad_(False)


def of_split(split: Split, limit: int | None = None) -> tuple[Tensor, Tensor | None]:
    """x and condition of a whole split, or of `limit` of its examples, evenly spread."""
    index = spread(len(split), min(len(split), limit or len(split)))
    return split.x(index), split.condition(index)


def spread(size: int, count: int) -> np.ndarray:
    """(count,) indices into `size` things, evenly over all of them; each several times where there
    are fewer."""
    return np.arange(count) * size // count


def extractor(dataset: Any, cache: str | Path | None = None) -> Extractor:
    """The extractor of a dataset, from the cache (default $GENWRIGHT_CACHE or ~/.cache/genwright)
    or trained now, about a minute."""
    # of a codec of codes: its pictures'
    space = getattr(dataset.codec, "image", dataset.codec).space
    if len(space.shape) != 3:
        return Extractor(None, "the coordinates themselves", {})
    attributes = dict(space.attributes) or {ROTATIONS: ("0", "90", "180", "270")}
    # of the pictures, whatever codes they become
    digest = getattr(dataset, "images", dataset).digest
    name = digest_of(VERSION, digest, space.shape, attributes)[:12]
    root = cache_folder(cache) / "extractors"
    weights = root / f"{name}.safetensors"
    facts = root / f"{name}.json"
    if not (facts.is_file() and weights.is_file()):
        what = "a small network learns to tell this data apart, once (about a minute); figures of samples are made with it"
        print(f"note: {what}", file=sys.stderr)
        root.mkdir(parents=True, exist_ok=True)
        network, known = _taught(dataset, space.shape, attributes, name)
        write_whole(weights, save(network.state_dict()))
        write_whole(facts, json_text(known))  # last: it says that both are whole
    with torch.device("meta"):
        network = Network(space.shape, sum(map(len, attributes.values()))).eval()
    network.load_state_dict(load_file(weights), assign=True)
    network.requires_grad_(False)
    return Extractor(
        network, attributes=attributes, **json.loads(facts.read_text(encoding="utf-8"))
    )


def _taught(
    dataset: Any, shape: tuple[int, ...], attributes: Mapping[str, tuple[str, ...]], mark: str
) -> tuple[Network, dict[str, Any]]:
    """A network that has learned a dataset, and what an `Extractor` says of it."""
    train = dataset.split("train")
    held_out = dataset.split("held_out")
    common = torch.full((1, 4), 0.25)
    single = {ROTATIONS: True}
    if ROTATIONS not in attributes:
        condition = train.condition(np.arange(len(train)))
        common = condition.mean(0, keepdim=True)
        single = {
            n: bool((condition[:, c].sum(1) <= 1).all()) for n, c in spans(attributes).items()
        }
    network = fit(
        train,
        shape,
        attributes,
        single,
        min(MOST, max(LEAST, EPOCHS * len(train))),
        sys.stderr.isatty(),
    )
    told = "four rotations" if ROTATIONS in attributes else ", ".join(attributes)
    known: dict[str, Any] = {
        "name": f"CNN trained on {told} of the train split ({mark})",
        "single": single,
    }
    if len(held_out):
        x, real = of_split(held_out, 10_000)
        if real is None:
            x, real = turned(x, torch.arange(len(x)) % 4).values()
        known["accuracy"] = right(
            Extractor(network, "", attributes, single).predict(x), real, attributes
        )
        known["majority"] = {n: v for n, (v, _) in right(common, real, attributes).items()}
    return network, known
