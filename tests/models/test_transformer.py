"""The network against transformers' four classes on tiny random weights, and against itself:
packed, padded, cached, chunked, compiled."""

import pytest
import torch
import torch.nn.functional as F
from hf_pairs import CASES, CAUSAL, both

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models import transformer as module
from genwright.models.layers import Norm, rotary, rotate
from genwright.models.presets import PRESETS, TransformerSettings

SPACE = Space(vocabulary=37)


def close(a, b, tolerance=1e-5):
    torch.testing.assert_close(a, b, atol=tolerance, rtol=1e-5)


def tokens(*shape, seed=0):
    return torch.randint(0, 37, shape, generator=torch.Generator().manual_seed(seed))


def random_model(preset="nanochat", context=32, **settings):
    """Every weight random, gains around 1, no dead paths."""
    causal = PRESETS[preset]["causal"]
    settings = {"depth": 3, "width": 32, "heads": 4} | settings
    model = TransformerSettings(preset=preset, **settings).build(SPACE, context, causal)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, p in model.named_parameters():
            p.normal_(0, 0.2, generator=generator)
            if "norm" in name or name.endswith("mix"):
                p.add_(1)
    return model


# ---- against transformers


def test_logits_loss_and_gradients_equal_transformers(pair):
    theirs, ours = pair
    x, y = tokens(3, 24), tokens(3, 24, seed=1)
    y[0, :7] = -100
    close(ours(x), theirs(x).logits)
    nll = ours(x, y)
    assert (nll[y == -100] == 0).all()
    reference = F.cross_entropy(theirs(x).logits.flatten(0, 1), y.flatten(), ignore_index=-100)
    loss = nll.sum() / (y != -100).sum()
    close(loss, reference)
    if not ours.settings.causal:  # the causal classes shift labels themselves
        close(loss, theirs(x, labels=y).loss)
    loss.backward()
    reference.backward()
    grads = {n: p.grad for n, p in theirs.named_parameters()}
    from genwright.models.hf_format import FORMATS

    checked = set()
    for name, own in FORMATS[type(theirs).__name__].rows(ours.settings.depth):
        if name in grads and own[0] in dict(ours.named_parameters()):
            close(torch.cat([ours.get_parameter(n).grad for n in own]), grads[name])
            checked |= set(own)
    assert checked == {n for n, _ in ours.named_parameters()}


@pytest.mark.parametrize("side", ["right", "left"])
def test_padding_equals_transformers(pair, side):
    theirs, ours = pair
    x, real = tokens(3, 24), torch.ones(3, 24, dtype=torch.bool)
    for row, pads in enumerate((0, 5, 17)):
        real[row, slice(24 - pads, None) if side == "right" else slice(pads)] = False
    out, reference = ours(x, padding=real), theirs(x, attention_mask=real.long()).logits
    close(out[real], reference[real])
    assert out.isfinite().all()


@pytest.mark.parametrize("case", CAUSAL)
def test_shifted_labels_give_the_causal_class_its_own_loss(case, tmp_path):
    theirs, ours = both(case, tmp_path)
    x = tokens(2, 20)
    close(ours(x[:, :-1], x[:, 1:]).mean(), theirs(x, labels=x).loss)


# ---- documents


@pytest.mark.parametrize("case", CASES)
def test_packed_documents_equal_separate_ones(case, tmp_path):
    _, ours = both(case, tmp_path)
    lengths = [7, 1, 12, 4]
    x = tokens(2, sum(lengths))
    documents = torch.repeat_interleave(torch.arange(4), torch.tensor(lengths)).expand(2, -1)
    packed, packed_nll = ours(x, documents=documents), ours(x, x, documents=documents)
    for part, logits, nll in zip(
        *(t.split(lengths, 1) for t in (x, packed, packed_nll)), strict=True
    ):
        close(ours(part), logits)  # also says that only differences of positions matter
        close(ours(part, part), nll)
    assert (ours(x) - packed).abs().max() > 1e-2


