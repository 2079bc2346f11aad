"""What recognises where a piece comes from, in pieces that a model made."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.music import judge
from genwright.contents.music.judge import judges, words_of
from genwright.contents.music.score import Key, Meter, Note, Score
from genwright.core.content import Sample
from genwright.core.groups import Known

PER_QUARTER = 4


def tune(steps: list[int], lengths: list[int], **about: Any) -> Score:
    """A voice that begins on middle C."""
    notes = []
    start, pitch = 0, 60
    for step, length in zip(steps, lengths, strict=False):
        pitch += step
        notes.append(Note(start, length, pitch))
        start += length
    return Score((tuple(notes),), start, PER_QUARTER, meters=(Meter(0, 4, 4),), **about)


def test_a_piece_is_its_runs_and_rhythms() -> None:
    words = Counter(words_of(tune([0, 2, -1], [4, 8, 4])))
    assert words == Counter(
        [
            "voices 1",
            "metre 4/4",
            "low 60",
            "high 62",
            "2:1:1",
            "-1:2:2",
            "2:1:1 -1:2:2",
            "bar 16: 0 4 12",
        ]
    )


def test_silence_has_no_words() -> None:
    assert not list(words_of(Score(((),), 16, PER_QUARTER, meters=(Meter(0, 4, 4),))))


@given(st.lists(st.integers(-3, 3), min_size=2, max_size=8), st.integers(0, 6))
def test_what_a_sample_may_have_been_given_is_not_looked_at(steps: list[int], sharps: int) -> None:
    plain = tune(steps, [2] * 8)
    given_more = tune(
        steps, [2] * 8, keys=(Key(0, sharps, "major"),), facts={"collection": "mine", "type": "jig"}
    )
    assert list(words_of(plain)) == list(words_of(given_more))


def pieces(count: int, even: float, dice: np.random.Generator) -> list[Score]:
    """Tunes whose notes are of equal lengths as often as `even`."""
    found = []
    for _ in range(count):
        lengths = np.where(dice.random(16) < even, 4, dice.choice([2, 6], 16))
        found.append(tune(dice.integers(-2, 3, 16).tolist(), lengths.tolist()))
    return found


def test_a_collection_is_recognised(monkeypatch: pytest.MonkeyPatch) -> None:
    dice = np.random.default_rng(0)
    every = {split: [*pieces(n, 0.8, dice), *pieces(n, 0.3, dice)] for split, n in SIZES.items()}
    values = {split: [("even",)] * n + [("dotted",)] * n for split, n in SIZES.items()}

    def known(dataset: Any, split: str, attributes: Any) -> Known:
        first = 0 if split == "train" else 2 * SIZES["train"]
        own = values[split]
        names = [str(number) for number in range(len(own))]
        return Known(names, first + np.arange(len(own)), {"collection": own})

    def examples(dataset: Any, split: str, numbers: list[int]) -> list[Sample]:
        return [Sample(every[split][number]) for number in numbers]

    monkeypatch.setattr(judge, "known", known)
    monkeypatch.setattr(judge, "examples", examples)
    found = judges(None, ["collection"])["collection"]  # type: ignore[arg-type]
    assert set(found.groups) == {"even", "dotted"}
    assert found.truth is not None and found.judged is not None
    assert (found.judged.argmax(1) == found.truth).mean() > 0.85
    drawn = [Sample(score) for score in pieces(40, 0.8, dice)]
    assert found.of(drawn)[:, found.groups.index("even")].mean() > 0.7


SIZES = {"train": 150, "held_out": 40}
