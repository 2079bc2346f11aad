"""What the folders of pictures say of them: a part of a data set, a class.

1. Where all folders of one depth are called train, val, test or the like (in any letter case), with
   or without classes below or above them, they are parts: pictures of train are trained on, all
   others are held out.
2. Names like cats_train and cats_test2, trainA and testA are parts too, of the classes cats and A,
   where each class has a part to train on.
3. A name of a part beside other names (test beside cats; cats_train and cats_test beside dogs) is
   either a class or pictures that must not be trained on: nobody can know, so it is refused.
4. What is left of the first folder is the class, where there are several.
"""

import os
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from genwright.core.errors import GenwrightError, first_named
from genwright.data.parts import TRAIN, parts_of_folders


class Place(NamedTuple):
    """What a picture's folders say. part: "train", "val", "test" or ""; label: its class or ""."""

    part: str
    label: str


class Mixed(GenwrightError):
    """Folders that are called like parts of a data set, beside others that are not."""


def places_of(names: Sequence[str], shown: str) -> list[Place]:
    """Of each picture, by its name (folders parted by /). shown: what to call the whole. Raises
    Mixed; GenwrightError where all that there is would be held out."""
    folders = [name.split("/")[:-1] for name in names]
    parts = [""] * len(names)
    for depth in range(max(map(len, folders), default=0)):
        siblings = {path[depth] for path in folders if len(path) > depth}
        read = {name: Place(*said) for name, said in parts_of_folders(siblings).items()}
        if not read:
            continue
        _check(read, folders, depth, shown)
        if len(read) > 1 or not _is_train(read):
            parts = [read[path[depth]].part for path in folders]
        folders = [_without_part(path, depth, read) for path in folders]
        break
    # one folder around all others says nothing
    while len({path[0] if path else "" for path in folders}) == 1 and folders[0]:
        folders = [path[1:] for path in folders]
    first = {path[0] for path in folders if path}
    several = len(first) > 1 or (any(folders) and not all(folders))
    places = []
    for part, path in zip(parts, folders, strict=True):
        label = path[0] if path and several else ""
        places.append(Place(part, label))
    return places


def _without_part(path: list[str], depth: int, read: dict[str, Place]) -> list[str]:
    """The folders of a picture, with the class in place of the folder that says the part."""
    label = read[path[depth]].label
    between = [label] if label else []
    return [*path[:depth], *between, *path[depth + 1 :]]


def _is_train(read: dict[str, Place]) -> bool:
    return all(place.part == TRAIN for place in read.values())


def _check(read: dict[str, Place], folders: list[list[str]], depth: int, shown: str) -> None:
    parts = sorted(name for name, place in read.items() if place.part)
    others = sorted(name for name, place in read.items() if not place.part)
    if any(len(path) <= depth for path in folders):
        others.append("pictures of its own")
    if others:
        raise Mixed(
            f"{shown} holds {first_named(parts)} beside {first_named(others)}: "
            "is that a class, or a part that must not be trained on?",
            "leave only parts (train, val, test) or only classes there: rename or move the others",
        )
    if not any(place.part == TRAIN for place in read.values()):
        first = os.path.join(shown, parts[0])
        raise GenwrightError(
            f"{shown} holds {first_named(parts)} and nothing that is called train, "
            "so all of it would be held out",
            f"to train on it, give the folder itself, as in data.path={first}",
        )


def held_note(parts: Sequence[str]) -> list[str]:
    """What is held out because folders, or a table, say so, as a sentence for a person."""
    counts = Counter(parts)
    texts = [f"{part} ({counts[part]:,})" for part in ("val", "test") if counts[part]]
    if not texts:
        return []
    return [f"held out, as the data says: {', '.join(texts)}"]
