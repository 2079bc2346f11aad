"""A digest of what was read, before a codec made anything of it: what says whether runs of
different codecs saw the same data.

Of each side ("train", "held_out") and of both together ("all"). It is a sum of the documents' own
digests, so that neither their names nor their order count, and copies do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from genwright.core.contracts import Source
from genwright.data.cache import SPLITS, digest_of

ALL = "all"
_MODULUS = 1 << 128


def content_digests(sums: Mapping[str, int], sizes: Mapping[str, int]) -> dict[str, str]:
    """The digests by side. sums: of the documents' digests on each side, as numbers below 2 to the
    128; sizes: of each side, for a document that is cut stands on one side's sum alone."""
    sides = {split: (sums[split], sizes[split]) for split in SPLITS}
    sides[ALL] = (sum(sums[split] for split in SPLITS), sum(sizes[split] for split in SPLITS))
    return {
        side: digest_of(f"{total % _MODULUS:032x}", size) for side, (total, size) in sides.items()
    }


def of_sources(sides: Mapping[str, Iterable[Source]]) -> dict[str, str]:
    """`content_digests` of examples. sides: of each example the document that it is. What has no
    digest of its own counts by its name."""
    sums = {}
    sizes = {}
    for split in SPLITS:
        total = 0
        count = 0
        for source in sides[split]:
            within = source.document
            if source.digest:  # the file may have any name
                within = within.removeprefix(source.file)
            written = f"{source.digest} {within}".encode()
            total += int.from_bytes(hashlib.blake2b(written, digest_size=16).digest(), "little")
            count += 1
        sums[split] = total
        sizes[split] = count
    return content_digests(sums, sizes)
