"""Pictures as rows of codes, drawn token by token in a rollout: what `core.content.TokenSampler`
asks for.

A picture is as many codes as the network has places, and no token ends it. A policy may draw any id
of the vocabulary there, also those of attributes and of the prefix, which are no codes: such a
place takes the code before it (`codes_from`), so that every row is a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from genwright.contents.images.codec_codes import CodesCodec
from genwright.contents.images.data import picture_data
from genwright.core.content import Opened, Question, Sample
from genwright.core.errors import GenwrightError
from genwright.objectives.terms import Rollout


class ConditionQuestions(Sequence[Question]):
    """A question for each condition of real examples, made when it is asked for.

    conditions: (n, columns) float32."""

    def __init__(self, codec: CodesCodec, conditions: Tensor):
        self.codec = codec
        self.conditions = conditions

    def __len__(self) -> int:
        return len(self.conditions)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        condition = self.conditions[index]
        tokens = self.codec.before(condition[None], 1)[0]
        return Question(tuple(tokens.tolist()), condition=condition)


def codes_from(codec: CodesCodec, tokens: Sequence[int]) -> list[int]:
    """A code for each place of a picture, from any ids: what is no code takes the code before it,
    as what is missing at the end does; before the first code there is code 0."""
    codes: list[int] = []
    last = 0
    for token in tokens[: codec.places]:
        if 0 <= token < codec.codes:
            last = token
        codes.append(last)
    missing = codec.places - len(codes)
    return codes + [last] * missing


class CodesInRollouts:
    """The part of a sampler of pictures that rollouts use."""

    def questions(self, opened: Opened, rollout: Rollout, split: str) -> Sequence[Question]:
        """The conditions of real pictures where `rollout.conditions`; else one question, which asks
        for nothing. Raises GenwrightError for pictures that are not drawn as codes, for a rollout
        of another length than a picture has, and for prompts, which pictures do not have."""
        codec = opened.codec
        if not isinstance(codec, CodesCodec):
            raise GenwrightError(
                "this run draws pictures from a latent, and not token by token",
                "train a transformer over codes and reward that: genwright train emoji-codes",
            )
        if rollout.prompts or rollout.cut_after:
            raise GenwrightError(
                "objective.rollout: pictures begin with no text",
                "leave prompts and cut_after out, and set conditions=true to ask for attributes",
            )
        if rollout.max_tokens != codec.places:
            raise GenwrightError(
                f"objective.rollout.max_tokens is {rollout.max_tokens}, and a picture has "
                f"{codec.places} codes",
                f"set objective.rollout.max_tokens={codec.places}",
            )
        if not rollout.conditions:
            tokens = codec.before(None, 1)[0]
            return [Question(tuple(tokens.tolist()))]
        side = picture_data(opened.dataset()).split(split)
        conditions = side.condition(np.arange(len(side)))
        if conditions is None or not len(conditions):
            raise GenwrightError(
                "objective.rollout.conditions: these pictures have no attributes",
                "set objective.rollout.conditions=false",
            )
        return ConditionQuestions(codec, conditions)

    def end(self, codec: CodesCodec) -> int | None:
        """None: a picture is over when every place has a code."""
        return None

    def decoded(
        self,
        codec: CodesCodec,
        question: Question,
        tokens: Sequence[int],
        logprobs: Sequence[float],
        ended: bool,
    ) -> Tensor:
        """The picture (C, H, W) in [-1, 1] of any ids."""
        codes = torch.tensor([codes_from(codec, tokens)])
        return codec.pictures(codes)[0]

    def shortened(self, codec: CodesCodec, sample: Sample, length: int) -> Sample:
        """A real picture with its codes; all are of one length."""
        codes = codec.codes_of(sample.content[None])[0]
        return sample._replace(tokens=tuple(codes.tolist()))

    def token_of(self, codec: CodesCodec, sample: Sample, place: Any) -> int:
        """The last token: every code changes pixels all over the picture, so none of them can be
        named as the cause of a part."""
        return len(sample.tokens) - 1
