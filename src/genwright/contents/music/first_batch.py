"""The first batch of a run of music as `genwright inspect` shows it: the notes of each example, in
the order of its tokens.

| 3 C5 (G4) rest : at place 3 of a bar C5 begins, G4 sounds on, a voice rests. C5:4 : C5 for four
steps; @4: at step 4. What is asked for stands before the music as attribute=value.
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from genwright.contents.music.codec_tokens import Token, key_name, token_name
from genwright.contents.music.in_words import SIGNS
from genwright.contents.music.score import Key
from genwright.contents.music.spelling import spell
from genwright.core.contracts import Batch

TOKENS = 160  # of an example that are shown
_WITH_PITCH = {"onset": "{}", "hold": "({})", "fermata": "{}^", "pitch": "{}"}
_WITH_NUMBER = {"length": ":{}", "at": " @{}", "velocity": " v{}", "place": " | {}"}
_ALONE = {"bar": " |", "none": "", "fermata": "^", "mask": " ?"}


def marked_pieces(batch: Batch, row: int, codec: Any) -> list[tuple[str, bool]]:
    """Runs of counted and of other tokens of one example, as words. batch: as an objective of
    tokens is given it; where a token counts, its target is shown."""
    inputs = batch["inputs"][row].tolist()
    targets = batch["targets"][row].tolist()
    if _shifted(inputs, targets):  # what counts is what comes next
        inputs.append(targets[-1])
        targets.insert(0, -1)
    shown = []
    for given, target in list(zip(inputs, targets, strict=True))[:TOKENS]:
        counted = target >= 0
        token = codec.tokens[target if counted else max(given, 0)]
        shown.append((_in_words(token), counted))
    pieces: list[tuple[str, bool]] = []
    for counted, run in groupby(shown, key=lambda pair: pair[1]):
        words = "".join(text for text, _ in run)
        if words:
            pieces.append((words if pieces else words.lstrip(), counted))
    return pieces


def _shifted(inputs: list[int], targets: list[int]) -> bool:
    """Whether a target is what comes next, as of causal models, and not what is hidden."""
    pairs = zip(inputs[1:], targets[:-1], strict=True)
    return all(given == target or target < 0 for given, target in pairs)


def _in_words(token: Token) -> str:
    """A token as it is written behind others, with the space before it."""
    kind, *value = token
    if kind in _WITH_PITCH and value:
        name = _WITH_PITCH[kind].format(_pitch_name(value[0]))
        begins_row = value[1:] == [0]  # of tokens that are of one voice each: the highest
        return f" | {name}" if begins_row else f" {name}"
    if token == ("place", -1):
        return " | -"  # before any bar
    if kind in _WITH_NUMBER:
        return _WITH_NUMBER[kind].format(value[0])
    if kind in _ALONE:
        return _ALONE[kind]
    if kind == "meter":
        return f" {value[0]}/{value[1]}"
    if kind == "key":
        return f" {key_name(Key(0, *value))}"
    return f" {token_name(token)}"


def _pitch_name(pitch: int) -> str:
    """C#5: no key is known of a token by itself."""
    found = spell(pitch, Key(0, 0))
    return f"{found.step}{SIGNS[found.alter]}{found.octave}"
