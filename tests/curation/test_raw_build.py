"""Raw sources in a build: what they find is in the corpus; what they cannot read is recorded."""

from corpora import Listed

from genwright.core.corpus import RawFile
from genwright.core.registry import register
from genwright.curation.build import build
from genwright.curation.settings import CorpusRecipe
from genwright.curation.store import batches_of


class Dated(Listed):
    """Files whose licence and date are known before they are read."""

    def find(self) -> list[RawFile]:
        return [file._replace(licence="MIT", date="2020-01-02") for file in super().find()]


def built(folder, **source):
    recipe = CorpusRecipe(name="it", deduplicate=None, sources=[source])
    corpus, _ = build(recipe, folder, workers=1)
    rows = []
    for shard in corpus.shards:
        for batch in batches_of(shard.documents):
            rows += batch.to_pylist()
    return corpus, rows


def test_what_is_known_of_a_raw_file_is_of_its_documents(tmp_path):
    register("raw", "listed", Dated)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one\ntwo\n")
    corpus, rows = built(tmp_path / "out", kind="listed", path=str(tmp_path / "in"))
    assert [(row["licence"], row["date"]) for row in rows] == [("MIT", "2020-01-02")] * 2
    first = corpus.shards[0].key

    class Later(Dated):
        """The same files, known to be of another day."""

        def find(self) -> list[RawFile]:
            return [file._replace(date="2021-01-02") for file in super().find()]

    register("raw", "listed", Later)
    corpus, rows = built(tmp_path / "out", kind="listed", path=str(tmp_path / "in"))
    assert {row["date"] for row in rows} == {"2021-01-02"} and corpus.shards[0].key != first


def test_what_cannot_be_read_is_recorded_and_the_rest_is_built(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "in" / "b.txt").write_text("fine")
    (tmp_path / "in" / "c.jsonl").write_text('"row"\n{\n')
    corpus, rows = built(tmp_path / "out", kind="files", path=str(tmp_path / "in"))
    assert [(row["file"], row["place"], row["text"]) for row in rows] == [
        ("b.txt", "", "fine"),
        ("c.jsonl", "row 0", "row"),
    ]
    assert [(file, place) for file, place, _ in corpus.unread] == [
        ("a.txt", ""),
        ("c.jsonl", "line 2 (row 1 from 0)"),
    ]


def test_a_raw_file_without_a_document_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("fine")
    (tmp_path / "in" / "empty.txt").write_bytes(b"")
    (tmp_path / "in" / "head.csv").write_text("text\n")
    corpus, rows = built(tmp_path / "out", kind="files", path=str(tmp_path / "in"))
    assert [row["file"] for row in rows] == ["a.txt"]
    assert corpus.unread == [
        ("empty.txt", "", "is empty"),
        ("head.csv", "", "holds no document"),
    ]
