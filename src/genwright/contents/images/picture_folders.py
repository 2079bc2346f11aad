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

from genwright.core.errors import GenwrightError, named
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
        folders = [
            [*path[:depth], *filter(None, [read[path[depth]].label]), *path[depth + 1 :]]
            for path in folders
        ]
        break
    # one folder around all others says nothing
    while len({path[0] if path else "" for path in folders}) == 1 and folders[0]:
        folders = [path[1:] for path in folders]
    several = len({path[0] for path in folders if path}) > 1 or (any(folders) and not all(folders))
    return [
        Place(part, path[0] if path and several else "")
        for part, path in zip(parts, folders, strict=True)
    ]


def _is_train(read: dict[str, Place]) -> bool:
    return all(place.part == TRAIN for place in read.values())


def _check(read: dict[str, Place], folders: list[list[str]], depth: int, shown: str) -> None:
    parts = sorted(name for name, place in read.items() if place.part)
    others = sorted(name for name, place in read.items() if not place.part)
    if any(len(path) <= depth for path in folders):
        others.append("pictures of its own")
    if others:
        what = f"{shown} holds {named(parts)} beside {named(others)}: is that a class, or a part that must not be trained on?"
        raise Mixed(
            what,
            "leave only parts (train, val, test) or only classes there: rename or move the others",
        )
    if not any(place.part == TRAIN for place in read.values()):
        what = f"{shown} holds {named(parts)} and nothing that is called train, so all of it would be held out"
        raise GenwrightError(
            what,
            f"to train on it, give the folder itself, as in data.path={os.path.join(shown, parts[0])}",
        )


def held_note(parts: Sequence[str]) -> list[str]:
    """What is held out because folders, or a table, say so, as a sentence for a person."""
    counts = Counter(part for part in parts if part not in ("", TRAIN))
    said = ", ".join(f"{part} ({counts[part]:,})" for part in ("val", "test") if counts[part])
    return [f"held out, as the data says: {said}"] if said else []
