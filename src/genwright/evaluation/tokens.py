"""What is measured of text: the floors of a language model's loss and accuracy, and what samples
say beside it.

Floors are what a table of counts reaches: counts of the training tokens, measured at the targets
the model is measured at. Uniform: ln(vocabulary). Unigram: the Krichevsky-Trofimov estimate, (count
+ 1/2) / (tokens + vocabulary / 2). Bigram: interpolated Kneser-Ney with one discount (Ney, Essen,
Kneser 1994; Chen and Goodman 1999), which needs no tuning: p(b|a) = max(c(ab) - D, 0) / c(a) + D
T(a) / c(a) q(b), where T(a) is the number of tokens seen after a, D = n1 / (n1 + 2 n2), and q the
share of distinct left neighbours, smoothed like the unigram. For masked models, whose inputs hold
both sides, the bigram sees the true left neighbour, hidden or not: a floor, not a rival.

Samples: diversity, repetition, copying from the training data, and for code whether it parses. All
are pure functions of token arrays or strings; each is also taken of held-out text and of token
noise, cut alike.
"""

import ast
import codeop
import contextlib
import itertools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.evaluation.figure import PARSES, Figure

# a row of integers with a length, to be sliced, that need not be in memory: an array, a memory map,
# or shards in a row
Sliceable = Any
# training tokens counted or searched at a time: some 200 MB of scratch, whatever the corpus holds
CHUNK = 1 << 22


def _smoothed(counts: np.ndarray) -> np.ndarray:
    """(vocabulary,) counts -> Krichevsky-Trofimov probabilities."""
    return (counts + 0.5) / (counts.sum() + 0.5 * len(counts))


