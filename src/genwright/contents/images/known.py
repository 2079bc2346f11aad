"""What pictures' data say of them, and what recognises it in pictures that a model made.

An attribute is recognised by a small network of its own (`evaluation/features.fit`), trained on two
thirds of the training split's clusters. It also learns that a picture has none of the attribute's
values, so that a drawing of a car is not given a tone of skin. It sees pixels alone. What it makes
of the other third, and of the held-out split, is kept with it: counts are corrected by that, and
the more pictures that rests on, the narrower are their intervals.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor

from genwright.contents.images.data import ImagesDataset, picture_data
from genwright.core.attributes import spans
from genwright.core.content import Sample
from genwright.core.dataset import Dataset
from genwright.core.errors import GenwrightError
from genwright.core.files import cache_folder, write_whole
from genwright.core.groups import NONE, Judge, Known
from genwright.data.cache import digest_of
from genwright.data.examples import Split
from genwright.evaluation.features import EPOCHS, LEAST, MOST, Extractor, Network, fit
from genwright.evaluation.linear_judge import PARTS, held_apart

log = logging.getLogger(__name__)

VERSION = 2  # of the network and its training: raise it when either changes
SEED = 2  # of its first weights: figures of evaluations are made with 0
AT_ONCE = 500


def originals_of(dataset: Dataset) -> ImagesDataset:
    """The pictures themselves, where a run learns their codes. Raises GenwrightError for data that
    are no album of pictures."""
    found = picture_data(dataset).originals
    if not isinstance(found, ImagesDataset):
        raise GenwrightError("these data say nothing of their pictures", "give data.kind=images")
    return found


def known_attributes(dataset: Dataset) -> list[str]:
    """What is known of any picture of the data."""
    names: dict[str, None] = {}
    for item in originals_of(dataset).album.items:
        names.update(dict.fromkeys(item.known))
    return list(names)


def known(dataset: Dataset, split: str, attributes: Sequence[str]) -> Known:
    """Of every picture of a split, rare values too."""
    pictures = originals_of(dataset)
    numbers = pictures.split(split).numbers
    values: dict[str, list[tuple[str, ...]]] = {name: [] for name in attributes}
    names = []
    for number in numbers.tolist():
        item = pictures.album.items[number]
        names.append(item.name)
        for name in attributes:
            values[name].append(tuple(item.known.get(name, ())))
    return Known(names, pictures.clusters[numbers], values)


def examples(dataset: Dataset, split: str, numbers: Sequence[int]) -> list[Sample]:
    """Pictures (C, H, W) of a split."""
    x = originals_of(dataset).split(split).x(np.asarray(numbers, np.int64))
    return [Sample(picture, number=int(n)) for picture, n in zip(x, numbers, strict=True)]


def judges(dataset: Dataset, attributes: Sequence[str]) -> dict[str, Judge]:
    """A judge of each attribute of which a picture has one value at most; the others are left out.
    Each is a network of its own, the same whatever else is asked for."""
    pictures = originals_of(dataset)
    found = {}
    for attribute, groups in _columns(pictures, attributes).items():
        found[attribute] = _judge(pictures, attribute, groups)
    return found


def _judge(pictures: ImagesDataset, attribute: str, groups: tuple[str, ...]) -> Judge:
    recognised = {attribute: groups}
    network, name = _network(pictures, recognised)
    extractor = Extractor(network, name, recognised, {attribute: True})
    checked = _checked(pictures)
    truth = _truth(pictures, checked, recognised)[attribute]
    guess = np.zeros((0, len(groups)))
    if len(checked):
        guess = _guessed(extractor, pictures.split("train").take, checked)
    kept = truth >= 0
    return Judge(
        groups,
        _judging(extractor),
        f"a network that learned {attribute} from {PARTS - 1} of {PARTS} parts of the training"
        f" split ({name}), by pixels alone",
        truth[kept],
        guess[kept],
        pictures.clusters[checked][kept],
    )


def _apart(pictures: ImagesDataset) -> np.ndarray:
    """(n,) bool, of the training pictures: which the judge does not learn from, whole clusters."""
    return held_apart(pictures.clusters[pictures.split("train").numbers], SEED)


def _checked(pictures: ImagesDataset) -> np.ndarray:
    """Numbers of the pictures that the judge never saw."""
    train = pictures.split("train").numbers[_apart(pictures)]
    return np.concatenate([train, pictures.split("held_out").numbers])


def _columns(pictures: ImagesDataset, attributes: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """attribute -> its values that are frequent enough, and `NONE` where some pictures have
    none."""
    found = {}
    for name in sorted(attributes):  # in whatever order they are asked for: one network
        values = pictures.codec.space.attributes.get(name, ())
        every = known(pictures, "train", [name]).values[name]
        if len(values) < 2 or any(len(own) > 1 for own in every):
            continue
        if any(not own for own in every):
            values = (*values, NONE)
        found[name] = tuple(values)
    return found


def _truth(
    pictures: ImagesDataset, numbers: np.ndarray, recognised: Mapping[str, tuple[str, ...]]
) -> dict[str, np.ndarray]:
    """attribute -> (n,) int64, which value each picture has; -1 for one that is too rare."""
    found = {}
    for name, values in recognised.items():
        places = {value: place for place, value in enumerate(values)}
        column = []
        for number in numbers.tolist():
            own = pictures.album.items[number].known.get(name, ())
            value = own[0] if own else NONE
            column.append(places.get(value, -1))
        found[name] = np.array(column, np.int64)
    return found


def _network(
    pictures: ImagesDataset, recognised: Mapping[str, tuple[str, ...]]
) -> tuple[Network, str]:
    """The network that recognises them, from the cache or trained now, and its name."""
    shape = pictures.codec.space.shape
    known_by = (pictures.own_digest, shape, dict(recognised), _seen(pictures))
    name = digest_of(VERSION, SEED, *known_by)[:12]
    root = cache_folder(pictures.settings.cache) / "judges"
    weights = root / f"{name}.safetensors"
    columns = sum(len(values) for values in recognised.values())
    if not weights.is_file():
        log.info("a small network learns to recognise %s, once", ", ".join(recognised))
        network = _trained(pictures, recognised)
        root.mkdir(parents=True, exist_ok=True)
        write_whole(weights, save(network.state_dict()))
    with torch.device("meta"):
        network = Network(shape, columns).eval()
    network.load_state_dict(load_file(weights), assign=True)
    return network.requires_grad_(False), name


def _trained(pictures: ImagesDataset, recognised: Mapping[str, tuple[str, ...]]) -> Network:
    train = pictures.split("train")
    numbers = train.numbers[~_apart(pictures)]
    truth = _truth(pictures, numbers, recognised)
    table = np.zeros((len(pictures.album.items), sum(map(len, recognised.values()))), np.uint8)
    for name, columns in spans(recognised).items():
        kept = truth[name] >= 0
        table[numbers[kept], columns.start + truth[name][kept]] = 1
    labelled = Split(numbers, train.take, train.name, table)
    single = dict.fromkeys(recognised, True)
    shape = pictures.codec.space.shape
    return fit(labelled, shape, recognised, single, _seen(pictures), pictures.unit, SEED)


def _seen(pictures: ImagesDataset) -> int:
    """How many pictures the judge is shown."""
    return min(MOST, max(LEAST, EPOCHS * int((~_apart(pictures)).sum())))


def _guessed(
    extractor: Extractor, take: Callable[[np.ndarray], Tensor], numbers: np.ndarray
) -> np.ndarray:
    """(n, columns) float64, of pictures by their numbers in the album."""
    parts = []
    for start in range(0, len(numbers), AT_ONCE):
        x = take(numbers[start : start + AT_ONCE])
        parts.append(extractor.predict(x).double().numpy())
    return np.concatenate(parts)


def _judging(extractor: Extractor) -> Callable[[Sequence[Sample]], np.ndarray]:
    """What judges the one attribute that an extractor knows."""
    groups = sum(len(values) for values in extractor.attributes.values())

    def of(samples: Sequence[Sample]) -> np.ndarray:
        if not samples:
            return np.zeros((0, groups))
        parts = []
        for start in range(0, len(samples), AT_ONCE):
            x = torch.stack([sample.content for sample in samples[start : start + AT_ONCE]])
            parts.append(extractor.predict(x).double().numpy())
        return np.concatenate(parts)

    return of
