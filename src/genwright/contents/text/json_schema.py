"""A part of JSON Schema (draft 2020-12) that needs no package: the keywords below, for values that
`json` reads.

    type enum const                                   of any value
    properties required additionalProperties          of an object
      minProperties maxProperties
    items minItems maxItems uniqueItems               of an array
    minLength maxLength pattern                       of a string
    minimum maximum exclusiveMinimum exclusiveMaximum multipleOf    of a number
    allOf anyOf oneOf not                             schemas joined

A schema may be true or false. Words for people (title, description and the like) are passed over;
any other keyword is refused, since a schema that is half read is not held to.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from genwright.core.errors import GenwrightError

FOR_PEOPLE = frozenset(
    {"$schema", "$id", "$comment", "title", "description", "default", "examples"}
)
_OF_MEMBERS = frozenset({"properties", "additionalProperties"})  # which go together
_MANY_DIGITS = 4000  # of a whole number, from which on it is read as a float

Check = Callable[[Any], bool]


class NotJson(ValueError):
    """A text is no JSON."""


def read(text: str) -> Any:
    """The value of a JSON text. Raises NotJson."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_whole_number)
    except (ValueError, RecursionError) as error:
        raise NotJson(str(error)) from error


def _refuse(name: str) -> None:
    """NaN and the infinities, which Python reads and JSON does not know."""
    raise NotJson(f"{name} is no JSON")


def _whole_number(digits: str) -> int | float:
    return float(digits) if len(digits) > _MANY_DIGITS else int(digits)


def compiled(schema: Any, where: str = "the schema") -> Check:
    """What says whether a value fits a schema. where: what messages call it. Raises GenwrightError
    for a keyword that is not known here, and for one that is misused."""
    if isinstance(schema, bool):
        return lambda value: schema
    if not isinstance(schema, Mapping):
        raise _misused(where, schema, "a mapping, true or false")
    checks = []
    for keyword, wanted in schema.items():
        if keyword in FOR_PEOPLE or keyword in _OF_MEMBERS:
            continue
        if keyword not in _KEYWORDS:
            known = ", ".join(sorted({*_KEYWORDS, *_OF_MEMBERS}))
            raise GenwrightError(f"{where} has {keyword!r}, which is not known", f"known: {known}")
        checks.append(_KEYWORDS[keyword](wanted, f"{where}.{keyword}"))
    if not _OF_MEMBERS.isdisjoint(schema):
        checks.append(_members(schema, where))
    return _all_of(checks)


def _all_of(checks: list[Check]) -> Check:
    def fits(value: Any) -> bool:
        return all(check(value) for check in checks)

    return fits


def _misused(where: str, value: Any, wanted: str) -> GenwrightError:
    return GenwrightError(f"{where} is {value!r}", f"give {wanted}")


# ---- any value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    if not _is_number(value):
        return False
    return isinstance(value, int) or value.is_integer()


TYPES: dict[str, Check] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_whole,
    "number": _is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _type(wanted: Any, where: str) -> Check:
    names = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(names, list | tuple) or not names or not all(n in TYPES for n in names):
        raise _misused(where, wanted, f"one or several of {', '.join(TYPES)}")
    checks = [TYPES[name] for name in names]
    return lambda value: any(check(value) for check in checks)


