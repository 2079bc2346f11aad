"""ABC (by music21's tokenizer: its streams cost ten times that), kern (by music21), and the JSB json."""

import json
import re
from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from genwright.music.draft import SEMITONES, BadMusic, Draft, Raw
from genwright.music.score import of_grid

_ABC = {"T": "title", "C": "composer", "R": "type", "Z": "transcription"}
_FERMATA = re.compile(r'"[^"]*"|!fermata!|H(?=[\^_=]*[A-Ga-g\[])')  # or words, which stay
_KERN = {"title": "title", "work": "parentTitle", "composer": "composer", "rights": "copyright"}  # in music21's words


def tunes(data: bytes) -> list[str]:
    """The tunes of an ABC file, each after the lines that stand before the first."""
    head, *rest = re.split(r"(?m)^(?=X:)", _text(data))
    lengths = re.compile(r"(?m)^(L:|M: *[C\d])")  # without either a note is an eighth, which music21 does not know
    return [head + tune if lengths.search(head + tune) else f"L:1/8\n{head}{tune}" for tune in rest or [""]]


def abc(text: str) -> Draft:
    """One tune."""
    from music21 import abcFormat

    draft = Draft()
    word = lambda sign: sign[0] if sign[0][0] == '"' else '"fermata"'  # noqa: E731 - music21 leaves out a note that begins with the letter of one
    text = re.sub(r"(?m)^(?![A-Za-z]:|%).+$", lambda line: _FERMATA.sub(word, line[0]), text)
    head, *sections = abcFormat.ABCFile((2, 1, 0)).readstr(text).splitByVoice()  # of 2.1: an accidental holds until the bar ends
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
                    notes.append(Raw(now, length, pitch, 80, "fermata" in token.src, token.tie in ("stop", "continue"), ratio != 1))
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
    """A voice a **kern spine, what it splits into included. https://www.humdrum.org/rep/kern/"""
    from music21.humdrum.spineParser import HumdrumDataCollection

    file = HumdrumDataCollection(_text(data) + "\n")
    file.parse()
    draft = Draft(by_height=True, end=Fraction(file.stream.highestTime))
    draft.facts = {name: str(getattr(file.stream.metadata, own, None) or "") for name, own in _KERN.items()}
    for part in file.stream.parts:
        draft.bars += [Fraction(measure.offset) for measure in part.getElementsByClass("Measure")]
        part, notes = part.flatten(), list[Raw]()
        draft.meters += [(Fraction(m.offset), m.numerator, m.denominator) for m in part.getElementsByClass("TimeSignature")]
        draft.keys += [(Fraction(k.offset), k.sharps, "") for k in part.getElementsByClass("KeySignature")]
        draft.lost["grace notes"] += sum(not sound.quarterLength for sound in part.notes)
        for sound in (sound for sound in part.notes if sound.quarterLength):
            fermata = any("Fermata" in mark.classes for mark in sound.expressions)
            for note in getattr(sound, "notes", [sound]):
                tied = note.tie is not None and note.tie.type in ("stop", "continue")
                about = note.pitch.midi, 80, fermata, tied, bool(sound.duration.tuplets)
                notes.append(Raw(Fraction(sound.offset), Fraction(sound.quarterLength), *about))
        draft.voices.append(("", notes))
    draft.bars.append(Fraction(0))
    return draft


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
