"""What a person does with rewards: a measure of their own, a look at it before anything is learned,
a run that is resumed, and what is refused."""

import hashlib
import json
import math
import re
from pathlib import Path

import pytest
import torch

import genwright
import genwright.api
from commands import command
from genwright.contents.music.score import Key, Note, Score
from genwright.core.content import Sample
from genwright.core.contracts import Space
from genwright.core.errors import GenwrightError
from genwright.rewards.guard import values_of
from genwright.rewards.reward import measure_of
from genwright.rewards.user_file import load_measure, read_named, with_measures
from genwright.runs.request import read_request
from genwright.runs.start import check_codec, from_weights
from genwright.runs.train import _words_of

TINY = {
    "model.depth": 1,
    "model.width": 32,
    "model.heads": 2,
    "training.threads": 1,
    "training.precision": "fp32",
    "training.evaluate_every": 0,
    "watching.samples": 0,
}
MARK = "a mark that no run may hold"
FILE = f'''
"""{MARK}"""

import genwright
import genwright.api


@genwright.measure(content="text", unit="share", better="higher")
def sevens(texts):
    return [text.count("7") / max(1, len(text)) for text in texts]


@genwright.measure(content="text", better="higher", gives="parts", unit="digits")
def digits(texts):
    return [[(i, 1.0) for i, c in enumerate(text) if c.isdigit()] for text in texts]


@genwright.measure(content="text", better="lower", whole=True)
def far(samples):
    return [float(s.content.text.strip() != str(s.answer).strip())
            if hasattr(s.content, "text") else 0.0 for s in samples]


@genwright.measure(content="text")
def same(texts):
    return [0.5 for _ in texts]
'''


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("rewards")


@pytest.fixture(scope="module")
def few(folder):
    return TINY | {"data.cache": str(folder / "cache")}


@pytest.fixture(scope="module")
def base(folder, few):
    run = folder / "base"
    return genwright.train("arithmetic-base", run=run, quiet=True, **few | {"training.steps": 30})


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(FILE)
    return path


@pytest.fixture(scope="module")
def policy(few):
    return few | {"training.steps": 4, "training.batch_size": 16, "training.checkpoint_every": 2}


def refused(call, **arguments):
    with pytest.raises(GenwrightError) as error:
        call(**arguments)
    return str(error.value)


def learn(folder, base, policy, **more):
    given = {"run": folder, "start": str(base.folder), "quiet": True, **policy, **more}
    return genwright.train("arithmetic", **given)


def words_of(settings):
    return [f"{name}={value}" for name, value in settings.items()]


# ---- a measure of a person's own


def test_a_run_is_rewarded_by_a_function_and_keeps_none_of_its_code(tmp_path, base, policy, mine):
    run = learn(tmp_path / "run", base, policy, reward=f"{mine}:sevens")
    assert [term.measure for term in run.recipe.objective.rewards] == ["right result", "sevens"]
    last = [record for record in run.records if "kl" in record][-1]
    assert last["reward"] == pytest.approx(last["reward/right result"] + last["reward/sevens"])
    kept = run.environment["rewards"]
    digest = hashlib.sha256(mine.read_bytes()).hexdigest()
    assert kept == [{"name": "sevens", "file": str(mine), "sha256": digest}]
    for path in run.folder.rglob("*"):
        assert path.is_dir() or MARK.encode() not in path.read_bytes()
    assert genwright.load(run.folder).sample(prompts=["1+1="])  # without the file


