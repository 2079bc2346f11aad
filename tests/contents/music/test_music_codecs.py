"""Codecs of music: exact round trips of invented scores and of chorales, tokens in any order,
conditions, transposition, what is kept."""

import json
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from genwright.contents.music.codec_event import Event
from genwright.contents.music.codec_grid import Grid, Jsb
from genwright.contents.music.codec_tokens import KEYS, key_name
from genwright.contents.music.score import REST, Key, Meter, Note, Score, moved_key, of_grid
from genwright.core.attributes import encode
from genwright.core.errors import GenwrightError

METERS = ((3, 4), (4, 4), (6, 8))
WIDE = Score(((Note(0, 1, 36), Note(1, 1, 81)),) * 4, 2, meters=tuple(Meter(0, *m) for m in METERS))


@st.composite
def monophonic(draw, voices=4, per_quarter=4):
    """Any score on the grid: voices with rests, repeated notes and fermatas; pickups, and metres
    and keys that change."""
    length = draw(st.integers(0, 60))
    made = []
    for _ in range(voices):
        notes, at = [], 0
        while at < length:
            at += draw(st.integers(0, 3))
            size = draw(st.integers(1, 9))
            if at + size <= length:
                notes.append(Note(at, size, draw(st.integers(36, 81)), fermata=draw(st.booleans())))
            at += size
        made.append(tuple(notes))
    starts = st.lists(st.integers(1, max(1, length - 1)), max_size=3, unique=True).map(
        lambda s: [0, *sorted(x for x in s if x < length)]
    )
    bars = tuple(draw(starts)) if length and draw(st.booleans()) else ()
    meters = (
        tuple(Meter(s, *draw(st.sampled_from(METERS))) for s in draw(starts))
        if draw(st.booleans())
        else ()
    )
    keys = (
        tuple(draw(st.sampled_from(KEYS))._replace(start=s) for s in draw(starts))
        if draw(st.booleans())
        else ()
    )
    return Score(tuple(made), length, per_quarter, bars, meters, keys)


@st.composite
def polyphonic(draw):
    score = draw(monophonic(3, 12))
    notes = st.builds(
        lambda start, length, pitch, loud, fermata: Note(start, length, pitch, 4 * loud, fermata),
        st.integers(0, 200),
        st.integers(1, 150),
        st.integers(36, 81),
        st.integers(1, 31),
        st.booleans(),
    )
    voices = [
        sorted(draw(st.lists(notes, max_size=12)), key=lambda n: (n.start, n.pitch))
        for _ in range(3)
    ]
    voices[2].append(Note(210, 5, 60))  # the last voice is not empty
    return Score(tuple(map(tuple, voices)), 400, 12, score.bars, score.meters, score.keys)


GRID, JSB, EVENT = Grid().learn([WIDE]), Jsb().learn([WIDE]), Event(reach=32).learn([WIDE])
ASKING = Grid(prefix=3).learn(
    [WIDE], {"key": tuple(key_name(k) for k in KEYS[:20]), "type": ("jig", "reel")}
)
CODECS = pytest.mark.parametrize(
    "codec", [GRID, JSB, EVENT, ASKING], ids=["grid", "jsb", "event", "asking"]
)


@given(monophonic())
@settings(max_examples=150, deadline=None)
def test_grid_is_exact(score):
    tokens = GRID.encode(score)
    assert GRID.read(tokens) == (score, 0)
    assert GRID.lost_notes(score) == 0 and (len(tokens) - 1) % 5 == 0
    assert all(GRID.tokens[t][0] != "mask" for t in tokens)


@given(polyphonic())
@settings(max_examples=80, deadline=None)
def test_event_is_exact(score):
    assert EVENT.read(EVENT.encode(score)) == (score, 0)


@given(monophonic())
@settings(max_examples=80, deadline=None)
def test_jsb_has_four_pitches_a_step_and_nothing_else(score):
    tokens = JSB.encode(score)
    assert len(tokens) == 4 * score.length and max(tokens, default=0) < JSB.size
    back, unread = JSB.read(tokens)
    assert unread == 0 and np.array_equal(back.grid()[0], score.grid()[0])
    assert JSB.encode(back) == tokens


