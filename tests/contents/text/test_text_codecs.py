"""Text codecs: exact round trips, the same ids as `tokenizers` and transformers, special tokens
kept apart from content."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from genwright.contents.text import encoding
from genwright.contents.text.codec import BPE, Bytes, Characters, File, TextCodec
from genwright.contents.text.fill import _encode
from genwright.core.errors import GenwrightError
from genwright.data.readers import safe_cut

CORPUS = [
    (
        'def f(x, y=10):\n    """Returns x\'s value: 1234."""\n'
        "    return [x ** 2, y]  # naïve “quotes” — ok\n\n\n"
    ),
    "class A(B):\n\tdef __init__(self):\n\t\tself.items = {'true': None}\r\n        pass\n",
    "Über the café, 2024-11-22; x != y && <|end|> [MASK]\n日本語のテキスト\n",
] * 4
CODECS = {
    "bytes": Bytes().train(iter(())),
    "bpe": BPE(vocabulary=340).train(iter(CORPUS)),
    "characters": Characters().train(iter(CORPUS)),
}


def plain(codec, text):
    """The ids as `tokenizers` itself gives them."""
    tokenizer = Tokenizer.from_str(codec.tokenizer.to_str())
    tokenizer.encode_special_tokens = True
    return tokenizer.encode(text, add_special_tokens=False).ids


CODEISH = st.text(
    st.sampled_from("ab1_9 \t\n\r\f\v\x1c\x85.,'(<|>[]\u00a0\u2028é“日\0"), max_size=60
)


@pytest.mark.parametrize("kind", ["bytes", "bpe"])
@given(text=st.one_of(st.text(max_size=60), CODEISH, st.sampled_from(CORPUS)))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_round_trip_and_ids_are_those_of_tokenizers(kind, text):
    codec = CODECS[kind]
    ids = codec.encode(text)
    assert codec.decode(ids) == text
    assert ids == plain(codec, text)
    assert not set(ids) & set(codec.space.special.values())


@given(text=CODEISH)
@settings(max_examples=500, deadline=None, derandomize=True)
def test_a_safe_cut_changes_no_token(text):
    block, codec = text.encode(), CODECS["bpe"]
    cut = safe_cut(block)
    assert codec.encode(text) == codec.encode(block[:cut].decode()) + codec.encode(
        block[cut:].decode()
    )
    assert cut or b"\na" not in block


@given(text=st.text(st.sampled_from("".join(sorted(set("".join(CORPUS))))), max_size=60))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_characters_round_trip(text):
    codec = CODECS["characters"]
    assert codec.encode(text) == plain(codec, text) and len(codec.encode(text)) == len(text)
    assert codec.decode(codec.encode(text)) == text


def test_characters_refuse_an_unknown_one():
    with pytest.raises(
        GenwrightError, match="character 'Ж' is not among the .* characters.*codec.kind=bytes"
    ):
        CODECS["characters"].encode("def Ж")


def test_a_long_text_is_encoded_in_parts(monkeypatch):
    text, codec = "".join(CORPUS) * 20, CODECS["bpe"]
    monkeypatch.setattr(encoding, "_LONG", 50)
    assert codec.encode(text) == plain(codec, text)


def test_bytes_are_their_own_ids():
    assert CODECS["bytes"].encode("aé\n") == list("aé\n".encode())
    assert (
        CODECS["bytes"].space.special == {"end": 256, "mask": 257, "pad": 258}
        and CODECS["bytes"].space.vocabulary == 259
    )


def test_training_is_deterministic_and_learns():
    again = BPE(vocabulary=340).train(iter(CORPUS))
    assert again.digest == CODECS["bpe"].digest
    assert again.space.vocabulary == 340
    assert len(again.encode(CORPUS[0])) < 0.75 * len(CORPUS[0].encode())
    assert BPE(vocabulary=341).train(iter(CORPUS)).digest != again.digest


def test_digits_are_split_and_indentation_merges():
    codec = BPE(vocabulary=400).train(iter(["    x = 123456\n        y = 1\n" * 50]))
    pieces = [codec.decode([i]) for i in codec.encode("        y = 123456\n")]
    assert "       " in pieces and all(len(p) <= 2 for p in pieces if p.strip().isdigit())


