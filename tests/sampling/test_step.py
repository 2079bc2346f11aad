"""Steps with a cache against the whole sequence at once, for every option of the transformer."""

import itertools

import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.draws import Draws
from genwright.core.errors import GenwrightError
from genwright.models.presets import TransformerSettings
from genwright.sampling import cached_attention
from genwright.sampling.decode import generate_tokens, pad_left
from genwright.sampling.drawing import Decoding
from genwright.sampling.folded import FoldedStepper
from genwright.sampling.step import CachedStepper, stepper, threads_for

VARIANTS = [
    {"preset": "nanochat"},
    {"preset": "llama"},
    {"preset": "qwen3"},
    {"preset": "speedrun"},
    {"preset": "speedrun", "previous": 3},
    {"preset": "nanochat", "kv_heads": 2, "window": 5, "pattern": "SL"},
    {"preset": "llama", "kv_heads": 1, "tied": True, "logit_softcap": 2.0, "activation": "swiglu"},
    {
        "preset": "qwen3",
        "kv_heads": 2,
        "window": 3,
        "rope_base_local": 100.0,
        "embedding_norm": True,
    },
    {"preset": "llama", "norm": "layer", "activation": "geglu"},
    {"preset": "nanochat", "dense_head": True},
]


def build(context=32, **settings):
    torch.manual_seed(0)
    model = TransformerSettings(depth=3, width=32, heads=4, **settings).build(
        Space(vocabulary=19), context
    )
    for parameter in model.parameters():  # no zeros at the start, no gains of one
        parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    return model.eval()


@pytest.mark.parametrize(
    ("variant", "padded"),
    [*itertools.product(VARIANTS, (False, True)), ({"preset": "nanochat", "places": 4}, False)],
    ids=str,
)
@torch.inference_mode()
def test_steps_equal_forward(variant, padded):
    model = build(**variant)
    tokens = torch.randint(19, (3, 14))
    real = torch.arange(14) >= torch.tensor([[0], [3], [1]]) if padded else None
    expected = model(tokens, padding=real)
    folded = (
        not any(variant.get(key) for key in ("window", "dense_head"))
        and variant.get("norm") != "layer"
    )
    assert isinstance(stepper(model), FoldedStepper if folded else CachedStepper)
    for step in {stepper(model), CachedStepper(model)}:
        logits = [step.start(tokens[:, :6], None if real is None else real[:, :6], 14)]
        logits += [step.step(tokens[:, i]) for i in range(6, 14)]
        assert (torch.stack(logits, 1) - expected[:, 5:]).abs().max() < 2e-5
        # a stepper may be used again
        again = step.start(tokens[:, :7], None if real is None else real[:, :7], 20)
        assert (again - expected[:, 6]).abs().max() < 2e-5
        assert (step.step(tokens[:, 7]) - expected[:, 7]).abs().max() < 2e-5


def by_sums_of_rows(monkeypatch):
    """The form of attention that many rows take, for few, and with few newest positions."""
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        pytest.skip("this processor always multiplies")
    monkeypatch.setattr(cached_attention, "_MANY", 1)
    monkeypatch.setattr(cached_attention, "_ALIGNED", 2)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("variant", VARIANTS[:4], ids=str)
@torch.inference_mode()
def test_sums_of_rows_are_attention(variant, padded, monkeypatch):
    by_sums_of_rows(monkeypatch)
    model = build(**variant)
    tokens = torch.randint(19, (3, 30))
    real = torch.arange(30) >= torch.tensor([[0], [3], [1]]) if padded else None
    expected = model(tokens, padding=real)
    step = FoldedStepper(model)
    logits = [step.start(tokens[:, :5], None if real is None else real[:, :5], 30)]
    attention = step.attention
    assert isinstance(attention, cached_attention.BaggedAttention)
    settled = []
    for i in range(5, 30):
        logits.append(step.step(tokens[:, i]))
        settled.append(attention.settled)
    # layers move on, back, and on again
    assert settled == [0] * 8 + [8] * 8 + [16] * 8 + [24]
    assert (torch.stack(logits, 1) - expected[:, 4:]).abs().max() < 2e-5


@pytest.mark.parametrize(("drawn", "span"), [(0, 16), (1, 16), (127, 16), (512, 32), (2048, 64)])
def test_how_many_positions_are_newest(drawn, span):
    assert cached_attention._span(drawn) == span


def test_room_begins_with_a_cache_line():
    for size in (5, 300, 2_000_000):
        room = cached_attention._room(2, size)
        assert room.shape == (2, size) and room.data_ptr() % 64 == 0
        room.fill_(1)


