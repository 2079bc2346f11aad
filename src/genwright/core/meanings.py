"""What a setting means: the docstring that stands under a field of a settings class.

It is read from the source when somebody asks. Pydantic would read it whenever a class is made
(`use_attribute_docstrings`), which takes 2 ms each, with every start of the program.
"""

import ast
import inspect
import sys
from functools import cache

from pydantic import BaseModel


def meaning(cls: type[BaseModel], name: str) -> str:
    """The help of a field: its description, or the docstring under it in the class that says its
    type; "" without one, or where there is no source."""
    described = cls.model_fields[name].description
    if described is not None:
        return described
    for base in cls.__mro__:
        if name in vars(base).get("__annotations__", {}):
            return _docstrings(base.__module__).get(base.__qualname__, {}).get(name, "")
    return ""


@cache
def _docstrings(module: str) -> dict[str, dict[str, str]]:
    """Class -> field -> docstring, of the classes of a module, by their qualified names."""
    try:
        source = inspect.getsource(sys.modules[module])
    except (OSError, TypeError, KeyError):
        return {}
    found: dict[str, dict[str, str]] = {}
    _collect(ast.parse(source), "", found)
    return found


def _collect(node: ast.AST, prefix: str, found: dict[str, dict[str, str]]) -> None:
    """Adds the classes inside a node. prefix: how their qualified names begin."""
    for inner in ast.iter_child_nodes(node):
        if isinstance(inner, ast.ClassDef):
            found[prefix + inner.name] = _of_fields(inner)
            _collect(inner, f"{prefix}{inner.name}.", found)
        elif isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef):
            _collect(inner, f"{prefix}{inner.name}.<locals>.", found)
        else:
            _collect(inner, prefix, found)


def _of_fields(node: ast.ClassDef) -> dict[str, str]:
    """Field -> the text that stands under it."""
    texts = {}
    for field, below in zip(node.body, node.body[1:], strict=False):
        if not isinstance(field, ast.AnnAssign) or not isinstance(field.target, ast.Name):
            continue
        if not isinstance(below, ast.Expr) or not isinstance(below.value, ast.Constant):
            continue
        if isinstance(below.value.value, str):
            texts[field.target.id] = inspect.cleandoc(below.value.value)
    return texts
