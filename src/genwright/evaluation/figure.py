"""A figure: one measured number with all that is needed to judge it."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Figure:
    """One number. unit: of the value ("nats/token"). count: how many of `counted` it was measured on.

    floors: what needs no learning reaches (name -> value). ceilings: what the real thing reaches (held-out text).
    direction: which way is better; "near" means near the ceiling (diversity, copying), neither up nor down.
    detail: one sentence on how it was measured.
    """

    name: str
    value: float
    unit: str
    count: int
    counted: str = "samples"
    floors: Mapping[str, float] = field(default_factory=dict)
    ceilings: Mapping[str, float] = field(default_factory=dict)
    direction: Literal["lower", "higher", "near"] = "lower"
    detail: str = ""

    def to_json(self) -> dict[str, Any]:
        """Plain data; a value that is not finite becomes None, which JSON can hold."""
        return dataclasses.asdict(self) | {"value": self.value if math.isfinite(self.value) else None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Figure:
        """The inverse of `to_json`. Raises TypeError for an unknown key."""
        return cls(**{**data, "value": math.nan if data["value"] is None else float(data["value"])})


def number(value: float) -> str:
    """A number for a person: four significant figures, thousands separated, no exponent in everyday ranges.

    >>> [number(v) for v in (1.88574, 0.00012345, 1234567.0, 12, 0.5)]
    ['1.886', '0.0001234', '1,234,567', '12', '0.5']
    """
    if value != value or value in (math.inf, -math.inf):
        return "not finite"
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) < 1e-4:
        return f"{value:.2e}"
    return f"{value:.4g}"


def shown(value: float, unit: str) -> str:
    """A value as it is printed: shares in per cent, which needs no unit beside it.

    >>> shown(0.4123, "share"), shown(1.5, "nats/token")
    ('41.2%', '1.5')
    """
    return f"{value:.1%}" if unit == "share" and math.isfinite(value) else number(value)
