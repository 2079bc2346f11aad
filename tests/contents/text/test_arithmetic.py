"""Problems of arithmetic, made up."""

import json
from pathlib import Path

import pytest

from genwright.contents.text.arithmetic import value_of
from genwright.contents.text.codec import Characters
from genwright.contents.text.data import TextData
from genwright.contents.text.source_arithmetic import Wanted, arithmetic, problems, wanted_of
from genwright.core.errors import GenwrightError


def sides(problem):
    question, _, answer = problem.partition("=")
    return question, int(answer)


def test_all_problems_of_one_digit():
    found = problems(wanted_of("digits=1,operations=+-*"))
    assert len(found) == len(set(found)) == 3 * 55
    for problem in found:
        question, answer = sides(problem)
        assert value_of(question) == answer >= 0


def test_each_problem_is_there_in_one_order_only():
    found = problems(wanted_of("digits=1"))
    pairs = {frozenset(problem.partition("=")[0].split("+")) for problem in found}
    assert len(pairs) == len(found) == 55


def test_they_are_a_function_of_the_words_alone(tmp_path):
    words = "digits=3,operations=+-,problems=50,seed=4"
    first = arithmetic((), words, tmp_path / "a")
    second = arithmetic((), words, tmp_path / "b")
    assert [Path(file.path).read_bytes() for file in first] == [
        Path(file.path).read_bytes() for file in second
    ]
    rows = [json.loads(line) for line in Path(first[0].path).read_text().splitlines()]
    assert len(rows) == 50 and all("=" in row["text"] for row in rows)
    assert arithmetic((), words, tmp_path / "a") == first  # made once
    assert problems(wanted_of(words.replace("seed=4", "seed=5"))) != [r["text"] for r in rows]


def test_the_usual_problems():
    assert wanted_of("") == Wanted(2, "+", 5050, 0)
    assert wanted_of("digits=3").problems == 20_000
    assert len(problems(wanted_of("problems=3"))) == 3


@pytest.mark.parametrize(
    "words, named",
    [
        ("digits=0", "has 0 digits"),
        ("digits=7", "has 7 digits"),
        ("digits=two", "has 'digits=two'"),
        ("digit=2", "has 'digit=2'"),
        ("operations=/", "has the operations '/'"),
        ("operations=++", "has the operations '\\+\\+'"),
        ("operations=", "has the operations ''"),
        ("problems=5051", "has 5051 problems, and 5050 can be made"),
        ("digits=2,", "has ''"),
    ],
)
def test_words_that_cannot_be_understood_are_refused(words, named):
    with pytest.raises(GenwrightError, match=f"data.source=arithmetic:{'.*'}{named}"):
        wanted_of(words)


def test_a_held_out_problem_is_never_trained_on(tmp_path):
    settings = TextData(
        source="arithmetic", cache=str(tmp_path), context=16, held_out=0.1, workers=1
    )
    dataset = settings.prepare(Characters())
    by_split = {}
    for split in ("train", "held_out"):
        texts = [dataset.codec.decode(tokens) for _, tokens in dataset.documents(split)]
        by_split[split] = {frozenset(text.partition("=")[0].split("+")) for text in texts}
    assert len(by_split["train"]) + len(by_split["held_out"]) == 5050
    assert not by_split["train"] & by_split["held_out"]
    assert 450 < len(by_split["held_out"]) < 560
