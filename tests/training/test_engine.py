"""One process, or several that share a step."""

import pytest
import torch

from genwright.core.errors import GenwrightError
from genwright.training.engine import Engine, device_of


def test_an_engine_alone_joins_nobody(monkeypatch):
    # whoever looked at these would wait for another process that never comes
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    engine = Engine.alone()
    assert (engine.rank, engine.size, engine.main) == (0, 1, True)
    assert engine.device == torch.device("cpu")
    assert not torch.distributed.is_initialized()
    tensor = torch.arange(3.0)
    assert engine.sum(tensor) is tensor and engine.gather(tensor) is tensor
    assert engine.any(True) and not engine.any(False)
    assert engine.broadcast({"a": [1]}) == {"a": [1]}
    engine.barrier()
    engine.close()


def test_examples_are_dealt_out_in_whole_packs():
    engine = Engine.alone()
    engine.size = 2
    assert [rows.tolist() for rows in engine.deal(7, 2)] == [[0, 1, 4, 5], [2, 3, 6]]


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device_of("auto") == device_of("cpu") == torch.device("cpu")
    with pytest.raises(GenwrightError, match="training.device=cuda, but this torch sees no GPU"):
        Engine("cuda")
    with pytest.raises(GenwrightError, match="is 'gpu', which is none of auto, cpu, cuda"):
        device_of("gpu")
