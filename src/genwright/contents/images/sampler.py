"""Pictures from a model: drawn from a latent, or code by code, as asked for by `SampleOptions`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from genwright.contents.images import draw_codes
from genwright.contents.images.codec_codes import CodesCodec
from genwright.contents.images.options import SampleOptions
from genwright.contents.images.token_sampler import CodesInRollouts
from genwright.core.attributes import even_rows, wanted_row
from genwright.core.content import Advanced, Drawn, Event, Opened, Sample
from genwright.core.contracts import Batch
from genwright.core.errors import GenwrightError
from genwright.evaluation.arrays import shuffled_values
from genwright.evaluation.features import spread
from genwright.objectives.adversarial import AdversarialObjective
from genwright.objectives.flow import FlowObjective
from genwright.sampling import latent
from genwright.sampling.drawing import Drawing
from genwright.sampling.latent_drawer import (
    AT_ONCE,
    SOME,
    LatentDrawer,
    asked_way,
    check_way,
    latents_along,
)
from genwright.sampling.options import TokenOptions

logger = logging.getLogger(__name__)
USUAL: int = SampleOptions.usual["n"]  # samples, where no number is given
STRENGTH: float = SampleOptions.usual["strength"]  # of variations
STEERED = 2.0  # guidance, where something is not wanted and none is given


class PictureDrawer(LatentDrawer):
    """Draws pictures from an objective, in training or loaded: through its latent space, or as
    codes. guidance: of codes, whose settings have none."""

    def __init__(self, objective: Any, codec: Any, settings: Any, guidance: float | None = None):
        super().__init__(objective, codec.space, settings)
        self.codec = codec
        self.guidance = 1.0 if guidance is None else guidance

    @property
    def draws(self) -> bool:
        """False for a run that only encodes pictures or fills in codes."""
        if self.through_latent:
            return True
        if not isinstance(self.codec, CodesCodec):
            return False
        return bool(getattr(self.objective.modules["model"].settings, "causal", False))

    def __call__(
        self,
        count: int,
        condition: Tensor | None = None,
        negative: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """Pictures (count, C, H, W). Raises GenwrightError where the run draws none."""
        if self.through_latent:
            return super().__call__(count, condition, negative, first)
        if not self.draws:
            remedy = (
                "train a transformer over its codes and sample that: "
                "genwright train emoji-codes codec.run=RUN"
            )
            what = "this run turns pictures into codes and back, and draws none of its own"
            raise GenwrightError(what, remedy)
        model = self.objective.modules["model"]
        drawn = draw_codes.draw(
            model,
            self.codec,
            count,
            condition,
            negative,
            self.settings,
            self.guidance,
            first=first,
        )
        return drawn.cpu()


def drawer_of(opened: Opened, options: SampleOptions | None = None) -> PictureDrawer:
    """What draws, by the settings of the recipe with what the options say in place of theirs."""
    if options is None:
        return PictureDrawer(opened.objective, opened.codec, opened.settings)
    settings = opened.changed(options)
    return PictureDrawer(opened.objective, opened.codec, settings, options.guidance)


def check_request(opened: Opened, options: SampleOptions) -> None:
    """Raises GenwrightError for a request that would change nothing."""
    is_gan = isinstance(opened.objective, AdversarialObjective)
    if is_gan and options.guidance is not None:
        raise GenwrightError(
            "--guidance changes nothing in a GAN, which follows a condition as it learned to",
            "leave it out",
        )
    for name in ("solver", "steps"):
        if getattr(options, name) is not None and not isinstance(opened.objective, FlowObjective):
            raise GenwrightError(
                f"--{name} is of the equation that a flow solves, and this run is no flow",
                "leave it out",
            )
    known = type(opened.settings).model_fields
    for name in (*TokenOptions.model_fields, "truncation"):
        if getattr(options, name) is not None and name not in known:
            way = "from a latent" if "truncation" in known else "token by token"
            raise GenwrightError(
                f"--{name.replace('_', '-')} changes nothing in a run that draws {way}",
                "leave it out",
            )
    asked = options.condition or options.evenly or options.negative
    if options.guidance is not None and not asked:
        raise GenwrightError(
            "--guidance changes nothing where nothing is asked for",
            "leave it out, or give --condition, --evenly or --negative",
        )
    if options.strength is not None and not options.invert:
        raise GenwrightError(
            "--strength is how far --invert's variations go",
            "give --invert a picture, or leave it out",
        )


def requested(
    opened: Opened, options: SampleOptions
) -> tuple[PictureDrawer, Tensor | None, Tensor | None]:
    """What draws, and conditions (1, columns), or None, of what it is asked to make and not to
    make. Raises GenwrightError for what the data does not know, and for a request that would change
    nothing."""
    check_request(opened, options)
    drawer = drawer_of(opened, options)
    wanted = wanted_row(drawer.space.attributes, options.condition)
    unwanted = wanted_row(drawer.space.attributes, options.negative)
    asked = wanted is not None or unwanted is not None or bool(options.evenly)
    if asked and not drawer.conditional:
        what = (
            "this run never saw a condition (objective.drop is 1), so nothing it makes follows one"
        )
        raise GenwrightError(
            what,
            "leave --condition, --evenly and --negative out, or train again with a lower"
            " objective.drop",
        )
    is_gan = isinstance(opened.objective, AdversarialObjective)
    if unwanted is not None and not is_gan and _guidance(drawer) == 1:
        if options.guidance is not None:
            raise GenwrightError(
                "--negative changes nothing at guidance 1",
                "give another --guidance, or none, which is 2 then",
            )
        logger.warning("what is not wanted needs guidance: it is %g", STEERED)
        drawer = drawer_of(opened, options.model_copy(update={"guidance": STEERED}))
    return drawer, wanted, unwanted


def _guidance(drawer: PictureDrawer) -> float:
    """How strongly a condition steers: a flow's own setting, or that of codes."""
    if isinstance(drawer.settings, Drawing):
        return drawer.settings.guidance
    return drawer.guidance


