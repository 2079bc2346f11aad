"""Makes the fingerprints of licence texts (contents/text/corpus_licence_prints.py) from copies of
them.

    python tools/licence_fingerprints.py MIT-0=PATH MIT-0=PATH Apache-2.0=PATH ... > MODULE

Of several copies of one licence only what all of them have is used, so names and years fall out. A
copy holds the text of that licence alone. Where licences contain one another (BSD-2-Clause and
BSD-3-Clause, 0BSD and ISC, MIT-0 and MIT), copies of both are given under the shorter one's name;
`corpus_licence_texts` tells them apart by a sentence.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import numpy as np

from genwright.contents.text.corpus_licence_texts import KEPT, hashes_of, packed, words_of

HEAD = '''"""Fingerprints of standard licence texts, made by `tools/licence_fingerprints.py`.

SPDX identifier -> hashes of runs of five words, as `corpus_licence_texts.packed` writes them.
"""

FINGERPRINTS: dict[str, str] = {'''


def main(arguments: list[str]) -> int:
    """Prints the module. arguments: NAME=PATH."""
    common: dict[str, np.ndarray] = {}
    for argument in arguments:
        name, _, path = argument.partition("=")
        text = Path(path).read_text(encoding="utf-8", errors="replace")
        hashes = np.unique(hashes_of(words_of(text)))
        if name in common:
            hashes = np.intersect1d(common[name], hashes)
        common[name] = hashes
    print(HEAD)
    for name in sorted(common):
        lines = textwrap.wrap(packed(common[name][:KEPT]), 88)
        print(f'    "{name}": """')
        print("\n".join(lines))
        print('""",')
    print("}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
