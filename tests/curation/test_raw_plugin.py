"""docs/extending.md: its source of mail, written into a folder as it stands there, is built into a
corpus."""

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


def test_the_source_of_mail_is_found_and_built(tmp_path):
    text = PAGE.read_text(encoding="utf-8")
    name, code = re.search(
        r"^`(genwright_mail/\w+\.py)`\n```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    ).groups()
    (tmp_path / name).parent.mkdir()
    (tmp_path / name).write_text(code, encoding="utf-8")
    installed = tmp_path / "genwright_mail-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: genwright-mail\nVersion: 0.1\n"
    )
    entry = "mail = genwright_mail.source"
    assert entry.replace("= ", '= "') + '"' in text
    (installed / "entry_points.txt").write_text(f"[genwright.plugins]\n{entry}\n")
    letters = tmp_path / "letters"
    letters.mkdir()
    (letters / "a.eml").write_bytes(LETTER + b"\r\n\r\nA short letter.\r\n")
    (letters / "b.eml").write_bytes(b"Content-Type: text/html\r\n\r\n<p>no\r\n")
    (letters / "c.eml").write_bytes(LETTER + b'; charset="none"\r\n\r\nwhat\r\n')
    os.mkfifo(letters / "d.eml")
    done = subprocess.run(
        [sys.executable, "-c", BUILD],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT / "src")])},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "a.eml 2020-01-02 A short letter.",
        "b.eml  has no plain text",
        "c.eml  cannot be read (unknown encoding: none)",
        "d.eml  is a named pipe (FIFO) and no regular file",
    ], done.stderr
