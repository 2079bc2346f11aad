"""A timed pilot fixes how many samples are drawn; all are finished; the number is kept and can be
repeated."""

import pytest

from genwright.evaluation.pilot import SampleCounts


class Sampler:
    """Sample i is i; each takes some seconds of its clock."""

    def __init__(self, seconds):
        self.seconds, self.now, self.asked = seconds, 0.0, []

    def clock(self):
        return self.now

    def make(self, first, count):
        self.asked.append((first, count))
        self.now += sum(self.seconds(i) for i in range(first, first + count))
        return list(range(first, first + count))


def drawn(sampler, given=None, kept=None, least=4, most=1000, part=8, **more):
    counts = SampleCounts(given, kept, clock=sampler.clock)
    parts = counts.draw("samples", sampler.make, least=least, most=most, part=part, **more)
    samples = [i for its in parts for i in its]
    assert samples == list(range(len(samples))) and counts.drawn == {"samples": len(samples)}
    return len(samples)


def test_as_many_as_take_a_minute():
    for seconds, most, wanted in (
        (0.5, 1000, 120),
        (5.0, 1000, 12),
        (0.001, 1000, 1000),
        (0.001, 32, 32),
        (100.0, 1000, 4),
    ):
        sampler = Sampler(lambda i, seconds=seconds: seconds)
        assert drawn(sampler, most=most) == wanted
    assert drawn(Sampler(lambda i: 1.0), share=0.5) == 30


def test_long_samples_are_finished_and_counted():
    """A limit on time would leave out the sample that takes ten minutes."""
    sampler = Sampler(lambda i: 600.0 if i == 40 else 1.0)
    assert drawn(sampler) == 60 and sampler.now == 659


def test_a_number_that_is_given_or_kept_needs_no_pilot():
    slow = Sampler(lambda i: 1000.0)
    assert drawn(slow, given=7) == 7
    assert drawn(slow, kept={"samples": 9, "others": 3}) == 9
    assert drawn(slow, given=7, kept={"samples": 9}) == 7, "what the user asks for now counts"
    assert (
        drawn(slow, given=50, limit=16) == 16 and drawn(slow, kept={"samples": 50}, limit=16) == 16
    )
    assert drawn(Sampler(lambda i: 0.1), limit=16) == 16
    assert drawn(slow, given=2000, most=10) == 2000, "more than a pilot would choose"


@pytest.mark.parametrize("count", [1, 2, 5, 30, 60])
def test_the_same_samples_come_in_the_same_parts_whatever_their_number(count):
    piloted, again = Sampler(lambda i: 1.0), Sampler(lambda i: 50.0)
    assert drawn(piloted) == 60
    assert drawn(again, given=count) == count
    whole = [part for part in piloted.asked if sum(part) <= count]
    assert again.asked[: len(whole)] == whole
    assert piloted.asked[:4] == [(0, 2), (2, 6), (8, 8), (16, 8)]
