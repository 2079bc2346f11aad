"""Projections of the transformer are modules: what is hooked or put in their place is computed, and
the fused path beside them computes the same. Embeddings may stand for tokens."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.models.layers import Linear, is_plain, joined
from genwright.models.presets import PRESETS, TransformerSettings
from genwright.sampling.decode import generate_tokens
from genwright.sampling.drawing import Decoding
from genwright.training.modules import into_module

VOCABULARY = 23
SPACE = Space(vocabulary=VOCABULARY)


def build(preset="nanochat", seed=0, **settings):
    """A small network, every weight random."""
    torch.manual_seed(seed)
    settings = {"depth": 2, "width": 32, "heads": 4} | settings
    model = TransformerSettings(preset=preset, **settings).build(
        SPACE, 32, PRESETS[preset]["causal"]
    )
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    return model


def tokens(*shape, seed=0):
    return torch.randint(0, VOCABULARY, shape, generator=torch.Generator().manual_seed(seed))


def losses_and_gradients(model):
    model.zero_grad()
    nll = model(tokens(2, 20), tokens(2, 20, seed=1))
    nll.sum().backward()
    return nll.detach(), {name: p.grad.clone() for name, p in model.named_parameters()}


class Adapter(nn.Module):
    """A frozen projection with a trained correction of low rank beside it."""

    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.reduce = nn.Linear(base.in_features, rank, bias=False)
        self.expand = nn.Linear(rank, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.expand(self.reduce(x))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_matrix_of_a_block_is_a_linear_module(preset):
    model = build(preset)
    linear = {name for name, part in model.named_modules() if isinstance(part, nn.Linear)}
    matrices = {name for name, group in model.groups().items() if group in ("matrix", "head")}
    assert matrices == {f"{name}.weight" for name in linear}
    wanted = {"query", "key", "value", "output", "up", "down"}
    if model.settings.activation != "relu2":
        wanted.add("gate")
    assert {name.rsplit(".")[-1] for name in linear if name.startswith("blocks.1.")} == wanted


@pytest.mark.parametrize("settings", [{}, {"kv_heads": 2}])
@pytest.mark.parametrize("preset", PRESETS)
def test_the_fused_path_equals_the_modules(preset, settings):
    model = build(preset, **settings)
    fused, fused_gradients = losses_and_gradients(model)
    calls = []
    for layer in model.projections():
        layer.register_forward_hook(lambda layer, inputs, output: calls.append(layer))
    apart, gradients = losses_and_gradients(model)
    assert set(calls) == set(model.projections())
    torch.testing.assert_close(apart, fused, atol=1e-6, rtol=1e-6)
    for name, gradient in gradients.items():
        torch.testing.assert_close(gradient, fused_gradients[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_hook_on_a_projection_is_seen(preset):
    """In the forward pass and, of models that generate, while they do."""
    model = build(preset).eval()
    x = tokens(2, 9)
    decoding = Decoding(temperature=0, max_tokens=12)

    def generated():
        draws = Draws(0, 0, torch.arange(2))
        return generate_tokens(model, x, None, decoding, draws).logprobs

    plain = model(x)
    drawn = generated() if model.settings.causal else None
    for layer in list(model.projections()):
        handle = layer.register_forward_hook(lambda layer, inputs, output: output.roll(1, -1))
        assert (model(x) - plain).abs().max() > 1e-3
        if drawn is not None:
            assert not torch.allclose(generated(), drawn, atol=1e-4)
        handle.remove()
    torch.testing.assert_close(model(x), plain)


def test_what_makes_a_projection_no_longer_plain():
    layer = Linear(3, 4)
    assert is_plain(layer) and not is_plain(nn.Linear(3, 4, bias=False))
    for register in (layer.register_forward_pre_hook, layer.register_full_backward_hook):
        handle = register(lambda *given: None)
        assert not is_plain(layer)
        handle.remove()
    layer.forward = lambda x: x
    assert not is_plain(layer)
    parametrised = Linear(3, 4)
    nn.init.normal_(parametrised.weight)
    nn.utils.parametrize.register_parametrization(parametrised, "weight", nn.Identity())
    assert not is_plain(parametrised)
    x = torch.randn(2, 3)
    found = joined(x, parametrised, parametrised)
    torch.testing.assert_close(found[:, 4:], F.linear(x, parametrised.weight))


@pytest.mark.parametrize("preset", PRESETS)
def test_adapters_in_the_place_of_projections_train(preset):
    model = build(preset)
    x, y = tokens(4, 16), tokens(4, 16, seed=1)
    before = model(x, y).mean().item()
    model.requires_grad_(False)
    for block in model.blocks:
        for name in ("query", "value", "up"):
            setattr(block, name, Adapter(getattr(block, name)))
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(trained) == 2 * 2 * 3
    assert model(x, y).mean().item() != pytest.approx(before, abs=1e-4)
    groups = model.groups()
    assert groups["blocks.0.query.reduce.weight"] == groups["blocks.1.up.base.weight"] == "matrix"
    frozen = model.blocks[0].query.base.weight.clone()
    optimizer = torch.optim.Adam(trained, lr=0.02)
    for _ in range(20):
        optimizer.zero_grad()
        model(x, y).mean().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in trained)
        optimizer.step()
    assert model(x, y).mean().item() < before - 0.1
    assert torch.equal(model.blocks[0].query.base.weight, frozen)


@pytest.mark.parametrize("settings", [{}, {"places": 5}])
@pytest.mark.parametrize("preset", [name for name in PRESETS if name != "speedrun"])
def test_embeddings_in_the_place_of_tokens_give_the_same(preset, settings):
    model = build(preset, **settings)
    x, y = tokens(2, 17), tokens(2, 17, seed=1)
    embeddings = F.embedding(x, model.embedding)
    torch.testing.assert_close(model(embeddings), model(x), atol=0, rtol=0)
    torch.testing.assert_close(model(embeddings, y), model(x, y), atol=0, rtol=0)
    documents = torch.arange(17).expand(2, -1) // 6
    torch.testing.assert_close(
        model(embeddings, documents=documents), model(x, documents=documents), atol=0, rtol=0
    )
    embeddings = embeddings.detach().requires_grad_(True)
    model(embeddings, y).sum().backward()
    assert (embeddings.grad.abs().sum(-1) > 0).all()
    if model.settings.causal:
        cache = model.new_cache(2, 17)
        parts = [model(x[:, :9], cache=cache), model(embeddings[:, 9:], cache=cache)]
        torch.testing.assert_close(torch.cat(parts, 1), model(x), atol=1e-5, rtol=1e-5)


def test_embeddings_are_refused_where_layers_look_up_tokens():
    model = build("speedrun")
    with pytest.raises(GenwrightError, match="give token ids"):
        model(F.embedding(tokens(1, 4), model.embedding))


@pytest.mark.parametrize("preset", PRESETS)
def test_weights_by_earlier_names_are_taken_up(preset):
    """Before projections were modules, a weight was called like its projection."""
    model, other = build(preset, seed=1), build(preset, seed=2)
    now = {name: parameter.detach() for name, parameter in model.named_parameters()}
    then = {}
    for name, tensor in now.items():
        old = name if "norm" in name else name.removesuffix(".weight")
        then[old] = tensor
    assert "blocks.0.query" in then and "blocks.0.query.weight" not in then
    into_module(other, then, "earlier weights")
    for name, parameter in other.named_parameters():
        assert torch.equal(parameter, now[name])
    del then["blocks.1.down"]
    with pytest.raises(GenwrightError, match=r"blocks\.1\.down\.weight"):
        into_module(other, then, "earlier weights")
