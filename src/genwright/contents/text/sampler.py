"""Text from a model: continued by a causal one, filled in by a masked one, as asked for by
`SampleOptions`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch

from genwright.contents.text.fill import Filled, fill
from genwright.contents.text.generate import INSTEAD, Generated, Piece, Reader, generate
from genwright.contents.text.options import SampleOptions
from genwright.contents.text.questions import questions_of, token_at
from genwright.contents.text.sample_figures import noise
from genwright.core.content import Drawn, Event, Opened, Partial, Question, Sample
from genwright.core.contracts import Batch
from genwright.core.errors import GenwrightError
from genwright.objectives.terms import Rollout
from genwright.sampling.drawing import Decoding
from genwright.sampling.step import needs_causal

# what fills gaps, unless the options say how: always the likeliest token
LIKELIEST = {"temperature": 0.0, "repetition_penalty": 1.0}
USUAL: int = SampleOptions.usual["n"]
CANDIDATES: int = SampleOptions.usual["candidates"]  # of a gap


def decoding(opened: Opened, options: SampleOptions) -> Decoding:
    """The settings of sampling that the options ask for."""
    settings = opened.changed(options)
    assert isinstance(settings, Decoding)
    if options.any_bytes:
        settings = settings.model_copy(update={"valid_utf8": False})
    return settings


class TextSampler:
    """See `core.content.Sampler`. Samples are `Generated` texts, or one `Filled` text."""

    options = SampleOptions

    def draw(
        self,
        opened: Opened,
        options: SampleOptions,
        n: int | None = None,
        first: int = 0,
        partial: bool = False,
    ) -> Iterator[Event]:
        """`n` samples of each prompt, from sample `first` of it on; pieces of them as they come.
        Raises GenwrightError where the model cannot, or the codec lacks a character."""
        if options.fill is not None:
            if options.prompt:
                raise GenwrightError(
                    "--fill and --prompt were both given",
                    "masked models take --fill, causal ones --prompt",
                )
            yield Drawn(Sample(self.filled(opened, options)))
            return
        if options.candidates is not None:
            raise GenwrightError(
                "--candidates is how many candidates of a gap --fill lists",
                "give --fill a text, or leave it out",
            )
        model = opened.objective.modules["model"]
        needs_causal(model, INSTEAD)
        prompts: Any = list(options.prompt) or [""]
        for prompt in prompts:
            if isinstance(prompt, str):
                opened.codec.encode(prompt)  # all of them, before the first is drawn
        settings = decoding(opened, options)
        count = n or options.n or USUAL
        number = 0
        drawn = generate(model, opened.codec, prompts, count, settings, first, pieces=partial)
        for event in drawn:
            if isinstance(event, Generated):
                yield Drawn(
                    Sample(
                        event,
                        event.prompt,
                        seed=settings.seed,
                        number=number,
                        tokens=event.tokens,
                    )
                )
                number += 1
            elif isinstance(event, Piece):
                yield Partial(event.row, event.text)
            else:
                yield event

    def filled(self, opened: Opened, options: SampleOptions) -> Filled:
        """A text whose [MASK]s are filled by their likeliest tokens, or as the options say; the
        likeliest candidates of each."""
        model = opened.objective.modules["model"]
        settings = decoding(opened, options)
        assert options.fill is not None
        said_how = options.model_fields_set - {"fill", "candidates", "any_bytes", "n"}
        if not said_how:
            settings = settings.model_copy(update=LIKELIEST)
        top = options.candidates or CANDIDATES
        return fill(model, opened.codec, options.fill, top=top, settings=settings)

    # ---- samples of a rollout, drawn by whoever learns from them (`core.content.TokenSampler`)

    def questions(self, opened: Opened, rollout: Rollout, split: str) -> Sequence[Question]:
        """What samples begin with; see `questions.questions_of`. Raises GenwrightError."""
        return questions_of(opened, rollout, split)

    def end(self, codec: Any) -> int | None:
        """The token that ends a document."""
        token: int = codec.space.special["end"]
        return token

    def decoded(
        self,
        codec: Any,
        question: Question,
        tokens: Sequence[int],
        logprobs: Sequence[float],
        ended: bool,
    ) -> Generated:
        """The text of drawn tokens. Bytes that are no characters are shown as U+FFFD."""
        reader = Reader(codec, question.tokens, self.end(codec), (), None)
        reader.feed(list(tokens))
        reader.close()
        return Generated(
            str(question.prompt or ""),
            reader.text,
            tuple(tokens),
            "end" if ended else "length",
            float(sum(logprobs)),
        )

    def shortened(self, codec: Any, sample: Sample, length: int) -> Sample:
        """The beginning of a real text."""
        if len(sample.tokens) <= length:
            return sample
        tokens = sample.tokens[:length]
        content = Generated("", codec.decode(list(tokens)), tokens, "length", 0.0)
        return sample._replace(content=content, tokens=tokens)

    def token_of(self, codec: Any, sample: Sample, place: Any) -> int:
        """The token with which a character of the sample's text is there. place: its offset."""
        return token_at(codec, sample, place)

    # ---- samples as others take them

    def collected(self, samples: Sequence[Sample]) -> list[Any]:
        """The generated texts, in order."""
        return [sample.content for sample in samples]

    def real(self, dataset: Any, split: str, n: int) -> list[Sample]:
        """The documents of a split, the first n."""
        found = []
        for number, (name, tokens) in enumerate(dataset.documents(split)):
            if number == n:
                break
            ids = tuple(np.asarray(tokens).tolist())
            text = dataset.codec.decode(list(ids))
            content = Generated("", text, ids, "end", 0.0)
            found.append(Sample(content, name, number=number, tokens=ids))
        return found

    def noise(self, like: Sequence[Sample], seed: int) -> list[Sample]:
        """Answers to the same prompts by chance: as many tokens and characters as those of `like`
        have, each drawn by how often it stands there."""
        texts = [_text(sample) for sample in like]
        tokens = _by_chance([sample.tokens for sample in like], seed)
        codes = _by_chance([tuple(map(ord, text)) for text in texts], seed + 1)
        samples = []
        for number, (sample, ids, characters) in enumerate(zip(like, tokens, codes, strict=True)):
            prompt = str(sample.prompt or "")
            content = Generated(prompt, "".join(map(chr, characters)), ids, "length", 0.0)
            samples.append(
                Sample(content, sample.prompt, None, seed, number, ids, answer=sample.answer)
            )
        return samples

    def batch(self, samples: Sequence[Sample], codec: Any) -> Batch:
        """(n, longest) tokens, -1 where a sample has ended."""
        rows = [torch.tensor(sample.tokens, dtype=torch.int64) for sample in samples]
        tokens = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
        return {"tokens": tokens}


def _text(sample: Sample) -> str:
    """A sample's own text."""
    content = sample.content
    return content.text if isinstance(content, Generated) else str(content)


def _by_chance(rows: Sequence[Sequence[int]], seed: int) -> list[tuple[int, ...]]:
    """Rows of the same lengths, each number drawn by its frequency in all rows together."""
    lengths = [len(row) for row in rows]
    if not sum(lengths):
        return [()] * len(lengths)
    every = np.concatenate([np.asarray(row, np.int64) for row in rows])
    counts = np.bincount(every)
    return [tuple(row.tolist()) for row in noise(counts / counts.sum(), lengths, seed)]
