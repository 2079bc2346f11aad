"""Names that say a part of a data set: `train`, `Val`, `test_images`, `x_test`, `val2017`, of
folders and of arrays.

What is called train is trained on; every other part (val, valid, validation, test, eval, holdout)
is held out.
"""

import re
from collections.abc import Iterable

from genwright.core.errors import named

TRAIN = "train"
_WORDS = {
    "train": "train|training|trainval",
    "val": "val|valid|validation|eval|evaluation|hold[-_ ]?out|held[-_ ]?out",
    "test": "test|testing",
}
_PICTURES = "sets?|data|split|images?|imgs?|pictures?|photos?"
_FOLDERS = {
    part: re.compile(rf"(?:{words})[-_ ]?(?:{_PICTURES})?[-_ ]?\d{{0,4}}", re.IGNORECASE)
    for part, words in _WORDS.items()
}
# of an array: what stands before and after the word of its part belongs to the rest of its name
_TOKENS = {
    part: re.compile(
        rf"(?P<before>[xy]?)(?:{words})(?P<after>[xy]?(?:{_PICTURES}|labels?|targets?)?\d*)"
    )
    for part, words in _WORDS.items()
}


def part_of_folder(name: str) -> str:
    """ "train", "val" or "test", where the whole name of a folder says so; else ""."""
    return next((part for part, pattern in _FOLDERS.items() if pattern.fullmatch(name.strip())), "")


def tokens_of(name: str) -> list[str]:
    """The words of an array's name, in lower case: x_train, trainImages and X-Train are two words
    each; held_out is one."""
    found = re.findall("[a-z0-9]+", re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
    return re.sub(r"\b(held|hold) out", r"\1out", " ".join(found)).split()


def part_of_array(name: str) -> tuple[str, str]:
    """(part, the words of the name that do not say it, joined by _). No part: ""."""
    tokens = tokens_of(name)
    for place, token in enumerate(tokens):
        for part, pattern in _TOKENS.items():
            if match := pattern.fullmatch(token):
                rest = match["before"] + match["after"]
                return part, "_".join(
                    [*tokens[:place], *([rest] if rest else []), *tokens[place + 1 :]]
                )
    return "", "_".join(tokens)


def unheeded(names: Iterable[str]) -> list[str]:
    """A note where files (folders parted by /) lie in train and test folders, for data whose split
    does not heed them."""
    levels: dict[int, set[str]] = {}
    for name in names:
        for depth, folder in enumerate(name.split("/")[:-1]):
            levels.setdefault(depth, set()).add(folder)
    for folders in levels.values():
        parts = {folder: part for folder in sorted(folders) if (part := part_of_folder(folder))}
        if TRAIN in parts.values() and set(parts.values()) != {TRAIN}:
            wanted = next(folder for folder, part in parts.items() if part == TRAIN)
            what = (
                f"{named(list(parts))} are folders like any other, and files of each are trained on"
            )
            return [f"{what}; name {wanted} alone to leave out the rest"]
    return []
