"""Every rule of RL Tuner by hand, from the published rules, and what was known to go wrong with
them."""

import numpy as np
import pytest

from genwright.contents.music.measures_tuner import RULES, SUM
from genwright.contents.music.score import Note, Score
from genwright.contents.music.tune_rules import rules
from genwright.contents.music.tunes import VOCABULARY, melody_steps, melody_tokens
from genwright.core.content import Sample
from genwright.core.registry import measures_of

# token 14 is the middle C; 16 D, 18 E, 19 F, 21 G, 23 A, 25 B, 26 C
SCALE = [14, 16, 18, 19, 21, 23, 25, 26]


def earned(rule, *tokens):
    """What each of a few steps earns; the string is as long as it is given."""
    return [pytest.approx(value) for value in rules(np.array([tokens]))[rule][0]]


def test_a_note_out_of_key_loses_a_point():
    assert earned("key", 14, 15, 1, 0, 16) == [0, -1, 0, 0, 0]


def test_the_tonic_begins_and_ends():
    assert earned("tonic", 14, 16, 14, 1, 14, 1, 1, 0) == [3, 0, 0, 0, 3, 3, 3, 3]
    # the fifth step is the fourth last one; a rest may not follow it at once, and not another C
    assert earned("tonic", 26, 16, 14, 1, 14, 0, 14, 1) == [0, 0, 0, 0, 3, 0, 0, 3]


def test_excessive_repetition_costs_a_hundred():
    assert earned("repeating", *[14] * 7) == [0, 0, 0, 0, 0, -100, -100]
    assert earned("repeating", 0, 0, 0, 1) == [0, 0, -100, 0]


def test_autocorrelation_of_the_string_so_far():
    # two tokens: deviations -1, 1 of variance 1, so the correlation of lag 1 is -1/2; three: -1,
    # 1, 0 of variance 2/3, so -1/2 of lag 1, and 0 of lag 2
    assert earned("autocorrelation", 14, 16, 15) == [0, -1.5, -1.5]
    # four tokens in two halves: lag 1 gives 1/4, lag 2 -1/2, lag 3 -1/4; of the first three,
    # deviations -2/3, -2/3, 4/3 and variance 8/9: lag 1 -1/6, lag 2 -1/3
    assert earned("autocorrelation", 14, 14, 16, 16) == [0, 0, -1.5, -3.0]
    assert earned("autocorrelation", 14, 14, 14, 14) == [0, 0, 0, 0], "nothing varies"


def test_a_motif_has_three_pitches_in_eight_steps():
    assert earned("motif", 14, 16, 18, 1, 1, 1, 1, 1, 1)[6:] == [0, 3, 0]
    assert earned("motif", *SCALE)[7] == 3 + 0.3 * 5
    assert earned("motif", 14, 16, 1, 1, 1, 1, 14, 16)[7] == 0, "two pitches"


def test_a_repeated_motif_may_not_overlap_itself():
    again = earned("repeated motif", *SCALE, *SCALE)
    assert again == [0] * 15 + [4 + 5]
    third = [14, 16, 18, 1, 1, 1, 1, 1]
    assert earned("repeated motif", *third, *third)[15] == 4
    overlapping = rules(np.array([[14, 16, 18] * 4]))["repeated motif"]
    assert not overlapping.any()


@pytest.mark.parametrize(
    ("before", "now", "value"),
    [
        (16, 23, 5 * 0.02),  # a fifth from D
        (14, 21, 5 * 0.1),  # from the tonic
        (21, 28, 5 * 0.1),  # from the fifth
        (21, 14, 5 * 0.1),  # down as well
        (19, 23, 5 * 0.09),  # a major third from F
        (14, 18, 5 * 0.15),  # from the tonic
        (18, 14, 5 * 0.15),  # from the third
        (21, 25, 5 * 0.09),  # a third from the fifth is a third as any other
        (14, 16, 5 * 0.08),
        (14, 19, 5 * 0.07),
        (14, 23, 5 * 0.05),
        (14, 25, 5 * -0.3),
        (14, 26, 0),  # an octave
        (14, 27, 5 * -1),
        (14, 15, 0),
        (14, 14, 0),
        (14, 20, 0),
        (16, 0, 5 * 0.05),
        (16, 1, 5 * 0.075),
        (26, 0, 5 * 0.15),
        (33, 1, 5 * 0.3),
        (0, 14, 0),  # nothing before it
        (1, 1, 0),
    ],
)
def test_preferred_intervals(before, now, value):
    assert earned("preferred intervals", before, now) == [0, value]


def test_an_interval_is_from_the_last_pitch():
    assert earned("preferred intervals", 14, 1, 0, 18)[3] == 5 * 0.15


