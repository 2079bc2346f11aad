"""Pictures with an attribute, as a folder that recipes of images read."""

from collections.abc import Sequence
from pathlib import Path

from PIL import Image


def toned_pictures(folder: Path, tones: Sequence[str | None]) -> Path:
    """A picture of 8x8 for each tone, redder from one to the next. tones: words of `attributes.csv`
    as they stand there; None: that picture has no row."""
    folder.mkdir()
    lines = ["file,tone"]
    for number, tone in enumerate(tones):
        red = 240 * number // len(tones)
        Image.new("RGB", (8, 8), (red, 0, 0)).save(folder / f"{number}.png")
        if tone is not None:
            lines.append(f"{number}.png,{tone}")
    (folder / "attributes.csv").write_text("\n".join(lines), encoding="utf-8")
    return folder
