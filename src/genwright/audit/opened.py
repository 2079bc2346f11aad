"""What an audit of a model looks at."""

from __future__ import annotations

from dataclasses import dataclass

from genwright.core.content import Opened
from genwright.core.dataset import Dataset
from genwright.runs.content import Content
from genwright.runs.run import Run


@dataclass(frozen=True)
class Opening:
    """A run, opened. seed: of what is drawn to measure it."""

    run: Run
    content: Content
    dataset: Dataset
    opened: Opened
    seed: int
