"""Measures of a person's own, named as FILE:NAME: what is run, what is refused, what is kept."""

import hashlib
import sys

import pytest
import torch
from toy import ToyCodec, objective, settings

import genwright
from genwright.core.content import Opened, Sample
from genwright.core.errors import GenwrightError
from genwright.objectives.terms import Term
from genwright.recipe.schema import Recipe
from genwright.rewards.rollout import Rollouts
from genwright.rewards.user_file import (
    check_same,
    load_measure,
    own_measures,
    read_named,
    with_terms,
)
from genwright.sampling.drawing import Decoding
from rooms_here import needs

FILE = """
import genwright


@genwright.measure(content="toy", unit="share", better="higher")
def vowels(texts):
    return [sum(letter in "ae" for letter in text) / max(1, len(text)) for text in texts]


@genwright.measure(content="toy", better="lower", gives="parts", whole=True, floor="none")
def bees(samples):
    return [[(i, 1.0) for i, c in enumerate(s.content) if c == "b"] for s in samples]


@genwright.measure(content="toy", better="near")
def half(texts):
    return [0.5 for _ in texts]


def plain(texts):
    return [0.0 for _ in texts]


@genwright.measure(content="text")
def length(texts):
    return [0.0 for _ in texts]
"""


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


def loaded(path, name):
    return load_measure(read_named(f"{path}:{name}"), "toy")


def refused(call, *arguments):
    with pytest.raises(GenwrightError) as error:
        call(*arguments)
    return str(error.value)


def recipe_of(**changes):
    values = {"rewards": [{"measure": "length"}], **changes}
    return Recipe.of({"name": "r", "objective": {"kind": "policy", **values}})


def test_a_function_becomes_a_measure(mine):
    own = loaded(mine, "vowels")
    assert own.name == "vowels"
    assert own.sha256 == hashlib.sha256(FILE.encode()).hexdigest()
    assert own.measure.values([Sample("abe."), Sample("")]) == [0.5, 0.0]
    assert own.measure.of(Sample("ab")) == 0.5
    assert (own.measure.unit, own.measure.direction) == ("share", "higher")
    bees = loaded(mine, "bees").measure
    assert bees.values([Sample("abb")]) == [[(1, 1.0), (2, 1.0)]]
    assert (bees.gives, bees.floor, bees.direction) == ("parts", "none", "lower")


def test_a_declared_function_can_still_be_called():
    @genwright.measure(content="text")
    def words(texts):
        return [len(text.split()) for text in texts]

    assert words(["a b", "c"]) == [2, 1]


def test_nothing_is_written_beside_the_file(mine):
    loaded(mine, "vowels")
    assert [path.name for path in mine.parent.iterdir()] == ["mine.py"]


def test_what_is_run_is_what_was_hashed(mine):
    named = read_named(f"{mine}:vowels")
    mine.write_text("raise SystemExit(1)")
    assert load_measure(named, "toy").measure.values([Sample("a")]) == [1.0]


def test_dataclasses_and_annotations_work_in_a_file(tmp_path):
    path = tmp_path / "typed.py"
    path.write_text(
        "from __future__ import annotations\nfrom dataclasses import dataclass\nimport genwright\n"
        "@dataclass\nclass Found:\n    value: float\n"
        '@genwright.measure(content="toy")\n'
        "def mine(texts: list[str]) -> list[float]:\n    return [Found(1.0).value for _ in texts]\n"
    )
    assert loaded(path, "mine").measure.values([Sample("a")]) == [1.0]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("mine.py", "does not name a function of a file; write it as FILE:NAME"),
        ("mine.py:", "does not name a function of a file"),
        (":vowels", "does not name a function of a file"),
        ("nowhere.py:vowels", "nowhere.py cannot be read (No such file or directory)"),
    ],
)
def test_words_that_name_no_file_are_refused(word, words):
    assert words in refused(read_named, word)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("vowel", "has no measure 'vowel'; did you mean 'vowels'?"),
        ("plain", 'is not declared as a measure; write @genwright.measure(content="toy") above'),
        ("length", "is for text, and this recipe makes toy; name a measure that is declared with"),
    ],
)
def test_names_that_are_no_measure_are_refused(mine, name, words):
    assert words in refused(loaded, mine, name)


