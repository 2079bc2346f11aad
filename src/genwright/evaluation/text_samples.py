"""What samples of text say about a model beside its loss: diversity, repetition, copying from the training data, and for code whether
it parses. All are pure functions of token arrays or strings; each is also taken of held-out text and of token noise, cut alike.
"""

import ast
import codeop
import functools
import math
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from genwright.draws import Draws
from genwright.evaluation.figure import Figure
from genwright.evaluation.floors import Sliceable

CHUNK = 1 << 22  # training tokens searched at a time: some 200 MB of scratch


def _ngrams(tokens: np.ndarray, n: int) -> list[bytes]:
    data = np.ascontiguousarray(tokens, dtype=np.int64)
    return [data[i : i + n].tobytes() for i in range(len(data) - n + 1)]


def distinct(samples: Sequence[np.ndarray], n: int) -> float:
    """Different n-grams / n-grams, over all samples together (Li et al. 2016). It falls with the number of tokens, so compare equal
    amounts only. nan where no sample holds n tokens."""
    grams = [gram for sample in samples for gram in _ngrams(sample, n)]
    return len(set(grams)) / len(grams) if grams else math.nan


def repetition(samples: Sequence[np.ndarray], n: int = 4) -> float:
    """1 - different n-grams / n-grams within a sample, averaged over the samples of n tokens or more (Welleck et al. 2020)."""
    shares = [1 - len(set(grams)) / len(grams) for sample in samples if (grams := _ngrams(sample, n))]
    return float(np.mean(shares)) if shares else math.nan


class Span(NamedTuple):
    """The longest run of a sample's tokens that the training tokens hold too: sample[start : start + length] ==
    train[source : source + length]. length 0 (source -1) where they share no token."""

    start: int
    length: int
    source: int


def longest_spans(samples: Sequence[np.ndarray], train: Sliceable, vocabulary: int, chunk: int = CHUNK) -> list[Span]:
    """For each sample its longest verbatim span, exactly.

    The windows of all samples are followed through the training tokens at once, one token longer each round: a window of length L
    is named by (name of its first L - 1 tokens, last token), and training positions whose window no sample holds drop out. Names
    are ranks, not hashes, so nothing collides. Work: the training tokens once, plus what is really shared; memory: `chunk`.
    """
    text = np.concatenate([*(np.append(np.asarray(s, np.int64), -1) for s in samples), np.zeros(0, np.int64)])
    owner = np.repeat(np.arange(len(samples)), [len(s) + 1 for s in samples])
    offset = np.cumsum([0, *(len(s) + 1 for s in samples)])
    best, start, source = np.zeros(len(samples), np.int64), np.zeros(len(samples), np.int64), np.full(len(samples), -1, np.int64)
    for begin in range(0, len(train), chunk):
        piece = np.asarray(train[begin : begin + chunk + max(map(len, samples), default=0)]).astype(np.int64)
        here, there = np.flatnonzero(text >= 0), np.arange(min(chunk, len(piece)))
        name_here, name_there = np.zeros(len(here), np.int64), np.zeros(len(there), np.int64)
        length = 0
        while len(here) and len(there):
            inside = there + length < len(piece)
            there, name_there = there[inside], name_there[inside]
            whole = text[here + length] >= 0
            here, name_here = here[whole], name_here[whole]
            names, name_here = np.unique(name_here * vocabulary + text[here + length], return_inverse=True)
            if not len(names):
                break
            codes = name_there * vocabulary + piece[there + length]
            name_there = np.minimum(np.searchsorted(names, codes), len(names) - 1)
            kept = names[name_there] == codes
            there, name_there = there[kept], name_there[kept]
            length += 1
            found = np.full(len(names), -1, np.int64)
            found[name_there[::-1]] = there[::-1]  # the first of equal windows stays
            alive = found[name_here] >= 0
            here, name_here = here[alive], name_here[alive]
            longer = np.flatnonzero(best[owner[here]] < length)[::-1]
            who = owner[here[longer]]
            best[who], start[who], source[who] = length, here[longer] - offset[who], begin + found[name_here[longer]]
    return [Span(int(a), int(n), int(s)) for a, n, s in zip(start, best, source, strict=True)]


