"""MIDI (by symusic), ABC (by music21's tokenizer: its streams cost ten times that), kern without split spines, and the JSB json."""

import json
import re
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from genwright.music.draft import SEMITONES, BadMusic, Draft, Raw
from genwright.music.score import of_grid

_ABC = {"T": "title", "C": "composer", "R": "type", "Z": "transcription"}
_KERN = {"OTL": "title", "OPR": "work", "COM": "composer", "YEC": "rights"}


def midi(data: bytes) -> Draft:
    """A voice a track; without drums."""
    from symusic import Score as File

    file = File.from_midi(data)
    draft = Draft(end=Fraction(file.end(), file.tpq), by_height=True)
    draft.lost["unpitched notes"] = sum(len(track.notes) for track in file.tracks if track.is_drum)
    for track in (track for track in file.tracks if not track.is_drum):
        notes = [Raw(Fraction(n.time, file.tpq), Fraction(n.duration, file.tpq), n.pitch, n.velocity) for n in track.notes]
        draft.voices.append((track.name, notes))
    meters = [(Fraction(m.time, file.tpq), m.numerator, m.denominator) for m in file.time_signatures]
    draft.meters = meters if meters and not meters[0][0] else [(Fraction(0), 4, 4), *meters]  # the standard: 4/4 unless it says so
    draft.keys = [(Fraction(k.time, file.tpq), k.key, "minor" if k.tonality else "major") for k in file.key_signatures]
    if speeds := [tempo.qpm for tempo in file.tempos]:
        draft.tempo = speeds[0] if max(speeds) < 1e5 else 0.0
        draft.lost["changes of tempo"] += len(set(speeds)) - 1
    return draft


def tunes(data: bytes) -> list[str]:
    """The tunes of an ABC file, each after the lines that stand before the first."""
    head, *rest = re.split(r"(?m)^(?=X:)", _text(data))
    lengths = re.compile(r"(?m)^(L:|M: *[C\d])")  # without either a note is an eighth, which music21 does not know
    return [head + tune if lengths.search(head + tune) else f"L:1/8\n{head}{tune}" for tune in rest or [""]]


def abc(text: str) -> Draft:
    """One tune."""
    from music21 import abcFormat

    draft = Draft()
    head, *sections = abcFormat.ABCFile().readstr(text).splitByVoice()
    voices: dict[str, list] = {} if sections else {"": head.tokens}
    for section in sections:  # a voice may come back after another one
        voices.setdefault(section.tokens[0].data.split()[0], [*head.tokens]).extend(section.tokens)
    for voice, tokens in voices.items():
        now, notes, first = Fraction(0), list[Raw](), not draft.voices
        for token in tokens:
            if isinstance(token, abcFormat.ABCBar) and first:
                draft.bars.append(now)
            elif isinstance(token, abcFormat.ABCMetadata) and first:
                _field(draft, token, now)
            elif isinstance(token, abcFormat.ABCNote) and token.inGrace:
                draft.lost["grace notes"] += 1
            elif isinstance(token, abcFormat.ABCNote):
                if not re.search("[a-gA-GxzXZ]", re.sub('"[^"]*"', "", token.src)):  # of which music21 makes a C
                    raise BadMusic(f"holds {token.src[:20].strip()!r}, which is no note of ABC")
                ratio = Fraction(token.activeTuplet.tupletMultiplier() if token.activeTuplet else 1)
                length = Fraction(token.quarterLength) * ratio
                for name in filter(None, (note.pitchName for note in getattr(token, "subTokens", [token]))):  # as "F#4"
                    pitch = 12 + 12 * int(name[-1]) + SEMITONES[name[0].upper()] + name.count("#") - name.count("-")
                    notes.append(Raw(now, length, pitch, 80, False, token.tie in ("stop", "continue"), ratio != 1))
                now += length
        draft.voices.append((voice, notes))
        draft.bars, draft.end = [Fraction(0), *draft.bars], max(draft.end, now)
    return draft