def test_documents_that_come_back_are_the_same_document():
    model = random_model()
    x = tokens(1, 9)
    mixed = torch.tensor([[0, 1, 0, 1, 0, 1, 0, 1, 0]])
    out = model(x, documents=mixed)
    changed = x.clone()
    changed[0, 1::2] = (changed[0, 1::2] + 1) % 37
    torch.testing.assert_close(model(changed, documents=mixed)[0, ::2], out[0, ::2])


# ---- windows


@pytest.mark.parametrize(
    ("preset", "window", "first", "last"), [("nanochat", 3, 8, 10), ("modernbert", 2, 8, 12)]
)
def test_a_window_is_as_wide_as_it_says(preset, window, first, last):
    """One layer: position 10 depends on exactly the positions first..last."""
    model = random_model(preset, depth=1, window=window, pattern="S")
    x = tokens(1, 20)
    base = model(x)[0, 10]
    seen = []
    for i in range(20):
        other = x.clone()
        other[0, i] = (other[0, i] + 1) % 37
        if not torch.equal(model(other)[0, 10], base):
            seen.append(i)
    assert seen == list(range(first, last + 1))


# ---- cache

VARIANTS = [(name, {}) for name in ("nanochat", "llama", "qwen3", "speedrun")] + [
    ("speedrun", {"previous": 3}),
    ("nanochat", {"kv_heads": 1}),
    ("nanochat", {"window": 4, "pattern": "SL"}),
    ("qwen3", {"kv_heads": 2, "window": 5, "pattern": "LS", "rope_base_local": 100.0}),
]


@pytest.mark.parametrize(("preset", "settings"), VARIANTS)
@torch.no_grad()
def test_cache_equals_full_forward_at_every_position(preset, settings):
    model = random_model(preset, **settings)
    x = tokens(2, 30)
    full = model(x)
    for chunks in ([1] * 30, [30], [9, 1, 1, 12, 1, 6]):
        cache = model.new_cache(2, 30)
        close(torch.cat([model(part, cache=cache) for part in x.split(chunks, 1)], 1), full)
        assert cache.end == 30
    cache = model.new_cache(2, 30)
    close(model(x, cache=cache, last=True), full[:, -1:])


@pytest.mark.parametrize(("preset", "settings"), VARIANTS)
@torch.no_grad()
def test_left_padded_prompts_equal_each_prompt_alone(preset, settings):
    model = random_model(preset, **settings)
    lengths, more = [9, 1, 4], 8
    rows = [tokens(1, n + more, seed=n) for n in lengths]
    width = max(lengths)
    x, real = torch.zeros(3, width, dtype=torch.long), torch.zeros(3, width, dtype=torch.bool)
    for i, (row, n) in enumerate(zip(rows, lengths, strict=True)):
        x[i, width - n :], real[i, width - n :] = row[0, :n], True
    for prefill in ([width], [4, 5]):
        cache = model.new_cache(3, width + more)
        for part, mask in zip(x.split(prefill, 1), real.split(prefill, 1), strict=True):
            last = model(part, padding=mask, cache=cache, last=True)
        steps = [last]
        for i in range(more - 1):
            steps.append(
                model(
                    torch.cat(
                        [row[:, n + i : n + i + 1] for row, n in zip(rows, lengths, strict=True)]
                    ),
                    cache=cache,
                )
            )
        out = torch.cat(steps, 1)
        for i, (row, n) in enumerate(zip(rows, lengths, strict=True)):
            close(out[i], model(row[:, :-1])[0, n - 1 :])


@torch.no_grad()
def test_a_cache_may_be_longer_than_the_context():
    model, longer = random_model(context=8), random_model(context=32)
    x = tokens(1, 20)
    cache = model.new_cache(1, 20)
    close(torch.cat([model(part, cache=cache) for part in x.split(1, 1)], 1), longer(x))


def test_too_many_tokens_are_refused():
    model = random_model(context=8)
    with pytest.raises(GenwrightError, match="9 tokens are more than the 8"):
        model(tokens(1, 9))
    with torch.no_grad(), pytest.raises(GenwrightError, match="3 tokens are more than the 2"):
        model(tokens(1, 3), cache=model.new_cache(1, 2))


# ---- parts


