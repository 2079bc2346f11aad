"""docs/extending.md: its source of mail and its filter, written into a folder as they stand there,
are built into a corpus."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
BUILD = """
import sys
from pathlib import Path
from genwright.curation.build import build
from genwright.curation.settings import CorpusRecipe
from genwright.curation.store import batches_of
sources = [{"kind": "mail", "path": "letters"}]
recipe = CorpusRecipe(name="it", deduplicate=None, sources=sources)
corpus, _ = build(recipe, Path("corpus"), workers=1)
for shard in corpus.shards:
    for batch in batches_of(shard.documents):
        for row in batch.to_pylist():
            print(row["file"], row["date"], row["text"].strip())
for each in corpus.unread:
    print(*each)
"""
LETTER = b"Date: Thu, 02 Jan 2020 10:00:00 +0000\r\nSubject: Hello\r\nContent-Type: text/plain"


FILTER = """
from pathlib import Path
from genwright.curation.build import build
from genwright.curation.settings import CorpusRecipe
common = {"name": "it", "deduplicate": None, "mix": {"held_out": 0}}
for filters in (["shouting"], [{"shouting": {"at_most": 0.8}}]):
    recipe = CorpusRecipe(sources=[{"path": "texts"}], filters=filters, **common)
    _, counts = build(recipe, Path("corpus"), workers=1)
    print(counts.kept["train"], counts.dropped)
"""


def install(folder: Path, package: str, entry: str) -> None:
    """Writes a module of the page into a folder, with the entry point that the page gives it."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(
        rf"^`({package}/\w+\.py)`\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    name, code = found.groups()
    (folder / name).parent.mkdir()
    (folder / name).write_text(code, encoding="utf-8")
    installed = folder / f"{package}-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 0.1\n")
    assert entry.replace("= ", '= "') + '"' in text
    (installed / "entry_points.txt").write_text(f"[genwright.plugins]\n{entry}\n")


def run(folder: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Runs code in a process that finds what was installed in the folder."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT / "src")])},
        capture_output=True,
        text=True,
    )


def test_the_filter_is_found_and_drops_texts(tmp_path):
    install(tmp_path, "genwright_shouting", "shouting = genwright_shouting.filter")
    (tmp_path / "texts").mkdir()
    for name, text in (("a", "quiet"), ("b", "NOT quiet"), ("c", "LOUD!"), ("d", "123")):
        (tmp_path / "texts" / f"{name}.txt").write_text(text)
    done = run(tmp_path, FILTER)
    assert done.stdout.splitlines() == [
        "2 {'shouting.capitals': 2}",
        "3 {'shouting.capitals': 1}",
    ], done.stderr


def test_the_source_of_mail_is_found_and_built(tmp_path):
    install(tmp_path, "genwright_mail", "mail = genwright_mail.source")
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "a.eml").write_bytes(LETTER + b"\r\n\r\nA short letter.\r\n")
    (letters / "b.eml").write_bytes(b"Content-Type: text/html\r\n\r\n<p>no\r\n")
    (letters / "c.eml").write_bytes(LETTER + b'; charset="none"\r\n\r\nwhat\r\n')
    os.mkfifo(letters / "d.eml")
    done = run(tmp_path, BUILD)
    assert done.stdout.splitlines() == [
        "a.eml 2020-01-02 A short letter.",
        "b.eml  has no plain text",
        "c.eml  cannot be read (unknown encoding: none)",
        "d.eml  is a named pipe (FIFO) and no regular file",
    ], done.stderr
