"""FID, which is only called so with the Inception network it was defined by (Heusel et al., arXiv
1706.08500): its weights come from the user, as safetensors with the names of the conversion
`pt_inception-2015-12-05`, and nothing is downloaded.

That network (Szegedy et al., arXiv 1512.00567, as TensorFlow had it in 2015) differs from later
ones: average pools leave the padding out of the mean, and the last block pools by maximum. Pictures
are resized to 299 x 299, bilinear and antialiased, and given in [-1, 1]; features are the 2,048
means of the last block. Values depend on the number of pictures: state it.

Channels and kernels are those of the file's tensors; a digest of all their names and shapes says
that it is that network.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from genwright.core.errors import GenwrightError, in_words

SIDE = 299
# SHA-256 of repr([(name, shape), ...]), sorted
_SHAPES = "e0ddcc91f5d6208ef845de190aa30b6bebdbb45c9de7f275d235307d90876773"
_STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
# A unit's block, branch and place in its branch's row. Units "a" and "b" of a place are fed alike
# and joined.
_UNIT = re.compile(r"Mixed_(\w+)\.(branch\w+?)(_\d)?[ab]?\.conv\.weight")


def pooled(x: Tensor, kind: str) -> Tensor:
    """kind: "mean" or "max" of 3 x 3, which keep the size; "down", which halves it."""
    if kind == "mean":
        return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    if kind == "down":
        return F.max_pool2d(x, 3, 2)
    return F.max_pool2d(x, 3, 1, 1)


class Inception:
    """(n, 3, 299, 299) in [-1, 1] -> (n, 2048)."""

    def __init__(self, tensors: Mapping[str, Tensor]):
        self.tensors = tensors
        # block -> branch -> place -> units, all in their order
        self.blocks: dict[str, dict[str, dict[str, list[str]]]] = {}
        units = [match for match in map(_UNIT.fullmatch, tensors) if match]
        for match in sorted(units, key=_order):
            block, branch, place = match.groups()
            row = self.blocks.setdefault(block, {}).setdefault(branch, {})
            row.setdefault(place, []).append(match[0].removesuffix(".conv.weight"))

    def unit(self, name: str, x: Tensor, stride: int = 1, padded: bool = True) -> Tensor:
        """Convolution, normalisation, ReLU. Padded, and without stride, the size stays."""
        kernel = self.tensors[f"{name}.conv.weight"]
        padding = [0, 0]
        if padded:
            padding = [size // 2 for size in kernel.shape[2:]]
        x = F.conv2d(x, kernel, None, stride, padding)
        return F.relu(
            F.batch_norm(
                x,
                self.tensors[f"{name}.bn.running_mean"],
                self.tensors[f"{name}.bn.running_var"],
                self.tensors[f"{name}.bn.weight"],
                self.tensors[f"{name}.bn.bias"],
                eps=0.001,
            )
        )

    def block(self, name: str, x: Tensor) -> Tensor:
        """The outputs of its branches, joined. A block without `branch_pool` halves the size, and
        so does the pool beside its branches."""
        branches = self.blocks[name]
        if "branch_pool" not in branches:
            pool = "down"
        elif name == "7c":
            pool = "max"
        else:
            pool = "mean"
        outputs = []
        for branch, row in branches.items():
            y = pooled(x, pool) if branch == "branch_pool" else x
            last = len(row) - 1
            for place, units in enumerate(row.values()):
                if pool == "down" and place == last:
                    joined = [self.unit(unit, y, stride=2, padded=False) for unit in units]
                else:
                    joined = [self.unit(unit, y) for unit in units]
                y = torch.cat(joined, 1)
            outputs.append(y)
        if pool == "down":
            outputs.append(pooled(x, pool))
        return torch.cat(outputs, 1)

    def __call__(self, x: Tensor) -> Tensor:
        """Features of pictures."""
        x = self.unit(_STEM[0], x, stride=2, padded=False)
        x = self.unit(_STEM[1], x, padded=False)
        x = self.unit(_STEM[2], x)
        x = F.max_pool2d(x, 3, 2)
        x = self.unit(_STEM[3], x)
        x = self.unit(_STEM[4], x, padded=False)
        x = F.max_pool2d(x, 3, 2)
        for name in self.blocks:
            x = self.block(name, x)
        return x.mean((2, 3))


def _order(unit: re.Match[str]) -> tuple[str, bool, bool, str]:
    """Blocks by their names; in a block the plain branches, then the doubled ones, then the
    pool."""
    block, branch, _ = unit.groups()
    return block, branch == "branch_pool", "dbl" in branch, unit[0]


def load(path: str | Path) -> Inception:
    """The network with the weights of a safetensors file. Raises GenwrightError for a file that
    holds something else."""
    remedy = (
        "give the weights of pt_inception-2015-12-05, saved as safetensors under their own names"
    )
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as problem:
        raise GenwrightError(
            f"the Inception weights {path} cannot be read: {in_words(problem)}", remedy
        ) from None
    own = {
        name: tensor.float()
        for name, tensor in tensors.items()
        if name.startswith(("Conv2d_", "Mixed_")) and "num_batches" not in name
    }
    shapes = sorted((name, tuple(tensor.shape)) for name, tensor in own.items())
    if hashlib.sha256(repr(shapes).encode()).hexdigest() != _SHAPES:
        raise GenwrightError(
            f"{path} is not the Inception network of the FID: "
            "tensors are missing or of another shape",
            remedy,
        )
    return Inception(own)


@torch.no_grad()
def features(network: Inception, x: Tensor) -> Tensor:
    """Pictures (n, 1 or 3, height, width) in [-1, 1] -> (n, 2048)."""
    outputs = []
    for part in x.split(50):
        colours = part.clamp(-1, 1).expand(-1, 3, -1, -1)
        resized = F.interpolate(
            colours, (SIDE, SIDE), mode="bilinear", antialias=True, align_corners=False
        )
        outputs.append(network(resized))
    return torch.cat(outputs)