def test_a_resumed_run_is_named_the_same_file(tmp_path, base, policy, mine):
    whole = learn(tmp_path / "whole", base, policy, reward=f"{mine}:sevens")
    folder = tmp_path / "run"
    learn(folder, base, policy, reward=f"{mine}:sevens", until=3)
    again = {"run": folder, "resume": True, "quiet": True, **policy}

    def resume(**more):
        return genwright.train("arithmetic", **again, **more)

    assert "which is not named now; name it again: --reward" in refused(resume)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    mine.write_text(FILE + "\n# another one\n")
    assert "put it back as it was" in refused(resume, reward=f"{mine}:sevens")
    mine.unlink()
    assert "cannot be read (No such file" in refused(resume, reward=f"{mine}:sevens")
    mine.write_text(FILE)
    assert "without --reward" in refused(resume, reward=[f"{mine}:sevens", f"{mine}:same"])
    assert before == {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    moved = mine.rename(tmp_path / "moved.py")
    run = resume(reward=f"{moved}:sevens")
    one = whole.tensors()["model"]
    other = run.tensors()["model"]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_dense_and_whole_measures_are_learned_from(tmp_path, base, policy, mine):
    run = learn(
        tmp_path / "run",
        base,
        policy | {"training.steps": 1},
        reward=[f"{mine}:digits", f"{mine}:far"],
    )
    weights = {term.measure: term.weight for term in run.recipe.objective.rewards}
    assert weights == {"right result": 1.0, "digits": 1.0, "far": -1.0}
    record = [record for record in run.records if "kl" in record][-1]
    assert 0 < record["reward/digits"] <= 6
    assert record["reward/far"] == pytest.approx(1 - record["reward/right result"])


def test_processes_are_named_it_too(tmp_path, few, mine):
    request = read_request("arithmetic", {}, tmp_path / "run", False, None, "runs/base", True)
    words = _words_of(with_measures(request, [f"{mine}:sevens"]))
    assert words[-2:] == ["--reward", f"{mine}:sevens"]


# ---- a run that games its reward

GAMES = {
    "training.steps": 60,
    "training.batch_size": 16,
    "training.checkpoint_every": 5,
    "training.optimizer.learning_rate": 0.02,
    "objective.kl": 0,
    "watching.may_change": [],
}


def test_a_run_that_was_stopped_for_gaming_says_what_it_found_and_what_helps(
    tmp_path, base, few, mine, capsys
):
    """Nobody is told to go on with --resume, which would end at once again."""
    folder = tmp_path / "run"
    words = [f"--reward={mine}:sevens", "--run", folder, *words_of(few | GAMES)]
    code, out, said = command(capsys, "train", "arithmetic", "--from", base.folder, *words)
    assert code == 0
    run = genwright.load(folder)
    event = [record for record in run.records if "event" in record][-1]
    step = event["step"]
    assert event["gamed"] == "sevens" and "gaming: sevens rose from" in said
    assert run.step == event["result"] < step
    line = out.strip()
    assert line.startswith(f"{folder}: stopped at step {step} of 60, for it gamed sevens: ")
    assert f"the run's result is the checkpoint of step {run.step}, " in line
    assert "in another run weigh sevens less, raise objective.kl, or reward what went" in line
    assert "--resume" not in out
    assert "go on with" not in said
    code, again, _ = command(capsys, "train", "arithmetic", "--resume", "--quiet", *words)
    assert code == 0
    assert again.startswith(f"{folder}: stopped at step {step + 1} of 60, for it gamed sevens")
    page = run.report(tmp_path / "page.html").read_text(encoding="utf-8")
    assert f"stopped at step {step + 1} of 60, shown as of step {run.step}" in page
    assert f"It gamed its reward: at step {step} sevens rose from" in page
    words += ["watching.on_gaming=warn", f"training.steps={step + 2}"]
    code, out, _ = command(capsys, "train", "arithmetic", "--resume", *words)
    assert out.startswith(f"{folder}: done; look at it with")


# ---- reward check and list


def test_a_check_measures_real_data_the_model_and_noise(base, few, mine, capsys):
    code, out, _ = command(
        capsys, "reward", "check", base.folder, "arithmetic", "--reward", f"{mine}:same",
        "-n", 40, "--quiet", *words_of(few),
    )  # fmt: skip
    assert code == 0
    lines = out.splitlines()
    row = next(line for line in lines if line.startswith("right result"))
    assert "100.0% ± 0.0%" in row
    assert "40, 40, 40" in row
    assert "same: it does not vary on the model's samples, so nothing is learned from it." in lines
    kept = json.loads((base.folder / "reward_checks" / "arithmetic.json").read_text())
    real, model, noise = (kept["terms"][0][which]["mean"] for which in ("real", "model", "noise"))
    assert real == 1.0
    assert 0 <= noise < 1
    assert 0 <= model < 1
    assert kept["terms"][0]["best"] == 1.0
    assert kept["terms"][0]["milliseconds"] > 0
    assert kept["split"] == "held_out"
    assert not list(base.folder.parent.glob("arithmetic"))  # no run is begun


def test_a_check_draws_the_same_again(base, few):
    found = [genwright.api.reward_check(base.folder, "arithmetic", n=16, **few) for _ in range(2)]
    assert found[0].terms[0].model == found[1].terms[0].model
    assert found[0].dead == found[1].dead


def test_noise_that_beats_real_data_is_a_warning(base, few, tmp_path):
    path = tmp_path / "gamed.py"
    path.write_text(
        "import genwright\n"
        '@genwright.measure(content="text", whole=True)\n'
        "def odd(samples):\n"
        "    texts = [getattr(s.content, 'text', s.content) for s in samples]\n"
        "    return [float(t != s.answer) for t, s in zip(texts, samples, strict=True)]\n"
    )
    words = f"{path}:odd"
    found = genwright.api.reward_check(base.folder, "arithmetic", reward=words, n=16, **few)
    odd = found.terms[1]
    assert odd.real.mean == 0
    assert odd.noise.mean > 0
    assert "so it can be gamed" in str(found)


def test_the_measures_of_a_kind_of_content_are_listed(base, capsys):
    code, of_text, _ = command(capsys, "reward", "list", "text")
    assert code == 0
    assert "right result" in of_text
    assert "options: pattern, whole = True, strip = True" in of_text
    assert "ending" not in of_text  # a label
    assert command(capsys, "reward", "list", base.folder)[1] == of_text
    code, _, said = command(capsys, "reward", "list", "txt")
    assert code == 2
    assert "'txt' is neither a run nor a kind of content; did you mean 'text'?" in said


# ---- inspect: what rewards say of single examples


def test_inspect_shows_what_each_term_says_of_real_examples(few, mine, capsys):
    words = [f"--reward={mine}:digits", *words_of(few), "training.batch_size=8"]
    code, out, _ = command(capsys, "inspect", "arithmetic", *words)
    assert code == 0
    facts, _, below = out.partition("what rewards say of held-out data\n")
    assert "epochs" not in facts, "a step has none of the data's examples"
    blocks = below.strip().split("\n\n")
    assert len(blocks) == 3
    for block in blocks:
        title, answer, right, digits = block.splitlines()
        left, other = re.fullmatch(r"real \d, to '(\d+)\+(\d+)='", title).groups()
        answer = answer.strip()
        assert int(answer) == int(left) + int(other)
        assert right.split("  ")[-1] == "100.0%, earns 1"
        found = re.findall(r"1 at character (\d) '(\d)'", digits)
        assert found == [(str(i), digit) for i, digit in enumerate(answer)]
        assert f"{len(answer)} digits, earns {len(answer)}: " in digits


def test_inspect_looks_at_samples_of_a_run_by_any_function(few, base, mine, capsys):
    """Of a run that learned from no rewards too; what earns is not said of it."""
    words = ["--reward", f"{mine}:digits", *words_of(few)]
    code, out, _ = command(capsys, "inspect", base.folder, *words)
    assert code == 0
    below = out.partition(f"samples of {base.folder} at step {base.step}")[2]
    titles = re.findall(r"^(?:real|sample) \d", below, flags=re.MULTILINE)
    assert titles == ["real 1", "real 2", "real 3", "sample 1", "sample 2", "sample 3"]
    assert "earns" not in below
    for text, count in re.findall(r"^  (\S.*)\n    digits  (\d+) digits", below, flags=re.M):
        assert sum(c.isdigit() for c in text) == int(count)
    assert "what rewards say" not in command(capsys, "inspect", base.folder, *words_of(few))[1]


def test_inspect_of_a_policy_shows_what_it_answers(tmp_path, few, base, policy, mine, capsys):
    run = learn(tmp_path / "run", base, policy, reward=f"{mine}:sevens")
    words = [*words_of(few), "training.batch_size=8"]
    code, _, said = command(capsys, "inspect", run.folder, *words)
    assert code == 2
    assert f"which is not named now; name it again: --reward {mine}:sevens" in said
    mine.write_text(FILE + "\n")  # to be looked at it may have changed
    out = command(capsys, "inspect", run.folder, "--reward", f"{mine}:sevens", *words)[1]
    samples = re.findall(r"^sample \d, to '.*='\n  (.*)\n.*\n +sevens +([\d.]+)%", out, flags=re.M)
    assert samples
    for text, share in samples:
        assert float(share) == pytest.approx(100 * text.count("7") / len(text), abs=0.05)


def test_inspect_names_the_example_on_which_a_function_fails(few, base, tmp_path, capsys):
    path = tmp_path / "bad.py"
    path.write_text(
        "import genwright\n"
        '@genwright.measure(content="text")\n'
        "def bad(texts):\n"
        "    return [1 / texts[0].count('x')]\n"
    )
    words = ["--reward", f"{path}:bad", *words_of(few)]
    code, _, said = command(capsys, "inspect", base.folder, *words)
    assert code == 2
    assert "reward bad fails on sample 0 of the real data" in said
    assert "line 4" in said


# ---- what is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective.rewards": [{"measure": "right resul"}]}, "did you mean 'right result'?"),
        ({"objective.rewards": [{"measure": "ending"}]}, "gives no number for a sample"),
        (
            {"objective.rewards": [{"measure": "pattern", "options": {"patern": "a"}}]},
            "options of pattern.patern is not a setting; did you mean 'pattern'?",
        ),
        ({"objective.rewards": [{"measure": "pattern"}]}, "options of pattern.pattern"),
        (
            {"objective.rewards": [{"measure": "length", "options": {"a": 1}}]},
            "measure length takes no options",
        ),
        ({"objective.rewards": []}, "objective.rewards is empty"),
        ({"objective.rollout.max_tokens": 64}, "give at most"),
        ({"objective.candidates": 5}, "no multiple of objective.candidates=5"),
    ],
)
def test_bad_settings_are_refused_before_anything_is_written(
    tmp_path, base, policy, changes, words
):
    said = refused(lambda: learn(tmp_path / "run", base, policy | changes))
    assert words in said
    assert not (tmp_path / "run").exists()


