"""The words the program is made of, as types: batch, loss, turn, objective, codec, stream.

A codec knows nothing of training; a model (any `nn.Module`) nothing of data, objectives or devices;
an objective nothing of where data comes from or where it runs; a stream nothing of optimizers. The
loop in `training/loop.py` knows these contracts and no objective by name.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from torch import Tensor, nn

from genwright.core.automaton import Automaton
from genwright.core.draws import Draws

# Leading axis: examples. "weight", where a stream gives it, is for the loop: see `Stream.batch`.
Batch = dict[str, Tensor]
Metrics = Mapping[str, float]  # name -> mean, over micro-batches and ranks


class Mean(NamedTuple):
    """A mean before its division: a sum and of how many it is. Sums and counts add up over
    micro-batches, turns and ranks of unequal sizes; means do not.

    total, count: (examples,), or (packs,) of `Objective.unit` examples each; the loop adds them up,
    times the examples' weights. Or scalars, of a whole micro-batch, which no weights can be applied
    to any more.
    """

    total: Tensor
    count: Tensor  # type: ignore[assignment]  # hides tuple.count, which a Mean has no use for


class Loss(NamedTuple):
    """The loss of one micro-batch, per example, so that it can be summed, split, weighted, clipped
    and audited exactly.

    total: (examples,) summed over the counted units of each example (tokens, values, or 1).
    count: (examples,) how many units; the gradient of a step is d(sum of totals) / (sum of counts),
    over micro-batches and ranks.
    metrics: name -> what is recorded, without gradient.
    sums: name -> a tensor of any shape, without gradient, that is summed over micro-batches and
    ranks for `Objective.after_step`.
    """

    total: Tensor
    count: Tensor  # type: ignore[assignment]  # hides tuple.count, which a Loss has no use for
    metrics: Mapping[str, Mean]
    sums: Mapping[str, Tensor] = {}  # noqa: RUF012 - never written to


class Turn(NamedTuple):
    """One move in a step. A GAN has two, most objectives one, PPO several.

    moves: names of the modules that are updated; the loop freezes the others.
    loss: micro-batch -> Loss.
    draw: which fresh draw of the stream it uses (0 .. objective.draws - 1).
    part: which part of the prepared global batch, in example indices.
    """

    moves: tuple[str, ...]
    loss: Callable[[Batch], Loss]
    draw: int = 0
    part: slice = slice(None)


class Ranks(Protocol):
    """The processes that share a step. One process: `sum` and `gather` return what they are
    given."""

    rank: int
    size: int

    def sum(self, tensor: Tensor) -> Tensor:
        """The element-wise sum over all ranks, the same on each of them."""

    def gather(self, tensor: Tensor) -> Tensor:
        """(examples, ...) of every rank, in the global order of examples."""


class Objective(Protocol):
    """What is learned. `draws` fresh draws of the stream a step; `unit` examples must stay together
    in any split (packing); `double_backward` says that its losses differentiate gradients (R1),
    which compiled and sharded modules cannot do.

    A draw of the stream goes through `prepare`, `observe`, `settle`, once; then the `turns` learn
    from it."""

    modules: Mapping[str, nn.Module]  # all that is saved, a frozen reference too
    draws: int = 1
    unit: int = 1
    double_backward: bool = False
    held_out_block: int = 1  # held-out neighbours that `prepare_held_out` must see together
    held_out_unit: int | None = None  # as `unit`, of held-out examples; None: the same
    # Metric of a held-out evaluation -> its unit; "loss" is of those that are not named. The word
    # "example" in a unit gives way to what the kind of content calls one.
    metric_units: Mapping[str, str] = {"loss": "score"}  # noqa: RUF012 - never written to
    # whether samples are drawn in the precision of training, and not in fp32: where drawing takes
    # many steps of the network, bf16 takes a third of the time
    draws_in_training_precision: bool = False

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of the modules that are ever updated, in whatever step: all, unless an objective
        says otherwise. The others are frozen: in evaluation mode, without gradients, with buffers
        that stay as they are. They are saved once, not with every checkpoint."""
        return tuple(self.modules)

    # Optional, as a method `begin(self) -> None`: called once a run, before its first step, when
    # the weights that it starts from are in the modules (a frozen copy of them is made). A run that
    # goes on finds what it did in its checkpoint.
    begin: Callable[[], None] | None = None

    def prepare(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """All randomness and whole-batch work, before splitting: masks, latents, noise, times.
        What is random is drawn by (seed, position, example), so that any split and any number of
        ranks sees the same; what needs the whole batch (whitening, pairing) goes through
        `ranks`."""

    # Optional, as a method `observe(self, micro: Batch) -> Batch`: what networks say of a prepared
    # batch that they cannot hold at once (a reference's log-probabilities). Called on one
    # micro-batch after another, without gradients; gives new entries (examples, ...), which are put
    # together again and added to the batch.
    observe: Callable[[Batch], Batch] | None = None

    # Optional, as a method `settle(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch`: the
    # whole batch again, after `observe` (advantages, baselines). Gives the batch that the turns
    # learn from. Where the stream weighs its examples, their "weight" is in the batch.
    settle: Callable[[Batch, Draws, Ranks], Batch] | None = None

    def turns(self, step: int) -> Generator[Turn, Metrics, None]:
        """The turns of a step, one after another. `yield` gives back what the turn has measured,
        the same on every rank, so that what comes next may depend on it (a stop on a divergence, an
        adaptive number of epochs)::

            for _ in range(self.epochs):
                measured = yield Turn(("policy",), self.loss)
                if measured["kl"] > self.limit:
                    return

        Looking at a value waits for the device; where nobody looks, a step has one wait only.

        Without being overridden: one turn, of a single network by its `loss`."""
        yield Turn(("model",), self.loss)  # type: ignore[attr-defined]

    def after_step(
        self, metrics: Metrics, sums: Mapping[str, Tensor]
    ) -> Mapping[str, float] | None:
        """Moves buffers that follow no gradient (codebooks, adaptive augmentation) by what the
        step's losses measured and summed, the same on every rank; they are saved with the modules.
        Gives what else is to be recorded of the step."""
        return None

    def prepare_held_out(self, batch: Batch, draws: Draws, ranks: Ranks) -> Batch:
        """What `measured` is given. As `prepare`, unless that looks at the other examples of its
        batch (pairing).

        A held-out figure must not depend on how many examples are measured at once, on how many
        ranks, or in which order. So each example is prepared from its own content and its own
        draws, or, where examples must be seen together, from those of its block: the examples whose
        numbers (`draws.examples`) are k * held_out_block to (k + 1) * held_out_block - 1, of which
        a split's last block may lack some. The batch holds whole blocks."""
        return self.prepare(batch, draws, ranks)

    def measured(self, batch: Batch) -> Loss:
        """What held-out evaluation measures on a batch of `prepare_held_out`, without gradients:
        the trained loss at its final weights (no warm-up). Its metrics are recorded; `loss`, where
        there is one, chooses the best checkpoint. Metrics are sums over the examples (or packs of
        `unit`), each of which counts as it would alone; what is no such sum goes through `sums`."""

    def held_out_figures(self, sums: Mapping[str, Tensor]) -> Mapping[str, float]:
        """What else is recorded: figures of the `sums` of everything that was measured (a
        perplexity, which is no mean over batches)."""
        return {}


class Latent:
    """Second base of an objective that makes content from a latent with the prior N(0, I): its
    latents can be sampled, walked between, traversed along an axis, and found for given content.
    Content is `(n, *space.shape)` float32, in the range that its codec gives. Called without
    gradients."""

    latent: tuple[int, ...]  # shape of one example's latent
    # how many of its dimensions, the first ones, may mean something by themselves; 0: none
    axes: int = 0
    # whether the condition of an example reaches what is made
    conditional: bool = True
    # what draws latents for the examples of `draws`, where the data begin elsewhere than at
    # N(0, I); `runs/assemble.py` sets it
    start: Callable[[Draws], Tensor] | None = None

    # Optional, as a method `directions(self, count: int) -> Tensor`: (count, *latent) unit vectors,
    # the principal directions of what the latent does, the strongest first.
    directions: Callable[[int], Tensor] | None = None

    def decode(
        self, latent: Tensor, condition: Tensor | None, negative: Tensor | None, settings: Any
    ) -> Tensor:
        """latent (n, *latent) -> content (n, *space.shape). condition, negative: (n,
        space.columns), see `core/attributes.py`. settings: a `sampling.drawing.Drawing`."""
        raise NotImplementedError

    def invert(self, x: Tensor, condition: Tensor | None, draws: Draws, settings: Any) -> Tensor:
        """Content (n, *space.shape) -> latents (n, *latent) that `decode` makes (nearly) into
        it."""
        raise NotImplementedError


class Source(NamedTuple):
    """A document that an example was made from, wholly or in part.

    document: what it is called in the data: "lib/ast.py", "rows.jsonl:12" (a row, from 0).
    file: the file that holds it, named as the data name it; "" where it lies in none.
    digest: the first 128 bits of a SHA-256, 32 hexadecimal digits: of the document's content where
    that is known, else of the file's; "" where there is neither.
    offset: where in the document the example begins, in tokens of it; 0 where it holds all of it.
    """

    document: str
    file: str = ""
    digest: str = ""
    offset: int = 0


DIGEST_DIGITS = 32  # of `Source.digest`


@runtime_checkable
class Stream(Protocol):
    """Batches as a pure function of the position (an integer) and the seed it was made with."""

    size: int  # examples in one global batch
    units: int  # units in one example, for speed: its tokens; 1 where it is not divided
    unit: str  # their name, in the plural: "tokens"

    def batch(self, position: int, examples: Tensor, policy: Any = None) -> Batch:
        """Rows `examples` (int64 indices into the global batch) of the batch at `position`.
        `policy` is the objective, for streams that sample the model itself.

        "weight", where there is one: (examples,) float, at least 0. What an example's loss is
        multiplied by, total and count, by the loop (reweighting, Poisson sampling, balance): 2 is
        the example twice, 0 leaves it out, whatever its loss. `prepare`, `observe` and losses do
        not see it."""

    def sources(self, position: int, examples: Tensor) -> list[Source]:
        """Where those rows come from: of each row in turn every document that it touches, in
        order."""


def describe(stream: Stream, position: int, examples: Tensor) -> str:
    """Where rows of a batch come from, for a person: the first document of each, once ("lib/ast.py
    (from token 12), lib/abc.py (from token 0)")."""
    windows = stream.unit == "tokens"  # which begin anywhere in a document
    names = []
    for i in range(len(examples)):
        first = stream.sources(position, examples[i : i + 1])[0]
        name = first.document
        if windows:
            name += f" (from token {first.offset})"
        names.append(name)
    return ", ".join(dict.fromkeys(names))


@dataclass(frozen=True)
class Space:
    """What a codec produces, checked against the model before work starts.

    vocabulary: number of tokens, of sequences. special: name -> id, never masked, never content.

    shape: of one example that is no sequence: (channels, height, width) or (coordinates,). length:
    tokens of one example that is a sequence.

    automaton: what is valid content, of codecs whose tokens may be parts of its units (bytes of
    characters); made at the first call, which may take a moment.

    faults: (examples, time) tokens, -1 for none -> (examples, time, vocabulary) bool, what would
    break a rule of the content there.

    attributes: name -> its values, what content may be conditioned on: a column each, in this order
    (`core/attributes.py`)."""

    vocabulary: int = 0
    special: Mapping[str, int] = field(default_factory=dict)
    shape: tuple[int, ...] = ()
    bounded: bool = False  # whether the values of an array lie in [-1, 1]
    # (vocabulary,) bool: the token begins a new word (for whole-word masking)
    word_start: Tensor | None = None
    # tokens of words hold the space before them, and so does what fills a gap
    carries_space: bool = False
    # (vocabulary, traits): tokens that share some begin with alike embeddings
    alike: Tensor | None = field(default=None, compare=False)
    length: int = 0
    period: int = 0  # tokens of its rows or bars, where all are as long
    faults: Callable[[Tensor], Tensor] | None = field(default=None, compare=False)
    automaton: Callable[[], Automaton] | None = field(default=None, compare=False)
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def columns(self) -> int:
        """Width of a condition: all values of all attributes."""
        return sum(map(len, self.attributes.values()))


@runtime_checkable
class Codec(Protocol):
    """content <-> tensors; saved with every run."""

    @property
    def content(self) -> str:
        """The kind of content that it is for, as the registry knows it."""

    @property
    def digest(self) -> str:
        """Changes when the meaning of tokens or values does."""

    @property
    def space(self) -> Space:
        """What networks see."""

    def encode(self, content: Any, /) -> Any:
        """One thing -> its token ids, each below `space.vocabulary`, or a tensor of
        `space.shape`. Raises GenwrightError for what it cannot hold."""

    def decode(self, encoded: Any, /) -> Any:
        """Token ids -> content; a model draws ids in any order, also such as no content has. Or
        (n, *space.shape) -> a list of contents."""

    def save(self, folder: Path, /) -> None:
        """Writes all that loading needs into a folder, which is made, as data and never as code."""
