import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from genwright.errors import GenwrightError
from genwright.evaluation import inception
from genwright.evaluation.inception import Block, Inception


@pytest.fixture(scope="module")
def weights():
    torch.manual_seed(0)
    with torch.no_grad():
        return {k: v for k, v in Inception().state_dict().items() if not k.endswith("num_batches_tracked")}


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
    assert sum(w.numel() for k, w in weights.items() if "running" not in k) == 21_785_568  # torchvision's network without its classifier


def test_a_file_and_back(tmp_path, weights):
    path = tmp_path / "inception.safetensors"
    save_file(weights | {"fc.weight": torch.zeros(1008, 2048)}, path)
    network = inception.load(path)
    assert all(torch.equal(v, weights[k]) for k, v in network.state_dict().items() if k in weights)
    found = inception.features(network, torch.rand(2, 1, 28, 28) * 2 - 1)
    assert found.shape == (2, 2048) and bool(found.isfinite().all()) and not torch.allclose(found[0], found[1])


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


def test_pools():
    """The mean leaves the padding out: in a corner it is over four values; by hand."""
    x = torch.arange(1.0, 10.0).view(1, 1, 3, 3)
    mean = Block(1, [[("branch_pool", 1, (1, 1))]], "mean").pooled(x)[0, 0]
    assert mean[0, 0] == (1 + 2 + 4 + 5) / 4 and mean[1, 1] == 5 and mean[2, 1] == (4 + 5 + 6 + 7 + 8 + 9) / 6
    assert Block(1, [[("branch_pool", 1, (1, 1))]], "max").pooled(-x)[0, 0, 0, 0] == -1
    assert Block(1, [[("branch3x3", 1, (3, 3))]], "down").pooled(x).shape == (1, 1, 1, 1)


def test_the_last_block_by_hand():
    torch.manual_seed(1)
    block = Inception().Mixed_7c.eval()
    x = torch.rand(1, 2048, 4, 4)

    def unit(name, y, padding=(0, 0)):
        at = block.get_submodule(name)
        out = F.conv2d(y, at.conv.weight, padding=padding)
        return F.relu((out - at.bn.running_mean.view(-1, 1, 1)) / (at.bn.running_var.view(-1, 1, 1) + 0.001).sqrt())

    y, z = unit("branch3x3_1", x), unit("branch3x3dbl_2", unit("branch3x3dbl_1", x), (1, 1))
    parts = [
        unit("branch1x1", x),
        *(unit(f"branch3x3_2{s}", y, p) for s, p in (("a", (0, 1)), ("b", (1, 0)))),
        *(unit(f"branch3x3dbl_3{s}", z, p) for s, p in (("a", (0, 1)), ("b", (1, 0)))),
        unit("branch_pool", F.max_pool2d(x, 3, 1, 1)),
    ]
    with torch.no_grad():
        assert torch.allclose(block(x), torch.cat(parts, 1), atol=1e-5)