def test_a_prompt_longer_than_the_context_is_refused(tmp_path, base, policy):
    changes = {"objective.rollout.prompts": ["1+1=" * 20], "objective.rollout.cut_after": ""}
    said = refused(lambda: learn(tmp_path / "run", base, policy | changes))
    assert "has 80 tokens, which with rollout.max_tokens = 6 is longer than the context" in said
    assert not (tmp_path / "run").exists()


def test_a_policy_begins_with_a_trained_model(tmp_path, policy):
    said = refused(
        lambda: genwright.train("arithmetic", run=tmp_path / "run", quiet=True, **policy)
    )
    assert "objective policy goes on from a trained model; name its run with" in said


class OtherCodec:
    """As many tokens as arithmetic has, which mean something else."""

    digest = "other"
    space = Space(vocabulary=15, special={"end": 14})


def test_weights_of_other_tokens_are_refused(base):
    check_codec(str(base.folder), base.codec)
    with pytest.raises(
        GenwrightError, match=r"knows 15 tokens that mean something else than the 15"
    ):
        check_codec(str(base.folder), OtherCodec())


def test_a_run_of_another_kind_of_content_is_refused(base):
    with pytest.raises(GenwrightError, match="base makes text, and this recipe music; start from"):
        from_weights(str(base.folder), genwright.Recipe.load("folk-phrases"))


