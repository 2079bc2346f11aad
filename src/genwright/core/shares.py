"""Shares of groups, as a person writes them down: a target of an audit, a balance of data."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from genwright.core.errors import GenwrightError, did_you_mean

UNIFORM = "uniform"
TOLERANCE = 1e-3  # by which shares may miss 1: a person writes .333


def read_shares(value: Any, what: str, groups: Sequence[str], remedy: str) -> dict[str, float]:
    """group -> share, of sum 1, in the order of `groups`; those that `value` does not name have a
    share of 0.

    value: shares by group. what: where they stand, for a person. groups: that the data have.
    remedy: how to write shares. Raises GenwrightError for shares that are none, that do not sum to
    1, or of a group that the data lack."""
    if not isinstance(value, Mapping):
        raise GenwrightError(f"{what} is {value!r}", remedy)
    shares = {}
    for name, share in value.items():
        group = str(name)
        number = isinstance(share, (int, float)) and not isinstance(share, bool)
        if not number or not math.isfinite(share) or share < 0:
            raise GenwrightError(
                f"{what} gives {group} a share of {share!r}", "give a number from 0 to 1"
            )
        if group not in groups:
            raise GenwrightError(
                f"{what} names {group!r}, which the data lack", did_you_mean(group, groups)
            )
        shares[group] = float(share)
    total = math.fsum(shares.values())
    if abs(total - 1) > TOLERANCE:
        raise GenwrightError(f"the shares of {what} sum to {total:g}", "make them sum to 1")
    return {group: shares.get(group, 0.0) / total for group in groups}
