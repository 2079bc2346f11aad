"""Text of ABC fields as it is to be shown: accents and signs that are written in ASCII (ABC 2.1,
8.2).

Three spellings: mnemonics (`\\'e`, `\\"o`, `\\cc`, `\\ss`), named entities (`&eacute;`), and code
points (`\\u00e9`). What is none of them stays as it is written.
"""

import re
import unicodedata
from html.entities import html5

_ACCENTS = {  # mnemonic -> combining character
    "`": "\u0300",
    "'": "\u0301",
    "^": "\u0302",
    "~": "\u0303",
    '"': "\u0308",
    "c": "\u0327",
    "u": "\u0306",
    "v": "\u030c",
    "H": "\u030b",
    "=": "\u0304",
    ";": "\u0328",
    ".": "\u0307",
}
_LETTERS = {
    "AA": "Å",
    "aa": "å",
    "AE": "Æ",
    "ae": "æ",
    "OE": "Œ",
    "oe": "œ",
    "/O": "Ø",
    "/o": "ø",
    "ss": "ß",
    "DH": "Ð",
    "dh": "ð",
    "TH": "Þ",
    "th": "þ",
}
_SPELLING = re.compile(
    r"""
      \\u (?P<four> [0-9A-Fa-f]{4} )
    | \\U (?P<eight> [0-9A-Fa-f]{8} )
    | \\ (?P<sign> [\\%&] )
    | \\ (?P<letters> AA|aa|AE|ae|OE|oe|/O|/o|ss|DH|dh|TH|th )
    | \\ (?P<accent> [`'^~"cuvH=;.] ) (?P<letter> [A-Za-z] )
    | (?P<entity> &[A-Za-z]{2,8}; )
    """,
    re.VERBOSE,
)


def shown(text: str) -> str:
    """The text with its accents and signs."""
    return _SPELLING.sub(_sign, text)


def _sign(match: re.Match[str]) -> str:
    """The sign that a spelling stands for; the spelling itself where it stands for none."""
    found = match.groupdict()
    code = found["four"] or found["eight"]
    if code:
        number = int(code, 16)
        return chr(number) if _is_printed(number) else match[0]
    if found["sign"]:
        return found["sign"]
    if found["letters"]:
        return _LETTERS[found["letters"]]
    if found["entity"]:
        return html5.get(match[0][1:], match[0])
    accented = unicodedata.normalize("NFC", found["letter"] + _ACCENTS[found["accent"]])
    if len(accented) > 1:  # Unicode has no such letter
        return match[0]
    return accented


def _is_printed(number: int) -> bool:
    """Whether a code point is a character and none that controls a terminal."""
    is_surrogate = 0xD800 <= number < 0xE000
    return 32 <= number <= 0x10FFFF and not is_surrogate
