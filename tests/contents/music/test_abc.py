"""ABC by the standard 2.1: onset, length and pitch of every example are worked out by hand from its
text."""

from __future__ import annotations

import contextlib
import time
from fractions import Fraction

import pytest

from genwright.contents.music import abc_file, abc_reader
from genwright.contents.music.draft import BadMusic, Draft

F = Fraction
HEAD = "X:1\nM:4/4\nL:1/4\nK:C\n"


def draft(text: str) -> Draft:
    (tune,) = abc_file.tunes(text.encode())
    return abc_reader.read(tune)


def sounds(text: str, voice: int = 0) -> list[tuple[Fraction, Fraction, int]]:
    """(onset, length, pitch) of a voice."""
    return [(raw.start, raw.length, raw.pitch) for raw in draft(text).voices[voice][1]]


def pitches(music: str, key: str = "C") -> list[int]:
    return [pitch for _, _, pitch in sounds(f"X:1\nL:1/4\nK:{key}\n{music}\n")]


def lengths(music: str, head: str = HEAD) -> list[Fraction]:
    """In quarter notes, which are the unit note length of the usual head."""
    return [length for _, length, _ in sounds(f"{head}{music}\n")]


def onsets(music: str, head: str = HEAD) -> list[Fraction]:
    return [start for start, _, _ in sounds(f"{head}{music}\n")]


def lost(text: str) -> dict[str, int]:
    return {kind: count for kind, count in draft(text).lost.items() if count}


# Voices (7)


def test_voices_named_by_words_are_so_many_voices():
    found = draft(HEAD + "V:S\nc4|d4|\nV:A\nA4|B4|\nV:T\nE4|F4|\nV:B\nC4|D4|\n")
    assert [name for name, _ in found.voices] == ["S", "A", "T", "B"]
    assert [[(raw.start, raw.pitch) for raw in notes] for _, notes in found.voices] == [
        [(0, 72), (4, 74)],
        [(0, 69), (4, 71)],
        [(0, 64), (4, 65)],
        [(0, 60), (4, 62)],
    ]
    assert found.bars == [0, 4, 8] and found.end == 8


def test_a_voice_goes_on_where_it_left_off_and_inline():
    found = draft(HEAD + "V:one\nc4|\nV:two\nC4|\nV:one\nd4|\n[V:two]D4|\n")
    assert [[(raw.start, raw.pitch) for raw in notes] for _, notes in found.voices] == [
        [(0, 72), (4, 74)],
        [(0, 60), (4, 62)],
    ]


def test_properties_of_voices_move_octaves_and_semitones():
    head = (
        'X:1\nL:1/4\nV:1 name="Violin = first" octave=1\nV:2 clef=treble-8\n'
        "V:3 transpose=-2 clef=bass\nV:4 bass\nK:C\n"
    )
    found = draft(head + "V:1\nC\nV:2\nC\nV:3\nC\nV:4\nC\nV:5 octave=-1 transpose=3\nC\n")
    assert [notes[0].pitch for _, notes in found.voices] == [72, 48, 58, 60, 51]
    assert pitches("C[K:transpose=5]C[K:octave=-1]C[K:clef=treble+8]C[K:treble]C") == [
        60,
        65,
        53,
        65,
        53,
    ]


def test_a_voice_of_percussion_has_no_pitches_and_is_counted():
    found = draft(HEAD + "V:1\nC4|\nV:2 clef=perc\nEFGA|\n")
    assert [len(notes) for _, notes in found.voices] == [1, 0] and found.lost[
        "unpitched notes"
    ] == 4


def test_music_before_the_first_voice_belongs_to_it():
    found = draft(HEAD + "C4|\nV:a\nD4|\nV:b\nE4|\n")
    assert [(name, [raw.start for raw in notes]) for name, notes in found.voices] == [
        ("a", [0, 4]),
        ("b", [0]),
    ]


