"""The settings of data that can be balanced: shares of groups in training."""

from __future__ import annotations

from typing import Literal

from genwright.data.source_files import FilesData


class BalancedFiles(FilesData):
    """Files whose training examples can count more or less; what is held out stays as it is."""

    balance: dict[str, str | dict[str, float]] = {}
    """Shares of attributes' values in training: `data.balance.tone=uniform`, or a share of each
    value. Examples without a value stay as they are."""
    balance_by: Literal["sampling", "weights"] = "sampling"
    """How: examples are taken more or less often (`sampling`), or their losses are weighted
    (`weights`)."""
