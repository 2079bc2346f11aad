"""Measures of text that a reward can be made of: words, forms, JSON, arithmetic, code."""

import json
import math
import signal
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.text import arithmetic, measures_words
from genwright.contents.text.generate import Generated
from genwright.contents.text.measures import text_of
from genwright.contents.text.measures_answers import right_answer, right_result
from genwright.contents.text.measures_code import syntax_error
from genwright.contents.text.measures_json import NotJson, Schema, fits_schema, is_json, read
from genwright.contents.text.measures_pattern import Pattern, pattern
from genwright.contents.text.measures_words import Lexicon, lexicon
from genwright.contents.text.python_code import judge, parses
from genwright.core.content import Sample
from genwright.core.errors import GenwrightError
from genwright.core.registry import measure_kinds_of, measures_of
from genwright.objectives.terms import Term
from genwright.rewards.guard import values_of
from genwright.rewards.reward import Reward


def sample(text, prompt="", answer=None, tokens=()):
    content = Generated(prompt, text, tuple(tokens), "end", 0.0)
    return Sample(content, prompt, tokens=tuple(tokens), answer=answer)


# ---- registration


def test_all_are_known_by_name():
    assert {"words", "tokens", "syntax error", "is JSON", "right result", "right answer"} <= set(
        measures_of("text")
    )
    kinds = measure_kinds_of("text")
    assert set(kinds) == {"lexicon", "pattern", "JSON schema"}
    made = kinds["pattern"].make(kinds["pattern"].settings(pattern="a+"))
    assert made.values([sample("aaa"), sample("ab")]) == [1.0, 0.0]


def test_a_text_is_named_by_what_it_says():
    samples = [sample("b", prompt="a")]
    with pytest.raises(GenwrightError, match="sample 0 of the rollout, 'ab'"):
        values_of("mine", lambda _: ["none"], samples, 1.0)


# ---- words


def test_words_and_tokens_are_counted():
    text = sample("It's a well-known, naïve 2nd try.\n", tokens=(5, 6, 7))
    assert measures_words.words(text) == 6
    assert measures_words.tokens(text) == 3
    assert measures_words.words(sample("")) == 0


def test_a_lexicon_gives_shares_where_its_words_end():
    of = lexicon(Lexicon(words=("sun", "Mond"))).of
    assert of(sample("Sun, rain, mond! sunny")) == {2: 0.25, 14: 0.25}
    assert of(sample("")) == {}
    assert of(sample("only rain")) == {}


@given(st.text())
def test_a_lexicons_shares_add_up_to_at_most_one(text):
    found = lexicon(Lexicon(words=("a", "b"))).of(sample(text))
    assert 0 <= sum(found.values()) <= 1 + 1e-9
    assert all(0 <= place < len(text) for place in found)


@pytest.mark.parametrize("words", [(), ("two words",), (" a",), ("!",)])
def test_a_lexicon_of_no_words_is_refused(words):
    with pytest.raises(GenwrightError):
        lexicon(Lexicon(words=words))


# ---- a regular expression


@pytest.mark.parametrize(
    "settings, text, value",
    [
        ({"pattern": r"\d+"}, " 123\n", 1.0),
        ({"pattern": r"\d+"}, "123a", 0.0),
        ({"pattern": r"\d+", "whole": False}, "a 123", 1.0),
        ({"pattern": r"\d+", "strip": False}, "123\n", 0.0),
        ({"pattern": r"a.b"}, "a\nb", 1.0),
        ({"pattern": r"^b$", "whole": False}, "a\nb\nc", 1.0),
    ],
)
def test_a_pattern(settings, text, value):
    assert pattern(Pattern(**settings)).of(sample(text)) == value


def test_no_expression_is_refused():
    with pytest.raises(GenwrightError, match=r"options.pattern is '\(', which is no regular"):
        pattern(Pattern(pattern="("))


