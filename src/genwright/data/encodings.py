"""Bytes of a text file -> UTF-8, a chunk at a time, so that all that reads text reads one encoding.

A file is UTF-8 unless it begins with the byte-order mark of UTF-16 or UTF-32 (Unicode Standard
16.0, table 23-5). The bytes FF FE 00 00 are the mark of UTF-32, not that of UTF-16 before a zero
character, which no text holds. The mark stays in what is decoded, as U+FEFF, and whoever reads the
text drops it once.

Without a mark nothing is guessed: what is no UTF-8 is refused, and the sentence says what it seems
to be.

Worker processes import this module: it must not import torch.
"""

import codecs
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain

MARKS = (
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
NAMES = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16 (little-endian)",
    "utf-16-be": "UTF-16 (big-endian)",
    "utf-32-le": "UTF-32 (little-endian)",
    "utf-32-be": "UTF-32 (big-endian)",
}
SAMPLE = 4096  # bytes from which the encoding of an unmarked file is presumed


class NotText(ValueError):
    """What is wrong with a file, to follow its name: "is not UTF-8: byte 0xe9 at offset 7"."""


def encoding_of(head: bytes) -> str:
    """The encoding that the first four bytes (or more) of a file declare: a key of NAMES."""
    for mark, encoding in MARKS:
        if head.startswith(mark):
            return encoding
    return "utf-8"


def presumed(head: bytes) -> str:
    """What a file without a mark seems to be, judged by its first bytes: a key of NAMES, or ""
    where it is no UTF-16 or UTF-32.

    Any two letters of ASCII are a Chinese character of UTF-16, so zero bytes are asked for: many of
    them, or, as in Chinese text, few among bytes that are no UTF-8.
    """
    few_zeros = 4 * head.count(0) < len(head)
    if b"\0" not in head or (few_zeros and _is_utf8(head)):
        return ""
    for encoding in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be"):
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
        if text and all(_is_written(character) for character in text):
            return encoding
    return ""


def _is_utf8(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _is_written(character: str) -> bool:
    """Whether text holds this: no control character but tabs and line ends, no private and no
    unassigned one."""
    if character in "\t\r\n\f":
        return True
    return unicodedata.category(character) not in ("Cc", "Cn", "Co", "Cs")


class Decoder:
    """Strict decoding of one file. `decode` takes its bytes in order, `finish` says that there are
    no more; both give text and raise NotText with the offset, in bytes from the beginning of the
    file."""

    def __init__(self, encoding: str):
        self.encoding = encoding
        self._decoder = codecs.getincrementaldecoder(encoding)()
        self._offset = 0  # bytes decoded so far, with those of an unfinished character
        self._head = b""

    def decode(self, chunk: bytes) -> str:
        """The text of the next bytes, as far as their characters are whole."""
        if len(self._head) < SAMPLE:
            self._head += chunk[: SAMPLE - len(self._head)]
        return self._decode(chunk, final=False)

    def finish(self) -> str:
        """The rest of the text. Raises NotText where a character is not whole."""
        return self._decode(b"", final=True)

    def _decode(self, chunk: bytes, final: bool) -> str:
        kept = self._decoder.getstate()[0]  # of a character that the last chunk left unfinished
        begin = self._offset - len(kept)
        zero = chunk.find(b"\0") if self.encoding == "utf-8" else -1
        if zero >= 0:
            raise NotText(f"is binary: a zero byte at offset {self._offset + zero}{self._seems()}")
        try:
            text = self._decoder.decode(chunk, final)
        except UnicodeDecodeError as error:
            byte = error.object[error.start]
            place = f"byte 0x{byte:02x} at offset {begin + error.start}"
            raise NotText(f"is not {NAMES[self.encoding]}: {place}{self._seems()}") from None
        at = text.find("\0")
        if at >= 0:
            offset = begin + len(text[:at].encode(self.encoding))
            raise NotText(f"is binary: a zero character at offset {offset}")
        self._offset += len(chunk)
        return text

    def _seems(self) -> str:
        encoding = presumed(self._head) if self.encoding == "utf-8" else ""
        if not encoding:
            return ""
        return f" (it seems to be {NAMES[encoding]} without a byte-order mark: save it as UTF-8)"


def checked(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The chunks of a whole file, unchanged. Raises NotText where they are no text."""
    decoder = None
    for chunk in chunks:
        if decoder is None:
            decoder = Decoder(encoding_of(chunk))
        decoder.decode(chunk)
        yield chunk
    if decoder is not None:
        decoder.finish()


def as_utf8(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A whole file's bytes -> the same text in UTF-8. Raises NotText for broken UTF-16 or UTF-32;
    UTF-8 passes unread."""
    chunks = iter(chunks)
    first = next(chunks, b"")
    encoding = encoding_of(first)
    if encoding == "utf-8":
        yield from chain([first], chunks)
        return
    decoder = Decoder(encoding)
    for chunk in chain([first], chunks):
        yield decoder.decode(chunk).encode()
    yield decoder.finish().encode()
