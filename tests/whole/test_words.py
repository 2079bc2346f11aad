"""Words of the command line: the type of the setting decides how `key=value` is read."""

import ast
import json
import re
from pathlib import Path
from typing import Literal, get_origin

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import genwright
from genwright.core.errors import GenwrightError
from genwright.core.registry import PLACES, Settings, kinds
from genwright.recipe.overrides import parse_overrides
from genwright.recipe.schema import Recipe, build
from genwright.recipe.words import read_words
from genwright.recipe.yaml_text import read_yaml

ODD = (
    "notes #2",
    "#ffcc00",
    "1e5",
    "yes",
    "no",
    "on",
    "010",
    "2024-01-01",
    "a: b",
    "- x",
    "{x}",
    "{a: b}",
    "*",
    "&a",
    "!x",
    "!!int 5",
    "'quoted'",
    '"quoted"',
    " ahead",
    "behind ",
    "a=b",
    "=",
    "",
    "~",
    "~/notes",
    "null.txt",
    "true",
    "1_000",
    "0x10",
    "12:30",
    "C:\\x",
    "naïve 猫 🙂",
    "a\nb",
    "a\tb",
    "%x",
    "@x",
    "`x`",
    "|",
    ">",
    "?",
    "[",
    "[a",
    "a]",
    "notes/[ab]*.txt",
    "\u2028",
    "<<",
    ".nan",
    "-",
)
"""Texts that YAML reads as something else, or not at all."""


class Every(Settings):
    text: str = "x"
    maybe_text: str | None = None
    paths: str | tuple[str, ...] = ()
    whole: int = 0
    maybe_whole: int | None = None
    number: float = 0
    maybe: float | None = None
    truth: bool = False
    maybe_truth: bool | None = None
    choice: Literal["yes", "1e5", "null"] = "yes"
    numbered: Literal[1, 3] = 1
    pair: tuple[float, float] = (0, 0)
    many: tuple[str, ...] = ()
    table: dict[str, tuple[str, ...]] = {}
    union: int | str = 0


class Outer(Settings):
    inner: Every = Every()
    by_name: dict[str, Every] = {}


def read(word: str, cls: type[Settings] = Every):
    values: dict = {}
    from genwright.recipe.overrides import override

    for key, value in parse_overrides([word]).items():
        override(values, key, value)
    return build(cls, values, "")


@pytest.mark.parametrize("text", ODD)
def test_a_text_setting_takes_the_word_as_it_stands(text):
    assert read(f"text={text}").text == text
    assert read(f"maybe_text={text}").maybe_text == text
    assert read(f"paths={text}").paths == text
    assert Recipe.load("code", parse_overrides([f"data.path={text}"])).data.path == text
    assert (
        Recipe.load("emoji-gan", parse_overrides([f"data.attributes={text}"])).data.attributes
        == text
    )


