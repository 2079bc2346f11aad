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

from genwright.core.errors import GenwrightError, in_words
from genwright.data.parts import TRAIN, part_of_array

REMEDY = (
    "save arrays (n, height, width[, channels]) of uint8 named x_train, y_train, x_test, y_test "
    "(or x, y) with numpy.savez_compressed"
)
# words of names
_PICTURE_WORDS = "x image images img imgs picture pictures photo photos digits data"
_PICTURES = frozenset(_PICTURE_WORDS.split())
_LABEL_WORDS = "y label labels target targets class classes category categories"
_LABELS = frozenset(_LABEL_WORDS.split())
_NUMBERING_WORDS = """
    id ids index indices idx name names filename filenames file files path paths
"""
_NUMBERING = frozenset(_NUMBERING_WORDS.split())
_CHANNELS = (1, 3, 4)

Arrays = Mapping[str, np.ndarray | None]  # by name; None: no plain array
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
        raise GenwrightError(f"{path} cannot be read: {in_words(error)}", REMEDY) from None
    return found


def _array(file: np.lib.npyio.NpzFile, name: str) -> np.ndarray | None:
    try:
        value = file[name]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        return None
    if not isinstance(value, np.ndarray):  # bytes of a member that is no array
        return None
    return value


def parts_of(path: str) -> tuple[list[Part], list[str], list[str]]:
    """(the parts, the training one first; problems; notes). Raises GenwrightError where there are
    no pictures to train on."""
    arrays = load(path)
    by_part: dict[str, dict[str, np.ndarray | None]] = {}
    for name, array in arrays.items():
        by_part.setdefault(part_of_array(name)[0], {})[name] = array
    chosen: dict[str, str] = {}  # part -> the name of its pictures
    for part, arrays_of_part in by_part.items():
        name = _choose_pictures(path, arrays_of_part)
        if name:
            chosen[part] = name
    if "" in chosen and TRAIN not in chosen:
        chosen[TRAIN] = chosen[""]
        by_part[TRAIN] = by_part.pop(TRAIN, {}) | by_part.pop("")
    chosen.pop("", None)
    if TRAIN not in chosen:
        raise GenwrightError(f"{path} holds no pictures to train on: {_listed(arrays)}", REMEDY)
    order = [TRAIN, *sorted(set(chosen) - {TRAIN}, reverse=True)]  # val before test
    pictures = _pictures(path, {chosen[part]: arrays[chosen[part]] for part in order})
    sizes = {part: len(pictures[chosen[part]]) for part in order}
    found = _labels(by_part, sizes, set(chosen.values()))
    parts = [Part(part, pictures[chosen[part]], found.labels[part]) for part in order]
    read = found.used | set(chosen.values())
    unread = {name: array for name, array in arrays.items() if name not in read}
    return parts, found.problems, _notes(parts, unread)


def _notes(parts: list[Part], unread: Arrays) -> list[str]:
    """What a person may not expect."""
    notes = []
    if parts[1:]:
        held_out = [f"{part.name} ({len(part.pictures):,})" for part in parts[1:]]
        notes.append(f"held out, as the file says: {', '.join(held_out)}")
    if unread:
        notes.append(f"not read: {_listed(unread)}")
    if any(part.labels for part in parts):
        for part in parts:
            if not part.labels:
                notes.append(f"there are no labels of the part {part.name}")
    return notes


def _listed(arrays: Arrays) -> str:
    if not arrays:
        return "nothing"
    texts = []
    for name, array in arrays.items():
        if array is None:
            texts.append(f"{name} (no plain array)")
        else:
            texts.append(f"{name} {array.dtype} {array.shape}")
    return ", ".join(texts)


# ---- pictures ----


def _choose_pictures(path: str, arrays: Arrays) -> str:
    """The name of the pictures among a part's arrays, "" where there are none. Raises
    GenwrightError for several."""
    possible = {}
    for name, array in arrays.items():
        if array is not None and _axis(array) is not None:
            possible[name] = array
    plain = [name for name, array in possible.items() if array.dtype == np.uint8]
    likely = plain or list(possible)
    if not likely:
        return ""
    if len(likely) == 1:
        return likely[0]
    called = [name for name in likely if _words(name) & _PICTURES]
    if len(called) != 1:
        candidates = {name: possible[name] for name in likely}
        raise GenwrightError(
            f"{path} holds several arrays that may be the pictures: {_listed(candidates)}",
            "call the pictures x or images, and nothing else so",
        )
    return called[0]


def _words(name: str) -> set[str]:
    return set(part_of_array(name)[1].split("_"))


def _axis(array: np.ndarray) -> int | None:
    """Where the channels of pictures stand: 3 (last, or none), 1 (first); None for what are no
    pictures. Raises nothing."""
    if array.dtype.kind not in "buif" or min(array.shape, default=0) < 1:
        return None
    if array.ndim == 3:
        if min(array.shape[1:]) > 1:
            return 3
        return None
    if array.ndim != 4:
        return None
    last = array.shape[3] in _CHANNELS and min(array.shape[1:3]) > 1
    first = array.shape[1] in _CHANNELS and min(array.shape[2:]) > 1
    if last and first:  # the reading that makes the pictures square
        first = array.shape[1] != array.shape[2] and array.shape[2] == array.shape[3]
    if first:
        return 1
    if last:
        return 3
    return None


