"""The codec of points in the plane: two coordinates, as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from genwright.core.contracts import Space
from genwright.core.files import json_text
from genwright.core.registry import Settings


class PointsCodec:
    content = digest = "points"
    space = Space(shape=(2,))

    def encode(self, content: Sequence[float]) -> Tensor:
        """(2,) float32."""
        return torch.tensor(content, dtype=torch.float32).reshape(2)

    def decode(self, x: Tensor) -> list[tuple[float, float]]:
        """(n, 2) -> pairs."""
        return [(a, b) for a, b in x.detach().cpu().tolist()]

    def save(self, folder: str | Path) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / "points.json").write_text(
            json_text({"shape": [2]}) + "\n", encoding="utf-8"
        )


class Points(Settings, family="codec"):
    """Points in the plane."""

    kind: Literal["points"] = "points"
    """Which codec: the two coordinates of a point."""
    content: ClassVar[str] = "points"

    def load(self, folder: str | Path) -> PointsCodec:
        return PointsCodec()
