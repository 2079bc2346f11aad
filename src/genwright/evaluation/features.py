"""One feature extractor for a dataset: a small network trained on its real train split, named in
every figure that uses it with its accuracy on held-out examples. No download, nobody else's
examples.

1. It learns the attributes that examples have: an attribute with one value by cross entropy, one
   with several by binary cross entropies. Examples without attributes: which of four ways they were
   turned (Gidaris et al., arXiv 1803.07728).
2. It is trained by the house's own loop, and is a function of the dataset alone (on one kind of
   machine).
3. It is kept in the cache, and takes about a minute to make.

Features favour what the attributes tell apart. Coordinates are their own features.
"""

import json
import logging
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save
from torch import Tensor, nn

from genwright.core.attributes import spans
from genwright.core.contracts import Batch, Loss, Mean, Metrics, Objective, Ranks, Turn
from genwright.core.draws import Draws
from genwright.core.files import cache_folder, json_text, write_whole
from genwright.core.progress import Task, task
from genwright.data.cache import digest_of
from genwright.data.examples import ExampleDataset, ExampleStream, Split
from genwright.training.engine import Engine
from genwright.training.loop import Hook, run
from genwright.training.settings import Optimizer, Schedule, Training
from genwright.training.state import State, start

log = logging.getLogger(__name__)

VERSION = 1  # of the network and its training: raise it when either changes
BATCH = 128
FEATURES = 64
ROTATIONS = "rotation"
TURNS = ("0", "90", "180", "270")  # its values
EPOCHS = 16  # of the train split
# examples that are seen at least and at most
LEAST = 50_000
MOST = 120_000
CHANNELS = (32, 64, 128)
POOLED = 4  # places of a side, of what the last layer sees
NOTE = (  # logged before a network is trained
    "a small network learns to tell this data apart, once (about a minute); "
    "figures of samples are made with it"
)


