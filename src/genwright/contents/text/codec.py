"""Codecs of text and code: bytes, characters, byte-level BPE, or a tokenizer that exists already.

Each is a `tokenizers.Tokenizer`, saved as tokenizer.json and tokenizer_config.json, which
transformers' AutoTokenizer loads with the same ids. Three special tokens follow the content: the
end of a document, the mask and the padding. A special token written in a text is encoded as plain
text.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, cast

import numpy as np
import torch
from pydantic import Field
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from genwright.contents.text.encoding import CODE_POINTS, Encoder, byte_symbols, split_pieces
from genwright.contents.text.utf8 import automaton_of, by_bytes, token_bytes
from genwright.core.automaton import Automaton
from genwright.core.contracts import Codec, Space
from genwright.core.errors import GenwrightError
from genwright.core.files import json_text, read_json
from genwright.core.registry import CodecSettings

SPECIAL = {"end": "<|end|>", "mask": "[MASK]", "pad": "<|pad|>"}
# How tokenizers of the field call these tokens, best first; tokenizer_config.json goes before them.
_USUAL = {
    "end": (
        "<|end|>",
        "<|endoftext|>",
        "<|end_of_text|>",
        "</s>",
        "<eos>",
        "[SEP]",
        "<|im_end|>",
        "<|eot_id|>",
    ),
    "mask": ("[MASK]", "<mask>", "<|mask|>"),
    "pad": ("<|pad|>", "[PAD]", "<pad>", "<|padding|>", "<|finetune_right_pad_id|>"),
}
_SPACE = "▁"  # what SentencePiece writes for one
_BEYOND_ASCII = frozenset(byte_symbols()[0x80:])  # symbols of bytes that are no ASCII
# of tokenizer_config.json
_CONFIG = {"end": ("eos_token", "sep_token"), "mask": ("mask_token",), "pad": ("pad_token",)}


class TextCodec:
    """text <-> token ids. `special`: name -> id, with at least "end"; every other special token
    under its own text."""

    content = "text"

    def __init__(self, tokenizer: Tokenizer, special: dict[str, int]):
        self.tokenizer = tokenizer
        self._encoder = Encoder(tokenizer)
        for i, token in tokenizer.get_added_tokens_decoder().items():
            if token.special and i not in special.values():
                special = {**special, token.content: i}
        vocabulary = max(tokenizer.get_vocab().values()) + 1
        self.space = Space(
            vocabulary=vocabulary,
            special=special,
            word_start=_word_starts(tokenizer, vocabulary, special),
            carries_space=_carries_space(tokenizer),
            automaton=self._automaton if by_bytes(tokenizer) else None,
        )
        content = tokenizer.to_str() + json.dumps(special, sort_keys=True)
        self.digest = hashlib.sha256(content.encode()).hexdigest()

    def __repr__(self) -> str:
        return f"TextCodec(vocabulary={self.space.vocabulary}, special={dict(self.space.special)})"

    @cached_property
    def _bytes(self) -> list[bytes | None]:
        """Of each token; see `token_bytes`."""
        special = set(self.space.special.values())
        return token_bytes(self.tokenizer, self.space.vocabulary, special)

    @cached_property
    def _known_automaton(self) -> Automaton:
        return automaton_of(self._bytes)

    def _automaton(self) -> Automaton:
        return self._known_automaton

    def bytes_of(self, token: int) -> bytes:
        """The bytes of a token, of a tokenizer by bytes; none of a special token."""
        return self._bytes[token] or b""

    def encode(self, text: str) -> list[int]:
        """No special token is added. Raises GenwrightError for what is no text."""
        try:
            text.encode()
        except UnicodeEncodeError as error:
            before = text[: error.start][-20:]
            raise GenwrightError(
                f"the text is not UTF-8 at character {error.start + 1}, after {before!r}",
                "give it in UTF-8",
            ) from None
        return np.frombuffer(self._encoder.encode(text), self._encoder.dtype).tolist()

    def decode(self, tokens: Sequence[int], special: bool = False) -> str:
        """The text of token ids; special tokens are left out unless `special`."""
        return self.tokenizer.decode([int(i) for i in tokens], skip_special_tokens=not special)

    def save(self, folder: str | Path) -> None:
        """tokenizer.json and tokenizer_config.json, which `AutoTokenizer.from_pretrained(folder)`
        reads."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        special = self.space.special
        end = self.tokenizer.id_to_token(special["end"])
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": False,
            "bos_token": end,
            "eos_token": end,
        }
        for name in ("mask", "pad"):
            if name in special:
                config[f"{name}_token"] = self.tokenizer.id_to_token(special[name])
        (folder / "tokenizer.json").write_text(self.tokenizer.to_str(pretty=True), encoding="utf-8")
        (folder / "tokenizer_config.json").write_text(
            json_text(config, indent=2) + "\n", encoding="utf-8"
        )

    def for_others(self) -> TextCodec:
        """The same tokenizer for programs that look for special tokens in a text: where words carry
        the space before them, a mask takes that space too (`lstrip`, as in the field's tokenizers
        of masked models), as `sampling.fill` reads it."""
        spec = json.loads(self.tokenizer.to_str())
        for token in spec["added_tokens"]:
            if token["id"] == self.space.special.get("mask") and self.space.carries_space:
                token["lstrip"] = True
        return TextCodec(Tokenizer.from_str(json.dumps(spec)), dict(self.space.special))

    @staticmethod
    def load(folder: str | Path) -> TextCodec:
        """From a folder with tokenizer.json, or from such a file. Raises GenwrightError if nothing
        in it can end a document."""
        path = Path(folder)
        if path.is_dir():
            path = path / "tokenizer.json"
        if not path.is_file():
            raise GenwrightError(
                f"{path} does not exist", "give a tokenizer.json or a folder that holds one"
            )
        try:
            tokenizer = Tokenizer.from_file(str(path))
        # tokenizers raises bare Exception for a file that is no tokenizer
        except Exception as error:
            raise GenwrightError(
                f"{path} is not a tokenizer: {error}",
                "give a tokenizer.json written by `tokenizers`",
            ) from error
        tokenizer.no_padding()
        tokenizer.no_truncation()
        special = _special_of(tokenizer, _config_beside(path))
        if "end" not in special:
            raise GenwrightError(
                f"{path} has no token that can end a document (such as <|endoftext|>, </s> or"
                " [SEP])",
                "name it as eos_token in a tokenizer_config.json beside it, or use codec.kind=bpe",
            )
        return TextCodec(tokenizer, special)


