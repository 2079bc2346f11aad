"""Only valid UTF-8 is drawn: from left to right, in gaps, and shown piece by piece;
log-probabilities stay the model's own."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scripts import SCRIPTS, byte_fallback, bytes_of, is_text
from torch import nn

from genwright.contents.text.codec import BPE, Bytes
from genwright.contents.text.fill import candidates, fill
from genwright.contents.text.generate import Reader
from genwright.contents.text.generate import generate_all as generate
from genwright.core.draws import Draws
from genwright.models.presets import TransformerSettings
from genwright.sampling.decode import generate_tokens
from genwright.sampling.drawing import Decoding
from genwright.sampling.gibbs import fill_tokens
from genwright.sampling.valid import may_fill

BYTES = Bytes().train(iter([]))
PIECES = BPE(vocabulary=400).train(iter([SCRIPTS * 30]))
CODECS = {"bytes": BYTES, "bpe": PIECES, "byte fallback": byte_fallback()}
PROMPTS = ["", "天地", "Съешь", "naïve 👋🏽", "नम"]
FILTERS = [
    {},
    {"top_k": 3},
    {"top_p": 0.4},
    {"min_p": 0.3},
    {"temperature": 0.0},
    {"repetition_penalty": 3.0, "top_k": 20},
]


def network(codec, seed, causal=True, preset="nanochat", context=64):
    torch.manual_seed(seed)
    model = TransformerSettings(preset=preset, depth=2, width=16, heads=2).build(
        codec.space, context, causal=causal
    )
    for parameter in model.parameters():
        if parameter.ndim == 2:
            parameter.data.normal_(0, 1 / math.sqrt(parameter.shape[1]) * 2)
    return model.eval()


@pytest.mark.parametrize("name", CODECS)
@pytest.mark.parametrize("asked", FILTERS, ids=str)
def test_samples_of_any_weights_are_valid_text(name, asked):
    codec = CODECS[name]
    for seed in range(3):
        model = network(codec, seed)
        for length in (1, 2, 3, 40, 90):  # beyond the context, too
            wanted = Decoding(**{"temperature": 1.0, "max_tokens": length, "seed": seed} | asked)
            for sample in generate(model, codec, PROMPTS, 2, wanted):
                data = bytes_of(codec, sample.tokens)
                rest = 0 if is_text(data) else next(n for n in (1, 2, 3) if is_text(data[:-n]))
                assert sample.unfinished == (rest > 0) and not (rest and sample.stopped != "length")
                assert sample.text.count("\ufffd") == data[: len(data) - rest].decode().count(
                    "\ufffd"
                )
                if name != "byte fallback":
                    assert sample.text == data[: len(data) - rest].decode()


@pytest.mark.parametrize("name", CODECS)
def test_the_same_weights_draw_bytes_that_are_no_text_where_they_may(name):
    codec, wanted = CODECS[name], Decoding(temperature=1.0, max_tokens=60, valid_utf8=False)
    drawn = [
        sample
        for seed in range(3)
        for sample in generate(network(codec, seed), codec, [""], 8, wanted)
    ]
    assert sum("\ufffd" in sample.text for sample in drawn) > 8
    assert all(
        sample.text == codec.decode(sample.tokens) for sample in drawn if name != "byte fallback"
    )


def test_turned_off_it_draws_as_before():
    """Samples of the code before there was an automaton, by these seeds."""
    model = network(BYTES, 0)
    wanted = Decoding(temperature=1.0, max_tokens=24, seed=5, valid_utf8=False)
    tokens, real = torch.tensor([[256]]), None
    plain = generate_tokens(
        model, tokens.expand(3, 1), real, wanted, Draws(5, 0, torch.arange(3)), end=256
    )
    for row, sample in enumerate(generate(model, BYTES, [""], 3, wanted)):
        assert list(sample.tokens) == plain.tokens[row][plain.mask[row]].tolist()
        assert sample.text == BYTES.decode(sample.tokens) and not sample.unfinished
        # and token by token from the module's own forward pass, with the same uniform numbers
        uniform = Draws(5, 0, torch.arange(3)).uniform("token", 24)[row]
        so_far = [256]
        for place, token in enumerate(sample.tokens):
            p = model(torch.tensor([so_far]))[0, -1].softmax(-1).double().cumsum(0)
            assert token == int(torch.searchsorted(p, uniform[place].double() * p[-1], right=True))
            so_far.append(token)


@pytest.mark.parametrize("asked", FILTERS, ids=str)
def test_recorded_log_probabilities_are_the_models_own(asked):
    from genwright.sampling.warp import held_by, warp

    wanted = Decoding(**{"temperature": 0.9, "max_tokens": 20} | asked)
    plain = wanted.model_copy(update={"top_k": 0, "top_p": 1.0, "min_p": 0.0})
    model, tables = network(BYTES, 1), BYTES.space.automaton()
    prompt = torch.tensor([[256, 65], [256, 0xE4]])  # the second ends inside a character
    drawn = generate_tokens(
        model, prompt, None, wanted, Draws(0, 0, torch.arange(2)), end=256, automaton=tables
    )
    for row in range(2):
        so_far = prompt[row].tolist()
        for token, score in zip(
            drawn.tokens[row][drawn.mask[row]].tolist(), drawn.logprobs[row].tolist(), strict=False
        ):
            held = torch.tensor([so_far])
            logits, seen = (
                model(held)[:, -1].detach(),
                held_by(held, torch.ones_like(held, dtype=torch.bool), 259),
            )
            own = float(warp(logits, wanted, seen).log_softmax(-1)[0, token])
            own = (
                own
                if math.isfinite(own)
                else float(warp(logits, plain, seen).log_softmax(-1)[0, token])
            )
            assert score == pytest.approx(own, abs=1e-4)
            so_far.append(token)
        assert is_text(bytes(t for t in so_far if t < 256)) or tables.state(so_far) != 0


class Fixed(nn.Module):
    """The same logits at every place."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def new_cache(self, rows, length):
        return None

    def forward(self, tokens, padding=None, cache=None, last=False):
        return self.logits.expand(*tokens.shape, -1)


