"""Tables of text and of attributes: every row is read as it stands, or named by its line; nothing
is repaired by guessing."""

import csv
import gzip
import json

import pytest
from PIL import Image
from texts import documents, prepare, refused

from genwright.contents.images import attribute_table, source_pictures
from genwright.core.errors import GenwrightError
from genwright.data import tables
from genwright.data.tables import BadTable, Fault, Table


def rows_of(text, **options):
    """(line, cells or what is wrong) of each row."""
    data = text if isinstance(text, bytes) else text.encode()
    return [
        (row.line, row.cells.what if isinstance(row.cells, Fault) else row.cells)
        for row in Table([data], **options)
    ]


@pytest.mark.parametrize(
    "header, why",
    [
        ("id;text", "its cells are separated by ;"),
        ("id\ttext", "its cells are separated by tabs; give it the suffix .tsv"),
    ],
)
def test_cells_that_no_comma_separates_are_named(tmp_path, header, why):
    path = tmp_path / "a.csv"
    sign = header[len("id")]
    path.write_text(f"{header}\n1{sign}one\n2{sign}two\n")
    refused(rf"a\.csv has a single column: {why}", tmp_path, path, field=header)
    path.write_text(f'"{header}"\n1{sign}one\n2{sign}two\n')  # in quotes it is one name
    assert documents(prepare(tmp_path, path, field=header)) == [f"1{sign}one", f"2{sign}two"]
    path.write_text(f'"id"{sign}"text"\n"1"{sign}"one"\n"2"{sign}"two"\n')
    refused(rf"a\.csv has a single column: {why}", tmp_path, path)
    path.write_text("text\none;1\n")
    assert documents(prepare(tmp_path, path)) == ["one;1"]


@pytest.mark.parametrize(
    "name, row, what",
    [
        (
            "a.csv",
            "1,well, the rest is lost",
            (
                r"has 3 cells, and the first line names 2 columns; "
                r"put a cell that holds a comma in quotes"
            ),
        ),
        (
            "a.csv",
            "1",
            (
                r"has 1 cell, and the first line names 2 columns; "
                r"give every row a cell for each column"
            ),
        ),
        (
            "a.csv",
            '1,"he said "no" again"',
            (
                r"has text after the quote that closes a cell; close the quote; "
                r'.* written twice, as ""'
            ),
        ),
        (
            "a.csv",
            '1,"lost',
            r"opens a quote that is not closed, or is followed by text where it closes in line 5",
        ),
        ("a.csv", '1,"lost"  ', r"has text after the quote that closes a cell"),
        ("a.csv", "   ", r"has 1 cell, and the first line names 2 columns"),
        (
            "a.tsv",
            "1\ta\tb",
            r"has 3 cells, and the first line names 2 columns; a cell of a .tsv cannot hold a tab",
        ),
        ("a.tsv", "1", r"has 1 cell, and the first line names 2 columns"),
    ],
)
def test_a_row_that_does_not_fit_is_refused_by_its_line(tmp_path, name, row, what):
    path = tmp_path / name
    gap = "\t" if name == "a.tsv" else ","
    quote = "" if name == "a.tsv" else '"'
    path.write_text(f"id{gap}text\n0{gap}first\n{row}\n\n2{gap}{quote}second{quote}\n3{gap}third\n")
    refused(
        rf"{name} line 3 \(row 1 from 0\) {what}.*, or set data.on_bad_file=skip", tmp_path, path
    )
    skipping = prepare(tmp_path, path, on_bad_file="skip")
    assert documents(skipping) == ["first", "second", "third"]
    assert (
        len(skipping.summary["skipped"]) == 1
        and "line 3 (row 1 from 0)" in skipping.summary["skipped"][0]
    )


