"""YAML as recipes use it: only plain data (never a Python object), the numbers of YAML 1.2 (1e-3 is
a number, `no` is a word, 010 is ten), and no key twice. Dumping is its inverse."""

import re
from typing import Any

import yaml

from genwright.core.errors import GenwrightError

_PLAIN = (  # YAML 1.2, section 10.3.2 (core schema)
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"the key {key.value!r} stands twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Quotes whatever YAML 1.1 or 1.2 would read as something else than text."""


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    """PyYAML would fold the line breaks of Unicode away, unless they stand in double quotes."""
    style = None
    if re.search("[\x85\u2028\u2029\ufeff]", text):
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _integer(loader: _Loader, node: yaml.ScalarNode) -> int:
    return int(node.value)  # 010 is ten


_Dumper.add_representer(str, _text)
_Loader.add_constructor("tag:yaml.org,2002:int", _integer)
for _tag, _pattern, _first in _PLAIN:
    for _cls in (_Loader, _Dumper):
        _cls.add_implicit_resolver(
            f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), list(_first)
        )


def read_yaml(text: str, name: str) -> dict[str, Any]:
    """The mapping in a YAML text. name: what to call it in errors. Raises GenwrightError with the
    line."""
    try:
        values = _Loader(text).get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise GenwrightError(
            f"{name}{line}: {error.problem or error.context}", "correct the YAML there"
        ) from None
    except (
        yaml.YAMLError,
        ValueError,
        LookupError,
        AttributeError,
        TypeError,
        RecursionError,
    ) as error:
        raise GenwrightError(
            f"{name} is not YAML that a recipe can hold ({type(error).__name__})",
            "write plain key: value lines",
        ) from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise GenwrightError(
            f"{name} holds no settings",
            "write key: value lines, for example `training: {steps: 500}`",
        )
    return values


def plain(text: str) -> bool | int | float | str | None:
    """What a text means where YAML has a plain scalar: a truth value, a number, nothing, or
    itself."""
    for kind, pattern, _ in _PLAIN:
        if re.fullmatch(pattern, text):
            return _meaning(kind, text)
    return text


def _meaning(kind: str, text: str) -> bool | int | float | str | None:
    if kind == "bool":
        return text.lower() == "true"
    if kind == "null":
        return None
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
    except ValueError:  # thousands of digits
        pass
    return text


class _FlowLoader(_Loader):
    """Leaves every scalar as the text that it is."""

    yaml_implicit_resolvers: dict[str, Any] = {}


def read_flow(text: str) -> Any:
    """A list in brackets or a mapping in braces, nested as it may be, whose scalars stay texts.
    Raises ValueError for what is none, for aliases, and where a comment would hide the end."""
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, _FlowLoader)):
            raise ValueError("aliases are not followed")
        loader = _FlowLoader(text)
        node = loader.get_single_node()
        if node is None or node.end_mark.index != len(text):
            raise ValueError("something follows the last bracket")
        return loader.construct_document(node)
    except (yaml.YAMLError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def write_yaml(values: dict[str, Any]) -> str:
    """YAML of plain data, in the order of its keys; `read_yaml` of it gives equal data."""
    return str(yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=140))
