"""A score as MusicXML 4.0, for any program of music (as MIDI: `midi_write`).

Bars, ties, dots, tuplets, beams and accidentals as a reader expects them (verovio adds none). What
has no sign of its own (five sixteenths, a note over a bar line, voices within a voice) is tied from
what has, cut where the metre is strongest: pitches, starts and lengths stay exact. A change of key
or metre within a bar is printed at the next one. No document type: some readers refuse one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain, groupby, pairwise
from typing import NamedTuple
from xml.sax.saxutils import escape

from genwright.contents.music.score import (
    Key,
    Note,
    Score,
    Tempo,
    apart,
    at,
    bar_of,
    edges,
    first_number,
)
from genwright.core.errors import GenwrightError

TYPES = (
    "breve",
    "whole",
    "half",
    "quarter",
    "eighth",
    "16th",
    "32nd",
    "64th",
    "128th",
    "256th",
    "512th",
    "1024th",
)
CHORD = '<harmony><root><root-step>{}</root-step></root><kind text="{}">other</kind><offset>{}</offset></harmony>'
SIGNS = {-2: "flat-flat", -1: "flat", 0: "natural", 1: "sharp", 2: "double-sharp"}


def checked(score: Score) -> Score:
    """The same score. Raises GenwrightError for one that cannot be played or printed."""
    if not score.length or not score.voices:
        raise GenwrightError(
            "the score is empty: it has no voices or no length", "give one of at least a bar"
        )
    for tempo in (score.tempo, *(change.per_minute for change in score.tempos)):
        if not 4 <= tempo <= 10_000:  # also nan; MIDI's tempo has 24 bits
            raise GenwrightError(
                f"a tempo of {tempo:g} quarter notes a minute cannot be played",
                "give one from 4 to 10000, such as 80",
            )
    if odd := [
        m for m in score.meters if not 0 < m.beats < 256 or m.unit not in (1, 2, 4, 8, 16, 32, 64)
    ]:
        raise GenwrightError(
            f"{odd[0].beats}/{odd[0].unit} is no metre",
            "give 1 to 255 beats of a whole note, a half, ... or a 64th",
        )
    return score


def names(score: Score) -> list[str]:
    """Of the voices, empty where one has none."""
    return [*score.names, *[""] * len(score.voices)][: len(score.voices)]


class _Sign(NamedTuple):
    """What is printed at a step: notes (none: a rest), each with whether it goes on after `length`.
    kind: of TYPES, None: not said. many: 3 for a triplet and so on, 1 for plain signs. beat: which,
    for beams and brackets."""

    start: int
    length: int
    notes: Sequence[tuple[Note, bool]]
    kind: int | None = None
    dots: int = 0
    many: int = 1
    beat: int = 0


@cache
def _values(per_quarter: int) -> dict[int, dict[int, tuple[int, int]]]:
    """many -> steps -> (kind, dots)."""
    odd = per_quarter // (per_quarter & -per_quarter)
    out: dict[int, dict[int, tuple[int, int]]] = {d: {} for d in range(1, odd + 1) if odd % d == 0}
    for many, kind, dots in ((m, k, d) for m in out for k in range(len(TYPES)) for d in (0, 1, 2)):
        steps, rest = divmod(
            (8 * per_quarter << many.bit_length() - 1) * ((2 << dots) - 1), many << kind + dots
        )
        out[many] |= {} if rest else {steps: (kind, dots)}
    return out


@cache
def _cut(
    start: int, stop: int, beat: int, per_quarter: int
) -> list[tuple[int, int, int | None, int, int]]:
    """(start, stop, kind, dots, many) of the signs that fill some steps of a bar. A plain sign
    passes a beat when it begins on one, or in a syncopation such as eighth, quarter, eighth; others
    do not."""
    length = stop - start
    simple = beat == per_quarter
    odd = per_quarter // (per_quarter & -per_quarter)
    for many, values in _values(per_quarter).items():
        if length in values and start % (odd // many) == 0:
            kind, dots = values[length]
            well = (
                simple
                and not dots
                and start % max(1, length // 2) == 0
                or start % beat == 0
                and (simple or length % beat == 0)
            )
            if start // beat == (stop - 1) // beat or many == 1 and well:
                return [(start, stop, kind, dots, many)]
    if length == 1:  # finer than any sign
        return [(start, stop, None, 0, 1)]
    strong = (
        [beat << up for up in range(8, -1, -1)]
        + [(beat if simple else beat // 3) >> down for down in range(9)]
        + [1]
    )
    middle = next(at for level in strong if level and (at := (start // level + 1) * level) < stop)
    return _cut(start, middle, beat, per_quarter) + _cut(middle, stop, beat, per_quarter)


def _signs(score: Score, voice: Sequence[Note], bars: Sequence[int]) -> list[list[_Sign]]:
    """Of one voice, by bars. A note that sounds still when its pitch begins anew ends there."""
    voice = apart(voice)
    begins = {
        start: {n.pitch: n for n in notes} for start, notes in groupby(voice, key=lambda n: n.start)
    }
    out: list[list[_Sign]] = [[] for _ in bars[1:]]
    sounding: dict[int, Note] = {}
    bar = 0
    for start, stop in pairwise(sorted({*bars, *begins, *(n.start + n.length for n in voice)})):
        bar += start == bars[bar + 1]
        meter, whole = bar_of(score, bars[bar])
        beat = (
            max(1, 12 * score.per_quarter // meter.unit)
            if meter.unit >= 8 and meter.beats % 3 == 0
            else score.per_quarter
        )
        origin = bars[bar] if bar else min(0, bars[1] - whole)  # a pickup is the end of a bar
        sounding = {p: n for p, n in sounding.items() if n.start + n.length > start} | begins.get(
            start, {}
        )
        chord = [
            (n, n.start + n.length > stop and p not in begins.get(stop, {}))
            for p, n in sorted(sounding.items())
        ]
        if not chord and (stop - start) * meter.unit == 4 * score.per_quarter * meter.beats:
            out[bar].append(_Sign(start, stop - start, ()))
            continue
        for a, b, kind, dots, many in _cut(start - origin, stop - origin, beat, score.per_quarter):
            notes = [(n, on or b < stop - origin) for n, on in chord]
            out[bar].append(_Sign(a + origin, b - a, notes, kind, dots, many, a // beat))
    return out


def spell(pitch: int, key: Key) -> tuple[str, int, int]:
    """MIDI pitch -> (step, alteration, octave), by names near the key on the line of fifths: Eb to
    G# in C major, Bb to D# in A minor."""
    low = key.sharps - (2 if key.mode == "minor" else 3)
    fifths = low + (7 * pitch - low) % 12 + 1  # from F
    return "FCGDAEB"[fifths % 7], fifths // 7, (pitch - fifths // 7) // 12 - 1