def test_draws_follow_the_models_distribution_among_what_fits():
    logits = torch.full((259,), -9.0)
    logits[[65, 66, 0x80, 0xE4]] = torch.tensor([1.0, 0.0, 2.0, 1.5])
    tokens = torch.full((20_000, 1), 256)
    wanted = Decoding(temperature=1.0, max_tokens=1)
    drawn = generate_tokens(
        Fixed(logits),
        tokens,
        None,
        wanted,
        Draws(3, 0, torch.arange(20_000)),
        automaton=BYTES.space.automaton(),
    )
    expected = logits.masked_fill(~BYTES.space.automaton().fits[0], -math.inf).softmax(0)
    share = torch.bincount(drawn.tokens[:, 0], minlength=259) / 20_000
    assert (share - expected).abs().max() < 0.015
    assert share[0x80] == 0 and torch.allclose(
        drawn.logprobs[:, 0], logits.log_softmax(0)[drawn.tokens[:, 0]], atol=1e-5
    )


def test_a_row_is_the_same_alone_and_in_any_batch():
    model, tables = network(BYTES, 2), BYTES.space.automaton()
    wanted = Decoding(temperature=1.0, max_tokens=30)
    together = generate(model, BYTES, ["天", "", "ab"], 3, wanted)
    alone = [
        generate(model, BYTES, ["天", "", "ab"], 3, wanted, batch=1),
        generate(model, BYTES, ["天", "", "ab"], 3, wanted, batch=2),
    ]
    assert (
        [s.tokens for s in together] == [s.tokens for s in alone[0]] == [s.tokens for s in alone[1]]
    )
    assert tables.state(BYTES.encode("天")) == 0


