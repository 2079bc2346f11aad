"""What samples of a model are held against: real data that answer the same questions, and noise."""

from __future__ import annotations

from collections.abc import Sequence

from genwright.core.content import Question, Sample, Sampler, drawn_sample
from genwright.core.dataset import Dataset
from genwright.core.registry import content_of
from genwright.rewards.rollout import Rollouts


def real_samples(
    stream: Rollouts, questions: Sequence[Question], dataset: Dataset, split: str
) -> list[Sample]:
    """What the data answer to these questions; where the questions have no answers, as many samples
    of the split, cut where a sample of the model would be."""
    if all(question.answer is not None for question in questions):
        return [_answered(stream, number, asked) for number, asked in enumerate(questions)]
    limit = stream.settings.rollout.max_tokens
    found = []
    for sample in _sampler(stream).real(dataset, split, len(questions)):
        sample = sample._replace(prompt=None)  # the data call it by a name there
        found.append(stream.sampler.shortened(stream.codec, sample, limit))
    return found


def noise_samples(stream: Rollouts, real: Sequence[Sample], seed: int) -> list[Sample]:
    """As many samples that need no learning, to the same questions, by the content's own way; of
    those that it gives as tokens alone, what they mean."""
    found = []
    for number, sample in enumerate(_sampler(stream).noise(real, seed)):
        like = real[number]
        if sample.content is None:
            asked = Question((), like.prompt, like.condition, like.answer)
            sample = _of_tokens(stream, asked, sample.tokens, number)
        asked_for = {"prompt": like.prompt, "condition": like.condition, "answer": like.answer}
        found.append(sample._replace(**asked_for))
    return found


def _sampler(stream: Rollouts) -> Sampler:
    """Of the content, which gives real samples and noise."""
    sampler: Sampler = content_of(stream.codec.content).sampler
    return sampler


def _answered(stream: Rollouts, number: int, question: Question) -> Sample:
    """The answer of the data as a sample."""
    tokens = list(stream.codec.encode(question.answer))
    end = stream.sampler.end(stream.codec)
    if end is not None:
        tokens.append(end)
    return _of_tokens(stream, question, tokens, number)


def _of_tokens(stream: Rollouts, question: Question, tokens: Sequence[int], number: int) -> Sample:
    unknown = [0.0] * len(tokens)
    return drawn_sample(
        stream.sampler, stream.codec, question, tokens, unknown, True, number=number
    )