def _accidentals(
    layers: Iterable[Sequence[_Sign]], keys: Sequence[Key], key: Key
) -> dict[tuple[int, int], str]:
    """(start, pitch) -> the sign that a bar of one staff needs, read from left to right: one holds
    on its line until the bar ends."""
    out = {}
    held = dict[tuple[str, int], int]()
    for sign in sorted(chain(*layers), key=lambda s: s.start):
        for note, _ in sign.notes:
            step, alter, octave = spell(note.pitch, at(keys, note.start, Key(0, 0)))
            if note.start == sign.start and alter != held.get(
                (step, octave), (key.sharps + 6 - "FCGDAEB".index(step)) // 7
            ):
                out[note.start, note.pitch] = SIGNS[alter]
                held[step, octave] = alter
    return out


def _roles(keys: Iterable[object]) -> list[str]:
    """Of each item in its run of equal keys: "begin", "continue", "end", or "alone"; "" where the
    key is None."""
    runs = ((key, len(list(run))) for key, run in groupby(keys))
    return [
        r
        for key, n in runs
        for r in (
            [""] * n
            if key is None
            else ["alone"]
            if n == 1
            else ["begin", *["continue"] * (n - 2), "end"]
        )
    ]


def _layer(
    signs: Sequence[_Sign],
    keys: Sequence[Key],
    accidentals: dict[tuple[int, int], str],
    voice: int,
    stem: str,
) -> Iterator[str]:
    """The notes of one voice in one bar."""
    brackets = _roles((s.beat, s.many) if s.many > 1 else None for s in signs)
    beams = [
        _roles((s.beat, s.many) if s.notes and (s.kind or 0) - 3 >= level else None for s in signs)
        for level in range(1, 9)
    ]
    for i, sign in enumerate(signs):
        hook = "forward hook" if beams[0][i] == "begin" else "backward hook"
        beamed = [
            (n, hook if role[i] == "alone" else role[i])
            for n, role in enumerate(beams, 1)
            if role[i] and beams[0][i] != "alone"
        ]
        shape = (
            "" if sign.kind is None else f"<type>{TYPES[sign.kind]}</type>" + "<dot/>" * sign.dots
        )
        ratio = f"<actual-notes>{sign.many}</actual-notes><normal-notes>{1 << sign.many.bit_length() - 1}</normal-notes>"
        ratio = f"<time-modification>{ratio}</time-modification>" if sign.many > 1 else ""
        bracket = {"begin": ["start"], "end": ["stop"], "alone": ["start", "stop"]}.get(
            brackets[i], []
        )
        for place, (note, on) in enumerate(sign.notes or [(None, False)]):
            what = '<rest measure="yes"/>' if sign.kind is None and sign.length > 1 else "<rest/>"
            ties = list[str]()
            sharp = ""
            marks = ""
            if note:
                step, alter, octave = spell(note.pitch, at(keys, note.start, Key(0, 0)))
                what = f"<pitch><step>{step}</step>{f'<alter>{alter}</alter>' if alter else ''}<octave>{octave}</octave></pitch>"
                ties = ["stop"] * (note.start < sign.start) + ["start"] * on
                if note.start == sign.start and (
                    sharp := accidentals.get((note.start, note.pitch), "")
                ):
                    sharp = f"<accidental>{sharp}</accidental>"
                marks = f'<fermata type="{"inverted" if stem == "down" else "upright"}"/>' * (
                    note.fermata and not on
                )
            marks = "".join(
                [
                    *(f'<tied type="{t}"/>' for t in ties),
                    *(f'<tuplet type="{t}"/>' for t in bracket if not place),
                    marks,
                ]
            )
            yield f"<note>{'<chord/>' * (place > 0)}{what}<duration>{sign.length}</duration>"
            yield (
                "".join(f'<tie type="{kind}"/>' for kind in ties)
                + f"<voice>{voice}</voice>{shape}{sharp}{ratio}"
            )
            yield f"<stem>{stem}</stem>" * bool(stem and note) + "".join(
                f'<beam number="{n}">{r}</beam>' for n, r in beamed if not place
            )
            yield f"<notations>{marks}</notations></note>" if marks else "</note>"