def test_a_field_of_one_voice_leaves_the_others():
    found = draft(HEAD + "V:1\nF|[K:G]F|[L:1/8]F|\nV:2\nF|F|F|\n")
    first, second = (
        [(raw.start, raw.length, raw.pitch) for raw in notes] for _, notes in found.voices
    )
    assert first == [(0, 1, 65), (1, 1, 66), (2, F(1, 2), 66)]
    assert second == [(0, 1, 65), (1, 1, 65), (2, 1, 65)]
    assert found.keys == [(0, 0, "major"), (1, 1, "major")]


# Rests (4.5)


def test_invisible_rests_and_rests_of_bars_take_their_time():
    text = "X:1\nM:4/4\nL:1/4\nK:C\nV:1\nCDEF|GABc|]\nV:2\nx4|C,4|]\n"
    assert sounds(text, voice=1) == [(4, 4, 48)]
    assert sounds(HEAD + "Z2|C|[M:3/4]Z|C|X|C|z C|z3/2C\n") == [
        (8, 1, 60),
        (12, 1, 60),
        (16, 1, 60),
        (18, 1, 60),
        (F(41, 2), 1, 60),
    ]
    assert draft(HEAD + "Z3|C|\n").bars == [0, 4, 8, 12, 13]


def test_a_rest_of_bars_needs_a_metre():
    with pytest.raises(BadMusic, match="a rest of bars .Z. where no metre"):
        draft("X:1\nK:C\nZ2|C|\n")


def test_a_line_may_begin_with_a_note_before_a_bar_line():
    assert pitches("A\nB:|\nc::d\nz:|e") == [69, 71, 72, 74, 76]


def test_spacers_take_no_time():
    assert onsets("Cy Cy20C`C") == [0, 1, 2, 3]


# Fields within music (3.2)


def test_inline_fields():
    assert sounds("X:1\nL:1/4\nK:C\nF4|[K:G]F4|\n") == [(0, 4, 65), (4, 4, 66)]
    assert sounds("X:1\nL:1/4\nK:C\nF[L:1/8]F[L:1/16]F\n") == [
        (0, 1, 65),
        (1, F(1, 2), 65),
        (F(3, 2), F(1, 4), 65),
    ]
    found = draft(HEAD + "Q:1/4=90\nC4|[M:3/4]C3|[Q:1/4=60][M:2/4][K:Dm]C2|\n[r:only a remark]\n")
    assert found.meters == [(0, 4, 4), (4, 3, 4), (7, 2, 4)]
    assert found.keys == [(0, 0, "major"), (7, -1, "minor")]
    assert found.tempo == 90 and found.tempos == [(7, 60)]


def test_a_key_in_the_body_ends_the_accidentals_of_the_bar():
    assert pitches("^C C[K:F]C B|") == [61, 61, 60, 70]


# What is no music (2.2)


def test_a_tune_ends_at_the_empty_line():
    text = "X:1\nK:C\nCDE|\n \t\nA remark, and a bad cadence\n\nX:2\nK:C\nF\nG\n"
    first, second = abc_file.tunes(text.encode())
    assert [raw.pitch for raw in abc_reader.read(first).voices[0][1]] == [60, 62, 64]
    assert [raw.pitch for raw in abc_reader.read(second).voices[0][1]] == [65, 67]


def test_typeset_text_remarks_and_continued_fields_are_no_music():
    text = (
        "X:1\nT:A title\nH:It was heard\n+:CDE at a fair\nK:C\nC\n%%begintext\nAdd a bad egg\n\n"
        "X:9\nGAB\n%%endtext\nD\n"
    )
    text += "r:a bad egg\nw:ab-ba\n+:ce de\nE % a bad egg\n% abc\n%%text abc\nF\n"
    assert [pitch for _, _, pitch in sounds(text)] == [60, 62, 64, 65]
    assert lost(text) == {"lines of lyrics": 1}


def test_music_after_an_empty_line_is_counted():
    text = "X:1\nK:C\nC|\n\n|: DEFG | A2 c2 :|\nA remark with | a bar line\n"
    assert [pitch for _, _, pitch in sounds(text)] == [60] and lost(text) == {
        "lines of music after an empty line": 1
    }


def test_a_block_of_text_that_never_ends_is_refused():
    with pytest.raises(BadMusic, match="holds %%begintext without %%endtext"):
        abc_file.tunes(b"X:1\nK:C\nC\n%%begintext\n\nX:2\nK:C\nD\n")