class Network(nn.Module):
    """(n, channels, height, width) -> scores (n, columns) and features (n, 64). Examples of 48
    places a side and more have blocks of places moved into channels first, so that cost hardly
    depends on their size and nothing is lost."""

    def __init__(self, shape: tuple[int, ...], columns: int):
        super().__init__()
        self.block = _block(shape[1:])
        width = shape[0] * self.block**2
        side = min(shape[1:]) // self.block
        layers: list[nn.Module] = []
        for channels in CHANNELS:
            stride = 2 if side > 3 else 1
            layers += [
                nn.Conv2d(width, channels, 3, stride, 1),
                nn.GroupNorm(8, channels),
                nn.ReLU(),
            ]
            width = channels
            side = math.ceil(side / stride)
        if side == POOLED:
            layers.append(nn.Identity())  # holds the place of the pool in saved weights
        else:
            layers.append(nn.AdaptiveAvgPool2d(POOLED))
        layers += [nn.Flatten(), nn.Linear(POOLED**2 * width, FEATURES)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(FEATURES, columns)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(scores, features)."""
        features = self.body(F.pixel_unshuffle(x, self.block))
        return self.head(F.relu(features)), features


def _block(sides: tuple[int, ...]) -> int:
    """The side of the blocks that become channels: the largest that divides both sides and leaves
    24 blocks or more a side."""
    largest = max(1, min(sides) // 24)
    block = 1
    for size in range(2, largest + 1):
        if all(side % size == 0 for side in sides):
            block = size
    return block


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
        """Examples moved by up to a sixteenth of their side, or turned where the turn is what is
        learned."""
        x = batch["x"]  # (n, channels, height, width)
        if ROTATIONS in self.attributes:
            return turned(x, draws.integers("turn", 4))
        reach = max(1, x.shape[-1] // 16)
        moves = draws.integers("move", 2 * reach + 1, 2)  # (n, 2), down and right
        height, width = x.shape[2:]
        down = torch.arange(height, device=x.device) + moves[:, :1]  # (n, height)
        right = torch.arange(width, device=x.device) + moves[:, 1:]  # (n, width)
        padded = F.pad(x, (reach, reach, reach, reach), mode="replicate")
        examples = torch.arange(len(x), device=x.device)[:, None, None]
        # (n, height, width, channels)
        moved = padded[examples, :, down[:, :, None], right[:, None]]
        return batch | {"x": moved.permute(0, 3, 1, 2).contiguous()}

    def turns(self, step: int) -> Generator[Turn, Metrics, None]:
        """One turn, of the whole network."""
        yield Turn(("extractor",), self.measured)

    def measured(self, batch: Batch) -> Loss:
        """The cross entropies of all attributes, a count of 1 for each example."""
        scores, _ = self.modules["extractor"](batch["x"])
        total = scores.new_zeros(len(scores))
        for name, columns in spans(self.attributes).items():
            own = scores[:, columns]
            wanted = batch["condition"][:, columns]
            if self.single[name]:
                cost = -(own.log_softmax(1) * wanted)
            else:
                cost = F.binary_cross_entropy_with_logits(own, wanted, reduction="none")
            total = total + cost.sum(1)
        count = torch.ones_like(total)
        return Loss(total, count, {"loss": Mean(total.detach(), count)})


@dataclass(frozen=True)
class Extractor:
    """network: None where the coordinates are the features. accuracy: attribute -> (share of
    held-out examples whose likeliest value is right, how many). majority: the share that the most
    frequent value of the train split reaches on the same. single: attribute -> whether an example
    has one value of it at most."""

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
        """(n, *shape) -> (n, 64), or coordinates as they are."""
        if self.network is None:
            return x.cpu().flatten(1)
        return self._outputs(x, 1)

    def predict(self, x: Tensor) -> Tensor:
        """(n, *shape) -> (n, columns) probabilities: of an attribute with one value they sum to 1,
        of others each stands alone."""
        scores = self._outputs(x, 0)
        parts = []
        for name, columns in spans(self.attributes).items():
            own = scores[:, columns]
            if self.single[name]:
                parts.append(own.softmax(1))
            else:
                parts.append(own.sigmoid())
        return torch.cat(parts, 1)

    def describe(self) -> str:
        """Its name and how right it is, for a person."""
        if not self.accuracy:
            return self.name
        parts = []
        for name, (share, count) in self.accuracy.items():
            floor = f"most frequent value {self.majority[name]:.1%}"
            parts.append(f"{name} {share:.1%} ({floor}) of {count:,}")
        return f"{self.name}; right on held-out real ones: {', '.join(parts)}"


def turned(x: Tensor, turn: Tensor) -> Batch:
    """Examples turned by quarter turns (n,), and which as a condition (n, 4)."""
    moved = [torch.rot90(one, int(times), (1, 2)) for one, times in zip(x, turn, strict=True)]
    return {"x": torch.stack(moved), "condition": F.one_hot(turn, 4).float()}


def right(
    guess: Tensor, condition: Tensor, attributes: Mapping[str, tuple[str, ...]]
) -> dict[str, tuple[float, int]]:
    """For each attribute, over the examples that have a value of it: the share whose highest column
    in `guess` (n or 1, columns) is one of their values, and how many they are."""
    out = {}
    for name, columns in spans(attributes).items():
        own = condition[:, columns]  # (n, values)
        known = own.sum(1) > 0
        best = guess[:, columns].argmax(1, keepdim=True).expand(len(own), 1)
        hits = own.gather(1, best)[known, 0]
        share = float(hits.double().mean()) if len(hits) else 0.0
        out[name] = (share, int(known.sum()))
    return out


class Steps(Hook):
    """Steps of a training, as a part of longer work."""

    def __init__(self, part: Task):
        self.part = part

    def after_step(self, state: State, record: dict[str, Any]) -> None:
        """Counts the step."""
        self.part.advance()


def fit(
    split: Split,
    shape: tuple[int, ...],
    attributes: Mapping[str, tuple[str, ...]],
    single: Mapping[str, bool],
    seen: int,
    unit: str = "examples",
    seed: int = 0,
) -> Network:
    """A network trained on about `seen` examples of a split, by the loop; the same for the same
    split and seed. The caller's random numbers are left as they were. unit: what examples are
    called."""
    stream = ExampleStream(split, min(BATCH, len(split)), seed, unit)
    steps = max(50, seen // BATCH)  # of few examples too: more would not teach more
    settings = Training(
        steps=steps,
        # of small drawings it learns twice as much as AdamW in as many steps
        optimizer=Optimizer(kind="muon", matrix_rate=0.03, learning_rate=2e-3),
        schedule=Schedule(kind="cosine", warmup=0.05),
        precision="fp32",
    )
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        columns = sum(len(values) for values in attributes.values())
        network = Network(shape, columns)
        engine = Engine.alone()
        objective = Recognition(network, attributes, single)
        state = start(objective, settings, engine)
        with task("teaching a classifier", steps) as part:
            run(
                objective,
                stream,
                state,
                steps,
                settings=settings,
                engine=engine,
                hooks=[Steps(part)],
            )
        state.release()
    return network.eval().requires_grad_(False)


def of_split(split: Split, limit: int | None = None) -> tuple[Tensor, Tensor | None]:
    """x and condition of a whole split, or of `limit` of its examples, evenly spread."""
    count = len(split)
    if limit:
        count = min(count, limit)
    index = spread(len(split), count)
    return split.x(index), split.condition(index)


def spread(size: int, count: int) -> np.ndarray:
    """(count,) indices into `size` things, evenly over all of them; each several times where there
    are fewer."""
    return np.arange(count) * size // count


def extractor(dataset: ExampleDataset, cache: str | Path | None = None, seed: int = 0) -> Extractor:
    """The extractor of a dataset, from the cache (default $GENWRIGHT_CACHE or ~/.cache/genwright)
    or trained now, about a minute. seed: of its first weights and of the order of its examples;
    figures are made with 0, and what a model is rewarded by must be another one."""
    originals = dataset.originals
    space = originals.codec.space
    if len(space.shape) != 3:
        return Extractor(None, "the coordinates themselves", {})
    attributes = dict(space.attributes) or {ROTATIONS: TURNS}
    name = digest_of(VERSION, originals.own_digest, space.shape, attributes)[:12]
    if seed:
        name += f"-{seed}"
    root = cache_folder(cache) / "extractors"
    weights = root / f"{name}.safetensors"
    facts = root / f"{name}.json"
    if not (facts.is_file() and weights.is_file()):
        log.info(NOTE)
        root.mkdir(parents=True, exist_ok=True)
        network, known = _trained(dataset, space.shape, attributes, name, seed)
        write_whole(weights, save(network.state_dict()))
        write_whole(facts, json_text(known))  # last: it says that both are whole
    with torch.device("meta"):
        columns = sum(len(values) for values in attributes.values())
        network = Network(space.shape, columns).eval()
    network.load_state_dict(load_file(weights), assign=True)
    network.requires_grad_(False)
    known = json.loads(facts.read_text(encoding="utf-8"))
    return Extractor(network, attributes=attributes, **known)


def _trained(
    dataset: ExampleDataset,
    shape: tuple[int, ...],
    attributes: Mapping[str, tuple[str, ...]],
    mark: str,
    seed: int,
) -> tuple[Network, dict[str, Any]]:
    """A network that has learned a dataset, and what an `Extractor` says of it."""
    train = dataset.split("train")
    held_out = dataset.split("held_out")
    if ROTATIONS in attributes:
        learned = "four rotations"
        single = {ROTATIONS: True}
        common = torch.full((1, 4), 0.25)  # how often the train split has each column
    else:
        learned = ", ".join(attributes)
        condition = train.condition(np.arange(len(train)))  # (n, columns)
        assert condition is not None  # for there are attributes
        single = {}
        for name, columns in spans(attributes).items():
            single[name] = bool((condition[:, columns].sum(1) <= 1).all())
        common = condition.mean(0, keepdim=True)
    seen = min(MOST, max(LEAST, EPOCHS * len(train)))
    network = fit(train, shape, attributes, single, seen, dataset.unit, seed)
    known: dict[str, Any] = {
        "name": f"CNN trained on {learned} of the train split ({mark})",
        "single": single,
    }
    if len(held_out):
        x, real = of_split(held_out, 10_000)
        if real is None:
            batch = turned(x, torch.arange(len(x)) % 4)
            x = batch["x"]
            real = batch["condition"]
        guess = Extractor(network, "", attributes, single).predict(x)
        frequent = right(common, real, attributes)
        known["accuracy"] = right(guess, real, attributes)
        known["majority"] = {name: share for name, (share, _) in frequent.items()}
    return network, known
