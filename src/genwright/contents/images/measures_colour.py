"""A measure of pictures that takes a setting: how near what is drawn is to a colour."""

from __future__ import annotations

from typing import Annotated

from PIL import ImageColor
from pydantic import AfterValidator
from torch import Tensor

from genwright.contents.images.measures import pixel_measure
from genwright.contents.images.pixels import nearness
from genwright.core.content import Measure, MeasureKind, add_measure_kinds
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings


def known_colour(text: str) -> str:
    """A colour as it was given. Raises GenwrightError for what is none."""
    try:
        ImageColor.getrgb(text)
    except ValueError:
        raise GenwrightError(
            f"the colour of a measure is {text!r}, which is no colour",
            "give a name or #rrggbb, as in green or #ffcc00",
        ) from None
    return text


class ColourSettings(Settings):
    """Settings of the measure `colour`."""

    colour: Annotated[str, AfterValidator(known_colour)]
    """The colour: a name or #rrggbb."""


def colour_measure(settings: ColourSettings) -> Measure:
    """How near a picture's mean colour is to a colour, over what is drawn."""
    red, green, blue = ImageColor.getrgb(settings.colour)[:3]
    target = (red / 255, green / 255, blue / 255)

    def statistic(x: Tensor) -> Tensor:
        return nearness(x, target)

    plain = pixel_measure(
        f"colour {settings.colour}",
        statistic,
        "share",
        "1 minus the distance of the mean colour of all ink, of the farthest distance there is",
    )
    return Measure(
        plain.name,
        plain.of,
        plain.unit,
        "higher",
        plain.counted,
        plain.detail,
        of_all=plain.of_all,
    )


add_measure_kinds(
    "image",
    MeasureKind(
        "colour",
        ColourSettings,
        colour_measure,
        "how near the mean colour of what is drawn is to a colour; NaN where nothing is drawn",
    ),
)
