import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from genwright.contents.images import inception
from genwright.contents.images.inception import Inception, pooled
from genwright.core.errors import GenwrightError

STEM = [
    ("1a_3x3", 32, 3, 3, 3),
    ("2a_3x3", 32, 32, 3, 3),
    ("2b_3x3", 64, 32, 3, 3),
    ("3b_1x1", 80, 64, 1, 1),
    ("4a_3x3", 192, 80, 3, 3),
]


def row(prefix, *units):
    """Units named prefix_1, prefix_2, ...: (channels, kernel height, kernel width)."""
    return [(f"{prefix}_{i}", *unit) for i, unit in enumerate(units, 1)]


def fine(pool):
    double = row("branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3))
    return [
        [("branch1x1", 64, 1, 1)],
        row("branch5x5", (48, 1, 1), (64, 5, 5)),
        double,
        [("branch_pool", pool, 1, 1)],
    ]


def middle(c):
    double = row("branch7x7dbl", (c, 1, 1), (c, 7, 1), (c, 1, 7), (c, 7, 1), (192, 1, 7))
    single = row("branch7x7", (c, 1, 1), (c, 1, 7), (192, 7, 1))
    return [[("branch1x1", 192, 1, 1)], single, double, [("branch_pool", 192, 1, 1)]]


def coarse():
    single = [
        *row("branch3x3", (384, 1, 1)),
        ("branch3x3_2a", 384, 1, 3),
        ("branch3x3_2b", 384, 3, 1),
    ]
    double = [
        *row("branch3x3dbl", (448, 1, 1), (384, 3, 3)),
        ("branch3x3dbl_3a", 384, 1, 3),
        ("branch3x3dbl_3b", 384, 3, 1),
    ]
    return [[("branch1x1", 320, 1, 1)], single, double, [("branch_pool", 192, 1, 1)]]


BLOCKS = {
    "5b": (192, fine(32)),
    "5c": (256, fine(64)),
    "5d": (288, fine(64)),
    "6a": (
        288,
        [[("branch3x3", 384, 3, 3)], row("branch3x3dbl", (64, 1, 1), (96, 3, 3), (96, 3, 3))],
    ),
    "6b": (768, middle(128)),
    "6c": (768, middle(160)),
    "6d": (768, middle(160)),
    "6e": (768, middle(192)),
    "7a": (
        768,
        [
            row("branch3x3", (192, 1, 1), (320, 3, 3)),
            row("branch7x7x3", (192, 1, 1), (192, 1, 7), (192, 7, 1), (192, 3, 3)),
        ],
    ),
    "7b": (1280, coarse()),
    "7c": (2048, coarse()),
}


def kernels():
    """name -> shape, of every convolution."""
    out = {f"Conv2d_{name}": shape for name, *shape in STEM}
    for block, (width, branches) in BLOCKS.items():
        for branch in branches:
            before = width
            for name, channels, height, across in branch:
                out[f"Mixed_{block}.{name}"] = [channels, before, height, across]
                before = before if name[-1] in "ab" else channels
    return out


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    out = {}
    for name, shape in kernels().items():
        fan = shape[1] * shape[2] * shape[3]
        out[f"{name}.conv.weight"] = torch.randn(shape) * (2 / fan) ** 0.5
        vectors = {
            "weight": torch.ones,
            "bias": torch.zeros,
            "running_mean": torch.zeros,
            "running_var": torch.ones,
        }
        out |= {f"{name}.bn.{part}": make(shape[0]) for part, make in vectors.items()}
    return out


def test_names_and_shapes_are_those_of_the_conversion(weights):
    known = {  # from the published table of the network and the names that torchvision gave it
        "Conv2d_1a_3x3.conv.weight": (32, 3, 3, 3),
        "Conv2d_4a_3x3.bn.running_var": (192,),
        "Mixed_5b.branch_pool.conv.weight": (32, 192, 1, 1),
        "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
        "Mixed_5d.branch3x3dbl_3.conv.weight": (96, 96, 3, 3),
        "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
        "Mixed_6b.branch7x7_2.conv.weight": (128, 128, 1, 7),
        "Mixed_6e.branch7x7dbl_2.conv.weight": (192, 192, 7, 1),
        "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
        "Mixed_7b.branch3x3_2a.conv.weight": (384, 384, 1, 3),
        "Mixed_7b.branch3x3_2b.conv.weight": (384, 384, 3, 1),
        "Mixed_7c.branch3x3dbl_3b.bn.bias": (384,),
        "Mixed_7c.branch_pool.conv.weight": (192, 2048, 1, 1),
    }
    assert {name: tuple(weights[name].shape) for name in known} == known
    assert len(weights) == 94 * 5, "94 convolutions, each with four vectors of its normalisation"
    # torchvision's network without its classifier
    assert sum(w.numel() for k, w in weights.items() if "running" not in k) == 21_785_568


def test_a_file_and_back(tmp_path, weights):
    path = tmp_path / "inception.safetensors"
    save_file(weights | {"fc.weight": torch.zeros(1008, 2048)}, path)
    network = inception.load(path)
    assert network.tensors.keys() == weights.keys() and all(
        torch.equal(v, weights[k]) for k, v in network.tensors.items()
    )
    found = inception.features(network, torch.rand(2, 1, 28, 28) * 2 - 1)
    assert (
        found.shape == (2, 2048)
        and bool(found.isfinite().all())
        and not torch.allclose(found[0], found[1])
    )


@pytest.mark.parametrize("damage", ["missing", "shape", "text", "none"])
def test_other_files_are_refused(tmp_path, weights, damage):
    path = tmp_path / "inception.safetensors"
    other = dict(weights)
    if damage == "missing":
        other = {k.replace("Mixed_7c", "layer4"): v for k, v in weights.items()}
    if damage == "shape":
        other["Mixed_5b.branch1x1.conv.weight"] = torch.zeros(1)
    if damage == "text":
        path.write_text("nothing")
    elif damage != "none":
        save_file(other, path)
    with pytest.raises(GenwrightError, match="Inception"):
        inception.load(path)


def test_every_unit_is_used(weights):
    blocks = Inception(weights).blocks
    named = {
        unit
        for block in blocks.values()
        for row in block.values()
        for place in row.values()
        for unit in place
    }
    assert list(blocks) == list(BLOCKS)
    assert [list(row) for row in blocks["5b"].values()] == [
        [None],
        ["_1", "_2"],
        ["_1", "_2", "_3"],
        [None],
    ], "in the branches' order"
    assert named | set(inception._STEM) == set(kernels())


def test_pools():
    """The mean leaves the padding out: in a corner it is over four values; by hand."""
    x = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    mean = pooled(x, "mean")[0, 0]
    assert (
        mean[0, 0] == (1 + 2 + 4 + 5) / 4
        and mean[1, 1] == 5
        and mean[2, 1] == (4 + 5 + 6 + 7 + 8 + 9) / 6
    )
    assert pooled(-x, "max")[0, 0, 0, 0] == -1
    assert pooled(x, "down").shape == (1, 1, 1, 1)


def test_a_block_that_halves_by_hand(weights):
    x = torch.rand(1, 288, 7, 7)

    def conv(name, y, stride, padding):
        return (
            F.conv2d(y, weights[f"Mixed_6a.{name}.conv.weight"], None, stride, padding).relu()
            / 1.001**0.5
        )

    double = conv(
        "branch3x3dbl_3", conv("branch3x3dbl_2", conv("branch3x3dbl_1", x, 1, 0), 1, 1), 2, 0
    )
    expected = torch.cat([conv("branch3x3", x, 2, 0), double, F.max_pool2d(x, 3, 2)], 1)
    assert expected.shape == (1, 768, 3, 3) and torch.allclose(
        Inception(weights).block("6a", x), expected, atol=1e-5
    )


def test_the_last_block_by_hand(weights):
    torch.manual_seed(1)
    own = dict(weights)
    for name in kernels():
        if name.startswith("Mixed_7c"):
            own[f"{name}.bn.running_mean"] = torch.randn_like(own[f"{name}.bn.running_mean"])
            own[f"{name}.bn.running_var"] = torch.rand_like(own[f"{name}.bn.running_var"]) + 0.5
    x = torch.rand(1, 2048, 4, 4)

    def unit(name, y, padding=(0, 0)):
        kernel, mean, variance = (
            own[f"Mixed_7c.{name}.{part}"]
            for part in ("conv.weight", "bn.running_mean", "bn.running_var")
        )
        out = F.conv2d(y, kernel, padding=padding)
        return F.relu((out - mean.view(-1, 1, 1)) / (variance.view(-1, 1, 1) + 0.001).sqrt())

    y, z = unit("branch3x3_1", x), unit("branch3x3dbl_2", unit("branch3x3dbl_1", x), (1, 1))
    parts = [
        unit("branch1x1", x),
        *(unit(f"branch3x3_2{s}", y, p) for s, p in (("a", (0, 1)), ("b", (1, 0)))),
        *(unit(f"branch3x3dbl_3{s}", z, p) for s, p in (("a", (0, 1)), ("b", (1, 0)))),
        unit("branch_pool", F.max_pool2d(x, 3, 1, 1)),
    ]
    assert torch.allclose(Inception(own).block("7c", x), torch.cat(parts, 1), atol=1e-5)
