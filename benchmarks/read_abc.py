r"""Our reading of ABC beside an independent reader's, abc2midi's, note by note: onset, length and
pitch of every note of every tune.

    python benchmarks/read_abc.py [--limit 60] [--workers 2] \
        [--json benchmarks/results/read_abc.json]

The tunes: `folk-tunes` (Aird, O'Neill, Ryan), and the Essen collection, all of music21's installed
corpus. abc2midi is the program that the package symusic carries. It is called once a tune, without
grace notes, fermatas and chord symbols. Before that, text substitutions of this file's own, which
know nothing of our reader, make both sides mean the same:
- repeat signs and the numbers of endings become plain bar lines, and the order of parts (P:) goes,
  so that both sides hold each written bar once. This hides how abc2midi plays repeats, which ours
  does not do at all, and nothing else;
- what it plays as other notes or shorter ones goes: ornaments (~ T !trill!), staccato dots, R: (it
  plays a > b of a hornpipe as 2:1);
- tuplets are written in full, (p:q:r, by the standard's table: abc2midi takes 3/4 for a compound
  metre, the standard does not;
- the accidentals of grace notes, which it forgets where it leaves them out (-NGRA), are written at
  the next note of their letter;
- what it cannot read goes: line breaks of old (a single !), [|]; chords of old, +CE+, are written
  in brackets; mail's =3D, =20, = undone.
Its notes begin a tick late and end a tick early; times are compared to 1/160 of a quarter note, 3
of its 480 ticks.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parent))
from common import finish
from genwright.contents.music import abc_file, abc_reader
from genwright.contents.music import sources as source_music
from genwright.contents.music.draft import BadMusic, untie

TOLERANCE = Fraction(1, 160)  # quarter notes
OPTIONS = ("-NGRA", "-NFER", "-NGUI", "-silent")
Sound = tuple[Fraction, Fraction, int]  # onset, length, pitch
EXPLAINED = {  # of each tune that differs, who is right by the standard, and why
    "oneills1850/0732-0758_bs.abc#14": (
        "K:Bn names no mode. abc2midi says so and plays B major; the tune is in B minor. "
        "Refusing it is right."
    ),
    "oneills1850/0732-0758_mh.abc#14": "K:Bn, as in 0732-0758_bs.abc#14.",
    "ryansMammoth/MollShurkiesJig.abc#1": (
        "[Ac]<a3 is a broken rhythm of unequal notes, whose effect is undefined (4.4). "
        "We apply none and count it, as abc2midi does between single notes; "
        "between a chord and a note it applies it all the same."
    ),
    "ryansMammoth/MyLadysGoonHasGairsOntStrathspey.abc#1": (
        '["Coda" e3g( is a named ending, which the standard does not have. '
        "We read it as one; abc2midi reads it as a chord that does not end."
    ),
    "essenFolksong/folkHaydn.abc#13": (
        "K:Es is no key of ABC (E flat in German). abc2midi says so and plays E major. "
        "Refusing it is right."
    ),
    "essenFolksong/han2.abc#374": (
        "K:H is no key of ABC (B in German). abc2midi plays nothing, we refuse it: both are right."
    ),
    "essenFolksong/han2.abc#445": "K:H, as in han2.abc#374.",
}


class Tune(NamedTuple):
    """ours: as our reader splits the file; theirs: the text from X: to the next X:."""

    name: str
    ours: str
    theirs: str


def collections() -> dict[str, list[Path]]:
    """The files of folk-tunes and of Essen."""
    folk = [Path(file.path) for file in source_music.find("folk-tunes")]
    return {
        "folk-tunes": folk,
        "essen": sorted((folk[0].parents[1] / "essenFolksong").glob("*.abc")),
    }


def tunes_of(files: list[Path]) -> list[Tune]:
    found = []
    for path in files:
        data = path.read_bytes()
        theirs = re.split(r"(?m)^(?=X:)", abc_file.decoded(data))[1:]
        for i, (mine, other) in enumerate(zip(abc_file.tunes(data), theirs, strict=True), 1):
            found.append(Tune(f"{path.parent.name}/{path.name}#{i}", mine, other))
    return found


def plain(text: str) -> str:
    """The tune as abc2midi gets it: without repeats, ornaments, staccato and mail's signs, tuplets
    in full."""
    text = re.sub(r"=\n(?![A-Za-z]:)|=20(?=\n)", "", text.replace("\r", "").replace("=3D", "="))
    text = _with_accidentals_of_grace(text)
    first, *lines = text.split("\n")
    changed, compound = [], False
    for line in lines:
        if line.startswith("M:"):
            compound = line[2:].strip() in ("6/8", "9/8", "12/8", "6/4")
        if not re.match(r"[A-Za-z]:(?![|:])|%", line):
            line = _plain_music(line, compound)
        if not line.startswith(("R:", "P:")):
            changed.append(line)
    return "\n".join([first, "%%MIDI gchordoff", "%%MIDI chordattack 0", *changed]) + "\n"


def _plain_music(line: str, compound: bool) -> str:
    # texts, fields and names stay as they are
    pieces = re.split(r'("[^"]*"|\[[A-Za-z]:[^\]]*\]|![^!\s|]*!)', line)
    for i in range(0, len(pieces), 2):
        piece = re.sub(r"\+([^+\s|]+)\+", r"[\1]", pieces[i])
        piece = re.sub(r"[~T.!+]", "", piece)
        piece = re.sub(r"(\||(?<!\(\d):)\d[\d,-]*", r"\1", piece)
        piece = re.sub(r"\[\d[\d,-]*", "", piece)
        piece = piece.replace("[|]", "|")
        piece = re.sub(r":*\|+:+|:+\|+|(?<!\(\d)::+", "|", piece)
        pieces[i] = re.sub(
            r"\((\d)(?::(\d?))?(?::(\d?))?", lambda match: _in_full(match, compound), piece
        )
    return "".join(pieces).replace("!trill!", "")


_NO_NOTE = r'"[^"]*"|!\w+!|\[[A-Za-z]:[^\]]*\]|\n[A-Za-z]:(?![|:])[^\n]*|%[^\n]*'
_STEP = re.compile(rf"{_NO_NOTE}|(?P<sign>[_=^]*)(?P<letter>[A-Ga-g])|(?P<bar>\|)|.", re.S)


def _with_accidentals_of_grace(text: str) -> str:
    """The tune with the accidentals of grace notes written at the next notes of their letters in
    the bar, if those have none."""
    for group in reversed(list(re.finditer(r"\{[^}\n]*\}", text))):
        for sign, letter in re.findall(r"(\^\^?|__?|=)([A-Ga-g])", group[0]):
            for step in _STEP.finditer(text, group.end()):
                if step["bar"] or step["letter"] and step["letter"].lower() == letter.lower():
                    if step["letter"] and not step["sign"]:
                        text = text[: step.start()] + sign + text[step.start() :]
                    break
    return text


def _in_full(match: re.Match[str], compound: bool) -> str:
    """A tuplet as (p:q:r, by the table in section 4.13 of the standard."""
    p, q, r = match.groups()
    usual = {"2": 3, "3": 2, "4": 3, "6": 2, "8": 3}.get(p, 3 if compound else 2)
    return f"({p}:{q or usual}:{r or p}"


def by_abc2midi(text: str, program: str, folder: str) -> list[list[Sound]]:
    """Of each voice its notes, by time; empty where it gives none."""
    from symusic import Score

    source, target = Path(folder, "tune.abc"), Path(folder, "tune.mid")
    source.write_text(plain(text), encoding="utf-8")
    target.unlink(missing_ok=True)
    subprocess.run(
        [program, str(source), *OPTIONS, "-o", str(target)], capture_output=True, timeout=20
    )
    if not target.exists():
        return []
    score = Score.from_midi(target.read_bytes())
    tick = Fraction(1, score.tpq)
    voices = []
    for track in score.tracks:
        sounds = [
            ((note.time - 1) * tick, (note.duration + 1) * tick, note.pitch) for note in track.notes
        ]
        voices.append(sorted(sounds))
    return [voice for voice in voices if voice]


def by_us(text: str) -> list[list[Sound]] | str:
    """The same of our reader, or why it refuses the tune."""
    try:
        draft = abc_reader.read(text)
    except BadMusic as problem:
        return str(problem)
    voices = (
        [(raw.start, raw.length, raw.pitch) for raw in untie(notes)] for _, notes in draft.voices
    )
    return [sorted(voice) for voice in voices if voice]


def difference(ours: list[list[Sound]] | str, theirs: list[list[Sound]]) -> str:
    """The first difference in words, "" where there is none."""
    if isinstance(ours, str):
        return f"refused: {ours}"
    if len(ours) != len(theirs):
        return f"{len(ours)} voices, and {len(theirs)} by abc2midi"
    for mine, other in zip(ours, theirs, strict=True):
        mine, other = _by_tick(mine), _by_tick(other)
        for a, b in zip(mine, other, strict=False):
            if a[2] != b[2] or abs(a[0] - b[0]) > TOLERANCE or abs(a[1] - b[1]) > TOLERANCE:
                return f"{_said(a)}, and {_said(b)} by abc2midi"
        if len(mine) != len(other):
            return f"{len(mine)} notes, and {len(other)} by abc2midi"
    return ""


def _by_tick(sounds: list[Sound]) -> list[Sound]:
    """Sorted by onset to a 24th of a quarter note's third and then by pitch, so that rounding
    changes no order."""
    return sorted(sounds, key=lambda sound: (round(sound[0] * 120), sound[2], sound[1]))


def _said(sound: Sound) -> str:
    return f"pitch {sound[2]} at {float(sound[0]):.3f} for {float(sound[1]):.3f}"


def compare(tunes: list[Tune], program: str) -> list[tuple[str, int, str]]:
    """(name, notes, the first difference) of each tune."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for tune in tunes:
            ours = by_us(tune.ours)
            count = sum(map(len, ours)) if not isinstance(ours, str) else 0
            found.append(
                (tune.name, count, difference(ours, by_abc2midi(tune.theirs, program, folder)))
            )
    return found


def abc2midi() -> str:
    """The path of the program."""
    import symusic

    return str(Path(symusic.__file__).parent / "bin" / "abc2midi")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--limit", type=int, help="only so many tunes of a collection, at equal distances"
    )
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", help="where to keep the result")
    args = parser.parse_args()
    figures: dict = {}
    for name, files in collections().items():
        tunes = tunes_of(files)
        if args.limit:
            tunes = tunes[:: max(1, len(tunes) // args.limit)][: args.limit]
        start = time.process_time()
        for tune in tunes:
            by_us(tune.ours)
        seconds = time.process_time() - start
        jobs = [tunes[i : i + 50] for i in range(0, len(tunes), 50)]
        with ProcessPoolExecutor(args.workers) as pool:
            found = [
                row for rows in pool.map(compare, jobs, [abc2midi()] * len(jobs)) for row in rows
            ]
        differ = {
            tune: {"what": words, "why": EXPLAINED.get(tune, "")}
            for tune, _, words in found
            if words
        }
        figures[name] = {
            "tunes": len(found),
            "notes": sum(count for _, count, _ in found),
            "equal": len(found) - len(differ),
            "share": (len(found) - len(differ)) / len(found),
            "unexplained": sum(not about["why"] for about in differ.values()),
            "our_cpu_seconds": seconds,
            "differ": differ,
        }
    sys.exit(finish("read_abc", figures, args.json))


if __name__ == "__main__":
    main()