def _tempo(change: Tempo, place: int) -> str:
    """place: steps from the beginning of its bar."""
    metronome = f"<metronome><beat-unit>quarter</beat-unit><per-minute>{change.per_minute:g}</per-minute></metronome>"
    offset = f'<offset sound="yes">{place}</offset>' if place else ""
    kind = f"<direction-type>{metronome}</direction-type>"
    return f'<direction placement="above">{kind}{offset}<sound tempo="{change.per_minute:g}"/></direction>'


def _part(
    score: Score,
    members: Sequence[int],
    bars: Sequence[int],
    tempos: Sequence[Tempo],
    labels: Mapping[int, str],
) -> Iterator[str]:
    """The bars of one staff. members: its voices; of two, the first has stems up, the second down.
    tempos, labels (step -> a chord): those that this staff shows."""
    layers = [_signs(score, score.voices[v], bars) for v in members]
    low = sum(n.pitch - 60 for v in members for n in score.voices[v]) < 0
    clef = f"<clef><sign>{'F' if low else 'G'}</sign><line>{4 if low else 2}</line></clef>"
    before: list[str] = [""] * 4
    first = first_number(score)
    for bar, (start, stop) in enumerate(pairwise(bars)):
        key = at(score.keys, start, Key(0, 0))
        meter = bar_of(score, start)[0]
        mode = f"<mode>{key.mode}</mode>" if key.mode in ("major", "minor") else ""
        time = f"<time><beats>{meter.beats}</beats><beat-type>{meter.unit}</beat-type></time>"
        now = [
            f"<divisions>{score.per_quarter}</divisions>",
            f"<key><fifths>{key.sharps}</fifths>{mode}</key>",
            time,
            clef,
        ]
        changed = "".join(new for new, old in zip(now, before, strict=True) if new != old)
        yield (
            f'<measure number="{bar + first}">'
            if bar + first
            else '<measure number="0" implicit="yes">'
        )
        yield f"<attributes>{changed}</attributes>" if changed else ""
        yield from (
            _tempo(tempo, tempo.start - start) for tempo in tempos if start <= tempo.start < stop
        )
        yield from (
            CHORD.format(text[0], text[1:], step - start)
            for step, text in labels.items()
            if start <= step < stop
        )
        before = now
        accidentals = _accidentals((layer[bar] for layer in layers), score.keys, key)
        for voice, layer in enumerate(layers, 1):
            yield f"<backup><duration>{stop - start}</duration></backup>" * (voice > 1)
            yield from _layer(
                layer[bar],
                score.keys,
                accidentals,
                voice,
                ("up", "down")[voice - 1] if len(layers) == 2 else "",
            )
        yield (
            '<barline location="right"><bar-style>light-heavy</bar-style></barline>'
            * (stop == bars[-1])
            + "</measure>\n"
        )


