"""Which precision `auto` takes, and how many trials that costs."""

import pytest
import torch
import toys

from genwright.training import precision
from genwright.training.engine import Engine
from genwright.training.precision import choose, why_fp32

BOTH = ["fp32", "bf16"]


def chosen(objective: object) -> tuple[torch.dtype, dict[str, float]]:
    _, stream, settings = toys.make("ppo", micro_batch=4)
    return choose(objective, stream, settings, Engine.alone(), 0)


@pytest.mark.parametrize(
    "fp32, bf16, dtype, tried",
    [
        ([2.0, 2.0], [1.0], torch.bfloat16, [*BOTH, "fp32"]),
        ([1.0], [1.1, 1.1], torch.float32, [*BOTH, "bf16"]),
        # other work of the machine delayed the first trial of the one that is faster
        ([1.6] * 3, [3.0, 1.1, 1.0, 1.0], torch.bfloat16, [*BOTH, "bf16", *BOTH, "fp32"]),
        ([9.0, 1.0, 1.0], [1.1, 1.1], torch.float32, [*BOTH, "fp32", "bf16"]),
        # neither is clearly faster
        ([1.3] * 4, [1.0] * 4, torch.bfloat16, 4 * BOTH),
        ([1.2] * 4, [1.0] * 4, torch.float32, 4 * BOTH),
    ],
)
def test_trials_end_where_the_result_is_clear(monkeypatch, fp32, bf16, dtype, tried):
    seconds = {"fp32": iter(fp32), "bf16": iter(bf16)}
    made = []

    def trial(objective, micro, engine, name, warm_up):
        assert warm_up == (name not in made)
        made.append(name)
        return next(seconds[name])

    monkeypatch.setattr(precision, "_has_bf16", lambda: True)
    monkeypatch.setattr(precision, "_trial", trial)
    found, best = chosen(toys.Regularised())
    assert made == tried
    assert found == dtype
    assert best == {
        "fp32": min(fp32[: tried.count("fp32")]),
        "bf16": min(bf16[: tried.count("bf16")]),
    }


def test_bf16_is_not_tried_where_the_processor_has_none(monkeypatch, tmp_path):
    objective = toys.Regularised()
    cpu = torch.device("cpu")
    monkeypatch.setattr(precision, "PROCESSOR", tmp_path / "cpuinfo")
    assert why_fp32(objective, cpu) == "", "a system that does not say it"
    for flags, has in (
        ("flags\t\t: fpu avx512f avx512_bf16 sha", True),
        ("Features\t: asimd bf16", True),
        ("flags\t\t: fpu avx2 avx512f", False),
        ("model name\t: unknown", True),
    ):
        (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
        assert (why_fp32(objective, cpu) == "") == has, flags
        assert why_fp32(objective, torch.device("cuda")) == ""
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu avx2\n")
    assert chosen(objective) == (torch.float32, {})
    assert "no arithmetic in bf16" in why_fp32(objective, cpu)