class PictureSampler(CodesInRollouts):
    """See `core.content.Sampler`. Samples are (C, H, W) float32 in [-1, 1]."""

    options = SampleOptions

    def draw(
        self,
        opened: Opened,
        options: SampleOptions,
        n: int | None = None,
        first: int = 0,
        partial: bool = False,
    ) -> Iterator[Event]:
        """Pictures one after another, or the pictures of a way through the latent space, row by
        row, with their rows' labels as prompts. Raises GenwrightError."""
        way = asked_way(options)
        drawer, wanted, unwanted = requested(opened, options)
        check_way(drawer, way)
        if way and options.evenly:
            raise GenwrightError(
                f"--{way} is a way through the latent space, and --evenly asks for values in turn",
                "leave one of them out",
            )
        if way:
            yield from self._along(opened, drawer, way, options, wanted, unwanted)
            return
        count = n or options.n or USUAL
        if options.evenly:
            logger.warning(
                "the values of %s are asked for in turn: their shares are no rates of the model",
                options.evenly,
            )
        for start in range(0, count, AT_ONCE):
            size = min(AT_ONCE, count - start)
            yield from self._part(
                drawer, options, wanted, unwanted, range(first + start, first + start + size)
            )
            yield Advanced(start + size, count)

    def _part(
        self,
        drawer: PictureDrawer,
        options: SampleOptions,
        wanted: Tensor | None,
        unwanted: Tensor | None,
        numbers: range,
    ) -> Iterator[Event]:
        """Samples that are drawn together."""
        asked = wanted  # (1 or samples, columns)
        if options.evenly:
            names = options.evenly.split(",")
            asked = even_rows(drawer.space.attributes, names, wanted, numbers)
        pictures = drawer(len(numbers), asked, unwanted, numbers.start)
        for place, picture in enumerate(pictures):
            own = asked
            if asked is not None and len(asked) > 1:
                own = asked[place : place + 1]
            number = numbers.start + place
            yield Drawn(Sample(picture, None, own, drawer.settings.seed, number))

    def _along(
        self,
        opened: Opened,
        drawer: PictureDrawer,
        way: str,
        options: SampleOptions,
        wanted: Tensor | None,
        unwanted: Tensor | None,
    ) -> Iterator[Event]:
        """The pictures of a way."""
        labels: list[str] = []
        given: Tensor | None = None
        if way == "invert":
            given, latents = self._varied(opened, drawer, options, wanted)
        else:
            latents, labels = latents_along(drawer, way, options, wanted)
        if given is not None:
            yield Drawn(Sample(given, "given", seed=drawer.settings.seed))
        per_row = len(latents) // len(labels) if labels else 1
        for start in range(0, len(latents), AT_ONCE):
            part = latents[start : start + AT_ONCE]
            for i, picture in enumerate(drawer.decoded(part, wanted, unwanted), start):
                label = labels[i // per_row] if labels else None
                yield Drawn(Sample(picture, label, wanted, drawer.settings.seed, i))
            yield Advanced(start + len(part), len(latents))

    def _varied(
        self,
        opened: Opened,
        drawer: PictureDrawer,
        options: SampleOptions,
        condition: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """A picture (C, H, W), and latents: its own, and as many variations as are asked for."""
        device = drawer.latents(1).device
        given = opened.codec.encode(str(options.invert))[None].to(device)
        strength = STRENGTH if options.strength is None else options.strength
        own = latent.invert(opened.objective, drawer.space, given, condition, drawer.settings)
        varied = latent.vary(own, drawer.latents(options.n or SOME), strength)
        return given[0].cpu(), torch.cat([own, varied])

    def collected(self, samples: Sequence[Sample]) -> Tensor:
        """(n, C, H, W) in [-1, 1]."""
        return torch.stack([sample.content for sample in samples])

    def real(self, dataset: Any, split: str, n: int) -> list[Sample]:
        """Pictures from all over a split, with what is known of them."""
        side = dataset.split(split)
        index = spread(len(side), min(n, len(side)))
        conditions = side.condition(index)
        return [
            Sample(picture, condition=None if conditions is None else conditions[i], number=i)
            for i, picture in enumerate(side.x(index))
        ]

    def noise(self, like: Sequence[Sample], seed: int) -> list[Sample]:
        """Pictures whose every value is that of another picture at the same place."""
        mixed = shuffled_values(self.collected(like), len(like), seed)
        return [Sample(picture, seed=seed, number=i) for i, picture in enumerate(mixed)]

    def batch(self, samples: Sequence[Sample], codec: Any) -> Batch:
        """x (n, C, H, W), and condition (n, columns) where every sample has one."""
        x = self.collected(samples)
        conditions = [sample.condition for sample in samples]
        if any(condition is None for condition in conditions):
            return {"x": x}
        return {"x": x, "condition": torch.stack(conditions)}  # type: ignore[arg-type]
