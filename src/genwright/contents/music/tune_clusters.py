"""Which pieces of music belong to one tune, whose pieces stand on one side of the split.

Besides equal top voices (see `likeness.fingerprint`), names tell. Collections keep the melody, the
chords and the whole of a tune under one file name in several folders: melody/tune12.mid and
chords/tune12.mid. Other folders hold unrelated pieces under the same names: bach/1.mid and
mozart/1.mid. What tells these apart is that the parts of one tune are as long as each other. So two
folders are taken for versions of the same tunes where they share ENOUGH names, and of the pieces
that they share ALIKE or more have the same length up to a bar of 4/4. A name that more than MOST
folders have (score.mid) says nothing.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Literal

import numpy as np

from genwright.data.split import keys_of

By = Literal["auto", "name", "folder", "content"]
ENOUGH = 2  # names
ALIKE = 2 / 3
MOST = 16  # folders
BAR = 4.0  # quarter notes


def columns_of(
    names: Sequence[str], tunes: Sequence[str], quarters: Sequence[float], by: By
) -> list[np.ndarray]:
    """Keys of each piece, for `split.held_out_of`. names: with folders; tunes: of equal content;
    quarters: lengths in quarter notes."""
    stems = [stem_of(name) for name in names]  # tune12.mid and tune12.abc in one folder are one
    columns = [keys_of(stems), keys_of(f"tune {tune}" for tune in tunes)]
    if by == "name":
        columns.append(keys_of(f"name {stem.rpartition('/')[2]}" for stem in stems))
    if by == "folder":
        columns.append(keys_of(f"folder {stem.partition('/')[0]}" for stem in stems))
    if by == "auto":
        columns.append(keys_of(same_names(stems, quarters)))
    return columns


def stem_of(name: str) -> str:
    """A piece's name without its suffix: "airs/a.abc#12" -> "airs/a#12"."""
    return re.sub(r"\.\w+(?=(#\d+)?$)", "", name)


def same_names(stems: Sequence[str], quarters: Sequence[float]) -> list[str]:
    """A name for each piece, the same for pieces of one tune in folders that hold versions of the
    same tunes."""
    places: dict[str, dict[str, int]] = defaultdict(dict)  # name -> folder -> piece
    for piece, stem in enumerate(stems):
        folder, _, name = stem.rpartition("/")
        places[name][folder] = piece
    versions = _versions(places.values(), quarters)
    clusters = list(stems)
    for name, pieces in places.items():
        first_folders = _joined(sorted(pieces), versions)
        for folder, piece in pieces.items():
            clusters[piece] = f"tune {first_folders[folder]}/{name}"
    return clusters


def _versions(
    places: Iterable[Mapping[str, int]], quarters: Sequence[float]
) -> set[tuple[str, str]]:
    """The pairs of folders that hold versions of the same tunes. places: of each name folder ->
    piece."""
    shared: Counter[tuple[str, str]] = Counter()  # names of both folders
    alike: Counter[tuple[str, str]] = Counter()  # those of them whose pieces are as long
    for pieces in places:
        if len(pieces) > MOST:
            continue
        for pair in combinations(sorted(pieces), 2):
            first, second = pair
            difference = abs(quarters[pieces[first]] - quarters[pieces[second]])
            shared[pair] += 1
            if difference <= BAR:
                alike[pair] += 1
    return {
        pair for pair, count in shared.items() if count >= ENOUGH and alike[pair] >= ALIKE * count
    }


def _joined(folders: Sequence[str], versions: Container[tuple[str, str]]) -> dict[str, str]:
    """folder -> the first one that it is joined to, step by step from version to version."""
    joined = {folder: folder for folder in folders}
    for first, second in combinations(folders, 2):
        if (first, second) not in versions:
            continue
        kept = joined[first]
        given_up = joined[second]
        for folder in folders:
            if joined[folder] == given_up:
                joined[folder] = kept
    return joined