def pair_counts(
    tokens: Sliceable, vocabulary: int, chunk: int = CHUNK
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct neighbouring pairs, as sorted int64 codes left * vocabulary + right, and how often
    each occurs. Raises GenwrightError for a token outside the vocabulary.

    Memory: proportional to the distinct pairs and `chunk`, not to the tokens.
    """
    codes = np.zeros(0, np.int64)
    counts = np.zeros(0, np.int64)
    for start in range(0, max(len(tokens) - 1, 0), chunk):
        piece = np.asarray(tokens[start : start + chunk + 1]).astype(np.int64)
        if piece.min() < 0 or piece.max() >= vocabulary:
            raise GenwrightError(
                "a training token is outside the vocabulary",
                "prepare the data again with this run's codec",
            )
        found, times = np.unique(piece[:-1] * vocabulary + piece[1:], return_counts=True)
        codes, where = np.unique(np.concatenate([codes, found]), return_inverse=True)
        counts = np.bincount(where, np.concatenate([counts, times]), len(codes)).astype(np.int64)
    return codes, counts


class Floors:
    """Tables of counts of (n,) training tokens, of any integer type. unigram, continuation:
    (vocabulary,) probabilities. codes, counts: the pairs. left_total, left_kinds: (vocabulary,)
    c(a) and T(a). best: (vocabulary,) the most frequent token after each. Raises GenwrightError for
    a token outside the vocabulary."""

    def __init__(self, tokens: Sliceable, vocabulary: int):
        self.vocabulary = vocabulary
        self.codes, self.counts = pair_counts(tokens, vocabulary)
        lefts = self.codes // vocabulary
        rights = self.codes % vocabulary
        self.left_total = np.bincount(lefts, weights=self.counts, minlength=vocabulary).astype(
            np.int64
        )
        self.left_kinds = np.bincount(lefts, minlength=vocabulary)
        # the one token that is the left of no pair
        last = np.asarray(tokens[max(0, len(tokens) - 1) :]).astype(np.int64)
        self.unigram = _smoothed(self.left_total + np.bincount(last, minlength=vocabulary))
        self.continuation = _smoothed(np.bincount(rights, minlength=vocabulary))
        self.best = np.full(vocabulary, int(self.unigram.argmax()))
        order = np.lexsort((-rights, self.counts))
        # the last stays: the most frequent, of equals the lowest id
        self.best[lefts[order]] = rights[order]
        once = int((self.counts == 1).sum())
        twice = int((self.counts == 2).sum())
        self.discount = once / (once + 2 * twice) if once and twice else 0.5

    def probability(self, targets: np.ndarray, left: np.ndarray) -> np.ndarray:
        """(n,) bigram probabilities of `targets` after `left`; the unigram's where left is -1 or
        was never followed."""
        a = np.maximum(left, 0)
        codes = a * np.int64(self.vocabulary) + targets
        at = np.minimum(np.searchsorted(self.codes, codes), max(len(self.codes) - 1, 0))
        count = (
            np.where(self.codes[at] == codes, self.counts[at], 0)
            if len(self.codes)
            else np.zeros(len(codes))
        )
        total = self.left_total[a]
        back = self.continuation[targets]
        known = (left >= 0) & (total > 0)
        total = np.maximum(total, 1)
        bigram = (
            np.maximum(count - self.discount, 0) / total
            + self.discount * self.left_kinds[a] / total * back
        )
        return np.where(known, bigram, self.unigram[targets])

    def measure(self, targets: np.ndarray, left: np.ndarray) -> dict[str, dict[str, float]]:
        """Sums over targets, to be divided by their number: {"loss": {"uniform", "unigram",
        "bigram"}, "accuracy": {...}}.

        targets, left: (n,) int64; left is -1 where there is no left neighbour.
        """
        if len(targets) and (
            targets.min() < 0 or max(targets.max(), left.max()) >= self.vocabulary
        ):
            raise GenwrightError(
                "a held-out token is outside the vocabulary",
                "prepare the data again with this run's codec",
            )
        probabilities = {
            "unigram": self.unigram[targets],
            "bigram": self.probability(targets, left),
        }
        guesses = {
            "unigram": self.unigram.argmax(),
            "bigram": np.where(left >= 0, self.best[np.maximum(left, 0)], self.unigram.argmax()),
        }
        loss = {"uniform": len(targets) * math.log(self.vocabulary)} | {
            k: float(-np.log(p).sum()) for k, p in probabilities.items()
        }
        return {
            "loss": loss,
            "accuracy": {k: float((targets == guess).sum()) for k, guess in guesses.items()},
        }


# ---- samples


def _ngrams(tokens: np.ndarray, n: int) -> list[bytes]:
    data = np.ascontiguousarray(tokens, dtype=np.int64)
    return [data[i : i + n].tobytes() for i in range(len(data) - n + 1)]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else math.nan


def distinct(samples: Sequence[np.ndarray], n: int) -> float:
    """Different n-grams / n-grams, over all samples together (Li et al. 2016). It falls with the
    number of tokens, so compare equal amounts only. nan where no sample holds n tokens."""
    grams = [gram for sample in samples for gram in _ngrams(sample, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repetition(samples: Sequence[np.ndarray], n: int = 4) -> float:
    """1 - different n-grams / n-grams within a sample, averaged over the samples of n tokens or
    more (Welleck et al. 2020)."""
    return _mean(
        [1 - len(set(grams)) / len(grams) for sample in samples if (grams := _ngrams(sample, n))]
    )


class Span(NamedTuple):
    """The longest run of a sample's tokens that the training tokens hold too: sample[start : start
    + length] == train[source : source + length]. length 0 (source -1) where they share no token."""

    start: int
    length: int
    source: int


def longest_spans(
    samples: Sequence[np.ndarray], train: Sliceable, vocabulary: int, chunk: int = CHUNK
) -> list[Span]:
    """For each sample its longest verbatim span, exactly.

    The windows of all samples are followed through the training tokens at once, one token longer
    each round: a window of length L is named by (name of its first L - 1 tokens, last token), and
    training positions whose window no sample holds drop out. Names are ranks, not hashes, so
    nothing collides. Work: the training tokens once, plus what is really shared; memory: `chunk`.
    """
    if not samples:
        return []
    # 0 and 1: the ends of training tokens and of samples, which nothing equals
    base = vocabulary + 2
    sizes = [len(s) + 1 for s in samples]
    text = np.concatenate([np.append(np.asarray(s, np.int64) + 2, 1) for s in samples])
    owner = np.repeat(np.arange(len(samples)), sizes)
    offset = np.cumsum([0, *sizes[:-1]])
    best = np.zeros(len(samples), np.int64)
    start = offset.copy()
    source = np.full(len(samples), -1, np.int64)
    for begin in range(0, len(train), chunk):
        piece = np.append(
            np.asarray(train[begin : begin + chunk + max(sizes)]).astype(np.int64) + 2, 0
        )
        here = np.arange(len(text))
        there = np.arange(min(chunk, len(piece) - 1))
        name_here = np.zeros_like(here)
        name_there = np.zeros_like(there)
        for length in itertools.count(1):
            names, name_here = np.unique(
                name_here * base + text[here + length - 1], return_inverse=True
            )
            codes = name_there * base + piece[there + length - 1]
            name_there = np.searchsorted(names, codes).clip(max=len(names) - 1)
            kept = names[name_there] == codes
            there, name_there = there[kept], name_there[kept]
            if not len(there):
                break
            found = np.full(len(names), -1, np.int64)
            found[name_there[::-1]] = there[::-1]  # the first of equal windows stays
            alive = found[name_here] >= 0
            here, name_here = here[alive], name_here[alive]
            longer = np.flatnonzero(best[owner[here]] < length)[::-1]
            who = owner[here[longer]]
            best[who], start[who], source[who] = (
                length,
                here[longer],
                begin + found[name_here[longer]],
            )
    return [
        Span(int(a), int(n), int(s)) for a, n, s in zip(start - offset, best, source, strict=True)
    ]


def parses(text: str) -> bool | None:
    """Whether text that was cut off somewhere is the beginning of a Python program.

    The partial last line goes (all after the last newline), then whole lines from the end for as
    long as the parser says that the input merely stops too early (an open bracket, string or
    block). True: what is left parses and holds a statement. False: a syntax error before the end.
    None: nothing is left to judge, as when a docstring is longer than the text.
    """
    lines = text.split("\n")[:-1]
    with warnings.catch_warnings(action="ignore"):  # SyntaxWarning: an invalid escape is no error
        while lines:
            source = "\n".join(lines) + "\n"
            try:
                return True if ast.parse(source).body else None
            # nested too deeply for the parser: not a program anybody runs
            except (RecursionError, MemoryError):
                return False
            except (SyntaxError, ValueError):  # ValueError: a null byte
                with contextlib.suppress(
                    SyntaxError, ValueError, OverflowError, RecursionError, MemoryError
                ):
                    # it stops early, and no code object was made
                    if codeop.compile_command(source, "<sample>", "exec") is None:
                        lines.pop()
                        continue
                return False
    return None


def until(tokens: np.ndarray, end: int | None) -> np.ndarray:
    """The tokens before the first end token."""
    stops = np.flatnonzero(tokens == end) if end is not None else np.zeros(0, np.int64)
    return tokens[: stops[0]] if len(stops) else tokens


def windows(
    tokens: Sliceable, lengths: Sequence[int], seed: int, end: int | None = None
) -> tuple[list[np.ndarray], int]:
    """Real text cut as samples are, a window for each length, and how many of them (the first)
    begin a document.

    Documents are drawn without replacement, those long enough first, and end at their end token.
    Where there are too few, or no end token tells them apart, the rest are windows spread evenly
    over the split, so that no text is counted twice for want of more.
    """
    held = np.asarray(tokens[:])
    starts = (
        np.concatenate([[0], np.flatnonzero(held == end) + 1])
        if end is not None
        else np.zeros(0, np.int64)
    )
    sizes = np.diff(np.append(starts, len(held) + 1)) - 1
    order = np.argsort(
        Draws(seed, 0, torch.arange(len(starts))).bits("windows").numpy().reshape(-1), kind="stable"
    )
    long_enough = sizes[order] >= max(lengths, default=0)
    order = np.concatenate([order[long_enough], order[~long_enough & (sizes[order] > 0)]])[
        : len(lengths)
    ]
    out = [
        held[starts[i] : starts[i] + min(n, sizes[i])] for n, i in zip(lengths, order, strict=False)
    ]
    rest = lengths[len(out) :]
    places = np.linspace(0, max(0, len(held) - max(rest, default=0)), len(rest) + 2)[1:-1].astype(
        int
    )
    return out + [held[at : at + n] for at, n in zip(places, rest, strict=True)], len(out)


def noise(probabilities: np.ndarray, lengths: Sequence[int], seed: int) -> list[np.ndarray]:
    """Tokens drawn independently from unigram probabilities (vocabulary,)."""
    cumulative = np.cumsum(probabilities) / np.sum(probabilities)
    uniform = (
        Draws(seed, 0, torch.arange(len(lengths))).uniform("noise", max(lengths, default=0)).numpy()
    )
    drawn = np.searchsorted(cumulative, uniform, side="right").clip(max=len(cumulative) - 1)
    return [row[:n] for row, n in zip(drawn, lengths, strict=True)]


def measure_samples(
    samples: Sequence[np.ndarray],
    train: Sliceable,
    held_out: Sliceable,
    unigram: np.ndarray,
    decode: Callable[[Sequence[int]], Any],
    *,
    end: int | None = None,
    code: bool = False,
    seed: int = 0,
) -> tuple[list[Figure], list[Span]]:
    """Figures of generated samples (1-D token arrays, prompts included; cut at the end token),
    beside the same figures of as many held-out windows of the same lengths (ceiling) and of unigram
    noise (floor). unigram: (vocabulary,) probabilities of the training tokens. code: also the share
    that parses as Python. Also their longest verbatim spans, after the cut."""
    samples = [until(np.asarray(s), end) for s in samples]
    lengths = [len(s) for s in samples]
    drawn = unigram.copy()
    if end is not None:
        drawn[end] = 0
    real, whole = windows(held_out, lengths, seed, end)
    groups = [samples, real, noise(drawn, lengths, seed)]
    figures = []

    def add(
        name: str,
        unit: str,
        values: Sequence[float],
        detail: str,
        count: Any = None,
        way: Any = "near",
    ) -> None:
        (value, real, random), (size, counted) = (
            map(float, values),
            count or (len(samples), "samples"),
        )
        floors, ceilings = (
            {k: v} if math.isfinite(v) else {}
            for k, v in (("token noise", random), ("held-out text", real))
        )
        figures.append(Figure(name, value, unit, size, counted, floors, ceilings, way, detail))

    for n in (1, 2, 3):
        add(
            f"distinct-{n}",
            "share",
            [distinct(g, n) for g in groups],
            f"different {n}-grams / {n}-grams",
            (sum(lengths), "tokens"),
        )
    add(
        "repetition",
        "share",
        [repetition(g) for g in groups],
        "4-grams that the sample held before",
    )
    # one pass over the training tokens
    every = iter(longest_spans([s for g in groups for s in g], train, len(unigram)))
    found = [[next(every) for _ in g] for g in groups]
    runs = [[s.length for s in spans] for spans in found]

    def copied(g, spans):
        return [s[a : a + n].tolist() for s, (a, n, _) in zip(g, spans, strict=True)]

    sizes = [
        [len(str(decode(piece))) for piece in copied(*pair)]
        for pair in zip(groups, found, strict=True)
    ]
    detail = "longest run of tokens that the training data holds word for word"
    add("verbatim, longest", "tokens", [max(g, default=math.nan) for g in runs], detail)
    add("verbatim, mean", "tokens", [_mean(g) for g in runs], detail)
    add(
        "verbatim, longest, in characters",
        "characters",
        [max(g, default=math.nan) for g in sizes],
        detail,
    )
    if code:
        # text from amid a document is no beginning of a program, so only windows that begin one are
        # judged
        verdicts = [
            [parses(str(decode(s.tolist()))) for s in group]
            for group in (samples, real[:whole], groups[2])
        ]
        judged = [[v for v in group if v is not None] for group in verdicts]
        without = f"{verdicts[0].count(None)} samples, {verdicts[1].count(None)} held-out windows"
        detail = f"cut at the last whole line and statement; without one, so not counted: {without}"
        add(
            PARSES,
            "share",
            [_mean(g) for g in judged],
            detail,
            (len(judged[0]), "samples"),
            "higher",
        )
    return figures, found[0]
