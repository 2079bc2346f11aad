"""What a policy is rewarded for, and what its rollouts begin with, as settings."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from genwright.core.registry import Settings

OFF = (
    ", off target"  # behind the name of a term, in records: how far its values are from its target
)
NonEmpty = Annotated[str, Field(min_length=1)]


class Term(Settings):
    """A measure with a weight: a part of the reward."""

    measure: NonEmpty
    """The name of a measure of this kind of content, as `genwright reward check` lists them."""
    weight: float = 1.0
    """What its value is multiplied by; below 0 what is measured is avoided."""
    name: str = ""
    """What records and reports call it; "": as the measure."""
    options: dict[str, Any] = {}
    """Settings of a measure that takes some: a pattern, a list of words."""
    target: float | None = None
    """Rewards being near this value instead of a high one: weight x -|value - target|. Of a measure
    with a value at each part, the sum over the parts is meant."""
    otherwise: float | None = None
    """The value of samples of which the measure says nothing; without it they stop the run."""

    @property
    def title(self) -> str:
        """What records and reports call it."""
        return self.name or self.measure

    def worth(self, value: float) -> float:
        """What a sample earns by this value of its measure; NaN where the measure says nothing and
        the term has no value for that."""
        if math.isnan(value) and self.otherwise is not None:
            value = self.otherwise
        if self.target is not None:
            value = -abs(value - self.target)
        return self.weight * value


class Rollout(Settings):
    """What samples begin with while a policy learns, and how long they may be."""

    max_tokens: int = Field(128, ge=1)
    """Tokens a sample may have, its prompt aside; both must fit into the model's context."""
    prompts: tuple[NonEmpty, ...] = ()
    """Texts that samples begin with, each as often as the others."""
    cut_after: str = ""
    """Samples begin with documents of the data, each cut behind the first such string; what follows
    there is the answer, which measures may compare with."""
    conditions: bool = False
    """Samples are asked for the conditions of real examples, where the content has some."""
    truncated: Literal["keep", "leave out"] = "keep"
    """Samples that were cut by their length: learned from like others, or not at all."""
    time_limit: float = Field(10.0, gt=0)
    """Seconds that a reward may take for all samples of a step, by the clock."""
