"""ABC beside an independent reader, and generated ABC: small runs of benchmarks/read_abc.py and
benchmarks/fuzz_abc.py."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "benchmarks"))

import read_abc
from fuzz_abc import fuzz

HEAD = "X:1\nM:4/4\nL:1/4\nK:C\n"
HARD = (  # tunes of the collections that were once read wrongly, or hold what is rare
    "oneills1850/0732-0758_mh.abc#3",  # a broken rhythm beside grace notes
    "oneills1850/0811-0899.abc#1",  # +E3A3+
    "oneills1850/0051-0100.abc#33",  # (9 after another
    "oneills1850/0701-0720.abc#17",  # a broken rhythm of unequal notes
    "airdsAirs/book1.abc#171",  # parts
    "airdsAirs/book6.abc#91",  # line breaks of old
    "ryansMammoth/PausteenFawnJig.abc#1",  # K:Dmix=c
    "ryansMammoth/TidalWaveJig.abc#1",  # =3D
    "ryansMammoth/DickCarrolsClog.abc#1",  # a chord of unequal notes
    "ryansMammoth/WalkAroundCarveDatPossum.abc#1",  # a letter that stands for nothing
    "essenFolksong/lot.abc#107",  # a number without a note
)
EXAMPLES = (
    "V:S\nc4|d4|\nV:A\nA4|B4|\nV:T\nE4|F4|\nV:B\nC4|D4|\n",
    "V:1\nCDEF|GABc|]\nV:2\nx4|C,4|]\n",
    "F4|[K:G]F4|[L:1/8]F8|[M:3/4]F6|\n",
    "V:1\nC4 & E2 G2 & c4|D4|]\nV:2\nC,4|D,4|\n",
    "Z2|C4|\n",
    "A>{g}B A<(B|A) >B\n",
    "(3A{g}BC (3z A [Bd] c|\n",
    "A>>B A<<<B|z<A A>z|[CE]>[DF]\n",
    "A>B2 A/<B A>B>A\n",
    "[K:D exp _b _e ^f]BEFC[K:D Phr ^f]BEFC[K:D maj =c]BEFC[K:C loc]CDEFGAB\n",
    "[^CE_G]2 [CEG] C|[CEG]^F f F|F\n",
    "^c4-|c c|c [C-E-G-]4|[CEG]4|[CE]-[CE] C-C-|C\n",
    "V:1 octave=1\nC\nV:2 clef=treble-8\nC\nV:3 transpose=-2\nC\n",
)


@pytest.fixture(scope="module")
def program() -> str:
    pytest.importorskip("symusic")
    return read_abc.abc2midi()


@pytest.fixture(scope="module")
def tunes() -> dict[str, read_abc.Tune]:
    pytest.importorskip("music21")
    return {
        tune.name: tune
        for files in read_abc.collections().values()
        for tune in read_abc.tunes_of(files)
    }


def test_tunes_of_the_collections_are_what_abc2midi_plays(tunes, program):
    names = sorted(tunes)
    some = [tunes[name] for name in {*names[:: len(names) // 60], *HARD}]
    differ = {
        name: words
        for name, _, words in read_abc.compare(some, program)
        if words and name not in read_abc.EXPLAINED
    }
    assert not differ and len(some) > 60


@pytest.mark.parametrize("music", EXAMPLES)
def test_examples_are_what_abc2midi_plays(music, program, tmp_path):
    text = HEAD + music
    assert (
        read_abc.difference(
            read_abc.by_us(text), read_abc.by_abc2midi(text, program, str(tmp_path))
        )
        == ""
    )


def test_differences_are_seen(program, tmp_path):
    theirs = read_abc.by_abc2midi(HEAD + "CDE\n", program, str(tmp_path))
    assert [[pitch for _, _, pitch in voice] for voice in theirs] == [[60, 62, 64]]
    for music in ("CD^E\n", "CD\n", "CD2E\n", "C>DE\n", "V:1\nCDE\nV:2\nC\n", "[K:H]CDE\n"):
        assert read_abc.difference(read_abc.by_us(HEAD + music), theirs), music


def test_generated_tunes_are_read_as_they_were_made():
    tally = fuzz(300)
    assert tally.whole >= 100 and tally.notes > 500
    assert tally.refused > 30 and tally.read_though_damaged > 10
