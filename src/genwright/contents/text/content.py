"""Text as a kind of content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from genwright.contents.text import judge, known
from genwright.contents.text.codec import text_codec
from genwright.contents.text.dataset import corpus_of
from genwright.contents.text.evaluate import evaluate_text
from genwright.contents.text.likelihoods import scorer_of_folder, scorer_of_run, twins_of
from genwright.contents.text.measures import text_of
from genwright.contents.text.questions import prompt_lengths
from genwright.contents.text.sampler import TextSampler
from genwright.contents.text.spelled import spelled
from genwright.contents.text.view import TextView, fill_card, sample_card
from genwright.core.content import FirstBatch, FirstSeen, Mark, Opened, Sample, Section
from genwright.core.contracts import Batch
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.groups import Judge, Known, Lengths
from genwright.core.likelihoods import TextScorer, Twins
from genwright.core.registry import register
from genwright.evaluation.figure import Figure
from genwright.evaluation.pilot import SampleCounts
from genwright.models import hf
from genwright.models.transformer import Transformer
from genwright.reporting.markup import Markup, joined
from genwright.runs.content import Content, Exporter

if TYPE_CHECKING:
    from genwright.runs.checkpoint_figures import Evaluation
    from genwright.runs.trained import TrainedRun

SHOWN = 8  # samples in a report
TOKENS = 160  # of an example that `inspect` prints
FILLS_NOTE = Markup(
    '<p class="soft">Held-out passages with some tokens hidden. <mark class="prompt">Marked</mark>:'
    " the likeliest token of each gap; below, in the order of the gaps, how likely the model finds"
    " it and the next ones.</p>"
)
SAMPLES_NOTE = Markup(
    '<p class="soft"><mark class="prompt">The prompt</mark> was given, the rest is the model\'s. '
    '<u class="copy">Underlined</u>: the longest piece that stands word for word in the training '
    "data. Samples that continue a prompt were drawn as the recipe samples; the others at "
    "temperature 1 from all tokens, as those that the figures of samples are made of.</p>"
)


def export_hf(run: TrainedRun, folder: Path) -> None:
    """A folder that transformers' Auto classes load."""
    hf.export(cast(Transformer, run.model), text_codec(run.codec).for_others(), folder)


class TextContent(Content):
    """Text and code."""

    kind = "text"
    thing = "document"
    sampler = TextSampler()
    view = TextView()
    exporters: ClassVar[dict[str, Exporter]] = {"hf": Exporter(export_hf, "language models")}

    def evaluate(
        self, run: TrainedRun, options: Any, counts: SampleCounts
    ) -> tuple[list[Figure], list[dict[str, Any]]]:
        """Figures of text with its samples or filled passages. Raises GenwrightError where samples
        are asked of a masked model."""
        if options.samples and not run.recipe.objective.causal:
            raise GenwrightError(
                f"--samples is for what draws samples, and {run.folder} fills gaps", "leave it out"
            )
        return evaluate_text(run, counts)

    def plain(self, sample: Sample) -> str:
        """The text, without its prompt."""
        return text_of(sample)

    def sections(self, run: TrainedRun, evaluation: Evaluation) -> list[Section]:
        """Samples of the evaluation, or passages whose gaps were filled."""
        texts = [kept for kept in evaluation.samples if "text" in kept]
        filled = [kept for kept in evaluation.samples if "gaps" in kept]
        cards = joined(sample_card(kept, evaluation.step) for kept in texts[:SHOWN])
        fills = joined(fill_card(kept) for kept in filled)
        return [Section("Samples", cards, SAMPLES_NOTE), Section("Filled gaps", fills, FILLS_NOTE)]

    def as_text(self, sample: Sample) -> str:
        """Its own text, without its prompt."""
        return text_of(sample)

    def place_in_words(self, sample: Sample, place: Any) -> str:
        """place: of a character of the text, without the prompt."""
        text = text_of(sample)
        if isinstance(place, int) and 0 <= place < len(text):
            return f"character {place} {text[place]!r}"
        return f"{place!r}, which is beyond the text"

    def mark(self, sample: Sample, place: int, kind: str, note: str) -> Mark:
        """place: of a character of the text, without the prompt."""
        start = len(str(sample.prompt or "")) + place
        return Mark(start, start + 1, kind, note)

    def sizes(self, run: TrainedRun) -> dict[str, Any]:
        """Cost of a token in training at the context of the data."""
        flop = cast(Transformer, run.model).flops_per_token(run.recipe.data.context)
        return {"FLOP per token, forward and backward": flop}

    def first_seen(self, first: FirstBatch) -> FirstSeen:
        """Tokens of the chosen rows, each with whether it counts in the loss; nothing for a batch
        without targets."""
        if "targets" not in first.prepared:
            return FirstSeen()
        codec = first.dataset.codec
        pieces = [marked_pieces(first.prepared, row, codec) for row in first.rows]
        return FirstSeen(pieces=pieces, facts=_facts(first))

    # ---- audits (`core.groups.Audited`)

    def known_attributes(self, dataset: Dataset) -> Sequence[str]:
        """What the data say of documents."""
        return known.known_attributes(dataset)

    def known(self, dataset: Dataset, split: str, attributes: Sequence[str]) -> Known:
        """Of every document of a split."""
        return known.known(dataset, split, attributes)

    def judges(self, dataset: Dataset, attributes: Sequence[str]) -> Mapping[str, Judge]:
        """Classifiers that recognise attributes of which documents have one value at most."""
        return judge.judges(dataset, attributes)

    def examples(self, dataset: Dataset, split: str, numbers: Sequence[int]) -> list[Sample]:
        """Documents of a split."""
        return known.examples(dataset, split, numbers)

    def lengths(self, dataset: Dataset, split: str) -> Lengths:
        """Tokens of documents beside those of a window."""
        return known.lengths(dataset, split)

    def prompt_lengths(self, dataset: Dataset, split: str, rollout: Any) -> Lengths | None:
        """Tokens of the prompts that documents give to rollouts."""
        return prompt_lengths(corpus_of(dataset), split, rollout)

    def measurable(self, samples: Sequence[Sample], opened: Opened) -> list[Sample]:
        """Behind the token that ends the document before, cut to the model's window."""
        codec = text_codec(opened.codec)
        end = self.sampler.end(codec)
        longest = cast(Transformer, opened.objective.modules["model"]).context
        return [known.behind_end(sample, end, longest) for sample in samples]

    # ---- likelihoods (`core.likelihoods.Scoring`)

    def scorer(self, run: TrainedRun) -> TextScorer:
        """Of a run with a language model."""
        return scorer_of_run(run)

    def scorer_of_weights(self, folder: Path) -> TextScorer:
        """Of a Hugging Face folder."""
        return scorer_of_folder(folder)

    def twins(self, path: str | Path) -> Twins:
        """Of a list of pairs of words."""
        return twins_of(path)


