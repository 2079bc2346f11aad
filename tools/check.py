"""The house rules that no linter knows: nothing executable is ever read back, and sizes that a
reader can take in.

Run by `make check`. Errors: a forbidden name that is called or imported; `allow_pickle` or
`trust_remote_code` given anything but False; a benchmark that cannot be imported. Warnings: a file
over 400 lines, a function over 60. The size of the package is printed, and has no limit. Names are
read from the syntax tree, so that a comment or a docstring may speak of them.
"""

from __future__ import annotations

import ast
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path

from density import table

FILE_LINES, FUNCTION_LINES = 400, 60
MODULES = {
    "pickle",
    "cPickle",
    "_pickle",
    "dill",
    "cloudpickle",
    "joblib",
    "shelve",
    "marshal",
    "jsonpickle",
}
CALLS = {"eval", "exec", "compile", "__import__"}
ATTRIBUTES = {
    "torch": {"load", "hub"},
    "yaml": {
        "load",
        "load_all",
        "full_load",
        "unsafe_load",
        "Loader",
        "FullLoader",
        "UnsafeLoader",
        "CLoader",
    },
    "pandas": {"read_pickle"},
    "pd": {"read_pickle"},
    "builtins": CALLS,
    "torch.distributed": {
        "broadcast_object_list",
        "scatter_object_list",
        "all_gather_object",
        "gather_object",
        "recv_object_list",
    },
    "dist": {
        "broadcast_object_list",
        "scatter_object_list",
        "all_gather_object",
        "gather_object",
        "recv_object_list",
    },
}
MUST_BE_FALSE = {"allow_pickle", "trust_remote_code"}


def dotted(node: ast.expr) -> str:
    """`torch.distributed.x` of an attribute chain; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    inner = dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner and isinstance(node, ast.Attribute) else ""


def executable(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, what) wherever a syntax tree could run what it reads."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, f"import {name.name}")
                for name in node.names
                if name.name.split(".")[0] in MODULES
            )
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            for name in node.names:
                if module.split(".")[0] in MODULES or name.name in ATTRIBUTES.get(module, ()):
                    yield node.lineno, f"from {module} import {name.name}"
        elif isinstance(node, ast.Attribute) and node.attr in ATTRIBUTES.get(
            dotted(node.value), ()
        ):
            yield node.lineno, dotted(node)
        elif (
            isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in CALLS
        ):
            yield node.lineno, f"{node.func.id}()"
        if isinstance(node, ast.Call):
            for word in node.keywords:
                if word.arg in MUST_BE_FALSE and not (
                    isinstance(word.value, ast.Constant) and word.value.value is False
                ):
                    yield node.lineno, f"{word.arg} is not False"


def long_functions(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, warning) of each function over FUNCTION_LINES, decorators not counted."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield (
                    node.lineno,
                    f"{node.name} has {lines} lines; over {FUNCTION_LINES} wants splitting",
                )


def check(folder: Path) -> tuple[list[str], list[str], int]:
    """(errors, warnings, lines) of every Python file in a folder."""
    errors, warnings, total = [], [], 0
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        total += lines
        if lines > FILE_LINES:
            warnings.append(f"{path}: {lines} lines; over {FILE_LINES} wants splitting")
        tree = ast.parse(text, str(path))
        errors += [
            f"{path}:{line}: {what}: nothing executable may be read back"
            for line, what in executable(tree)
        ]
        warnings += [f"{path}:{line}: {what}" for line, what in long_functions(tree)]
    return errors, warnings, total


IMPORT = """
import importlib, sys
folder, *names = sys.argv[1:]
sys.path.insert(0, folder)
for name in names:
    try:
        importlib.import_module(name)
    except BaseException as error:
        print(f"{name}.py: cannot be imported ({type(error).__name__}: {error})")
"""


def not_importable(folder: Path) -> list[str]:
    """Why files of a folder of scripts cannot be imported, a line each; they are imported in a
    process of their own."""
    names = sorted(path.stem for path in folder.glob("*.py"))
    done = subprocess.run(
        [sys.executable, "-c", IMPORT, str(folder), *names], capture_output=True, text=True
    )
    if done.returncode:
        return [f"{folder}: its files cannot be imported: {done.stderr.strip()[-500:]}"]
    return [f"{folder}/{line}" for line in done.stdout.splitlines() if "cannot be imported" in line]


def broken_imports() -> list[str]:
    """What the contracts of rooms (`tool.importlinter` in pyproject.toml) forbid, as printed by
    import-linter; and circles of files, of which there may be none."""
    from importlinter.cli import lint_imports

    said = io.StringIO()
    with redirect_stdout(said):
        code = lint_imports(no_cache=True, no_logo=True)
    errors = [] if code == 0 else [f"import-linter:\n{said.getvalue().strip()}"]
    return errors + [f"a circle of files: {' -> '.join(names)}" for names in circles()]


def circles(package: str = "genwright") -> list[list[str]]:
    """The files of a package that import each other, each in one list; imports for type checkers
    count too."""
    import grimp

    graph = grimp.build_graph(package, cache_dir=None)
    reached = {name: set(graph.find_upstream_modules(name)) for name in graph.modules}
    found: dict[str, list[str]] = {}
    for name in sorted(graph.modules):
        others = sorted(other for other in reached[name] if name in reached[other])
        if others:
            together = sorted([name, *others])
            found[together[0]] = together
    return list(found.values())


def main(folder: str = "src/genwright", scripts: str = "benchmarks") -> int:
    """Prints what is found; gives the status to exit with: 1 where there are errors."""
    errors, warnings, total = check(Path(folder))
    errors += not_importable(Path(scripts))
    if Path(folder).name == "genwright":
        errors += broken_imports()
    for text in warnings:
        print(f"warning: {text}")
    for text in errors:
        print(f"error: {text}")
    print(table(Path(folder)))
    print(f"{folder}: {total:,} lines, {len(errors)} errors, {len(warnings)} warnings")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
