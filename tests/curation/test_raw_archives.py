"""The source `archive`: entries are documents, and no archive can escape, fill the memory, or stop
a build."""

import gzip
import io
import stat
import tarfile
import tracemalloc
import zipfile

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.core.corpus import Document, Unread
from genwright.core.errors import GenwrightError
from genwright.curation.sources.archive import Archive, form_of

FILES = {
    "read me.txt": b"hello\n",
    "a/rows.jsonl": b'{"text": "one"}\n{"text": \n"three"\n',
    "a/table.csv": b"text\nx\n",
    "a/picture.png": b"\x89PNG",
    "a/.hidden.txt": b"no",
    "caf\u00e9/" + "long" * 40 + ".txt": b"named long",
}
EXPECTED = [
    Document("hello\n", "entry read me.txt"),
    Document("one", "entry a/rows.jsonl, row 0"),
    Unread(
        "entry a/rows.jsonl, line 2 (row 1 from 0)",
        "is not JSON (Expecting value, at character 10)",
    ),
    Document("three", "entry a/rows.jsonl, row 2"),
    Document("x", "entry a/table.csv, row 0"),
    Document("named long", "entry caf\u00e9/" + "long" * 40 + ".txt"),
]


def found_in(path, **options):
    source = Archive(path=str(path), **options)
    (file,) = source.find()
    return list(source.read(file))


def zipped(files, method=zipfile.ZIP_DEFLATED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files, form=tarfile.PAX_FORMAT):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zstd(data):
    return pyarrow.compress(data, "zstd", asbytes=True)


WAYS = {
    "a.zip": zipped,
    "stored.zip": lambda files: zipped(files, zipfile.ZIP_STORED),
    "pax.tar": tarred,
    "gnu.tar": lambda files: tarred(files, tarfile.GNU_FORMAT),
    "a.tgz": lambda files: gzip.compress(tarred(files)),
    "a.v2.tar.gz": lambda files: gzip.compress(tarred(files)),
    "a.tar.zst": lambda files: zstd(tarred(files)),
}


@pytest.mark.parametrize("name", WAYS)
def test_entries_are_documents_and_rows(tmp_path, name):
    (tmp_path / name).write_bytes(WAYS[name](FILES))
    assert found_in(tmp_path) == EXPECTED


def test_single_files_that_are_compressed(tmp_path):
    (tmp_path / "a.jsonl.zst").write_bytes(zstd(b'"x"\n'))
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(b"text"))
    (tmp_path / "c.png.gz").write_bytes(gzip.compress(b"no"))
    (tmp_path / "d.txt").write_bytes(b"no archive")
    source = Archive(path=str(tmp_path))
    found = {file.name: list(source.read(file)) for file in source.find()}
    assert found == {"a.jsonl.zst": [Document("x", "row 0")], "b.txt.gz": [Document("text")]}
    assert [each.what for each in found_in(tmp_path / "d.txt")] == [
        "is no archive that is read (.zip, .tar, .tgz, .tar.gz, .tzst, .tar.zst, .gz, .zst)"
    ]
    assert form_of("a.tar.GZ").kind == "tar" and form_of("a.txt") is None


@pytest.mark.parametrize("name", ["a.zip", "pax.tar"])
@pytest.mark.parametrize("entry", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "C:\\out.txt"])
def test_an_entry_that_leads_out_is_named_and_the_rest_is_read(tmp_path, name, entry):
    (tmp_path / name).write_bytes(WAYS[name]({entry: b"evil", "b.txt": b"fine"}))
    before = sorted(tmp_path.iterdir())
    assert found_in(tmp_path) == [
        Unread(f"entry {entry}", "leads out of the archive, and is not read"),
        Document("fine", "entry b.txt"),
    ]
    assert sorted(tmp_path.iterdir()) == before


def test_links_devices_and_archives_in_an_archive_are_named(tmp_path):
    files = {"inner.zip": b"PK", "inner.txt.gz": b"\x1f\x8b", "t.parquet": b"PAR1"}
    for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
        info = tarfile.TarInfo(f"kind {kind.decode()}")
        info.type = kind
        info.linkname = "/etc/passwd"
        files[info] = b""
    (tmp_path / "a.tar").write_bytes(tarred(files | {"z.txt": b"fine"}))
    found = found_in(tmp_path)
    assert found[-1] == Document("fine", "entry z.txt")
    assert [each.what.split(",")[0] for each in found[:-1]] == [
        "is an archive in an archive",
        "is an archive in an archive",
        "is a Parquet file in an archive",
        "is a link",
        "is a link",
        "is no regular file",
        "is no regular file",
    ]
    link = zipfile.ZipInfo("link.txt")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert found_in(tmp_path / "b.zip") == [
        Unread("entry link.txt", "is a link, and is not followed")
    ]


@pytest.mark.parametrize("name", ["a.zip", "a.tgz", "a.tar.zst"])
def test_an_archive_that_expands_a_thousand_times_is_stopped(tmp_path, name):
    line, count = b"a" * 1023 + b"\n", 40 << 10
    files = {"small.txt": b"fine", "bomb.txt": line * count, "last.txt": b"last"}
    (tmp_path / name).write_bytes(WAYS[name](files))
    size = (tmp_path / name).stat().st_size
    assert size * 300 < len(line) * count
    found = found_in(tmp_path, longest=64)
    whats = [each.what for each in found if isinstance(each, Unread)]
    assert len(whats) == 1 and "expands more than 200 times" in whats[0]
    assert found[0] == Document("fine", "entry small.txt")
    if name == "a.zip":  # its entries are apart
        assert found[-1] == Document("last", "entry last.txt")
    read = found_in(tmp_path, ratio=100_000, longest=64)
    assert [len(each.text) for each in read] == [4, len(line) * count, 4]