@cache
def chorales():
    """Some of Bach's, as scores on the grid of sixteenths: of each note what music21 says of it."""
    music21 = pytest.importorskip("music21")
    found, step = [], lambda at: round(float(at) * 4)
    for name in ("bwv269", "bwv10.7", "bwv101.7", "bwv110.7", "bwv248.23-s"):
        parts = music21.corpus.parse(f"bach/{name}", forceSource=True).stripTies().parts
        voices, first = [], parts[0].recurse()
        for part in parts:
            notes = part.flatten().notes
            fermata = [any("Fermata" in e.classes for e in n.expressions) for n in notes]
            pairs = zip(notes, fermata, strict=True)
            whole = [(n, f) for n, f in pairs if n.quarterLength >= 0.25]  # without grace notes
            voices.append(
                tuple(
                    Note(step(n.offset), step(n.quarterLength), n.pitch.midi, fermata=f)
                    for n, f in whole
                )
            )
        measures = list(parts[0].getElementsByClass("Measure"))
        bars, length = (
            tuple(step(m.offset) for m in measures),
            step(parts[0].duration.quarterLength),
        )

        def place(e, part=parts[0]):
            return step(e.getOffsetInHierarchy(part))

        meters = tuple(
            Meter(place(m), m.numerator, m.denominator)
            for m in first.getElementsByClass("TimeSignature")
        )
        keys = tuple(
            Key(place(k), k.sharps, getattr(k, "mode", ""))
            for k in first.getElementsByClass("KeySignature")
        )
        found.append(Score(tuple(voices), length, 4, bars, meters, keys))
    return found


def test_chorales_come_back_exactly():
    codec = Grid().learn(chorales())
    events = Event(per_quarter=4).learn(chorales())
    for score in chorales():
        assert (
            len(score.voices) == 4
            and any(n.fermata for n in score.voices[0])
            and len(score.bars) > 5
        )
        assert codec.read(codec.encode(score)) == (score, 0)
        assert events.read(events.encode(score)) == (score, 0)


def test_a_pickup_counts_from_where_a_whole_bar_would_begin():
    score = next(s for s in chorales() if s.bars[1] == 4 and s.meters[0].beats == 3)
    codec = Grid().learn([score])
    places = [codec.tokens[t][1] for t in codec.encode(score) if codec.tokens[t][0] == "place"]
    assert places[:6] == [8, 9, 10, 11, 0, 1]


def test_rows_of_the_grid_say_time_then_voices():
    score = of_grid(
        np.array([[60, 55], [60, REST]]),
        bars=(0,),
        meters=(Meter(0, 3, 4),),
        keys=(Key(0, -1, "minor"),),
    )
    codec = Grid().learn([score])
    rows = [codec.tokens[t] for t in codec.encode(score)]
    empty = [("none",), ("none",)]
    assert rows[:6] == [("meter", 3, 4), *empty, ("key", -1, "minor"), *empty]
    assert rows[6:] == [
        ("place", 0),
        ("onset", 60),
        ("onset", 55),
        ("place", 1),
        ("hold", 60),
        ("rest",),
        ("end",),
    ]
    assert set(codec.space.special.values()) == set(
        range(codec.size, codec.space.vocabulary)
    ) and codec.tokens[codec.size - 1] == ("rest",)


def test_what_a_codec_cannot_keep_is_counted():
    score = Score(
        ((Note(0, 4, 60), Note(0, 2, 64), Note(2, 2, 65), Note(4, 2, 65)), (Note(0, 8, 50),)), 8
    )
    assert Grid().learn([score]).lost_notes(score) == 1  # of the chord the lower note
    four = Score((*score.voices, (), ()), 8)
    assert Jsb().learn([four]).lost_notes(four) == 3  # and a note that is struck again
    event = Event(per_quarter=4).learn([score])
    assert event.lost_notes(score) == 0
    tokens = event.encode(score)
    without_a_length = tokens.index(event.id["length", score.voices[0][0].length])
    tokens[without_a_length] = event.id["bar",]
    assert event.lost_notes(score, tokens) == 1  # of the tokens that are given


