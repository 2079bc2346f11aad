"""The command line: quick, thin, and every failure one sentence with a remedy and an exit code."""

import errno
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from genwright import cli
from genwright.contents.text.generate import Generated
from genwright.core.content import Drawn, Partial, Sample
from genwright.core.errors import GenwrightError
from genwright.core.registry import content_of

COMMANDS = ["recipes", "recipe show", "train", "inspect", "sample", "evaluate", "export", "report"]


def run(capsys, *words: str) -> tuple[int, str, str]:
    """(exit code, stdout, stderr) of a command line, in this process."""
    with pytest.raises(SystemExit) as stopped:
        cli.main(words)
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


FILLED = SimpleNamespace(
    text="a return b", candidates=[[SimpleNamespace(text=" return", probability=0.5)]]
)


def drawn(prompt, text):
    return Drawn(Sample(Generated(prompt, text, (), "end", 0.0), prompt))


class Recorder:
    """Stands in for `genwright.api`: keeps what it was called with."""

    def __init__(self):
        self.calls = []
        self.content, self.folder, self.step, self.recipe = (
            "text",
            "runs/x",
            7,
            SimpleNamespace(training=SimpleNamespace(steps=7)),
        )
        self.events = [drawn("def ", "one\x1b[2J"), drawn("", "two\n")]

    @property
    def kind(self):
        return content_of(self.content)

    def draw(self, options, partial):
        self.calls.append(("draw", options.given(), partial))
        return iter([Drawn(Sample(FILLED))] if options.fill else self.events)

    def ended_early(self, run):
        return ""

    def __getattr__(self, name):
        def call(*args, **kwargs):
            self.calls.append((name, args, kwargs))
            return ["a.png", "b.png"] if name == "sample" else self

        return call

    def __str__(self):
        return "the printed result"


@pytest.fixture
def api(monkeypatch):
    recorder = Recorder()
    import genwright

    monkeypatch.setitem(sys.modules, "genwright.api", recorder)
    monkeypatch.setattr(genwright, "api", recorder, raising=False)
    return recorder


