"""The pictures that a selection of a corpus takes, as a shard of squares.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from genwright.contents.images.pictures import BadPicture, read_bytes, save, square
from genwright.data.selection import selected_bytes
from genwright.data.workers import Work


def write(folder: str, selection: str, codec: dict[str, Any]) -> None:
    """Decodes what a selection takes into a shard, as `pictures.write` does. Its facts have besides
    of each picture `rows` (of the shard of documents), `times`, `contents` (SHA-256 of the file)
    and `files` (the name below its source, that of an archive and of its entry)."""
    name = Path(selection).name
    squares = []
    facts: dict[str, Any] = {"names": [], "bad": [], "remarks": {}}
    columns: dict[str, list[Any]] = {"rows": [], "contents": [], "files": []}
    for chosen in selected_bytes(selection):
        own_name = f"{name}:{chosen.row}"
        try:
            picture = read_bytes(chosen.data)
            squares.append(square(picture, **codec))
        except BadPicture as problem:
            facts["bad"].append(f"{own_name} {problem}")
            continue
        facts["names"].append(own_name)
        for remark in picture.remarks:
            facts["remarks"].setdefault(remark, []).append(own_name)
        columns["rows"].append(chosen.row)
        columns["contents"].append(chosen.content)
        entry = chosen.place.removeprefix("entry ")
        columns["files"].append(entry or chosen.file)
    save(folder, squares, codec, {**facts, **columns})


def _files_of(job: dict[str, Any]) -> list[str]:
    return [job["selection"]]


DECODE = Work(write, "decoding pictures", _files_of)