def same(left: Any, right: Any) -> bool:
    """Whether two JSON values are equal: true is not 1, and 1 is 1.0."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, list) and isinstance(right, list):
        if len(left) != len(right):
            return False
        return all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        if left.keys() != right.keys():
            return False
        return all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def _enum(wanted: Any, where: str) -> Check:
    if not isinstance(wanted, list | tuple):
        raise _misused(where, wanted, "a list of values")
    allowed = list(wanted)
    return lambda value: any(same(value, each) for each in allowed)


def _const(wanted: Any, where: str) -> Check:
    return lambda value: same(value, wanted)


# ---- numbers


def _bound(holds: Callable[[Any, Any], bool]) -> Callable[[Any, str], Check]:
    """A keyword that compares a number with another one."""

    def keyword(wanted: Any, where: str) -> Check:
        if not _is_number(wanted):
            raise _misused(where, wanted, "a number")
        return lambda value: not _is_number(value) or holds(value, wanted)

    return keyword


def _multiple_of(wanted: Any, where: str) -> Check:
    if not _is_number(wanted) or wanted <= 0:
        raise _misused(where, wanted, "a number above 0")
    step = Fraction(str(wanted))

    def fits(value: Any) -> bool:
        if not _is_number(value):
            return True
        if not math.isfinite(value):
            return False
        return (Fraction(str(value)) / step).denominator == 1

    return fits


# ---- sizes of strings, arrays and objects


def _size(of: type, holds: Callable[[int, int], bool]) -> Callable[[Any, str], Check]:
    """A keyword that bounds how many characters, items or members there are."""

    def keyword(wanted: Any, where: str) -> Check:
        if not _is_whole(wanted) or wanted < 0:
            raise _misused(where, wanted, "a whole number from 0 on")
        return lambda value: not isinstance(value, of) or holds(len(value), int(wanted))

    return keyword


def _at_least(found: Any, wanted: Any) -> bool:
    return bool(found >= wanted)


def _at_most(found: Any, wanted: Any) -> bool:
    return bool(found <= wanted)


def _above(found: Any, wanted: Any) -> bool:
    return bool(found > wanted)


def _below(found: Any, wanted: Any) -> bool:
    return bool(found < wanted)


def _pattern(wanted: Any, where: str) -> Check:
    try:
        expression = re.compile(wanted)
    except (re.error, TypeError, OverflowError, RecursionError):
        raise _misused(where, wanted, "a regular expression") from None
    return lambda value: not isinstance(value, str) or expression.search(value) is not None


# ---- arrays and objects


def _items(wanted: Any, where: str) -> Check:
    item = compiled(wanted, where)
    return lambda value: not isinstance(value, list) or all(item(each) for each in value)


def _unique_items(wanted: Any, where: str) -> Check:
    if not isinstance(wanted, bool):
        raise _misused(where, wanted, "true or false")

    def fits(value: Any) -> bool:
        if not wanted or not isinstance(value, list):
            return True
        for place, item in enumerate(value):
            if any(same(item, other) for other in value[:place]):
                return False
        return True

    return fits


def _required(wanted: Any, where: str) -> Check:
    if not isinstance(wanted, list | tuple) or not all(isinstance(n, str) for n in wanted):
        raise _misused(where, wanted, "a list of names")
    names = list(wanted)
    return lambda value: not isinstance(value, dict) or all(name in value for name in names)


def _members(schema: Mapping[str, Any], where: str) -> Check:
    """Of `properties`, the members that are named; of `additionalProperties`, the others."""
    named = schema.get("properties", {})
    if not isinstance(named, Mapping):
        raise _misused(f"{where}.properties", named, "a schema for each name")
    checks = {name: compiled(part, f"{where}.properties.{name}") for name, part in named.items()}
    others = compiled(schema.get("additionalProperties", True), f"{where}.additionalProperties")

    def fits(value: Any) -> bool:
        if not isinstance(value, dict):
            return True
        for name, member in value.items():
            check = checks.get(name, others)
            if not check(member):
                return False
        return True

    return fits


# ---- schemas joined


def _joined(fits: Callable[[int, int], bool]) -> Callable[[Any, str], Check]:
    """A keyword of several schemas. fits: (how many a value fits, how many there are) -> bool."""

    def keyword(wanted: Any, where: str) -> Check:
        if not isinstance(wanted, list | tuple) or not wanted:
            raise _misused(where, wanted, "a list of schemas")
        parts = [compiled(part, f"{where}[{number}]") for number, part in enumerate(wanted)]

        def check(value: Any) -> bool:
            fitting = sum(1 for part in parts if part(value))
            return fits(fitting, len(parts))

        return check

    return keyword


def _every(fitting: int, count: int) -> bool:
    return fitting == count


def _some(fitting: int, count: int) -> bool:
    return fitting > 0


def _one(fitting: int, count: int) -> bool:
    return fitting == 1


def _not(wanted: Any, where: str) -> Check:
    inner = compiled(wanted, where)
    return lambda value: not inner(value)


_KEYWORDS: dict[str, Callable[[Any, str], Check]] = {
    "type": _type,
    "enum": _enum,
    "const": _const,
    "minimum": _bound(_at_least),
    "maximum": _bound(_at_most),
    "exclusiveMinimum": _bound(_above),
    "exclusiveMaximum": _bound(_below),
    "multipleOf": _multiple_of,
    "minLength": _size(str, _at_least),
    "maxLength": _size(str, _at_most),
    "pattern": _pattern,
    "items": _items,
    "minItems": _size(list, _at_least),
    "maxItems": _size(list, _at_most),
    "uniqueItems": _unique_items,
    "required": _required,
    "minProperties": _size(dict, _at_least),
    "maxProperties": _size(dict, _at_most),
    "allOf": _joined(_every),
    "anyOf": _joined(_some),
    "oneOf": _joined(_one),
    "not": _not,
}
