"""What recognises where a text comes from, in texts that a model wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from genwright import api_audit
from genwright.api import load, train
from genwright.contents.text.generate import Generated
from genwright.contents.text.judge import judges
from genwright.core.content import Sample

CHANGES: dict[str, Any] = {
    "data.source": "files",
    "data.held_out": 0.2,
    "data.context": 64,
    "data.split": "documents",
    "codec": "bytes",
    "model.depth": 1,
    "model.width": 32,
    "model.heads": 2,
    "training.steps": 2,
    "training.batch_size": 4,
    "training.precision": "fp32",
    "training.threads": 1,
    "training.evaluate_every": 0,
    "training.checkpoint_every": 0,
}
WORDS = {"sea": ("wave", "sail", "salt"), "wood": ("tree", "leaf", "moss")}
SHARED = ("the", "old", "and", "grey", "cold")


def text(group: str, dice: np.random.Generator) -> str:
    """Twelve words, of which some are the group's own."""
    own = dice.choice([*WORDS[group], *SHARED, *SHARED], 12)
    return " ".join(own.tolist())


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of 240 documents in two folders."""
    root = tmp_path_factory.mktemp("judged")
    dice = np.random.default_rng(0)
    for group in WORDS:
        (root / "texts" / group).mkdir(parents=True)
        for number in range(120):
            # what is behind the window is of the other folder, and must not be looked at
            other = text("sea" if group == "wood" else "wood", dice)
            words = text(group, dice).ljust(64)[:64] + other * 3
            (root / "texts" / group / f"{number}.txt").write_text(words)
    changes = CHANGES | {"data.path": str(root / "texts"), "data.cache": str(root / "cache")}
    train("shakespeare", run=root / "run", quiet=True, **changes)
    return root / "run"


def test_a_folder_is_recognised_by_the_beginning(run: Path) -> None:
    found = judges(load(run).dataset(), ["folder"])["folder"]
    assert set(found.groups) == {"sea", "wood"}
    assert found.truth is not None and found.judged is not None
    assert (found.judged.argmax(1) == found.truth).mean() > 0.9
    dice = np.random.default_rng(1)
    drawn = [Generated("sea", text("wood", dice), (), "end", 0.0) for _ in range(20)]
    judged = found.of([Sample(each) for each in drawn])
    assert judged[:, found.groups.index("wood")].mean() > 0.7, "the prompt is not judged"
    assert np.isnan(found.of([Sample(Generated("", " ...", (), "end", 0.0))])).all()


def test_an_audit_says_which_folder_texts_are_like(run: Path) -> None:
    found, _ = api_audit.audit_of_run(run, groups="folder", target="uniform", n=12)
    (own,) = found.groups
    assert {share.group for share in own.samples.shares} == {"sea", "wood"}
    assert sum(share.share for share in own.samples.shares) == pytest.approx(1)
    said = " ".join(api_audit.in_words(found).split())
    assert "linear classifiers that learned folder" in said
    assert "held-out examples" in said and "counts are corrected by that" in said
    (kept,) = (run / "audits").glob("step-*.json")
    assert json.loads(kept.read_text())["groups"][0]["grouping"] == "folder"
