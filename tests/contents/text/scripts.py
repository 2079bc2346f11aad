"""Text in several scripts, and a tokenizer of characters that has bytes for all others: for tests
of what is valid UTF-8."""

from tokenizers import AddedToken, Tokenizer, decoders, models

from genwright.contents.text.codec import TextCodec
from genwright.contents.text.utf8 import token_bytes

SCRIPTS = (
    "The naïve café. Съешь же ещё этих мягких французских булок. "
    "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。ようこそ 👋🏽🌍 مرحبا नमस्ते 𝄞𐍈\n"
)


def is_text(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def byte_fallback() -> TextCodec:
    """A tokenizer as SentencePiece makes them: words, and bytes for what is no word."""
    vocabulary = {"▁": 0, "a": 1, "天": 2} | {f"<0x{byte:02X}>": byte + 3 for byte in range(256)}
    tokenizer = Tokenizer(
        models.BPE(vocab=vocabulary, merges=[], byte_fallback=True, unk_token=None)
    )
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    tokenizer.add_special_tokens([AddedToken("</s>", special=True)])
    return TextCodec(tokenizer, {"end": tokenizer.token_to_id("</s>")})


def bytes_of(codec: TextCodec, tokens) -> bytes:
    """The bytes that tokens stand for; special tokens stand for none."""
    every = token_bytes(codec.tokenizer, codec.space.vocabulary, set(codec.space.special.values()))
    return b"".join(every[token] or b"" for token in tokens)
