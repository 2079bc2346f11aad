"""The contract of a kind of content: how its samples are drawn, shown and measured.

1. A `Sampler` draws from an objective and a codec, live in training or loaded (`Opened`), as a
   stream of events. Closing the iterator stops it.
2. A `View` writes samples as files, shows one as HTML, and names its addressable parts.
3. A `Measure` is a pure function of one sample (a number, a label, a vector, or a number at each of
   its parts) or of a set of samples beside a reference set.

`genwright sample`, `evaluate`, `report`, `inspect` and the watching of a run in training know these
and no kind of content. `runs/content.py` has the class that joins them, with what a kind of content
gets for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TextIO, runtime_checkable

from torch import Tensor

from genwright.core.contracts import Batch, Codec, Objective, Stream
from genwright.core.dataset import Dataset
from genwright.core.registry import Settings, register

Direction = Literal["lower", "higher", "near"]


class Sample(NamedTuple):
    """One generated or real thing.

    content: what the codec decodes to, or a tensor of its space. prompt: what it was asked to begin
    with, or a label. condition: (columns,), see `core/attributes.py`. seed, number: which draw it
    is. tokens, logprobs: (length,), where it was drawn token by token; logprobs are the model's
    own. answer: what the data go on with after the prompt, where it was taken from them."""

    content: Any
    prompt: Any = None
    condition: Tensor | None = None
    seed: int = 0
    number: int = 0
    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    answer: Any = None


class Drawn(NamedTuple):
    """An event: a sample is whole."""

    sample: Sample


class Partial(NamedTuple):
    """An event: more of sample `number` is there, which a person may see already."""

    number: int
    piece: Any


class Advanced(NamedTuple):
    """An event: the work is `done` of `total` (None: not known). unit: what is counted, in the
    plural, where that is not samples: "tokens". A total may be too high: samples may end early."""

    done: int
    total: int | None = None
    unit: str = ""


Event = Drawn | Partial | Advanced


class Part(NamedTuple):
    """An addressable piece of a sample. name: for a person ("bar 3, alto"). start, stop: its range
    of tokens or flat values."""

    name: str
    start: int
    stop: int


class Mark(NamedTuple):
    """Something to be seen at a range of a sample: start, stop as of `Part`, or of characters where
    the view says so. kind: "prompt", "copied", "fault" or a kind of the view's own."""

    start: int
    stop: int
    kind: str
    note: str = ""


class Fragment(NamedTuple):
    """HTML, with SVG, PNG and sound inside; every text of a sample is escaped in it."""

    html: str


@dataclass(frozen=True)
class Opened:
    """What samples are drawn from: an objective with its codec, live in training or loaded.

    settings: how samples are drawn unless options say otherwise (`sampling` of the recipe).
    dataset: gives the data it learned from, prepared when first asked for. name: what messages call
    it."""

    objective: Objective
    codec: Codec
    settings: Settings
    dataset: Callable[[], Dataset]
    name: str = "this run"

    def changed(self, options: Settings) -> Settings:
        """The settings of sampling, with what the options say in place of theirs."""
        known = type(self.settings).model_fields
        given = {
            name: value
            for name, value in options
            if name in options.model_fields_set and name in known and value is not None
        }
        return self.settings.model_copy(update=given)


class Question(NamedTuple):
    """What samples of a rollout begin with. tokens: what is read before the first drawn token, at
    least one. prompt, condition, answer: as of `Sample`."""

    tokens: tuple[int, ...]
    prompt: Any = None
    condition: Tensor | None = None
    answer: Any = None


@runtime_checkable
class TokenSampler(Protocol):
    """What a content's sampler has besides, where its samples are drawn token by token by a causal
    model: then rewards can shape what it makes."""

    def questions(self, opened: Opened, rollout: Any, split: str) -> Sequence[Question]:
        """What samples may begin with, at least one. rollout: an `objectives.terms.Rollout`. split:
        of the data that questions are taken from. Raises GenwrightError."""

    def end(self, codec: Any) -> int | None:
        """The token that ends a sample; None where only its length does."""

    def decoded(
        self,
        codec: Any,
        question: Question,
        tokens: Sequence[int],
        logprobs: Sequence[float],
        ended: bool,
    ) -> Any:
        """The content of a sample, from what was drawn behind its question, the end token included:
        any ids in any order. ended: before its length ran out."""

    def shortened(self, codec: Any, sample: Sample, length: int) -> Sample:
        """A real sample as it were if it had been cut after so many tokens, with its tokens where
        they mean something."""

    def token_of(self, codec: Any, sample: Sample, place: Any) -> int:
        """The index in `sample.tokens` of the token with which a part is complete, by a place that
        measures of this content give: what is earned there is earned by it and by all tokens before
        it."""


def drawn_sample(
    sampler: TokenSampler,
    codec: Any,
    question: Question,
    tokens: Sequence[int],
    logprobs: Sequence[float],
    ended: bool,
    seed: int = 0,
    number: int = 0,
) -> Sample:
    """The sample of drawn tokens, with what it was asked for; see `TokenSampler.decoded`."""
    return Sample(
        sampler.decoded(codec, question, tokens, logprobs, ended),
        question.prompt,
        question.condition,
        seed,
        number,
        tuple(tokens),
        tuple(logprobs),
        question.answer,
    )


@runtime_checkable
class RuledSampler(Protocol):
    """What a `TokenSampler` has besides, where rules say token by token what may come next."""

    def constraint(self, codec: Any) -> Callable[[Tensor, Tensor], Tensor] | None:
        """What the rules allow, a `sampling.decode.Constraint`; None where this codec's tokens
        cannot be ruled out one by one."""


