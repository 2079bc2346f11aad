"""Samples that are asked for the values of attributes in turn.

That is a mitigation which changes how a model is asked, and nothing of the model.

What such samples are is judged as of all samples. Their shares say how well the model does as it is
told; they are no rates of its own. So an audit of them has a name of its own in the run's folder,
and no card shows it.
"""

from __future__ import annotations

from collections.abc import Sequence

from genwright.core.errors import GenwrightError
from genwright.runs.content import Content

KIND = "evenly"  # of an audit's file, in place of "step"
NOTHING = "asked for nothing"  # samples of an ordinary audit


def check_evenly(content: Content, evenly: str, prompts: Sequence[str]) -> None:
    """Raises GenwrightError where samples cannot be asked for values in turn."""
    if KIND not in content.sampler.options.model_fields:
        raise GenwrightError(
            f"samples of {content.kind} cannot be asked for the values of {evenly} in turn",
            "leave --evenly out",
        )
    if prompts:
        raise GenwrightError(
            f"samples are asked for {evenly} in turn, and none begins with a prompt",
            "leave --evenly or --prompt out",
        )


def asked_in_words(evenly: str) -> str:
    """ "asked for tone in turn"."""
    if not evenly:
        return NOTHING
    return f"asked for {' and '.join(evenly.split(','))} in turn"


def remark_on(evenly: str) -> list[str]:
    """What is to be said of an audit of such samples."""
    if not evenly:
        return []
    return [
        f"samples were {asked_in_words(evenly)}: their shares say how well the model does as it is"
        " told, and are no rates of its own"
    ]
