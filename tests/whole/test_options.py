"""Options of `sample` and `evaluate`: made from settings classes, and refused where they would do
nothing or something else."""

import pytest

from genwright.core.errors import GenwrightError
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
