"""How dense the pages of a package are, by room: information for whoever writes, not a gate.

    python tools/density.py [FOLDER ...]

For each room (a folder directly below, contents' rooms by themselves): files, lines, code lines
(neither blank, comment nor docstring), expressions a code line and a statement (nodes of the
syntax tree; by statement formatting changes nothing), the length of lines at the 90th percentile,
and nested comprehensions, conditional expressions and tuple assignments in 1,000 code lines.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
NOT_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENCODING,
    tokenize.ENDMARKER,
}


@dataclass
class Density:
    """What was counted of some files. widths: characters of each code line."""

    files: int = 0
    lines: int = 0
    expressions: int = 0
    statements: int = 0
    nested: int = 0
    conditionals: int = 0
    tuples: int = 0
    widths: list[int] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Counts one file."""
        tree = ast.parse(text)
        docstrings = set(_docstring_lines(tree))
        rows = text.splitlines()
        self.files += 1
        self.lines += len(rows)
        self.widths += [len(rows[line - 1]) for line in _code_lines(text) - docstrings]
        for node in ast.walk(tree):
            self.expressions += isinstance(node, ast.expr)
            self.statements += isinstance(node, ast.stmt)
            self.conditionals += isinstance(node, ast.IfExp)
            self.tuples += _assigns_a_tuple(node)
            if isinstance(node, COMPREHENSIONS):
                inner = (other for other in ast.walk(node) if other is not node)
                self.nested += any(isinstance(other, COMPREHENSIONS) for other in inner)

    def row(self, name: str) -> str:
        """One line of the table."""
        code = max(1, len(self.widths))
        thousand = 1000 / code
        width = sorted(self.widths)[int(0.9 * (len(self.widths) - 1))] if self.widths else 0
        return (
            f"{name:<18}{self.files:>6}{self.lines:>8,}{len(self.widths):>8,}"
            f"{self.expressions / code:>8.1f}{self.expressions / max(1, self.statements):>8.1f}"
            f"{width:>6}{self.nested * thousand:>8.1f}{self.conditionals * thousand:>8.1f}"
            f"{self.tuples * thousand:>8.1f}"
        )


HEAD = (
    f"{'room':<18}{'files':>6}{'lines':>8}{'code':>8}{'x/line':>8}{'x/stmt':>8}{'p90':>6}"
    f"{'nested':>8}{'if-else':>8}{'tuples':>8}"
)


def _code_lines(text: str) -> set[int]:
    """The numbers of lines that hold code."""
    found: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            found.update(range(token.start[0], token.end[0] + 1))
    return found


def _docstring_lines(tree: ast.AST) -> Iterator[int]:
    """The numbers of lines of strings that stand alone: docstrings of modules, classes, functions
    and fields."""
    for node in ast.walk(tree):
        alone = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if alone and isinstance(node.value.value, str):  # type: ignore[attr-defined]
            last = node.end_lineno or node.lineno  # type: ignore[attr-defined]
            yield from range(node.lineno, last + 1)  # type: ignore[attr-defined]


def _assigns_a_tuple(node: ast.AST) -> bool:
    """`a, b = x, y`: two things in one step."""
    if not isinstance(node, ast.Assign) or len(node.targets) != 1:
        return False
    return isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple)


def room_of(path: Path, folder: Path) -> str:
    """The room that a file is in; "." for files of the folder itself."""
    parts = path.relative_to(folder).parts[:-1]
    if not parts:
        return "."
    return "/".join(parts[:2]) if parts[0] == "contents" and len(parts) > 1 else parts[0]


def table(folder: Path) -> str:
    """The density of a package's rooms and of all of it."""
    rooms: dict[str, Density] = {}
    whole = Density()
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        rooms.setdefault(room_of(path, folder), Density()).add(text)
        whole.add(text)
    rows = [found.row(name) for name, found in sorted(rooms.items())]
    return "\n".join([HEAD, *rows, whole.row("all")])


if __name__ == "__main__":
    for name in sys.argv[1:] or ["src/genwright"]:
        print(f"{name}\n{table(Path(name))}\n")
