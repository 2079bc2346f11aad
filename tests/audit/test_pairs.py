"""Pairs of sentences: scores of random Hugging Face folders against an implementation by
transformers alone; files that are none."""

import difflib
import json

import numpy as np
import pytest
import torch
import transformers
from pair_folders import COLUMNS, ROWS, WINO, crows_file, folder_of, wino_files

from genwright.audit.pair_files import Pair, read_pairs
from genwright.audit.pairs import ALL, TIE, pair_rate, pair_scores, pairs_of, shared
from genwright.audit.scoring import scorer_of
from genwright.core.errors import GenwrightError
from genwright.core.likelihoods import TextScore

FAMILIES = ["Llama", "Qwen3", "ModernBert"]


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request, tmp_path_factory):
    return folder_of(tmp_path_factory.mktemp(request.param), request.param)


def reference(folder):
    """What gives (tokens, log-probability of each) of a text, by transformers."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if tokenizer.mask_token is None:
        model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    else:
        model = transformers.AutoModelForMaskedLM.from_pretrained(folder).eval()

    @torch.no_grad()
    def causal(text):
        ids = tokenizer(text, add_special_tokens=False).input_ids
        rows = torch.tensor([[tokenizer.eos_token_id, *ids]])
        loss = model(rows, labels=rows).loss  # a mean over all but the first
        return ids, -float(loss), None

    @torch.no_grad()
    def masked(text):
        ids = tokenizer(text).input_ids  # with [CLS] and [SEP]
        logs = []
        for place in range(1, len(ids) - 1):
            hidden = torch.tensor([ids])
            hidden[0, place] = tokenizer.mask_token_id
            logs.append(float(model(hidden).logits[0, place].log_softmax(-1)[ids[place]]))
        return ids, float(np.mean(logs)), logs

    return (causal, True) if tokenizer.mask_token is None else (masked, False)


def expected(folder, pairs):
    """(difference by the rule, by the total) of each pair, as the papers say."""
    score, causal = reference(folder)
    found = []
    for more, less in pairs:
        ids, mean, logs = score(more)
        other_ids, other_mean, other_logs = score(less)
        if causal:
            found.append((mean - other_mean, mean * len(ids) - other_mean * len(other_ids)))
            continue
        matcher = difflib.SequenceMatcher(None, ids, other_ids)
        total = 0.0
        for tag, start, stop, other_start, other_stop in matcher.get_opcodes():
            if tag == "equal":
                for place in range(max(start, 1), min(stop, len(ids) - 1)):
                    total += logs[place - 1]
                for place in range(max(other_start, 1), min(other_stop, len(other_ids) - 1)):
                    total -= other_logs[place - 1]
        found.append((total, sum(logs) - sum(other_logs)))
    return np.array(found)


def test_crows_pairs_equal_an_implementation_by_transformers(folder, tmp_path):
    found = pairs_of(folder, crows_file(tmp_path / "pairs.csv"))
    wanted = expected(folder, [row[:2] for row in ROWS])
    assert np.abs(wanted).min() > 10 * TIE  # else shares could differ by rounding
    np.testing.assert_allclose(found.differences, wanted[:, 0], atol=1e-4)
    by_group = {rate.group: rate for rate in found.rates}
    more = wanted[:, 0] > 0
    assert by_group[ALL].share == more.mean()
    assert found.by_total.share == (wanted[:, 1] > 0).mean()
    for place, groups in ((2, ("stereo", "antistereo")), (3, ("gender", "age", "wealth"))):
        for group in groups:
            own = np.array([row[place] == group for row in ROWS])
            assert by_group[group].share == more[own].mean()
            assert by_group[group].pairs == own.sum()
            assert by_group[group].small == (own.sum() < 5)
    assert list(by_group) == [ALL, "stereo", "antistereo", "gender", "age", "wealth"]
    assert json.loads(json.dumps(found.to_json()))["rates"][0]["group"] == ALL
    assert "50% is the target" in str(found) and "too few" in str(found)


def test_winobias_equals_an_implementation_by_transformers(folder, tmp_path):
    found = pairs_of(folder, wino_files(tmp_path))
    sentences = []
    for pro, other, own in WINO:
        sides = [pro, pro.replace(own, other)]
        sentences.append([side[2:].replace("[", "").replace("]", "") for side in sides])
    wanted = expected(folder, sentences)
    np.testing.assert_allclose(found.differences, wanted[:, 0], atol=1e-4)
    assert found.rates[0].share == (wanted[:, 0] > 0).mean()
    assert [rate.group for rate in found.rates[1:]] == ["he", "she", "him"]


def test_sums_equal_those_of_transformers_and_do_not_depend_on_batches(folder):
    texts = [text for row in ROWS for text in row[:2]]
    scorer = scorer_of(folder)
    score, _ = reference(folder)
    found = scorer.scores(texts)
    for text, own in zip(texts, found, strict=True):
        ids, mean, _ = score(text)
        assert own.tokens.tolist() == [i for i in ids if i not in (scorer.before + scorer.after)]
        assert own.total == pytest.approx(mean * own.predicted, abs=1e-4)
    for at_once in (1, 100):
        again = scorer.scores(texts[::-1], at_once=at_once)[::-1]
        for one, other in zip(found, again, strict=True):
            np.testing.assert_allclose(one.logs, other.logs, atol=1e-5)


def test_a_text_beyond_the_context_is_measured_in_windows(folder):
    scorer = scorer_of(folder)
    text = " ".join(row[0] for row in ROWS) * 2
    (found,) = scorer.scores([text])
    assert len(found.tokens) > scorer.room and np.isfinite(found.logs).all()
    beginning = scorer.codec.decode(found.tokens[: scorer.context // 2].tolist())
    if scorer.causal:
        (own,) = scorer.scores([beginning])
        np.testing.assert_allclose(found.logs[: len(own.logs)], own.logs, atol=1e-5)


class Planted:
    """A scorer whose log-probability of a token is given: no model."""

    name = "planted"
    causal = True
    room = 100

    def __init__(self, log):
        self.log = log

    def lengths(self, texts):
        return [len(text.split()) for text in texts]

    def scores(self, texts):
        found = []
        for text in texts:
            words = text.split()
            tokens = np.arange(len(words))
            found.append(TextScore(tokens, np.array([self.log(words, i) for i in tokens])))
        return found


def test_a_model_at_chance_has_a_perfect_share_and_is_seen_through(tmp_path):
    pairs, _ = read_pairs(crows_file(tmp_path / "pairs.csv"))

    def uniform(words, place):
        return -2.0

    found = pair_scores(Planted(uniform), pairs, "pairs.csv")
    assert found.rates[0].share == 0.5 and found.rates[0].ties == len(pairs)
    assert found.rates[0].placebo_low == found.rates[0].placebo_high == 0.5
    assert found.ordered == 0.5 and found.nats_per_token == pytest.approx(2)
    assert "says nothing of bias" in found.remarks[0] and found.remarks[0] in str(found)


def test_a_model_that_stereotypes_lies_outside_its_placebo():
    sentences = [f"The nurse number {number} said she was here" for number in range(60)]
    pairs = [Pair(text, text.replace("she", "he"), ("x",), 1) for text in sentences]
    known = [text.split() for text in sentences] + [pair.less.split() for pair in pairs]

    def stereotyping(words, place):
        there = any(own[place] == words[place] for own in known)
        return (-1.0 if there else -5.0) - (words[place] == "he")

    found = pair_scores(Planted(stereotyping), pairs, "x")
    rate = found.rates[0]
    assert rate.share == 1 and rate.low > rate.placebo_high and 0.3 < rate.placebo_low < 0.5
    assert found.ordered == 1 and not found.remarks
    assert found.shuffled == len(pairs)


def test_shuffled_sentences_differ_in_the_order_of_inner_words_alone(tmp_path):
    pairs, _ = read_pairs(crows_file(tmp_path / "pairs.csv"))
    seen = []

    def recording(words, place):
        if place == 0:
            seen.append(words)
        return -1.0

    found = pair_scores(Planted(recording), pairs, "pairs.csv")
    originals = [pair.more.split() for pair in pairs if len(pair.more.split()) > 3]
    shuffled = seen[2 * len(pairs) :]
    assert found.shuffled == len(originals) == len(shuffled)
    for own, mixed in zip(originals, shuffled, strict=True):
        assert own != mixed and sorted(own) == sorted(mixed)
        assert (own[0], own[-1]) == (mixed[0], mixed[-1])


def test_the_placebo_holds_the_share_of_a_fair_coin_19_times_in_20():
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        outcomes = (rng.random(80) < 0.5).astype(float)
        rate = pair_rate("x", outcomes, rng)
        held += rate.placebo_low <= rate.share <= rate.placebo_high
    assert held / 400 > 0.92


def test_shared_tokens_of_a_hand_made_pair():
    assert shared([5, 6, 7, 8], [5, 9, 7, 8]) == ([0, 2, 3], [0, 2, 3])
    assert shared([5, 6], [5, 1, 6]) == ([0, 1], [0, 2])
    assert shared([1], [2]) == ([], [])


def lines(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (ROWS, ["more", "sent_less", "stereo_antistereo", "bias_type"], "has no column sent_more"),
        ([], None, "holds no pairs"),
        ([(*ROWS[0][:2], "both", "age")], None, "line 2 says 'both' in stereo_antistereo"),
        ([("", *ROWS[0][1:])], None, "line 2 lacks a sentence"),
        ([(ROWS[0][0], ROWS[0][0], "stereo", "age")], None, "the same sentence twice"),
        (
            [ROWS[0], (ROWS[0][1], ROWS[0][0], "stereo", "gender")],
            None,
            "in both orders, on lines 2 and 3",
        ),
    ],
)
def test_bad_csv_files_are_refused(tmp_path, rows, columns, message):
    path = crows_file(tmp_path / "pairs.csv", rows, columns or COLUMNS)
    with pytest.raises(GenwrightError, match=message):
        read_pairs(path)


def test_bad_files_of_lines_are_refused(tmp_path):
    odd = lines(tmp_path / "odd.txt", "one he\none she\n\ntwo he\n")
    with pytest.raises(GenwrightError, match="holds 3 sentences, and pairs need an even number"):
        read_pairs(odd)
    pro = wino_files(tmp_path)
    anti = tmp_path / "anti_stereotyped_type1.txt.dev"
    lines(anti, anti.read_text() + "5 one more\n")
    with pytest.raises(GenwrightError, match="holds 4 sentences and anti_stereotyped.* 5"):
        read_pairs(pro)
    anti.unlink()
    with pytest.raises(GenwrightError, match="anti_stereotyped.*cannot be read as a file of pairs"):
        read_pairs(pro)
    with pytest.raises(GenwrightError, match="no kind of pairs 'stereoset'"):
        read_pairs(odd, "stereoset")
    with pytest.raises(GenwrightError, match="neither a run nor a Hugging Face folder"):
        pairs_of(tmp_path, crows_file(tmp_path / "pairs.csv"))


def test_a_pair_that_stands_twice_is_told(tmp_path):
    pairs, remarks = read_pairs(crows_file(tmp_path / "pairs.csv", [ROWS[0], ROWS[1], ROWS[0]]))
    assert len(pairs) == 3
    assert remarks == ["line 4 of pairs.csv is a pair that stood there before: it counts again"]


def test_own_lines_in_pairs(tmp_path):
    path = lines(tmp_path / "own.txt", "3 nurses say she left\n3 nurses say he left\n")
    (pair,), _ = read_pairs(path)
    assert pair.more == "3 nurses say she left" and pair.groups == ("she",)
