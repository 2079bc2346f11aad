"""Recipes of text that learn from rewards, through `genwright.train`."""

import genwright

TINY = {
    "model.depth": 1,
    "model.width": 32,
    "model.heads": 2,
    "training.steps": 2,
    "training.threads": 1,
    "training.precision": "fp32",
    "watching.samples": 0,
}


def test_arithmetic_is_learned_from_its_results(tmp_path):
    few = TINY | {"data.cache": str(tmp_path / "cache")}
    base = genwright.train("arithmetic-base", run=tmp_path / "base", quiet=True, **few)
    policy = genwright.train(
        "arithmetic",
        run=tmp_path / "policy",
        start=str(base.folder),
        quiet=True,
        **few | {"training.batch_size": 16},
    )
    last = [record for record in policy.records if "kl" in record][-1]
    assert {"reward/right result", "watched/length", "entropy", "distinct_4"} <= set(last)
    assert 0 <= last["reward"] == last["reward/right result"] <= 1
    assert 0 < last["length"] <= 6
    assert policy.records[-1]["held_out"]["loss"] > 0
