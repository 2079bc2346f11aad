"""The codec of points in the plane: two coordinates, as they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from genwright.core.contracts import Space
from genwright.core.files import json_text
from genwright.core.registry import CodecSettings


class PointsCodec:
    """Two coordinates <-> (2,) float32."""

    content = digest = "points"
    space = Space(shape=(2,))

    def encode(self, content: Sequence[float]) -> Tensor:
        """(2,) float32."""
        return torch.tensor(content, dtype=torch.float32).reshape(2)

    def decode(self, x: Tensor) -> list[tuple[float, float]]:
        """(n, 2) -> pairs."""
        return [(first, second) for first, second in x.detach().cpu().tolist()]

    def save(self, folder: str | Path) -> None:
        """Writes the shape into a folder, for a person: there is nothing to load."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        text = json_text({"shape": [2]}) + "\n"
        (folder / "points.json").write_text(text, encoding="utf-8")


class Points(CodecSettings, family="codec"):
    """Points in the plane."""

    kind: Literal["points"] = "points"
    """Which codec: the two coordinates of a point."""
    content: ClassVar[str] = "points"

    def load(self, folder: str | Path) -> PointsCodec:
        """The codec, which has no settings."""
        return PointsCodec()