def _config_beside(path: Path) -> dict[str, Any]:
    """The tokenizer_config.json beside a tokenizer; empty where there is none. Raises
    GenwrightError for a damaged one."""
    beside = path.with_name("tokenizer_config.json")
    if not beside.is_file():
        return {}
    remedy = "bring it back as it was, or leave it out"
    try:
        text = beside.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise GenwrightError(f"{beside} is damaged, for it is not UTF-8", remedy) from None
    config = read_json(text, beside, remedy)
    if not isinstance(config, dict):
        raise GenwrightError(f"{beside} is damaged, for it holds no object", remedy)
    return config


def _special_of(tokenizer: Tokenizer, config: dict[str, Any]) -> dict[str, int]:
    """Name -> id of the special tokens that a tokenizer has. config: its tokenizer_config.json."""
    special: dict[str, int] = {}
    for name, usual in _USUAL.items():
        for token in (*_configured(config, name), *usual):
            i = tokenizer.token_to_id(token)
            # many a file pads with the end token: that is no padding
            if i is not None and i not in special.values():
                special[name] = i
                break
    return special


def _configured(config: dict[str, Any], name: str) -> list[str]:
    """The tokens that a tokenizer_config.json names for this use."""
    found = []
    for key in _CONFIG[name]:
        token = config.get(key)
        if isinstance(token, dict):
            token = token.get("content")
        if isinstance(token, str) and token:
            found.append(token)
    return found


def _finish(tokenizer: Tokenizer, decoder: decoders.Decoder) -> TextCodec:
    tokenizer.decoder = decoder
    added = [AddedToken(token, special=True, normalized=False) for token in SPECIAL.values()]
    tokenizer.add_special_tokens(added)
    vocabulary = tokenizer.get_vocab()
    return TextCodec(tokenizer, {name: vocabulary[token] for name, token in SPECIAL.items()})


def _carries_space(tokenizer: Tokenizer) -> bool:
    """Whether some word with the space before it is one token."""
    spaces = (byte_symbols()[ord(" ")], _SPACE)
    return any(token[0] in spaces and token[1:2].isalpha() for token in tokenizer.get_vocab())


def _word_starts(tokenizer: Tokenizer, vocabulary: int, special: dict[str, int]) -> torch.Tensor:
    """(vocabulary,) bool: special tokens, and what begins a word as its kind of tokenizer marks
    that."""
    starts = _start_of(json.loads(tokenizer.to_str()))
    reserved = set(special.values())
    flags = torch.ones(vocabulary, dtype=torch.bool)
    for token, i in tokenizer.get_vocab().items():
        flags[i] = i in reserved or starts(token)
    return flags