def test_tunes_without_a_number_are_told_apart_by_empty_lines():
    found = abc_file.tunes(b"\n\nSome words\n\nL:1/4\nK:C\nCD\n\nWords\n\nT:b\nK:G\nF\n")
    assert [[raw.pitch for raw in abc_reader.read(tune).voices[0][1]] for tune in found] == [
        [60, 62],
        [66],
    ]


def test_the_file_header_holds_for_all_tunes_and_other_text_for_none():
    text = (
        "%abc-2.1\nM:3/4\nL:1/8\nC:Somebody\n\nFree text, L:1/2 and\nM:2/4\n\nX:1\nK:C\nCD\n\n"
        "X:2\nL:1/4\nC:Another\nK:C\nCD\n"
    )
    first, second = (abc_reader.read(tune) for tune in abc_file.tunes(text.encode()))
    assert [raw.length for raw in first.voices[0][1]] == [F(1, 2)] * 2 and [
        raw.length for raw in second.voices[0][1]
    ] == [1, 1]
    assert first.meters == second.meters == [(0, 3, 4)] and first.facts["composer"] == "Somebody"


def test_line_ends_of_all_systems_and_continued_lines():
    for end in ("\n", "\r\n", "\r"):
        text = f"X:1{end}L:1/4{end}K:C{end}CD\\{end}EF|\\  % a comment{end}G{end}"
        assert sounds(text) == [(i, 1, pitch) for i, pitch in enumerate((60, 62, 64, 65, 67))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_encodings(encoding):
    (tune,) = abc_file.tunes("X:1\nT:Bäume\nL:1/4\nK:C\nCD\n".encode(encoding))
    found = abc_reader.read(tune)
    assert found.facts["title"] == "Bäume" and [raw.pitch for raw in found.voices[0][1]] == [60, 62]


def test_a_mark_of_another_encoding_is_named():
    with pytest.raises(BadMusic, match="is marked as UTF-16, but is none"):
        abc_file.tunes("X:1".encode("utf-16")[:-1])


def test_signs_of_mail_are_undone():
    assert pitches("^C=3DC C=20\nD =\nE") == [61, 60, 60, 62, 64]


# Broken rhythm (4.4)


@pytest.mark.parametrize(
    "between", ["", " ", "{g}", ") (", "~", "!trill!", '"Am"', "`", "-", "\n", "\\\n", "|", "y"]
)
def test_broken_rhythm_beside_other_signs(between):
    """`A>B` and all that may stand between its parts: a dotted note and half of one."""
    music = f"(A>{between}A)" if between != "-" else "A->A"
    tied = between == "-"
    found = [raw for raw in draft(HEAD + music + "\n").voices[0][1] if raw.length]
    assert [(raw.start, raw.length, raw.tied) for raw in found] == [
        (0, F(3, 2), False),
        (F(3, 2), F(1, 2), tied),
    ]
    before = list(draft(HEAD + music.replace(f">{between}", f"{between}>") + "\n").voices[0][1])
    if between not in ("~", "!trill!", '"Am"'):
        assert [(raw.start, raw.length) for raw in before] == [(0, F(3, 2)), (F(3, 2), F(1, 2))]


def test_a_bar_line_inside_a_broken_rhythm_moves_with_it():
    assert draft(HEAD + "CDEF>|GABc|\n").bars == [0, F(9, 2), 8]
    assert draft(HEAD + "CDEF|<GABc|\n").bars == [0, F(7, 2), 8]


def test_broken_rhythms_of_several_signs_rests_and_chords():
    assert lengths("A>>B A<<<B") == [F(7, 4), F(1, 4), F(1, 8), F(15, 8)]
    assert onsets("z<A A>z [CE]>[DF] C") == [F(1, 2), 2, 4, 4, F(11, 2), F(11, 2), 6]
    assert lengths("[CE]2>[DF]2") == [3, 3, 1, 1]
    assert lengths("A>Bc>d") == [F(3, 2), F(1, 2)] * 2


def test_a_broken_rhythm_of_unequal_notes_is_undefined_and_counted():
    text = HEAD + "A>B2 A/<B A>B>A >"
    assert [length for _, length, _ in sounds(text)] == [1, 2, F(1, 2), 1, F(3, 2), F(1, 2), 1]
    assert lost(text) == {"broken rhythms not applied": 4}


# Tuplets and grace notes (4.12, 4.13)


@pytest.mark.parametrize(
    ("metre", "tuplet", "each"),
    [
        ("4/4", "(2ab", F(3, 2)),
        ("4/4", "(3abc", F(2, 3)),
        ("4/4", "(4abcd", F(3, 4)),
        ("4/4", "(5abcde", F(2, 5)),
        ("6/8", "(5abcde", F(3, 5)),
        ("3/4", "(5abcde", F(2, 5)),
        ("4/4", "(6abcdef", F(1, 3)),
        ("4/4", "(7abcdefg", F(2, 7)),
        ("9/8", "(7abcdefg", F(3, 7)),
        ("4/4", "(8abcdefga", F(3, 8)),
        ("12/8", "(9abcdefgab", F(1, 3)),
        ("2/4", "(9abcdefgab", F(2, 9)),
        ("4/4", "(3::ab c", F(2, 3)),
        ("4/4", "(3:2ab c", F(2, 3)),
        ("4/4", "(3:4:abc", F(4, 3)),
        ("4/4", "(5:4:3abc", F(4, 5)),
        ("4/4", "(11:8:3abc", F(8, 11)),
    ],
)
def test_tuplets(metre, tuplet, each):
    head = f"X:1\nM:{metre}\nL:1/4\nK:C\n"
    notes = list(draft(f"{head}{tuplet} A\n").voices[0][1])
    assert [raw.length for raw in notes] == [each] * (len(notes) - 1) + [1] and all(
        raw.tuplet for raw in notes[:-1]
    )


def test_what_a_tuplet_counts():
    assert lengths("(3::2ABc") == [F(2, 3), F(2, 3), 1]
    assert onsets("(3{ag}A{b}B{c}c d") == [0, F(2, 3), F(4, 3), 2], "grace notes are not counted"
    assert onsets("(3z A [Bd]c") == [F(2, 3), F(4, 3), F(4, 3), 2], "rests and chords are"
    assert lengths("(3A/B/c/ (3A2BA3/2") == [F(1, 3)] * 3 + [F(4, 3), F(2, 3), 1]
    assert lengths("(3A>BA") == [1, F(1, 3), F(2, 3)]
    assert lengths("((3ABc)(3(ABc)") == [F(2, 3)] * 6
    assert lengths("(3AB|c d") == [F(2, 3)] * 3 + [1]


def test_grace_notes_take_no_time_and_are_counted():
    text = HEAD + "f {/ga2}A {c>d}B{[ce]}z\n"
    assert sounds(text) == [(0, 1, 77), (1, 1, 69), (2, 1, 71)] and lost(text) == {"grace notes": 6}


def test_accidentals_of_grace_notes_hold_like_others():
    assert pitches("{^f}f F {=f}f|f") == [78, 66, 77, 77]


# Overlay (7.4)


def test_an_overlay_goes_back_to_the_bar_line():
    found = draft("X:1\nM:4/4\nL:1/8\nK:C\nC8 & E4 G4|D8|]\n")
    assert [
        (name, [(raw.start, raw.length, raw.pitch) for raw in notes])
        for name, notes in found.voices
    ] == [
        ("", [(0, 4, 60), (4, 4, 62)]),
        ("&", [(0, 2, 64), (2, 2, 67)]),
    ]
    assert found.bars == [0, 4, 8]


def test_overlays_of_two_voices_of_two_bars_and_of_a_later_bar():
    found = draft(HEAD + "C4|C4 & E4 & G4|c2 d2|\n")
    assert [[raw.start for raw in notes] for _, notes in found.voices] == [[0, 4, 8, 10], [4], [4]]
    found = draft(HEAD + "g2 f2|e3 e && (d4|c3) c|g4|\n")
    main, over = (
        [(raw.start, raw.length, raw.pitch) for raw in notes] for _, notes in found.voices
    )
    assert main == [(0, 2, 79), (2, 2, 77), (4, 3, 76), (7, 1, 76), (8, 4, 79)]
    assert over == [(0, 4, 74), (4, 3, 72), (7, 1, 72)]
    with pytest.raises(BadMusic, match="'&&&', which goes back to before the beginning"):
        draft(HEAD + "C4|C4 &&& C4|\n")


def test_an_overlay_has_accidentals_of_its_own():
    found = draft(HEAD + "^C2 C2 & C4|C4|\n")
    assert [[raw.pitch for raw in notes] for _, notes in found.voices] == [[61, 61, 60], [60]]


# Pitch, accidentals, keys (4.1, 4.2, 3.1.14)


def test_octaves_and_accidentals():
    assert pitches("C,, C, C c c' c'' C' c,") == [36, 48, 60, 72, 84, 96, 72, 60]
    assert pitches("^^C|^C|=C|_C|__C|", "D") == [62, 61, 60, 59, 58]


def test_accidentals_hold_to_the_bar_line_in_all_octaves():
    assert pitches("^F f F, =f F|F") == [66, 78, 54, 77, 65, 65]
    assert pitches("^F f|F", "C\nI:propagate-accidentals octave") == [66, 77, 65]
    assert pitches("^F F|F", "C\n%%propagate-accidentals not") == [66, 65, 65]
    for bar in ("|", "||", ":|", "|:", "::", "|]", "[|", "|1 ", ":|2 ", "[|]", ".|"):
        assert pitches(f"^F{bar}F") == [66, 65], bar
    assert pitches("^F [1 F") == [66, 66], "an ending without a bar line"


def test_accidentals_in_chords_and_over_ties():
    assert pitches("[^CE_G]2 [CEG] C|[CEG]") == [61, 64, 66, 61, 64, 66, 61, 60, 64, 67]
    assert pitches("^c4-|c c|c") == [73, 73, 72, 72], "tied over the bar line, and no further"
    assert pitches("^c4-|=c") == [73, 72]
    assert pitches("[^c^e]-|[ce]c") == [73, 77, 73, 77, 72]


@pytest.mark.parametrize(
    ("key", "sharps", "mode", "scale"),  # the scale: C D E F G A B
    [
        ("C", 0, "major", [60, 62, 64, 65, 67, 69, 71]),
        ("", None, "", [60, 62, 64, 65, 67, 69, 71]),
        ("none", None, "", [60, 62, 64, 65, 67, 69, 71]),
        ("F#", 6, "major", [61, 63, 65, 66, 68, 70, 71]),
        ("Bb", -2, "major", [60, 62, 63, 65, 67, 69, 70]),
        ("Am", 0, "minor", [60, 62, 64, 65, 67, 69, 71]),
        ("G minor", -2, "minor", [60, 62, 63, 65, 67, 69, 70]),
        ("EMin", 1, "minor", [60, 62, 64, 66, 67, 69, 71]),
        ("F#MIXolydian", 5, "", [61, 63, 64, 66, 68, 70, 71]),
        ("Ador", 1, "", [60, 62, 64, 66, 67, 69, 71]),
        ("E phr", 0, "", [60, 62, 64, 65, 67, 69, 71]),
        ("Flyd", 0, "", [60, 62, 64, 65, 67, 69, 71]),
        ("B locrian", 0, "", [60, 62, 64, 65, 67, 69, 71]),
        ("C loc", -5, "", [60, 61, 63, 65, 66, 68, 70]),
        ("A aeolian", 0, "minor", [60, 62, 64, 65, 67, 69, 71]),
        ("G Ionian", 1, "major", [60, 62, 64, 66, 67, 69, 71]),
        ("D Phr ^f", None, "", [60, 62, 63, 66, 67, 69, 70]),
        ("D maj =c", 1, "", [60, 62, 64, 66, 67, 69, 71]),
        ("Dmix=c", 1, "", [60, 62, 64, 66, 67, 69, 71]),
        ("D =c", 1, "", [60, 62, 64, 66, 67, 69, 71]),
        ("D exp _b _e ^f", None, "", [60, 62, 63, 66, 67, 69, 70]),
        ("HP", 2, "", [61, 62, 64, 66, 67, 69, 71]),
        ("Hp", 2, "", [61, 62, 64, 66, 67, 69, 71]),
        ("G clef=bass", 1, "major", [60, 62, 64, 66, 67, 69, 71]),
        ("D bass octave=1", 2, "major", [73, 74, 76, 78, 79, 81, 83]),
    ],
)
def test_keys(key, sharps, mode, scale):
    found = draft(f"X:1\nL:1/4\nK:{key}\nCDEFGAB\n")
    assert [raw.pitch for raw in found.voices[0][1]] == scale
    assert found.keys == ([] if sharps is None else [(0, sharps, mode)])


@pytest.mark.parametrize("key", ["Bn", "H", "Es", "c", "G major tune", "Cx", "CB"])
def test_a_key_that_is_none_is_refused(key):
    with pytest.raises(BadMusic, match=f"sets the key '{key[:20]}', which is none of ABC"):
        draft(f"X:1\nK:{key}\nC\n")


def test_a_clef_alone_changes_no_key():
    assert pitches("F[K:clef=bass]F[K:treble]F", "G") == [66, 66, 66]


# Ties, chords, bar lines (4.11, 4.17, 4.8)


def test_ties_of_notes_and_of_notes_in_chords():
    def tied(music):
        return [raw.tied for raw in draft(HEAD + music + "\n").voices[0][1]]

    assert tied("C-C C") == [False, True, False]
    assert tied("C - C-D C") == [False, True, False, False], "a tie to another pitch is none"
    assert tied("C-|\\\nC:|") == [False, True]
    assert tied("[CE]-[CE]") == [False, False, True, True]
    assert tied("[C-E]C E") == [False, False, True, False]
    assert tied("C-{d}C C-zC") == [False, True, False, False]
    assert tied("(3C-C-C-C") == [False, True, True, True]
    (score, _) = draft(HEAD + "C2-C-|C\n").score(4)
    assert [(note.start, note.length) for note in score.voices[0]] == [(0, 16)]


def test_lengths_of_notes_and_chords():
    assert lengths("A A2 A/ A/2 A3/2 A// A/4 A3/ A16") == [
        1,
        2,
        F(1, 2),
        F(1, 2),
        F(3, 2),
        F(1, 4),
        F(1, 4),
        F(3, 2),
        16,
    ]
    assert lengths("[CE]2 [C2E2] [C2E2]3 [CE]/") == [2, 2, 2, 2, 6, 6, F(1, 2), F(1, 2)]
    text = HEAD + "[C2E]D [Cz]\n"
    assert sounds(text) == [(0, 2, 60), (0, 2, 64), (2, 1, 62), (3, 1, 60)], (
        "as long as the first note"
    )
    assert lost(text) == {"chords of unequal notes": 1}
    assert sounds(HEAD + "+CE+D\n") == [(0, 1, 60), (0, 1, 64), (1, 1, 62)], "before ABC 2.0"


def test_bar_lines_of_all_kinds():
    found = draft(HEAD + "C4|C4||C4[|C4|]C4|:C4:|C4::C4|1C4:|2C4:||:[1C4]|[2,3C4|]\n")
    assert [raw.start for raw in found.voices[0][1]] == [4 * i for i in range(12)]
    assert sorted(set(found.bars)) == [4 * i for i in range(13)]
    assert found.lost["repeats not played out"] == 4


def test_repeats_parts_and_da_capo_are_counted_once_for_all_voices():
    text = "X:1\nP:AAB\nM:4/4\nL:1/4\nK:C\nV:1\nP:A\nC4:|\nP:B\nD4 !D.C.!|]\nV:2\nC4:|D4|]\n"
    assert lost(text) == {"repeats not played out": 3}


# Metre, unit length, tempo (3.1.6 to 3.1.8)


@pytest.mark.parametrize(
    ("metre", "meters", "unit"),
    [
        ("M:4/4\n", [(0, 4, 4)], F(1, 2)),
        ("M:C\n", [(0, 4, 4)], F(1, 2)),
        ("M:C|\n", [(0, 2, 2)], F(1, 2)),
        ("M:none\n", [], F(1, 2)),
        ("", [], F(1, 2)),
        ("M:2/4\n", [(0, 2, 4)], F(1, 4)),
        ("M:3/4\n", [(0, 3, 4)], F(1, 2)),
        ("M:6/8\n", [(0, 6, 8)], F(1, 2)),
        ("M:5/8\n", [(0, 5, 8)], F(1, 4)),
        ("M:(2+3)/8\n", [(0, 5, 8)], F(1, 4)),
        ("M:2+3+2/8\n", [(0, 7, 8)], F(1, 2)),
        ("M:3/8+2/8+3/4\n", [(0, 11, 8)], F(1, 2)),
        ("L:1/16\nM:4/4\n", [(0, 4, 4)], F(1, 4)),
    ],
)
def test_metres_and_the_length_they_set(metre, meters, unit):
    found = draft(f"X:1\n{metre}K:C\nC\n")
    assert (
        found.meters == meters and found.voices[0][1][0].length == unit and not found.lost.total()
    )


def test_a_metre_in_the_body_leaves_the_unit_length():
    assert lengths("C[M:2/4]C", "X:1\nM:4/4\nK:C\n") == [F(1, 2), F(1, 2)]


def test_a_metre_that_cannot_be_read_is_counted():
    assert lost("X:1\nM:FREI4/4\nL:1/4\nK:C\nC\n") == {"fields not understood": 1}


@pytest.mark.parametrize(
    ("tempo", "quarters"),
    [
        ("1/4=120", 120),
        ("3/8=50", 75),
        ("1/2=60.5", 121),
        ('"Allegro" 1/4=120', 120),
        ('3/8=50 "Slowly"', 75),
        ("1/4 3/8 1/4 3/8=40", 200),
        ("1/4 1/8=100", 150),
        ("120", 60),
        ("C=120", 60),
        ("C3=40", 60),
        (" 1/4 = 88 ", 88),
    ],
)
def test_tempos(tempo, quarters):
    assert draft(f"X:1\nL:1/8\nQ:{tempo}\nK:C\nC\n").tempo == pytest.approx(quarters)


def test_a_tempo_in_words_or_of_no_kind_is_counted():
    assert lost('X:1\nQ:"Andante"\nK:C\nC\n') == {"tempos in words": 1}
    assert lost("X:1\nQ:fast\nK:C\nC\n") == {"fields not understood": 1}
    assert draft("X:1\nQ:fast\nK:C\nC\n").tempo is None


# Decorations, chord symbols, symbols of the user (4.14 to 4.19)


def test_chord_symbols_annotations_and_decorations_are_counted():
    text = HEAD + '"Am"A "^above"B .c !trill!d "G7""_below"[!f!ce] ~A uB|\n'
    assert [pitch for _, _, pitch in sounds(text)] == [69, 71, 72, 74, 72, 76, 69, 71]
    assert lost(text) == {"chord symbols": 2, "annotations": 2, "decorations": 5}


def test_fermatas_are_kept():
    found = draft(HEAD + "HA !fermata!B U:C\nU:W=!fermata!\nWc [Hd f] H|g\n".replace(" U:C", ""))
    assert [raw.fermata for raw in found.voices[0][1]] == [True, True, True, True, True, False]
    assert found.lost["decorations"] == 1, "the one over the bar line"


def test_symbols_of_the_user_and_signs_that_mean_nothing():
    text = "X:1\nU:k=!accent!\nL:1/4\nK:C\nkC hD *E ;F|\n"
    assert [pitch for _, _, pitch in sounds(text)] == [60, 62, 64, 65]
    assert lost(text) == {"decorations": 1, "signs not understood": 3}


def test_a_decoration_of_no_known_name_is_not_counted_as_one():
    text = HEAD + "!CDEF!G !Segno!A !8va(!B\n"
    assert [pitch for _, _, pitch in sounds(text)] == [67, 69, 71]
    assert lost(text) == {"signs not understood": 2, "decorations": 1}
    assert lost("X:1\nU:T=!nil!\nK:C\nTC\n") == {"signs not understood": 1}


def test_line_breaks_of_old_are_no_decorations():
    assert pitches("C D!E F | G!\nA !f!B") == [60, 62, 64, 65, 67, 69, 71]


def test_a_macro_that_is_used_is_refused():
    with pytest.raises(BadMusic, match="uses the macro '~g2', and macros are not expanded"):
        draft("X:1\nm:~g2=g{a}g\nK:C\nC ~g2|\n")
    with pytest.raises(BadMusic, match="uses the macro '~n3'"):
        draft("X:1\nm:~n3 = n{o}n{m}n\nK:C\nC ~B3|\n")
    assert not lost("X:1\nm:~g2=g{a}g\nK:C\nC|\n")


# Facts


def test_facts():
    found = draft("X:1\nT:First\nT:Second\nC:Nobody\nR:Jig\nZ:me\nZ:you\nK:C\nT:A part\nC\n")
    assert found.facts == {
        "title": "First",
        "composer": "Nobody",
        "type": "jig",
        "transcription": "me",
    }


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (r"\'Eamonn \`a \^o \~n \"u", "Éamonn à ô ñ ü"),
        (r"\cC \AA \aa \/O \/o \ua \vS \HO \ss \AE \oe \TH \DH", "Ç Å å Ø ø ă Š Ő ß Æ œ Þ Ð"),
        (
            "&eacute; &quot;&amp;&copy; Rough & Hardy &c. &nothing;",
            'é "&© Rough & Hardy &c. &nothing;',
        ),
        (r"\u00e9 \U0001D11E \u0000 \uD800", "é \U0001d11e \\u0000 \\uD800"),
        (r"100\% \\ \& \q", "100% \\ & \\q"),
    ],
)
def test_spelling(written, shown):
    assert draft(f"X:1\nT:{written}\nK:C\nC\n").facts["title"] == shown


