"""A tune of ABC, by ABC 2.1 (https://abcnotation.com/wiki/abc:standard:v2.1): from its text to a
`Draft`.

`read` goes through the lines of a tune (`abc_file`), their fields (`abc_fields`) and music code
(`abc_tokens`), and tells the voices what comes (`abc_voice`). A field in the body is for the voice
in which it stands. The tune ends at an empty line; what follows is no music, but lines that look
like it are counted.

Repeats, endings and parts are not played out, and macros not expanded. What has no place in a draft
is counted in `Draft.lost`: grace notes, chord symbols, annotations, decorations but fermatas,
lyrics, repeats; what is no ABC is named by `BadMusic`.
"""

import re
from copy import deepcopy
from fractions import Fraction

from genwright.contents.music import abc_fields
from genwright.contents.music.abc_fields import FREE
from genwright.contents.music.abc_file import lines, looks_like_music
from genwright.contents.music.abc_text import shown
from genwright.contents.music.abc_tokens import (
    Bar,
    BarRest,
    Broken,
    Chord,
    Decoration,
    Ending,
    Field,
    Grace,
    Ignored,
    Note,
    Number,
    Overlay,
    Quoted,
    Rest,
    Tie,
    Token,
    Tuplet,
    tokens,
)
from genwright.contents.music.abc_voice import Setting, Voice
from genwright.contents.music.draft import BadMusic, Draft

MOST_VOICES = 256
MOST_MACROS = 64
_FACTS = {"T": "title", "C": "composer", "R": "type", "Z": "transcription"}
_LINES = {"w": "lines of lyrics", "W": "lines of lyrics", "s": "lines of symbols"}
_OTHER_PITCHES = re.compile(r"(MIDI\s+r?transpose|MIDI\s+drum|transpose)\b")
_SYMBOLS = {  # letter or sign -> the decoration that it stands for (4.14)
    "~": "roll",
    "H": "fermata",
    "L": "accent",
    "M": "lowermordent",
    "O": "coda",
    "P": "uppermordent",
    "S": "segno",
    "T": "trill",
    "u": "upbow",
    "v": "downbow",
    ".": "staccato",
}
# what a decoration may stand before
_MARKED = (Note, Chord, Rest, Grace, Decoration, Quoted, Tuplet, Bar)
_AGAIN = ("D.C.", "D.S.", "dacapo", "dacoda")  # decorations that send a player back
# decorations of 4.14 and what is written beside them, in small letters
_DECORATION_NAMES = (
    "trill trill( trill) lowermordent uppermordent mordent pralltriller roll turn turnx "
    "invertedturn invertedturnx arpeggio > accent emphasis tenuto 0 1 2 3 4 5 + plus snap "
    "slide wedge staccato upbow downbow open thumb breath pppp ppp pp p mp mf f ff fff ffff "
    "sf sfz crescendo( <( crescendo) <) diminuendo( >( diminuendo) >) segno coda fine "
    "shortphrase mediumphrase longphrase"
)
_DECORATIONS = frozenset(_DECORATION_NAMES.split())
_ANNOTATION = ("^", "_", "<", ">", "@")  # what an annotation begins with; a chord symbol does not
_WITHOUT_LOSS = ("!", "$", "]")  # signs that say nothing of what sounds


def read(text: str) -> Draft:
    """One tune, which ends at the first empty line. Raises BadMusic."""
    reader = _Reader()
    tune, *after = re.split(r"\n[ \t]*(?=\n)", text, maxsplit=1)
    for letter, line in lines(tune):
        if letter == "%":
            reader.directive(line)
        elif letter:
            reader.field(letter, line)
        else:
            reader.music(line)
    draft = reader.draft()
    for line in "".join(after).split("\n"):
        draft.lost["lines of music after an empty line"] += looks_like_music(line)
    return draft


