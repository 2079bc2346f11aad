"""A score as MusicXML 4.0, for any program of music (as MIDI: `midi_write`).

Bars, ties, dots, tuplets, beams and accidentals as a reader expects them (verovio adds none), from
the values of `signs` and the names of `spelling`. A change of key or metre within a bar is printed
at the next one. No document type: some readers refuse one.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, groupby, pairwise
from xml.sax.saxutils import escape

from genwright.contents.music.score import (
    Key,
    Note,
    Score,
    Tempo,
    at,
    bar_of,
    edges,
    first_number,
)
from genwright.contents.music.signs import TYPES, Sign, normal_notes, signs_of
from genwright.contents.music.spelling import accidentals, spell
from genwright.core.errors import GenwrightError

UNITS = (1, 2, 4, 8, 16, 32, 64)  # of a metre
BEAM_LEVELS = 8
QUARTER = TYPES.index("quarter")
FINAL_BAR_LINE = '<barline location="right"><bar-style>light-heavy</bar-style></barline>'
BRACE_BEGINS = (
    '<part-group number="1" type="start"><group-symbol>brace</group-symbol>'
    "<group-barline>yes</group-barline></part-group>"
)
BRACE_ENDS = '<part-group number="1" type="stop"/>'
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


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
    for meter in score.meters:
        if not 0 < meter.beats < 256 or meter.unit not in UNITS:
            raise GenwrightError(
                f"{meter.beats}/{meter.unit} is no metre",
                "give 1 to 255 beats of a whole note, a half, ... or a 64th",
            )
    return score


def names(score: Score) -> list[str]:
    """The names of the voices, empty where one has none."""
    missing = len(score.voices) - len(score.names)
    return [*score.names, *[""] * missing][: len(score.voices)]


def to_musicxml(score: Score, closed: bool = False, labels: Mapping[int, str] | None = None) -> str:
    """A part a voice. closed: four voices on two staves, as chorales are read, where a fermata
    stands once for two voices that share it.

    labels: step -> the name of a chord, such as Bbm7, above the first staff. Raises GenwrightError
    (`checked`)."""
    bars = edges(checked(score))
    voice_names = [_text(name) for name in names(score)]
    staves: list[tuple[int, ...]] = [(voice,) for voice in range(len(score.voices))]
    is_closed = closed and len(score.voices) == 4
    if is_closed:
        staves = [(0, 1), (2, 3)]
        score = _with_shared_fermatas(score)

    listed = ""
    parts = ""
    for part, members in enumerate(staves):
        part_name = ", ".join(voice_names[voice] for voice in members if voice_names[voice])
        listed += f'<score-part id="P{part}">{_tag("part-name", part_name)}</score-part>'
        shown_tempos: list[Tempo] = []
        shown_labels: Mapping[int, str] = {}
        if part == 0:
            shown_tempos = [Tempo(0, score.tempo), *score.tempos]
            shown_labels = labels or {}
        measures = "".join(_part(score, members, bars, shown_tempos, shown_labels))
        parts += f'<part id="P{part}">{measures}</part>\n'
    if is_closed:
        listed = BRACE_BEGINS + listed + BRACE_ENDS
    body = f"{_heading(score)}{_tag('part-list', listed)}\n{parts}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<score-partwise version="4.0">{body}</score-partwise>\n'
    )


def _with_shared_fermatas(score: Score) -> Score:
    """Four voices without the fermatas of the inner ones that the outer one of their staff has
    too."""
    soprano, alto, tenor, bass = score.voices
    alto = _without_fermatas_of(soprano, alto)
    tenor = _without_fermatas_of(bass, tenor)
    return replace(score, voices=(soprano, alto, tenor, bass))


def _without_fermatas_of(outer: Sequence[Note], inner: Sequence[Note]) -> tuple[Note, ...]:
    """The inner voice; its fermatas stay on notes that end where no fermata of the outer does."""
    shared = {note.start + note.length for note in outer if note.fermata}
    notes = []
    for note in inner:
        own = note.fermata and note.start + note.length not in shared
        notes.append(note._replace(fermata=own))
    return tuple(notes)


def _heading(score: Score) -> str:
    title = _text(score.facts.get("title", ""))
    composer = _text(score.facts.get("composer", ""))
    rights = _tag("rights", _text(score.facts.get("rights", "")))
    work = _tag("work", _tag("work-title", title)) if title else ""
    creator = f'<creator type="composer">{composer}</creator>'
    return work + _tag("identification", creator + rights)


def _part(
    score: Score,
    members: Sequence[int],
    bars: Sequence[int],
    tempos: Sequence[Tempo],
    labels: Mapping[int, str],
) -> Iterator[str]:
    """The bars of one staff. members: its voices; of two, the first has stems up, the second down.
    tempos, labels (step -> a chord): those that this staff shows."""
    layers = [signs_of(score, score.voices[voice], bars) for voice in members]
    clef = _clef(list(chain(*(score.voices[voice] for voice in members))))
    stems = ("up", "down") if len(members) == 2 else ("",)
    attributes_before = ["", "", "", ""]
    number = first_number(score)
    for bar, (start, stop) in enumerate(pairwise(bars)):
        implicit = "" if number + bar else ' implicit="yes"'
        yield f'<measure number="{number + bar}"{implicit}>'

        key = at(score.keys, start, Key(0, 0))
        attributes = _attributes(score, start, key, clef)
        changed = [
            new for new, old in zip(attributes, attributes_before, strict=True) if new != old
        ]
        attributes_before = attributes
        if changed:
            yield _tag("attributes", "".join(changed))
        for tempo in tempos:
            if start <= tempo.start < stop:
                yield _tempo(tempo, tempo.start - start)
        for step, chord in labels.items():
            if start <= step < stop:
                yield _harmony(chord, step - start)

        signs_by_layer = [layer[bar] for layer in layers]
        needed = accidentals(_printed(signs_by_layer), score.keys, key)
        for voice, (signs, stem) in enumerate(zip(signs_by_layer, stems, strict=True), 1):
            if voice > 1:
                yield _tag("backup", _tag("duration", stop - start))
            yield from _layer(signs, score.keys, needed, voice, stem)
        if stop == bars[-1]:
            yield FINAL_BAR_LINE
        yield "</measure>\n"


def _clef(notes: Sequence[Note]) -> str:
    """Of a staff: bass where its notes lie below middle C on average."""
    is_low = sum(note.pitch - 60 for note in notes) < 0
    sign, line = ("F", 4) if is_low else ("G", 2)
    return _tag("clef", _tag("sign", sign) + _tag("line", line))


def _attributes(score: Score, start: int, key: Key, clef: str) -> list[str]:
    """What holds for a bar that begins at `start`: divisions, key, metre, clef."""
    meter, _ = bar_of(score, start)
    mode = _tag("mode", key.mode) if key.mode in ("major", "minor") else ""
    return [
        _tag("divisions", score.per_quarter),
        _tag("key", _tag("fifths", key.sharps) + mode),
        _tag("time", _tag("beats", meter.beats) + _tag("beat-type", meter.unit)),
        clef,
    ]


def _tempo(change: Tempo, place: int) -> str:
    """place: steps from the beginning of its bar."""
    speed = f"{change.per_minute:g}"
    metronome = _tag("metronome", _tag("beat-unit", "quarter") + _tag("per-minute", speed))
    offset = f'<offset sound="yes">{place}</offset>' if place else ""
    return (
        f'<direction placement="above">{_tag("direction-type", metronome)}{offset}'
        f'<sound tempo="{speed}"/></direction>'
    )


def _harmony(chord: str, place: int) -> str:
    """The name of a chord. place: steps from the beginning of its bar."""
    root = _tag("root", _tag("root-step", chord[0]))
    kind = f'<kind text="{chord[1:]}">other</kind>'
    return _tag("harmony", root + kind + _tag("offset", place))


def _printed(layers: Sequence[Sequence[Sign]]) -> Iterator[tuple[int, Note]]:
    """(step, note) of all that is printed in a bar of one staff, from left to right."""
    for sign in sorted(chain(*layers), key=lambda sign: sign.start):
        for note, _ in sign.notes:
            yield sign.start, note


def _layer(
    signs: Sequence[Sign],
    keys: Sequence[Key],
    needed: Mapping[tuple[int, int], str],
    voice: int,
    stem: str,
) -> Iterator[str]:
    """The notes of one voice in one bar. needed: `accidentals`. voice: its number in the staff.
    stem: "up", "down", or "" where the reader decides."""
    brackets = _brackets(signs)
    beams = _beams(signs)
    for sign, bracket, beam in zip(signs, brackets, beams, strict=True):
        if not sign.notes:
            yield _rest(sign, voice, bracket)
        for place, (note, goes_on) in enumerate(sign.notes):
            is_first = place == 0  # of a chord, it has the beam and the bracket
            ties = []
            if note.start < sign.start:
                ties.append("stop")
            if goes_on:
                ties.append("start")
            sharp = ""
            if note.start == sign.start and (note.start, note.pitch) in needed:
                sharp = _tag("accidental", needed[note.start, note.pitch])

            yield "<note>"
            if not is_first:
                yield "<chord/>"
            yield _pitch(note, keys) + _tag("duration", sign.length)
            yield "".join(f'<tie type="{kind}"/>' for kind in ties)
            yield _tag("voice", voice) + _shape(sign) + sharp + _ratio(sign)
            if stem:
                yield _tag("stem", stem)
            if is_first:
                yield beam
            marks = "".join(f'<tied type="{kind}"/>' for kind in ties)
            if is_first:
                marks += bracket
            if note.fermata and not goes_on:
                marks += _fermata(stem)
            yield _notations(marks) + "</note>"


def _rest(sign: Sign, voice: int, bracket: str) -> str:
    lasts_a_bar = sign.kind is None and sign.length > 1
    what = '<rest measure="yes"/>' if lasts_a_bar else "<rest/>"
    duration = _tag("duration", sign.length)
    value = _shape(sign) + _ratio(sign)
    return f"<note>{what}{duration}{_tag('voice', voice)}{value}{_notations(bracket)}</note>"


def _pitch(note: Note, keys: Sequence[Key]) -> str:
    step, alter, octave = spell(note.pitch, at(keys, note.start, Key(0, 0)))
    altered = _tag("alter", alter) if alter else ""
    return _tag("pitch", _tag("step", step) + altered + _tag("octave", octave))


def _shape(sign: Sign) -> str:
    """The value of a sign, with its dots."""
    if sign.kind is None:
        return ""
    return _tag("type", TYPES[sign.kind]) + "<dot/>" * sign.dots


def _ratio(sign: Sign) -> str:
    """Of a tuplet, how many notes stand for how many."""
    if sign.tuplet == 1:
        return ""
    actual = _tag("actual-notes", sign.tuplet)
    normal = _tag("normal-notes", normal_notes(sign.tuplet))
    return _tag("time-modification", actual + normal)


def _fermata(stem: str) -> str:
    kind = "inverted" if stem == "down" else "upright"
    return f'<fermata type="{kind}"/>'


def _notations(marks: str) -> str:
    return _tag("notations", marks) if marks else ""


def _brackets(signs: Sequence[Sign]) -> list[str]:
    """Of each sign, the bracket of a tuplet that begins or ends there."""
    groups = [(sign.beat, sign.tuplet) if sign.tuplet > 1 else None for sign in signs]
    begins = '<tuplet type="start"/>'
    ends = '<tuplet type="stop"/>'
    by_role = {"begin": begins, "end": ends, "alone": begins + ends}
    return [by_role.get(role, "") for role in _roles(groups)]


def _beams(signs: Sequence[Sign]) -> list[str]:
    """Of each sign its beams: level 1 of eighths, 2 of sixteenths and so on, within a beat."""
    roles_by_level = [_beam_roles(signs, level) for level in range(1, BEAM_LEVELS + 1)]
    first_level = roles_by_level[0]
    beams = []
    for i in range(len(signs)):
        beam = ""
        hook = "forward hook" if first_level[i] == "begin" else "backward hook"
        if first_level[i] != "alone":
            for level, roles in enumerate(roles_by_level, 1):
                role = hook if roles[i] == "alone" else roles[i]
                if role:
                    beam += f'<beam number="{level}">{role}</beam>'
        beams.append(beam)
    return beams


def _beam_roles(signs: Sequence[Sign], level: int) -> list[str]:
    """The roles of signs in the beams of a level."""
    groups = []
    for sign in signs:
        flags = (sign.kind or 0) - QUARTER
        has_beam = bool(sign.notes) and flags >= level
        groups.append((sign.beat, sign.tuplet) if has_beam else None)
    return _roles(groups)


def _roles(groups: Iterable[object]) -> list[str]:
    """Of each item its role in its run of equal groups: "begin", "continue", "end", or "alone"; ""
    where the group is None."""
    roles: list[str] = []
    for group, run in groupby(groups):
        count = len(list(run))
        if group is None:
            roles += [""] * count
        elif count == 1:
            roles.append("alone")
        else:
            roles += ["begin", *["continue"] * (count - 2), "end"]
    return roles


def _tag(name: str, content: object) -> str:
    """An element of XML. content: text that is escaped, or elements."""
    return f"<{name}>{content}</{name}>"


def _text(words: str) -> str:
    """Escaped, without the characters that XML cannot hold."""
    return escape(_NO_XML.sub("", words))