def _text(words: str) -> str:
    """Escaped, without the characters that XML cannot hold."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "", words))


def to_musicxml(score: Score, closed: bool = False, labels: Mapping[int, str] | None = None) -> str:
    """A part a voice. closed: four voices on two staves, as chorales are read, where a fermata
    stands once for two voices that share it.
    labels: step -> the name of a chord, such as Bbm7, above the first staff. Raises GenwrightError
    (`checked`)."""
    bars = edges(checked(score))
    voices = [_text(name) for name in names(score)]
    staves: list[tuple[int, ...]] = [(v,) for v in range(len(voices))]
    before = after = ""
    if closed and len(voices) == 4:
        staves, (s, a, t, b) = [(0, 1), (2, 3)], score.voices
        shared = [{n.start + n.length for n in outer if n.fermata} for outer in (s, b)]
        a, t = (
            tuple(n._replace(fermata=n.fermata and n.start + n.length not in shared[i]) for n in v)
            for i, v in enumerate((a, t))
        )
        score = replace(score, voices=(s, a, t, b))
        before = '<part-group number="1" type="start"><group-symbol>brace</group-symbol><group-barline>yes</group-barline></part-group>'
        after = '<part-group number="1" type="stop"/>'
    title, composer, rights = (
        _text(score.facts.get(key, "")) for key in ("title", "composer", "rights")
    )
    called = (", ".join(voices[v] for v in members if voices[v]) for members in staves)
    listed = "".join(
        f'<score-part id="P{p}"><part-name>{name}</part-name></score-part>'
        for p, name in enumerate(called)
    )
    head = f"<work><work-title>{title}</work-title></work>" if title else ""
    head += f'<identification><creator type="composer">{composer}</creator><rights>{rights}</rights></identification>'
    tempos = [Tempo(0, score.tempo), *score.tempos]
    written = (
        "".join(_part(score, m, bars, [] if p else tempos, {} if p else labels or {}))
        for p, m in enumerate(staves)
    )
    parts = (f'<part id="P{p}">{bars_of}</part>\n' for p, bars_of in enumerate(written))
    head += f"<part-list>{before}{listed}{after}</part-list>\n{''.join(parts)}"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<score-partwise version="4.0">{head}</score-partwise>\n'
