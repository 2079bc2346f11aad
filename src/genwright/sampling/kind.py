"""Which way a model reads, asked before it is sampled."""

from __future__ import annotations

from torch import nn

from genwright.errors import GenwrightError


def needs_causal(model: nn.Module) -> None:
    """Raises GenwrightError for a model that sees both sides: it cannot go on from a prompt."""
    if not getattr(getattr(model, "settings", None), "causal", True):
        raise GenwrightError("this model sees both sides of a token and cannot go on from a prompt", 'use --fill "some [MASK] text"')


def needs_bidirectional(model: nn.Module) -> None:
    """Raises GenwrightError for a model that sees only what stands before: it cannot fill in."""
    if getattr(getattr(model, "settings", None), "causal", False):
        raise GenwrightError("this model reads left to right and cannot fill in a [MASK]", 'use --prompt "some text"')
