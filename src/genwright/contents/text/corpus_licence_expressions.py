"""SPDX licence expressions (annex D of the SPDX specification 2.3): read, written the same way, and
weighed against a list of licences that are allowed.

    expression = term {OR term};  term = factor {AND factor}
    factor = identifier [WITH exception] | (expression)

AND binds closer than OR. Letters' case does not matter in identifiers; GPL-2.0 and GPL-2.0+ of
older lists are GPL-2.0-only and GPL-2.0-or-later.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

LENGTH = 500  # characters of an expression that are read
_TOKEN = re.compile(r"\s*(\(|\)|[A-Za-z0-9][A-Za-z0-9.\-+:]*)")
_OPERATORS = ("AND", "OR", "WITH")
_OLD = re.compile(r"((?:A|L)?GPL-[0-9.]+|GFDL-[0-9.]+)(\+?)", re.IGNORECASE)
_SMALL = ("mit", "isc", "zlib", "curl", "unlicense")
_LATER = ("-or-later", "+")


@dataclass(frozen=True)
class Licence:
    """An identifier, with its exception; or parts that are joined. joined: "", "AND" or "OR"."""

    name: str = ""
    exception: str = ""
    joined: str = ""
    parts: tuple[Licence, ...] = ()

    def __str__(self) -> str:
        if not self.joined:
            return f"{self.name} WITH {self.exception}" if self.exception else self.name
        written = []
        for part in self.parts:
            needs_brackets = self.joined == "AND" and part.joined == "OR"
            written.append(f"({part})" if needs_brackets else str(part))
        return f" {self.joined} ".join(written)

    def is_allowed(self, allowed: Collection[str]) -> bool:
        """Whether a person who may use these licences may use this. allowed: as of `folded`. Of
        several with OR one is enough; with AND all are needed. An exception only permits more. Who
        may use version 2 may use version 2 or later."""
        if self.joined == "AND":
            return all(part.is_allowed(allowed) for part in self.parts)
        if self.joined == "OR":
            return any(part.is_allowed(allowed) for part in self.parts)
        name = folded(self.name)
        if name in allowed:
            return True
        for ending in _LATER:
            base = name.removesuffix(ending)
            if base != name and (base in allowed or f"{base}-only" in allowed):
                return True
        return False


def folded(name: str) -> str:
    """An identifier as it is compared: small letters, the newer of two names."""
    return newer(name).lower()


def newer(name: str) -> str:
    """An identifier of an older list by the name it has now."""
    old = _OLD.fullmatch(name)
    if old is None:
        return name
    return old.group(1) + ("-or-later" if old.group(2) else "-only")


def read(text: str) -> Licence | None:
    """The expression that a text begins with, what follows it left out; None where it begins with
    none."""
    tokens = []
    at = 0
    while match := _TOKEN.match(text, at, LENGTH):
        tokens.append(match.group(1))
        at = match.end()
    licence, _ = _alternatives(tokens, 0)
    return licence


def _alternatives(tokens: Sequence[str], at: int) -> tuple[Licence | None, int]:
    """The expression at a token, and where it ends."""
    return _joined(tokens, at, "OR")


def _joined(tokens: Sequence[str], at: int, operator: str) -> tuple[Licence | None, int]:
    parts: list[Licence] = []
    while True:
        if operator == "OR":
            part, after = _joined(tokens, at, "AND")
        else:
            part, after = _factor(tokens, at)
        if part is None:  # an operator with nothing behind it: the text goes on otherwise
            at = max(at - 1, 0) if parts else at
            break
        parts.append(part)
        at = after
        if at >= len(tokens) or tokens[at].upper() != operator:
            break
        at += 1
    if not parts:
        return None, at
    if len(parts) == 1:
        return parts[0], at
    return Licence(joined=operator, parts=tuple(parts)), at


def _factor(tokens: Sequence[str], at: int) -> tuple[Licence | None, int]:
    if at >= len(tokens):
        return None, at
    token = tokens[at]
    if token == "(":
        inner, after = _alternatives(tokens, at + 1)
        if inner is None or after >= len(tokens) or tokens[after] != ")":
            return None, at
        return inner, after + 1
    if token == ")" or token.upper() in _OPERATORS or not _is_identifier(token):
        return None, at
    name = newer(token.rstrip(".:-"))
    has_exception = at + 2 < len(tokens) and tokens[at + 1].upper() == "WITH"
    if has_exception and _is_identifier(tokens[at + 2]):
        return Licence(name, tokens[at + 2]), at + 3
    return Licence(name), at + 1


def _is_identifier(token: str) -> bool:
    """Whether this may be a licence and is no word of a sentence: with a capital or a digit, as
    all but a few have, or one of those that are often written without."""
    return token in _SMALL or any(sign.isupper() or sign.isdigit() for sign in token)
