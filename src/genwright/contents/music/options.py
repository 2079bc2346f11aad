"""What commands take for a run that makes music."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from genwright.core.options import option
from genwright.sampling.options import FileOptions, NumberOptions, SampleCount, TokenOptions


class SampleOptions(
    FileOptions, TokenOptions, NumberOptions, content="music", command="sample", things="music"
):
    """What `genwright sample` takes for music; `harmonise` and `fill` need a masked model."""

    usual: ClassVar[dict[str, Any]] = {"n": 4}
    condition: str | dict[str, Any] | None = Field(
        None, json_schema_extra=option(metavar="A=B,C=D", joined=",")
    )
    """What it is; a=b|c for several values."""
    bars: str | int | None = Field(None, json_schema_extra=option(metavar="N|A-B"))
    """How many bars; of --fill, which."""
    max_tokens: int | None = Field(None, ge=1)
    """Longest piece, in tokens, where the model ends it."""
    tempo: float | None = Field(None, gt=0)
    """Quarter notes a minute."""
    theme: str | Path | None = Field(None, json_schema_extra=option("--continue", "FILE"))
    """How each piece begins."""
    harmonise: str | Path | None = Field(None, json_schema_extra=option(metavar="FILE"))
    """A melody; a masked model writes the other voices."""
    fill: str | Path | None = Field(None, json_schema_extra=option(metavar="FILE"))
    """A piece; a masked model rewrites --bars of it."""
    rules: bool = False
    """Voices keep to their ranges, and there are no parallel fifths or octaves."""
    soundfont: str | Path | None = Field(None, json_schema_extra=option(metavar="FILE"))
    """A .sf2 to play it. Default: built in."""


class EvaluateOptions(SampleCount, content="music", command="evaluate", things="music"):
    """Music has no option of its own: only the number of samples."""
