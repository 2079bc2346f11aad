"""A trained VQ run as a codec: a picture is a row of codes, which a transformer learns as it learns
words (van den Oord et al., arXiv 1711.00937, section 3.3; Esser et al., 2012.09841). What of its
attributes is asked for stands before the codes, a token for each value.

Tokens: the codes, then each value of each attribute, then `start`, `none` (an empty place of the
prefix) and `mask`. A run keeps a copy of the VQ network and of its pictures' codec, and needs
nothing outside.
"""

import hashlib
import json
from pathlib import Path
from typing import ClassVar, Literal, Self, cast

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from genwright.contents.images.codec import ImageCodec, ImageSettings
from genwright.core.attributes import attribute_tokens
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError, in_words
from genwright.core.registry import CodecSettings
from genwright.models.vq import VQAutoencoder, VQSettings

FILE = "codes.json"
_WEIGHTS = "codes.safetensors"
_IMAGE = "image"
_AT_ONCE = 64  # pictures that pass through the network together


class CodesCodec:
    """Pictures (n, C, H, W) in [-1, 1] <-> codes (n, places). prefix: places before the codes, each
    for one attribute value."""

    content = "image"

    def __init__(
        self, image: ImageCodec, network: VQAutoencoder, settings: VQSettings, prefix: int
    ):
        self.image = image
        self.network = network.eval().requires_grad_(False)
        self.settings = settings
        attributes = image.space.attributes
        self.codes = network.bottleneck.size
        names = []
        for name, values in attributes.items():
            names += [f"{name}={value}" for value in values]
        names += ["start", "none", "mask"]
        height, width = self.network.grid
        self.places = height * width
        self.prefix = prefix if attributes else 0
        self.space = Space(
            self.codes + len(names),
            {name: self.codes + i for i, name in enumerate(names)},
            length=self.prefix + self.places,
            attributes=attributes,
        )
        facts = repr((image.digest, self.prefix)).encode()
        self.digest = hashlib.sha256(save(self._weights()) + facts).hexdigest()
        # what a person gives and sees are the pictures
        self.encode = image.encode
        self.decode = image.decode

    def _weights(self) -> dict[str, Tensor]:
        state = self.network.state_dict()
        return {name: tensor.cpu().contiguous() for name, tensor in state.items()}

    @torch.no_grad()
    def codes_of(self, x: Tensor) -> Tensor:
        """Pictures -> codes (n, places) int64, on the CPU."""
        device = next(self.network.parameters()).device
        parts = [self.network(part.to(device))[1].cpu() for part in x.split(_AT_ONCE)]
        return torch.cat(parts)

    @torch.no_grad()
    def pictures(self, codes: Tensor) -> Tensor:
        """Codes (n, places) -> pictures, on the CPU."""
        device = next(self.network.parameters()).device
        parts = [self.network(codes=part.to(device)).cpu() for part in codes.split(_AT_ONCE)]
        return torch.cat(parts).clamp(-1, 1)

    def before(self, condition: Tensor | None, count: int, start: int = 1) -> Tensor:
        """What stands before the codes: tokens (count, start + prefix). condition: (count,
        columns), 1 where a value is asked for; of more than fit the first ones are; None asks for
        nothing."""
        before = attribute_tokens(
            condition, count, self.prefix, self.codes, self.space.special["none"]
        )
        return torch.nn.functional.pad(before, (start, 0), value=self.space.special["start"])

    def save(self, folder: str | Path) -> None:
        """Writes the network and the pictures' codec into a folder."""
        folder = Path(folder)
        self.image.save(folder / _IMAGE)
        (folder / _WEIGHTS).write_bytes(save(self._weights()))
        (folder / FILE).write_text(self.settings.model_dump_json(indent=1) + "\n", encoding="utf-8")


class Codes(CodecSettings, family="codec"):
    """Pictures as the codes of a VQ model that was trained before."""

    content: ClassVar[str] = "image"
    kind: Literal["codes"] = "codes"
    """Which codec: the codes of a trained VQ run."""
    run: str
    """The folder of that run; its network is copied into the new one."""
    prefix: int = Field(8, ge=1, le=1024)
    """Places before the codes, each for one attribute value that a picture is conditioned on."""

    def kept_in(self, folder: Path) -> Self:
        """With the network of that folder, if there is one."""
        if not (folder / FILE).is_file():
            return self
        return self.model_copy(update={"run": str(folder)})

    def opened(self) -> CodesCodec:
        """The codec over the pictures that the VQ run saw. Raises GenwrightError where there is no
        such run."""
        if (Path(self.run) / FILE).is_file():
            return self.load(self.run)
        if not (Path(self.run) / "recipe.yaml").is_file():
            name = Path(self.run).name
            raise GenwrightError(
                f"codec.run: there is no run in {self.run}",
                f"train it first (genwright train {name}), or name the folder of another VQ run",
            )
        from genwright.runs.run import load

        run = load(self.run)
        kind = run.recipe.objective.kind
        if kind != "vector-quantised":
            raise GenwrightError(
                f"codec.run: {self.run} was trained with objective {kind}, which makes no codes",
                "name the folder of a run with objective=vector-quantised",
            )
        assert isinstance(run.codec, ImageCodec)
        return CodesCodec(run.codec, cast(VQAutoencoder, run.model), run.recipe.model, self.prefix)

    def load(self, folder: str | Path) -> CodesCodec:
        """The codec that was saved with a run. Raises GenwrightError."""
        from genwright.training.modules import into_module

        folder = Path(folder)
        image = ImageSettings().load(folder / _IMAGE)
        try:
            settings = VQSettings(**json.loads((folder / FILE).read_text(encoding="utf-8")))
            weights = load_file(folder / _WEIGHTS)
        except (OSError, ValueError, TypeError, SafetensorError) as problem:
            raise GenwrightError(
                f"the codec in {folder} is damaged ({in_words(problem)})",
                "bring its files back or train again",
            ) from problem
        network = settings.build(image.space)
        into_module(network, weights, str(folder / _WEIGHTS))
        return CodesCodec(image, network, settings, self.prefix)
