"""Numbers that documents' own bytes decide."""

import numpy as np

from genwright.curation.chance import chance

NAMES = np.arange(1000, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)


def test_all_digits_of_a_seed_and_what_the_number_is_for_decide():
    seen = set()
    for seed in (0, 1, 123456789, 123456788, 2**62, 2**62 + 1):
        for use in ("side", "times"):
            numbers = chance(NAMES, seed, use)
            assert numbers.min() >= 0 and numbers.max() < 1
            assert abs(numbers.mean() - 0.5) < 0.05
            seen.add(numbers.tobytes())
    assert len(seen) == 12


def test_numbers_of_short_seeds_stay_what_they_were():
    assert chance(NAMES[1:3], 0, "side").tolist() == [0.5186528788348809, 0.8036598372257742]