def _start_of(spec: dict[str, Any]) -> Callable[[str], bool]:
    """What says whether a token begins a word. spec: what the tokenizer.json says."""
    model = spec["model"]
    if model["type"] == "WordPiece":
        return lambda token: not token.startswith(model["continuing_subword_prefix"])
    if "ByteLevel" in str(spec["decoder"]):
        return _starts_bytes
    if _SPACE in str(spec["pre_tokenizer"]) or _SPACE in str(spec["decoder"]):
        return lambda token: token.startswith(_SPACE)
    return lambda token: not token[:1].isalnum()


def _starts_bytes(token: str) -> bool:
    """Whether a token of byte-level symbols goes on with no word: it does where it begins with an
    ASCII letter or digit, or in the middle of another character."""
    first = token[:1]
    if first in _BEYOND_ASCII:
        return False
    return not (first.isascii() and first.isalnum())


class _TextSettings(CodecSettings):
    """What the codecs of text have in common. learns_from: "nothing", "train" (the training part of
    a corpus) or "all" of it."""

    content: ClassVar[str] = "text"
    learns_from: ClassVar[str] = "nothing"

    def load(self, folder: str | Path) -> TextCodec:
        """The codec that was saved with a run."""
        return TextCodec.load(folder)


class Bytes(_TextSettings, family="codec"):
    """The 256 bytes of UTF-8."""

    kind: Literal["bytes"] = "bytes"
    """Which codec: each byte of UTF-8 is a token."""

    def train(self, documents: Iterator[str]) -> TextCodec:
        """The codec; nothing is learned."""
        vocabulary = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
        tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        return _finish(tokenizer, decoders.ByteLevel())


class Characters(_TextSettings, family="codec"):
    """The characters of the whole corpus, held-out part included: a text with another character is
    refused."""

    learns_from: ClassVar[str] = "all"
    kind: Literal["characters"] = "characters"
    """Which codec: each character (Unicode code point) is a token."""

    def train(self, documents: Iterator[str]) -> TextCodec:
        """The codec of all characters that the documents hold."""
        seen = np.zeros(CODE_POINTS, bool)
        for text in documents:
            seen[np.frombuffer(text.encode("utf-32-le"), np.uint32)] = True
        codes = np.flatnonzero(seen).tolist()
        vocabulary = {chr(code): i for i, code in enumerate(codes)}
        return _finish(Tokenizer(models.BPE(vocab=vocabulary, merges=[])), decoders.Fuse())


class BPE(_TextSettings, family="codec"):
    """Byte-level byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909), trained on the
    corpus; any text can be encoded."""

    learns_from: ClassVar[str] = "train"
    kind: Literal["bpe"] = "bpe"
    """Which codec: byte-pair encoding learned from the training part."""
    vocabulary: int = Field(4096, ge=300, le=1 << 20)
    """Tokens, the 256 bytes and 3 special ones included."""
    sample: int = Field(64, ge=1)
    """Megabytes of text, taken from all over the corpus, that it learns from."""

    def train(self, documents: Iterator[str]) -> TextCodec:
        """The codec, learned from documents until `sample` megabytes of them were read."""
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = split_pieces()
        content = self.vocabulary - len(SPECIAL)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=content, show_progress=False, initial_alphabet=alphabet, min_frequency=2
        )
        tokenizer.train_from_iterator(_first(documents, self.sample * 1_000_000), trainer)
        return _finish(tokenizer, decoders.ByteLevel())


class File(_TextSettings, family="codec"):
    """A tokenizer that exists already."""

    file_of_weights: ClassVar[str] = "tokenizer.json"
    kind: Literal["file"] = "file"
    """Which codec: a tokenizer.json of any origin."""
    path: str
    """The tokenizer.json, or a folder that holds one."""

    def kept_in(self, folder: Path) -> Self:
        """With the tokenizer of that folder, if there is one."""
        own = folder / "tokenizer.json"
        if not own.is_file():
            return self
        return self.model_copy(update={"path": str(own)})

    def train(self, documents: Iterator[str]) -> TextCodec:
        """The codec of the file; nothing is learned. Raises GenwrightError."""
        return TextCodec.load(self.path)


def _first(documents: Iterator[str], size: int) -> Iterator[str]:
    """Documents until they have so many characters."""
    for text in documents:
        yield text
        size -= len(text)
        if size <= 0:
            return


def text_codec(codec: Codec) -> TextCodec:
    """The codec of a run that makes text, as what it is."""
    return cast(TextCodec, codec)