def test_a_name_that_is_taken_is_refused(tmp_path):
    path = tmp_path / "taken.py"
    path.write_text(FILE.replace("def vowels", "def length").rsplit("@", 1)[0])
    assert "there is a measure 'length' of toy already" in refused(loaded, path, "length")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", "cannot be run (ZeroDivisionError: division by zero); mend it"),
        ("def f(:", "cannot be run (SyntaxError"),
        ("raise SystemExit", "cannot be run (SystemExit"),
        ("import genwright\n@genwright.measure\ndef f(x): ...", "does not say of what"),
        (
            'import genwright\n@genwright.measure(content="toy", better="up")\ndef f(x): ...',
            "better is 'up'",
        ),
    ],
)
def test_a_file_that_cannot_be_run_is_refused(tmp_path, text, words):
    path = tmp_path / "broken.py"
    path.write_text(text)
    before = set(sys.modules)
    assert words in refused(loaded, path, "f")
    assert not [name for name in set(sys.modules) - before if "reward_" in name]


@needs("text")
def test_a_term_is_added_where_the_recipe_names_none(mine):
    own = [loaded(mine, name) for name in ("vowels", "bees")]
    terms = with_terms(recipe_of(), own).objective.rewards
    assert [(term.measure, term.weight) for term in terms] == [
        ("length", 1.0),
        ("vowels", 1.0),
        ("bees", -1.0),
    ]


@needs("text")
def test_a_recipe_may_say_how_it_is_used(mine):
    own = [loaded(mine, "vowels"), loaded(mine, "half")]
    recipe = recipe_of(rewards=[{"measure": "half", "target": 0.4}], watched=["vowels"])
    assert with_terms(recipe, own).objective == recipe.objective


@needs("text")
def test_what_is_best_near_a_value_needs_a_target(mine):
    assert "target" in refused(with_terms, recipe_of(), [loaded(mine, "half")])


@needs("text")
def test_another_objective_is_refused(mine):
    recipe = Recipe.of({"name": "r"})
    words = refused(own_measures, [f"{mine}:vowels"], recipe)
    assert "--reward is for objective policy, and this recipe's is causal" in words


@needs("text")
def test_two_of_one_name_are_refused(mine):
    assert "two functions of one name" in refused(own_measures, [f"{mine}:vowels"] * 2, recipe_of())


def test_a_resumed_run_is_named_the_same_files(mine):
    named = read_named(f"{mine}:vowels")
    kept = [{"name": "vowels", "file": "mine.py", "sha256": named.sha256}]
    check_same([named], kept)
    said = refused(check_same, [], kept)
    assert "rewarded by vowels of mine.py, which is not named now" in said
    assert "--reward mine.py:vowels" in said
    assert "was started without --reward" in refused(check_same, [named], [])


@needs("text")
def test_a_file_that_changed_is_refused_and_not_run(mine, tmp_path):
    kept = [own.to_json() for own in [loaded(mine, "vowels")]]
    ran = tmp_path / "ran"
    mine.write_text(FILE + f"\nopen({str(ran)!r}, 'w')\n")
    said = refused(own_measures, [f"{mine}:vowels"], recipe_of(), kept)
    assert "is not what the run was started with: its SHA-256 begins with" in said
    assert "put it back as it was" in said
    assert not ran.exists()


def rollouts(policy, own):
    built = objective(policy)
    opened = Opened(built, ToyCodec(), Decoding(), lambda: None, "toy")
    return built, Rollouts(policy, 16, 0, opened, 12, measures=own)


def test_rollouts_are_rewarded_by_it(mine):
    own = loaded(mine, "vowels")
    built, found = rollouts(settings(rewards=(Term(measure="vowels", weight=2.0),)), [own])
    batch = found.batch(0, torch.arange(16), built)
    values = own.measure.values(found.last.samples)
    assert batch["reward/vowels"].tolist() == pytest.approx(values)
    assert batch["reward"].sum(1).tolist() == pytest.approx([2 * value for value in values])


def test_rollouts_may_watch_it(mine):
    own = loaded(mine, "vowels")
    built, found = rollouts(settings(watched=("vowels",)), [own])
    batch = found.batch(0, torch.arange(16), built)
    assert "watched/vowels" in batch
    assert "reward/vowels" not in batch


def test_a_measure_that_nobody_gave_is_unknown():
    said = refused(rollouts, settings(rewards=(Term(measure="vowels"),)), [])
    assert "there is no measure 'vowels' of toy" in said


@pytest.mark.parametrize("given", ["None", "0.5", "'abc'"])
def test_a_function_that_gives_no_list_is_named(tmp_path, given):
    path = tmp_path / "mine.py"
    path.write_text(
        "import genwright\n"
        '@genwright.measure(content="toy")\n'
        "def one(texts):\n"
        f"    return {given}\n"
    )
    with pytest.raises(GenwrightError) as error:
        loaded(path, "one").measure.values([Sample("abc"), Sample("de"), Sample("f")])
    assert f"reward one of {path} gives {given} for 3 samples" in str(error.value)
    assert "return a list with a value for each" in str(error.value)
