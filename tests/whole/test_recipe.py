"""Recipes: what is refused and how it is said, and that a dumped recipe is the same recipe."""

import subprocess
import sys
from types import SimpleNamespace
from typing import Literal

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import Field

from genwright.core import registry
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.core.registry import Settings
from genwright.data.settings import DataSettings
from genwright.models.settings import NetworkSettings
from genwright.recipe.explain import explain
from genwright.recipe.overrides import override, parse_overrides
from genwright.recipe.schema import Recipe, build
from genwright.recipe.shipped import shipped
from genwright.recipe.yaml_text import read_yaml, write_yaml

SHIPPED = [name for name, _ in shipped()]


def load(*words: str, name: str = "code") -> Recipe:
    return Recipe.load(name, parse_overrides(words))


def said(*words: str, name: str = "code") -> str:
    with pytest.raises(GenwrightError) as caught:
        load(*words, name=name)
    return str(caught.value)


# ---- parts without a kind ----


def test_a_recipe_without_kinds_is_of_the_default_data():
    recipe = Recipe.of({"name": "a", "data": {"path": "notes/"}})
    kinds_of = {
        part: getattr(recipe, part).kind for part in ("data", "codec", "model", "objective")
    }
    assert kinds_of == {
        "data": "text",
        "codec": "bpe",
        "model": "transformer",
        "objective": "causal",
    }
    assert registry.default_kind("data") == "text" and registry.default_kind("codec") is None


def test_without_a_default_the_kind_must_be_given(monkeypatch):
    monkeypatch.setattr(registry, "_default", {})
    with pytest.raises(GenwrightError, match=r"^data.kind is not given; set it to one of: .*text"):
        Recipe.of({"name": "a"})
    recipe = Recipe.of({"name": "a", "data": {"kind": "text"}})
    assert recipe.objective.kind == "causal"
    with pytest.raises(GenwrightError, match=r"^steps is not a setting"):
        Recipe.of({"name": "a", "data": {"kind": "text"}, "steps": 5})


def test_a_family_has_one_default():
    with pytest.raises(TypeError, match="data has two defaults, text and other"):

        class Other(Settings, family="data", default=True):
            kind: Literal["other"] = "other"

    assert "other" not in registry.kinds("data")


# ---- shipped ----


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_loads_is_short_and_dumps_to_itself(name, tmp_path):
    words = ["data.path=somewhere.txt"] if name == "shakespeare" else []
    recipe = load(*words, name=name)
    path = tmp_path / "other.yaml"
    path.write_text(recipe.dump(), encoding="utf-8")
    assert Recipe.load(path) == recipe and recipe.name == name and recipe.description
    from importlib import resources

    lines = (resources.files("genwright") / "recipes" / f"{name}.yaml").read_text().count("\n")
    assert lines <= 25


