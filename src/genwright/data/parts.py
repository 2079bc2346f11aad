"""Names that say a part of a data set: `train`, `Val`, `test_images`, `x_test`, `val2017`, of
folders and of arrays.

What is called train is trained on; every other part (val, valid, validation, test, eval, holdout)
is held out.
"""

import re
from collections.abc import Iterable

from genwright.core.errors import first_named

TRAIN = "train"
_WORDS = {
    "train": "train|training|trainval",
    "val": "val|valid|validation|eval|evaluation|hold[-_ ]?out|held[-_ ]?out",
    "test": "test|testing",
}
_NOUNS = "sets?|data|split|images?|imgs?|pictures?|photos?"
_FOLDERS = {
    part: re.compile(rf"(?:{words})[-_ ]?(?:{_NOUNS})?[-_ ]?\d{{0,4}}", re.IGNORECASE)
    for part, words in _WORDS.items()
}
# of an array: what stands before and after the word of its part belongs to the rest of its name
_TOKENS = {
    part: re.compile(
        rf"(?P<before>[xy]?)(?:{words})(?P<after>[xy]?(?:{_NOUNS}|labels?|targets?)?\d*)"
    )
    for part, words in _WORDS.items()
}


def part_of_folder(name: str) -> str:
    """ "train", "val" or "test", where the whole name of a folder says so; else ""."""
    for part, pattern in _FOLDERS.items():
        if pattern.fullmatch(name.strip()):
            return part
    return ""


def tokens_of(name: str) -> list[str]:
    """The words of an array's name, in lower case: x_train, trainImages and X-Train are two words
    each; held_out is one."""
    parted = re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name)
    words = " ".join(re.findall("[a-z0-9]+", parted.lower()))
    return re.sub(r"\b(held|hold) out", r"\1out", words).split()


def part_of_array(name: str) -> tuple[str, str]:
    """(part, the words of the name that do not say it, joined by _). No part: ""."""
    return _divided(name, numbered=True)


def part_of_class_folder(name: str) -> tuple[str, str]:
    """The same of a folder, where the number of a part is none of its class: cats_test2 is a test
    part of cats."""
    return _divided(name, numbered=False)


def _divided(name: str, numbered: bool) -> tuple[str, str]:
    """(part, the other words, joined by _). numbered: whether digits that follow the word of the
    part are kept among them."""
    tokens = tokens_of(name)
    for place, token in enumerate(tokens):
        for part, pattern in _TOKENS.items():
            match = pattern.fullmatch(token)
            if not match:
                continue
            rest = match["before"] + match["after"]
            if not numbered:
                rest = rest.rstrip("0123456789")
            words = tokens[:place] + [rest] + tokens[place + 1 :]
            return part, "_".join(word for word in words if word)
    return "", "_".join(tokens)


def parts_of_folders(siblings: Iterable[str]) -> dict[str, tuple[str, str]]:
    """folder -> (part, class) of folders that lie side by side, "" where its name says none. Empty
    where no name says a part: train and test; or cats_train and cats_test, which are parts where
    some class has both one to train on and another."""
    names = list(siblings)
    whole = {name: (part_of_folder(name), "") for name in names}
    if any(part for part, _ in whole.values()):
        return whole
    divided = {name: part_of_class_folder(name) for name in names}
    trained = {label for part, label in divided.values() if part == TRAIN}
    held = {label for part, label in divided.values() if part not in ("", TRAIN)}
    if not held & trained:
        return {}
    for name, (part, label) in divided.items():
        if not part or label not in trained:
            divided[name] = ("", "")
    return divided


def unheeded(names: Iterable[str]) -> list[str]:
    """A note where files (folders parted by /) lie in train and test folders, for data whose split
    does not heed them."""
    levels: dict[int, set[str]] = {}  # depth -> the folders there
    for name in names:
        for depth, folder in enumerate(name.split("/")[:-1]):
            levels.setdefault(depth, set()).add(folder)
    for folders in levels.values():
        read = parts_of_folders(sorted(folders))
        parts = {folder: part for folder, (part, _) in read.items() if part}
        if TRAIN not in parts.values() or set(parts.values()) == {TRAIN}:
            continue
        training = [folder for folder, part in parts.items() if part == TRAIN]
        return [
            f"{first_named(list(parts))} are folders like any other, "
            "and files of each are trained on; "
            f"name {first_named(training)} alone to leave out the rest"
        ]
    return []