@pytest.mark.parametrize(
    "word, value",
    [
        ("whole=500", 500),
        ("whole=010", 10),
        ("whole=-3", -3),
        ("whole=1e4", 10_000),
        ("whole=+7", 7),
    ]
    + [
        ("number=1e-3", 1e-3),
        ("number=1E5", 1e5),
        ("number=.5", 0.5),
        ("number=5", 5.0),
        ("maybe=2", 2.0),
    ]
    + [("truth=true", True), ("truth=FALSE", False), ("maybe_truth=True", True)]
    + [
        (f"{name}={word}", None)
        for name in ("maybe", "maybe_whole", "maybe_truth")
        for word in ("null", "none", "~", "")
    ]
    + [
        ("maybe_text=null", None),
        ("maybe_text=None", None),
        ("text=null", "null"),
        ("maybe_whole=4", 4),
    ]
    + [("choice=yes", "yes"), ("choice=1e5", "1e5"), ("choice=null", "null"), ("numbered=3", 3)]
    + [
        ("pair=[.5, 1e-2]", (0.5, 0.01)),
        ("many=[]", ()),
        ("many=[a, 2, 1e5, no, '#x', null]", ("a", "2", "1e5", "no", "#x", "null")),
    ]
    + [
        ("paths=[a b, 2024]", ("a b", "2024")),
        ("paths=[a #b]", "[a #b]"),
        ("paths=[a][b]", "[a][b]"),
        ("text=[a, b]", "[a, b]"),
    ]
    + [("table={a: [1, b], '#': []}", {"a": ("1", "b"), "#": ()}), ("table={}", {})]
    + [
        ("union=7", 7),
        ("union=seven", "seven"),
        ('text:="null"', "null"),
        ('many:=["1"]', ("1",)),
        ("maybe:=null", None),
    ],
)
def test_what_a_word_means_for_each_type(word, value):
    found = getattr(read(word), word.partition("=")[0].rstrip(":"))
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "word, sentence",
    [
        ("whole=many", "whole is 'many'; it must be a whole number"),
        ("whole=5 #steps", "whole is '5 #steps'; it must be a whole number"),
        ("whole=1.5", "whole is 1.5; it must be a whole number"),
        ("whole=", "whole is None; it must be a whole number"),
        ("whole=true", "whole is 'true'; it must be a whole number"),
        ("number=0x10", "number is '0x10'; it must be a number"),
        ("number=.nan", "number is nan; "),
        ("truth=yes", "truth is 'yes'; it must be true or false"),
        ("truth=1", "truth is 1; it must be true or false"),
        ("truth=null", "truth is None; it must be true or false"),
        ("choice=No", "choice is 'No'; it must be 'yes', '1e5' or 'null'"),
        ("numbered=2", "numbered is 2; it must be 1 or 3"),
        ("pair=0.5", "pair is 0.5; it must be a list"),
        ("pair=[a, 1]", "pair.0 is 'a'; it must be a number"),
        ("many=a", "many is 'a'; it must be a list"),
        ("many=[a #b]", "many is '[a #b]'; it must be a list"),
        ("many=[a", "many is '[a'; it must be a list, and a bracket ] is missing"),
        ("table={a: {b: c}", "table is '{a: {b: c}'; it must be key: value lines, and a brace }"),
        ("table=[a]", "table is '[a]'; it must be key: value lines"),
        ("table={a: b} # {c}", "table is '{a: b} # {c}'; it must be key: value lines"),
        ("table={a: &b [*b]}", "table is '{a: &b [*b]}'; it must be key: value lines"),
        ("text:=null.", "text:=null. is not JSON; write text=VALUE, or JSON after :="),
        ("text:=" + "[" * 20_000, "text:=[["),
        ("whole=" + "9" * 5000, "whole is '9"),
    ],
)
def test_a_word_that_does_not_fit_is_named_with_what_would(word, sentence):
    with pytest.raises(GenwrightError) as caught:
        read(word)
    assert str(caught.value).startswith(sentence)


def test_what_braces_hold_is_read_by_its_own_type():
    made = read("inner={text: 1e5, truth: true, maybe: null, many: [1, no]}", Outer)
    assert made.inner == Every(text="1e5", truth=True, maybe=None, many=("1", "no"))
    assert read("by_name={1: {text: yes}, b: {whole: 010}}", Outer).by_name == {
        "1": Every(text="yes"),
        "b": Every(whole=10),
    }
    assert read("by_name.b.text=#2", Outer).by_name == {"b": Every(text="#2")}
    recipe = Recipe.load(
        "emoji-gan",
        parse_overrides(["codec={kind: image, size: 8, background: '#ffcc00'}", "codec.size=16"]),
    )
    assert (recipe.codec.size, recipe.codec.background) == (16, "#ffcc00")
    assert (
        Recipe.load("emoji-gan", parse_overrides(["codec.background=#ffcc00"])).codec.background
        == "#ffcc00"
    )
    with pytest.raises(GenwrightError, match="inner.truth is 'yes'; it must be true or false"):
        read("inner.truth=yes", Outer)


def test_values_of_python_are_left_alone():
    values = {"text": "1e5", "many": ["a", "b"], "maybe": 2, "unknown": "[a]", "paths": "[a]"}
    assert read_words(Every, values, "") == values


