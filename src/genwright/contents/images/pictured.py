"""Pictures and points of a trained run: what `genwright sample` writes, and what its report
shows."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genwright.contents.images import draw_codes as codes
from genwright.contents.images import drawing as pictures
from genwright.contents.points.drawing import scatter
from genwright.core.attributes import encode
from genwright.core.errors import GenwrightError
from genwright.core.progress import task, track
from genwright.evaluation.distances import nearest
from genwright.evaluation.features import of_split
from genwright.reporting.png import Picture, write
from genwright.sampling import latent

if TYPE_CHECKING:
    from genwright.runs.run import Run

Wanted = str | Mapping[str, Any]
WAYS = ("walk", "traverse", "interpolate", "directions", "invert")
VALUES = torch.linspace(-3, 3, 7)  # of a latent dimension that is traversed
HEADS = [f"{v:g}" for v in VALUES.tolist()]
ROWS, ACROSS = 8, 8  # of the report's grids
FEW = 12  # values of an attribute that has a row each
AUTOENCODERS = ("variational", "vector-quantised")  # what the report shows reconstructions of


def chosen(words: Wanted) -> Mapping[str, Any]:
    """ "group=food|animals,name=cat" -> {"group": ["food", "animals"], "name": ["cat"]}, ",," being
    a comma of a value; a mapping as it is. Raises GenwrightError."""
    if not isinstance(words, str):
        return words
    pairs = [
        word.replace("\0", ",").partition("=")
        for word in words.replace(",,", "\0").split(",")
        if word
    ]
    for name, equals, values in pairs:
        if not equals or not values:
            remedy = "write attribute=value, or attribute=value|other,attribute=value, and a comma of a value as two"
            raise GenwrightError(f"{name!r} says no value of an attribute", remedy)
    return {
        name.strip(): [value.strip() for value in values.split("|")] for name, _, values in pairs
    }


class Drawer:
    """Draws from a run (or an objective in training) with its settings: conditions as rows (1,
    columns), or None."""

    def __init__(self, objective: Any, codec: Any, settings: Any, guidance: float | None = None):
        self.objective = objective
        self.codec = codec
        self.space = codec.space
        self.settings = settings
        self.guidance = 1.0 if guidance is None else guidance  # of codes, whose settings have none
        self.latent = hasattr(objective, "decode")

    @property
    def able(self) -> bool:
        codes = self.codec.content == "image" and not self.codec.space.shape
        return (
            self.latent
            or codes
            and getattr(self.objective.modules["model"].settings, "causal", False)
        )

    @property
    def conditional(self) -> bool:
        """Whether what it is asked for reaches what it makes."""
        return self.space.columns > 0 and getattr(self.objective, "conditional", True)

    def __call__(
        self,
        count: int,
        condition: Tensor | None = None,
        negative: Tensor | None = None,
        first: int = 0,
    ) -> Tensor:
        """Examples first, first + 1, ... (count, *shape). Raises GenwrightError where the run draws
        none."""
        if self.latent:
            return self.decoded(self.latents(count, first), condition, negative)
        if not self.able:
            remedy = "train a transformer over its codes and sample that: genwright train emoji-codes codec.run=RUN"
            raise GenwrightError(
                "this run turns pictures into codes and back, and draws none of its own", remedy
            )
        model = self.objective.modules["model"]
        settings = self.settings
        return codes.draw(
            model, self.codec, count, condition, negative, settings, self.guidance, first=first
        ).cpu()

    def decoded(
        self, z: Tensor, condition: Tensor | None = None, negative: Tensor | None = None
    ) -> Tensor:
        return latent.decoded(
            self.objective, self.space, z, condition, negative, self.settings
        ).cpu()

    def latents(self, count: int, first: int = 0) -> Tensor:
        return latent.latents(self.objective, count, self.settings, first)

    def along(
        self, count: int, directions: bool, condition: Tensor | None = None
    ) -> tuple[Tensor, list[str]]:
        """The `count` most active latent dimensions, or principal directions: unit vectors and
        their labels. Raises GenwrightError."""
        if directions:
            found = self.objective.directions(min(count, math.prod(self.objective.latent)))
            return found, [f"direction {i + 1}" for i in range(len(found))]
        found, order = latent.axes(
            self.objective, self.space, self.latents(1), count, condition, self.settings
        )
        return found, [f"dimension {i}" for i in order]


def drawer(run: Run, guidance: float | None = None, **settings: Any) -> Drawer:
    """With the recipe's settings of sampling, some of them changed. Raises GenwrightError for an
    unknown one."""
    if guidance is not None and hasattr(run.recipe.sampling, "guidance"):
        settings["guidance"] = guidance
    return Drawer(run.objective, run.codec, run.sampling(**settings), guidance)


def draw(
    run: Run,
    n: int = 16,
    condition: Wanted = "",
    negative: Wanted = "",
    guidance: float | None = None,
    first: int = 0,
    **settings: Any,
) -> Tensor:
    """`n` samples, from sample `first` on, as a tensor (n, *shape), pictures in [-1, 1];
    `run.codec.decode` makes pictures of them."""
    make, wanted, unwanted = _requested(run, condition, negative, guidance, settings)
    return make(n, wanted, unwanted, first)


def _requested(
    run: Run, condition: Wanted, negative: Wanted, guidance: float | None, settings: dict[str, Any]
) -> tuple[Drawer, Tensor | None, Tensor | None]:
    """What draws, and conditions (1, columns), or None, that it is asked to make and not to make.
    Raises GenwrightError for what the data does not know, and for a request that would change
    nothing."""
    gan = run.recipe.objective.kind == "adversarial"
    if gan and guidance is not None:
        raise GenwrightError(
            "--guidance changes nothing in a GAN, which follows a condition as it learned to",
            "leave it out",
        )
    for name in ("solver", "steps"):
        if name in settings and not hasattr(run.objective, "velocity"):
            raise GenwrightError(
                f"--{name} is of the equation that a flow solves, and this run is no flow",
                "leave it out",
            )
    if guidance is not None and not condition and not negative:
        raise GenwrightError(
            "--guidance changes nothing where nothing is asked for",
            "leave it out, or give --condition or --negative",
        )
    make = drawer(run, guidance, **settings)
    wanted, unwanted = (
        encode(make.space.attributes, chosen(words))[None] if words else None
        for words in (condition, negative)
    )
    if (condition or negative) and not make.conditional:
        what = (
            "this run never saw a condition (objective.drop is 1), so nothing it makes follows one"
        )
        raise GenwrightError(
            what, "leave --condition and --negative out, or train again with a lower objective.drop"
        )
    if negative and not gan and getattr(make.settings, "guidance", make.guidance) == 1:
        if guidance is not None:
            raise GenwrightError(
                "--negative changes nothing at guidance 1",
                "give another --guidance, or none, which is 2 then",
            )
        print("note: what is not wanted needs guidance: it is 2", file=sys.stderr)
        make = drawer(run, 2.0, **settings)
    return make, wanted, unwanted


def sample_pictures(
    run: Run,
    n: int | None = None,
    condition: Wanted = "",
    negative: Wanted = "",
    guidance: float | None = None,
    walk: int = 0,
    traverse: bool = False,
    interpolate: int = 0,
    directions: bool = False,
    invert: str | Path | None = None,
    strength: float | None = None,
    output: str | Path | None = None,
    **settings: Any,
) -> list[Path]:
    """Writes a grid (and each sample as a file of its own), or one of `WAYS` through the latent
    space, into `output` (RUN/samples); what had the same name is replaced. Returns the paths.
    Raises GenwrightError."""
    ways = [
        name
        for name, value in zip(WAYS, (walk, traverse, interpolate, directions, invert), strict=True)
        if value
    ]
    if len(ways) > 1:
        raise GenwrightError(
            f"--{ways[0]} and --{ways[1]} were both given", "ask for one of them at a time"
        )
    way = ways[0] if ways else ""
    count = n or (8 if ways else 16)
    if strength is not None and way != "invert":
        raise GenwrightError(
            "--strength is how far --invert's variations go",
            "give --invert a picture, or leave it out",
        )
    make, wanted, unwanted = _requested(run, condition, negative, guidance, settings)
    folder = Path(output or run.folder / "samples")
    if way and not make.latent or way == "directions" and not hasattr(run.objective, "directions"):
        what = f"--{way} needs a latent space{' with principal directions (a GAN)' if way == 'directions' else ''}, which this run has not"
        raise GenwrightError(
            what, "leave it out" if not make.latent else "use --traverse or --walk"
        )
    singles = False
    columns = math.ceil(math.sqrt(count))
    rows: list[str] = []
    heads: list[str] = []
    if way == "walk":
        x = make.decoded(latent.walk(make.latents(max(2, count)), walk), wanted, unwanted)
    elif way == "interpolate":
        z = make.latents(2 * count)
        x = make.decoded(latent.interpolate(z[:count], z[count:], interpolate), wanted, unwanted)
        columns = interpolate
    elif way in ("traverse", "directions"):
        lines, rows = make.along(n or 16, directions, wanted)
        x = make.decoded(latent.traverse(make.latents(1), lines, VALUES), wanted, unwanted)
        heads = HEADS
        columns = len(VALUES)
    elif way == "invert":
        far = 0.3 if strength is None else strength
        x = _varied(run, make, str(invert), count, far, wanted, unwanted)
        columns = count + 2
        singles = True
    else:
        x = make(count, wanted, unwanted)
        singles = True
    name = way or "grid"
    place = folder / f"{way or 'grid'}.png"
    if run.content == "points":
        return [write(place, scatter(x, of_split(run.dataset().split("train"), 2000)[0]))]
    if way == "walk":
        return [write(place, pictures.animation(x))]
    paths = [write(place, pictures.grid(x, columns, rows, heads))]
    prefix = f"{name}-" if way else ""
    return paths + [
        write(folder / f"{prefix}{i + 1:04d}.png", pictures.single(p))
        for i, p in enumerate(x if singles else [])
    ]


def _varied(
    run: Run,
    make: Drawer,
    path: str,
    count: int,
    strength: float,
    condition: Tensor | None,
    negative: Tensor | None,
) -> Tensor:
    """A picture, what its latent decodes to, and `count` variations."""
    if run.content != "image":
        raise GenwrightError(
            "--invert finds the latent of a picture, and this run makes points", "leave it out"
        )
    given = run.codec.encode(path)[None].to(make.latents(1).device)
    z = latent.invert(run.objective, make.space, given, condition, make.settings)
    made = make.decoded(
        torch.cat([z, latent.vary(z, make.latents(count), strength)]), condition, negative
    )
    return torch.cat([given.cpu(), made])


# ---- for the report


def pictures_of(run: Run, features: Any = None) -> list[Picture]:
    """What a person wants to see of a run. features: examples -> (n, d), for the nearest training
    examples; default: pixels."""
    dataset = run.dataset()
    make = drawer(run)
    if run.content == "points":
        with task("drawing points for the report", 1):
            return [_points(make, dataset), *_on_the_way(run)]
    shown: list[Callable[[], list[Picture]]] = []
    if make.able:
        shown.append(lambda: _sample_grids(make))
        shown.append(lambda: [_neighbours(make, dataset, features or (lambda x: x.flatten(1)))])
    shown.append(lambda: _on_the_way(run))
    if make.latent:
        shown.append(lambda: [_interpolation(make)])
    if make.latent and latent.top(run.objective):
        shown.append(lambda: [_traversal(make)])
    if run.recipe.objective.kind in AUTOENCODERS and len(dataset.split("held_out")):
        shown.append(lambda: [_reconstructions(run, make, dataset)])
    return [
        picture for part in track(shown, "drawing pictures for the report") for picture in part()
    ]


def _on_the_way(run: Run) -> list[Picture]:
    """The first, a middle and the last grid that were drawn while it trained."""
    kept = sorted((run.folder / "samples").glob("step-*.png"))
    chosen_paths = dict.fromkeys(kept[i] for i in (0, len(kept) // 2, -1) if kept)
    caption = "The same latents at this step of training."
    return [
        Picture(f"Step {int(path.stem[5:]):,}", caption, path.read_bytes(), small=True)
        for path in chosen_paths
    ]


def _points(make: Drawer, dataset: Any) -> Picture:
    caption = "Samples in blue over real points in grey; a sample outside of the frame stands on its edge."
    real = of_split(dataset.split("train"), 2000)[0]
    return Picture("Samples", caption, scatter(make(2000), real))


def _interpolation(make: Drawer) -> Picture:
    z = make.latents(10)
    x = make.decoded(latent.interpolate(z[:5], z[5:], 9))
    return Picture(
        "Interpolation",
        "From one latent to another, in each row, along the arc between them.",
        pictures.grid(x, 9),
    )


def _traversal(make: Drawer) -> Picture:
    lines, rows = make.along(ROWS, hasattr(make.objective, "directions"))
    x = make.decoded(latent.traverse(make.latents(1), lines, VALUES))
    caption = (
        "One latent, with its coordinate along each line set from -3 to 3; the strongest first."
    )
    return Picture("Traversal", caption, pictures.grid(x, len(VALUES), rows, HEADS))


def _reconstructions(run: Run, make: Drawer, dataset: Any) -> Picture:
    real, condition = of_split(dataset.split("held_out"), 10)
    if make.latent:
        made = make.decoded(
            latent.invert(run.objective, make.space, real, condition, make.settings), condition
        )
    else:
        made = _coded(run, real)
    sheet = pictures.grid(torch.cat([real, made]), len(real), ["held out", "made again"])
    return Picture(
        "Reconstructions",
        "Pictures that were never trained on, and what is left of them after the code.",
        sheet,
    )


def _coded(run: Run, x: Tensor) -> Tensor:
    with torch.no_grad():
        return run.model(codes=run.model(x.to(next(run.model.parameters()).device))[1]).cpu()


def _sample_grids(make: Drawer) -> list[Picture]:
    """Samples, by the values of some attributes where there are any: those of few values, which a
    person can look through."""
    out = []
    known = list(make.space.attributes.items()) if make.conditional else []
    for name, values in ([pair for pair in known if len(pair[1]) <= FEW] or known)[:3]:
        rows = values[:FEW]
        wanted = torch.stack(
            [encode(make.space.attributes, {name: value}) for value in rows]
        ).repeat_interleave(ACROSS, 0)
        caption = f"Each row was asked for one {name}" + (
            f", the first {FEW} of {len(values)}." if len(values) > FEW else "."
        )
        out.append(
            Picture(
                f"Samples by {name}",
                caption,
                pictures.grid(make(len(wanted), wanted), ACROSS, rows),
            )
        )
    return out or [
        Picture(
            "Samples",
            "Drawn one after another, none chosen.",
            pictures.grid(make(ROWS * ACROSS), ACROSS),
        )
    ]


def _neighbours(make: Drawer, dataset: Any, features: Any) -> Picture:
    """Samples above their nearest training examples."""
    condition = of_split(dataset.split("train"), 10)[1] if make.conditional else None
    made = make(10 if condition is None else len(condition), condition)
    train = of_split(dataset.split("train"), 20_000)[0]
    index = nearest(features(made), features(train))[1][:, 0]
    sheet = pictures.grid(torch.cat([made, train[index]]), len(made), ["sample", "nearest"])
    return Picture(
        "Nearest training examples",
        "Below each sample the training example that is most like it; a copy would be the same.",
        sheet,
    )