def test_a_quote_that_never_closes_is_named_where_it_opens(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('id,text\n0,first\n1,"lost\n2,second\n3,third\n')
    refused(
        r"a.csv line 3 \(row 1 from 0\) opens a quote that never closes; close the quote",
        tmp_path,
        path,
    )
    skipping = prepare(tmp_path, path, on_bad_file="skip")
    assert documents(skipping) == ["first"]
    assert skipping.summary["skipped"] == [
        "a.csv line 3 (row 1 from 0) opens a quote that never closes (passed over to line 5)"
    ]


def test_reading_goes_on_where_a_line_certainly_begins_a_row():
    inside = (
        'id,text\n1,"He said "no" and\nleft, angry\nfor good"\n2,plain\n3,"quoted, too"\n4,last\n'
    )
    assert [cells for _, cells in rows_of(inside)[1:]] == [
        ["2", "plain"],
        ["3", "quoted, too"],
        ["4", "last"],
    ]
    assert rows_of(inside)[0] == (2, "has text after the quote that closes a cell")
    # line 3 may stand inside a cell that the quote after `b` would have opened
    plain = 'id,text\n1,"a" b\n2,unknown\n3,"x"\n4,y\n'
    assert [line for line, _ in rows_of(plain)] == [2, 4, 5]


def test_a_quote_cannot_fill_the_memory(monkeypatch):
    monkeypatch.setattr(tables, "LONGEST", 30)
    found = rows_of(
        'id,text\n1,"lost\n'
        + "2,fine fine\n" * 5
        + '3,"good"\n4,ok\n'
        + "5,"
        + "x" * 90
        + '\n6,"y"\n'
    )
    assert found == [
        (2, "opens a quote that does not close within 30 characters"),
        (8, ["3", "good"]),
        (9, ["4", "ok"]),
        (10, "is longer than 30 characters"),
        (11, ["6", "y"]),
    ]


def test_a_carriage_return_outside_of_quotes_tears_no_row_in_two():
    torn = "has a carriage return outside of quotes, and other lines end with a line feed"
    assert rows_of("id,text\n1,foo\rbar,2\n3,x\n") == [(2, torn), (4, ["3", "x"])]
    assert rows_of("id,text\r\n1,a\rb,2\rc\r\n3,x") == [(2, torn), (5, ["3", "x"])]
    assert rows_of("text\na\rb\nc\r") == [(2, torn), (4, torn)]
    assert rows_of("a\tb\n1\t2\r3\t4\n5\t6\n", tabs=True) == [(2, torn), (4, ["5", "6"])]
    assert rows_of('text\n"a\rb"\n') == [(2, ["a\rb"])]
    assert rows_of("id,text\r1,a\r\n2,b\r\n") == [(2, ["1", "a"]), (3, ["2", "b"])]
    found = rows_of('id,text\n1,a\rb,"c\nd,e"\n2,x\n')
    assert found == [(2, torn), (5, ["2", "x"])]


def test_a_space_before_a_quote_is_a_fault():
    spaced = "has a space before the quote that opens a cell"
    assert rows_of('id,text\n1, "hello"\n2,x\n3, "a, b"\n4,y\n') == [
        (2, spaced),
        (3, ["2", "x"]),
        (4, spaced),
        (5, ["4", "y"]),
    ]
    assert [cells for _, cells in rows_of('id,text\n1, "a\nb,c"\n"2","x"\n')] == [
        spaced,
        ["2", "x"],
    ]
    fine = '"he said, ""x"", and", y\n 5\'11" tall,"  ""z"""\n'
    assert rows_of("a,b\n" + fine) == [
        (2, ['he said, "x", and', " y"]),
        (3, [" 5'11\" tall", '  "z"']),
    ]
    with pytest.raises(BadTable, match=spaced):
        rows_of('id, "text"\n1,a\n')


def test_tabs_know_no_quotes():
    assert rows_of('a\ttext\n"1"\t"open\n2\t5\'11" tall\n', tabs=True) == [
        (2, ['"1"', '"open']),
        (3, ["2", "5'11\" tall"]),
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_and_a_mark(end):
    text = "\ufeffid,text" + end + "1,a" + end + end + '2,"b' + end + 'c"' + end + "3,d"
    assert rows_of(text) == [(2, ["1", "a"]), (4, ["2", f"b{end}c"]), (6, ["3", "d"])]
    for cut in range(1, len(text.encode())):  # wherever a block ends
        data = text.encode()
        assert [row.cells[1] for row in Table([data[:cut], data[cut:]])] == ["a", f"b{end}c", "d"]


def test_quotes_commas_and_line_ends_in_cells_come_back(tmp_path):
    cells = [
        'plain "word"',
        "a, b",
        "two\nlines",
        '"',
        "\r\n",
        " space ",
        "日本",
        "x" * 200_000,
        ",",
        "'",
    ]
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *enumerate(cells)])
    assert documents(prepare(tmp_path, tmp_path / "a.csv")) == cells


