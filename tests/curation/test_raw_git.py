"""The source `git`: tracked text files, of working trees and bare repositories, and nothing of a
repository's own settings is run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from genwright.core.corpus import Document, Unread
from genwright.core.errors import GenwrightError
from genwright.curation.sources.git import Git

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words, day="2020-01-02"):
    fixed = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    fixed |= {f"GIT_{who}_DATE": f"{day}T12:00:00Z" for who in ("AUTHOR", "COMMITTER")}
    setup = ["-c", "user.name=n", "-c", "user.email=n@example.org"]
    subprocess.run(
        ["git", *setup, *words], cwd=folder, env=os.environ | fixed, check=True, capture_output=True
    )


@pytest.fixture
def checkout(tmp_path):
    """A repository with two commits, and files that are not tracked."""
    folder = tmp_path / "repos" / "one"
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    (folder / "src").mkdir()
    (folder / "src" / "a.py").write_text("# SPDX-License-Identifier: MIT\nprint(1)\n")
    (folder / "table.csv").write_text("no,column\n")
    (folder / "icon.png").write_bytes(b"\x89PNG\0")
    (folder / "data.bin2").write_bytes(b"binary\0")
    (folder / "large.txt").write_text("word " * 300_000)
    with open(os.fsencode(folder) + b"/caf\xe9.txt", "wb") as file:
        file.write(b"named oddly")
    (folder / "link.txt").symlink_to("/etc/hostname")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first", day="2020-01-02")
    (folder / "b.md").write_text("# Title\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "second", day="2021-05-06")
    (folder / "untracked.txt").write_text("no")
    return folder


EXPECTED = {
    "b.md": [Document("# Title\n", date="2021-05-06")],
    r"caf\xe9.txt": [Document("named oddly", date="2020-01-02")],
    "data.bin2": [Unread("", "is binary: a zero byte at offset 6")],
    "large.txt": [Unread("", "is larger than 1 MB: raise `largest` to read it")],
    "src/a.py": [
        Document("# SPDX-License-Identifier: MIT\nprint(1)\n", licence="MIT", date="2020-01-02")
    ],
    "table.csv": [Document("no,column\n", date="2020-01-02")],
}


def found_in(path, **options):
    source = Git(path=str(path), **options)
    return {file.name: list(source.read(file)) for file in source.find()}


def test_tracked_files_with_the_day_of_their_last_commit(checkout):
    found = found_in(checkout, largest=1)
    assert found == EXPECTED and list(found) == sorted(found)
    assert list(found_in(checkout, suffixes=[".py", ".md"])) == ["b.md", "src/a.py"]


def test_a_bare_repository_gives_the_same(checkout, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(checkout), "bare.git")
    assert found_in(tmp_path / "bare.git", largest=1) == EXPECTED
    source = Git(path=str(tmp_path / "bare.git"))
    (where,) = {file.path for file in source.find()}
    before = Path(where).read_bytes()
    git(checkout, "rm", "-q", "b.md")
    git(checkout, "commit", "-q", "-m", "third")
    git(tmp_path / "bare.git", "fetch", "-q", str(checkout), "+main:main")
    assert Path(source.find()[0].path).read_bytes() != before
    assert "b.md" not in {file.name for file in source.find()}


def test_a_folder_of_checkouts(checkout):
    other = checkout.parent / "two"
    other.mkdir()
    git(other, "init", "-q")
    (other / "new.txt").write_text("added, not committed")
    git(other, "add", ".")
    broken = checkout.parent / "three"
    (broken / ".git").mkdir(parents=True)
    (broken / ".git" / "HEAD").write_text("nonsense")
    found = found_in(checkout.parent, suffixes=[".txt", ".md"], largest=1)
    assert found["one/b.md"] == EXPECTED["b.md"]
    assert found[r"one/caf\xe9.txt"] == EXPECTED[r"caf\xe9.txt"]
    assert found["two/new.txt"] == [Document("added, not committed")]
    (unread,) = found["three"]
    assert unread.what.startswith("cannot be read (git says: fatal: not a git repository")


def test_a_file_that_is_gone_from_the_working_tree_is_named(checkout):
    (checkout / "b.md").unlink()
    assert found_in(checkout)["b.md"] == [Unread("", "cannot be read (No such file or directory)")]
    (checkout / "src" / "a.py").unlink()
    (checkout / "src").rmdir()
    (checkout / "src").symlink_to("/etc")
    assert "src/a.py" not in found_in(checkout)


def test_a_pointer_of_large_file_storage_is_no_text(checkout):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 9\n"
    (checkout / "b.md").write_text(pointer)
    assert found_in(checkout)["b.md"] == [
        Unread("", "is a pointer of Git LFS, and the file is elsewhere")
    ]


def test_programs_that_a_repository_names_are_not_run(checkout, tmp_path):
    proof = tmp_path / "was run"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch '{proof}'\n")
    program.chmod(0o755)
    for name in ("core.fsmonitor", "core.pager", "gpg.program", "core.sshCommand", "diff.external"):
        git(checkout, "config", name, str(program))
    git(checkout, "config", "log.showSignature", "true")
    git(checkout, "config", "core.untrackedCache", "true")
    found_in(checkout)
    assert not proof.exists()
    subprocess.run(["git", "-C", str(checkout), "status"], capture_output=True)
    assert proof.exists()  # it would have been


def test_what_is_no_checkout_is_refused(checkout, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    with pytest.raises(GenwrightError, match="is no checkout of git, and holds none"):
        Git(path=str(tmp_path / "empty")).find()
    with pytest.raises(GenwrightError, match="gone is no folder"):
        Git(path=str(tmp_path / "gone")).find()
    with pytest.raises(GenwrightError, match="tracks no text file"):
        Git(path=str(checkout), suffixes=[".rs"]).find()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GenwrightError, match="needs the program git, which is not installed"):
        Git(path=str(checkout)).find()
