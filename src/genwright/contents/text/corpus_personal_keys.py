"""Keys, tokens and passwords that programs prove with who they are.

1. Marks that a provider puts at the beginning of keys so that they are found: AWS, GitHub, GitLab,
   Slack, Google, Stripe, and others; the forms are those of their documentation.
2. Blocks of private keys (RFC 7468, PEM; OpenSSH; OpenPGP), and JSON Web Tokens (RFC 7519), whose
   first part must decode to an object that names an algorithm.
3. Passwords in addresses (scheme://user:password@host), but for words that stand for one.
4. Values without such a mark, with care: the name before = or : says that it is a secret, it is
   long, mixed of letters and digits as words are not, and no UUID. A short password is not found.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator

from genwright.contents.text.corpus_personal_context import Hit

# text that every key of a kind contains, and the whole of it
_MARKED: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (mark, re.compile(pattern))
    for mark, pattern in (
        ("AKIA", r"AKIA[A-Z2-7]{16}(?![A-Za-z0-9])"),
        ("ASIA", r"ASIA[A-Z2-7]{16}(?![A-Za-z0-9])"),
        ("ghp_", r"ghp_[A-Za-z0-9]{36,251}"),
        ("gho_", r"gho_[A-Za-z0-9]{36,251}"),
        ("ghu_", r"ghu_[A-Za-z0-9]{36,251}"),
        ("ghs_", r"ghs_[A-Za-z0-9]{36,251}"),
        ("ghr_", r"ghr_[A-Za-z0-9]{36,251}"),
        ("github_pat_", r"github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
        ("glpat-", r"glpat-[\w-]{20,60}"),
        ("xox", r"xox[abeoprs]-(?:[0-9A-Za-z]+-)+[0-9A-Za-z]{8,}"),
        ("xapp-", r"xapp-[0-9]-[A-Z0-9]+-[0-9]+-[0-9a-f]{32,}"),
        (
            "hooks.slack.com",
            r"hooks\.slack\.com/(?:services|workflows)/T[A-Z0-9]{6,}/[AB][A-Z0-9]{6,}/[A-Za-z0-9/]{16,}",
        ),
        ("AIza", r"AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
        ("GOCSPX-", r"GOCSPX-[0-9A-Za-z_-]{28}"),
        ("ya29.", r"ya29\.[0-9A-Za-z_-]{20,}"),
        ("_live_", r"(?:sk|rk|pk)_live_[0-9A-Za-z]{24,}"),
        ("_test_", r"(?:sk|rk)_test_[0-9A-Za-z]{24,}"),
        ("sk-", r"sk-(?:[a-z]+[0-9]*-)*(?=[\w-]*[0-9])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{32,}"),
        ("hf_", r"hf_[A-Za-z]{34}(?![A-Za-z0-9])"),
        ("npm_", r"npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])"),
        ("pypi-", r"pypi-AgEI[\w-]{50,}"),
        ("SG.", r"SG\.[\w-]{22}\.[\w-]{43}"),
        (":AA", r"[0-9]{8,10}:AA[\w-]{33}(?![\w-])"),
    )
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?P<name>(?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?)-----"
    r"(?P<body>[A-Za-z0-9+/=\s\\:,.()-]{40,}?)(?:-----END (?P=name)-----|\Z|(?=-----)|(?=[\"'`]))"
)
_LINE_OF_KEY = re.compile(r"[A-Za-z0-9+/]{40}")
_TOKEN = re.compile(r"eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]*(?:\.[\w-]+){0,2}")
_IN_ADDRESS = re.compile(
    r"://(?P<user>[^\s:/@<>\"'`?#\[\](){}]{1,64}):(?P<word>[^\s/@<>\"'`]{4,99})@(?=[A-Za-z0-9\[])"
)
_STANDS_FOR = re.compile(
    r"[$%{}\[\]*\\|()]|\.\.\.|x{3}|pass(?:w(?:or)?d)?$|pwd$|secret$|token$|(?:your|my|some|the)[_-]?\w+"
    r"|key$|user(?:name)?$|foo|bar$|test$|example|guest$|changeme|p@|[0-9]{1,5}$",
    re.IGNORECASE,
)
_VALUE = re.compile(
    r"[=:]>?[ \t]*(?:Bearer |Basic |token )?[\"'`]?"
    r"(?P<value>[A-Za-z0-9+/_\-.~]{16,4096}(?:==?(?![A-Za-z0-9]))?)"
)
_SECRET = re.compile(
    r"(?:secret|token|passw(?:or)?d|passphrase|pwd|api[-_ ]?key|access[-_ ]?key(?:[-_ ]?id)?|"
    r"(?:private|secret|account|auth|signing|encryption)[-_ ]?key|credentials?|authorization)"
    r"(?:[-_ ]?(?:key|value|base64|prod|dev|live|test|v?[0-9]+)){0,3}[\"'`\])]{0,2}[ \t]*$",
    re.IGNORECASE,
)
# names of what is no secret: digests, words of a vocabulary, places in a list, numbers of a request
_NO_SECRET = re.compile(
    r"hash|digest|checksum|sha[0-9]|md5|fingerprint|public|tokeni[sz]|"
    r"(?:page|next|continuation|sync|cursor|forward|backward|previous|marker|csrf|special|pad|eos|"
    r"bos|unk|mask|client|request|creation|idempotency|purchase|import)[-_ ]?token",
    re.IGNORECASE,
)
_UUID = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}", re.IGNORECASE)
_HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")  # as words of a name are parted
NAME_BEFORE = 48  # characters before a value in which its name stands


def keys(text: str) -> Iterator[Hit]:
    """Keys, tokens and passwords, in no order; they may overlap."""
    for mark, pattern in _MARKED:
        if mark in text:
            for match in pattern.finditer(text):
                if not _in_word(text, match.start()) and not _is_repeated(match.group()):
                    yield Hit(match.start(), match.end(), "key")
    if "PRIVATE KEY" in text:
        yield from _private_keys(text)
    if ".eyJ" in text:
        yield from _json_web_tokens(text)
    if "://" in text:
        yield from _passwords_in_addresses(text)
    yield from _named_values(text)


def _in_word(text: str, start: int) -> bool:
    return start > 0 and (text[start - 1].isalnum() or text[start - 1] == "_")


def _is_repeated(key: str) -> bool:
    """Whether a key is filled with one sign, as in a manual: ghp_xxxxxxxx."""
    return len(set(key[-12:])) < 4


def _private_keys(text: str) -> Iterator[Hit]:
    """Whole blocks; of one that is cut off, what is there."""
    for match in _PRIVATE_KEY.finditer(text):
        if _LINE_OF_KEY.search(match.group("body")):
            yield Hit(match.start(), match.end(), "key")


def _json_web_tokens(text: str) -> Iterator[Hit]:
    for match in _TOKEN.finditer(text):
        if not _in_word(text, match.start()) and _names_algorithm(match.group().split(".")[0]):
            yield Hit(match.start(), match.end(), "key")


def _names_algorithm(part: str) -> bool:
    """Whether the first part of a token is an object with "alg" (RFC 7515, 4.1.1)."""
    filled = part + "=" * (-len(part) % 4)
    try:
        header = json.loads(base64.urlsafe_b64decode(filled))
    except (binascii.Error, ValueError, RecursionError):
        return False
    return isinstance(header, dict) and "alg" in header


def _passwords_in_addresses(text: str) -> Iterator[Hit]:
    for match in _IN_ADDRESS.finditer(text):
        word = match.group("word")
        user = match.group("user")
        if word != user and not _STANDS_FOR.match(word) and not _STANDS_FOR.search(user):
            yield Hit(match.start("word"), match.end("word"), "key")


def _named_values(text: str) -> Iterator[Hit]:
    for match in _VALUE.finditer(text):
        value = match.group("value").rstrip(".-~")  # of the sentence
        if not _looks_drawn(value):
            continue
        name = text[max(0, match.start() - NAME_BEFORE) : match.start()].rpartition("\n")[2]
        if _SECRET.search(name) and not _NO_SECRET.search(name):
            yield Hit(match.start("value"), match.start("value") + len(value), "key")


def _looks_drawn(value: str) -> bool:
    """Whether a value looks drawn at random: long, of letters and digits that change as they do
    not in words, names and paths."""
    if len(value) < 16 or value.isdigit() or _UUID.search(value):
        return False
    joined = "".join(sign for sign in value if sign.isalnum())
    changes = sum(1 for _ in _PART.finditer(joined)) - 1
    kinds = len(set(value))
    if _HEXADECIMAL.fullmatch(value):
        return len(value) >= 32 and kinds >= 8 and changes >= len(value) / 6
    has_digits = any(sign.isdigit() for sign in joined)
    is_sure = has_digits and len(joined) >= 20
    return kinds >= 11 and changes >= len(joined) / (4 if is_sure else 3)