@pytest.mark.parametrize(
    "rest", [b"\xe5\xa4\xa9", b"\xf0\x9f\x91\x8b", b"\xed\x9f\xbf", b"\xf4\x8f\xbf\xbf"]
)
def test_a_prompt_of_tokens_that_ends_inside_a_character_is_completed(rest):
    model = network(BYTES, 3)
    for cut in range(1, len(rest)):
        for sample in generate(
            model, BYTES, [[65, *rest[:cut]]], 6, Decoding(temperature=1.0, max_tokens=9)
        ):
            data = bytes([65, *rest[:cut], *(t for t in sample.tokens if t < 256)])
            assert is_text(data) or sample.unfinished
            assert "\ufffd" not in sample.text and not (
                data[1:].decode(errors="ignore") and not sample.text
            )


def test_an_end_comes_only_between_characters():
    logits = torch.full((259,), -50.0)
    logits[256], logits[0xE5] = 8.0, 7.0  # nothing but an end, or the beginning of a character
    drawn = generate(Fixed(logits), BYTES, [""], 50, Decoding(temperature=1.0, max_tokens=12))
    assert {s.stopped for s in drawn} >= {"end"}
    for sample in drawn:
        assert sample.unfinished == (
            sample.stopped == "length" and BYTES.space.automaton().state(sample.tokens) != 0
        )
        assert is_text(sample.text.encode()) and "\ufffd" not in sample.text


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.sampled_from(list(CODECS)), st.sampled_from([1, 2, 7]))
def test_what_is_streamed_is_whole_characters(seed, name, every):
    codec = CODECS[name]
    tokens = generate(
        network(codec, seed % 5),
        codec,
        [""],
        1,
        Decoding(temperature=1.0, max_tokens=30, seed=seed),
    )[0].tokens
    shown: list[str] = []
    reader = Reader(
        codec,
        [codec.space.special["end"]],
        codec.space.special["end"],
        (),
        shown.append,
        whole=True,
    )
    for at in range(0, len(tokens), every):
        reader.feed(list(tokens[at : at + every]))
    reader.close()
    data = bytes_of(codec, tokens)
    legal = data.decode(errors="ignore").count("\ufffd")
    assert all(piece.count("\ufffd") <= legal for piece in shown)
    assert "".join(shown) == reader.text
    rest = next(n for n in range(4) if is_text(data[: len(data) - n]))
    text = data[: len(data) - rest].decode()
    assert reader.text == (text.replace("▁", " ") if name == "byte fallback" else text)


# ---- gaps


def brute_force(tokens, open_, candidates_of):
    """For each gap the bytes that some filling of all gaps with single bytes makes valid text."""
    gaps = [i for i, gap in enumerate(open_) if gap]
    found = [set() for _ in gaps]
    for filling in itertools.product(candidates_of, repeat=len(gaps)):
        row = list(tokens)
        for gap, byte in zip(gaps, filling, strict=True):
            row[gap] = byte
        if is_text(bytes(row)):
            for own, byte in zip(found, filling, strict=True):
                own.add(byte)
    return found


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet="aé天👋ࠀ\ud7ff", min_size=1, max_size=3), st.data())
def test_what_may_fill_gaps_is_what_a_search_finds(text, data):
    row = list(text.encode())
    gaps = data.draw(st.lists(st.integers(0, len(row) - 1), min_size=1, max_size=2, unique=True))
    open_ = [i in gaps for i in range(len(row))]
    some = [0x41, 0x80, 0x9F, 0xA0, 0xBF, 0xC3, 0xE0, 0xE5, 0xED, 0xF0, 0xF4]
    expected = brute_force(row, open_, some)
    never = [t for t in range(259) if t not in some]
    may = may_fill(BYTES.space.automaton(), torch.tensor([row]), torch.tensor([open_]), never)
    for own, wanted in zip(may, expected, strict=True):
        assert set(own.nonzero()[:, 0].tolist()) == wanted or not wanted


