"""Which tokens may follow which where tokens are bytes of characters, so that what is drawn is
valid UTF-8 (RFC 3629, section 4).

1. A small automaton reads bytes. Its state is what the bytes since the last whole character ask
   for: how many more, and of which range the next one is. That leaves out overlong forms,
   surrogates and what lies above U+10FFFF.
2. A token is a string of bytes, so it takes each state to another, or is forbidden there. Both are
   tables (states, vocabulary), made once for a tokenizer: a tenth of a second for 50,000 tokens.

After a byte that does not fit, reading begins anew at that byte, as decoders do that replace what
they cannot read. So prompts that are no valid text have a state, too.
"""

import json
import re
from collections.abc import Collection, Sequence

import numpy as np
import torch
from tokenizers import Tokenizer

from genwright.contents.text.encoding import byte_symbols
from genwright.core.automaton import Automaton

# states: what is still wanted. LAST..THREE: so many bytes of 80..BF; the others: first a byte of a
# narrower range.
WHOLE, LAST, TWO, THREE, AFTER_E0, AFTER_ED, AFTER_F0, AFTER_F4 = range(8)
STATES = 8
_LONGEST = 4  # bytes of a character
_REFUSED = 255


def _transitions() -> np.ndarray:
    """(states, 256) uint8: the state after a byte, _REFUSED where it does not fit."""
    table = np.full((STATES, 256), _REFUSED, np.uint8)
    table[WHOLE, 0x00:0x80] = WHOLE
    table[WHOLE, 0xC2:0xE0] = LAST  # C0 and C1 could only begin overlong forms
    table[WHOLE, 0xE0:0xF0] = TWO
    table[WHOLE, 0xF0:0xF4] = THREE
    table[WHOLE, 0xE0] = AFTER_E0
    table[WHOLE, 0xED] = AFTER_ED
    table[WHOLE, 0xF0] = AFTER_F0
    table[WHOLE, 0xF4] = AFTER_F4
    table[LAST, 0x80:0xC0] = WHOLE
    table[TWO, 0x80:0xC0] = LAST
    table[THREE, 0x80:0xC0] = TWO
    table[AFTER_E0, 0xA0:0xC0] = LAST  # below A0: overlong
    table[AFTER_ED, 0x80:0xA0] = LAST  # from A0: surrogates
    table[AFTER_F0, 0x90:0xC0] = TWO  # below 90: overlong
    table[AFTER_F4, 0x80:0x90] = TWO  # from 90: above U+10FFFF
    return table


TRANSITIONS = _transitions()


def automaton_of(tokens: Sequence[bytes | None]) -> Automaton:
    """The automaton of a vocabulary. tokens: the bytes of each token id; None: a special token,
    which stands between characters."""
    size = len(tokens)
    lengths = np.array([-1 if token is None else len(token) for token in tokens])
    # (states, vocabulary), after the bytes read so far
    state = np.repeat(np.arange(STATES, dtype=np.uint8)[:, None], size, 1)
    fits = np.ones((STATES, size), bool)
    for place in range(lengths.max(initial=0)):
        reading = np.flatnonzero(lengths > place)
        byte = np.array([(tokens[i] or b"")[place] for i in reading.tolist()])
        after = TRANSITIONS[state[:, reading], byte]
        refused = after == _REFUSED
        anew = np.broadcast_to(TRANSITIONS[WHOLE, byte], after.shape)
        anew = np.where(anew == _REFUSED, WHOLE, anew)
        state[:, reading] = np.where(refused, anew, after)
        fits[:, reading] &= ~refused
    special = lengths < 0
    state[:, special] = WHOLE
    fits[WHOLE + 1 :, special] = False
    fits &= _completed(fits, state)
    fits[~fits.any(1)] = fits[WHOLE]  # what no token can complete is left as it is
    after = torch.from_numpy(state.astype(np.int64))
    return Automaton(torch.from_numpy(fits), after, memory=_LONGEST - 1)


def _completed(fits: np.ndarray, state: np.ndarray) -> np.ndarray:
    """(states, vocabulary) bool: after the token, the vocabulary's tokens can still complete the
    character."""
    completes = np.arange(STATES) == WHOLE
    for _ in range(STATES):
        completes = completes | (fits & completes[state]).any(1)
    return completes[state]


def by_bytes(tokenizer: Tokenizer) -> bool:
    """Whether the tokenizer has tokens that are single bytes; all tokens of others are whole
    characters."""
    decoder = str(json.loads(tokenizer.to_str())["decoder"])
    return "ByteLevel" in decoder or "ByteFallback" in decoder


def token_bytes(tokenizer: Tokenizer, size: int, special: Collection[int]) -> list[bytes | None]:
    """The bytes of each token id below `size`, of a tokenizer `by_bytes`; None for a special
    token."""
    found: list[bytes | None] = [None] * size
    byte_level = "ByteLevel" in str(json.loads(tokenizer.to_str())["decoder"])
    bytes_of = _byte_level if byte_level else _byte_fallback
    for token, i in tokenizer.get_vocab().items():
        if i not in special:
            found[i] = bytes_of(token)
    return found


_BYTE_OF = {symbol: byte for byte, symbol in enumerate(byte_symbols())}


def _byte_level(token: str) -> bytes:
    """Each symbol stands for a byte (GPT-2); an added token with other symbols for its own text."""
    if all(symbol in _BYTE_OF for symbol in token):
        return bytes(_BYTE_OF[symbol] for symbol in token)
    return token.encode()


def _byte_fallback(token: str) -> bytes:
    """Tokens such as <0xE4> are bytes (SentencePiece), all others text."""
    byte = re.fullmatch(r"<0x([0-9A-F]{2})>", token)
    return bytes([int(byte[1], 16)]) if byte else token.encode()