wild = st.text(st.characters(codec="utf-8"), max_size=30) | st.sampled_from(ODD)


@given(wild, wild, st.lists(wild, max_size=3))
@example("[a]", "null", ["[a]", "#"])
def test_a_recipe_of_wild_words_is_saved_and_read_back(path, description, names):
    words = [
        f"description={description}",
        f"training.ema_of:={json.dumps(names)}",
        f"data.path={path}",
    ]
    changes = parse_overrides(words)
    recipe = Recipe.load("code", changes)
    assert recipe.description == description and recipe.training.ema_of == tuple(names)
    assert recipe.data.path == path or path.startswith("[") and path.endswith("]")
    assert Recipe.of(read_yaml(recipe.dump(), "recipe.yaml")) == recipe
    kept = json.loads(json.dumps(recipe.settled(changes)))  # as environment.json keeps them
    assert Recipe.load("code", kept) == recipe
    # to the ranks of --processes
    passed_on = [f"{key}:={json.dumps(value)}" for key, value in kept.items()]
    assert Recipe.load("code", parse_overrides(passed_on)) == recipe


def test_words_are_settled_to_what_they_were_read_as():
    words = [
        "codec=bytes",
        "training.steps=010",
        "training.clip=null",
        "data.path=[a, 1e5]",
        "training.optimizer={kind: adamw}",
    ]
    changes = parse_overrides(words) | {"seed": 3}
    assert Recipe.load("code", changes).settled(changes) == {
        "codec": {"kind": "bytes"},
        "training.steps": 10,
        "training.clip": None,
        "data.path": ["a", "1e5"],
        "training.optimizer": {"kind": "adamw"},
        "seed": 3,
    }


def advised() -> list[tuple[str, str, str]]:
    """(file, setting, value) wherever a message or a page of the documentation shows a setting with
    a value to type."""
    places = [
        *Path(genwright.__file__).parent.rglob("*.py"),
        *Path(genwright.__file__).parent.rglob("*.yaml"),
    ]
    places += [
        *(Path(__file__).parents[2] / "docs").glob("*.md"),
        Path(__file__).parents[2] / "README.md",
    ]
    found = []
    for path in places:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".py":
            constants = (
                node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)
            )
            text = "\n".join(value for value in constants if isinstance(value, str))
        for key, value in re.findall(
            r"\b((?:data|codec|model|objective|training|watching|sampling)\.[a-z_.]+)=([^\s`'\"|,;:)]+)",
            text,
        ):
            found.append((path.name, key, value.rstrip(".")))
    return found


def test_settings_that_messages_advise_can_be_typed_as_they_stand():
    classes = {family: list(kinds(family).values()) for family in PLACES if family != "source"}
    classes |= {name: [Recipe.model_fields[name].annotation] for name in ("training", "watching")}
    classes["sampling"] = [objective.sampling for objective in classes["objective"]]
    checked = 0
    for place, key, value in advised():
        family, *inner, last = key.split(".")
        owners = classes[family]
        while inner:
            name = inner.pop(0)
            fields = [cls.model_fields[name] for cls in owners if name in cls.model_fields]
            if fields and not inner and get_origin(fields[0].annotation) is dict:
                value = f"{{{last}: {value}}}"  # an entry of a mapping
                last = name
                break
            owners = [
                cls.model_fields[name].annotation for cls in owners if name in cls.model_fields
            ]
        owners = [cls for cls in owners if last in cls.model_fields]
        assert owners, f"{place} advises {key}, which is no setting"
        if not value.isupper() and value.strip("."):  # FOLDER stands for one
            assert any(_takes(cls, last, value) for cls in owners), (
                f"{place} advises {key}={value}, which is refused"
            )
            checked += 1
    assert checked > 40


def _takes(cls: type[Settings], name: str, value: str) -> bool:
    try:
        words = read_words(cls, dict(parse_overrides([f"{name}={value}"])), "")
        cls.__pydantic_validator__.validate_assignment(cls.model_construct(), name, words[name])
    except (GenwrightError, ValueError):
        return False
    return True
