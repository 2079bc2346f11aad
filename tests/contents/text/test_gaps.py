"""Gaps in text of bytes: what is hidden, and how candidates that are no character are shown."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from genwright.contents.text.codec import Bytes
from genwright.contents.text.content import marked_pieces
from genwright.contents.text.evaluate import _beginnings, gaps_in, states_of, whole_units
from genwright.contents.text.fill import candidates
from genwright.contents.text.spelled import spelled
from genwright.models.presets import TransformerSettings

BYTES = Bytes().train(iter([]))
AUTOMATON = BYTES.space.automaton()
TEXT = "Über den Fluß führt 天地玄黃 eine Brücke, 宇宙洪荒 und zurück"


def test_bytes_of_a_part_of_a_character_are_spelled_out():
    assert spelled(BYTES, [0xE5]) == "<E5>" and spelled(BYTES, [ord("a")]) == "a"
    end = BYTES.space.special["end"]
    heaven = BYTES.encode("天")
    assert spelled(BYTES, [*heaven, *heaven[:2], end, *heaven[2:], ord("b")], special=True) == (
        "天<E5><A4><|end|><A9>b"
    )
    assert spelled(BYTES, BYTES.encode("a\ufffdb")) == "a\ufffdb"  # a character of the text


def test_inspect_shows_no_replacement_character():
    tokens = torch.tensor([BYTES.encode("天地玄")])
    counted = torch.arange(tokens.shape[1]) % 4 == 1  # in the middle of characters
    batch = {"inputs": tokens, "targets": torch.where(counted, tokens, -1)}
    pieces = marked_pieces(batch, 0, BYTES)
    assert pieces[:3] == [("<E5>", False), ("<A4>", True), ("<A9><E5><9C>", False)]
    assert not any("\ufffd" in text for text, _ in pieces)


def test_prompts_of_a_report_end_at_whole_characters():
    texts = ["天地玄黃宇宙洪荒", "ab天地玄黃宇宙洪荒", "a"]
    rows = [(str(number), np.array(BYTES.encode(text))) for number, text in enumerate(texts)]
    dataset = SimpleNamespace(codec=BYTES, documents=lambda split: iter(rows))
    assert _beginnings(dataset) == ["天地玄黃宇", "ab天地玄黃", "a"]


def test_candidates_of_bytes_show_no_replacement_character():
    torch.manual_seed(0)
    settings = TransformerSettings(preset="modernbert", depth=1, width=16, heads=2)
    model = settings.build(BYTES.space, 64, causal=False).eval()
    mask = BYTES.space.special["mask"]
    row = torch.tensor([[*BYTES.encode("天"), mask, mask, mask, *BYTES.encode("地")]])
    texts = [c.text for gap in candidates(model, BYTES, row, 20, AUTOMATON) for c in gap]
    assert len(texts) > 20 and not any("\ufffd" in text for text in texts)
    assert any(text.startswith("<") for text in texts)


@pytest.mark.parametrize("first", range(6))
@pytest.mark.parametrize("size", [40, 41, 42, 43, 44])
def test_what_is_hidden_and_what_is_around_it_is_whole(first, size):
    window = BYTES.encode(TEXT)[first : first + size]
    tokens = whole_units(AUTOMATON, window)
    gaps = gaps_in(tokens, AUTOMATON)
    assert len(tokens) >= size - 5 and len(gaps) >= 3
    states = states_of(AUTOMATON, tokens)
    edges = [0, *(place for place, state in enumerate(states) if state == 0)]
    for a, b in zip([-1, *gaps], [*gaps, len(tokens)], strict=True):
        part = tokens[a + 1 : b]
        assert bytes(part).decode() == BYTES.decode(part)  # raises in the middle of a character
    for gap in gaps:
        assert gap in edges or gap - 1 in gaps


def test_codecs_of_whole_characters_have_a_gap_every_twelve():
    assert gaps_in(list(range(40)), None) == [8, 20, 32]
