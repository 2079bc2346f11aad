"""Text -> token ids as raw bytes, as fast as one core allows, and exactly what
`tokenizers.Tokenizer.encode` gives.

A tokenizer spends its time on splitting text into pieces and on merging each piece anew. Three
cases need neither:

- One symbol a token (bytes, characters): a table look-up over the whole text.
- Our own BPE: a piece's tokens depend on the piece alone, and a corpus repeats its pieces, so each
  distinct piece is encoded once. Pieces are found with Python's `re`, whose classes agree with the
  tokenizer's on ASCII; lines with other characters go through the tokenizer. Cutting after a line
  end that precedes a non-space changes no token (`safe_cut`), so the two can be mixed in a
  document.
- Everything else goes through the tokenizer.

This module is imported by worker processes: it must not import torch.
"""

import json
import re
from collections.abc import Callable
from itertools import groupby
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, pre_tokenizers

from genwright.core.errors import GenwrightError

# Words with one leading non-letter, digits in twos, runs of punctuation with their line ends, line
# ends, runs of white space.
SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,2}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
_ASCII_SPLIT = re.compile(
    r"[^\r\nA-Za-z0-9]?[A-Za-z]+|[0-9]{1,2}| ?[^\sA-Za-z0-9]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    re.ASCII,
)
_LINES = re.compile(r"(?<=\n)(?=[!-~])")  # after a line end, before an ASCII non-space
_ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
_LONG = 1 << 21  # characters that are split into pieces at once, at most
_CACHED_PIECES = 1 << 18  # about 60 MB
_LONG_PIECE = 64  # characters from which a piece is not kept
CODE_POINTS = 0x110000  # of Unicode


def byte_symbols() -> list[str]:
    """The character that stands for each of the 256 bytes in byte-level vocabularies (GPT-2's
    table): its own where that can be printed, else the next one from U+0100 on."""
    others = iter(range(256, 512))
    symbols = []
    for byte in range(256):
        printable = chr(byte) in _ALPHABET
        symbols.append(chr(byte) if printable else chr(next(others)))
    return symbols


def _bytes_as_symbols() -> pre_tokenizers.PreTokenizer:
    """Each byte of a text becomes its symbol, nothing is split."""
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)


def split_pieces() -> pre_tokenizers.PreTokenizer:
    """The pre-tokenizer of our BPE."""
    pieces = pre_tokenizers.Split(Regex(SPLIT), "isolated")
    return pre_tokenizers.Sequence([pieces, _bytes_as_symbols()])


class Encoder:
    """`encode(text)` -> the ids of a text as the bytes of a `dtype` array; special tokens written
    in the text are plain text."""

    def __init__(self, tokenizer: Tokenizer):
        tokenizer.encode_special_tokens = True
        self.tokenizer = tokenizer
        largest = max(tokenizer.get_vocab().values())
        # the greatest number of a dtype stands for an unknown character
        self.dtype = np.dtype("<u2" if largest < (1 << 16) - 1 else "<u4")
        self.encode = self._choose(json.loads(tokenizer.to_str()))

    def _choose(self, spec: dict[str, Any]) -> Callable[[str], bytes]:
        """The fastest way that gives the tokenizer's own ids. spec: of its tokenizer.json."""
        model = spec["model"]
        only_special = all(token["special"] for token in spec["added_tokens"])
        if model["type"] != "BPE" or spec["normalizer"] or not only_special:
            return self._by_tokenizer
        split = spec["pre_tokenizer"]
        if split == _spec(split_pieces()):
            return self._pieces()
        falls_back = model["unk_token"] is not None or model.get("byte_fallback")
        if model["merges"] or falls_back:
            return self._by_tokenizer
        content = {token: i for token, i in model["vocab"].items() if len(token) == 1}
        if split is None:
            return _characters(content, self.dtype)
        if split == _spec(_bytes_as_symbols()):
            return _bytes(content, self.dtype)
        return self._by_tokenizer

    def _by_tokenizer(self, text: str) -> bytes:
        encoded = self.tokenizer.encode_batch_fast([text], add_special_tokens=False)
        return np.array(encoded[0].ids, self.dtype).tobytes()

    def _pieces(self) -> Callable[[str], bytes]:
        """Of our own BPE."""
        known = _Pieces(self.tokenizer, self.dtype).__getitem__

        def ascii_only(text: str) -> bytes:
            return b"".join(map(known, _ASCII_SPLIT.findall(text)))

        def encode(text: str) -> bytes:
            if text.isascii() and len(text) <= _LONG:
                return ascii_only(text)
            encoded: list[bytes] = []
            for plain, run in groupby(_LINES.split(text), str.isascii):
                if plain:
                    encoded += map(ascii_only, run)
                else:
                    encoded.append(self._by_tokenizer("".join(run)))
            return b"".join(encoded)

        return encode


class _Pieces(dict[str, bytes]):
    """piece -> its ids as the bytes of an array, encoded when it is first asked for."""

    def __init__(self, tokenizer: Tokenizer, dtype: np.dtype):
        super().__init__()
        self.tokenizer = Tokenizer(tokenizer.model)
        self.tokenizer.pre_tokenizer = _bytes_as_symbols()
        self.dtype = dtype

    def __missing__(self, piece: str) -> bytes:
        if len(self) >= _CACHED_PIECES:
            self.clear()
        encoded = self.tokenizer.encode(piece, add_special_tokens=False)
        ids = np.array(encoded.ids, self.dtype).tobytes()
        if len(piece) < _LONG_PIECE:
            self[piece] = ids
        return ids


def _bytes(vocabulary: dict[str, int], dtype: np.dtype) -> Callable[[str], bytes]:
    """The encoder of a vocabulary of the symbols of bytes."""
    table = np.array([vocabulary[symbol] for symbol in byte_symbols()], dtype)  # (256,)

    def encode(text: str) -> bytes:
        return table[np.frombuffer(text.encode(), np.uint8)].tobytes()

    return encode


def _characters(vocabulary: dict[str, int], dtype: np.dtype) -> Callable[[str], bytes]:
    """The encoder of a vocabulary of characters. It raises GenwrightError for any other."""
    unknown = np.iinfo(dtype).max
    table = np.full(CODE_POINTS, unknown, dtype)
    for character, i in vocabulary.items():
        table[ord(character)] = i

    def encode(text: str) -> bytes:
        ids = table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
        missing = np.flatnonzero(ids == unknown)
        if missing.size:
            raise GenwrightError(
                f"the character {text[missing[0]]!r} is not among the {len(vocabulary)} characters"
                " of this run's codec",
                "leave it out, or train with codec.kind=bytes or codec.kind=bpe, which take any"
                " text",
            )
        return ids.tobytes()

    return encode


def _spec(pre_tokenizer: pre_tokenizers.PreTokenizer) -> dict[str, Any]:
    """As it is written in a tokenizer.json."""
    return json.loads(pre_tokenizer.__getstate__())