def test_single_files_sizes_and_counts_are_bounded(tmp_path):
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(b"word " * (8 << 20)))
    (unread,) = found_in(tmp_path, longest=64)
    assert unread == Unread("", "expands more than 200 times: raise `ratio` to read it")
    (tmp_path / "a.txt.gz").unlink()
    files = {f"{i}.txt": b"text" * 500_000 for i in range(4)}
    for name in ("a.tar", "a.zip"):
        (tmp_path / name).write_bytes(WAYS.get(name, tarred)(files))
        (small, *_) = found_in(tmp_path, largest=1)
        assert small == Unread(
            "entry 0.txt", "expands to more than 1 MB: raise `largest` to read it"
        )
        *read, last = found_in(tmp_path, expanded=5)
        assert len(read) == 2
        assert "expands to more than 5 MB: raise `expanded` to read it" in last.what
        *read, last = found_in(tmp_path, entries=3)
        assert len(read) == 3 and "more" in last.what and "raise `entries`" in last.what
        (tmp_path / name).unlink()


def test_a_zip_with_a_directory_beyond_all_measure_is_not_read_into_memory(tmp_path):
    files = {f"{i:0200}.txt": b"" for i in range(2000)}
    (tmp_path / "a.zip").write_bytes(zipped(files))
    (unread,) = found_in(tmp_path, entries=20)
    assert unread == Unread("", "lists too many entries: raise `entries` to read it")


def test_entries_of_a_zip_that_overlap_are_bounded_together(tmp_path):
    line = b"b" * 1023 + b"\n"
    whole = zipped({"0.txt": line * (7 << 10)})
    at = whole.index(b"PK\x01\x02")
    end = whole.index(b"PK\x05\x06")
    directory = whole[at:end]
    many = b"".join(directory.replace(b"0.txt", b"%05d" % i) for i in range(100))
    body = whole[:at].replace(b"0.txt", b"00000")
    tail = bytearray(whole[end:])
    tail[8:12] = (100).to_bytes(2, "little") * 2
    tail[12:16] = len(many).to_bytes(4, "little")
    (tmp_path / "a.zip").write_bytes(body + many + tail)
    found = found_in(tmp_path)
    documents = [each for each in found if isinstance(each, Document)]
    assert len(documents) <= 2


def test_truncated_and_damaged_archives_give_what_is_whole(tmp_path):
    files = {f"{i}.txt": bytes(f"{i * 7919 % 10007} ", "ascii") * 50_000 for i in range(9)}
    (tmp_path / "a.tgz").write_bytes(gzip.compress(tarred(files))[:-5])
    *read, last = found_in(tmp_path)
    assert len(read) >= 7 and last.what == (
        f"cannot be read (Truncated compressed stream); what follows {read[-1].place} is not read"
    )
    (tmp_path / "a.tgz").unlink()
    whole = tarred(files)
    (tmp_path / "a.tar").write_bytes(whole[: len(whole) // 2])
    *read, last = found_in(tmp_path)
    assert len(read) == 4
    assert last.what == "ends in the middle of an entry; what follows entry 3.txt is not read"
    (tmp_path / "a.tar").write_bytes(whole + whole)
    assert found_in(tmp_path)[-1].what.startswith("goes on behind its end")
    (tmp_path / "a.tar").unlink()
    data = bytearray(zipped({"a.txt": b"first " * 100, "b.txt": b"second " * 100}))
    data[45] ^= 255
    (tmp_path / "a.zip").write_bytes(data)
    bad, good = found_in(tmp_path)
    assert bad.place == "entry a.txt" and good.place == "entry b.txt"
    (tmp_path / "a.zip").write_bytes(b"no zip")
    assert found_in(tmp_path) == [Unread("", "cannot be read (File is not a zip file)")]
    (tmp_path / "a.zip").unlink()
    with pytest.raises(GenwrightError, match="holds no archive"):
        Archive(path=str(tmp_path)).find()


@pytest.mark.parametrize("name", WAYS)
def test_no_damage_raises(tmp_path_factory, name):
    whole = WAYS[name]({key: FILES[key] * 20 for key in FILES})
    folder = tmp_path_factory.mktemp("flips")
    places = st.integers(0, len(whole) - 1)
    flip = st.tuples(places, st.integers(1, 255))

    @settings(max_examples=60, deadline=None, derandomize=True, database=None)
    @given(st.lists(flip, min_size=1, max_size=6), places)
    def check(flips, cut):
        data = bytearray(whole)
        for place, change in flips:
            data[place] ^= change
        if cut % 3 == 0:
            del data[cut:]
        (folder / name).write_bytes(data)
        for each in found_in(folder):
            assert isinstance(each, (Document, Unread))
            if isinstance(each, Unread):
                assert each.what and "\n" not in each.what
            else:
                each.text.encode()
                each.place.encode()

    check()


@pytest.mark.parametrize("name", ["a.zip", "a.tar", "a.tgz"])
@pytest.mark.parametrize("entry", ["x.txt", "x.jsonl"])
def test_memory_does_not_grow_with_an_archive(tmp_path, name, entry):
    def peak(megabytes):
        line = b'"' + b"some words " * 500 + b'"\n'
        data = line * (megabytes << 20 >> 12)
        (tmp_path / name).write_bytes(WAYS.get(name, tarred)({entry: data, "y" + entry: data}))
        source = Archive(path=str(tmp_path), longest=2, ratio=1e9)
        (file,) = source.find()
        tracemalloc.start()
        for each in source.read(file):
            assert isinstance(each, Document)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    small, large = peak(4), peak(12)
    assert large < 1.1 * small + (1 << 19)