@CODECS
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_tokens_can_be_read(codec, data):
    tokens = data.draw(st.lists(st.integers(-1, codec.space.vocabulary), max_size=80))
    score, unread = codec.read(tokens)
    assert 0 <= unread <= len(tokens) * codec.voices
    whole = Score(
        (*score.voices, *[()] * (codec.voices - len(score.voices))),
        **{k: v for k, v in vars(score).items() if k != "voices"},
    )
    assert codec.read(codec.encode(whole)) == (score, 0), "what was read is a score like any other"
    assert all(c and c[0].start == 0 for c in (score.meters, score.keys) if c)


def test_what_cannot_be_read_is_passed_over_and_counted():
    def words(codec, text):
        return [
            codec.id[tuple(int(x) if x.isdigit() else x for x in word.split(":"))]
            for word in text.split()
        ]

    def read(text):
        return GRID.read(words(GRID, text))

    row = "place:0 onset:60 onset:55 rest rest "
    score = read(row)[0]
    assert (
        score.length == 1 and score.bars == (0,) and [len(v) for v in score.voices] == [1, 1, 0, 0]
    )
    assert read("start none " + row) == (score, 0)
    assert read("onset:70 rest " + row) == (score, 2)
    assert read(row + "rest onset:40") == (score, 2)
    assert read(row.replace("rest ", "mask ")) == (score, 2)
    assert read(row.replace(" rest rest ", " end " + row)) == (score, 2), (
        "two places without a voice"
    )
    assert read(row.replace("onset:60", "hold:60")) == (score, 1), "nothing goes on at the start"
    assert read("meter:3:4 rest none none none " + row)[1] == 1
    two = read(row + "place:1 hold:60 hold:56 rest rest")
    assert (
        two[1] == 1
        and two[0].voices[0] == (Note(0, 2, 60),)
        and two[0].voices[1][1] == Note(1, 1, 56)
    )

    def events(text):
        return EVENT.read(words(EVENT, text))

    assert events("length:4 pitch:60 pitch:62 length:3 fermata fermata at:5 mask bar") == (
        Score(((Note(0, 3, 62, fermata=True),),), 5, 12),
        4,
    )
    back = events("at:8 pitch:60 length:4 at:8 at:3 bar at:6 pitch:62 length:1")
    assert back == (Score(((Note(8, 4, 60), Note(14, 1, 62)),), 15, 12, bars=(8,)), 2), (
        "time does not go back"
    )


def test_a_place_in_the_bar_is_said_the_same_in_every_bar():
    """Wherever it stands; the longest token goes on counting where no bar begins."""
    notes = tuple(Note(24 * bar + 18, 6, 60) for bar in range(3))
    said = [EVENT.tokens[i] for i in EVENT.encode(Score((notes,), 72, 12, bars=(0, 24, 48)))]
    assert (
        said.count(("at", 18)) == 3
        and said.count(("at", 24)) == 3
        and not [t for t in said if t[0] == "at" and t[1] not in (18, 24)]
    )
    bare = [
        EVENT.tokens[i]
        for i in EVENT.encode(Score(((Note(70, 2, 60), Note(100, 2, 60)),), 102, 12))
    ]
    assert bare == [
        ("at", 32),
        ("at", 32),
        ("at", 6),
        ("pitch", 60),
        ("length", 2),
        ("at", 32),
        ("at", 4),
        ("pitch", 60),
        ("length", 2),
        ("at", 6),
        ("end",),
    ]
    assert JSB.read([0, 1, 2, 3, JSB.id["mask",], 4])[1] == 2


def test_conditions_stand_before_the_music():
    asked = encode(ASKING.space.attributes, {"type": "reel", "key": "G"})
    before = ASKING.before(asked[None], 1)[0].tolist()
    assert [ASKING.tokens[t] for t in before] == [
        ("start",),
        ("asked", "key", "G"),
        ("asked", "type", "reel"),
        ("none",),
    ]
    assert ASKING.space.special["type=reel"] == before[2] and ASKING.space.columns == 22
    assert ASKING.read(before + ASKING.encode(WIDE)) == (WIDE, 0)
    assert GRID.before(None, 2).tolist() == [[GRID.id["start",]]] * 2, (
        "without attributes there is no prefix"
    )