def test_a_pattern_that_takes_for_ever_can_be_stopped():
    of = pattern(Pattern(pattern="(a+)+b")).of

    def stop(number, frame):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(TimeoutError):
            of(sample("a" * 60))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    "measure, options",
    [
        ("pattern", {"pattern": '"(a+)+b'}),
        ("JSON schema", {"json_schema": {"pattern": "(a+)+b"}}),
    ],
)
def test_such_a_pattern_ends_a_run_with_a_sentence(measure, options):
    if measure == "JSON schema":
        pytest.importorskip("jsonschema")
    reward = Reward([Term(measure=measure, options=options)], "text", seconds=0.1)
    samples = [sample('"ab"', tokens=(1,)), sample('"' + "a" * 60 + '"', tokens=(1,))]
    with pytest.raises(GenwrightError, match=f"reward {measure} was not done after 0.1 s"):
        reward(samples, 1, lambda sample, place: 0)


# ---- JSON


@pytest.mark.parametrize(
    "text, value",
    [
        (' {"a": [1, 2.5e3, null, "\\ud800"]}\n', 1.0),
        ("7", 1.0),
        ("9" * 5000, 1.0),
        ("", 0.0),
        ("{'a': 1}", 0.0),
        ("NaN", 0.0),
        ("[Infinity]", 0.0),
        ('{"a": 1} and more', 0.0),
        ("[" * 100_000, 0.0),
    ],
)
def test_is_json(text, value):
    assert is_json(sample(text)) == value


PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "pattern": "^[A-Z]"},
        "age": {"type": "integer", "minimum": 0, "exclusiveMaximum": 150},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "uniqueItems": True},
    },
    "required": ["name"],
    "additionalProperties": False,
    "$defs": {"tag": {"enum": ["a", "b"]}},
}


def schema(json_schema):
    pytest.importorskip("jsonschema")
    return fits_schema(Schema(json_schema=json_schema)).of


@pytest.mark.parametrize(
    "text, value",
    [
        (' {"name": "Ada", "age": 36, "tags": ["a", "b"]}\n', 1.0),
        ('{"name": "Ada"}', 1.0),
        ('{"name": "ada"}', 0.0),
        ('{"age": 3}', 0.0),
        ('{"name": "Ada", "age": true}', 0.0),
        ('{"name": "Ada", "age": 150}', 0.0),
        ('{"name": "Ada", "tags": ["c"]}', 0.0),
        ('{"name": "Ada", "more": 1}', 0.0),
        ('["name"]', 0.0),
        ('{"name": "Ada"}}', 0.0),
        ("", 0.0),
        ("[" * 100_000, 0.0),
    ],
)
def test_a_schema(text, value):
    assert schema(PERSON)(sample(text)) == value


@pytest.mark.parametrize(
    "json_schema, named",
    [
        ({"type": "sting"}, "options.json_schema.type is no JSON schema"),
        ({"properties": {"a": {"minimum": "3"}}}, "options.json_schema.properties.a.minimum is no"),
        ({"pattern": "("}, "options.json_schema.pattern is no JSON schema"),
        ({"anyOf": []}, "options.json_schema.anyOf is no JSON schema"),
    ],
)
def test_what_is_no_schema_is_refused(json_schema, named):
    with pytest.raises(GenwrightError) as refused:
        schema(json_schema)
    assert str(refused.value).startswith(named)


@pytest.mark.parametrize(
    "json_schema, named",
    [
        ({"$ref": "https://example.org/person.json"}, "points at 'https://example.org/person"),
        ({"$ref": "#/$defs/nobody"}, "points at '"),
    ],
)
def test_nothing_is_fetched(json_schema, named):
    with pytest.raises(GenwrightError, match=f"options.json_schema {named}"):
        schema(json_schema)(sample('"a"'))