@pytest.mark.parametrize("temperature", [0.0, 1.0, 3.0])
def test_gaps_are_filled_with_valid_text(temperature):
    rng = torch.Generator().manual_seed(0)
    for seed in range(6):
        model = network(BYTES, seed, causal=False, preset="modernbert")
        row = torch.tensor([list("Съешь 天地 👋 end".encode())])
        keep = torch.rand(1, row.shape[1], generator=rng) > 0.4
        wanted = Decoding(temperature=temperature, seed=seed)
        never = [256, 257, 258]
        filled = fill_tokens(
            model,
            row,
            keep,
            257,
            wanted,
            Draws(seed, 0, torch.arange(1)),
            never=never,
            automaton=BYTES.space.automaton(),
        )
        assert is_text(bytes(filled[0].tolist()))
        assert torch.equal(filled[keep], row[keep])


def test_filling_text_gives_text_and_candidates_that_are_text():
    for codec in (BYTES, PIECES):
        model = network(codec, 1, causal=False, preset="modernbert")
        filled = fill(model, codec, "天[MASK][MASK]地[MASK]")
        assert "\ufffd" not in filled.text and filled.text.startswith("天") and "地" in filled.text
        free = fill(
            model,
            codec,
            "天[MASK][MASK]地[MASK]",
            settings=Decoding(temperature=0, valid_utf8=False),
        )
        mask, special = codec.space.special["mask"], list(codec.space.special.values())
        row = torch.tensor([[*codec.encode("天"), mask, mask, *codec.encode("地"), mask]])
        draws = Draws(0, 0, torch.zeros(1, dtype=torch.long))
        plain = fill_tokens(
            model, row, row != mask, mask, Decoding(temperature=0), draws, never=special
        )
        assert free.text == codec.decode(plain[0].tolist())
        last = filled.candidates[-1]
        # a gap between whole characters
        assert last and all("\ufffd" not in candidate.text for candidate in last)


def test_probabilities_of_candidates_are_the_models_own():
    model = network(BYTES, 4, causal=False, preset="modernbert")
    row = torch.tensor([[0xE5, 257, 0xA9]])
    (found,) = candidates(model, BYTES, row, 4, BYTES.space.automaton())
    with torch.no_grad():
        p = model(row)[0, 1].index_fill(0, torch.tensor([256, 257, 258]), -math.inf).softmax(-1)
    assert all(
        0x80 <= c.token <= 0xBF and c.probability == pytest.approx(float(p[c.token]), abs=1e-6)
        for c in found
    )


def test_bytes_that_no_token_completes_are_left_as_they_are():
    model = network(BYTES, 0, causal=False, preset="modernbert")
    row, keep = torch.tensor([[0xFF, 0, 0xFF, 0x41]]), torch.tensor([[True, False, True, True]])
    filled = fill_tokens(
        model,
        row,
        keep,
        257,
        Decoding(temperature=1.0),
        Draws(0, 0, torch.arange(1)),
        never=[256, 257, 258],
        automaton=BYTES.space.automaton(),
    )
    assert filled[0, 1] < 256 and torch.equal(filled[keep], row[keep])


@pytest.mark.parametrize("asked", FILTERS, ids=str)
def test_a_model_may_have_more_tokens_than_its_codec(asked):
    """Weights of other origin are padded; such a token stands for nothing."""
    torch.manual_seed(0)
    for causal in (True, False):
        preset = "nanochat" if causal else "modernbert"
        settings = TransformerSettings(preset=preset, depth=1, width=16, heads=2, vocabulary=320)
        model = settings.build(BYTES.space, 64, causal=causal).eval()
        if causal:
            for sample in generate(
                model,
                BYTES,
                ["", "天"],
                4,
                Decoding(**{"temperature": 1.0, "max_tokens": 40} | asked),
            ):
                assert "\ufffd" not in sample.text and (
                    sample.unfinished or is_text(bytes(t for t in sample.tokens if t < 256))
                )
        else:
            filled = fill(
                model,
                BYTES,
                "天[MASK][MASK]地[MASK]",
                settings=Decoding(**{"temperature": 1.0} | asked),
            )
            assert "\ufffd" not in filled.text
