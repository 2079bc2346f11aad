"""Arithmetic on whole numbers, written as text: "12+34=46"."""

from __future__ import annotations

import ast
import re

_WRITTEN = re.compile(r"[0-9+\-*() ]{1,200}")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)")


def value_of(expression: str) -> int | None:
    """The value of whole numbers joined by + - * and parentheses, at most 200 characters; None for
    anything else. Nothing is executed: the text is parsed, and its operations are looked up."""
    if not _WRITTEN.fullmatch(expression):
        return None
    try:
        tree = ast.parse(expression.strip(), mode="eval")
        return _value(tree.body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> int:
    """Raises ValueError for another operation."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand)
    if isinstance(node, ast.BinOp):
        left = _value(node.left)
        right = _value(node.right)
        if isinstance(node.op, ast.Add):
            return left + right
        if isinstance(node.op, ast.Sub):
            return left - right
        if isinstance(node.op, ast.Mult):
            return left * right
    raise ValueError("this is no arithmetic that is known here")


def solution(prompt: str) -> str | None:
    """How the value is written that a prompt asks for, by its last line, which ends with "="
    ("12+34="); None where it asks for none."""
    line = prompt.rsplit("\n", 1)[-1].rstrip(" ")
    if not line.endswith("="):
        return None
    value = value_of(line[:-1])
    return None if value is None else str(value)


def number_written(text: str) -> str | None:
    """The whole number that is all of a text's first line, as it is written there; None where that
    is anything else."""
    line = text.split("\n", 1)[0].strip(" ")
    return line if _NUMBER.fullmatch(line) else None