def shifted(score, k):
    voices = tuple(tuple(n._replace(pitch=n.pitch + k) for n in notes) for notes in score.voices)
    return Score(
        voices,
        score.length,
        score.per_quarter,
        score.bars,
        score.meters,
        tuple(moved_key(key, k) for key in score.keys),
    )


def test_transposition_is_that_of_the_score():
    codec = Grid().learn(chorales(), {"key": ("G", "A", "Em")})
    for score in chorales():
        low, high = codec.transposition_range(score)
        assert low <= 0 <= high
        tokens = torch.tensor([codec.encode(score)])
        for k in range(low, high + 1):
            assert codec.transpose(tokens, k)[0].tolist() == codec.encode(shifted(score, k))
            spans = [(min(p), max(p)) for p in ([n.pitch + k for n in v] for v in score.voices)]
            assert all(
                lo <= a and b <= hi
                for (a, b), (lo, hi) in zip(spans, codec.learned.ranges, strict=True)
            )
    before = codec.before(encode(codec.space.attributes, {"key": "G"})[None], 1)
    assert torch.equal(
        codec.transpose(before, 2),
        codec.before(encode(codec.space.attributes, {"key": "A"})[None], 1),
    )
    assert torch.equal(codec.transpose(before, 1), codec.before(None, 1)), (
        "A flat is no value of this attribute"
    )
    assert codec.transpose(torch.tensor([-1]), 3).tolist() == [-1]
    with pytest.raises(GenwrightError, match=r"\+60 semitones lead out of"):
        codec.transpose(tokens, 60)


def test_keys_have_names_and_move_by_fifths():
    names = {"C": 0, "G": 1, "F": -1, "Cb": -7, "C#": 7}
    assert {key_name(Key(0, s, "major")): s for s in names.values()} == names
    assert [key_name(Key(0, s, "minor")) for s in (0, 1, -7, 7)] == ["Am", "Em", "Abm", "A#m"]
    assert (
        key_name(Key(3, 2)) == "2 sharps"
        and key_name(Key(0, -2)) == "2 flats"
        and len(set(map(key_name, KEYS))) == len(KEYS)
    )
    pytest.importorskip("music21")
    from music21.key import Key as Other

    for key in KEYS[:30]:
        for k in range(-11, 12):
            moved = Other(key_name(moved_key(key, k)).replace("b", "-").removesuffix("m"), key.mode)
            before = Other(key_name(key).replace("b", "-").removesuffix("m"), key.mode)
            assert (
                moved.tonic.pitchClass - before.tonic.pitchClass - k
            ) % 12 == 0 and moved.sharps == moved_key(key, k).sharps


def test_what_stays_and_what_is_written():
    score = of_grid(
        np.array([[60, 55, 50, 45]] * 3), bars=(0,), keys=(Key(0, 0, "major"),), meters=()
    )
    codec = Grid(prefix=2).learn([score], {"type": ("a", "b")})
    tokens = torch.cat(
        [codec.before(None, 1)[0], torch.tensor(codec.encode(score)), torch.tensor([-1])]
    )[None]
    kept = codec.kept(tokens, voices=[0], before=3)
    assert kept.tolist()[0] == [True] * 3 + [True] * 5 + [True, True, False, False, False] * 3 + [
        True,
        True,
    ]
    hidden = tokens.masked_fill(~kept, codec.id["mask",])
    assert torch.equal(codec.kept(hidden, voices=[0], before=3), kept)
    kept = codec.kept(hidden, steps=range(1, 2), before=3)
    assert kept.tolist()[0] == [True] * 3 + [True] * 5 + [True] * 5 + [True] + [False] * 4 + [
        True
    ] * 5 + [True, True]
    assert JSB.kept(torch.tensor(JSB.encode(score)), voices=[0], steps=range(2, 3)).tolist() == [
        True
    ] * 8 + [True, False, False, False]


