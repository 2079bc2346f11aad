"""How likely a run finds texts, token by token, against forward passes of one prefix or one hidden
token at a time."""

import numpy as np
import pytest
import torch

import genwright
from genwright.audit.scoring import scorer_of
from genwright.contents.text.counterfactual import Swaps
from genwright.contents.text.likelihoods import ListedTwins
from genwright.core.errors import GenwrightError
from genwright.core.likelihoods import Scoring, Twin
from rooms_here import needs
from short_runs import SHORT

CONTEXT = 24
TEXT = "the cat sat on the mat, and the dog sat on the cat. " * 8
SMALL = {
    "data.source": "files",
    "data.context": CONTEXT,
    "model.depth": 1,
    "model.width": 32,
    "model.heads": 2,
    "codec": "bytes",
    "training.device": "cpu",
    **SHORT,
    "training.steps": 8,
}
TEXTS = ["a", "the cat sat", "x" * (CONTEXT - 2), "y" * (CONTEXT + 1), TEXT[:100], "the café", ""]


def trained(place, **changes):
    (place / "texts").mkdir()
    for number in range(4):
        (place / "texts" / f"{number}.txt").write_text(TEXT[number:], encoding="utf-8")
    settings = SMALL | {"data.path": str(place / "texts"), "data.cache": str(place / "cache")}
    return genwright.train("docs", run=place / "run", quiet=True, **settings | changes)


@pytest.fixture(scope="module")
def causal(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("causal"))


@pytest.fixture(scope="module")
def masked(tmp_path_factory):
    changes = {"objective": "masked", "model.preset": "modernbert"}
    return trained(tmp_path_factory.mktemp("masked"), **changes)


@torch.no_grad()
def log_of(run, row, place, token):
    """Log-probability of a token at a place of what the network reads."""
    logits = run.model(torch.tensor([row]))[0, place].double()
    return float(logits.log_softmax(-1)[token])


def causal_by_hand(run, text, before):
    tokens = [*before, *text.encode()]
    logs = []
    for place in range(1, len(tokens)):
        start = (place - 1) // CONTEXT * CONTEXT  # of the window that predicts it
        logs.append(log_of(run, tokens[start:place], -1, tokens[place]))
    return logs


def test_causal_values_are_those_of_prefixes(causal):
    end = causal.codec.space.special["end"]
    scorer = scorer_of(causal.folder)
    assert scorer.causal and scorer.room == CONTEXT
    for text, found in zip(TEXTS, scorer.scores(TEXTS), strict=True):
        assert found.predicted == len(found.tokens) == len(text.encode())
        np.testing.assert_allclose(found.logs, causal_by_hand(causal, text, [end]), atol=1e-5)


def test_what_nothing_stands_before_is_not_predicted(tmp_path):
    run = trained(tmp_path, **{"data.isolate_documents": True})
    scorer = scorer_of(run.folder)
    assert scorer.room == CONTEXT + 1
    for text, found in zip(TEXTS, scorer.scores(TEXTS), strict=True):
        assert found.predicted == max(0, len(text.encode()) - 1)
        assert np.isnan(found.logs[:1]).all()
        np.testing.assert_allclose(found.logs[1:], causal_by_hand(run, text, []), atol=1e-5)
        assert found.total == pytest.approx(sum(causal_by_hand(run, text, [])), abs=1e-4)


def test_masked_values_are_those_of_hidden_tokens(masked):
    special = masked.codec.space.special
    scorer = scorer_of(masked.folder)
    assert not scorer.causal and scorer.room == CONTEXT - 2
    for text, found in zip(TEXTS, scorer.scores(TEXTS), strict=True):
        tokens = list(text.encode())
        expected = []
        for place, token in enumerate(tokens):
            start = place // scorer.room * scorer.room
            row = [special["end"], *tokens[start : start + scorer.room], special["end"]]
            row[place - start + 1] = special["mask"]
            expected.append(log_of(masked, row, place - start + 1, token))
        np.testing.assert_allclose(found.logs, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["causal", "masked"])
def test_an_exported_folder_gives_the_same_as_its_run(name, request, tmp_path):
    run = request.getfixturevalue(name)
    folder = run.export("hf", tmp_path / "hf")
    texts = ["the cat sat", "on a mat"]
    both = zip(scorer_of(run.folder).scores(texts), scorer_of(folder).scores(texts), strict=True)
    for one, other in both:
        np.testing.assert_allclose(one.logs, other.logs, atol=1e-5)


def test_what_cannot_be_measured_is_refused(tmp_path):
    run = trained(tmp_path, codec="characters")
    with pytest.raises(GenwrightError, match="a text has it that .* is to measure"):
        scorer_of(run.folder).scores(["a é"])
    folder = run.export("hf", tmp_path / "hf")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(GenwrightError, match=r"tokenizer\.json does not exist"):
        scorer_of(folder)


@needs("points")
def test_a_gan_has_no_likelihood(tmp_path):
    changes = {"training.steps": 2, "training.device": "cpu", "training.evaluate_every": 0}
    run = genwright.train("ring-gan", run=tmp_path / "run", quiet=True, **changes)
    assert not isinstance(run.kind, Scoring)
    with pytest.raises(GenwrightError, match="which gives no likelihood of a text"):
        scorer_of(run.folder)


def test_twins_say_which_column_their_words_were_of():
    twins = ListedTwins(Swaps((("he", "she"), ("him", "her"), ("old man", "old woman"))))
    assert twins.names == ("he", "she")
    assert twins.of("He left with his old man") == Twin("She left with her old woman", 3, 0)
    assert twins.of("Her old woman left") == Twin("His old man left", 0, 2)
    assert twins.of("he saw her") == Twin("she saw him", 1, 1)
    assert twins.of("nobody left") == Twin("nobody left", 0, 0)
    assert ListedTwins(Swaps((("woman", "man"), ("her", "his")))).of("his, hers").firsts == 1
