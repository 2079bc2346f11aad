"""The library logs and the command shows: no text, no thread of the caller's process is changed by
a call from Python."""

import ast
import io
import logging
import sys
from pathlib import Path

import pytest
import torch
from rich.console import Console

import genwright
from commands import command
from genwright.command_notes import notes_shown
from genwright.core.errors import GenwrightError
from genwright.training.hooks import Live
from genwright.training.session import Session
from genwright.training.state import State

SOURCE = Path(genwright.__file__).parent
# the commands, the two displays of progress, and what is shown on a stream that a caller gives
PRINTING = {
    "cli.py",
    "command_audit.py",
    "command_card.py",
    "command_data.py",
    "command_notes.py",
    "command_process.py",
    "command_rewards.py",
    "core/progress.py",
    "training/hooks.py",
    "contents/text/view.py",
}
REMARK = "nothing is held out: this run has no held-out figures"


@pytest.fixture
def settings(tmp_path):
    texts = tmp_path / "texts"
    texts.mkdir()
    for number in range(3):
        (texts / f"{number}.txt").write_text(f"{number} lines of plain words, again. " * 20)
    (texts / "3.txt").write_text("0 lines of plain words, again. " * 20)
    return {
        "data.path": str(texts),
        "data.cache": str(tmp_path / "cache"),
        "data.held_out": 0,
        "data.context": 8,
        "codec": "bytes",
        "model.depth": 1,
        "model.width": 16,
        "model.heads": 1,
        "training.steps": 2,
        "training.batch_size": 2,
        "training.precision": "fp32",
        "training.threads": 1,
    }


def words(settings):
    return [f"{name}={value}" for name, value in settings.items()]


def test_a_call_from_python_logs_and_writes_nothing(settings, tmp_path, capsys, caplog):
    caplog.set_level("INFO", "genwright")
    genwright.train("docs", run=tmp_path / "run", quiet=True, **settings)
    assert capsys.readouterr() == ("", "")
    assert REMARK in caplog.messages
    assert all(record.name.startswith("genwright.") for record in caplog.records)


def test_the_command_shows_notes_unless_it_is_told_to_be_quiet(settings, tmp_path, capsys):
    code, _, shown = command(capsys, "train", "docs", "--run", tmp_path / "a", *words(settings))
    assert code == 0 and f"note: {REMARK}\n" in shown
    code, _, shown = command(
        capsys, "train", "docs", "--run", tmp_path / "b", "--quiet", *words(settings)
    )
    assert (code, shown) == (0, "")
    assert logging.getLogger("genwright").level == logging.NOTSET, "as the caller had it"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_note_does_not_tear_the_line_of_steps(monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal())
    terminal = sys.stderr
    live = Live(Console(stderr=True, force_terminal=True, width=90), "name", 10, "tokens")
    state = State(weights={}, seed=0)
    state.step = 1
    with notes_shown():
        live.after_step(state, {"seconds": 0.1, "loss": 1.0})
        logging.getLogger("genwright.test").warning("something [odd] was found")
        live.close()
    before, note, after = terminal.getvalue().partition("something [odd] was found\n")
    assert note, "a line of its own, its brackets as they are"
    assert before.endswith("\x1b[33mnote:\x1b[0m "), "in colour"
    assert "\r\x1b[2K\x1b[33mnote:" in before, "the moving line was erased first"
    assert "1/10" in after, "and drawn again below"


def test_the_line_of_steps_says_that_its_loss_is_smoothed():
    live = Live(Console(file=io.StringIO(), width=90), "name", 10, "tokens")
    state = State(weights={}, seed=0)
    for loss in (1.0, 2.0):
        state.step += 1
        live.after_step(state, {"seconds": 0.1, "loss": loss})
    assert live.text({}) == "smoothed loss 1.050"


def test_a_line_of_steps_in_a_log_is_one_line_and_the_last_has_nothing_left():
    log = io.StringIO()
    live = Live(Console(file=log, width=40), "name", 2, "tokens")
    live.every = 0.0
    state = State(weights={}, seed=0)
    for _ in range(2):
        state.step += 1
        live.after_step(state, {"seconds": 2.0, "loss": 1.0, "memory_mb": 512.0})
    first, last = log.getvalue().splitlines()
    assert first.startswith("step 1/2: smoothed loss 1.000, 512 MB, ")
    assert first.endswith(" s left") and len(first) > 40
    assert last == "step 2/2: smoothed loss 1.000, 512 MB"


def test_nothing_but_the_command_prints():
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            prints = isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
            writes = isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.stderr"
            assert name in PRINTING or not (prints or writes), f"{name}:{node.lineno}"


@pytest.mark.parametrize("fails", [False, True])
def test_the_caller_keeps_its_number_of_threads(settings, tmp_path, monkeypatch, fails):
    train = Session.train
    inside = []

    def watched(self, *arguments):
        inside.append(torch.get_num_threads())
        if fails:
            raise GenwrightError("it stopped", "try again")
        return train(self, *arguments)

    monkeypatch.setattr(Session, "train", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    settings["training.threads"] = 2
    try:
        if fails:
            with pytest.raises(GenwrightError, match="it stopped"):
                genwright.train("docs", run=tmp_path / "run", quiet=True, **settings)
        else:
            run = genwright.train("docs", run=tmp_path / "run", quiet=True, **settings)
            assert run.recipe.training.threads == 2
        assert (inside, torch.get_num_threads()) == ([2], 3)
    finally:
        torch.set_num_threads(before)