class Sampler(Protocol):
    """How a kind of content is drawn. It needs no run's folder. options: an `Options` class."""

    options: Any

    def draw(
        self,
        opened: Opened,
        options: Any,
        n: int | None = None,
        first: int = 0,
        partial: bool = False,
    ) -> Iterator[Event]:
        """Samples first, first + 1, ... (`n`, else as many as the options say). A sample is a pure
        function of the seed and of its number. partial: `Partial` events are welcome. Closing the
        iterator stops it. Raises GenwrightError for options that do not fit."""

    def collected(self, samples: Sequence[Sample]) -> Any:
        """What `Run.sample` gives to a person: the samples in the form that is usual for them."""

    def real(self, dataset: Dataset, split: str, n: int) -> list[Sample]:
        """Real samples of a split, from all over it."""

    def noise(self, like: Sequence[Sample], seed: int) -> list[Sample]:
        """As many samples of the same shape that need no learning: a floor."""

    def batch(self, samples: Sequence[Sample], codec: Codec) -> Batch:
        """Back into the model's space, as `Objective.prepare_held_out` takes it."""


class View(Protocol):
    """How samples are shown."""

    def write(
        self, samples: Sequence[Sample], folder: Path, options: Any, opened: Opened
    ) -> list[Path]:
        """Files of the samples, in the arrangement that the options ask for. Gives their paths."""

    def terminal(self, out: TextIO, options: Any) -> Callable[[Event], None] | None:
        """What prints samples as they are drawn, for content that a terminal can show; None where
        they are written as files instead."""

    def show(self, sample: Sample, marks: Sequence[Mark] = ()) -> Fragment:
        """One sample for a page."""

    def parts(self, sample: Sample, codec: Codec) -> list[Part]:
        """Its addressable pieces, in order."""


@dataclass(frozen=True)
class Measure:
    """A pure function of one sample. of: sample -> a number, a label (str), a vector, or {place of
    a part: number}; NaN where it says nothing. A place is the name of a part, as of the view, or an
    address of the content's own that its `TokenSampler.token_of` knows.

    name, unit, direction, detail: as of a `Figure`. counted: what it is a mean over. of_all: the
    same of many samples at once, where that is cheaper (a classifier). floor: what is reached
    without learning; "none" where noise says nothing of it (a length)."""

    name: str
    of: Callable[[Sample], Any]
    unit: str = "share"
    direction: Direction = "near"
    counted: str = "samples"
    detail: str = ""
    gives: Literal["number", "label", "vector", "parts"] = "number"
    of_all: Callable[[Sequence[Sample]], Sequence[Any]] | None = None
    floor: Literal["noise", "none"] = "noise"

    def values(self, samples: Sequence[Sample]) -> list[Any]:
        """What it gives of each sample."""
        if self.of_all is not None:
            return list(self.of_all(samples))
        return [self.of(sample) for sample in samples]


class OwnMeasure(NamedTuple):
    """A measure of a person's own. file, name: as the command line names them. sha256: of the
    file."""

    file: str
    name: str
    sha256: str
    measure: Measure

    @property
    def word(self) -> str:
        """As the command line names it."""
        return f"{self.file}:{self.name}"

    def to_json(self) -> dict[str, str]:
        """What a run keeps of it."""
        return {"name": self.name, "file": self.file, "sha256": self.sha256}


@dataclass(frozen=True)
class MeasureKind:
    """A measure that takes settings: a pattern, a list of words, a contour. make: an instance of
    `settings` -> the measure."""

    name: str
    settings: type[Settings]
    make: Callable[[Any], Measure]
    detail: str = ""


@dataclass(frozen=True)
class SetMeasure:
    """A pure function of a set of samples beside a reference set of real ones. of: (samples,
    reference) -> number. The other fields are those of `Measure`."""

    name: str
    of: Callable[[Sequence[Sample], Sequence[Sample]], float]
    unit: str = "share"
    direction: Direction = "near"
    counted: str = "samples"
    detail: str = ""


def add_measures(content: str, *measures: Measure | SetMeasure) -> None:
    """Registers measures of a kind of content."""
    for each in measures:
        register("measure", f"{content} {each.name}", each)


def add_measure_kinds(content: str, *known: MeasureKind) -> None:
    """Registers measures of a kind of content that take settings."""
    for each in known:
        register("measure_kind", f"{content} {each.name}", each)


class Section(NamedTuple):
    """A part of a report. heading: sections of one heading stand together, whichever runs they are
    of. note: HTML below the heading, said once. html: of this run. at_a_glance: it is small and
    says more than any figure, so it stands before the curves."""

    heading: str
    html: str
    note: str = ""
    at_a_glance: bool = False


@dataclass(frozen=True)
class FirstBatch:
    """The first batch of a run, for `genwright inspect`. rows: which examples are shown. batch: as
    the stream gave it; prepared: as the objective is given it."""

    recipe: Any
    dataset: Dataset
    objective: Objective
    stream: Stream
    batch: Batch
    prepared: Batch
    rows: Sequence[int]


@dataclass(frozen=True)
class FirstSeen:
    """What a person sees of the first batch.

    pieces: of each example (text, whether it counts in the loss). rasters: (n, C, H, W) in
    [-1, 1], which a terminal shows in colour. facts: name -> value."""

    pieces: list[list[tuple[str, bool]]] = field(default_factory=list)
    rasters: Tensor | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


class Watcher(Protocol):
    """Samples on the way, while a run trains."""

    def draw(self) -> Tensor | None:
        """Samples of one seed; None where the objective draws none."""

    def write(self, samples: Tensor, path: Path) -> None:
        """A file that shows them; `path` without its suffix."""

    def measured(self, samples: Tensor) -> dict[str, float]:
        """Metrics of them, for the record."""