def test_without_the_package_the_measure_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(GenwrightError, match="jsonschema, which is not installed") as refused:
        fits_schema(Schema(json_schema={}))
    assert "genwright[schema]" in str(refused.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(-1e9, 1e9) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@given(JSON)
def test_what_python_writes_is_read(value):
    text = json.dumps(value)
    assert json.dumps(read(text)) == text


@given(st.text(alphabet='{}[]",:0123456789.eE-+truefalsn \\u\n'))
def test_what_is_read_is_what_python_reads_but_for_its_own_words(text):
    try:
        expected = repr(json.loads(text))
    except ValueError:
        expected = "no JSON"
    try:
        found = repr(read(text))
    except NotJson:
        found = "no JSON"
    assert found == expected  # NaN and Infinity cannot be written with these letters


# ---- answers


@pytest.mark.parametrize(
    "expression, value",
    [
        ("12+34", 46),
        (" 2 * (3 - 10) ", -14),
        ("2+3*4", 14),
        ("-5+2", -3),
        ("007", None),
        ("2**3", None),
        ("7/2", None),
        ("7//2", None),
        ("", None),
        ("1+", None),
        ("a+1", None),
        ("1_0", None),
        ("(" * 150 + "1" + ")" * 49, None),
        ("9" * 201, None),
        ("__import__('os')", None),
        ("1 if 1 else 2", None),
        ("+3", None),
        ("3 (4)", None),
    ],
)
def test_values_of_expressions(expression, value):
    assert arithmetic.value_of(expression) == value


@given(st.text(alphabet="0123456789+-*() ", max_size=60))
def test_values_are_those_of_python_and_nothing_breaks(expression):
    value = arithmetic.value_of(expression)
    if value is not None:
        assert value == eval(expression.strip())


@given(st.text(), st.text())
def test_no_text_breaks_the_judgement_of_a_result(prompt, text):
    value = right_result(sample(text, prompt))
    assert value in (0.0, 1.0) or math.isnan(value)


@pytest.mark.parametrize(
    "prompt, text, value",
    [
        ("12+34=", "46", 1.0),
        ("12+34 = ", " 46 ", 1.0),
        ("7+1=8\n12+34=", "46\n1+1=2", 1.0),
        ("12+34=", "47", 0.0),
        ("12+34=", "046", 0.0),
        ("12+34=", "46.0", 0.0),
        ("12+34=", "", 0.0),
        ("12+34=", "46+0", 0.0),
        ("3-10=", "-7", 1.0),
        ("3-3=", "-0", 0.0),
        ("12+34=", "\n46", 0.0),
        ("12+34=", "٤٦", 0.0),
    ],
)
def test_right_results(prompt, text, value):
    assert right_result(sample(text, prompt)) == value


@pytest.mark.parametrize("prompt", ["", "12+34", "what is 1+1=", "12+34=\n", "=", None])
def test_a_prompt_that_asks_for_no_result_is_not_judged(prompt):
    assert math.isnan(right_result(Sample("46", prompt)))


def test_right_answers():
    assert right_answer(sample(" Paris\n", answer="Paris")) == 1.0
    assert right_answer(sample("paris", answer="Paris")) == 0.0
    assert right_answer(sample("", answer="")) == 1.0
    assert math.isnan(right_answer(sample("Paris")))


# ---- code


@pytest.mark.parametrize(
    "text, fault",
    [
        ("x = 1\ny = = 2\nz\n", "= 2"),
        ("def f(:\n    pass\n", ":\n"),
        ("x = 1\n  y = 2\n", "  y"),
        ("é = 'ü'; ) = 2\nx = 1\n", ") ="),
        ("x = 1\0\ny = 2\n", "\0"),
        ("a = 1\r\nb = ]\r\nc\n", "]"),
    ],
)
def test_the_place_of_a_syntax_error(text, fault):
    place = judge(text).fault
    assert place is not None and abs(place - text.index(fault)) <= 2
    assert syntax_error(sample(text)) == {place: 1.0}


@pytest.mark.parametrize("text", ["x = 1\ny = (", "", "# only\n", '"""open\n'])
def test_what_has_no_syntax_error_has_no_place(text):
    assert syntax_error(sample(text)) == {}


@given(st.text(alphabet="x=1(:[]{)'\"\n\r\t \\#\0éif def\N{NO-BREAK SPACE}", max_size=80))
def test_a_place_lies_in_the_text_and_only_of_what_does_not_parse(text):
    verdict = judge(text)
    assert verdict.parses is parses(text)
    assert (verdict.fault is not None) == (verdict.parses is False)
    if verdict.fault is not None:
        assert 0 <= verdict.fault < len(text)


@given(st.text())
def test_texts_of_any_kind_are_judged(text):
    judge(text)
    assert text_of(sample(text)) == text
