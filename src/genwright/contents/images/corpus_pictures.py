"""Corpora of pictures: which files are read, what is wrong with those that are not, by what two
pictures are alike, and how one is shown.

A document is the file of a picture as it is, byte by byte. Each is decoded when it is read, so that
what is damaged is named then; decompression bombs are refused as in training (`pictures`).

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from genwright.contents.images.corpus_measures import KIND
from genwright.contents.images.fingerprint import fingerprints
from genwright.contents.images.pictures import SUFFIXES, TGA, BadPicture, Picture, read_bytes
from genwright.contents.images.source_pictures import UNREAD
from genwright.core.corpus import Document, Unread
from genwright.core.corpus_content import ByFingerprints, CorpusContent, add_corpus_content

LARGEST = 64 << 20  # bytes of a file
FORMATS = {
    b"\x89PNG": "PNG",
    b"\xff\xd8": "JPEG",
    b"GIF8": "GIF",
    b"RIFF": "WebP",
    b"II*": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
    b"P": "PNM",
}
ON_PAGE = 96  # pixels of the longer side of a picture on a page


def is_wanted(path: str) -> bool:
    """Whether a file of a folder is a picture; of a kind that is not read too, to be named."""
    return Path(path).suffix.lower() in SUFFIXES | UNREAD


def documents(name: str, data: bytes) -> Iterator[Document | Unread]:
    """The picture of a file, or why it is none."""
    suffix = Path(name).suffix.lower()
    if suffix in UNREAD:
        yield Unread("", "is of a format that is not read: save it as png or jpeg")
        return
    if suffix in TGA:
        yield Unread("", "is a TGA, whose bytes do not say so: save it as png")
        return
    try:
        read_bytes(data)
    except BadPicture as problem:
        yield Unread("", str(problem))
        return
    yield Document("", data=data)


def in_words(data: bytes) -> str:
    """The size and the format of a picture."""
    return _described(read_bytes(data), data)


def shown(data: bytes) -> str:
    """A thumbnail as HTML, through the view of pictures."""
    from genwright.contents.images.thumbnail import thumbnail

    picture = read_bytes(data)
    return thumbnail(picture, _described(picture, data), ON_PAGE)


def _described(picture: Picture, data: bytes) -> str:
    height, width = picture.values.shape[:2]
    return f"{width:,} x {height:,} pixels, {_format_of(data)}"


def _format_of(data: bytes) -> str:
    """The name of a format, by the first bytes of a file that was read."""
    for beginning, name in FORMATS.items():
        if data.startswith(beginning):
            return name
    return "another format"


CONTENT = CorpusContent(
    KIND,
    "picture",
    is_wanted,
    documents,
    LARGEST,
    ByFingerprints(fingerprints, "their fingerprints (pHash) differ"),
    in_words,
    shown,
)
add_corpus_content(CONTENT)