@pytest.mark.parametrize("codec", [GRID, EVENT, JSB], ids=lambda c: c.settings.kind)
def test_tokens_share_traits_as_their_meanings_do(codec):
    """Neighbours in pitch are nearer than far ones, octaves nearer than what lies beside them, one
    pitch in two roles nearest."""
    alike = codec.space.alike
    assert alike.shape[0] == codec.space.vocabulary and len(torch.unique(alike, dim=0)) == len(
        alike
    ), "no two tokens are the same"
    row = {token: alike[i] for token, i in codec.id.items()}
    kind, rest = {"grid": ("onset", ()), "event": ("pitch", ()), "jsb": ("pitch", (0,))}[
        codec.settings.kind
    ]

    def near(a, b):
        return float(row[kind, a, *rest] @ row[kind, b, *rest])

    assert (
        near(60, 61) > near(60, 66) and near(60, 72) > near(60, 71) and near(60, 72) > near(60, 73)
    )
    bare = [token for token in codec.tokens if len(token) == 1]
    assert all(float(row[a] @ row[b]) == 0 for a in bare for b in bare if a != b), (
        "an end is not like a mask"
    )
    if codec is GRID:
        assert row["onset", 60] @ row["hold", 60] > row["onset", 60] @ row["hold", 67]
    if codec is JSB:
        assert row["pitch", 60, 0] @ row["pitch", 60, 1] > row["pitch", 60, 0] @ row["pitch", 67, 1]


@pytest.mark.parametrize(
    "settings_",
    [Grid(prefix=4, per_quarter=4), Event(per_quarter=4, reach=30), Jsb()],
    ids=lambda s: s.kind,
)
def test_a_run_keeps_its_codec(settings_, tmp_path):
    made = settings_.learn([WIDE], {"type": ("a", "b")} if settings_.kind != "jsb" else {})
    made.save(tmp_path)
    back = type(settings_)().load(tmp_path)
    assert (
        back.digest == made.digest
        and back.space == made.space
        and back.settings == settings_
        and back.content == "music"
    )
    assert back.encode(WIDE) == made.encode(WIDE)
    saved = json.loads((tmp_path / "music.json").read_text())
    for damaged in (
        "{",
        "[]",
        json.dumps({**saved, "learned": {"ranges": []}}),
        json.dumps({**saved, "settings": {"kind": "other"}}),
    ):
        (tmp_path / "music.json").write_text(damaged)
        with pytest.raises(GenwrightError, match=r"music\.json is damaged"):
            settings_.load(tmp_path)


def test_a_codec_whose_events_said_the_time_between_them_is_refused(tmp_path):
    EVENT.save(tmp_path)
    saved = json.loads((tmp_path / "music.json").read_text())
    saved["settings"]["longest"] = saved["settings"].pop("reach")
    (tmp_path / "music.json").write_text(json.dumps(saved))
    with pytest.raises(GenwrightError, match=r"(?s)music\.json is damaged .*longest.*train again"):
        Event().load(tmp_path)


@pytest.mark.parametrize(
    "score, words",
    [
        (Score(((),) * 5, 4), "the piece has 5 voices, and the model 4"),
        (Score(((),) * 3, 4), "the piece has 3 voices, and the model 4"),
        (
            Score(((Note(0, 1, 90),), (), (), ()), 4),
            "MIDI pitch 90 is outside of what the model knows of this voice, 36 to 81; transpose",
        ),
        (Score(((),) * 4, 4, 12), "12 steps a quarter note, and the codec 4; read it with 4"),
        (
            Score(((),) * 4, 4, meters=(Meter(0, 7, 8),)),
            "the metre 7/8 is not in the music that the model learned; known: 3/4, 4/4, 6/8",
        ),
    ],
)
def test_sentences(score, words):
    with pytest.raises(GenwrightError, match=words):
        GRID.encode(score)


def test_other_sentences():
    with pytest.raises(GenwrightError, match="not a note"):
        Grid().learn([Score(((), ()), 4)])
    with pytest.raises(GenwrightError, match="four voices, and there are 1; use codec.kind=grid"):
        Jsb().learn([Score(((Note(0, 1, 60),),), 4)])
    with pytest.raises(GenwrightError, match="leave every metre out"):
        one = Score(((Note(0, 1, 60),),), 4)
        Grid().learn([one]).encode(Score(one.voices, 4, meters=(Meter(0, 4, 4),)))
