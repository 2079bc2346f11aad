"""Tokens as a person reads them, where they may be parts of characters: "天<E5><A4>"."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from itertools import groupby
from typing import Any

PARTIAL = "\ufffd"  # what a codec shows for bytes that are no character
_AS_BYTES = "genwright.bytes"  # how bytes that are no character are decoded here


def spelled(codec: Any, tokens: Sequence[int], special: bool = False) -> str:
    """The text of tokens; of bytes that are no whole character, which bytes. special: also the
    names of special tokens, which are left out otherwise."""
    text: str = codec.decode(tokens, special=True) if special else codec.decode(tokens)
    if PARTIAL not in text or codec.space.automaton is None:
        return text
    reserved = set(codec.space.special.values())
    pieces = []
    for is_special, run in groupby(tokens, key=reserved.__contains__):
        if is_special:
            pieces.append(codec.decode(list(run), special=special))
        else:
            data = b"".join(codec.bytes_of(token) for token in run)
            pieces.append(data.decode("utf-8", _AS_BYTES))
    return "".join(pieces)


def _as_bytes(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no character, as `codecs.register_error` takes them."""
    assert isinstance(error, UnicodeDecodeError)
    wrong = error.object[error.start : error.end]
    return "".join(f"<{byte:02X}>" for byte in wrong), error.end


codecs.register_error(_AS_BYTES, _as_bytes)
