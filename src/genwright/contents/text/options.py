"""What commands take for a run that makes text."""

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field

from genwright.core.options import option
from genwright.sampling.options import NumberOptions, SampleCount, TokenOptions


def _listed(value: Any) -> Any:
    """One text stands for a list of it."""
    return (value,) if isinstance(value, str) else value


class SampleOptions(TokenOptions, NumberOptions, content="text", command="sample", things="text"):
    """What `genwright sample` takes for text; `fill` and `candidates` need a masked model."""

    aliases: ClassVar[dict[str, str]] = {"prompts": "prompt", "top": "candidates"}
    usual: ClassVar[dict[str, Any]] = {"n": 1, "candidates": 5}
    prompt: Annotated[tuple[str | tuple[int, ...], ...], BeforeValidator(_listed)] = ()
    """How each sample begins; may be given several times."""
    fill: str | None = Field(None, json_schema_extra=option(metavar="TEXT"))
    """A masked model fills each [MASK]."""
    candidates: int | None = Field(None, ge=1)
    """Of --fill: how many candidates of a gap are listed."""
    max_tokens: int | None = Field(None, ge=1)
    """Longest sample, in tokens."""
    repetition_penalty: float | None = Field(None, gt=0, le=100)
    """Above 1, tokens already used become less likely."""
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], BeforeValidator(_listed)] = ()
    """Text that ends a sample; may be given several times."""
    any_bytes: bool = False
    """Of models of bytes: also bytes that are no valid UTF-8."""


class EvaluateOptions(SampleCount, content="text", command="evaluate", things="text"):
    """Text has no option of its own: only the number of samples."""
