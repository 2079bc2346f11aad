"""What preparing says to a person: counts beside their kinds, and nothing that is a name without
its number."""

from collections import Counter

from genwright.contents.music.codec_event import Event
from genwright.contents.music.data import MusicData
from genwright.contents.music.draft import lost_of
from genwright.runs.remarks import left_out

HEAD = "L:1/4\nM:4/4\nK:C\n"
# 8, 8 and 5 notes, a grace note apart
TUNES = ('{g}C D "Am"E F|G A B c|', "C E G c|c G E C|", "E E D D|C4|")
ABC = "\n".join(f"X:{number}\n{HEAD}{tune}\n" for number, tune in enumerate(TUNES, 1))


def test_what_a_grid_loses_is_said_with_its_counts_and_of_how_many_notes():
    counts = Counter(
        {"notes": 12_345, "tuplets": 3, "grace notes": 2, "chord symbols": 1_000, "notes moved": 0}
    )
    assert (
        lost_of(counts, 4)
        == "of 12,345 notes, on 4 steps a quarter note: chord symbols 1,000, grace notes 2"
    )
    assert lost_of(Counter({"notes": 5, "tuplets": 1}), 4) == ""


def test_training_says_what_reading_a_corpus_lost_in_one_sentence(tmp_path):
    (tmp_path / "tunes.abc").write_text(ABC)
    data = MusicData(
        source="files",
        path=str(tmp_path / "tunes.abc"),
        cache=str(tmp_path / "cache"),
        minimum=1,
        held_out=0.3,
    )
    said = left_out(data.prepare(Event()).summary)
    assert said[0] == "of 21 notes, on 12 steps a quarter note: chord symbols 1, grace notes 1"


def test_what_is_passed_over_is_counted_and_the_first_few_are_named():
    assert left_out({"skipped": ["a.txt is binary"]}) == [
        "1 passed over, the first: a.txt is binary"
    ]
    skipped = [f"{i}.txt is binary" for i in range(1234)]
    assert left_out({"skipped": skipped}) == [
        "1,234 passed over, the first: 0.txt is binary; 1.txt is binary; 2.txt is binary"
    ]
