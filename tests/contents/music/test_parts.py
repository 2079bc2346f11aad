"""The parts of a piece that a view names: each voice of each bar, and where its tokens lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from composed import chorale

from genwright.contents.music.codec_event import Event
from genwright.contents.music.codec_grid import Grid, Jsb
from genwright.contents.music.score import Key, Meter, of_grid
from genwright.contents.music.view import MusicView
from genwright.core.content import Sample

PITCHES = chorale(np.random.default_rng(0))
SCORE = of_grid(
    PITCHES,
    bars=(0, 4, *range(20, len(PITCHES), 16)),  # a pickup of a quarter note
    meters=(Meter(0, 4, 4), Meter(36, 3, 4)),
    keys=(Key(0, 1, "major"), Key(20, -1, "minor")),
)


@pytest.mark.parametrize("settings", [Grid(), Jsb()], ids=["grid", "jsb"])
def test_a_part_begins_at_its_voices_first_token_of_the_bar(settings):
    codec = settings.learn([SCORE])
    tokens = codec.encode(SCORE)
    slots = codec.slots(tokens)
    parts = MusicView().parts(Sample(SCORE), codec)
    assert [part.name for part in parts[:5]] == [
        *(f"bar 0, voice {voice}" for voice in (1, 2, 3, 4)),
        "bar 1, voice 1",
    ]
    bars = [*SCORE.bars, SCORE.length]
    assert len(parts) == 4 * len(SCORE.bars)
    for number, part in enumerate(parts):
        bar, voice = divmod(number, 4)
        # a change of metre or key stands at the beginning of a bar, before the part
        rows = tokens[part.start : part.stop : codec.row_length]
        assert rows == slots[bars[bar] : bars[bar + 1], voice].tolist()


def test_a_part_is_a_range_of_steps_where_a_codec_writes_events():
    score = replace(SCORE, per_quarter=12)
    parts = MusicView().parts(Sample(score), Event().learn([score]))
    assert (parts[4].start, parts[4].stop) == (4, 20)
