"""Options of `sample` and `evaluate`: made from settings classes, and refused where they would do
nothing or something else."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from commands import command
from genwright import api
from genwright.command_options import help_of, single_values
from genwright.contents.images import sampler as images
from genwright.contents.music import sampler as music
from genwright.contents.points import sampler as points
from genwright.contents.text import sampler as text
from genwright.core.attributes import read_wanted
from genwright.core.errors import GenwrightError
from genwright.core.parameters import as_typed, parameters_named
from genwright.core.registry import options_of
from genwright.recipe.options import check_options, read_options


@pytest.mark.parametrize(
    "content, option, sentence",
    [
        ("points", {"solver": "foo"}, "--solver is 'foo'; it must be 'euler' or 'heun'"),
        ("image", {"solver": "hean"}, "--solver is 'hean'"),
        ("image", {"walk": 1}, "--walk is 1; it must be at least 2"),
        ("image", {"strength": 1.5}, "--strength is 1.5; it must be at most 1"),
        ("text", {"top_k": -1}, "--top-k is -1; it must be at least 0"),
        ("text", {"candidates": 0}, "--candidates is 0; it must be at least 1"),
        ("music", {"tempo": 0.0}, "--tempo is 0.0; it must be more than 0"),
        ("music", {"n": 0}, "-n is 0; it must be at least 1"),
    ],
)
def test_a_value_out_of_its_bounds_is_named_by_the_option(content, option, sentence):
    with pytest.raises(GenwrightError) as refused:
        read_options(options_of("sample")[content], option)
    assert str(refused.value).startswith(sentence)


def test_samples_of_an_evaluation_are_one_at_least():
    for cls in options_of("evaluate").values():
        with pytest.raises(GenwrightError, match="--samples is 0; it must be at least 1"):
            read_options(cls, {"samples": 0})


def test_an_option_of_another_content_is_refused_by_name():
    said = "--walk is for pictures from a latent and points, which r does not make"
    with pytest.raises(GenwrightError, match=said):
        check_options("sample", ["walk"], "text", "r")
    check_options("sample", ["walk", "n", "seed"], "points", "r")


def test_help_says_for_which_contents_an_option_is_and_its_bounds():
    known = options_of("sample")
    every = len(known)

    def help_about(name):
        owners = [cls for cls in known.values() if name in cls.model_fields]
        return help_of(name, owners, every)

    assert help_about("walk").startswith("Pictures from a latent and points: an animated walk")
    assert help_about("walk").endswith("At least 2.")
    assert help_about("top_k").startswith("Pictures as codes, music and text: only the k likeliest")
    assert "More than 0 and at most 1." in help_about("top_p")
    assert "From 0 to 2. Default: as the recipe says." in help_about("truncation")
    assert help_about("n").endswith("Default: 16 (pictures and points), 4 (music), 1 (text).")
    assert (
        help_about("seed") == "The same seed gives the same samples. Default: as the recipe says."
    )


def test_what_is_meant_without_an_option_is_what_is_done():
    assert [images.USUAL, music.USUAL, points.USUAL, text.USUAL] == [16, 4, 16, 1]


@pytest.mark.parametrize("typed", [False, True])
def test_errors_name_parameters_in_python_and_options_on_a_command_line(typed):
    own = options_of("sample")["text"].parameters()
    remedy = 'use --fill "some text", -n 3 or --unknown 4'
    named = parameters_named(own)
    with pytest.raises(GenwrightError) as refused, as_typed() if typed else nullcontext(), named:
        raise GenwrightError("--top-k is -1", remedy)
    if not typed:
        remedy = 'use fill="some text", n=3 or --unknown 4'
    assert str(refused.value) == f"{'--top-k' if typed else 'top_k'} is -1; {remedy}."


def test_an_alias_that_was_used_is_named():
    cls = options_of("sample")["text"]
    assert cls.parameters()["--prompt"] == "prompt"
    assert cls.parameters(["prompts", "top"])["--prompt"] == "prompts"
    assert cls.parameters(["prompts", "top"])["--candidates"] == "top"


def test_an_option_that_is_given_twice_is_refused_or_joined():
    once = {"n": [3], "prompt": ["a", "b"], "rules": True, "condition": ["key=G"]}
    assert single_values("sample", once) == once | {"n": 3, "condition": "key=G"}
    twice = single_values("sample", {"condition": ["key=G,metre=6/8", "type=jig"]})
    assert twice == {"condition": "key=G,metre=6/8,type=jig"}
    with pytest.raises(GenwrightError, match="--top-k is given 2 times; give it once"):
        single_values("sample", {"top_k": [3, 4]})


@pytest.mark.parametrize(
    "words",
    [
        ["--condition", "class=cat", "class=dog"],
        ["--condition", "class=cat", "--condition", "class=dog"],
        ["--condition", "class=cat,class=dog"],
    ],
)
def test_two_values_of_one_attribute_are_refused_with_how_to_write_them(words, monkeypatch, capsys):
    def draw(options, partial=False):
        return read_wanted(options.condition)

    kind = SimpleNamespace(
        sampler_options=lambda **given: SimpleNamespace(**given),
        view=SimpleNamespace(terminal=lambda out, options: print),
    )
    run = SimpleNamespace(content="image", kind=kind, draw=draw)
    monkeypatch.setattr(api, "load", lambda *_, **__: run)
    code, _, said = command(capsys, "sample", "runs/r", *words)
    assert code == 2
    assert (
        said
        == "error: class is asked for twice; write class=value|other for several values of it.\n"
    )