# What is refused


@pytest.mark.parametrize(
    ("music", "words"),
    [
        ("CDE [CE", "holds '[CE', which is no music of ABC"),
        ("CDE {ab", "holds '{ab', which is no music of ABC"),
        ('CDE "Am', "holds '\"Am', which is no music of ABC"),
        ("CDE é", "holds 'é', which is no music of ABC"),
        ("A remark in the tune", "which is no note of ABC"),
        ("[C D|E]", "is not made of notes"),
        ("[]C", "which is no music of ABC"),
        ("C0", "the length '0', which is none"),
        ("C1/0", "the length '1/0', which is none"),
        ("C99999999999", "holds the length 99999999999, which is larger than 1024"),
        ("C" + "9" * 5000, "which is larger than 1024"),
        ("C" + "/" * 50, "which is no length of ABC"),
        ("(9999C", "the tuplet number 9999, which is larger"),
        ("(10CDE", "which does not say in what time it is"),
        ("(3:0:2CDE", "which is none"),
        ("(3C(3DEF", "inside another"),
        ("Z999999", "the rest of bars 999999, which is larger than 1024"),
        ("Z1024|Z1024|", "is more than 8,000 quarter notes long"),
        ("A>>>>B", "at most three signs"),
        ("C & (& D &)", "which is no music of ABC"),
        ("[V:]C", "a V: field that names no voice"),
        ("[L:1/0]C", "the unit note length '1/0', which is none"),
        ("[K:octave=x]C", "sets octave=x, which is no number"),
    ],
)
def test_what_cannot_be_read_is_named(music, words):
    with pytest.raises(BadMusic) as caught:
        draft(f"X:1\nM:4/4\nK:C\n{music}\n")
    assert words in str(caught.value)


def test_music_without_a_key_is_refused():
    with pytest.raises(BadMusic, match="sets no key .K:. before its music, 'CDE|'"):
        draft("X:1\nM:4/4\nCDE|\n")


@pytest.mark.parametrize(
    "sign",
    [
        "[",
        "[c",
        "(",
        "((3",
        "!",
        "!a",
        '"',
        "{",
        "+",
        "+a",
        "&",
        "|:",
        "[|",
        ":",
        "-",
        ">",
        "=",
        "C1/1021",
        "\\",
    ],
)
def test_reading_takes_linear_time(sign):
    text = HEAD + sign * 50_000
    start = time.process_time()
    with contextlib.suppress(BadMusic):
        draft(text)
    assert time.process_time() - start < 5
