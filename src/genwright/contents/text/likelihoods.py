"""How likely a language model finds given texts: of a run, or of a Hugging Face folder.

1. Causal: each token is predicted from those before it, the first one from the token that ends a
   document. Of a run whose attention does not cross documents nothing stands before a text, and its
   first token is not predicted.
2. Masked: each token is hidden in turn and predicted from all others; the sum is the
   pseudo-log-likelihood (Salazar et al., arXiv 1910.14659). The text stands between two tokens that
   end documents, as in the training data of a run.
3. A tokenizer.json with a template of its own ([CLS] text [SEP]; <s> text), read with the weights
   of a Hugging Face folder, says instead what stands around a text.
4. What is longer than the context is measured in windows side by side. The end of a text is not
   predicted: it may be a sentence.

Rows of one length are computed together, without padding, so that a value does not depend on other
texts but for the rounding of fp32.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from genwright.contents.text.codec import TextCodec, text_codec
from genwright.contents.text.corpus_perplexity import LOGITS, TOKENS
from genwright.contents.text.counterfactual import AGREEING, Swaps, read_swaps, swapped
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.core.lexicon import Lexicon
from genwright.core.likelihoods import TextScore, Twin
from genwright.core.progress import task
from genwright.models import hf
from genwright.models.transformer import IGNORED, Transformer
from genwright.training.modules import into_module

if TYPE_CHECKING:
    from genwright.runs.trained import TrainedRun

CONTEXT = 512  # of a folder whose config says none
LONGEST = 2048  # tokens that are seen at once, of a folder
REMEDY = "name a run that learned text with objective.kind=causal or masked"


class Window(NamedTuple):
    """Tokens of a text with what stands around them. text: its number. start: the place in the text
    of the first own token that can be predicted. own: places of those in `tokens`."""

    text: int
    start: int
    tokens: np.ndarray
    own: range


class Row(NamedTuple):
    """What the network reads at once. inputs, targets: (time,) int64, IGNORED where nothing is
    predicted. start: the place in the text of the first target; they are neighbours."""

    text: int
    start: int
    inputs: np.ndarray
    targets: np.ndarray


@dataclass(frozen=True)
class LanguageScorer:
    """See `core.likelihoods.TextScorer`. before, after: tokens that stand around a text. mask: the
    token that hides another one; -1 of a causal model."""

    name: str
    model: Transformer
    codec: TextCodec
    context: int
    causal: bool
    before: tuple[int, ...]
    after: tuple[int, ...]
    mask: int

    @property
    def room(self) -> int:
        """Tokens of a text that are seen at once."""
        if self.causal:
            return self.context + 1 - len(self.before)
        return self.context - len(self.before) - len(self.after)

    @property
    def _at_once(self) -> int:
        """Tokens that are computed together. Of masked models a row has logits of one token."""
        if self.causal:
            return max(1, min(TOKENS, LOGITS // self.model.vocabulary))
        return TOKENS

    def lengths(self, texts: Sequence[str]) -> list[int]:
        """How many tokens each text has."""
        return [len(self._encoded(text)) for text in texts]

    def scores(self, texts: Sequence[str], at_once: int | None = None) -> list[TextScore]:
        """Of each text. at_once: tokens that are computed together, at least one row."""
        found = []
        for text in texts:
            tokens = self._encoded(text)
            found.append(TextScore(tokens, np.full(len(tokens), np.nan)))
        windows = [
            window for number in range(len(found)) for window in self._windows(number, found)
        ]
        windows.sort(key=_length)
        room = at_once or self._at_once
        total = sum(len(window.own) for window in windows)
        with torch.no_grad(), task("measuring how likely texts are", total) as shown:
            for batch in _batches(self._rows(windows), room):
                shown.advance(self._fill(batch, found))
        return found

    def _encoded(self, text: str) -> np.ndarray:
        """(tokens,) int64. Raises GenwrightError for characters that the codec does not know."""
        try:
            return np.array(self.codec.encode(text), np.int64)
        except GenwrightError as error:
            raise GenwrightError(
                f"{error.what}; a text has it that {self.name} is to measure",
                "name a run with codec.kind=bytes or codec.kind=bpe, which take any text",
            ) from None

    def _windows(self, number: int, found: Sequence[TextScore]) -> Iterator[Window]:
        tokens = found[number].tokens
        if self.causal:
            whole = np.concatenate([np.array(self.before, np.int64), tokens])
            for start in range(0, len(whole) - 1, self.context):
                part = whole[start : start + self.context + 1]
                first = max(1, len(self.before) - start)  # in the window
                own = range(first, len(part))
                yield Window(number, start + first - len(self.before), part, own)
            return
        before = np.array(self.before, np.int64)
        after = np.array(self.after, np.int64)
        for start in range(0, len(tokens), self.room):
            part = tokens[start : start + self.room]
            own = range(len(before), len(before) + len(part))
            yield Window(number, start, np.concatenate([before, part, after]), own)

    def _rows(self, windows: Sequence[Window]) -> Iterator[Row]:
        for window in windows:
            if self.causal:
                targets = window.tokens[1:].copy()
                targets[: window.own.start - 1] = IGNORED
                yield Row(window.text, window.start, window.tokens[:-1], targets)
                continue
            for place in window.own:
                inputs = window.tokens.copy()
                inputs[place] = self.mask
                targets = np.full(len(inputs), IGNORED)
                targets[place] = window.tokens[place]
                yield Row(window.text, window.start + place - window.own.start, inputs, targets)

    def _fill(self, batch: Sequence[Row], found: Sequence[TextScore]) -> int:
        """Writes the values of some rows of one length; how many there are."""
        device = self.model.embedding.device
        inputs = torch.from_numpy(np.stack([row.inputs for row in batch])).to(device)
        targets = torch.from_numpy(np.stack([row.targets for row in batch])).to(device)
        counted = targets != IGNORED
        hidden = self.model.hidden(inputs)[counted]  # (targets, width), row by row
        nats = self.model.nll(hidden, targets[counted]).double().cpu().numpy()
        done = 0
        for row, count in zip(batch, counted.sum(1).tolist(), strict=True):
            found[row.text].logs[row.start : row.start + count] = -nats[done : done + count]
            done += count
        return done


def _length(window: Window) -> int:
    return len(window.tokens)


def _batches(rows: Iterator[Row], at_once: int) -> Iterator[list[Row]]:
    """Neighbouring rows of one length, of at most so many tokens together, but at least one row."""
    batch: list[Row] = []
    for row in rows:
        length = len(row.inputs)
        is_full = (len(batch) + 1) * length > at_once
        if batch and (is_full or len(batch[0].inputs) != length):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def scorer_of_run(run: TrainedRun) -> LanguageScorer:
    """Raises GenwrightError for a run that gives no probability of a text."""
    model = run.objective.modules.get("model")
    if not isinstance(model, Transformer):
        kind = run.recipe.objective.kind
        raise GenwrightError(
            f"the run {run.folder} has the objective {kind}, which gives no likelihood of a text",
            REMEDY,
        )
    codec = text_codec(run.codec)
    end = (codec.space.special["end"],)
    before = () if run.recipe.data.isolate_documents else end
    return _scorer(str(run.folder), model, codec, run.recipe.data.context, before, end)


def scorer_of_folder(folder: Path) -> LanguageScorer:
    """Of a Hugging Face folder with its tokenizer.json, in fp32 on the CPU. Raises
    GenwrightError."""
    settings, tensors = hf.load(folder)
    codec = TextCodec.load(folder)
    context = _context_of(folder)
    model = settings.build(Space(vocabulary=codec.space.vocabulary), context, bool(settings.causal))
    if codec.space.vocabulary > model.vocabulary:
        raise GenwrightError(
            f"the tokenizer of {folder} knows {codec.space.vocabulary:,} tokens, and its weights"
            f" {model.vocabulary:,}",
            "take the tokenizer.json that belongs to the weights",
        )
    into_module(model, tensors, str(folder))
    model.float().eval().requires_grad_(False)
    before, after = _template(codec)
    if not before and not after:
        end = (codec.space.special["end"],)
        before = end
        after = end
    return _scorer(str(folder), model, codec, context, before, after)


def _scorer(
    name: str,
    model: Transformer,
    codec: TextCodec,
    context: int,
    before: tuple[int, ...],
    after: tuple[int, ...],
) -> LanguageScorer:
    """Raises GenwrightError for a masked model whose codec has no mask token."""
    if model.settings.causal:
        return LanguageScorer(name, model, codec, context, True, before, (), -1)
    mask = codec.space.special.get("mask")
    if mask is None:
        raise GenwrightError(
            f"the tokenizer of {name} has no mask token, which a masked model needs",
            "name it as mask_token in tokenizer_config.json",
        )
    return LanguageScorer(name, model, codec, context, False, before, after, mask)


def _context_of(folder: Path) -> int:
    """Tokens that a model is made for, by its config.json, which `hf.load` has read."""
    config: dict[str, Any] = json.loads((folder / "config.json").read_text())
    longest = config.get("max_position_embeddings") or CONTEXT
    return int(min(longest, LONGEST))


def _template(codec: TextCodec) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The tokens that a tokenizer.json itself puts before and after a text."""
    encoded = codec.tokenizer.encode("a", add_special_tokens=True)
    ids = list(encoded.ids)
    added = [bool(flag) for flag in encoded.special_tokens_mask]
    own = [place for place, is_added in enumerate(added) if not is_added]
    if not own:
        return (), ()
    return tuple(ids[: own[0]]), tuple(ids[own[-1] + 1 :])


