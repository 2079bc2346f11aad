"""What stands in place of characters of documents, of all rules together.

Worker processes import this module: it must not import torch.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence

from genwright.core.corpus import Edit, RuleSet
from genwright.curation.attributes import columns_of, folder_of
from genwright.curation.store import Shard, batches_of


def edits_of(shard: Shard, content: str, sets: Sequence[RuleSet]) -> list[list[Edit]] | None:
    """The edits of each document, of all sets together; None where no set makes any."""
    names = list(dict.fromkeys(name for each in sets for name in each.edits))
    if not names:
        return None
    known = columns_of(content)
    by_column = []
    for name in names:
        group, _ = known[name]
        rows: list[list[Edit]] = []
        for batch in batches_of(shard.attributes(folder_of(group)), [name]):
            for given in batch.column(name).to_pylist():
                rows.append([Edit(**each) for each in given or ()])
        by_column.append(rows)
    return [joined(each) for each in zip(*by_column, strict=True)]


def joined(several: Sequence[Sequence[Edit]]) -> list[Edit]:
    """The edits of several lists as one, in order and apart. Where two meet the longer one stays: a
    line that is dropped takes what stands in it along; of two alike the one of the first list."""
    every = [edit for edits in several for edit in edits]
    found: list[Edit] = []  # in order and apart, so only the two neighbours can meet another
    for edit in sorted(every, key=lambda each: (each.start - each.stop, each.start)):
        place = bisect(found, edit)
        is_free = place == 0 or found[place - 1].stop <= edit.start
        if is_free and (place == len(found) or edit.stop <= found[place].start):
            found.insert(place, edit)
    return found
