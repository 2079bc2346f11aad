"""The same decisions and the same files as those of arrays, whatever fits into memory at once."""

import shutil
import tracemalloc

import numpy as np
import pytest

from genwright.core.errors import GenwrightError
from genwright.data import npy, split, split_blocks, split_clusters
from genwright.data.split_blocks import held_before_in_blocks, held_keys, held_out_of_blocks
from genwright.data.split_clusters import Block


@pytest.fixture(params=[3, 1 << 16])
def at_once(request, monkeypatch):
    monkeypatch.setattr(split_blocks, "AT_ONCE", request.param)
    monkeypatch.setattr(split_clusters, "AT_ONCE", request.param)
    return request.param


def documents(dice, count, size):
    """Rows, and files among them: names of their own, or shared by some; few keys, so that
    rows and files are often equal; sizes of which many are 0 or equal."""
    pool = dice.integers(0, 2**64 - 1, max(2, count // 2), np.uint64)
    keys = dice.choice(pool, count)
    names = keys.copy()
    files = dice.random(count) < dice.choice([0, 0.3, 1])
    names[files] = dice.choice(dice.integers(0, 2**64 - 1, count, np.uint64), int(files.sum()))
    sizes = dice.choice([0, 1, 5, 5, 40, size], count).astype(np.int64)
    return keys, names, sizes


def in_blocks(keys, names, sizes):
    def blocks():
        for start in range(0, len(keys), 7):
            part = slice(start, start + 7)
            yield Block(keys[part], names[part], sizes[part])

    return blocks


def mask_of(sides, blocks):
    return np.concatenate([np.zeros(0, bool), *map(sides.of, blocks())])


def outcome(decide):
    """What it gives, or how it complains."""
    try:
        return decide()
    except GenwrightError as error:
        return str(error)


@pytest.mark.parametrize("seed", range(60))
def test_the_same_is_held_out_and_recorded_as_of_arrays(tmp_path, seed, at_once):
    dice = np.random.default_rng(seed)
    count = int(dice.choice([1, 2, 3, 20, 200]))
    keys, names, sizes = documents(dice, count, int(dice.choice([1, 1000])))
    wanted = float(dice.choice([0, 0.02, 0.3, 0.9]))
    records = [split.records_of(tmp_path / which, ["/a", "/b"], "text") for which in "xy"]
    scratch = tmp_path / "scratch"
    for stop in (count // 2, count, count // 3):  # more documents, then fewer
        given = [keys[:stop], names[:stop], sizes[:stop]]
        blocks = in_blocks(*given)
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()

        def plain(given=given):
            return split.held_out_of(given[:2], given[2], wanted, "document", records[0])

        def bounded(blocks=blocks):
            sides = held_out_of_blocks(blocks, wanted, "document", records[1], scratch)
            return sides, mask_of(sides, blocks)

        expected = outcome(plain)
        found = outcome(bounded)
        if isinstance(expected, str):
            assert found == expected
            continue
        assert found[1].tolist() == expected.tolist()
        for one, other in zip(*records, strict=True):
            assert one.is_file() == other.is_file()
            assert not one.is_file() or one.read_bytes() == other.read_bytes()
        kept = held_keys(blocks, found[0], wanted, scratch)
        assert kept.keys.tolist() == split.keys_held(given[:2], expected).tolist()
        assert kept.share == float(given[2][expected].sum() / max(1, given[2].sum()))
        np.save(tmp_path / "keys.npy", kept.keys)
        expected = split.held_before([keys, names], tmp_path / "keys.npy")
        every = in_blocks(keys, names, sizes)
        scratch.joinpath("before").mkdir()
        sides = held_before_in_blocks(every, tmp_path / "keys.npy", scratch / "before")
        assert mask_of(sides, every).tolist() == expected.tolist()


def test_a_damaged_record_and_damaged_keys_are_named(tmp_path):
    blocks = in_blocks(*documents(np.random.default_rng(0), 20, 9))
    record = split.records_of(tmp_path, [], "text")
    record[0].parent.mkdir(parents=True)
    for content in (b"", b"nonsense", b"\x93NUMPY"):
        record[0].write_bytes(content)
        with pytest.raises(GenwrightError, match="which says what is held out, is damaged"):
            held_out_of_blocks(blocks, 0.2, "document", record, tmp_path)
        with pytest.raises(GenwrightError, match="cannot be read"):
            held_before_in_blocks(blocks, record[0], tmp_path)


def test_memory_does_not_follow_the_number_of_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(split_blocks, "AT_ONCE", 1 << 13)
    monkeypatch.setattr(split_clusters, "AT_ONCE", 1 << 13)

    def blocks(count):
        for start in range(0, count, 1 << 13):
            numbers = np.arange(start, start + (1 << 13), dtype=np.uint64)
            keys = split.mixed(numbers)
            yield Block(keys, keys, np.full(len(keys), 300))

    peaks = []
    for count in (1 << 16, 1 << 19):
        folder = tmp_path / str(count)
        folder.mkdir()
        records = split.records_of(folder, [], "text")
        tracemalloc.start()

        def given(count=count):
            return blocks(count)

        sides = held_out_of_blocks(given, 0.1, "document", records, folder)
        kept = held_keys(given, sides, 0.1, folder)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert abs(kept.share - 0.1) < 0.001 and len(npy.mapped(records[0])) == count
    assert peaks[1] < 1.1 * peaks[0]


def test_what_is_written_in_blocks_is_what_numpy_writes(tmp_path):
    dtype = np.dtype([("key", "<u8"), ("held", "u1")])
    for count in (0, 1, 10, 12345):
        array = np.zeros(count, dtype)
        array["key"] = np.arange(count)
        np.save(tmp_path / "plain.npy", array)
        with open(tmp_path / "blocks.npy", "wb") as file:
            writer = npy.NpyWriter(file, dtype)
            for block in npy.blocks_of(array, 7):
                writer.add(block)
            writer.close()
        assert (tmp_path / "blocks.npy").read_bytes() == (tmp_path / "plain.npy").read_bytes()
        assert npy.mapped(tmp_path / "blocks.npy").tolist() == array.tolist()
