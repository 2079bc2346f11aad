"""Embeddings of the tokens before each one."""

import pytest
import torch

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.models.presets import TransformerSettings
from genwright.models.previous import Previous

NOTHING = 9  # of a vocabulary of 9


@pytest.fixture
def previous():
    torch.manual_seed(0)
    made = Previous(2, NOTHING, 4)
    with torch.no_grad():
        made.embedding.normal_()
    return made


def ids(previous, tokens, **others):
    return [rows.tolist() for rows in previous.ids(torch.tensor(tokens), **others)]


def test_what_stands_before(previous):
    assert ids(previous, [[1, 2, 3]]) == [[[NOTHING, 1, 2]], [[NOTHING, NOTHING, 1]]]
    assert ids(previous, [[5]]) == [[[NOTHING]], [[NOTHING]]]


def test_nothing_stands_before_a_document(previous):
    documents = torch.tensor([[0, 0, 1, 1, 1]])
    one_before, two_before = ids(previous, [[1, 2, 3, 4, 5]], documents=documents)
    assert one_before == [[NOTHING, 1, NOTHING, 3, 4]]
    assert two_before == [[NOTHING, NOTHING, NOTHING, NOTHING, 3]]
    assert ids(previous, [[1]], documents=torch.tensor([[3]])) == [[[NOTHING]], [[NOTHING]]]


def test_padding_is_nothing(previous):
    padding = torch.tensor([[False, True, True]])
    assert ids(previous, [[0, 2, 3]], padding=padding) == [
        [[NOTHING, NOTHING, 2]],
        [[NOTHING, NOTHING, NOTHING]],
    ]


def test_embeddings_are_added(previous):
    table = previous.embedding
    found = previous(torch.tensor([[1, 2]]))
    expected = [table[0, NOTHING] + table[1, NOTHING], table[0, 1] + table[1, NOTHING]]
    torch.testing.assert_close(found[0], torch.stack(expected))


def test_packed_documents_equal_separate_ones():
    torch.manual_seed(0)
    space = Space(vocabulary=NOTHING)
    model = TransformerSettings(depth=2, width=16, heads=2, previous=3).build(space, 16)
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    tokens = torch.randint(NOTHING, (2, 11))
    lengths = torch.tensor([4, 1, 6])
    documents = torch.repeat_interleave(torch.arange(3), lengths).expand(2, -1)
    packed = model(tokens, documents=documents)
    # rotary positions: only distances count
    alone = [model(part) for part in tokens.split(lengths.tolist(), 1)]
    torch.testing.assert_close(packed, torch.cat(alone, 1), atol=1e-5, rtol=1e-4)


def test_they_are_trained_as_embeddings_and_need_tokens():
    settings = TransformerSettings(depth=2, width=16, heads=2, previous=3)
    model = settings.build(Space(vocabulary=NOTHING), 16)
    assert model.groups()["previous.embedding"] == "embedding"
    assert model.previous.embedding.shape == (3, NOTHING + 1, 16)
    assert model.previous.embedding[:, NOTHING].eq(0).all()
    with pytest.raises(GenwrightError, match="model.previous"):
        model(torch.randn(1, 4, 16))
