"""What a run is made of, before its first step."""

from __future__ import annotations

from typing import NamedTuple

from genwright.core.contracts import Objective, Stream
from genwright.core.dataset import Dataset
from genwright.recipe.schema import Recipe
from genwright.training.engine import Engine


class RunParts(NamedTuple):
    """recipe: nothing of it is open, but for what `training.minutes` decides. stream: of training,
    whose batches fit into memory. engine: the processes that share it."""

    recipe: Recipe
    objective: Objective
    dataset: Dataset
    stream: Stream
    engine: Engine