def test_thirds_in_the_key_count_like_fifths():
    """The published evaluation compared with `(fifth or interval == third)`, which is the fifth."""
    third = earned("preferred intervals", 14, 18)[1]
    plain = earned("preferred intervals", 19, 23)[1]
    assert third == 0.75
    assert plain == 0.45


def test_leaps_earn_where_they_are_resolved_and_cost_where_they_are_doubled():
    assert earned("leaps", 14, 21, 19, 16, 14) == [0, 0, 0, 0, 5]
    assert earned("leaps", 14, 21, 28) == [0, 0, -5]
    assert earned("leaps", 14, 21, 14) == [0, 0, 0]
    assert earned("leaps", 14, 21, 1, 1, 1, 1, 1, 1, 1, 14)[9] == 5


def test_unique_extremes_are_known_at_the_end():
    assert earned("unique highest", 14, 18, 16) == [0, 0, 3]
    assert earned("unique highest", 14, 18, 18) == [0, 0, 0]
    assert earned("unique lowest", 14, 18, 16) == [0, 0, 3]
    assert earned("unique lowest", 14, 14, 16) == [0, 0, 0]
    assert earned("unique lowest", 1, 0, 1) == [0, 0, 0], "there is no note"


def of_tokens(tokens) -> Score:
    """A score whose string is `tokens`: a note a pitch, from there to the next token but a hold."""
    notes = []
    for step, token in enumerate(tokens):
        if token >= 2:
            after = step + 1
            while after < len(tokens) and tokens[after] == 1:
                after += 1
            notes.append(Note(step, after - step, int(token) + 46))
    return Score((tuple(notes),), len(tokens))


def tune(seed: int, steps: int = 32) -> list[int]:
    """A walk on the scale, of two tokens a quarter: what a simple real tune is like."""
    rng = np.random.default_rng(seed)
    place = 0
    tokens = []
    for step in range(steps // 2):
        tokens += [SCALE[place], 1]
        place = int(np.clip(place + rng.choice([-1, 1]), 0, 7)) if step % 8 else 0
    return tokens


def test_noise_reaches_the_ceiling_of_motifs_and_beats_tunes():
    """Motifs are at most 25 of 32 steps, repeated ones 17, and noise has nearly all of the first:
    no sum of rules means anything without noise beside it."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, VOCABULARY, (500, 32))
    tunes = np.array([tune(seed) for seed in range(200)])
    of_noise = rules(noise)
    of_tunes = rules(tunes)
    share = (of_noise["motif"] > 0).mean()
    assert 0.77 < share <= 25 / 32
    assert of_noise["motif"].sum(1).mean() > of_tunes["motif"].sum(1).mean()
    assert of_noise["unique highest"].sum(1).mean() > of_tunes["unique highest"].sum(1).mean()
    most = rules(np.array([SCALE * 4]))
    assert (most["motif"] > 0).sum() == 25
    assert (most["repeated motif"] > 0).sum() == 17


def test_each_rule_is_a_measure_at_its_steps_and_the_sum_is_theirs():
    score = of_tokens(tune(3))
    measures = measures_of("music")
    sample = Sample(score)
    total: dict = {}
    for rule in RULES:
        parts = measures[f"RL Tuner {rule}"].of(sample)
        values = rules(melody_tokens(score)[None])[rule][0]
        steps = melody_steps(score)
        assert parts == {(int(steps[i]), 0): values[i] for i in np.flatnonzero(values)}
        for place, value in parts.items():
            total[place] = total.get(place, 0.0) + value
    summed = measures[f"RL Tuner {SUM}"].of(sample)
    assert {
        place: pytest.approx(value) for place, value in total.items() if abs(value) > 1e-12
    } == {place: value for place, value in summed.items() if abs(value) > 1e-12}


def test_many_pieces_at_once_give_what_each_gives_alone():
    samples = [Sample(of_tokens(tune(seed))) for seed in range(4)]
    measures = measures_of("music")
    for name in ("RL Tuner sum", "RL Tuner leaps", "in motif", "leaps resolved"):
        measure = measures[name]
        together = measure.of_all(samples)
        alone = [measure.of(sample) for sample in samples]
        np.testing.assert_equal(together, alone)


def test_a_place_is_where_the_note_begins_on_a_finer_grid():
    """Of twelve steps a quarter note, three are a sixteenth, and a note may begin at the second."""
    score = Score(((Note(0, 4, 60), Note(4, 8, 62)),), 12, per_quarter=12)
    assert melody_steps(score, 4).tolist() == [0, 4, 8, 11]
    tokens = melody_tokens(score, 4)
    assert tokens[1] - tokens[0] == 2
    assert tokens[2:].tolist() == [1, 1]
