"""What a report shows of a run that makes pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from genwright.contents.images import drawing
from genwright.contents.images.data import picture_data
from genwright.contents.images.sampler import PictureDrawer, drawer_of
from genwright.core.attributes import encode
from genwright.core.contracts import Latent
from genwright.core.progress import track
from genwright.evaluation.distances import nearest
from genwright.evaluation.features import extractor, of_split
from genwright.objectives.quantised import QuantisedObjective
from genwright.objectives.variational import VariationalObjective
from genwright.reporting.png import Picture, kept_on_the_way
from genwright.sampling import latent
from genwright.sampling.latent_drawer import HEADS, VALUES

if TYPE_CHECKING:
    from genwright.runs.trained import TrainedRun

ROWS = 8  # of a grid
ACROSS = 8
FEW = 12  # values of an attribute that has a row each
GROUPED = 3  # attributes by whose values samples are shown
SHOWN = 10  # samples beside their nearest training pictures, and reconstructions
SEARCHED = 20_000  # training pictures among which the nearest are looked for
FRAMES = 9  # of an interpolation


def gallery(run: TrainedRun) -> list[Picture]:
    """Samples, their nearest training pictures, how they became what they are, ways through the
    latent space, reconstructions: whatever the run has."""
    dataset = picture_data(run.dataset())
    drawer = drawer_of(run.opened())
    shown: list[Callable[[], list[Picture]]] = []
    if drawer.draws:
        shown.append(lambda: sample_grids(drawer))
        shown.append(lambda: [neighbours(run, drawer)])
    shown.append(lambda: kept_on_the_way(run.folder / "samples"))
    if drawer.through_latent:
        shown.append(lambda: [_interpolation(drawer)])
        objective = run.objective
        if isinstance(objective, Latent) and latent.top(objective):
            shown.append(lambda: [_traversal(drawer)])
    autoencoder = isinstance(run.objective, (VariationalObjective, QuantisedObjective))
    if autoencoder and len(dataset.split("held_out")):
        shown.append(lambda: [_reconstructions(run, drawer)])
    pictures = []
    for part in track(shown, "drawing pictures for the report"):
        pictures += part()
    return pictures


def sample_grids(drawer: PictureDrawer) -> list[Picture]:
    """Samples, by the values of some attributes where there are any: those of few values, which a
    person can look through."""
    known = list(drawer.space.attributes.items()) if drawer.conditional else []
    of_few = [(name, values) for name, values in known if len(values) <= FEW]
    pictures = [_grid_by(drawer, name, values) for name, values in (of_few or known)[:GROUPED]]
    if pictures:
        return pictures
    caption = "Drawn one after another, none chosen."
    return [Picture("Samples", caption, drawing.grid(drawer(ROWS * ACROSS), ACROSS))]


def _grid_by(drawer: PictureDrawer, name: str, values: tuple[str, ...]) -> Picture:
    """A row of samples for each value of an attribute."""
    rows = values[:FEW]
    wanted = torch.stack([encode(drawer.space.attributes, {name: value}) for value in rows])
    asked = wanted.repeat_interleave(ACROSS, 0)
    caption = f"Each row was asked for one {name}"
    caption += f", the first {FEW} of {len(values)}." if len(values) > FEW else "."
    sheet = drawing.grid(drawer(len(asked), asked), ACROSS, rows)
    return Picture(f"Samples by {name}", caption, sheet)


def neighbours(
    run: TrainedRun, drawer: PictureDrawer, features: Callable[[Tensor], Tensor] | None = None
) -> Picture:
    """Samples above their nearest training pictures. features: (n, *shape) -> (n, d); default:
    those of the data's extractor."""
    dataset = picture_data(run.dataset())
    features = features or extractor(dataset, run.recipe.data.cache).features
    train = dataset.split("train")
    condition = of_split(train, SHOWN)[1] if drawer.conditional else None
    samples = drawer(SHOWN if condition is None else len(condition), condition)
    real = of_split(train, SEARCHED)[0]
    index = nearest(features(samples), features(real))[1][:, 0]
    sheet = drawing.grid(torch.cat([samples, real[index]]), len(samples), ["sample", "nearest"])
    caption = (
        "Below each sample the training example that is most like it; a copy would be the same."
    )
    return Picture("Nearest training examples", caption, sheet)


def _interpolation(drawer: PictureDrawer) -> Picture:
    z = drawer.latents(10)
    x = drawer.decoded(latent.interpolate(z[:5], z[5:], FRAMES))
    caption = "From one latent to another, in each row, along the arc between them."
    return Picture("Interpolation", caption, drawing.grid(x, FRAMES))


def _traversal(drawer: PictureDrawer) -> Picture:
    lines, labels = drawer.along(ROWS, drawer.has_directions)
    x = drawer.decoded(latent.traverse(drawer.latents(1), lines, VALUES))
    caption = (
        "One latent, with its coordinate along each line set from -3 to 3; the strongest first."
    )
    return Picture("Traversal", caption, drawing.grid(x, len(VALUES), labels, HEADS))


def _reconstructions(run: TrainedRun, drawer: PictureDrawer) -> Picture:
    real, condition = of_split(picture_data(run.dataset()).split("held_out"), SHOWN)
    if drawer.through_latent:
        z = latent.invert(run.objective, drawer.space, real, condition, drawer.settings)
        decoded = drawer.decoded(z, condition)
    else:
        decoded = _through_codes(run.model, real)
    sheet = drawing.grid(torch.cat([real, decoded]), len(real), ["held out", "made again"])
    caption = "Pictures that were never trained on, and what is left of them after the code."
    return Picture("Reconstructions", caption, sheet)


@torch.no_grad()
def _through_codes(network: Any, x: Tensor) -> Tensor:
    """Pictures (n, C, H, W), made into codes and back."""
    device = next(network.parameters()).device
    codes = network(x.to(device))[1]
    return network(codes=codes).cpu()
