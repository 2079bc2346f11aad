"""How many documents equal others, counted in blocks, beside a plain count."""

import json

import numpy as np
import pytest

from genwright.contents.text import copies
from genwright.contents.text.shards import DOCUMENT
from genwright.data.cache import digest_of
from genwright.data.content import content_digests


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


def number_of(digest):
    return (int.from_bytes(digest[:8], "little") << 64) + int.from_bytes(digest[8:], "little")


@pytest.mark.parametrize("seed", range(20))
def test_copies_are_counted_as_by_hand_and_kept(tmp_path, monkeypatch, seed):
    monkeypatch.setattr(copies, "AT_ONCE", 5)
    documents = write_tables(tmp_path, np.random.default_rng(seed))
    firsts = [(side, digest[:8]) for side, digest in documents]
    trained = {digest for side, digest in firsts if not side}
    sums = {}
    for number, name in enumerate(("train", "held_out")):
        sums[name] = sum(number_of(d) for side, d in documents if side == number) % 2**128
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


def write_table(cache, digests, sides):
    rows = [
        (side, False, 0, row, row, digest)
        for row, (side, digest) in enumerate(zip(sides, digests, strict=True))
    ]
    folder = cache / "shards" / "s"
    folder.mkdir(parents=True)
    np.save(folder / "documents.npy", np.array(rows, DOCUMENT))
    (cache / "scratch").mkdir()


@pytest.mark.parametrize("at_once", [7, 1 << 16])
def test_all_is_one_digest_wherever_the_split_falls(tmp_path, monkeypatch, at_once):
    monkeypatch.setattr(copies, "AT_ONCE", at_once)
    digests = [np.random.default_rng(number).bytes(16) for number in range(50)]
    digests += [b"\xff" * 16] * 2  # each half overflows
    expected = digest_of(f"{sum(map(number_of, digests)) % 2**128:032x}", 1000)
    for held in range(0, 53, 4):
        cache = tmp_path / str(held)
        write_table(cache, digests, [int(number < held) for number in range(52)])
        found = copies.copies_of(cache, ["s"], cache / "scratch").sums
        assert found["held_out"] == sum(map(number_of, digests[:held])) % 2**128
        assert found["train"] == sum(map(number_of, digests[held:])) % 2**128
        sizes = {"train": 1000 - held, "held_out": held}
        assert content_digests(found, sizes)["all"] == expected


def test_sums_of_an_earlier_version_are_not_used(tmp_path):
    digests = [b"\xff" * 16] * 3
    write_table(tmp_path, digests, [0, 0, 1])
    earlier = {"copies": 2, "copies across the split": 1}
    earlier["sums"] = {"train": f"{1:032x}", "held_out": f"{2:032x}"}
    kept = tmp_path / "copies" / f"{digest_of(['s'])}.json"
    kept.parent.mkdir()
    kept.write_text(json.dumps(earlier))
    found = copies.copies_of(tmp_path, ["s"], tmp_path / "scratch")
    assert found.sums == {"train": 2**128 - 2, "held_out": 2**128 - 1}