def test_the_issue_s_recipes_are_shipped_and_listed_without_torch():
    assert set(SHIPPED) >= {"code", "docs", "docs-masked", "shakespeare", "gpt2-small"}
    code = (
        "import sys; from genwright.recipe.shipped import shipped; shipped(); "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_shakespeare_asks_for_its_path():
    recipe = load(name="shakespeare")
    with pytest.raises(GenwrightError, match="data.path"):
        recipe.data.prepare(recipe.codec)


# ---- overrides ----


def test_overrides_reach_nested_settings_and_later_ones_win():
    recipe = load(
        "training.optimizer.matrix_rate=1e-3",
        "training.steps=7",
        "training.steps=9",
        "training.optimizers.model.kind=adamw",
    )
    assert recipe.training.optimizer.matrix_rate == 1e-3 and recipe.training.steps == 9
    assert recipe.training.optimizers["model"].kind == "adamw"
    assert load("codec=bytes").codec == load("codec={kind: bytes}").codec


def test_a_path_means_a_person_s_own_files():
    assert load().data.source == "python-stdlib" and load("data.path=notes/").data.source == "files"
    assert load("data.path=notes/", "data.source=python-docs").data.source == "python-docs"


def test_python_values_are_taken_as_they_are():
    assert Recipe.load(
        "code", {"training.steps": 5, "training.ema": None, "training.ema_of": ["model"]}
    ).training.ema_of == ("model",)
    assert Recipe.load("code", {"training.steps": "5"}).training.steps == 5


def test_an_override_leaves_other_recipes_alone():
    before = load()
    load("training.steps=3", "model.depth=1")
    assert load() == before
    values = {"training": {"steps": 1}}
    inner = values["training"]
    override(values, "training.steps", 2)
    assert inner == {"steps": 1} and values["training"] == {"steps": 2}


# ---- refusals ----


@pytest.mark.parametrize(
    "word, sentence",
    [
        ("training.stepz=3", "training.stepz is not a setting; did you mean 'steps'?"),
        ("trainin.steps=3", "trainin is not a setting; did you mean 'training'?"),
        ("steps=3", "steps is not a setting; did you mean training.steps=3?"),
        ("depth=3", "depth is not a setting; did you mean model.depth=3?"),
        ("training.depth=3", "training.depth is not a setting; did you mean model.depth=3?"),
        (
            "training.optimizer.bets=1",
            "training.optimizer.bets is not a setting; did you mean 'betas'?",
        ),
        (
            "training.optimizers.d.kindd=adamw",
            "training.optimizers.d.kindd is not a setting; did you mean 'kind'?",
        ),
        ("model.deep=3", "model.deep is not a setting; did you mean 'depth'?"),
        ("training.steps=0", "training.steps is 0; it must be at least 1"),
        ("training.ema=2", "training.ema is 2; it must be less than 1"),
        ("training.clip=0", "training.clip is 0; it must be more than 0"),
        (
            "training.optimizer.matrix_rate=2",
            "training.optimizer.matrix_rate is 2; it must be at most 1",
        ),
        ("training.steps=many", "training.steps is 'many'; it must be a whole number"),
        ("training.steps=1.5", "training.steps is 1.5; it must be a whole number"),
        ("training.clip=abc", "training.clip is 'abc'; it must be a number"),
        ("training.clip=.nan", "training.clip is nan; "),
        ("training.compile=perhaps", "training.compile is 'perhaps'; it must be true or false"),
        (
            "training.precision=fp8",
            "training.precision is 'fp8'; it must be 'auto', 'fp32' or 'bf16'",
        ),
        ("training.sinks=[wandb]", "training.sinks.0 is 'wandb'; it must be 'tensorboard'"),
        ("training.ema_of=d", "training.ema_of is 'd'; it must be a list, as in [d]"),
        ("model.width=33", "model.width 33 is no multiple of the head width 64; give model.heads"),
        (
            "model={width: 32, heads: 3}",
            "model.width 32 is no multiple of model.heads 3; change one, or give model.head_width",
        ),
        ("model={window: 8, pattern: L}", "model.window is 8, model.pattern is L, which has no S"),
        ("codec=byte", "codec.kind is 'byte'; did you mean 'bytes'?"),
        ("codec.kind=[1]", "codec.kind is '[1]'; known: "),
        ("codec={kind: bpe", "codec is '{kind: bpe'; a brace } is missing"),
        ("codec={kind: bpe}}", "codec is '{kind: bpe}}'; a brace { is missing"),
        ("codec={kind: 'bpe}", "codec is \"{kind: 'bpe}\"; a quote ' is missing"),
        ("codec={kind: [bpe}", "codec is '{kind: [bpe}'; a bracket ] is missing before }"),
        ("training.sinks=[tensorboard", "training.sinks is '[tensorboard'; it must be a list, and"),
        ("training.optimizer={kind: adamw", "training.optimizer is '{kind: adamw'; a brace }"),
        ("model.kind=transfomer", "model.kind is 'transfomer'; did you mean 'transformer'?"),
        ("training=3", "training is 3; write its settings as key: value"),
        ("objective=[1]", "objective is [1]; write settings as key: value"),
        (
            "training.steps.x=3",
            "training.steps.x is not a setting; training.steps holds one value, ",
        ),
        ("name=../x", "name is '../x'; use letters"),
        ("seed=-1", "seed is -1; it must be at least 0"),
        ("training.steps", "'training.steps' is not a setting; write key=value"),
        ("=3", "'=3' is not a setting; write key=value"),
    ],
)
def test_what_is_wrong_is_named_with_a_remedy(word, sentence):
    assert said(word).startswith(sentence)


def test_an_unknown_recipe_suggests_a_near_one_and_a_path():
    assert "there is no recipe 'cod'; did you mean 'code'?" in said(name="cod")
    assert ".yaml file" in said(name="zzzzzz")
    assert "cannot be read" in said(name="missing.yaml")


@pytest.mark.parametrize(
    "text, sentence",
    [
        ("training:\n  steps: 5\n  steps: 6\n", "line 3: the key 'steps' stands twice"),
        ("training: {steps: 5\nseed: 1\n", "line 2: "),
        ("a: b: c\n", "line 1: "),
        (
            "x: !!python/object/apply:os.system ['true']\n",
            "line 1: could not determine a constructor",
        ),
        ("x: !!timestamp soon\n", "is not YAML that a recipe can hold"),
        ("- a\n- b\n", "holds no settings"),
        ("1: 2\n", "holds no settings"),
        ("\x00", "is not YAML"),
        ("[" * 5000, "is not YAML"),
        ("seed: " + "9" * 5000, "is not YAML"),
        ("training:\n  stepz: 5\n", "training.stepz is not a setting; did you mean 'steps'?"),
        (
            "data: {path: 2024}\n",
            (
                "data.path is 2024; it must be text (in quotes, if it looks like "
                "a number or begins with #)"
            ),
        ),
        (
            "data: {kind: images}\ncodec:\n  background: #ffcc00\n",
            "codec.background is None; it must be text (in quotes, if it",
        ),
        ("training: {compile: yes}\n", "training.compile is 'yes'; it must be true or false"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(text, sentence, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    assert sentence in said(name=str(path))


def test_a_file_that_is_not_utf8_is_refused(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_bytes(b"name: a\xff\n")
    assert "not UTF-8 text (byte 7)" in said(name=str(path))


def test_an_empty_file_is_a_recipe_of_defaults_named_after_the_file(tmp_path):
    path = tmp_path / "my notes.yaml"
    path.write_text("")
    recipe = Recipe.load(path, {"data.path": "x"})
    assert (recipe.name, recipe.model.kind, recipe.objective.kind) == (
        "my notes",
        "transformer",
        "causal",
    )
    (tmp_path / "recipe.yaml").write_text(recipe.dump())
    assert Recipe.load(tmp_path) == recipe


# ---- several networks ----


def test_several_networks_are_named_parts():
    part = {"kind": "transformer", "depth": 2}
    values = read_yaml(load().dump(), "x") | {
        "model": {"generator": part, "critic": part | {"depth": 3}}
    }
    recipe = Recipe.of(values)
    assert recipe.model["critic"].depth == 3
    assert Recipe.of(read_yaml(recipe.dump(), "x")) == recipe
    values["model"]["critic"] = part | {"dept": 1}
    with pytest.raises(
        GenwrightError, match=r"model\.critic\.dept is not a setting; did you mean 'depth'"
    ):
        Recipe.of(values)


def test_a_kind_alone_names_one_of_several_networks():
    recipe = Recipe.load("ring-gan", parse_overrides(["model.generator=mlp-generator"]))
    kind = type(Recipe.load("ring-gan").model["generator"])
    assert recipe.model["generator"] == kind() and kind().kind == "mlp-generator"
    words = ["model.generator=mlp-generator", "model.generator.width=24"]
    changed = Recipe.load("ring-gan", parse_overrides(words)).model["generator"]
    assert changed == kind(width=24)
    words = ["model={generator: mlp-generator, discriminator: mlp-discriminator}"]
    both = Recipe.load("ring-gan", parse_overrides(words)).model
    assert [part.kind for part in both.values()] == ["mlp-generator", "mlp-discriminator"]


@pytest.mark.parametrize(
    "word, sentence",
    [
        (
            "model.depth=1",
            "model.depth is not a setting, for this recipe has several networks; "
            "did you mean model.generator.depth or model.discriminator.depth?",
        ),
        (
            "model.depht=1",
            "model.depht is not a setting, for this recipe has several networks; "
            "none of them has it: generator, discriminator",
        ),
        ("model.critic.depth=1", "model.critic.kind is not given; the networks of this recipe are"),
        ("model.generator.depht=1", "model.generator.depht is not a setting; did you mean 'depth'"),
        (
            "model.generator=mlp-generater",
            "model.generator is 'mlp-generater'; did you mean 'mlp-generator'",
        ),
    ],
)
def test_a_setting_of_no_network_is_blamed_and_not_the_networks(word, sentence):
    assert said(word, name="ring-gan").startswith(sentence)


# ---- dumping, explaining ----


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.fixed_dictionaries(
        {},
        optional={
            "description": st.text(max_size=30),
            "seed": st.integers(0, 2**63 - 1),
            "training.steps": st.integers(1, 10**9),
            "training.clip": st.none() | st.floats(1e-30, 1e30),
            "training.optimizer.eps": st.floats(1e-30, 1e-3),
            "training.optimizer.betas": st.tuples(st.floats(0, 0.999), st.floats(0, 0.999)),
            "training.ema_of": st.lists(st.text(max_size=5), max_size=3),
            "data.path": st.text(max_size=20),
        },
    )
)
def test_a_dumped_recipe_loads_to_an_equal_one(changes):
    recipe = Recipe.load("code", changes)
    again = Recipe.of(read_yaml(recipe.dump(), "recipe.yaml"))
    assert again == recipe and again.dump() == recipe.dump()


scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.text(),
        st.recursive(
            scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
        ),
    )
)
def test_yaml_is_read_back_as_it_was_written(values):
    text = write_yaml(values)
    assert read_yaml(text, "x") == values
    assert yaml.safe_load(text) == values  # other programs read the same


@settings(max_examples=300, deadline=None)
@given(
    st.text(
        alphabet=st.sampled_from("abc:{}[]-,&*!|>'\"# \n\t012.e~<%@?") | st.characters(),
        max_size=60,
    )
)
def test_any_text_is_a_recipe_or_is_refused(text):
    try:
        Recipe.of({"name": "x"} | read_yaml(text, "x"))
    except GenwrightError as error:
        assert "\n" not in error.remedy


def test_explain_names_every_setting_with_value_default_and_meaning():
    rows = {
        row.key: row for row in explain(load("training.steps=77", "training.optimizer.kind=adamw"))
    }
    assert rows["training.steps"].value == 77 and rows["training.steps"].default == 1000
    assert rows["training.optimizer.kind"][1:3] == ("adamw", "muon")
    assert rows["name"].default is ...
    assert {key.split(".")[0] for key in rows} == set(Recipe.model_fields)
    assert not [key for key, row in rows.items() if not row.meaning and not key.endswith("kind")]


def test_explain_takes_defaults_from_the_parent_that_sets_them():
    class Inner(Settings):
        size: int = 1

    class Outer(Settings):
        first: Inner = Inner()
        second: Inner = Inner(size=5)

    rows = {row.key: row.default for row in explain(Outer())}
    assert rows == {"first.size": 1, "second.size": 5}


def test_a_settings_class_s_own_complaint_keeps_its_place():
    from pydantic import model_validator

    class Pair(Settings):
        kind: Literal["pair"] = "pair"
        low: int = Field(0, ge=0)
        high: int = 1

        @model_validator(mode="after")
        def ordered(self):
            if self.high < self.low:
                raise ValueError("high is below low")
            return self

    with pytest.raises(GenwrightError, match="data.pair: high is below low"):
        build(Pair, {"low": 3}, "data.pair")
    with pytest.raises(GenwrightError, match="data.pair is 3; write settings"):
        build(Pair, 3, "data.pair")


# ---- what a plug-in derives from ----


class Table(DataSettings):
    """The least that data of a plug-in says."""

    kind: Literal["table"] = "table"


class Tall(NetworkSettings):
    """The least that a network of a plug-in says."""

    kind: Literal["tall"] = "tall"


def test_data_and_networks_answer_what_a_run_asks_unless_they_say_otherwise(tmp_path):
    space = Space(shape=(3,))
    data = Table()
    assert data.space(SimpleNamespace(space=space)) is space
    assert data.starts() is None and data.usual == {} and data.length_field == ""
    assert data.held_as(tmp_path / "held_out.npy") is data
    network = Tall()
    assert network.resolve(space, context=8) is network and network.suggestion(space) == {}


@pytest.mark.parametrize("family", ["codec", "data", "model"])
def test_settings_of_a_plug_in_that_lack_the_base_class_are_refused(family, monkeypatch):
    class Bare(registry.Settings):
        kind: Literal["bare"] = "bare"

    monkeypatch.setitem(registry._known[family], "bare", Bare)
    with pytest.raises(
        GenwrightError, match=r"Bare is no (Codec|Data|Network)Settings.*derive it from"
    ):
        Recipe.of({"name": "a", family: {"kind": "bare"}})