@pytest.mark.parametrize("kind", CODECS)
def test_saved_codec_loads_here_and_in_transformers(kind, tmp_path):
    from transformers import AutoTokenizer

    codec = CODECS[kind]
    codec.save(tmp_path)
    assert TextCodec.load(tmp_path).digest == codec.digest
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    text = CORPUS[0] + CORPUS[1]
    assert theirs(text, add_special_tokens=False)["input_ids"] == codec.encode(text)
    assert theirs.decode(codec.encode(text)) == text
    special = codec.space.special
    assert (theirs.eos_token_id, theirs.mask_token_id, theirs.pad_token_id) == (
        special["end"],
        special["mask"],
        special["pad"],
    )
    assert len(theirs) == codec.space.vocabulary


@pytest.mark.parametrize(
    "text",
    [
        "a [MASK] b",
        "[MASK] b",
        "the cat[MASK].",
        "in [MASK] 4 [MASK] [MASK], on",
        "天 [MASK]地",
        "no mask",
    ],
)
@pytest.mark.parametrize("kind", CODECS)
def test_an_exported_mask_takes_the_space_before_it_as_ours_does(kind, text, tmp_path):
    """As `fill` reads the text, and as transformers reads it with the exported tokenizer."""
    from transformers import AutoTokenizer

    codec = CODECS[kind]
    if kind == "characters":
        text = text.replace("天", "日").replace("地", "本")
    codec.for_others().save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    ours = _encode(codec, text, codec.space.special["mask"])
    assert theirs(text, add_special_tokens=False)["input_ids"] == ours
    assert ours.count(theirs.mask_token_id) == text.count("[MASK]")
    again = TextCodec.load(tmp_path)  # and --from the exported folder reads it alike
    assert _encode(again, text, again.space.special["mask"]) == ours and again.encode(
        text
    ) == codec.encode(text)


def test_words_carry_their_space_in_bpe_only():
    assert {kind: codec.space.carries_space for kind, codec in CODECS.items()} == {
        kind: kind.startswith("bpe") for kind in CODECS
    }


def test_special_tokens_in_text_are_text():
    codec = CODECS["bpe"]
    text = "a [MASK] b<|end|>"
    assert codec.decode(codec.encode(text)) == text
    assert not set(codec.encode(text)) & set(codec.space.special.values()) and codec.encode(
        text
    ) == plain(codec, text)


def test_word_starts():
    codec = BPE(vocabulary=300).train(iter([" the cat\n" * 9]))
    starts = {
        codec.decode([i]): bool(codec.space.word_start[i])
        for i in range(256, codec.space.vocabulary - 3)
    }
    assert starts and all(flag == (not text[0].isalnum()) for text, flag in starts.items())
    assert codec.space.word_start[[codec.space.special["end"], *codec.encode(" (\n")]].all()
    assert not codec.space.word_start[codec.encode("aé")].any()


def wordpiece(*tokens):
    vocabulary = {token: i for i, token in enumerate(["[UNK]", "play", "##ing", *tokens])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_an_existing_tokenizer(tmp_path):
    wordpiece("[SEP]", "[MASK]", "[PAD]").save(str(tmp_path / "tokenizer.json"))
    for path in (tmp_path, tmp_path / "tokenizer.json"):
        codec = File(path=str(path)).train(iter(()))
        assert codec.space.special == {"end": 3, "mask": 4, "pad": 5}
        assert codec.encode("playing play") == [1, 2, 1]
        assert codec.space.word_start.tolist() == [True, True, False, True, True, True]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "[PAD]"}}))
    assert TextCodec.load(tmp_path).space.special == {"end": 5, "mask": 4}
    TextCodec.load(tmp_path).save(tmp_path / "again")
    assert TextCodec.load(tmp_path / "again").digest == TextCodec.load(tmp_path).digest


def test_bad_tokenizer_files(tmp_path):
    with pytest.raises(GenwrightError, match="does not exist; give a tokenizer.json"):
        File(path=str(tmp_path / "none")).train(iter(()))
    wordpiece("[CLS]").save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(GenwrightError, match="no token that can end a document"):
        TextCodec.load(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(GenwrightError, match="is not a tokenizer"):
        TextCodec.load(tmp_path)
