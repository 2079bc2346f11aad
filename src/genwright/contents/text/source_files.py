"""Text from a person's own files, or from a dataset of the Hugging Face hub."""

from pathlib import Path

from genwright.core.errors import GenwrightError
from genwright.core.registry import source
from genwright.data.hub import hub_rows
from genwright.data.selection import corpus_of, selections
from genwright.data.source_files import SourceFile, collect, is_text


@source("files")
def files(paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
    """Files, folders and globs (`**` goes into folders) that data.path names; of a corpus what its
    mix has taken. Raises GenwrightError for a path that is not there, and for a corpus beside
    others."""
    if not paths:
        raise GenwrightError(
            "data.path is not set", "give a file, a folder or a glob, as in data.path=notes/"
        )
    corpus = corpus_of(paths, "text")
    if corpus:
        found = selections(corpus)
        return [SourceFile(str(path), f"{path.parent.name}/{path.name}") for path in found]
    return collect(paths, is_text)


@source("hf")
def hugging_face(paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
    """`data.source=hf:NAME`, the split "train", through the optional `datasets`; `hf:NAME@CONFIG`
    picks one of several configurations."""
    dataset, _, config = name.partition("@")
    (path,) = hub_rows(dataset, config, cache, f"data.source=hf:{name}")
    return [SourceFile(str(path), name)]
