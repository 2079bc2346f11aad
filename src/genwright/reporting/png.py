"""Pictures as the bytes of PNG files: for folders of samples, and inside a report's page."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from genwright.core.content import Section
from genwright.core.files import write_whole
from genwright.reporting.markup import Markup, joined

FIGURES = Markup('<div class="figures">{}</div>')
FIGURE = Markup(
    '<figure class="card{}"><figcaption><b>{}</b><small>{}</small></figcaption>'
    '<img alt="{}" src="data:image/png;base64,{}"></figure>'
)


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


def figures(found: Sequence[Markup]) -> Markup:
    """Pictures side by side."""
    return FIGURES.format(joined(found))


def picture_sections(found: Sequence[Picture]) -> list[Section]:
    """The first picture at a glance, the others in a section of their own, where there are any."""
    sections = []
    shown = [figure(picture) for picture in found]
    if shown:
        sections.append(Section("Pictures", figures(shown[:1]), at_a_glance=True))
    if shown[1:]:
        sections.append(Section("More pictures", figures(shown[1:])))
    return sections


def figure(picture: Picture) -> Markup:
    """A picture with its title and caption."""
    small = " small" if picture.small else ""
    source = base64.b64encode(picture.png).decode()
    return FIGURE.format(small, picture.title, picture.caption, picture.title, source)


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