def test_an_option_that_is_spelled_wrong_is_put_right(base, capsys):
    code, _, said = command(
        capsys, "train", "arithmetic", "--from", base.folder, "--rewrd", "mine.py:sevens"
    )
    assert code == 2
    assert "No such option: --rewrd; did you mean '--reward'?" in said


def test_a_masked_model_is_refused(tmp_path, few, base, policy):
    masked = few | {"training.steps": 1, "objective": "masked", "model.causal": False}
    run = genwright.train("arithmetic-base", run=tmp_path / "masked", quiet=True, **masked)
    said = refused(lambda: learn(tmp_path / "run", run, policy))
    assert "is a masked model, and this recipe trains a causal one; start from a causal" in said
    assert not (tmp_path / "run").exists()


def test_a_check_refuses_a_recipe_without_rewards(base, few):
    call = genwright.api.reward_check
    said = refused(lambda: call(base.folder, "arithmetic-base", **few))
    assert "recipe arithmetic-base rewards nothing: its objective is causal" in said
    said = refused(lambda: call(base.folder / "nowhere", "arithmetic", **few))
    assert "nowhere is not a run: it has no recipe.yaml" in said


# ---- docs/rewards.md

PAGE = (Path(__file__).parents[2] / "docs" / "rewards.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_the_recipe_of_the_page_is_one(tmp_path):
    path = tmp_path / "tunes.yaml"
    path.write_text(blocks("yaml")[0])
    objective = genwright.Recipe.load(path).objective
    names = [measure_of(term, "music").name for term in objective.rewards]
    assert names == ["phrase repetition"]


def test_the_functions_of_the_page_are_measures(tmp_path):
    path = tmp_path / "ends.py"
    path.write_text("\n".join(blocks("python")))
    melody = (Note(0, 4, 62), Note(4, 4, 79), Note(8, 4, 67))
    minor = Score((melody,), 12, keys=(Key(0, 1, "minor"),))
    major = Score((melody,), 12, keys=(Key(0, 1, "major"),))
    samples = [Sample(major), Sample(minor), Sample(Score((), 4))]
    tonic = load_measure(read_named(f"{path}:ends_on_tonic"), "music").measure
    values = values_of("tonic", tonic, samples, 5.0)
    assert values[:2] == [1.0, 0.0]
    assert math.isnan(values[2])
    leaps = load_measure(read_named(f"{path}:wide_leaps"), "music").measure
    assert values_of("leaps", leaps, samples, 5.0) == [{(4, 0): 1.0}, {(4, 0): 1.0}, {}]


def test_a_report_measures_it_where_it_is_named_again(tmp_path, base, policy, mine, capsys):
    run = learn(tmp_path / "run", base, policy, reward=f"{mine}:sevens")
    page = run.folder / "report.html"
    few = ("report", run.folder, "--quiet")
    assert command(capsys, *few)[0] == 0
    text = page.read_text(encoding="utf-8")
    assert "it learned from sevens of" in text
    assert f"--reward {mine}:sevens" in text
    assert command(capsys, *few, "--reward", f"{mine}:sevens")[0] == 0
    text = page.read_text(encoding="utf-8")
    assert "it learned from sevens of" not in text
    assert "sevens" in text
    code, _, said = command(capsys, *few, "--reward", f"{mine}:same")
    assert code == 2
    assert "no run here learned from --reward" in said
    mine.write_text(FILE + "\n")
    code, _, said = command(capsys, *few, "--reward", f"{mine}:sevens")
    assert code == 2
    assert "is not what the run was started with" in said