@pytest.mark.parametrize(
    "header, what",
    [
        ("", "is empty: no line names the columns"),
        ("\n\n", "is empty: no line names the columns"),
        ("text,id,text\na,1,b\n", "has 2 columns 'text'; give each column a name of its own"),
        ("id,body\n1,x\n", r"has no column 'text' \(it has id, body\); set data.field"),
        ('id,"text\n1,x\n', "line 1 opens a quote that never closes"),
    ],
)
def test_a_table_without_usable_columns_is_a_bad_file(tmp_path, header, what):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(header)
    (tmp_path / "in" / "b.txt").write_text("some text")
    refused(f"a.csv {what}", tmp_path, tmp_path / "in")
    skipping = prepare(tmp_path, tmp_path / "in", on_bad_file="skip")
    assert documents(skipping) == ["some text"] and len(skipping.summary["skipped"]) == 1


def test_columns_that_are_not_read_may_be_named_as_they_like(tmp_path):
    (tmp_path / "a.csv").write_text(",text,x,x\n0,a,1,2\n")
    assert documents(prepare(tmp_path, tmp_path / "a.csv")) == ["a"]


def test_binary_tables_are_refused(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,a\0b\n")
    refused("a.csv is binary: a zero byte at offset 11", tmp_path, tmp_path / "a.csv")
    with pytest.raises(GenwrightError, match="a.csv is binary: a zero byte at offset 11"):
        attribute_table.read_table(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    "row, what",
    [
        ('{"text": "a", "text": "b"}', "has the field 'text' twice"),
        ('{"x": NaN, "text": "a", "x": 1, "text": "b"}', "has the field 'text' twice"),
        ('{"text": NaN}', "is not JSON .NaN is no number of JSON."),
        ('{"n": 1, "n": 2, "text": -Infinity}', "is not JSON .-Infinity is no number of JSON."),
        ("[NaN]", "is not JSON .NaN is no number of JSON."),
        ('{"text": "a", "score": NaN', "is not JSON .*, at character"),
        ('{"score": NaN}', "has no field 'text' .it has score."),
        ('{"text": 1}', "holds no text in field 'text'"),
        ('{"other": 1}', "has no field 'text' .it has other."),
        ("{}", "has no field 'text' .it has none."),
        ("null", "is neither an object nor a string"),
        ('{"text": "a"} {"text": "b"}', "is not JSON .Extra data, at character 15."),
        ('{"text": "a", "n": %s}' % ("7" * 5000), "holds a number of more than 4,300 digits"),
        (
            '{"text": "a", "deep": %s}' % ("[" * 20_000 + "]" * 20_000),
            "is nested too deep to be read",
        ),
        ("[" * 100_000, "is nested too deep to be read"),
    ],
)
def test_rows_of_jsonl_that_cannot_be_used(tmp_path, row, what):
    path = tmp_path / "a.jsonl"
    path.write_text(
        json.dumps({"text": "first"}) + "\n\n" + row + "\n" + json.dumps({"text": "second"})
    )
    refused(rf"a.jsonl line 3 \(row 2 from 0\) {what}.*data.on_bad_file=skip", tmp_path, path)
    skipping = prepare(tmp_path, path, on_bad_file="skip")
    assert documents(skipping) == ["first", "second"] and len(skipping.summary["skipped"]) == 1


@pytest.mark.parametrize(
    "row",
    [
        '{"text": "a", "score": NaN}',
        '{"score": -Infinity, "text": "a"}',
        '{"n": 1, "text": "a", "n": 2}',
        '{"text": "a", "meta": {"x": 1, "x": [NaN]}}',
    ],
)
def test_fields_of_jsonl_that_nobody_asks_for_may_be_no_json(tmp_path, row):
    (tmp_path / "a.jsonl").write_text(row + "\n" + json.dumps({"text": "second"}))
    assert documents(prepare(tmp_path, tmp_path / "a.jsonl")) == ["a", "second"]


def test_a_row_of_jsonl_that_is_too_long(tmp_path, monkeypatch):
    from genwright.data import readers, rows

    monkeypatch.setattr(readers, "LONGEST", 1000)
    monkeypatch.setattr(rows, "LONGEST", 1000)
    monkeypatch.setattr(readers, "BLOCK", 300)
    lines = [json.dumps({"text": "x" * size}) for size in (5, 900, 5000, 7)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    refused(
        r"a.jsonl line 3 \(row 2 from 0\) is longer than 1,000 bytes; split the row",
        tmp_path,
        tmp_path / "a.jsonl",
    )
    skipping = prepare(tmp_path, tmp_path / "a.jsonl", on_bad_file="skip")
    assert [len(text) for text in documents(skipping)] == [5, 900, 7]


def test_rows_without_text_are_counted(tmp_path):
    import pyarrow
    import pyarrow.parquet

    from genwright.runs.remarks import left_out

    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text('text,id\nx,1\n,2\n"",3\n\n')
    (tmp_path / "in" / "b.jsonl").write_text('{"text": ""}\n\n{"text": null}\n{"text": "y"}\n')
    (tmp_path / "in" / "c.tsv").write_text("text\tid\n\t1\nz\t2\n")
    pyarrow.parquet.write_table(
        pyarrow.table({"text": ["", None, "w"]}), tmp_path / "in" / "d.parquet"
    )
    dataset = prepare(tmp_path, tmp_path / "in")
    assert documents(dataset) == ["x", "y", "z", "w"]
    assert dataset.summary["empty"] == {"a.csv": 2, "b.jsonl": 2, "c.tsv": 1, "d.parquet": 2}
    assert left_out(dataset.summary) == [
        "7 rows hold no text and are no documents (in 4 files, the first: a.csv)"
    ]
    one = prepare(tmp_path, tmp_path / "in" / "c.tsv")
    assert left_out(one.summary) == ["1 row holds no text and is no document (in c.tsv)"]


def test_quotes_of_a_tsv_are_kept_and_counted(tmp_path):
    from genwright.runs.remarks import left_out

    (tmp_path / "a.tsv").write_text(
        'id\ttext\n1\t"in quotes"\n2\t"Hello," she said.\n3\t"\n4\t"more ""quotes"""\n'
    )
    dataset = prepare(tmp_path, tmp_path / "a.tsv")
    assert documents(dataset) == ['"in quotes"', '"Hello," she said.', '"', '"more ""quotes"""']
    assert left_out(dataset.summary) == ["2 cells stand in quotes, which .tsv keeps (in a.tsv)"]
    (tmp_path / "a.csv").write_text('text,id\n"""a""",1\n')
    assert left_out(prepare(tmp_path, tmp_path / "a.csv").summary) == []


def test_a_compressed_table(tmp_path):
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(b'text\tid\n"x, y\t1\n'))
    assert documents(prepare(tmp_path, tmp_path / "a.tsv.gz")) == ['"x, y']


@pytest.mark.parametrize(
    "name, content, what",
    [
        (
            "t.csv",
            "file,colour\n0.png,red, or so\n1.png,blue\n",
            "line 2 has 3 cells, and the first line names 2 columns",
        ),
        (
            "t.csv",
            "file,colour\n0.png\n1.png,blue\n",
            "line 2 has 1 cell, and the first line names 2 columns",
        ),
        (
            "t.csv",
            'file,colour\n0.png,"red" or so\n1.png,"blue"\n',
            "line 2 has text after the quote that closes a cell",
        ),
        (
            "t.csv",
            'file,colour\n0.png,"red\n1.png,"blue"\n',
            "line 2 opens a quote that is not closed",
        ),
        ("t.csv", "file,colour\n,red\n1.png,blue\n", "line 2 names no picture in 'file'"),
        ("t.csv", "file,colour\n1.png,blue\n1.png,red\n", "line 3 names 1.png a second time"),
        ("t.tsv", "file\tcolour\n0.png\tred\tx\n1.png\tblue\n", "line 2 has 3 cells"),
        (
            "t.jsonl",
            '{"file": "0.png", "colour": NaN}\n{"file": "1.png", "colour": "blue"}\n',
            "line 1 is not JSON",
        ),
        (
            "t.jsonl",
            '{"file": "0.png", "file": "2.png"}\n{"file": "1.png", "colour": "blue"}\n',
            "line 1 has the field 'file' twice",
        ),
        (
            "t.jsonl",
            '{"file": "0.png", "colour": {"a": 1}}\n{"file": "1.png", "colour": "blue"}\n',
            "line 1 holds objects",
        ),
        (
            "t.jsonl",
            '{"file": "0.png", "colour": "\\ud800"}\n{"file": "1.png", "colour": "blue"}\n',
            "line 1 holds half of a",
        ),
        (
            "t.jsonl",
            '[1]\n{"file": "1.png", "colour": "blue"}\n',
            "line 1 is no object with fields",
        ),
        (
            "t.jsonl",
            '{"file": 7}\n{"file": "1.png", "colour": "blue"}\n',
            "line 1 names no picture in 'file'",
        ),
    ],
)
def test_rows_of_attributes(tmp_path, name, content, what):
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(GenwrightError, match=rf"{name} {what}.*, or set data.on_bad_file=skip"):
        attribute_table.read_table(str(path))
    skipped = []
    assert attribute_table.read_table(str(path), skipped) == {"1.png": {"colour": ("blue",)}}
    assert len(skipped) == 1 and skipped[0].startswith(f"{name} {what}".split("(")[0])


@pytest.mark.parametrize(
    "header, what",
    [("file,,x", "has no name for column 2"), ("file,x,x", "has several columns 'x'")],
)
def test_columns_of_attributes(tmp_path, header, what):
    (tmp_path / "t.csv").write_text(header + "\n0.png,a,b\n")
    with pytest.raises(GenwrightError, match=f"t.csv {what}"):
        attribute_table.read_table(str(tmp_path / "t.csv"))
    skipped = []
    assert attribute_table.read_table(str(tmp_path / "t.csv"), skipped) == {} and skipped[
        0
    ].startswith(f"t.csv {what}")


def test_bad_rows_of_attributes_are_passed_over_when_asked(tmp_path):
    for i in range(4):
        Image.new("RGB", (8, 8), (i * 9, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "attributes.csv").write_text("file,colour\n0.png,a\n1.png,b,c\n2.png,a|b\n")
    with pytest.raises(GenwrightError, match="attributes.csv line 3 has 3 cells"):
        source_pictures.find((str(tmp_path),), None, skip=False)
    found = source_pictures.find((str(tmp_path),), None, skip=True)
    assert [item.known for item in found.items] == [
        {"colour": ("a",)},
        {},
        {"colour": ("a", "b")},
        {},
    ]
    assert found.problems == [
        "attributes.csv line 3 has 3 cells, and the first line names 2 columns"
    ]


def test_a_table_is_read_in_linear_time_and_its_faults_are_errors():
    with pytest.raises(BadTable):
        Table([])
    many = 200_000
    table = Table(b"%d,text %d\n" % (i, i) for i in range(many))
    assert sum(isinstance(row.cells, list) for row in table) == many - 1
