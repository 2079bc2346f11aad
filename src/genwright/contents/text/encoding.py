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


def byte_symbols() -> list[str]:
    """The character that stands for each of the 256 bytes in byte-level vocabularies (GPT-2's
    table)."""
    printable = [b for b in range(256) if chr(b) in _ALPHABET]
    others = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(others)) for b in range(256)]


def split_pieces():
    """The pre-tokenizer of our BPE."""
    symbols = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(SPLIT), "isolated"), symbols])


class Encoder:
    """`encode(text)` -> the ids of a text as the bytes of a `dtype` array; special tokens written
    in the text are plain text."""

    def __init__(self, tokenizer: Tokenizer):
        tokenizer.encode_special_tokens = True
        self.tokenizer = tokenizer
        self.dtype = np.dtype(
            "<u2" if max(tokenizer.get_vocab().values()) < (1 << 16) - 1 else "<u4"
        )
        self.encode = self._choose(json.loads(tokenizer.to_str()))

    def _choose(self, spec: dict) -> Callable[[str], bytes]:
        model = spec["model"]
        added = spec["added_tokens"]
        plain = (
            model["type"] == "BPE"
            and not spec["normalizer"]
            and all(token["special"] for token in added)
        )
        if (
            plain
            and not model["merges"]
            and model["unk_token"] is None
            and not model.get("byte_fallback")
        ):
            content = {token: i for token, i in model["vocab"].items() if len(token) == 1}
            if spec["pre_tokenizer"] is None:
                return self._characters(content)
            if spec["pre_tokenizer"] == _spec(
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
            ):
                table = np.array([content[symbol] for symbol in byte_symbols()], self.dtype)
                return lambda text: table[np.frombuffer(text.encode(), np.uint8)].tobytes()
        if plain and spec["pre_tokenizer"] == _spec(split_pieces()):
            return self._pieces()
        return self._any

    def _any(self, text: str) -> bytes:
        return np.array(
            self.tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids, self.dtype
        ).tobytes()

    def _characters(self, vocabulary: dict[str, int]) -> Callable[[str], bytes]:
        unknown = np.iinfo(self.dtype).max
        table = np.full(0x110000, unknown, self.dtype)
        for character, i in vocabulary.items():
            table[ord(character)] = i

        def encode(text: str) -> bytes:
            ids = table[np.frombuffer(text.encode("utf-32-le"), np.uint32)]
            if (where := np.flatnonzero(ids == unknown)).size:
                what = f"the character {text[where[0]]!r} is not among the {len(vocabulary)} characters of this run's codec"
                raise GenwrightError(
                    what,
                    "leave it out, or train with codec.kind=bytes or codec.kind=bpe, which take any text",
                )
            return ids.tobytes()

        return encode

    def _pieces(self) -> Callable[[str], bytes]:
        inner = Tokenizer(self.tokenizer.model)
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        dtype = self.dtype

        class Known(dict):
            def __missing__(self, piece: str) -> bytes:
                if len(self) >= _CACHED_PIECES:
                    self.clear()
                ids = np.array(inner.encode(piece, add_special_tokens=False).ids, dtype).tobytes()
                if len(piece) < 64:
                    self[piece] = ids
                return ids

        known = Known().__getitem__

        def ascii_only(text: str) -> bytes:
            return b"".join(map(known, _ASCII_SPLIT.findall(text)))

        def encode(text: str) -> bytes:
            if text.isascii() and len(text) <= _LONG:
                return ascii_only(text)
            done: list[bytes] = []
            for plain, run in groupby(_LINES.split(text), str.isascii):
                lines = list(run)
                done += map(ascii_only, lines) if plain else [self._any("".join(lines))]
            return b"".join(done)

        return encode


def _spec(pre_tokenizer) -> dict:
    """As it is written in a tokenizer.json."""
    return json.loads(pre_tokenizer.__getstate__())
