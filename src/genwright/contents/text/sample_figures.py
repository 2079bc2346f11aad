"""Figures of generated text: how varied it is, how often it repeats itself, how much of it is
copied, and what else a judge says of it (for code whether it parses).

Each stands beside the same figure of held-out text (ceiling) and of token noise (floor), cut alike.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from genwright.core.content import Direction
from genwright.core.draws import Draws
from genwright.evaluation.figure import Figure
from genwright.evaluation.token_floors import Sliceable
from genwright.evaluation.token_samples import (
    PIECE,
    Span,
    distinct,
    longest_spans,
    mean_of,
    repetition,
    until,
)

Decode = Callable[[Sequence[int]], Any]


class Judge(NamedTuple):
    """A verdict on texts, as a figure of that name: the share of True. verdict: text -> True, False
    or None, where there is nothing to judge. detail: one sentence on how it is judged."""

    name: str
    verdict: Callable[[str], bool | None]
    detail: str


class _Groups(NamedTuple):
    """Token arrays that the same figures are taken of: generated, held out, drawn at random. whole:
    how many of the held-out ones (the first) begin a document."""

    samples: list[np.ndarray]
    held_out: list[np.ndarray]
    noise: list[np.ndarray]
    whole: int

    def tokens(self) -> tuple[list[np.ndarray], list[np.ndarray], list[np.ndarray]]:
        return self.samples, self.held_out, self.noise


def measure_samples(
    samples: Sequence[np.ndarray],
    train: Sliceable,
    held_out: Sliceable,
    unigram: np.ndarray,
    decode: Decode,
    *,
    end: int | None = None,
    judge: Judge | None = None,
    seed: int = 0,
) -> tuple[list[Figure], list[Span]]:
    """Figures of generated samples (1-D token arrays, prompts included; cut at the end token),
    beside the same figures of as many held-out windows of the same lengths (ceiling) and of unigram
    noise (floor). unigram: (vocabulary,) probabilities of the training tokens. judge: what else is
    said of each text. Also their longest verbatim spans, after the cut."""
    cut = [until(np.asarray(sample), end) for sample in samples]
    lengths = [len(sample) for sample in cut]
    real, whole = windows(held_out, lengths, seed, end)
    drawn = unigram.copy()
    if end is not None:
        drawn[end] = 0
    groups = _Groups(cut, real, noise(drawn, lengths, seed), whole)
    copied, spans = _copying(groups, train, len(unigram), decode)
    figures = [*_diversity(groups, sum(lengths)), *copied]
    if judge is not None:
        figures.append(_judged(groups, decode, judge))
    return figures, spans


def _figure(
    name: str,
    unit: str,
    values: Sequence[float],
    detail: str,
    count: int,
    counted: str = "samples",
    direction: Direction = "near",
    headline: bool = False,
) -> Figure:
    """values: of samples, held-out text and noise; of the last two what is not finite is left
    out."""
    value, real, random = map(float, values)
    floors = {}
    ceilings = {}
    if math.isfinite(random):
        floors["token noise"] = random
    if math.isfinite(real):
        ceilings["held-out text"] = real
    return Figure(name, value, unit, count, counted, floors, ceilings, direction, detail, headline)


def _diversity(groups: _Groups, tokens: int) -> list[Figure]:
    """tokens: of all samples together."""
    figures = []
    for n in (1, 2, 3):
        shares = [distinct(group, n) for group in groups.tokens()]
        detail = f"different {n}-grams / {n}-grams"
        figures.append(_figure(f"distinct-{n}", "share", shares, detail, tokens, "tokens"))
    shares = [repetition(group) for group in groups.tokens()]
    detail = "4-grams that the sample held before"
    figures.append(_figure("repetition", "share", shares, detail, len(groups.samples)))
    return figures


def _copying(
    groups: _Groups, train: Sliceable, vocabulary: int, decode: Decode
) -> tuple[list[Figure], list[Span]]:
    """How much is copied word for word, and the spans of the samples."""
    every: list[np.ndarray] = []
    for group in groups.tokens():
        every += group
    found = iter(longest_spans(every, train, vocabulary))  # one pass over the training tokens
    spans = [[next(found) for _ in group] for group in groups.tokens()]
    longest = []
    mean = []
    characters = []
    for group, spans_of_group in zip(groups.tokens(), spans, strict=True):
        lengths = [span.length for span in spans_of_group]
        longest.append(max(lengths, default=math.nan))
        mean.append(mean_of(lengths))
        sizes = _sizes_in_characters(group, spans_of_group, decode)
        characters.append(max(sizes, default=math.nan))
    detail = "longest run of tokens that the training data holds word for word"
    count = len(groups.samples)
    in_characters = "verbatim, longest, in characters"
    figures = [
        _figure("verbatim, longest", "tokens", longest, detail, count),
        _figure("verbatim, mean", "tokens", mean, detail, count),
        _figure(in_characters, "characters", characters, detail, count),
    ]
    return figures, spans[0]


def _sizes_in_characters(
    group: Sequence[np.ndarray], spans: Sequence[Span], decode: Decode
) -> list[int]:
    sizes = []
    for tokens, span in zip(group, spans, strict=True):
        copied = tokens[span.start : span.start + span.length]
        sizes.append(len(str(decode(copied.tolist()))))
    return sizes


def _judged(groups: _Groups, decode: Decode, judge: Judge) -> Figure:
    """Text from amid a document is no beginning of one, so only windows that begin one are
    judged."""
    shares = []
    judged = []
    skipped = []
    for group in (groups.samples, groups.held_out[: groups.whole], groups.noise):
        verdicts = [judge.verdict(str(decode(tokens.tolist()))) for tokens in group]
        known = [verdict for verdict in verdicts if verdict is not None]
        shares.append(mean_of(known))
        judged.append(len(known))
        skipped.append(verdicts.count(None))
    without = f"{skipped[0]} samples, {skipped[1]} held-out windows"
    detail = f"{judge.detail}; without one, so not counted: {without}"
    return _figure(judge.name, "share", shares, detail, judged[0], "samples", "higher", True)


def windows(
    tokens: Sliceable, lengths: Sequence[int], seed: int, end: int | None = None
) -> tuple[list[np.ndarray], int]:
    """Real text cut as samples are, a window for each length, and how many of them (the first)
    begin a document.

    Documents are drawn without replacement, those long enough first, and end at their end token.
    Where there are too few, or no end token tells them apart, the rest are windows spread evenly
    over the split, so that no text is counted twice for want of more.
    """
    begun = _beginnings(tokens, lengths, seed, end)
    rest = lengths[len(begun) :]
    room = max(0, len(tokens) - max(rest, default=0))
    places = np.linspace(0, room, len(rest) + 2)[1:-1].astype(int)
    spread = [np.asarray(tokens[at : at + n]) for at, n in zip(places, rest, strict=True)]
    return begun + spread, len(begun)


def _beginnings(
    tokens: Sliceable, lengths: Sequence[int], seed: int, end: int | None
) -> list[np.ndarray]:
    """Beginnings of documents, as many as there are, for the first of the lengths."""
    if end is None:
        return []
    longest = max(lengths, default=0)
    best = np.zeros((0, 5), np.int64)  # those that are taken, of what was seen so far
    for number, starts, sizes in _documents_in(tokens, end):
        numbers = np.arange(number, number + len(starts))
        bits = Draws(seed, 0, torch.from_numpy(numbers)).bits("windows").numpy().reshape(-1)
        short = sizes < longest
        found = np.stack([short, bits, numbers, starts, sizes], 1)
        found = found[~short | (sizes > 0)]
        best = np.concatenate([best, found])
        order = np.lexsort(best[:, 2::-1].T)  # those long enough first, then as drawn
        best = best[order[: len(lengths)]]
    found_tokens = []
    for n, (start, size) in zip(lengths, best[:, 3:].tolist(), strict=False):
        found_tokens.append(np.asarray(tokens[start : start + min(n, size)]))
    return found_tokens


def _documents_in(tokens: Sliceable, end: int) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """(number of the first, starts, sizes) of documents that end at a token, some at a time. What
    follows the last of these tokens is a document too."""
    number = 0
    start = 0
    for begin in range(0, len(tokens), PIECE):
        ends = begin + np.flatnonzero(np.asarray(tokens[begin : begin + PIECE]) == end)
        if not len(ends):
            continue
        starts = np.append([start], ends[:-1] + 1)
        yield number, starts, ends - starts
        number += len(ends)
        start = int(ends[-1]) + 1
    yield number, np.array([start]), np.array([len(tokens) - start])


def noise(probabilities: np.ndarray, lengths: Sequence[int], seed: int) -> list[np.ndarray]:
    """Tokens drawn independently from unigram probabilities (vocabulary,)."""
    cumulative = np.cumsum(probabilities) / np.sum(probabilities)
    draws = Draws(seed, 0, torch.arange(len(lengths)))
    uniform = draws.uniform("noise", max(lengths, default=0)).numpy()
    drawn = np.searchsorted(cumulative, uniform, side="right").clip(max=len(cumulative) - 1)
    return [row[:n] for row, n in zip(drawn, lengths, strict=True)]
