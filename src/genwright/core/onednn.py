"""Products through oneDNN, where that is faster than what torch takes by itself.

torch gives products in fp32 to MKL, which computes on AMD's processors with AVX-512 at less than
half of oneDNN's speed (95 against 215 GFLOP/s on one core). Both are in fp32 throughout; their
rounding differs.
"""

from functools import cache
from pathlib import Path

import torch
from torch import Tensor

# multiplications from which a product is worth oneDNN's longer way to begin (10 us), which grows
# with the matrix: of few rows, and of many
_LARGE = 2_000_000
_LARGE_OF_MANY = 1_500_000
_MANY = 64  # rows


@cache
def onednn_is_faster() -> bool:
    """Whether this machine multiplies faster through oneDNN than through MKL: an AMD processor with
    AVX-512, and a torch that has both."""
    if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return False
    if not torch.backends.mkl.is_available():  # type: ignore[no-untyped-call]
        return False
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    if not hasattr(torch.ops.mkldnn, "_linear_pointwise"):
        return False
    about = Path("/proc/cpuinfo")
    return about.exists() and "AuthenticAMD" in about.read_text(encoding="utf-8")


def is_large(rows: int, inputs: int, outputs: int) -> bool:
    """Whether a product of (rows, inputs) with (inputs, outputs) is worth oneDNN's longer way to
    begin."""
    multiplications = rows * inputs * outputs
    if multiplications < _LARGE_OF_MANY:
        return False
    return multiplications >= _LARGE or rows >= _MANY


def onednn_product(x: Tensor, weight: Tensor) -> Tensor:
    """x (..., inputs) @ weight (outputs, inputs).T in fp32 on the CPU, without a gradient."""
    found: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], "")
    return found
