"""Declared targets: which share each group should have.

--target uniform                                all groups of the data as often
--target data                                   of a model: as in its training data
--target gender=woman:0.5|man:0.5,tone=uniform  each grouping by name
--target 'folder="a, b":0.5|c:0.5'                 names with , | : or = in quotation marks
--target target.yaml                            the same as a mapping: {gender: {woman: .5}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from genwright.core.errors import GenwrightError, did_you_mean, in_words
from genwright.core.shares import UNIFORM, read_shares

DATA = "data"  # of a model: what its training data hold
SUFFIXES = (".yaml", ".yml", ".json")
QUOTE = '"'
REMEDY = "write uniform, or GROUPING=GROUP:SHARE|GROUP:SHARE,GROUPING=uniform, or a YAML file"

Target = Mapping[str, float]  # group -> share, of sum 1
Wanted = str | Mapping[str, Any]  # "uniform", or grouping -> "uniform" or shares


def read_target(words: str) -> Wanted:
    """What a person wrote behind --target. Raises GenwrightError."""
    if words in (UNIFORM, DATA):
        return words
    if Path(words).suffix.lower() in SUFFIXES:
        return _from_file(words)
    found: dict[str, Any] = {}
    for word in _parted(words, ","):
        name, value = _first_parted(word, "=")
        name = _unquoted(name)
        if not name or not value:
            raise GenwrightError(f"{word!r} is no target", REMEDY)
        if name in found:
            raise GenwrightError(f"{name} has two targets", "leave one of them out")
        found[name] = value.strip() if value.strip() == UNIFORM else _shares(name, value)
    return found


def _shares(name: str, value: str) -> dict[str, float]:
    shares = {}
    for part in _parted(value, "|"):
        *before, share = _parted(part, ":")
        group = _unquoted(":".join(before))
        try:
            number = float(share)
        except ValueError:
            number = math.nan
        if not before or math.isnan(number):
            raise GenwrightError(f"{part!r} is no share of a group of {name}", REMEDY)
        if group in shares:
            raise GenwrightError(f"{group} has two shares in {name}", "leave one out")
        shares[group] = number
    return shares


def _parted(words: str, sign: str) -> list[str]:
    """Words apart at a sign, but where it stands between quotation marks. Raises GenwrightError
    for a quotation that does not end."""
    parts = [""]
    quoted = False
    for letter in words:
        if letter == QUOTE:
            quoted = not quoted
        if letter == sign and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    if quoted:
        raise GenwrightError(f"in {words!r} a quotation does not end", REMEDY)
    return parts


def _first_parted(words: str, sign: str) -> tuple[str, str]:
    """What stands before the first sign outside of quotations, and what behind it; ("", "") where
    there is none."""
    first, *rest = _parted(words, sign)
    if not rest:
        return "", ""
    return first, sign.join(rest)


def _unquoted(name: str) -> str:
    """A name without its quotation marks; two of them within are one."""
    name = name.strip()
    if len(name) < 2 or not name.startswith(QUOTE) or not name.endswith(QUOTE):
        return name
    return name[1:-1].replace(2 * QUOTE, QUOTE)


def _from_file(path: str) -> Mapping[str, Any]:
    try:
        found = yaml.safe_load(Path(path).expanduser().read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as problem:
        raise GenwrightError(
            f"{path} cannot be read as a target ({in_words(problem)})", REMEDY
        ) from problem
    if not isinstance(found, dict) or not found:
        raise GenwrightError(f"{path} holds no targets", REMEDY)
    return {str(name): value for name, value in found.items()}


def target_of(wanted: Wanted, name: str, groups: Sequence[str]) -> Target | None:
    """The target of a grouping; None where none is declared for it. groups: that the data have.
    Raises GenwrightError for shares that are none, that do not sum to 1, or of a group that the
    data lack."""
    if not groups:
        return None
    if wanted == DATA:
        raise GenwrightError(
            "the target is data, and it is the data that are audited",
            "declare another target, or audit a run",
        )
    value = wanted
    if not isinstance(wanted, str):
        if name not in wanted:
            return None
        value = wanted[name]
    if value == UNIFORM:
        return {group: 1 / len(groups) for group in groups}
    return checked(value, name, groups)


def checked(value: Any, name: str, groups: Sequence[str]) -> Target:
    """Shares as a target; groups that it does not name have a share of 0. Raises GenwrightError."""
    return read_shares(value, f"the target of {name}", groups, REMEDY)


def check_names(wanted: Wanted, names: Sequence[str]) -> None:
    """Raises GenwrightError for a target of a grouping that is not audited."""
    if isinstance(wanted, str):
        return
    for name in wanted:
        if name not in names:
            raise GenwrightError(
                f"there is a target of {name}, which is not among the groups that are audited",
                f"{did_you_mean(name, names)}; or add it to --groups",
            )
