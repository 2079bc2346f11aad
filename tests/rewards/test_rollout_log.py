"""rollouts.jsonl: what is written, how much of it, and what is left of it where a run goes on."""

import pytest
import torch
from toy import objective, settings, stream

from genwright.rewards.rollout_log import RolloutLog, cut_from, is_kept
from genwright.training.engine import Engine
from genwright.training.records import read
from genwright.training.session import Session
from genwright.training.settings import Optimizer, Training

ADAM = Optimizer(kind="adamw", learning_rate=0.01)


def session_of(folder, logged=2, steps=6):
    given = settings()
    built = objective(given)
    rollouts = stream(given, built)
    training = Training(
        steps=steps, batch_size=16, precision="fp32", optimizer=ADAM, checkpoint_every=3
    )
    session = Session(folder, built, rollouts, training, Engine.alone(torch.device("cpu")))
    session.recorders = [rollouts]
    session.watchers = [RolloutLog(rollouts, session, logged)]
    return session


def test_lines_say_what_was_written_and_what_it_earned(tmp_path):
    session = session_of(tmp_path)
    session.train()
    lines = read(tmp_path / "rollouts.jsonl")
    assert [line["step"] for line in lines] == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]
    rolled = session.stream.last
    for line, sample in zip(lines[-2:], rolled.samples, strict=False):
        assert line["text"] == sample.content
        assert line["tokens"] == list(sample.tokens)
        assert line["prompt"] == sample.prompt
        assert line["ended"] == sample.content.endswith(".")
        share = sample.content.count("a") / len(sample.content)
        assert line["reward"] == pytest.approx(share)
        assert line["terms"] == {"share of a": pytest.approx(share)}
        assert line["watched"]["length"] == len(sample.content)
    assert lines[-1]["number"] == 5 * 16 + 1


def test_no_more_than_the_candidates_and_none_where_none_are_wanted(tmp_path):
    session_of(tmp_path / "many", logged=100, steps=1).train()
    assert len(read(tmp_path / "many/rollouts.jsonl")) == 4
    session_of(tmp_path / "none", logged=0, steps=1).train()
    assert read(tmp_path / "none/rollouts.jsonl") == []


def test_the_log_of_a_long_run_is_bounded():
    kept = [step for step in range(1, 100_001) if is_kept(step)]
    assert kept[:100] == list(range(1, 101))
    assert kept[100:103] == [110, 120, 130]
    assert len(kept) == 100 + 3 * 90
    assert kept[-1] == 100_000


def test_what_came_after_the_checkpoint_is_cut_off(tmp_path):
    once = tmp_path / "once"
    session_of(once).train()
    twice = tmp_path / "twice"
    session_of(twice).train(until=3)
    path = twice / "rollouts.jsonl"
    with open(path, "a") as file:  # of a run that was killed after its checkpoint
        file.write('{"step": 4, "text": "lost"}\n{"step": 5, "te')
    session_of(twice).train(resume=True)
    assert path.read_bytes() == (once / "rollouts.jsonl").read_bytes()


def test_a_file_is_cut_where_a_step_begins(tmp_path):
    path = tmp_path / "lines.jsonl"
    cut_from(path, 1)
    assert not path.exists()
    path.write_text('{"step": 1}\n{"step": 2}\n{"step": 3}\n')
    cut_from(path, 3)
    assert path.read_text() == '{"step": 1}\n{"step": 2}\n'
    cut_from(path, 1)
    assert path.read_text() == ""
