"""The running interpreter's standard library, as code and as documentation: a corpus that is on
every machine, without a network."""

import ast
import sys
import sysconfig
import warnings
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from genwright.core.errors import GenwrightError
from genwright.core.registry import source
from genwright.data.cache import digest_of, publish
from genwright.data.scans import digests
from genwright.data.source_files import SourceFile, walk

# Installed packages are not the standard library; its tests are 60% of its text, full of data and
# deliberately broken files.
_PASSED_OVER = frozenset(
    {"site-packages", "dist-packages", "__pycache__", "test", "tests", "idle_test", "lib-dynload"}
)


@source("python-stdlib")
def library(
    paths: tuple[str, ...] = (), name: str = "", cache: Path | None = None
) -> list[SourceFile]:
    """The modules of the standard library, without its tests."""
    folder = sysconfig.get_path("stdlib")
    files = [file for file in walk(folder, _PASSED_OVER) if file.name.endswith(".py")]
    if not files:
        raise GenwrightError(
            f"{folder} holds no source of the standard library", "use data.source=files with a path"
        )
    return files


@source("python-docs")
def documentation(paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
    """The language reference's topics, and the docstrings of every module of the standard
    library."""
    modules = library()
    contents = digests([file.path for file in modules], cache)
    named = [(file.name, contents[file.path]) for file in modules]
    folder = cache / "sources" / f"python-docs-{digest_of(3, sys.version, named)[:16]}"
    if not folder.is_dir():
        publish(folder, partial(_write_docs, modules=modules))
    return list(walk(str(folder)))


def _write_docs(draft: Path, modules: list[SourceFile]) -> None:
    from pydoc_data.topics import topics

    documents = {f"topics/{topic}.txt": text for topic, text in topics.items()}
    for file in modules:
        name = file.name.removesuffix(".py")
        module = name.removesuffix("/__init__").replace("/", ".")
        documents[f"modules/{name}.txt"] = docstrings(Path(file.path).read_bytes(), module)
    for name, text in documents.items():
        if text:
            path = draft / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def docstrings(source: bytes, module: str) -> str:
    """A module's docstrings, each under the name and arguments of what it documents. The module is
    parsed, not imported."""
    try:
        # a stray backslash in somebody's string is not the user's concern
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    # a template or a file for another version: no documentation in it
    except (SyntaxError, ValueError):
        return ""
    text = "\n\n".join(_entries(tree, module))
    return text.encode("utf-8", "ignore").decode()


def _entries(
    node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, name: str
) -> Iterator[str]:
    """The docstrings of a node and of what is defined in it."""
    heading = name
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        heading += f"({ast.unparse(node.args)})"
    text = ast.get_docstring(node)
    if text and text.strip():
        yield f"{heading}\n\n{text}\n"
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _entries(child, f"{name}.{child.name}")
