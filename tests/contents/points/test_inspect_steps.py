"""`inspect` goes through all that a step does before its turns."""

import torch

import genwright
from genwright.runs import assemble


def test_inspect_times_what_was_observed_and_settled(monkeypatch):
    built = assemble.objective
    seen = []

    def objective(recipe, space):
        made = built(recipe, space)
        loss = made.loss

        def checked(batch):
            assert torch.equal(batch["settled"], 2 * batch["time"])
            seen.append(len(batch["time"]))
            return loss(batch)

        made.observe = lambda micro: {"observed": 2 * micro["time"]}
        made.settle = lambda batch, draws, ranks: batch | {"settled": batch["observed"]}
        made.loss = checked
        return made

    monkeypatch.setattr(assemble, "objective", objective)
    changes = {"training.batch_size": 8, "training.micro_batch": 4, "data.points": 64}
    found = genwright.inspect("moons-flow", **changes)
    assert "ms a step" in found.facts["time"]
    assert set(seen) == {4}
