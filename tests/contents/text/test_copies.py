"""How many documents equal others, counted in blocks, beside a plain count."""

import numpy as np
import pytest

from genwright.contents.text import copies
from genwright.contents.text.shards import DOCUMENT


def write_tables(cache, dice):
    """Shards of documents, of which some are equal, some follow themselves (they are read twice),
    some are cut between the splits and some go on from the shard before; and all of them as (side,
    digest), each once."""
    kept = []
    for shard in range(4):
        rows = []
        for source in range(3):
            whole = dice.random() < 0.3
            for row in [-1] if whole else range(int(dice.integers(0, 30))):
                digest = bytes([0, *dice.integers(0, 2, 7), *dice.integers(0, 2, 8)])
                side = int(dice.random() < 0.3)
                going_on = bool(whole and dice.random() < 0.5)
                sides = (
                    [0, 1] if whole and dice.random() < 0.5 else [side] * int(dice.integers(1, 4))
                )
                rows += [(each, going_on, source, row, len(rows), digest) for each in sides]
                if not going_on:
                    kept.append((sides[0], digest))
        folder = cache / "shards" / f"s{shard}"
        folder.mkdir(parents=True)
        np.save(folder / "documents.npy", np.array(rows, DOCUMENT))
    return kept


@pytest.mark.parametrize("seed", range(20))
def test_copies_are_counted_as_by_hand_and_kept(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(copies, "AT_ONCE", 5)
    documents = write_tables(tmp_path, np.random.default_rng(seed))
    firsts = [(side, digest[:8]) for side, digest in documents]
    trained = {digest for side, digest in firsts if not side}
    sums = {}
    for number, name in enumerate(("train", "held_out")):
        halves = [(d[:8], d[8:]) for side, d in documents if side == number]
        low, high = (
            sum(int.from_bytes(pair[half], "little") for pair in halves) % 2**64 for half in (0, 1)
        )
        sums[name] = low * 2**64 + high
    expected = (
        {
            "copies": len(documents) - len({digest for _, digest in firsts}),
            "copies across the split": sum(side and digest in trained for side, digest in firsts),
        },
        sums,
    )
    shards = [f"s{number}" for number in range(4)]
    (tmp_path / "scratch").mkdir()
    assert copies.copies_of(tmp_path, shards, tmp_path / "scratch") == expected
    (kept,) = (tmp_path / "copies").iterdir()
    for key in shards:
        (tmp_path / "shards" / key / "documents.npy").unlink()
    assert copies.copies_of(tmp_path, shards, tmp_path / "scratch") == expected, "it is kept"
    kept.write_text("{")
    with pytest.raises(FileNotFoundError):
        copies.copies_of(tmp_path, shards, tmp_path / "scratch")
