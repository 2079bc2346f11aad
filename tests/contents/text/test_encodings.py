"""UTF-16 and UTF-32 with a mark are read as Python's own codecs read them; what is broken is named
by its offset."""

import codecs
import csv
import gzip
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.text.codec import Bytes
from genwright.contents.text.data import TextData
from genwright.core.errors import GenwrightError
from genwright.data import file_parts, readers
from genwright.data.encodings import Decoder, NotText, as_utf8, encoding_of, presumed

MARKED = {
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
    "utf-8": codecs.BOM_UTF8,
}
SAMPLE = "Ein Märchen, 日本語 😀\nzweite Zeile\r\n\n" * 9
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def marked(text, encoding):
    return MARKED[encoding] + text.encode(encoding)


def cut(data, places):
    """Chunks of bytes; the first has the four bytes that tell an encoding."""
    ends = sorted({min(max(place, 4), len(data)) for place in places} | {len(data)})
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def prepare(tmp_path, path, **settings):
    settings = {
        "context": 8,
        "held_out": 0,
        "cache": str(tmp_path / "cache"),
        "workers": 1,
    } | settings
    return TextData(path=str(path), **settings).prepare(Bytes())


def documents(dataset):
    return [dataset.codec.decode(tokens[:-1]) for _, tokens in dataset.documents("train")]


@given(
    text=texts,
    encoding=st.sampled_from(sorted(MARKED)),
    places=st.lists(st.integers(0, 200), max_size=5),
)
def test_what_is_read_equals_pythons_codecs(text, encoding, places):
    data = marked(text, encoding)
    assert encoding_of(data) == encoding
    found = b"".join(as_utf8(cut(data, places))).decode().removeprefix("\ufeff")
    assert found == text == data.decode({"utf-8": "utf-8-sig"}.get(encoding, encoding[:6]))


@given(
    data=st.binary(max_size=60),
    encoding=st.sampled_from(sorted(MARKED)),
    places=st.lists(st.integers(0, 80), max_size=4),
)
def test_broken_bytes_are_named_where_pythons_codecs_name_them(data, encoding, places):
    data = MARKED[encoding] + data
    if encoding == "utf-16-le" and data.startswith(codecs.BOM_UTF32_LE):
        encoding = "utf-32-le"
    try:
        expected, offset = data.decode(encoding), -1
    except UnicodeDecodeError as error:
        expected, offset = "", error.start
    decoder, found = Decoder(encoding_of(data)), ""
    try:
        for chunk in cut(data, places):
            found += decoder.decode(chunk)
        found += decoder.finish()
    except NotText as problem:
        assert offset >= 0 or "\0" in expected
        assert "zero" in str(problem) or f"at offset {offset}" in str(problem)
        return
    assert offset == -1 and found == expected and "\0" not in found


@pytest.mark.parametrize("encoding", sorted(MARKED))
@pytest.mark.parametrize("packed", [False, True])
def test_training_reads_the_text_whatever_its_encoding(tmp_path, monkeypatch, encoding, packed):
    monkeypatch.setattr(readers, "BLOCK", 101)  # cuts characters
    monkeypatch.setattr(file_parts, "PART", 300)
    monkeypatch.setattr(readers, "LONGEST_BLOCK", 150)
    rows = [SAMPLE, "a, b", '"', "\u2028 x"]
    table = io.StringIO(newline="")
    csv.writer(table).writerows([["text"], *([row] for row in rows)])
    contents = {
        "a.csv": table.getvalue(),
        "b.jsonl": "".join(json.dumps({"text": row}, ensure_ascii=False) + "\n" for row in rows),
        "c.tsv": "text\tid\n" + "".join(f"zeile {i}\t{i}\n" for i in range(4)),
        "d.txt": SAMPLE,
    }
    (tmp_path / "in").mkdir()
    for name, content in contents.items():
        data = marked(content, encoding)
        (tmp_path / "in" / (name + ".gz" if packed else name)).write_bytes(
            gzip.compress(data) if packed else data
        )
    assert documents(prepare(tmp_path, tmp_path / "in")) == [
        *rows,
        *rows,
        *(f"zeile {i}" for i in range(4)),
        SAMPLE,
    ]


def test_one_mark_is_dropped_and_no_more(tmp_path):
    (tmp_path / "a.txt").write_bytes(marked("\ufeffx", "utf-16-be"))
    assert documents(prepare(tmp_path, tmp_path / "a.txt")) == ["\ufeffx"]


@pytest.mark.parametrize(
    "data, what",
    [
        (
            marked("ab", "utf-16-le") + b"c",
            r"is not UTF-16 \(little-endian\): byte 0x63 at offset 6",
        ),
        (
            marked("ab", "utf-16-be") + b"\xd8\x00\x00a",
            r"is not UTF-16 \(big-endian\): byte 0xd8 at offset 6",
        ),
        (
            marked("ab", "utf-16-le") + b"\x00\xdc",
            r"is not UTF-16 \(little-endian\): byte 0x00 at offset 6",
        ),
        (
            marked("ab", "utf-32-le") + b"\x00\x00\x11\x00",
            r"is not UTF-32 \(little-endian\): byte 0x00 at offset 12",
        ),
        (
            marked("ab", "utf-32-be") + b"\x00\x00\x00",
            r"is not UTF-32 \(big-endian\): byte 0x00 at offset 12",
        ),
        (marked("ab\0c", "utf-16-le"), "is binary: a zero character at offset 6"),
        (
            "Text, 日本".encode("utf-16-le"),
            (
                r"zero byte at offset 1 \(it seems to be UTF-16 \(little-endian\) "
                r"without a byte-order mark"
            ),
        ),
        (
            "Text, 日本".encode("utf-16-be"),
            (
                r"zero byte at offset 0 \(it seems to be UTF-16 \(big-endian\) "
                r"without a byte-order mark"
            ),
        ),
        (
            "Text, 日本".encode("utf-32-le"),
            (
                r"zero byte at offset 1 \(it seems to be UTF-32 \(little-endian\) "
                r"without a byte-order mark"
            ),
        ),
        (
            "吾輩は猫である。\n名前".encode("utf-16-le"),
            r"it seems to be UTF-16 \(little-endian\) without a byte-order mark: save it as UTF-8",
        ),
    ],
)
def test_what_is_broken_is_named(tmp_path, data, what):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_bytes(b"good")
    for name in ("b.txt", "b.jsonl", "b.csv"):
        path = tmp_path / "in" / name
        path.write_bytes(data)
        with pytest.raises(GenwrightError, match=f"{name} .*{what}"):
            prepare(tmp_path, tmp_path / "in")
        skipping = prepare(tmp_path, tmp_path / "in", on_bad_file="skip")
        assert documents(skipping) == ["good"] and len(skipping.summary["skipped"]) == 1
        path.unlink()


@pytest.mark.parametrize(
    "data",
    [
        b"text\nPK\0\1",
        b"\x89PNG\r\n\x1a\n\0\0",
        b"plain",
        b"",
        "Grüße".encode("latin-1"),
        bytes(64),
    ],
)
def test_no_encoding_is_presumed_of_other_files(data):
    assert presumed(data) == ""
