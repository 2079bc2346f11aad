"""Text from a person's own files, or from a dataset of the Hugging Face hub."""

import os
from pathlib import Path

from genwright.core.errors import GenwrightError, optional
from genwright.core.registry import source
from genwright.data.cache import digest_of, publish
from genwright.data.scans import digests
from genwright.data.selection import selections
from genwright.data.source_files import SourceFile, collect, is_text, walk


@source("files")
def files(paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
    """Files, folders and globs (`**` goes into folders) that data.path names; of a corpus what its
    mix has taken. Raises GenwrightError for a path that is not there, and for a corpus beside
    others."""
    if not paths:
        raise GenwrightError(
            "data.path is not set", "give a file, a folder or a glob, as in data.path=notes/"
        )
    corpora = [path for path in paths if selections(path)]
    if corpora and len(paths) > 1:
        raise GenwrightError(
            f"data.path names the corpus {corpora[0]} beside others",
            "name it alone, or make one corpus of all (genwright data build)",
        )
    if corpora:
        found = selections(corpora[0])
        return [SourceFile(str(path), f"{path.parent.name}/{path.name}") for path in found]
    return collect(paths, is_text)


@source("hf")
def hugging_face(paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
    """`data.source=hf:NAME`, the split "train", through the optional `datasets`; `hf:NAME@CONFIG`
    picks one of several configurations."""
    datasets = optional("datasets", f"data.source=hf:{name} needs datasets", "hf")
    dataset, _, config = name.partition("@")
    kept = cache / "datasets"
    # of a folder, `datasets` would know the files by their time of change
    if os.path.isdir(dataset):
        local = list(walk(dataset))
        contents = digests([file.path for file in local], cache, [os.path.realpath(dataset)])
        kept = kept / digest_of([(file.name, contents[file.path]) for file in local])[:16]
    try:
        rows = datasets.load_dataset(dataset, config or None, split="train", cache_dir=str(kept))
    except (OSError, ValueError) as error:  # not found, no network, no such configuration or split
        first = str(error).splitlines()[0].rstrip(".")
        raise GenwrightError(
            f"data.source=hf:{name} cannot be loaded: {first}", "check its name and the connection"
        ) from error
    folder = cache / "sources" / f"hf-{digest_of(name, str(kept), rows._fingerprint)[:16]}"
    if not folder.is_dir():

        def fill(draft: Path) -> None:
            rows.to_parquet(str(draft / "rows.parquet"))

        publish(folder, fill)
    return [SourceFile(str(folder / "rows.parquet"), name)]
