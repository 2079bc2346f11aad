"""What commands take for a run that makes pictures."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from genwright.core.options import option
from genwright.sampling.options import (
    FileOptions,
    LatentOptions,
    NumberOptions,
    SampleCount,
    TokenOptions,
)


class SampleOptions(
    FileOptions,
    TokenOptions,
    LatentOptions,
    NumberOptions,
    content="image",
    command="sample",
    things="pictures",
):
    """What `genwright sample` takes for pictures; which of them fit depends on how the run
    draws."""

    usual: ClassVar[dict[str, Any]] = {"n": 16, "strength": 0.3}
    condition: str | dict[str, Any] | None = Field(
        None, json_schema_extra=option(metavar="A=B,C=D", joined=",")
    )
    """What they are; a=b|c for several values."""
    evenly: str | None = Field(None, json_schema_extra=option(metavar="A,C"))
    """All values of these attributes in turn: shares of such samples are asked for."""
    negative: str | dict[str, Any] | None = Field(
        None, json_schema_extra=option(metavar="A=B,C=D", joined=",")
    )
    """What they are not."""
    guidance: float | None = Field(None, ge=0, le=100)
    """How strongly these two steer; 1 as learned."""
    invert: str | Path | None = Field(None, json_schema_extra=option(metavar="FILE"))
    """Find the latent of a picture, then vary it."""
    strength: float | None = Field(None, ge=0, le=1)
    """How far the variations of --invert go: 0 not at all, 1 all new."""

    @classmethod
    def of(cls, field: str) -> str:
        """Options of tokens are for runs that draw codes, those of a latent for the others."""
        if field in TokenOptions.model_fields:
            return "pictures as codes"
        if field in LatentOptions.model_fields:
            return "pictures from a latent"
        return cls.things


class EvaluateOptions(SampleCount, content="image", command="evaluate", things="pictures"):
    """What `genwright evaluate` takes for pictures, beside the number of samples."""

    inception: str | Path | None = Field(None, json_schema_extra=option(metavar="FILE"))
    """Weights of an Inception network (safetensors): adds the FID."""
    whole: bool = False
    """Every held-out picture, 500 importance samples each."""