def _pictures(path: str, arrays: Arrays) -> dict[str, np.ndarray]:
    """(n, height, width, channels) uint8 or uint16 of each array; they share one scale. Raises
    GenwrightError for an unknown one."""
    known = {name: array for name, array in arrays.items() if array is not None}
    kinds = {array.dtype for array in known.values()}
    if len(kinds) > 1:
        raise GenwrightError(f"{path} holds pictures of different types: {_listed(known)}", REMEDY)
    kind = kinds.pop()
    least = min(float(array.min()) for array in known.values())
    most = max(float(array.max()) for array in known.values())
    factor, wanted = _scale(kind, least, most)
    if not factor:
        raise GenwrightError(
            f"{path}: {', '.join(known)} holds {kind} from {least:g} to {most:g}, "
            "which may mean several things",
            "save pictures as uint8 from 0 to 255, as floats from 0 to 1, as bool, or as uint16 up "
            "to 65535",
        )
    out = {}
    for name, array in known.items():
        values = array
        if factor != 1 or array.dtype != wanted:
            values = (array.astype(np.float64) * factor).round().astype(wanted)
        if values.ndim == 3:
            values = values[..., None]
        out[name] = np.moveaxis(values, _axis(array) or 3, 3)
    return out


def _scale(kind: np.dtype, least: float, most: float) -> tuple[float, type]:
    """(factor, type) that turn values into samples; a factor of 0 where nobody can know."""
    if kind == np.bool_:
        return 255, np.uint8
    if kind == np.uint8:
        if most == 1:  # zeros and ones would all be black
            return 0, np.uint8
        return 1, np.uint8
    if kind == np.uint16:
        if most > 255:
            return 1, np.uint16
        return 0, np.uint16
    if kind.kind == "f" and 0 <= least <= most <= 1:
        return 65535, np.uint16
    if 0 <= least <= most <= 255 and most > 127:
        if kind.kind == "f":
            return 257, np.uint16
        return 1, np.uint8
    return 0, np.uint8


# ---- labels ----


class _Found(NamedTuple):
    """labels: part -> attribute -> labels. used: the names of the arrays that these, or the
    problems, are about."""

    labels: dict[str, dict[str, Labels]]
    problems: list[str]
    used: set[str]


def _labels(by_part: Mapping[str, Arrays], sizes: Mapping[str, int], pictures: set[str]) -> _Found:
    """Arrays that are called labels are labels; where none is, a single array with a value for each
    picture is. sizes: pictures of each part; pictures: the names of their arrays."""
    called = _Found({part: {} for part in sizes}, [], set())
    others: dict[str, dict[str, Labels]] = {part: {} for part in sizes}
    names: dict[tuple[str, str], str] = {}  # of the others, by part and attribute
    for part, size in sizes.items():
        for name, array in by_part[part].items():
            if name in pictures or _words(name) & _NUMBERING:
                continue
            attribute = part_of_array(name)[1] or name
            is_called = bool(_words(name) & _LABELS)
            try:
                labels = label_values(array, size)
            except Unusable as reason:
                if is_called:
                    called.problems.append(f"{name} {reason}")
                    called.used.add(name)
                continue
            if is_called:
                called.labels[part][attribute] = labels
                called.used.add(name)
            else:
                others[part][attribute] = labels
                names[part, attribute] = name
    found = called
    attributes = {attribute for _, attribute in names}
    if not called.used and len(attributes) == 1:
        found = _Found(others, [], set(names.values()))
    if all(len(labels_of_part) <= 1 for labels_of_part in found.labels.values()):
        for part, labels_of_part in found.labels.items():
            for labels in labels_of_part.values():
                found.labels[part] = {"label": labels}
    return found


def label_values(array: np.ndarray | None, size: int) -> Labels:
    """The labels of `size` pictures. array: that many values in any shape, or one-hot (size, k).
    Raises Unusable."""
    if array is None:
        raise Unusable(
            "holds no plain numbers or texts, and Python objects are never read back: "
            "save texts with astype(str)"
        )
    if array.size == size:
        return _one_each(array.reshape(-1))
    if array.ndim == 2 and len(array) == size:
        if _is_one_hot(array):
            return [str(place) for place in array.argmax(1).tolist()]
        raise Unusable(
            f"has {array.shape[1]} values for each picture and is not one-hot: "
            "give one label each, or one-hot rows"
        )
    raise Unusable(
        f"is {array.dtype} {array.shape}, and there are {size:,} pictures: give each one label"
    )


def _is_one_hot(array: np.ndarray) -> bool:
    if array.dtype.kind not in "buif":
        return False
    return bool(np.isin(array, (0, 1)).all() and (array.sum(1) == 1).all())


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
