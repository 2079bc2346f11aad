"""What a mitigation cost: figures of two audited runs side by side, with the interval of their
change.

Losses of the same held-out examples are compared example by example (`held_out.py`). Losses of
different ones, and figures of samples (precision, recall, coverage), are taken for independent: the
interval is made of those of both (Newcombe, 1998), and of samples that are compared with the same
real examples it is rather too wide. Losses in other units, or of other tokens, have no price.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genwright.audit.by_group import LEVEL
from genwright.audit.held_out import change_of
from genwright.evaluation.probabilities import normal_quantile

SHARE = "share"
QUALITIES = ("precision", "recall", "coverage")


@dataclass(frozen=True)
class Price:
    """A figure of both runs. better: "lower" or "higher". low, high: the interval of after minus
    before. NaN where one has none."""

    name: str
    unit: str
    before: float
    after: float
    better: str
    low: float = math.nan
    high: float = math.nan

    @property
    def worse(self) -> float:
        """By how much of the value before it is worse; negative where it is better."""
        return self._worse_by(self.after - self.before)

    @property
    def worse_between(self) -> tuple[float, float]:
        """The interval of `worse`, with the value before as it was measured."""
        ends = (self._worse_by(self.low), self._worse_by(self.high))
        return min(ends), max(ends)

    def _worse_by(self, change: float) -> float:
        if not self.before:
            return math.nan
        way = 1 if self.better == "lower" else -1
        return way * change / abs(self.before)


def incomparable(one: Mapping[str, Any], other: Mapping[str, Any]) -> str:
    """Why the losses of two audits are of different things, in words; "" where they are not, or
    one has none."""
    if one["loss"] is None or other["loss"] is None:
        return ""
    units = (one["loss_unit"], other["loss_unit"])
    if units[0] != units[1]:
        return f"held-out losses are not compared: {units[0]} of one and {units[1]} of the other"
    if one.get("encoding") != other.get("encoding"):
        return (
            f"held-out losses are not compared: the codecs differ, so {units[0]} of one says"
            " nothing beside that of the other"
        )
    return ""


def run_prices(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[Price]:
    """Of two runs as a whole; one, other: their audits as `newest_audit` gives them. Nothing where
    their losses are `incomparable`."""
    if one["loss"] is None or other["loss"] is None or incomparable(one, other):
        return []
    sides = []
    for audit in (one, other):
        sides.append(
            {
                "mean": audit["loss"],
                "low": audit.get("loss_low"),
                "high": audit.get("loss_high"),
            }
        )
    changes = change_of(one.get("held_out"), other.get("held_out"), None)
    return [_loss_price("held-out loss", one["loss_unit"], sides[0], sides[1], changes)]


def group_prices(
    found: Mapping[str, Any],
    then: Mapping[str, Any],
    one: Mapping[str, Any],
    other: Mapping[str, Any],
) -> list[Price]:
    """Losses, unless they are `incomparable`, and quality of each group of a grouping. found, then:
    of the audits one and other."""
    prices = []
    losses = {}
    if not incomparable(one, other):
        losses = {kept["group"]: kept for kept in then["losses"]}
    for kept in found["losses"]:
        group = kept["group"]
        now = losses.get(group)
        if now is None or kept["mean"] is None or now["mean"] is None:
            continue
        members = (found.get("members") or {}).get(group)
        changes = None
        if members and members == (then.get("members") or {}).get(group):
            changes = change_of(one.get("held_out"), other.get("held_out"), members)
        prices.append(_loss_price(f"held-out loss of {group}", "", kept, now, changes))
    quality = {kept["group"]: kept for kept in then["quality"]}
    for kept in found["quality"]:
        now = quality.get(kept["group"])
        if now is not None:
            prices += _quality_prices(kept, now)
    return prices


def _loss_price(
    name: str,
    unit: str,
    kept: Mapping[str, Any],
    now: Mapping[str, Any],
    changes: tuple[float, float] | None,
) -> Price:
    """kept, now: a loss with its interval. changes: by how much it differs example by example, and
    half of the interval."""
    change = now["mean"] - kept["mean"]
    low, high = math.nan, math.nan
    if changes is not None:
        low, high = change - changes[1], change + changes[1]
    elif _known(kept) and _known(now):
        low = change - math.hypot(now["mean"] - now["low"], kept["high"] - kept["mean"])
        high = change + math.hypot(now["high"] - now["mean"], kept["mean"] - kept["low"])
    return Price(name, unit, kept["mean"], now["mean"], "lower", low, high)


def _known(kept: Mapping[str, Any]) -> bool:
    return kept.get("low") is not None and kept.get("high") is not None


def _quality_prices(kept: Mapping[str, Any], now: Mapping[str, Any]) -> Sequence[Price]:
    prices = []
    for figure in QUALITIES:
        name = f"{figure} of {kept['group']} ({kept['equal']}, {now['equal']} of each)"
        before, after = kept[figure], now[figure]
        first = (kept.get("errors") or {}).get(figure)
        second = (now.get("errors") or {}).get(figure)
        low, high = math.nan, math.nan
        if first is not None and second is not None:
            half = normal_quantile((1 + LEVEL) / 2) * math.hypot(first, second)
            low, high = after - before - half, after - before + half
        prices.append(Price(name, SHARE, before, after, "higher", low, high))
    return prices


def price_cells(row: Price) -> list[str]:
    """A price for a person: before, after, by how much it is worse, and the interval of that."""
    unit = f" {row.unit}" if row.unit else ""
    shown = [f"{value:.4f}{unit}" for value in (row.before, row.after)]
    if row.unit == SHARE:
        shown = [f"{row.before:.1%}", f"{row.after:.1%}"]
    low, high = row.worse_between
    interval = "" if math.isnan(low) else f"{low:+.1%} to {high:+.1%}"
    worse = "-" if math.isnan(row.worse) else f"{row.worse:+.1%}"
    return [*shown, worse, interval]
