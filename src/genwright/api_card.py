"""The Python interface of cards, for the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genwright.audit.card import Cards
from genwright.audit.card import card as write_cards


def card(
    run: str | Path,
    *,
    about: str | Path | None = None,
    output: str | Path | None = None,
    **answers: Any,
) -> Cards:
    """Writes the cards of a run (a model card, a data card as Croissant, a page) or of a corpus
    (the latter two), from what was measured. Printable: what was written and what is unknown.

    about: a YAML file of what only a person knows; answers: the same by name
    (intended_use="..."). Both are kept in the folder as card.yaml. output: a folder, default
    RUN/card. Raises GenwrightError."""
    return write_cards(run, about, output, answers)
