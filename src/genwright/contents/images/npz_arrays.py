"""What the arrays of an npz file are: pictures and labels, by part of the data set. Nothing is
dropped without a word.

1. The part is in the name: x_train, trainImages, valid_labels. Arrays without one are the training
   part where others are held out, else all there is.
2. Pictures are (n, height, width) or (n, height, width, channels) or (n, channels, height, width),
   as uint8, uint16, bool, floats from 0 to 1, or numbers from 0 to 255. What could be read in two
   ways is refused.
3. Labels have n values in any shape, or are one-hot (n, k), of numbers or texts.

A label that cannot be used is a problem, which stops unless it may be skipped; another array that
is not read is a note.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from genwright.core.errors import GenwrightError
from genwright.data.parts import TRAIN, part_of_array

REMEDY = "save arrays (n, height, width[, channels]) of uint8 named x_train, y_train, x_test, y_test (or x, y) with numpy.savez_compressed"
_PICTURES = {
    "x",
    "image",
    "images",
    "img",
    "imgs",
    "picture",
    "pictures",
    "photo",
    "photos",
    "digits",
    "data",
}
_LABELS = {
    "y",
    "label",
    "labels",
    "target",
    "targets",
    "class",
    "classes",
    "category",
    "categories",
}
_NUMBERING = {
    "id",
    "ids",
    "index",
    "indices",
    "idx",
    "name",
    "names",
    "filename",
    "filenames",
    "file",
    "files",
    "path",
    "paths",
}
_CHANNELS = (1, 3, 4)

Labels = list[str | None]  # of each picture; None: not known


class Part(NamedTuple):
    """pictures: (n, height, width, channels) uint8 or uint16; labels: attribute -> the label of
    each picture."""

    name: str
    pictures: np.ndarray
    labels: Mapping[str, Labels]


class Unusable(Exception):
    """Why an array is no label, to follow its name."""


def load(path: str) -> dict[str, np.ndarray | None]:
    """The arrays of an npz file by name; None for what are no plain numbers or texts: Python
    objects are never read back. Raises GenwrightError."""
    found: dict[str, np.ndarray | None] = {}
    try:
        with np.load(path, allow_pickle=False) as file:
            for name in file.files:
                found[name] = _array(file, name)
    except MemoryError:
        raise
    except Exception as error:  # zip files, their ways of compression and numpy raise all kinds
        raise GenwrightError(f"{path} cannot be read: {error}", REMEDY) from None
    return found


def _array(file: np.lib.npyio.NpzFile, name: str) -> np.ndarray | None:
    try:
        value = file[name]
        # bytes of a member that is no array
        return value if isinstance(value, np.ndarray) else None
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        return None


def parts_of(path: str) -> tuple[list[Part], list[str], list[str]]:
    """(the parts, the training one first; problems; notes). Raises GenwrightError where there are
    no pictures to train on."""
    arrays = load(path)
    by_part: dict[str, dict[str, np.ndarray | None]] = {}
    for name, array in arrays.items():
        by_part.setdefault(part_of_array(name)[0], {})[name] = array
    chosen = {
        part: picked for part, mine in by_part.items() if (picked := _choose_pictures(path, mine))
    }
    if "" in chosen and TRAIN not in chosen:
        chosen = {TRAIN if part == "" else part: name for part, name in chosen.items()}
        by_part[TRAIN] = by_part.pop(TRAIN, {}) | by_part.pop("")
    chosen.pop("", None)
    if TRAIN not in chosen:
        raise GenwrightError(f"{path} holds no pictures to train on: {_listed(arrays)}", REMEDY)
    order = [TRAIN, *sorted(set(chosen) - {TRAIN}, reverse=True)]  # val before test
    pictures = _pictures(path, {chosen[part]: arrays[chosen[part]] for part in order})
    labels, problems, used = _labels(
        by_part, {part: len(pictures[chosen[part]]) for part in order}, set(chosen.values())
    )
    parts = [Part(part, pictures[chosen[part]], labels[part]) for part in order]
    unread = {
        name: array
        for name, array in arrays.items()
        if name not in used and name not in chosen.values()
    }
    notes = (
        [
            f"held out, as the file says: {', '.join(f'{part.name} ({len(part.pictures):,})' for part in parts[1:])}"
        ]
        if parts[1:]
        else []
    )
    notes += [f"not read: {_listed(unread)}"] if unread else []
    bare = [part.name for part in parts if not part.labels and any(other.labels for other in parts)]
    notes += [f"there are no labels of the part {part}" for part in bare]
    return parts, problems, notes


def _listed(arrays: Mapping[str, np.ndarray | None]) -> str:
    said = [
        f"{name} {'(no plain array)' if array is None else f'{array.dtype} {array.shape}'}"
        for name, array in arrays.items()
    ]
    return ", ".join(said) or "nothing"


# ---- pictures ----


def _choose_pictures(path: str, arrays: Mapping[str, np.ndarray | None]) -> str:
    """The name of the pictures among a part's arrays, "" where there are none. Raises
    GenwrightError for several."""
    able = {
        name: array
        for name, array in arrays.items()
        if array is not None and _axis(array) is not None
    }
    plain = [name for name, array in able.items() if array.dtype == np.uint8]
    likely = plain or list(able)
    called = [name for name in likely if _words(name) & _PICTURES]
    if len(likely) > 1 and len(called) != 1:
        what = f"{path} holds several arrays that may be the pictures: {_listed({name: able[name] for name in likely})}"
        raise GenwrightError(what, "call the pictures x or images, and nothing else so")
    return (called if len(likely) > 1 else likely or [""])[0]


def _words(name: str) -> set[str]:
    return set(part_of_array(name)[1].split("_"))


def _axis(array: np.ndarray) -> int | None:
    """Where the channels of pictures stand: 3 (last, or none), 1 (first); None for what are no
    pictures. Raises nothing."""
    if array.dtype.kind not in "buif" or min(array.shape, default=0) < 1:
        return None
    if array.ndim == 3:
        return 3 if min(array.shape[1:]) > 1 else None
    if array.ndim != 4:
        return None
    last = array.shape[3] in _CHANNELS and min(array.shape[1:3]) > 1
    first = array.shape[1] in _CHANNELS and min(array.shape[2:]) > 1
    if last and first:  # the reading that makes the pictures square
        first = array.shape[1] != array.shape[2] and array.shape[2] == array.shape[3]
    if first:
        return 1
    return 3 if last else None


def _pictures(path: str, arrays: Mapping[str, np.ndarray | None]) -> dict[str, np.ndarray]:
    """(n, height, width, channels) uint8 or uint16 of each array; they share one scale. Raises
    GenwrightError for an unknown one."""
    known = {name: array for name, array in arrays.items() if array is not None}
    kinds = {array.dtype for array in known.values()}
    if len(kinds) > 1:
        raise GenwrightError(f"{path} holds pictures of different types: {_listed(known)}", REMEDY)
    least = min(float(array.min()) for array in known.values())
    most = max(float(array.max()) for array in known.values())
    scale, kind = _scale(kinds.pop(), least, most)
    if not scale:
        what = f"{path}: {', '.join(known)} holds {next(iter(known.values())).dtype} from {least:g} to {most:g}, which may mean several things"
        raise GenwrightError(
            what,
            "save pictures as uint8 from 0 to 255, as floats from 0 to 1, as bool, or as uint16 up to 65535",
        )
    out = {}
    for name, array in known.items():
        values = (
            array
            if scale == 1 and array.dtype == kind
            else (array.astype(np.float64) * scale).round().astype(kind)
        )
        if values.ndim == 3:
            values = values[..., None]
        out[name] = np.moveaxis(values, _axis(array) or 3, 3)
    return out


def _scale(kind: np.dtype, least: float, most: float) -> tuple[float, type]:
    """(factor, type) that turn values into samples; a factor of 0 where nobody can know."""
    if kind == np.bool_:
        return 255, np.uint8
    if kind == np.uint8:
        return (0 if most == 1 else 1), np.uint8  # zeros and ones would all be black
    if kind == np.uint16:
        return (1 if most > 255 else 0), np.uint16
    if kind.kind == "f" and 0 <= least <= most <= 1:
        return 65535, np.uint16
    if 0 <= least <= most <= 255 and most > 127:
        return (257, np.uint16) if kind.kind == "f" else (1, np.uint8)
    return 0, np.uint8


# ---- labels ----


def _labels(
    by_part: Mapping[str, Mapping[str, np.ndarray | None]],
    sizes: Mapping[str, int],
    pictures: set[str],
) -> tuple[dict[str, dict[str, Labels]], list[str], set[str]]:
    """(part -> attribute -> labels; problems; the names of the arrays that these are about).

    Arrays that are called labels are labels; where none is, a single array with a value for each
    picture is."""
    found: dict[str, dict[str, Labels]] = {part: {} for part in sizes}
    others: dict[str, dict[str, Labels]] = {part: {} for part in sizes}
    problems: list[str] = []
    used: set[str] = set()
    origin: dict[tuple[str, str], str] = {}
    for part, size in sizes.items():
        for name, array in by_part[part].items():
            if name in pictures:
                continue
            called = bool(_words(name) & _LABELS) and not _words(name) & _NUMBERING
            key = part_of_array(name)[1] or name
            origin[part, key] = name
            try:
                labels = label_values(array, size)
            except Unusable as reason:
                if called:
                    problems.append(f"{name} {reason}")
                    used.add(name)
                continue
            if called:
                found[part][key] = labels
                used.add(name)
            elif not _words(name) & _NUMBERING:
                others[part][key] = labels
    single = {key for labels in others.values() for key in labels}
    if not used and len(single) == 1:
        found = others
        used = {origin[part, key] for part, labels in others.items() for key in labels}
    if all(len(labels) <= 1 for labels in found.values()):
        found = {
            part: {"label": next(iter(labels.values()))} if labels else {}
            for part, labels in found.items()
        }
    return found, problems, used


def label_values(array: np.ndarray | None, size: int) -> Labels:
    """The labels of `size` pictures. array: that many values in any shape, or one-hot (size, k).
    Raises Unusable."""
    if array is None:
        raise Unusable(
            "holds no plain numbers or texts, and Python objects are never read back: save texts with astype(str)"
        )
    if array.size == size:
        return _one_each(array.reshape(-1))
    if array.ndim == 2 and len(array) == size:
        if (
            array.dtype.kind in "buif"
            and np.isin(array, (0, 1)).all()
            and (array.sum(1) == 1).all()
        ):
            return [str(place) for place in array.argmax(1).tolist()]
        raise Unusable(
            f"has {array.shape[1]} values for each picture and is not one-hot: give one label each, or one-hot rows"
        )
    raise Unusable(
        f"is {array.dtype} {array.shape}, and there are {size:,} pictures: give each one label"
    )


def _one_each(values: np.ndarray) -> Labels:
    if values.dtype.kind in "U":
        return [str(text) or None for text in values]
    if values.dtype.kind == "S":
        return [_decoded(text) or None for text in values.tolist()]
    if values.dtype.kind == "f":
        if not np.isfinite(values).all() or (values != values.round()).any():
            raise Unusable(
                "holds fractions, which are no classes: save classes as whole numbers or texts"
            )
        values = values.astype(np.int64)
    if values.dtype.kind not in "bui":
        raise Unusable(
            f"is of {values.dtype}, which is no label: save classes as whole numbers or texts"
        )
    return [str(value) for value in values.tolist()]


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise Unusable("holds bytes that are no UTF-8 text: save texts with astype(str)") from None
