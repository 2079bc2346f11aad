"""Filters that prepare something once a corpus give the same whatever computes them."""

import genwright
from genwright.core.corpus import attributes_of
from genwright.curation.build import build
from genwright.curation.settings import CorpusRecipe
from short_runs import SHORT

TALE = "the ferry leaves twice a day and nobody on the island minds when it is late"


def texts(count, step):
    """Different texts of the same words."""
    tale = TALE.split()
    found = []
    for number in range(count):
        words = [tale[(number * step + place * place) % len(tale)] for place in range(30)]
        found.append(" ".join([*words, f"n{number}x{step}"]))
    return found


def test_processes_decide_nothing(tmp_path, monkeypatch):
    for name, step in (("good", 1), ("bad", 5), ("raw", 3)):
        (tmp_path / name).mkdir()
        count = 2 if name == "raw" else 50
        for number, text in enumerate(texts(count, step)):
            (tmp_path / name / f"{number}.txt").write_text(text)
    (tmp_path / "evals.txt").write_text(texts(1, 3)[0][10:90])
    given = SHORT | {
        "training.steps": 2,
        "training.batch_size": 2,
        "training.device": "cpu",
        "data.path": str(tmp_path / "good"),
        "data.source": "files",
        "data.cache": str(tmp_path / "cache"),
        "data.context": 16,
        "model.depth": 1,
        "model.width": 32,
        "model.heads": 2,
        "codec": "bytes",
    }
    genwright.train("docs", run=tmp_path / "run", quiet=True, **given)
    bad = str(tmp_path / "bad")
    own = CorpusRecipe(
        name="mine",
        sources=[{"kind": "files", "path": str(tmp_path / "raw")}],
        filters=[
            {"contamination": {"path": str(tmp_path / "evals.txt"), "at_most": 0.99}},
            {"quality": {"good": str(tmp_path / "good"), "bad": bad, "at_least": 1e-9}},
            {"perplexity": {"run": str(tmp_path / "run"), "at_most": 1e9}},
        ],
        deduplicate=None,
        mix={"held_out": 0},
    )
    monkeypatch.setattr("genwright.curation.build.UNIT", 10)  # a shard for each file
    contents = []
    for workers in (1, 2):
        corpus, _ = build(own, tmp_path / f"c{workers}", workers=workers)
        assert len(corpus.shards) == 2
        files = [path for path in sorted(corpus.folder.rglob("*")) if path.is_file()]
        every = [path for path in files if {"attributes", "prepared"} & set(path.parts)]
        assert len(every) == 3 * 2 + 6 + 3 + 2
        contents.append([(path.relative_to(corpus.folder), path.read_bytes()) for path in every])
    assert contents[0] == contents[1]
    names = {path.parts[1] for path, _ in contents[0]}
    assert names <= {f"{name}-1" for name in attributes_of("text")} and len(names) == 3
