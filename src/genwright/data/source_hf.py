"""A dataset of the Hugging Face hub, or a local folder that `datasets` can load."""

from pathlib import Path

from genwright.data.shards import digest_of, publish
from genwright.data.source_files import SourceFile
from genwright.errors import GenwrightError
from genwright.registry import source


@source("hf")
def hugging_face(paths: tuple[str, ...], name: str, cache: Path) -> list[SourceFile]:
    """`data.source=hf:NAME`, the split "train", through the optional `datasets`; `hf:NAME@CONFIG` picks one of several configurations."""
    try:
        import datasets
    except ImportError as error:
        raise GenwrightError(f"data.source=hf:{name} needs datasets, which is not installed", "pip install 'genwright[hf]'") from error
    dataset, _, config = name.partition("@")
    try:
        rows = datasets.load_dataset(dataset, config or None, split="train", cache_dir=str(cache / "datasets"))
    except (OSError, ValueError) as error:  # not found, no network, no such configuration or split
        first = str(error).splitlines()[0].rstrip(".")
        raise GenwrightError(f"data.source=hf:{name} cannot be loaded: {first}", "check its name and the connection") from error
    folder = cache / "sources" / f"hf-{digest_of(name, rows._fingerprint)[:16]}"
    if not folder.is_dir():
        publish(folder, lambda draft: rows.to_parquet(str(draft / "rows.parquet")) and None)
    return [SourceFile(str(folder / "rows.parquet"), name)]
