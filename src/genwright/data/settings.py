"""What a run asks of the settings of its data, whatever they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from genwright.core.registry import Settings

if TYPE_CHECKING:  # worker processes, which read files, import this and need no torch
    from torch import Tensor

    from genwright.core.contracts import Codec, Space
    from genwright.core.dataset import Dataset
    from genwright.core.draws import Draws


class DataSettings(Settings):
    """Base of the settings of every kind of data. A kind has a `content`, says what it goes with
    (`usual`) and how it is prepared (`prepare`); of the rest it says what differs from here."""

    # the kinds of codec, model and objective that are meant where a recipe names none
    usual: ClassVar[dict[str, str]] = {}
    # the field that says how long an example is, if one does: a shorter one needs less memory
    length_field: ClassVar[str] = ""
    # the fields that decide what is read: runs that differ in one saw different data
    what_is_read: ClassVar[tuple[str, ...]] = ("kind", "source", "path")
    # what a person counts of a split, by its name in the dataset's summary; not windows of it
    counted: ClassVar[str] = "examples"

    def prepare(self, codec_settings: Any, expect: str | None = None) -> Dataset:
        """The dataset, from the cache or made now.

        codec_settings: of the codec, which may have to learn from the data. expect: the digest
        that a run was made with. Raises GenwrightError where the data cannot be used, or have
        another digest than is expected."""
        raise NotImplementedError

    def space(self, codec: Codec) -> Space:
        """What networks see of an example: the codec's space, unless these settings shape it (a
        window of tokens)."""
        return codec.space

    def starts(self) -> Callable[[Draws], Tensor] | None:
        """What draws latents (examples, *latent) for the examples of `draws`, where the way from
        latent to content begins somewhere else than at N(0, I); None: it begins there."""
        return None

    def held_as(self, keys: Path) -> Self:
        """These settings, with the same examples held out as in a run. keys: the run's file of
        them (`HeldOut.keys`), which need not be there. Without being overridden: these settings,
        which decide that by themselves."""
        return self