@pytest.mark.parametrize("sums_of_rows", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@torch.inference_mode()
def test_a_prompt_of_several_rows_is_read_once(padded, sums_of_rows, monkeypatch):
    if sums_of_rows:
        by_sums_of_rows(monkeypatch)
    model = build(preset="nanochat")
    which = torch.tensor([1, 0, 1, 1, 0, 0])
    tokens = torch.randint(19, (2, 30))[which]
    tokens[:, 5:] = torch.randint(19, (6, 25))
    real = torch.arange(30) >= torch.tensor([[0], [3]])[which] if padded else None
    expected = model(tokens, padding=real)
    seen = []
    handle = model.register_forward_pre_hook(lambda module, given: seen.append(len(given[0])))
    step = FoldedStepper(model)
    logits = [step.start(tokens[:, :5], None if real is None else real[:, :5], 30)]
    handle.remove()
    if sums_of_rows:
        # keys of each prompt are kept once: (prompts * heads * head width, positions)
        assert step.attention.prompt_keys[0].shape == (2 * 4 * 8, 6)
    logits += [step.step(tokens[:, i]) for i in range(5, 30)]
    assert seen == [2]
    assert (torch.stack(logits, 1) - expected[:, 4:]).abs().max() < 2e-5


def test_places_want_prompts_of_one_length():
    model, real = build(places=4), torch.tensor([[True, True], [False, True]])
    with pytest.raises(
        GenwrightError,
        match=r"prompts of several lengths have other places \(model.places\); give one at a time",
    ):
        stepper(model).start(torch.zeros(2, 2, dtype=torch.long), real, 4)


def test_a_row_beyond_the_context_is_read_again_from_the_beginning_of_one():
    model = build(context=20, places=3)
    drawn = generate_tokens(
        model,
        torch.zeros(1, 1, dtype=torch.long),
        None,
        Decoding(max_tokens=60, temperature=0),
        Draws(0, 0, torch.arange(1)),
    )
    tokens = torch.cat((torch.zeros(1, 1, dtype=torch.long), drawn.tokens), 1)
    start = 0
    for at in range(1, 61):
        if at - start > 20:
            start = -(-(at - max(20 - (61 - at) + 1, 10)) // 3) * 3
        assert model(tokens[:, start:at])[0, -1].argmax() == tokens[0, at]


def test_parameters_in_bfloat16_use_the_modules_own_cache():
    model = build().bfloat16()
    assert isinstance(stepper(model), CachedStepper)
    drawn = generate_tokens(
        model,
        torch.zeros(1, 1, dtype=torch.long),
        None,
        Decoding(max_tokens=3),
        Draws(0, 0, torch.arange(1)),
    )
    assert drawn.tokens.shape == (1, 3)


@pytest.mark.parametrize("variant", VARIANTS[:6], ids=str)
def test_greedy_is_the_argmax_of_forward(variant):
    model = build(**variant)
    prompts = [[1], [2, 3, 4, 5], [6, 7]]
    tokens, real = pad_left(prompts)
    drawn = generate_tokens(
        model, tokens, real, Decoding(max_tokens=12, temperature=0), Draws(0, 0, torch.arange(3))
    )
    for prompt, new in zip(prompts, drawn.tokens.tolist(), strict=True):
        row = list(prompt)
        for _ in range(12):
            row.append(int(model(torch.tensor([row]))[0, -1].argmax()))
        assert new == row[len(prompt) :]


def test_a_step_follows_the_weights_of_its_moment():
    model = build()
    greedy, draws = Decoding(max_tokens=8, temperature=0), Draws(0, 0, torch.arange(1))
    before = generate_tokens(model, torch.tensor([[1]]), None, greedy, draws)
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter))
    after = generate_tokens(model, torch.tensor([[1]]), None, greedy, draws)
    assert not torch.equal(before.tokens, after.tokens)


def test_a_row_beyond_the_context_goes_on():
    model = build(context=8)
    drawn = generate_tokens(
        model,
        torch.tensor([[1, 2, 3]]),
        None,
        Decoding(max_tokens=40),
        Draws(0, 0, torch.arange(1)),
    )
    assert drawn.mask.sum() == 40


def test_a_compiled_module_is_stepped_by_its_original():
    model = build()
    wrapper = torch.compile(model)  # compiles nothing before its first call
    assert isinstance(stepper(wrapper), FoldedStepper)
    drawn = generate_tokens(
        wrapper, torch.tensor([[1]]), None, Decoding(max_tokens=40), Draws(0, 0, torch.arange(1))
    )
    assert drawn.mask.sum() == 40


def test_threads_come_back():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError), threads_for(build(), 1):
            assert torch.get_num_threads() == 1
            _ = 1 / 0
        assert torch.get_num_threads() == 2
        with threads_for(build(), 10**6):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
