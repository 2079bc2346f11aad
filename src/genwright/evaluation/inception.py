"""FID, which is only called so with the Inception network it was defined by (Heusel et al., arXiv 1706.08500): its weights come from the
user, as safetensors with the names of the conversion `pt_inception-2015-12-05`, and nothing is downloaded.

That network (Szegedy et al., arXiv 1512.00567, as TensorFlow had it in 2015) differs from later ones: average pools leave the padding
out of the mean, and the last block pools by maximum. Pictures are resized to 299 x 299, bilinear and antialiased, and given in [-1, 1];
features are the 2,048 means of the last block. Values depend on the number of pictures: state it.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from genwright.errors import GenwrightError

SIDE = 299
Spec = list[tuple[str, int, tuple[int, int]]]  # name, channels out, kernel (height, width)


class Unit(nn.Module):
    """Convolution, normalisation, ReLU. Without stride and padding given, the size stays."""

    def __init__(self, width: int, out: int, kernel: tuple[int, int], stride: int = 1, padding: tuple[int, int] | None = None):
        super().__init__()
        self.conv = nn.Conv2d(width, out, kernel, stride, (kernel[0] // 2, kernel[1] // 2) if padding is None else padding, bias=False)
        self.bn = nn.BatchNorm2d(out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """Branches side by side, their outputs joined. A branch is a row of units; names that end in a and b are fed alike and joined.
    pool: "mean" or "max" before the branch `branch_pool`; "down" halves the size, and pooling itself is the last branch."""

    def __init__(self, width: int, branches: list[Spec], pool: str):
        super().__init__()
        self.branches, self.pool = [[name for name, _, _ in branch] for branch in branches], pool
        for branch in branches:
            before = width
            for i, (name, out, kernel) in enumerate(branch):
                last = pool == "down" and i == len(branch) - 1
                self.add_module(name, Unit(before, out, kernel, 2 if last else 1, (0, 0) if last else None))
                before = before if name[-1] == "a" else out
        self.width = sum(out for b in branches for i, (name, out, _) in enumerate(b) if name[-1] in "ab" or i == len(b) - 1)
        self.width += width if pool == "down" else 0

    def pooled(self, x: Tensor) -> Tensor:
        if self.pool == "mean":
            return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        return F.max_pool2d(x, 3, 2) if self.pool == "down" else F.max_pool2d(x, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        joined = []
        for names in self.branches:
            y = self.pooled(x) if names[0] == "branch_pool" else x
            for name in names:
                made = self.get_submodule(name)(y)
                if name[-1] in "ab":
                    joined.append(made)
                else:
                    y = made
            if names[-1][-1] not in "ab":
                joined.append(y)
        return torch.cat([*joined, self.pooled(x)] if self.pool == "down" else joined, 1)


def _row(prefix: str, *units: tuple[int, int, int]) -> Spec:
    """Units named prefix_1, prefix_2, ...: (channels, kernel height, kernel width)."""
    return [(f"{prefix}_{i}", out, (h, w)) for i, (out, h, w) in enumerate(units, 1)]


def _one(name: str, out: int) -> Spec:
    return [(name, out, (1, 1))]


def _fine(pooled: int) -> list[Spec]:
    double = _row("branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3))
    return [_one("branch1x1", 64), _row("branch5x5", (48, 1, 1), (64, 5, 5)), double, _one("branch_pool", pooled)]


def _middle(c: int) -> list[Spec]:
    double = _row("branch7x7dbl", (c, 1, 1), (c, 7, 1), (c, 1, 7), (c, 7, 1), (192, 1, 7))
    return [_one("branch1x1", 192), _row("branch7x7", (c, 1, 1), (c, 1, 7), (192, 7, 1)), double, _one("branch_pool", 192)]


def _coarse() -> list[Spec]:
    split = [("branch3x3_2a", 384, (1, 3)), ("branch3x3_2b", 384, (3, 1))]
    double = [("branch3x3dbl_3a", 384, (1, 3)), ("branch3x3dbl_3b", 384, (3, 1))]
    return [
        _one("branch1x1", 320), _row("branch3x3", (384, 1, 1)) + split, _row("branch3x3dbl", (448, 1, 1), (384, 3, 3)) + double,
        _one("branch_pool", 192),
    ]  # fmt: skip


_DOWN_6: list[Spec] = [[("branch3x3", 384, (3, 3))], _row("branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3))]
_DOWN_7 = [_row("branch3x3", (192, 1, 1), (320, 3, 3)), _row("branch7x7x3", (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3))]
_BLOCKS = {
    "5b": (_fine(32), "mean"), "5c": (_fine(64), "mean"), "5d": (_fine(64), "mean"), "6a": (_DOWN_6, "down"), "6b": (_middle(128), "mean"),
    "6c": (_middle(160), "mean"), "6d": (_middle(160), "mean"), "6e": (_middle(192), "mean"), "7a": (_DOWN_7, "down"),
    "7b": (_coarse(), "mean"), "7c": (_coarse(), "max"),
}  # fmt: skip


class Inception(nn.Module):
    """(n, 3, 299, 299) in [-1, 1] -> (n, 2048)."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Unit(3, 32, (3, 3), 2, (0, 0)), Unit(32, 32, (3, 3), 1, (0, 0))
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = Unit(32, 64, (3, 3)), Unit(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = Unit(80, 192, (3, 3), 1, (0, 0))
        width, blocks = 192, []
        for name, (branches, pool) in _BLOCKS.items():
            block = Block(width, branches, pool)
            self.add_module(f"Mixed_{name}", block)
            blocks.append(block)
            width = block.width
        self.blocks = tuple(blocks)  # in their order; a tuple is no module, so the names above stay the only ones

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x))), 3, 2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, 2)
        for block in self.blocks:
            x = block(x)
        return x.mean((2, 3))


def load(path: str | Path) -> Inception:
    """The network with the weights of a safetensors file. Raises GenwrightError for a file that holds something else."""
    remedy = "give the weights of pt_inception-2015-12-05, saved as safetensors under their own names"
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as problem:
        raise GenwrightError(f"the Inception weights {path} cannot be read: {problem}", remedy) from None
    network = Inception().eval().requires_grad_(False)
    wanted = {k: v.shape for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    wrong = [name for name, shape in wanted.items() if name not in tensors or tensors[name].shape != shape]
    if wrong:
        what = f"{path} is not the Inception network of the FID: {len(wrong)} of {len(wanted)} tensors are missing or of another shape"
        raise GenwrightError(f"{what}, the first {wrong[0]}", remedy)
    network.load_state_dict({name: tensors[name].float() for name in wanted}, strict=False)
    return network


@torch.no_grad()
def features(network: Inception, x: Tensor) -> Tensor:
    """Pictures (n, 1 or 3, height, width) in [-1, 1] -> (n, 2048)."""

    def resized(part: Tensor) -> Tensor:
        return F.interpolate(part.expand(-1, 3, -1, -1), (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False)

    return torch.cat([network(resized(part.clamp(-1, 1))) for part in x.split(50)])
