"""Data sets of the Hugging Face hub, and folders that `datasets` reads, as Parquet files in the
cache, which are read as any others.

`datasets` (extra `hf`) is imported where it is used.
"""

import os
from pathlib import Path
from typing import Any

from genwright.core.errors import GenwrightError, optional
from genwright.data.cache import digest_of, publish
from genwright.data.rows import first_line
from genwright.data.scans import digests
from genwright.data.source_files import walk

ROWS = "rows.parquet"


def hub_rows(
    dataset: str, config: str, cache: Path, where: str, split: str = "train", part: int = 0
) -> list[Path]:
    """The rows of a split, in one Parquet file or in several of about `part` bytes.

    dataset: its name, or a folder; config: one of several configurations, or "". where: the setting
    that names it, for a person. Raises GenwrightError where `datasets` is not installed or cannot
    load it."""
    datasets = optional("datasets", f"{where} needs datasets", "hf")
    kept = cache / "datasets"
    # of a folder, `datasets` would know the files by their time of change
    if os.path.isdir(dataset):
        local = list(walk(dataset))
        contents = digests([file.path for file in local], cache, [os.path.realpath(dataset)])
        kept = kept / digest_of([(file.name, contents[file.path]) for file in local])[:16]
    # not found, no network, no such configuration or split; rows that cannot be read
    errors = (OSError, ValueError, datasets.exceptions.DatasetsError)
    try:
        rows = datasets.load_dataset(dataset, config or None, split=split, cache_dir=str(kept))
    except errors as error:
        first = first_line(error).rstrip(".")
        raise GenwrightError(
            f"{where} cannot be loaded: {first}", "check its name and the connection"
        ) from error
    name = f"{dataset}@{config}" if config else dataset
    decides = [name, str(kept), rows._fingerprint]
    if part:
        decides += [split, part]
    folder = cache / "sources" / f"hf-{digest_of(*decides)[:16]}"
    if not folder.is_dir():

        def fill(draft: Path) -> None:
            _write(rows, draft, part)

        publish(folder, fill)
    return sorted(folder.glob("*.parquet"))


def _write(rows: Any, folder: Path, part: int) -> None:
    if not part:
        rows.to_parquet(str(folder / ROWS))
        return
    count = max(1, min(len(rows), -(-(rows.dataset_size or 0) // part)))
    for index in range(count):
        some = rows.shard(num_shards=count, index=index, contiguous=True)
        some.to_parquet(str(folder / f"{index:05d}.parquet"))
