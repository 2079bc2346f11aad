"""How pictures and points are drawn. Free of torch, so that the command line can show it at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from genwright.registry import Settings


class Drawing(Settings):
    guidance: float = Field(1.0, ge=0, le=100)
    """How strongly a condition steers a flow: 0 not at all, 1 as learned, more exaggerates (classifier-free guidance)."""
    steps: int = Field(20, ge=1, le=10000)
    """Steps of a flow's solver."""
    solver: Literal["euler", "heun"] = "heun"
    """Solver of a flow: `euler` calls the network once a step, `heun` twice."""
    truncation: float = Field(1.0, ge=0, le=2)
    """Factor on latents: below 1 samples are more typical and less varied."""
    seed: int = 0
    """Samples are a pure function of it and of their number."""
