"""The codec of pictures: squares of grey or RGB, as float32 in [-1, 1]: a stored value v (0 .. 255)
is v / 127.5 - 1, exactly."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from PIL import Image
from pydantic import AfterValidator, Field
from torch import Tensor

from genwright.contents.images import pictures
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError, in_words
from genwright.core.files import json_text
from genwright.core.registry import CodecSettings

FILE = "image.json"


class ImageCodec:
    """picture <-> (channels, size, size). `attributes`: name -> values that pictures of this run
    may be conditioned on."""

    content = "image"

    def __init__(
        self, settings: ImageSettings, attributes: Mapping[str, tuple[str, ...]] | None = None
    ):
        self.settings = settings
        self.space = Space(
            shape=(settings.channels, settings.size, settings.size),
            bounded=True,
            attributes=dict(attributes or {}),
        )
        values = {name: list(values) for name, values in self.space.attributes.items()}
        self._saved = {**settings.model_dump(), "attributes": values}
        self.digest = hashlib.sha256(json.dumps(self._saved).encode()).hexdigest()

    def __repr__(self) -> str:
        return f"ImageCodec(shape={self.space.shape}, attributes={list(self.space.attributes)})"

    def encode(self, content: Image.Image | str | Path) -> Tensor:
        """(channels, size, size) float32 in [-1, 1], of a picture or a file of one, of any size and
        mode. Raises GenwrightError."""
        try:
            picture: Image.Image | pictures.Picture
            if isinstance(content, Image.Image):
                picture = content
            else:
                picture = pictures.read(str(content), self.settings.size)
            return to_float(pictures.square(picture, **self.settings.shape()))
        except pictures.BadPicture as problem:
            name = "the picture" if isinstance(content, Image.Image) else content
            raise GenwrightError(
                f"{name} {problem}", "give a whole png, jpeg, webp or gif file"
            ) from None

    def decode(self, x: Tensor) -> list[Image.Image]:
        """(n, channels, size, size) in [-1, 1] -> pictures; what lies outside is clipped."""
        out = []
        for values in to_uint8(x).permute(0, 2, 3, 1).numpy():  # (height, width, channels)
            if values.shape[2] == 1:
                out.append(Image.fromarray(values[:, :, 0]))
            else:
                out.append(Image.fromarray(np.ascontiguousarray(values)))
        return out

    def save(self, folder: str | Path) -> None:
        """Writes the settings and the attributes into a folder."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        (Path(folder) / FILE).write_text(json_text(self._saved, indent=1) + "\n", encoding="utf-8")


def to_float(values: np.ndarray) -> Tensor:
    """uint8 -> float32 in [-1, 1]."""
    return torch.from_numpy(values.astype(np.float32)).div_(127.5).sub_(1)


def to_uint8(x: Tensor) -> Tensor:
    """[-1, 1] -> uint8 on the CPU, rounded; the inverse of `to_float`. What is not a number becomes
    0."""
    values = x.detach().float().add(1).mul(127.5).round()
    return values.nan_to_num(0).clamp(0, 255).to("cpu", torch.uint8)


class ImageSettings(CodecSettings, family="codec"):
    """Pictures as squares."""

    kind: Literal["image"] = "image"
    """Which codec: grey or RGB squares."""
    size: int = Field(32, ge=4, le=1024)
    """Side of the square in pixels."""
    channels: Literal[1, 3] = 3
    """1: grey; 3: RGB."""
    background: Annotated[str, AfterValidator(pictures.colour)] = "white"
    """The colour behind what is transparent and beside what is not square: a name or #rrggbb."""
    fit: Literal["pad", "crop"] = "pad"
    """Pictures that are not square: `pad` fits them in and loses nothing, `crop` takes the middle
    (usual for photographs)."""
    content: ClassVar[str] = "image"

    def shape(self) -> dict[str, Any]:
        """What decides the pixels of a picture."""
        return self.model_dump(exclude={"kind"})

    def load(self, folder: str | Path) -> ImageCodec:
        """The codec that was saved with a run. Raises GenwrightError."""
        path = Path(folder) / FILE
        if not path.is_file():
            raise GenwrightError(
                f"{path} does not exist",
                "the run's codec is lost: bring the file back or train again",
            )
        try:
            saved = json.loads(path.read_text(encoding="utf-8"))
            attributes = {name: tuple(values) for name, values in saved.pop("attributes").items()}
            return ImageCodec(ImageSettings(**saved), attributes)
        except (ValueError, LookupError, TypeError, AttributeError) as problem:
            raise GenwrightError(
                f"the codec {path} is damaged ({in_words(problem)})",
                "bring the file back or train again",
            ) from problem
