"""Settings: what a preset and the dial fill in, and every contradiction refused."""

import pytest
from pydantic import ValidationError

from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.core.meanings import meaning
from genwright.core.registry import settings_of
from genwright.models.presets import PRESETS, TransformerSettings

SPACE = Space(vocabulary=100)


def resolved(objective=True, **settings):
    return TransformerSettings(**settings).resolve(SPACE, 64, objective)


def test_it_is_registered():
    assert settings_of("model", "transformer") is TransformerSettings


def test_the_objective_picks_the_preset():
    assert resolved().preset == "nanochat"
    assert resolved(objective=False).preset == "modernbert"


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("depth", [1, 4, 12, 20])
def test_depth_fills_everything_in_and_resolving_again_changes_nothing(preset, depth):
    s = resolved(PRESETS[preset]["causal"], preset=preset, depth=depth)
    assert all(value is not None for value in s.model_dump().values())
    assert s.resolve(SPACE, 64, s.causal) == s
    assert s.width == 64 * depth == s.heads * s.head_width and s.kv_heads == s.heads
    assert s.head_width == (64 if s.width < 768 else 128)


def test_places_are_the_codecs_rows_unless_said():
    space = Space(vocabulary=9, period=5)
    resolved = TransformerSettings().resolve(space, 10)
    assert resolved.places == 5 and TransformerSettings(places=0).resolve(space, 10).places == 0
    assert TransformerSettings().resolve(Space(vocabulary=9), 10).places == 0
    assert TransformerSettings().resolve(space, 9).places == 0, (
        "windows begin with a row where they hold two"
    )
    assert resolved.resolve(space, 10) == resolved
    old = TransformerSettings(
        **{name: value for name, value in resolved.model_dump().items() if name != "places"}
    )
    assert old.resolve(space, 10).places == 0, "what was saved before there were places has none"


def test_single_choices():
    s = resolved(
        preset="llama",
        width=48,
        heads=3,
        hidden=100,
        activation="relu2",
        norm="layer",
        tied=True,
        logit_softcap=5,
    )
    assert (s.head_width, s.hidden, s.activation, s.norm, s.tied, s.logit_softcap) == (
        16,
        100,
        "relu2",
        "layer",
        True,
        5,
    )
    assert resolved(heads=4, head_width=10).width == 40
    assert resolved(width=64, head_width=16).heads == 4
    assert resolved(preset="llama", width=128).hidden == 384
    assert resolved(window=8).pattern == "SSSL"
    assert resolved(objective=False, window=0).pattern == "L"


def test_a_causal_architecture_may_be_made_bidirectional_on_purpose():
    s = TransformerSettings(preset="llama", causal=False).resolve(SPACE, 64, False)
    assert s.causal is False and s.norm == "rms"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"width": 100}, "model.width 100 is no multiple of the head width 64"),
        ({"width": 100, "heads": 3}, "model.width 100 is no multiple of model.heads 3"),
        ({"width": 100, "head_width": 8}, "no multiple of the head width 8"),
        (
            {"width": 64, "heads": 4, "kv_heads": 3},
            "model.heads 4 is no multiple of model.kv_heads 3",
        ),
        ({"width": 60, "heads": 4}, "model.head_width 15 is odd"),
        ({"pattern": "SL"}, "model.window is 0"),
        ({"window": 4, "pattern": "L"}, "has no S"),
        ({"preset": "modernbert"}, "model.preset modernbert is bidirectional"),
        ({"causal": False}, "model.causal is False, the objective needs True"),
    ],
)
def test_contradictions_are_refused(settings, said):
    with pytest.raises(GenwrightError, match=said):
        resolved(**settings)


def test_what_does_not_fit_the_data_is_refused():
    with pytest.raises(GenwrightError, match="model.preset nanochat is causal"):
        resolved(objective=False, preset="nanochat")
    with pytest.raises(GenwrightError, match="no vocabulary"):
        TransformerSettings().resolve(Space(), 64)
    with pytest.raises(GenwrightError, match="data.context is 0"):
        TransformerSettings().resolve(SPACE, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"depth": 0},
        {"width": 1},
        {"norm_eps": 0},
        {"pattern": "LX"},
        {"preset": "gpt"},
        {"deph": 3},
        {"window": -1},
    ],
)
def test_bounds(wrong):
    with pytest.raises(ValidationError):
        TransformerSettings(**wrong)


def test_suggestions_fall_with_width():
    small, large = (
        resolved(depth=2).suggestion(Space(length=64)),
        resolved(depth=12).suggestion(Space(length=64)),
    )
    assert small["learning_rate"] > large["learning_rate"] == 0.004
    assert small["batch_size"] < large["batch_size"]
    assert resolved(depth=2).suggestion(Space(length=10**6))["batch_size"] == 1


def test_every_field_has_a_docstring():
    assert all(meaning(TransformerSettings, name) for name in TransformerSettings.model_fields)