def _field(draft: Draft, token, now: Fraction) -> None:
    if token.isMeter() and (meter := token.getTimeSignatureParameters()):
        draft.meters.append((now, *meter[:2]))
    elif token.isKey():
        sharps, mode = token.getKeySignatureParameters()
        draft.keys.append((now, sharps, mode or "major"))
    elif token.isTempo() and draft.tempo is None:  # "Slow" 3/8=50, or 100 for quarter notes
        words = re.sub('"[^"]*"', "", token.data)
        beat = sum(map(Fraction, re.findall(r"\d+/\d+", words)), Fraction(0)) or Fraction(1, 4)
        draft.tempo = float(4 * beat * int(speed[1])) if (speed := re.search(r"(\d+)\s*$", words)) else None
    elif token.tag in _ABC:
        draft.facts.setdefault(_ABC[token.tag], token.data.lower() if token.tag == "R" else token.data)


def kern(data: bytes) -> Draft:
    """A voice a **kern spine. https://www.humdrum.org/rep/kern/"""
    draft, spines, clocks = Draft(by_height=True), dict[int, list[Raw]](), dict[int, Fraction]()
    for line in _text(data).splitlines():
        fields = line.split("\t")
        if record := re.match(r"!!!(\w+): *(.*)", line):
            draft.facts |= {_KERN[record[1]]: record[2]} if record[1] in _KERN else {}
        elif line[:2] == "**":
            spines |= {i: [] for i, kind in enumerate(fields) if kind == "**kern"}
            clocks = dict.fromkeys(spines, Fraction(0))
        elif line[:1] == "*" and {"*^", "*v", "*x", "*+"} & set(fields):
            raise BadMusic("is kern whose spines split, join or change places, which is not read")
        elif line[:1] in ("=", "*") and spines:
            now, words = max(clocks.values()), fields[min(spines)]
            if meter := re.match(r"\*M(\d+)/(\d+)", words):
                draft.meters.append((now, int(meter[1]), int(meter[2])))
            elif words.startswith("*k["):
                draft.keys.append((now, words.count("#") - words.count("-"), ""))
            draft.bars += [now] if line[0] == "=" else []
        elif line[:1] != "!":
            for i, token in ((i, token) for i, token in enumerate(fields) if i in spines and token != "."):
                clocks[i] += max(_sign(sign, clocks[i], spines[i], draft) for sign in token.split())
    draft.voices, draft.end = [("", notes) for notes in spines.values()], max(clocks.values(), default=Fraction(0))
    draft.bars.append(Fraction(0))
    return draft


def _sign(sign: str, start: Fraction, notes: list[Raw], draft: Draft) -> Fraction:
    """The length of a note, which is added, or of a rest."""
    written = re.search(r"(\d{1,5})(\.{0,5})", sign)
    if written is None or "q" in sign.lower():
        draft.lost["grace notes"] += 1
        return Fraction(0)
    parts, dots = int(written[1]), len(written[2])
    length = (Fraction(4, parts) if parts else Fraction(4 << len(written[1]))) * (2 - Fraction(1, 1 << dots))  # 0 a breve, 00 a longa
    if letters := "".join(re.findall("[a-gA-G]", sign)):
        octave = 4 + len(letters) if letters.islower() else 5 - len(letters)
        midi = 12 * octave + SEMITONES[letters[0].upper()] + sign.count("#") - sign.count("-")
        notes.append(Raw(start, length, midi, 80, ";" in sign, "]" in sign or "_" in sign, parts & (parts - 1) != 0))
    return length


def jsb(data: bytes) -> Iterator[tuple[str, Draft]]:
    """(name, piece) of {"train": [[[soprano, alto, tenor, bass], ... sixteenths], ... pieces], ...}, -1 a rest."""
    splits = json.loads(data)
    if not isinstance(splits, dict) or not all(isinstance(pieces, list) for pieces in splits.values()):
        raise BadMusic('is no json of chorales: {"train": [[[67, 62, 59, 43], ...], ...], ...}')
    for split, pieces in splits.items():
        for number, frames in enumerate(pieces):
            score = of_grid(np.asarray(frames))
            voices = [[Raw(Fraction(n.start, 4), Fraction(n.length, 4), n.pitch) for n in notes] for notes in score.voices]
            yield f"{split}/{number}", Draft([("", notes) for notes in voices], end=Fraction(score.length, 4), facts={"split": split})


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")
