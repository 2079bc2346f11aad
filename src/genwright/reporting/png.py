"""Pictures as the bytes of PNG files: for folders of samples, and inside a report's page."""

import base64
import io
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from PIL import Image

from genwright.core.files import write_whole


@dataclass(frozen=True)
class Picture:
    """A picture of a report. caption: what is seen, for a person. png: the file's bytes. small:
    several stand side by side."""

    title: str
    caption: str
    png: bytes
    small: bool = False


def png_bytes(image: Image.Image, **options: Any) -> bytes:
    """The file of an image; options: those of Pillow's PNG writer."""
    out = io.BytesIO()
    image.save(out, "PNG", **options)
    return out.getvalue()


def write(path: Path, data: bytes) -> Path:
    """Writes a file, whole or not at all, into a folder that is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_whole(path, data)


def figure(picture: Picture) -> str:
    """A picture with its title and caption, as HTML."""
    small = " small" if picture.small else ""
    source = base64.b64encode(picture.png).decode()
    return (
        f'<figure class="card{small}"><figcaption><b>{escape(picture.title)}</b>'
        f"<small>{escape(picture.caption)}</small></figcaption>"
        f'<img alt="{escape(picture.title)}" src="data:image/png;base64,{source}"></figure>'
    )


def kept_on_the_way(folder: Path) -> list[Picture]:
    """The first, a middle and the last picture that was drawn while a run trained."""
    kept = sorted(folder.glob("step-*.png"))
    if not kept:
        return []
    chosen = dict.fromkeys((kept[0], kept[len(kept) // 2], kept[-1]))
    caption = "The same latents at this step of training."
    return [
        Picture(f"Step {int(path.stem[5:]):,}", caption, path.read_bytes(), small=True)
        for path in chosen
    ]
