"""How content is drawn, from a latent or token by token. Free of torch, so that the command line
can show it at once."""

from typing import Annotated, Literal

from pydantic import Field

from genwright.core.registry import Settings


class Drawing(Settings):
    """How samples are made from a latent."""

    guidance: float = Field(1.0, ge=0, le=100)
    """How strongly a condition steers a flow: 0 not at all, 1 as learned, more exaggerates
    (classifier-free guidance)."""
    steps: int = Field(20, ge=1, le=10000)
    """Steps of a flow's solver."""
    solver: Literal["euler", "heun"] = "heun"
    """Solver of a flow: `euler` calls the network once a step, `heun` twice."""
    truncation: float = Field(1.0, ge=0, le=2)
    """Factor on latents: below 1 samples are more typical and less varied."""
    seed: int = 0
    """Samples are a pure function of it and of their number."""


class Decoding(Settings):
    """How samples are drawn token by token."""

    max_tokens: int = Field(200, ge=1)
    """Tokens a sample may have, its prompt aside."""
    temperature: float = Field(0.8, ge=0, le=100)
    """Divides the logits; 0 always takes the likeliest token, 1 samples the model as it is."""
    top_k: int = Field(0, ge=0)
    """Keeps the k likeliest tokens; 0 keeps all."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Keeps the fewest likeliest tokens whose probability reaches this; 1 keeps all."""
    min_p: float = Field(0.0, ge=0, le=1)
    """Keeps tokens at least this share as likely as the likeliest; 0 keeps all."""
    repetition_penalty: float = Field(1.0, gt=0, le=100)
    """Divides positive and multiplies negative logits of tokens that prompt and sample already
    hold; 1 is off."""
    passes: int = Field(48, ge=1, le=10_000)
    """Masked models: how often what is open is drawn anew, in part."""
    valid_utf8: bool = True
    """Where tokens are bytes: draws only tokens that go on with whole characters, so that no sample
    holds U+FFFD for bytes that are none."""
    stop: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Strings that end a sample; the text is cut before them."""
    seed: int = 0
    """Samples are a pure function of it, of the prompt's index and of the sample's."""