def marked_pieces(batch: Batch, row: int, codec: Any) -> list[tuple[str, bool]]:
    """Runs of counted and of other tokens of one example, decoded. Of causal models the targets are
    shown: what is to be said. Bytes that are no whole character are spelled out."""
    inputs = batch["inputs"][row, :TOKENS].tolist()
    targets = batch["targets"][row, :TOKENS].tolist()
    tokens: list[tuple[int, bool]] = []
    if _shifted(inputs, targets):
        tokens.append((inputs[0], False))
        inputs = [*inputs[1:], targets[-1]]
    for given, target in zip(inputs, targets, strict=True):
        counted = target >= 0
        tokens.append((target if counted else max(given, 0), counted))
    pieces = []
    for counted, run in groupby(tokens, key=lambda pair: pair[1]):
        ids = [token for token, _ in run]
        pieces.append((spelled(codec, ids, special=True), counted))
    return pieces


def _shifted(inputs: list[int], targets: list[int]) -> bool:
    """Whether a target is what comes next, as of causal models."""
    if len(targets) < 2:
        return False
    pairs = zip(inputs[1:], targets[:-1], strict=True)
    return all(given == target or target < 0 for given, target in pairs)


def _facts(first: FirstBatch) -> dict[str, str]:
    """Facts of text, in place of those that every run has."""
    summary = first.dataset.summary
    train = summary["train"]
    held_out = summary["held_out"]
    targets = first.prepared["targets"]
    counted = int((targets >= 0).sum())
    given = targets.numel()
    size = first.stream.size
    units = first.stream.units
    steps = first.recipe.training.steps
    seen = steps * size * units * first.objective.draws
    share = held_out["bytes"] / max(1, train["bytes"] + held_out["bytes"])
    flop = cast(Transformer, first.objective.modules["model"]).flops_per_token(units) * seen
    vocabulary = first.dataset.codec.space.vocabulary
    each = train["bytes"] / max(1, train["tokens"])
    epochs = seen / max(1, train["tokens"])
    return {
        "data": (
            f"{summary['files']:,} files, {train['tokens']:,} training tokens "
            f"({train['bytes'] / 1e6:,.1f} MB), {held_out['tokens']:,} held out "
            f"({held_out['documents']:,} documents, {share:.1%} of the bytes)"
        ),
        "attributes": "",  # none are known of text
        "vocabulary": f"{vocabulary:,} tokens, {each:.2f} bytes each",
        "batch": (
            f"{size} x {units} tokens, {counted:,} of {given:,} count in the loss "
            f"({counted / given:.0%})"
        ),
        "run": f"{steps:,} steps, {seen:,} tokens, {epochs:.2f} epochs, {flop:.2e} FLOP",
    }


register("content", TextContent.kind, TextContent())