@pytest.mark.parametrize("kind", ["rms", "plain", "layer"])
def test_norms_by_hand(kind):
    norm = Norm(kind, 2, 1e-6)
    if norm.weight is not None:
        norm.weight.data = torch.tensor([2.0, 1.0])
    got = norm(torch.tensor([[3.0, -1.0]]))
    rms = 5**-0.5
    want = {"rms": [6 * rms, -rms], "plain": [3 * rms, -rms], "layer": [2.0, -1.0]}[kind]
    torch.testing.assert_close(got, torch.tensor([want]))


def test_rotation_by_hand():
    """One pair, base irrelevant: position p turns (1, 0) by p radians, backwards where reversed."""
    x = torch.tensor([1.0, 0.0]).expand(1, 4, 1, 2)
    angle = torch.arange(4.0)
    for reverse, sign in ((False, 1), (True, -1)):
        torch.testing.assert_close(
            rotate(x, rotary(4, 2, 10.0, reverse))[0, :, 0],
            torch.stack((angle.cos(), sign * angle.sin()), 1),
        )


@pytest.mark.parametrize("preset", PRESETS)
def test_a_chunked_loss_is_the_loss(preset, monkeypatch):
    model = random_model(preset)
    x, y = tokens(2, 15), tokens(2, 15, seed=1)
    y[1, 3:9] = -100
    weights = torch.rand(2, 15, generator=torch.Generator().manual_seed(3))

    def grads():
        model.zero_grad()
        nll = model(x, y)
        (nll * weights).sum().backward()
        return nll.detach(), [p.grad.clone() for p in model.parameters()]

    whole, whole_grads = grads()
    monkeypatch.setitem(module._WHOLE, "cpu", 4 * 37)
    chunked, chunked_grads = grads()
    close(chunked, whole)
    for a, b in zip(chunked_grads, whole_grads, strict=True):
        close(a, b)


@pytest.mark.parametrize("preset", PRESETS)
def test_bfloat16_is_near_float32(preset):
    """Parameters in bf16, the rest follows; losses stay fp32."""
    model = random_model(preset)
    x = tokens(4, 32)
    reference = model(x, x)
    model.to(torch.bfloat16)
    model.rope = model.rope.float()
    loss = model(x, x)
    loss.sum().backward()
    assert loss.dtype == torch.float32 and model.embedding.grad.dtype == torch.bfloat16
    assert (loss - reference).abs().mean() < 0.1 < reference.mean()


@pytest.mark.parametrize("preset", PRESETS)
def test_an_untrained_model_knows_nothing(preset):
    torch.manual_seed(0)
    model = TransformerSettings(preset=preset, depth=2).build(SPACE, 16, PRESETS[preset]["causal"])
    x = tokens(4, 16)
    nll = model(x, tokens(4, 16, seed=1))
    assert nll.mean().item() == pytest.approx(torch.tensor(37.0).log().item(), abs=0.05)
    nll.sum().backward()
    assert any(p.grad.abs().max() > 0 for p in model.blocks.parameters())
    torch.manual_seed(0)
    again = TransformerSettings(preset=preset, depth=2).build(SPACE, 16, PRESETS[preset]["causal"])
    assert all(
        torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True)
    )


def test_groups_count_and_flops():
    model = random_model("speedrun", depth=4)
    groups = model.groups()
    assert groups["embedding"] == groups["blocks.3.value_embedding"] == "embedding"
    assert groups["head.weight"] == "head" and groups["blocks.0.mix"] == "scalar"
    assert [n for n in groups if "value_embedding" in n] == [
        "blocks.1.value_embedding",
        "blocks.3.value_embedding",
    ]
    matrices = {n for n, g in groups.items() if g == "matrix"}
    assert matrices == {
        f"blocks.{i}.{n}.weight"
        for i in range(4)
        for n in ("query", "key", "value", "output", "up", "down")
    }
    assert sum(p.numel() for p in model.parameters()) == 4 * 12 * 32 * 32 + 4 * 37 * 32 + 4 * 2
    assert model.flops_per_token(16) == 6 * (4 * 12 * 32 * 32 + 37 * 32) + 12 * 4 * 32 * 16
    windowed = random_model(depth=4, window=4)
    assert windowed.flops_per_token(16) == 6 * (4 * 12 * 32 * 32 + 37 * 32) + 12 * 32 * (3 * 4 + 16)
    assert random_model("modernbert").groups()["head_bias"] == "scalar"