def parses(text: str) -> bool | None:
    """Whether text that was cut off somewhere is the beginning of a Python program.

    The partial last line goes (all after the last newline), then whole lines from the end for as long as the parser says that the
    input merely stops too early (an open bracket, string or block). True: what is left parses and holds a statement. False: a
    syntax error before the end. None: nothing is left to judge, as when a docstring is longer than the text.
    """
    lines = text.split("\n")[:-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SyntaxWarning: an invalid escape is no error
        while lines:
            source = "\n".join(lines) + "\n"
            try:
                return True if ast.parse(source).body else None
            except (RecursionError, MemoryError):  # nested too deeply for the parser: not a program anybody runs
                return False
            except (SyntaxError, ValueError):  # ValueError: a null byte
                if not _incomplete(source):
                    return False
            lines.pop()
    return None


def _incomplete(source: str) -> bool:
    try:
        return codeop.compile_command(source, "<sample>", "exec") is None  # makes no code object of what stops early; runs nothing
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
        return False


def until(tokens: np.ndarray, end: int | None) -> np.ndarray:
    """The tokens before the first end token."""
    stops = np.flatnonzero(tokens == end) if end is not None else np.zeros(0, np.int64)
    return tokens[: stops[0]] if len(stops) else tokens


def windows(tokens: Sliceable, lengths: Sequence[int], seed: int, end: int | None = None) -> tuple[list[np.ndarray], int]:
    """Real text cut as samples are, a window for each length, and how many of them (the first) begin a document.

    Documents are drawn without replacement, those long enough first, and end at their end token. Where there are too few, or no end
    token tells them apart, the rest are windows spread evenly over the split, so that no text is counted twice for want of more.
    """
    held = np.asarray(tokens[:])
    starts = np.concatenate([[0], np.flatnonzero(held == end) + 1]) if end is not None else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(held) + 1)) - 1
    order = np.argsort(Draws(seed, 0, torch.arange(len(starts))).bits("windows").numpy().reshape(-1), kind="stable")
    long_enough = sizes[order] >= max(lengths, default=0)
    order = np.concatenate([order[long_enough], order[~long_enough & (sizes[order] > 0)]])[: len(lengths)]
    out = [held[starts[i] : starts[i] + min(n, sizes[i])] for n, i in zip(lengths, order, strict=False)]
    rest = lengths[len(out) :]
    places = np.linspace(0, max(0, len(held) - max(rest, default=0)), len(rest) + 2)[1:-1].astype(int)
    return out + [held[at : at + n] for at, n in zip(places, rest, strict=True)], len(out)


def noise(probabilities: np.ndarray, lengths: Sequence[int], seed: int) -> list[np.ndarray]:
    """Tokens drawn independently from unigram probabilities (vocabulary,)."""
    cumulative = np.cumsum(probabilities) / np.sum(probabilities)
    uniform = Draws(seed, 0, torch.arange(len(lengths))).uniform("noise", max(lengths, default=0)).numpy()
    drawn = np.searchsorted(cumulative, uniform, side="right").clip(max=len(cumulative) - 1)
    return [row[:n] for row, n in zip(drawn, lengths, strict=True)]


class SampleReport(NamedTuple):
    """figures, and for each sample its longest verbatim span in tokens and its length in characters."""

    figures: list[Figure]
    spans: list[Span]
    characters: list[int]


def measure_samples(
    samples: Sequence[np.ndarray], train: Sliceable, held_out: Sliceable, unigram: np.ndarray, decode: Callable[[Sequence[int]], Any], *,
    end: int | None = None, code: bool = False, seed: int = 0,
) -> SampleReport:  # fmt: skip
    """Figures of generated samples (1-D token arrays, prompts included; cut at the end token), beside the same figures of as many
    held-out windows of the same lengths (ceiling) and of unigram noise (floor). unigram: (vocabulary,) probabilities of the
    training tokens. code: also the share that parses as Python. Spans are of the samples as given here, after the cut."""
    samples = [until(np.asarray(s), end) for s in samples]
    lengths = [len(s) for s in samples]
    drawn = unigram.copy()
    if end is not None:
        drawn[end] = 0
    real, whole = windows(held_out, lengths, seed, end)
    groups, figures = [list(samples), real, noise(drawn, lengths, seed)], []

    def add(name: str, unit: str, measure: Callable[[list], float], given: Sequence[list], direction: Any = "near", **more: Any) -> None:
        value, real, random = (float(measure(g)) if g else math.nan for g in given)
        floors, ceilings = ({k: v} if math.isfinite(v) else {} for k, v in (("token noise", random), ("held-out text", real)))
        count, counted = more.pop("count", len(samples)), more.pop("counted", "samples")
        figures.append(Figure(name, value, unit, count, counted, floors, ceilings, direction, **more))

    for n in (1, 2, 3):
        detail = f"different {n}-grams / {n}-grams"
        add(f"distinct-{n}", "share", functools.partial(distinct, n=n), groups, count=sum(lengths), counted="tokens", detail=detail)
    add("repetition", "share", repetition, groups, detail="4-grams that the sample held before")
    every = iter(longest_spans([s for g in groups for s in g], train, len(unigram)))  # one pass over the training tokens
    found = [[next(every) for _ in g] for g in groups]
    runs = [[s.length for s in spans] for spans in found]
    copied = lambda g, spans: [s[a : a + n].tolist() for s, (a, n, _) in zip(g, spans, strict=True)]  # noqa: E731
    sizes = [[len(str(decode(piece))) for piece in copied(*pair)] for pair in zip(groups, found, strict=True)]
    detail = "longest run of tokens that the training data holds word for word"
    add("verbatim, longest", "tokens", max, runs, detail=detail)
    add("verbatim, mean", "tokens", np.mean, runs, detail=detail)
    add("verbatim, longest", "characters", max, sizes, detail=detail)
    if code:
        # text from amid a document is no beginning of a program, so only windows that begin one are judged
        verdicts = [[parses(str(decode(s.tolist()))) for s in group] for group in (groups[0], real[:whole], groups[2])]
        judged = [[v for v in group if v is not None] for group in verdicts]
        without = f"{verdicts[0].count(None)} samples, {verdicts[1].count(None)} held-out windows"
        detail = f"cut at the last whole line and statement; without one, so not counted: {without}"
        add("parses as Python", "share", np.mean, judged, "higher", count=len(judged[0]), detail=detail)
    return SampleReport(figures, found[0], sizes[0])
