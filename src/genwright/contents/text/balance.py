"""Balanced texts: training documents stand in the row of tokens as often as their group wants it.

1. A document's group is that of most of its listed words (`data.lexicons`), or what the data say
   (`known`: its folder; of a corpus its source, licence, language). With as many words of two
   groups, or none, it is not known.
2. Documents get weights (`data/balance.py`), and from them a whole number of times in one long
   row: the row is so long that the lightest ones stand in it once, but no longer than MOST times
   all of them; each group has its share of it to less than one document.
3. Copies are spread over the row. Windows are cut from it as from the documents themselves; nothing
   is written twice: the row says where each document begins, and its tokens are read where they
   are.

    <cache>/groups/KEY/groups.npy      (documents,) int32, of a list of words
    <cache>/balanced/KEY/slots.npy     (slots,) int64: the document that stands there
                         starts.npy    (slots + 1,) int64: the token of the row that it begins at

Both are mapped. While they are made, a document takes about 100 bytes of memory.

Weights of windows instead would miss the shares: a window holds documents of several groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from genwright.contents.text.dataset import TextDataset
from genwright.contents.text.importance import balance_to
from genwright.contents.text.known import known, known_attributes
from genwright.contents.text.windows import Repeated
from genwright.core.errors import GenwrightError, did_you_mean
from genwright.core.lexicon import Lexicon, read_lexicon
from genwright.core.progress import task
from genwright.data.balance import SAMPLING, Balance, attributes_in, balance_of, both_balances
from genwright.data.cache import digest_of, kept
from genwright.data.npy import mapped
from genwright.data.split import mixed

FORMAT = 1  # raise it when the same documents would give other rows
MOST = 8.0  # times as many documents as there are that a row holds
AT_ONCE = 1 << 12  # documents of whose words progress is told
NO_GROUP = -1


def balance(dataset: TextDataset, cache: Path) -> None:
    """Balances the training documents as the settings say. Raises GenwrightError."""
    settings = dataset.settings
    for name in settings.lexicons:
        if name not in attributes_in(settings.balance):
            raise GenwrightError(
                f"data.lexicons.{name} gives documents groups, and data.balance.{name} is not set",
                f"set data.balance.{name}=uniform, or leave the list out",
            )
    if not settings.balance and settings.balance_to is None:
        return
    if settings.balance_by != SAMPLING:
        raise GenwrightError(
            f"data.balance_by is {settings.balance_by}, and a window of text holds documents of"
            " several groups",
            f"set data.balance_by={SAMPLING}",
        )
    if settings.balance_to is not None:
        if settings.balance:
            raise both_balances()
        found, said = balance_to(dataset, settings.balance_to, cache)
    else:
        found = _balance(dataset, cache)
        said = list(found.remarks) if found is not None else []
    dataset.summary["balance"] += said
    if found is not None:
        _rebalance(dataset, found, cache)


def _rebalance(dataset: TextDataset, found: Balance, cache: Path) -> None:
    """Lets batches come from a row in which documents stand as often as they count."""
    key = digest_of(FORMAT, dataset.digest, found.digest)

    def fill(folder: Path) -> None:
        _write_row(dataset, found, folder)

    slots, starts = kept(cache / "balanced" / key, fill, _read_row)
    train = dataset.tokens("train")
    row = Repeated(train, dataset.training_documents, slots, starts)
    dataset.rebalance(row, found.digest)


def _balance(dataset: TextDataset, cache: Path) -> Balance | None:
    """The weights of training documents."""
    settings = dataset.settings
    possible = [*settings.lexicons, *known_attributes(dataset)]
    named = attributes_in(settings.balance)
    of_data = [name for name in named if name not in settings.lexicons]
    for name in of_data:
        if name not in possible:
            raise GenwrightError(
                f"data.balance names {name!r}, and nothing is known of that",
                f"{did_you_mean(name, possible)}; or give a list of words, as in"
                f" data.lexicons.{name}=words.csv",
            )
    values: dict[str, Sequence[tuple[str, ...]]] = {}
    if of_data:
        values |= known(dataset, "train", of_data).values
    for name, path in settings.lexicons.items():
        values[name] = _groups(dataset, read_lexicon(path), cache)
    return balance_of(settings.balance, SAMPLING, values, "documents", possible)


def _groups(dataset: TextDataset, lexicon: Lexicon, cache: Path) -> list[tuple[str, ...]]:
    """Of each training document its group, () where it is not known."""
    words = sorted(lexicon.words.items())
    key = digest_of(FORMAT, dataset.digest, words, lexicon.groups)

    def fill(folder: Path) -> None:
        np.save(folder / "groups.npy", _found(dataset, lexicon), allow_pickle=False)

    numbers = kept(cache / "groups" / key, fill, _read_groups)
    names: dict[int, tuple[str, ...]] = {NO_GROUP: ()}
    for number, group in enumerate(lexicon.groups):
        names[number] = (group,)
    return [names[number] for number in numbers.tolist()]


def _found(dataset: TextDataset, lexicon: Lexicon) -> np.ndarray:
    """(documents,) int32: the group of each training document, or NO_GROUP."""
    count = dataset.document_count("train")
    found = np.full(count, NO_GROUP, np.int32)
    with task("finding groups of documents", count) as part:
        for number in range(count):
            text = dataset.codec.decode(dataset.document_tokens("train", number).tolist())
            found[number] = group_of(lexicon.counts(text))
            if number % AT_ONCE == AT_ONCE - 1:
                part.advance(AT_ONCE)
    return found


def group_of(counts: Sequence[int]) -> int:
    """The group of most words, or NO_GROUP where there is none or not one alone."""
    most = max(counts)
    if most == 0 or list(counts).count(most) > 1:
        return NO_GROUP
    return list(counts).index(most)


def _read_groups(folder: Path) -> np.ndarray:
    found: np.ndarray = np.load(folder / "groups.npy", allow_pickle=False)
    return found


def _write_row(dataset: TextDataset, found: Balance, folder: Path) -> None:
    """Writes the row of a balance."""
    lengths = np.diff(dataset.training_documents.starts, append=len(dataset.tokens("train")))
    slots = row_of(found)
    starts = np.concatenate([[0], np.cumsum(lengths[slots])]).astype(np.int64)
    np.save(folder / "slots.npy", slots, allow_pickle=False)
    np.save(folder / "starts.npy", starts, allow_pickle=False)


def row_of(found: Balance) -> np.ndarray:
    """(slots,) int64: documents in the order of the row, each as often as it counts, its copies
    spread evenly from a place of its own."""
    lightest = found.weights[found.weights > 0].min() / found.weights.mean()
    times = found.times(min(MOST, 1 / lightest))  # (documents,)
    slots = np.repeat(np.arange(len(times)), times)
    first = np.cumsum(times) - times  # (documents,) the slot of each one's first copy
    copy = np.arange(len(slots)) - first[slots]
    place = mixed(slots.astype(np.uint64)) / 2.0**64  # (slots,) 0 to 1, of each document
    order = np.argsort((copy + place) / times[slots], kind="stable")
    return slots[order].astype(np.int64)


def _read_row(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    return mapped(folder / "slots.npy"), mapped(folder / "starts.npy")
