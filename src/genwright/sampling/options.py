"""Options of `genwright sample` that several kinds of content share. Free of torch."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from genwright.core.options import Options, option


class NumberOptions(Options):
    """How many samples, and which."""

    n: int | None = Field(None, ge=1, json_schema_extra=option("-n"))
    """How many samples, of each prompt where there are prompts."""
    seed: int | None = None
    """The same seed gives the same samples."""


class TokenOptions(Options):
    """How a token is chosen; see `sampling.drawing.Decoding`."""

    temperature: float | None = Field(None, ge=0, le=100)
    """Divides the logits; 0 takes always the likeliest token."""
    top_k: int | None = Field(None, ge=0)
    """Only the k likeliest tokens; 0: all."""
    top_p: float | None = Field(None, gt=0, le=1)
    """Only the likeliest tokens that together have this probability."""
    min_p: float | None = Field(None, ge=0, le=1)
    """Only tokens this likely, relative to the likeliest."""


class LatentOptions(Options):
    """How content is made from a latent; see `sampling.drawing.Drawing`."""

    steps: int | None = Field(None, ge=1, le=10_000)
    """Of a flow: steps of the solver."""
    solver: Literal["euler", "heun"] | None = Field(
        None, json_schema_extra=option(metavar="euler|heun")
    )
    """Of a flow: its solver."""
    truncation: float | None = Field(None, ge=0, le=2)
    """Below 1 samples are more typical and less varied."""
    walk: int | None = Field(None, ge=2, json_schema_extra=option(metavar="FRAMES"))
    """An animated walk through the latent space (APNG)."""
    traverse: bool = False
    """The n most active latent dimensions, from -3 to 3."""
    interpolate: int | None = Field(None, ge=2, json_schema_extra=option(metavar="N"))
    """So many samples from one latent to another."""
    directions: bool = False
    """Along the n principal directions of a GAN's latent space."""


class FileOptions(Options):
    """Where samples that are files are written."""

    output: str | Path | None = Field(None, json_schema_extra=option(metavar="DIR"))
    """Where to write; nothing there is replaced. Default: RUN/samples."""


class SampleCount(Options):
    """Of `genwright evaluate`: how many samples are drawn."""

    samples: int | None = Field(None, ge=1, json_schema_extra=option("--samples,-n"))
    """How many samples are drawn. Default: as before, else what takes a minute."""
