"""A digest of what was read, before a codec made anything of it: what says whether runs of
different codecs saw the same data.

Of each side ("train", "held_out") and of both together ("all"). It is a sum of digests, one of each
document, so that the order in which they are read does not count, and copies do. What counts of a
document is

- its content alone, where its digest is of its content (text): neither names count, nor order, nor
  how documents are packed into files;
- the file's content and the place in it, where its digest is of its file (`of_sources`): the file's
  name does not count; where one file holds several (rows, an archive), their order in it and what
  else it holds do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from genwright.core.contracts import Source
from genwright.data.cache import SPLITS, digest_of

ALL = "all"
MODULUS = 1 << 128  # of sums of digests, which have 128 bits


def content_digests(sums: Mapping[str, int], sizes: Mapping[str, int]) -> dict[str, str]:
    """The digests by side. sums: of the documents' digests on each side, as numbers, modulo 2 to
    the 128 or whole; sizes: of each side, for a document that is cut stands on one side's sum
    alone."""
    sides = {split: (sums[split], sizes[split]) for split in SPLITS}
    sides[ALL] = (sum(sums[split] for split in SPLITS), sum(sizes[split] for split in SPLITS))
    return {
        side: digest_of(f"{total % MODULUS:032x}", size) for side, (total, size) in sides.items()
    }


def of_sources(sides: Mapping[str, Iterable[Source]]) -> dict[str, str]:
    """`content_digests` of examples. sides: of each example the document that it is. What has no
    digest counts by its name. Not to be compared with the digests of text, which come of sums of
    other numbers."""
    sums = {}
    sizes = {}
    for split in SPLITS:
        total = 0
        count = 0
        for source in sides[split]:
            within = source.document
            if source.digest:  # the file may have any name
                within = within.removeprefix(source.file)
            written = f"{source.digest} {within}".encode("utf-8", "surrogatepass")
            total += int.from_bytes(hashlib.blake2b(written, digest_size=16).digest(), "little")
            count += 1
        sums[split] = total
        sizes[split] = count
    return content_digests(sums, sizes)
