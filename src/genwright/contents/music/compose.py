"""Music from a model: composed from the beginning or from a theme by a causal one, rewritten where
it may be by a masked one."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from genwright.contents.music.codec_tokens import KEYS, key_name
from genwright.contents.music.rules import Rules
from genwright.contents.music.score import Meter, Score, edges, first_number
from genwright.contents.text.fill import gibbs
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.sampling.decode import generate_tokens
from genwright.sampling.drawing import Decoding
from genwright.sampling.step import needs_causal

BARS = 16  # of music without an end


@torch.no_grad()
def compose(
    model: Any,
    codec: Any,
    count: int,
    settings: Decoding,
    *,
    condition: Tensor | None = None,
    theme: Score | None = None,
    bars: int | None = None,
    rules: bool = False,
    batch: int = 64,
    first: int = 0,
) -> list[Score]:
    """Pieces first, first + 1, ..., `count` of them; piece i is a pure function of the seed and of
    i.
    condition: (1, columns). theme: how they begin, kept. bars: how many, the theme's included;
    None: until the model ends, `settings.max_tokens` at most. rules: voices stay in their ranges,
    and no parallel fifths, octaves or unisons. Raises GenwrightError for a model that is not
    causal, and for a theme that does not fit."""
    needs_causal(model)
    end = codec.id.get(("end",))
    device = next(model.parameters()).device
    given = [token for token in codec.encode(theme) if token != end] if theme else []
    bars = bars or (BARS if end is None else None)
    longest = (
        settings.max_tokens
        if bars is None
        else codec.bar_tokens * (bars + (end is not None)) - len(given)
    )
    settings = settings.model_copy(update={"max_tokens": max(1, longest)})
    grammar = Rules(codec, rules) if codec.rows else None
    bar = codec.id.get(("place", 0), codec.id.get(("bar",)))

    def allowed(tokens: Tensor, rows: Tensor) -> Tensor:
        ends = torch.arange(codec.space.vocabulary, device=tokens.device) == end
        may = (
            grammar(tokens, rows)
            if grammar
            else (codec.in_range[-1].to(tokens.device) | ends).expand(len(tokens), -1)
        )
        if bars is None or end is None:
            return may
        begun = (tokens == bar).sum(1)[:, None]  # a pickup aside
        return torch.where(ends, (may & (begun >= bars)) | (begun > bars), may & (begun <= bars))

    kept: dict[str, Any] = {"tempo": theme.tempo, "tempos": theme.tempos} if theme else {}
    scores = []
    prompt = torch.cat([codec.before(condition, 1)[0], torch.tensor(given, dtype=torch.int64)]).to(
        device
    )
    for rows in torch.arange(count, device=device).split(batch):
        prompts = prompt.expand(len(rows), -1)
        draws = Draws(settings.seed, 0, first + rows)
        drawn = generate_tokens(
            model, prompts, None, settings, draws, end=end, constraint=allowed, logprobs=False
        )
        for new, there in zip(drawn.tokens.tolist(), drawn.mask.sum(1).tolist(), strict=True):
            score = replace(codec.decode([*given, *new[:there]]), names=codec.voice_names, **kept)
            scores.append(score if bars is None else first_bars(score, bars))
    return scores


def first_bars(score: Score, bars: int) -> Score:
    """The piece cut after so many whole bars (a pickup is none of them)."""
    every = edges(score)
    last = bars + (first_number(score) == 0)
    if last >= len(every) - 1:
        return score
    length = every[last]
    voices = tuple(
        tuple(n._replace(length=min(n.length, length - n.start)) for n in v if n.start < length)
        for v in score.voices
    )
    kept: dict[str, Any] = {
        name: tuple(x for x in getattr(score, name) if x.start < length)
        for name in ("meters", "keys", "tempos")
    }
    return replace(
        score,
        voices=voices,
        length=length,
        bars=tuple(bar for bar in score.bars if bar < length),
        **kept,
    )


@torch.no_grad()
def rewrite(
    model: Any,
    codec: Any,
    score: Score,
    count: int,
    settings: Decoding,
    *,
    condition: Tensor | None = None,
    voices: Sequence[int] = (),
    steps: range | None = None,
    first: int = 0,
) -> list[Score]:
    """Versions first, first + 1, ... of a score, `count` of them, by block Gibbs sampling.

    Kept are these voices and, where `steps` are given, what lies outside of them. Piece i is a pure
    function of the seed and of i. What is longer than the model's context is written from left to
    right, half of it at a time. Raises GenwrightError for a model that is not masked, and for a
    score that does not fit."""
    if not codec.rows:
        raise GenwrightError(
            "this run's codec has no voices by steps of time, of which some could be kept",
            "use codec.kind=grid",
        )
    # a codec of pitches alone says nothing else
    said = score if codec.learned.meters else replace(score, bars=(), meters=(), keys=())
    music = torch.tensor(
        codec.encode(
            replace(said, voices=(*score.voices, *[()] * (codec.voices - len(score.voices))))
        )
    )
    device = next(model.parameters()).device
    context = model.context
    tokens = (
        torch.cat([codec.before(condition, 1, 0)[0], music]).expand(count, -1).clone().to(device)
    )
    keep = codec.kept(tokens, voices, steps, codec.prefix)
    total = tokens.shape[1]
    # what is no voice's: any content
    allowed = codec.in_range.to(device)[
        (torch.arange(total) - codec.prefix) % codec.row_length - codec.row_head
    ]
    half = context // 2 // model.row * model.row
    for place in range(0, max(1, total - half), half):
        begin = min(place, -(-max(0, total - context) // model.row) * model.row)
        here = slice(begin, begin + context)
        if not keep[:, here].all():
            draws = Draws(settings.seed, begin, torch.arange(first, first + count, device=device))
            tokens[:, here] = gibbs(
                model,
                tokens[:, here],
                keep[:, here],
                codec.id["mask",],
                settings,
                draws,
                settings.passes,
                allowed=allowed[here],
            )
            keep[:, here] = True
    about: dict[str, Any] = {
        name: getattr(score, name)
        for name in ("facts", "tempo", "tempos", "bars", "meters", "keys")
    }
    return [
        replace(
            codec.decode(row), names=(*score.names, *codec.voice_names[len(score.names) :]), **about
        )
        for row in tokens.tolist()
    ]


def blank(codec: Any, bars: int, metre: str = "", key: str = "") -> Score:
    """Bars without a note, for a masked model to fill. metre, key: by their names, "" where not
    asked for."""
    known = [Meter(0, *meter) for meter in codec.learned.meters]
    usual = Meter(0, 4, 4)
    meter = next(
        (m for m in known if f"{m.beats}/{m.unit}" == metre),
        usual if usual in known or not known else known[0],
    )
    size = 4 * codec.settings.per_quarter * meter.beats // meter.unit
    keys = tuple(found for found in KEYS if key_name(found) == key)
    voices = ((),) * codec.voices
    return Score(
        voices,
        bars * size,
        codec.settings.per_quarter,
        tuple(range(0, bars * size, size)),
        (meter,) if known else (),
        keys,
    )
