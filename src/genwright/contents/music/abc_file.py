"""ABC files (ABC 2.1, section 2): from a file to tunes, from a tune to its lines. What the lines
mean is for `abc_reader.py`.

1. Each tune begins at X: and ends at an empty line. Typeset text (%%begintext ...) is no music.
2. The fields of a file header, before the first empty line, hold for all tunes; other text outside
   of tunes is no music.
3. Of a tune's lines comments are taken out, and +: goes on with the field before it (3.3).
"""

import codecs
import re
from collections.abc import Iterator

from genwright.contents.music.draft import BadMusic

LARGEST = 32 << 20  # characters of the tunes of a file, each with the file header
_MARKS = {  # the longer ones first, for UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_FIELD = re.compile(r"([A-Za-z+]):(.*)", re.S)
_NOT_A_FIELD = re.compile(r"[A-Ga-gxz]:[|:]")  # a note and a bar line, where music is expected
_COMMENT = re.compile(r"(?<!\\)%.*", re.S)
_BLOCK = re.compile(r"%%\s*begin(\w+)")
_MUSIC = re.compile(r"[\sA-Ga-gzxZ\d|:\[\](){}<>/,'^=_~.&-]+")


def decoded(data: bytes) -> str:
    """The text of a file: UTF-16 or UTF-32 where a mark says so, UTF-8, or else Latin-1. Raises
    BadMusic."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return _decoded_as(encoding, data)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _decoded_as(encoding: str, data: bytes) -> str:
    """The text of a file that says its encoding. Raises BadMusic where it is another."""
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        raise BadMusic(f"is marked as {encoding.upper()}, but is none") from None


def tunes(data: bytes) -> list[str]:
    """The tunes of a file, each after the fields of the file header and with the text that follows
    it. Raises BadMusic."""
    text = re.sub(r"\r\n?", "\n", decoded(data))
    lines = list(_without_blocks(_without_mail_signs(text).split("\n")))
    if not any(line.startswith("X:") for line in lines):
        return _fragments(lines)
    header: list[str] = []
    found: list[list[str]] = []
    in_header = True
    for line in lines:
        if line.startswith("X:"):
            in_header = False
            found.append([*header, line])
        elif found:
            found[-1].append(line)
        elif not line.strip():
            in_header = in_header and not header
        elif in_header and (_FIELD.match(line) or line.startswith("%%")):
            header.append(line)
    size = sum(len(line) for line in header)
    if size * len(found) > LARGEST:
        raise BadMusic(f"has a file header of {size:,} characters for {len(found):,} tunes")
    return ["\n".join(tune) for tune in found]


def _fragments(lines: list[str]) -> list[str]:
    """The tunes of a file without X: what stands between empty lines and has a key (2.3.1), or all
    of it where nothing has."""
    blocks = re.split(r"\n\s*\n", "\n".join(lines).strip())
    with_key = [block for block in blocks if re.search(r"(?m)^K:", block)]
    return with_key or ["\n".join(blocks)]


def _without_mail_signs(text: str) -> str:
    """The text without what mail makes of it (quoted-printable, RFC 2045): =3D for =, and at the
    ends of lines =20, and = where a long line goes on. None of these is ABC."""
    text = text.replace("=3D", "=")
    text = re.sub(r"(?m)=20$", "", text)
    return re.sub(r"=\n(?![A-Za-z]:|%)", "", text)


def _without_blocks(lines: list[str]) -> Iterator[str]:
    """The lines that are not of %%begintext ... %%endtext and the like. Raises BadMusic for a block
    that does not end."""
    kind = ""  # of the block that is open
    for line in lines:
        block = _BLOCK.match(line)
        if kind:
            if re.match(rf"%%\s*end{kind}\b", line):
                kind = ""
        elif block:
            kind = block[1]
        else:
            yield line
    if kind:
        raise BadMusic(f"holds %%begin{kind} without %%end{kind}")


def lines(text: str) -> Iterator[tuple[str, str]]:
    """(the letter of a field, its text), ("%", a directive), ("", music code), without comments, +:
    joined to what it goes on."""
    letter = ""
    parts: list[str] = []  # of what may go on in the next line
    for line in text.split("\n"):
        new_letter, new_text = _line(line)
        if new_letter == "+" and letter not in ("", "%", "+"):
            parts.append(new_text)
        elif new_letter or new_text:
            if parts:
                yield letter, " ".join(parts)
            letter = new_letter
            parts = [new_text]
    if parts:
        yield letter, " ".join(parts)


def _line(line: str) -> tuple[str, str]:
    """As `lines`, of one line; twice nothing for a comment."""
    if line.startswith("%%"):
        return "%", line[2:].strip()
    line = _COMMENT.sub("", line)
    field = _FIELD.match(line)
    if field and not _NOT_A_FIELD.match(line):
        return field[1], field[2].strip()
    if not line.strip():
        return "", ""
    return "", line


def looks_like_music(line: str) -> bool:
    """Whether a line holds a bar line and nothing but notes and the signs beside them."""
    return "|" in line and _MUSIC.fullmatch(line) is not None