@pytest.mark.parametrize(("depth", "hidden"), [(3, 704), (4, 464)])
def test_speedrun_fits_the_budget_of_a_character_model(depth, hidden):
    settings = TransformerSettings(
        preset="speedrun", depth=depth, width=128, heads=1, hidden=hidden, previous=4
    )
    model = settings.build(Space(vocabulary=68), 64)
    assert sum(p.numel() for p in model.parameters()) <= 810_000


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize(
    ("preset", "settings"), [*((name, {}) for name in PRESETS), ("nanochat", {"previous": 2})]
)
def test_gradients_per_example(preset, settings):
    """torch.func's vmap of grad: what private training needs."""
    model = random_model(preset, **settings)
    x = tokens(3, 8)

    def loss(parameters, row):
        return torch.func.functional_call(model, parameters, (row[None], row[None])).sum()

    found = torch.func.vmap(torch.func.grad(loss), (None, 0))(dict(model.named_parameters()), x)
    for i in range(3):
        model.zero_grad()
        model(x[i : i + 1], x[i : i + 1]).sum().backward()
        for name, p in model.named_parameters():
            close(found[name][i], p.grad)


def test_compile_makes_one_graph():
    """No graph breaks, no second graph at the same shape. (The graph itself, without code
    generation.)"""
    torch._dynamo.reset()
    model = random_model("speedrun", depth=4, previous=2)
    graphs = []
    compiled = torch.compile(
        model, fullgraph=True, backend=lambda graph, _: (graphs.append(graph), graph.forward)[1]
    )
    for seed in range(3):
        x = tokens(2, 32, seed=seed)
        close(compiled(x, x), model(x, x))
    assert len(graphs) == 1


@pytest.mark.parametrize("preset", ["nanochat", "modernbert"])
def test_tokens_that_share_traits_begin_alike(preset):
    """The rest of the network is the same as without traits, and an embedding is as large."""
    alike = torch.tensor([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    made = []
    for space in (Space(vocabulary=4), Space(vocabulary=4, alike=alike)):
        torch.manual_seed(0)
        made.append(
            TransformerSettings(preset=preset, depth=2, width=1024, heads=8).build(
                space, 8, preset == "nanochat"
            )
        )
    plain, related = (dict(model.named_parameters()) for model in made)
    assert all(torch.equal(p, related[name]) for name, p in plain.items() if name != "embedding")
    cosine = torch.nn.functional.cosine_similarity(related["embedding"][0], related["embedding"])
    assert cosine[1] > 0.8 and 0.2 < cosine[2] < 0.7 and abs(cosine[3]) < 0.2
    assert related["embedding"].std().item() == pytest.approx(
        plain["embedding"].std().item(), rel=0.1
    )


def test_a_place_is_a_token_of_its_own_where_its_embedding_is_added():
    """Against the same network without places, over a vocabulary of (place, token) pairs."""
    model, x = random_model(places=5), tokens(2, 17)
    pairs = (model.places[:, None] + model.embedding).flatten(0, 1)
    plain = random_model()
    plain.load_state_dict(
        {n: p for n, p in model.state_dict().items() if n not in ("places", "embedding")},
        strict=False,
    )
    plain.embedding = torch.nn.Parameter(pairs.detach())
    close(model(x), plain(x + 37 * (torch.arange(17) % 5)))
    assert model.groups()["places"] == "embedding"
    model(x).sum().backward()
    assert (model.places.grad.abs().sum(1) > 0).all()
    real = torch.arange(17) < torch.tensor([[17], [9]])
    close(model(x, padding=real)[1, :9], model(x[1:, :9])[0])  # padding on the right moves nothing
    cache = model.new_cache(2, 17)
    # a cache goes on counting
    close(torch.cat([model(part, cache=cache) for part in x.split([4, 9, 1, 3], 1)], 1), model(x))