def raising(monkeypatch, api, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(api, "load", fail, raising=False)


# ---- quick ----


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["recipes"], ["--version"]])
def test_the_light_commands_never_import_torch(words):
    code = f"""
import sys
from genwright import cli
try:
    cli.main({words!r})
except SystemExit as stopped:
    heavy = [name for name in ("torch", "numpy", "transformers", "pyarrow") if name in sys.modules]
    sys.exit(f"imported {{heavy}}" if heavy else stopped.code)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout, done.stderr


def test_help_imports_the_command_line_and_little_else():
    """What help takes is the time of its imports, and they can be counted on any machine."""
    command = [sys.executable, "-X", "importtime", "-m", "genwright", "--help"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0
    assert all(name.split()[0] in done.stdout for name in COMMANDS)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    ours = {name for name in imported if name.startswith("genwright.")}
    light = ("genwright.cli", "genwright.command_", "genwright.core")
    assert "genwright.cli" in ours
    assert [name for name in ours if not name.startswith(light)] == []
    assert len(imported) < 300  # 160 on Python 3.11; torch alone brings more than a thousand


def test_no_words_at_all_is_help(capsys):
    code, out, _ = run(capsys)
    assert code == 0 and "Usage: genwright" in out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_without_cut_sentences(command, capsys):
    code, out, _ = run(capsys, *command.split(), "--help")
    assert (
        code == 0
        and "Usage: genwright" in out
        and "..." not in out.split("Arguments:")[0].splitlines()[2]
    )
    assert "..." not in run(capsys, "--help")[1].split("Commands:")[1]


# ---- what is passed on ----


def test_train_passes_every_word_on(api, capsys):
    words = (
        "train code model.depth=6 training.clip=1e-3 --run runs/a --resume --until 7 --from "
        "runs/b --processes 2 --quiet seed=3"
    )
    code, out, _ = run(capsys, *words.split())
    name, args, kwargs = api.calls[0]
    assert (code, name, args) == (0, "train", ("code",))
    assert str(kwargs.pop("run")) == "runs/a"
    assert kwargs == {
        "resume": True,
        "until": 7,
        "start": "runs/b",
        "processes": 2,
        "quiet": True,
        "reward": (),
        "model.depth": "6",  # words, which the types of their settings turn into values
        "training.clip": "1e-3",
        "seed": "3",
    }
    assert out == "runs/x: done; look at it with genwright sample, evaluate or report runs/x\n"
    api.step = 3
    assert (
        run(capsys, "train", "code")[1]
        == "runs/x: step 3 of 7; the same command with --resume goes on\n"
    )


def test_sample_passes_only_what_was_given(api, capsys):
    options = "-n 4 --top-k 5 --temperature 0 --step 3 --weights raw"
    code, out, _ = run(
        capsys, "sample", "runs/a", "--prompt", "def ", "--prompt", "", *options.split()
    )
    # a pipe gets the text as it is
    assert code == 0 and out == "--- 1 of 8 ---\ndef one\x1b[2J\n--- 2 of 8 ---\ntwo\n\n"
    (load, folder, which), (name, given, partial) = api.calls
    assert (load, str(folder[0]), which) == ("load", "runs/a", {"step": 3, "weights": "raw"})
    assert name == "draw" and not partial
    assert given == {"prompt": ("def ", ""), "n": 4, "top_k": 5, "temperature": 0.0}


def test_on_a_terminal_samples_stream_and_control_characters_are_not_obeyed(
    api, capsys, monkeypatch
):
    pieces = [(0, "on"), (1, "tw"), (0, "e\x1b"), (1, "o")]
    api.events = [Partial(*piece) for piece in pieces] + [drawn("a", "one\x1b"), drawn("b", "two")]
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert "".join(
        re.split(r"\x1b\[\d*m", run(capsys, "sample", "r", "--prompt", "a", "--prompt", "b")[1])
    ) == ("--- 1 of 2 ---\naone\N{REPLACEMENT CHARACTER}\n--- 2 of 2 ---\nbtwo\n")


def test_the_other_commands_call_their_function(api, capsys, tmp_path):
    assert (
        run(capsys, "sample", "r", "--fill", "a [MASK] b")[1]
        == "a return b\ngap 1: ' return' 50.0%\n"
    )
    assert api.calls[-1][:2] == ("draw", {"fill": "a [MASK] b"})
    assert run(capsys, "evaluate", "r", "--weights", "ema")[1] == "the printed result\n"
    assert [call[0] for call in api.calls[-2:]] == ["load", "evaluate"] and api.calls[-2][2][
        "weights"
    ] == "ema"
    assert run(capsys, "inspect", "code", "seed=1")[1] == "the printed result\n"
    assert api.calls[-1] == ("inspect", ("code",), {"seed": "1", "reward": ()})
    assert run(capsys, "export", "r", "--to", "hf", "out")[0] == 0
    assert api.calls[-1][0] == "export" and [str(word) for word in api.calls[-1][1]] == [
        "hf",
        "out",
    ]
    assert (
        run(capsys, "report", "r")[1] == "the printed result: written\n"
        and api.calls[-1][1][1] is None
    )
    assert (
        run(capsys, "report", "r", "s", "--output", "x.html")[1] == "the printed result: written\n"
    )
    assert [str(path) for path in api.calls[-2][1][0]] == ["r", "s"] and str(
        api.calls[-1][1][1]
    ) == "x.html"


def test_a_run_of_pictures_gets_the_options_of_pictures(api, capsys, monkeypatch):
    monkeypatch.setattr(api, "content", "image", raising=False)
    words = (
        "sample r -n 8 --condition group=food,name=cat --guidance 0 --walk 60 --traverse --seed 0"
    )
    assert run(capsys, *words.split())[:2] == (0, "a.png\nb.png\n")
    assert api.calls[-1][1][1].given() == {
        "n": 8,
        "seed": 0,
        "condition": "group=food,name=cat",
        "guidance": 0.0,
        "walk": 60,
        "traverse": True,
    }
    for content, option, sentence in (
        ("image", "--prompt x", "--prompt is for text, which r does not make; leave it out."),
        ("points", "--max-tokens 3", "--max-tokens is for music and text, which r does not make"),
        (
            "text",
            "--walk 5",
            "--walk is for pictures from a latent and points, which r does not make; leave it out.",
        ),
        ("text", "--directions", "--directions is for pictures from a latent and points"),
    ):
        monkeypatch.setattr(api, "content", content)
        code, out, err = run(capsys, "sample", "r", *option.split())
        assert code == 2 and not out and sentence in err


# ---- what goes wrong ----


@pytest.mark.parametrize(
    "words, sentence",
    [
        ("trian code", "No such command 'trian'; did you mean 'train'?"),
        ("train code --reusme", "No such option: --reusme; did you mean '--resume'?"),
        ("train docs --steps 5", "No such option: --steps; did you mean training.steps=5?"),
        ("train docs --steps=5", "No such option: --steps; did you mean training.steps=5?"),
        ("train --steps 5 docs", "No such option: --steps; did you mean training.steps=5?"),
        ("inspect docs --steps 5", "No such option: --steps; did you mean training.steps=5?"),
        ("recipe show docs --steps 5", "No such option: --steps; did you mean training.steps=5?"),
        ("recipe show docs steps=5", "steps is not a setting; did you mean training.steps=5?"),
        ("train docs --steps", "No such option: --steps; did you mean training.steps=VALUE?"),
        (
            "train docs --lr 0.1",
            "No such option: --lr; did you mean training.optimizer.learning_rate=0.1?",
        ),
        (
            "recipe show docs lr=0.1",
            "lr is not a setting; did you mean training.optimizer.learning_rate=0.1?",
        ),
        ("train docs --batch-size 4", "did you mean training.batch_size=4?"),
        ("train docs --batch_size 4", "did you mean training.batch_size=4?"),
        (
            "train docs --epochs 3",
            "No such option: --epochs; training is counted in steps: set training.steps=VALUE.",
        ),
        (
            "recipe show docs epochs=3",
            "epochs is not a setting; training is counted in steps: set training.steps=VALUE.",
        ),
        ("train docs --compile", "did you mean training.compile=true?"),
        ("recipe show docs compile=true", "did you mean training.compile=true?"),
        ("train docs --temperature 0.5", "did you mean sampling.temperature=0.5?"),
        ("train docs --data notes", "did you mean data.path=notes?"),
        (
            "train digits-gan --width 3",
            "did you mean model.generator.width=3 or model.discriminator.width=3?",
        ),
        (
            "train emoji-vae --warmup 3",
            "did you mean objective.warmup=3 or training.schedule.warmup=3?",
        ),
        ("train docs --learnin-rate 3", "did you mean training.optimizer.learning_rate=3?"),
        ("train docs --resum", "did you mean '--resume'?"),
        ("train docs --prompt hi", "No such option: --prompt; see `genwright train --help`."),
        ("evaluate runs/x --steps 3", "did you mean '--step'?"),
        (
            "sample runs/x temperature=0.5",
            "'temperature=0.5' is not expected here; write --temperature 0.5.",
        ),
        ("sample runs/x max_tokens=5", "write --max-tokens 5."),
        ("train", "Missing argument 'RECIPE'; see `genwright train --help`."),
        ("train code --until 0", "Invalid value for '--until'"),
        ("sample runs/x --weights best", "Invalid value for '--weights'"),
        ("recipe show cod", "there is no recipe 'cod'; did you mean 'code'?"),
        (
            "recipe show code training.stepz=3",
            "training.stepz is not a setting; did you mean 'steps'?",
        ),
        ("train code steps", "'steps' is not a setting; write key=value"),
    ],
)
def test_a_wrong_word_is_one_sentence(words, sentence, capsys, api):
    code, out, err = run(capsys, *words.split())
    assert (
        code == 2
        and not out
        and err.count("\n") == 1
        and err.startswith("error: ")
        and sentence in err
    )


@pytest.mark.parametrize(
    "error, code, sentence",
    [
        (GenwrightError("a is b", "do c"), 2, "error: a is b; do c."),
        (MemoryError(), 2, "error: out of memory; lower training.micro_batch first"),
        (
            RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried"),
            2,
            "lower training.micro_batch",
        ),
        (
            type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory."),
            2,
            "then the model's width or depth, or data.context",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device", "runs/x/a"),
            2,
            "error: runs/x/a: No space left on device; free some space",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "runs"),
            2,
            "error: runs: Permission denied; change its permissions",
        ),
        (
            KeyError("x"),
            1,
            "error: KeyError: 'x'; this is a fault of genwright: run again with --debug",
        ),
        (ValueError("two\nlines"), 1, "error: ValueError: two lines; this is"),
    ],
)
def test_an_error_is_one_sentence_and_an_exit_code(error, code, sentence, capsys, api, monkeypatch):
    raising(monkeypatch, api, error)
    got, out, err = run(capsys, "evaluate", "runs/x")
    assert got == code and not out and err.count("\n") == 1 and sentence in err


def test_debug_anywhere_shows_the_traceback(capsys, api, monkeypatch):
    raising(monkeypatch, api, KeyError("x"))
    for words in (["--debug", "evaluate", "r"], ["evaluate", "r", "--debug"]):
        with pytest.raises(KeyError):
            cli.main(words)


def test_ctrl_c_exits_130(capsys, api, monkeypatch):
    raising(monkeypatch, api, KeyboardInterrupt())
    code, _, err = run(capsys, "evaluate", "r")
    assert code == 130 and "Traceback" not in err


def test_a_closed_pipe_is_no_error():
    command = f"{sys.executable} -m genwright recipe show code | head -n 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert done.stdout.startswith("name = code") and not done.stderr


# ---- what is printed ----


def test_recipes_are_a_line_each(capsys):
    code, out, _ = run(capsys, "recipes")
    lines = out.splitlines()
    assert code == 0 and [line.split()[0] for line in lines] == sorted(
        line.split()[0] for line in lines
    )
    assert any(line.startswith("code ") and "Python" in line for line in lines)


def test_recipe_show_gives_value_default_and_meaning(capsys):
    _, out, _ = run(
        capsys,
        "recipe",
        "show",
        "code",
        "training.steps=77",
        "training.ema_of=[model]",
        "training.compile=true",
    )
    assert "training.steps = 77  (default 1000)\n    Updates of the weights.\n" in out
    assert (
        "training.ema_of = [model]  (default [])\n" in out
        and "training.compile = true  (default false)\n" in out
    )
    assert "training.keep = 2\n" in out and "training.clip = null\n" in out