# ---- twins


class ListedTwins:
    """See `core.likelihoods.Twins`."""

    def __init__(self, swaps: Swaps):
        self.swaps = swaps
        self.names: tuple[str, str] = swaps.pairs[0]
        words: dict[str, str] = {}
        for pair in swaps.pairs:
            first, second = (word.casefold() for word in pair)
            words.setdefault(first, "first")
            words.setdefault(second, "second")
            if (first, second) in AGREEING or (second, first) in AGREEING:
                _add_forms(words, first)
        self._columns = Lexicon("swaps", words, ("first", "second"))

    def of(self, text: str) -> Twin:
        """A text and its listed words."""
        twin = swapped(text, self.swaps)
        if twin == text:
            return Twin(text, 0, 0)
        firsts, seconds = self._columns.counts(text)
        return Twin(twin, firsts, seconds)


def _add_forms(words: dict[str, str], first: str) -> None:
    """All forms of a pair of pronouns that are chosen by what follows, each in the column of its
    gender."""
    men = {one for one, _ in AGREEING}
    men_first = first in men
    for one, other in AGREEING:
        words.setdefault(one, "first" if men_first else "second")
        words.setdefault(other, "second" if men_first else "first")


def twins_of(path: str | Path) -> ListedTwins:
    """A person's list. Raises GenwrightError."""
    return ListedTwins(read_swaps(path))