class _Reader:
    """The state of one tune."""

    def __init__(self) -> None:
        self.result = Draft()
        self.start = Setting()  # what the header sets for all voices
        # voice -> its properties, of V: fields in the header
        self.declared: dict[str, list[str]] = {}
        self.voices: dict[str, Voice] = {}
        self.voice: Voice | None = None
        self.unit_is_set = False
        self.in_body = False
        self.symbols = dict(_SYMBOLS)
        self.text_before_key: str | None = None
        self.macros: list[str] = []
        self.before: Token | None = None  # the last token of the line before

    # Fields

    def field(self, letter: str, text: str) -> None:
        """An information field."""
        if letter in _FACTS:
            words = text.lower() if letter == "R" else text
            self.result.facts.setdefault(_FACTS[letter], shown(words))
        elif letter == "I":
            self.directive(text)
        elif letter in _LINES:
            self.result.lost[_LINES[letter]] += 1
        elif letter == "P" and not self.in_body and len(re.sub(r"[\s.]", "", text)) > 1:
            self.result.lost["repeats not played out"] += 1
        elif letter == "U":
            self._user_symbol(text)
        elif letter == "m":
            self._macro(text)
        elif letter == "V":
            self._voice_field(text)
        elif letter in "MLKQ":
            self._setting_field(letter, text)
        elif letter == "+":  # it goes on from nothing
            self.result.lost["fields not understood"] += 1

    def _setting_field(self, letter: str, text: str) -> None:
        """A field that changes how notes are read: of the header for all voices, else of the voice
        at hand."""
        voice = self.voice
        if voice is None:
            setting = self.start
            now = Fraction(0)
            leads = True
        else:
            setting = voice.setting
            now = voice.now
            leads = self._is_first(voice)
        if letter == "M":
            self._metre(setting, text, now, leads)
        elif letter == "L":
            setting.unit = abc_fields.unit_length(text)
            self.unit_is_set = True
        elif letter == "Q":
            self._tempo(text, setting.unit, now)
        else:
            self._key(setting, text, now, leads)
            self.in_body = True

    def _is_first(self, voice: Voice) -> bool:
        """Whether a voice is the first one, whose metres, keys and bars are the piece's."""
        return voice is next(iter(self.voices.values()))

    def _metre(self, setting: Setting, text: str, now: Fraction, leads: bool) -> None:
        """leads: it is the piece's metre too."""
        metre = abc_fields.metre(text)
        if metre is None:
            self.result.lost["fields not understood"] += 1
            metre = FREE
        setting.metre = metre
        if not self.in_body and not self.unit_is_set:
            setting.unit = abc_fields.usual_length(metre)
        if leads and metre.beats:
            self.result.meters.append((now, metre.beats, metre.unit))

    def _key(self, setting: Setting, text: str, now: Fraction, leads: bool) -> None:
        """leads: it is the piece's key too."""
        key = abc_fields.key(text)
        setting.take(key.properties)
        self.result.lost["fields not understood"] += key.properties.unread
        if key.alterations is None:
            return
        setting.alterations = key.alterations
        if self.voice:
            self.voice.changed_key()
        none_at_first = text.strip() in ("", "none") and now == 0
        if leads and key.sharps is not None and not none_at_first:
            self.result.keys.append((now, key.sharps, key.mode))

    def _tempo(self, text: str, unit: Fraction, now: Fraction) -> None:
        """unit: the unit note length."""
        tempo = abc_fields.tempo(text, unit)
        if tempo is None:
            kind = "tempos in words" if text.strip().startswith('"') else "fields not understood"
            self.result.lost[kind] += 1
        elif now:
            self.result.tempos.append((now, tempo))
        else:
            self.result.tempo = tempo

    def _voice_field(self, text: str) -> None:
        """Declares a voice in the header, goes to it in the body."""
        name, _, rest = text.strip().partition(" ")
        name = name[:20]
        if not name:
            raise BadMusic("holds a V: field that names no voice")
        if not self.in_body:
            self.declared.setdefault(name, []).append(rest)
            return
        if list(self.voices) == [""]:  # what came before the first V: is of the voice that it names
            self.voices = {name: self.voices[""]}
        self.voice = self._opened(name)
        found, _ = abc_fields.properties(rest)
        self.voice.setting.take(found)
        self.result.lost["fields not understood"] += found.unread

    def _opened(self, name: str) -> Voice:
        """The voice of a name, new where it was not there; those of the header come first, in its
        order."""
        for each in [*self.declared, name]:
            if each not in self.voices:
                self.voices[each] = self._new_voice(each)
        return self.voices[name]

    def _new_voice(self, name: str) -> Voice:
        """A voice as the header sets it. Raises BadMusic where there are too many."""
        if len(self.voices) == MOST_VOICES:
            raise BadMusic(f"has more than {MOST_VOICES} voices, more than any orchestra")
        setting = deepcopy(self.start)
        found, _ = abc_fields.properties(" ".join(self.declared.get(name, [])))
        setting.take(found)
        self.result.lost["fields not understood"] += found.unread
        return Voice(setting)

    def _user_symbol(self, text: str) -> None:
        """U: what a letter stands for."""
        match = re.fullmatch(r"\s*([~H-Wh-w])\s*=\s*(.*?)\s*", text)
        if match is None:
            self.result.lost["fields not understood"] += 1
        else:
            name = match[2].strip("!+")
            self.symbols[match[1]] = "" if name in ("nil", "none") else name

    def _macro(self, text: str) -> None:
        """m: what a macro replaces."""
        target, sign, _ = text.partition("=")
        if not sign or not target.strip():
            self.result.lost["fields not understood"] += 1
            return
        if len(self.macros) == MOST_MACROS:
            raise BadMusic(f"has more than {MOST_MACROS} macros")
        self.macros.append(target.strip())

    def directive(self, text: str) -> None:
        """The text of %%... or I:."""
        name, value, *_ = [*text.split(), "", ""]
        if name == "propagate-accidentals" and value in ("not", "octave", "pitch"):
            for setting in (self.start, *(voice.setting for voice in self.voices.values())):
                setting.propagate = value
        elif _OTHER_PITCHES.match(text):
            self.result.lost["directives not followed"] += 1

    # Music

    def music(self, line: str) -> None:
        """A line of music code."""
        if not self.in_body:  # text of the header without a field: no music, unless no key follows
            self.result.lost["lines not understood"] += 1
            self.text_before_key = self.text_before_key or line.strip()
            return
        for macro in self.macros:
            if re.search(re.escape(macro).replace("n", "[a-gA-G]"), line):
                raise BadMusic(f"uses the macro {macro[:20]!r}, and macros are not expanded")
        before: Token | None = self.before
        for token in tokens(line.rstrip().removesuffix("\\")):
            self._check_mark(before, token)
            if isinstance(token, Number):
                # of an ending, where the line before ends with a bar line
                is_ending = isinstance(before, Bar) and before is self.before
                if not is_ending:
                    self.result.lost["numbers without a note"] += 1
            self._token(token)
            before = token
        self._check_mark(before, None)
        self.before = before

    def _check_mark(self, token: Token | None, after: Token | None) -> None:
        """Raises BadMusic for a letter that stands for nothing where nothing follows that it could
        mark, as in prose."""
        if not isinstance(token, Decoration) or not self._means_nothing(token):
            return
        marks_something = isinstance(after, _MARKED) and not self._means_nothing(after)
        if not marks_something:
            raise BadMusic(f"holds {token.text!r}, which is no note of ABC")

    def _means_nothing(self, token: Token | None) -> bool:
        """Whether it is a letter that stands for no decoration."""
        return isinstance(token, Decoration) and token.symbol and token.text not in self.symbols

    def _token(self, token: Token) -> None:
        """What a token of music code means for the voice at hand."""
        if isinstance(token, Field):
            self.field(token.letter, token.text)
            return
        if self.voice is None:
            self.voice = self._opened(next(iter(self.declared), ""))
        voice = self.voice
        lost = self.result.lost
        if isinstance(token, Note):
            voice.note(token)
        elif isinstance(token, Bar):
            self._bar(voice, token)
        elif isinstance(token, Rest):
            voice.rest(token.length)
        elif isinstance(token, Broken):
            voice.broken(token)
        elif isinstance(token, Chord):
            for mark in token.marks:
                self._token(mark)
            voice.chord(token)
        elif isinstance(token, Tie):
            voice.tie()
        elif isinstance(token, Tuplet):
            voice.tuplet(token)
        elif isinstance(token, Decoration):
            self._decoration(voice, token)
        elif isinstance(token, Quoted):
            kind = "annotations" if token.text.startswith(_ANNOTATION) else "chord symbols"
            lost[kind] += 1
        elif isinstance(token, Grace):
            voice.grace(token.notes)
        elif isinstance(token, BarRest):
            voice.rest_bars(token.bars)
        elif isinstance(token, Overlay):
            voice.overlay(token.bars)
        elif isinstance(token, Ignored):
            lost["signs not understood"] += token.text not in _WITHOUT_LOSS
        else:
            assert isinstance(token, Ending | Number)

    def _bar(self, voice: Voice, token: Bar) -> None:
        voice.bar_line()
        if voice.fermata:  # over a bar line
            voice.fermata = False
            self.result.lost["decorations"] += 1
        repeats = ":|" in token.text or token.text.startswith("::")
        if repeats and self._is_first(voice):
            self.result.lost["repeats not played out"] += 1

    def _decoration(self, voice: Voice, token: Decoration) -> None:
        name = self.symbols.get(token.text, "") if token.symbol else token.text
        if name in ("fermata", "invertedfermata"):
            voice.fermata = True
        elif name.startswith(_AGAIN):
            self.result.lost["repeats not played out"] += 1
        elif name.lower() in _DECORATIONS or name.startswith('"'):
            self.result.lost["decorations"] += 1
        else:
            self.result.lost["signs not understood"] += 1

    def draft(self) -> Draft:
        """What was read, at the end of the tune."""
        if not self.in_body and self.text_before_key:
            raise BadMusic(f"sets no key (K:) before its music, {self.text_before_key[:20]!r}")
        result = self.result
        for name, voice in self.voices.items():
            voice.finish()
            result.lost.update(voice.lost)
            result.end = max(result.end, voice.end)
            own, *overlays = voice.layers
            result.voices.append((name, own.notes))
            for layer in overlays:
                if layer.notes:
                    result.voices.append((f"{name} &".strip(), layer.notes))
        leading = next(iter(self.voices.values()), None)
        if leading:
            result.bars = [Fraction(0), *leading.bars]
        return result
