"""A score for the eyes, as one SVG: notation, engraved by verovio from our MusicXML, and a piano
roll; and for the ears, as a WAV: by symusic with a SoundFont of the user's, else by a synthesiser
of our own: listening needs nothing.

Of an SVG nothing runs and nothing is fetched. Colours are those of the report's page where it
stands in it, else dark ink on white; ids are a digest of the music, so that several fit one page
and the same music gives the same bytes. Our synthesiser mixes two periods of ten harmonics: one is
held, the brighter one fades, as if a plucked string were also blown. Equal notes are made once.
Sound is mono, and the loudest moment of a piece is always 0.8, so that nothing clips.
"""

import base64
import io
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path

import numpy as np

from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Note, Score, apart, edges, first_number
from genwright.contents.music.score import seconds as seconds_of
from genwright.contents.music.write import checked, names, to_musicxml
from genwright.core.errors import GenwrightError, optional
from genwright.reporting.png import write

PAPER = "display:block;width:100%;height:auto;color:var(--ink,#1d2126);fill:currentColor;background:var(--card,#fff)"
# --c0 .. --c5 of page.css, for an SVG that stands alone
INKS = ("2563eb", "d9480f", "0f8a5f", "9333ea", "0891b2", "be185d")
OPTIONS = {
    "pageWidth": 2400,
    "pageHeight": 60_000,
    "adjustPageHeight": True,
    "scale": 40,
    "footer": "none",
    "pageMarginLeft": 90,
    "pageMarginTop": 30,
    "pageMarginBottom": 30,
    "svgViewBox": True,
    "svgFormatRaw": True,
    "svgRemoveXlink": True,
    "smuflTextFont": "none",
    "xmlIdSeed": 1,
}
LONGEST = 3600  # seconds
RELEASE = 0.12  # seconds that a note sounds on
CYCLE = 4096  # samples of a table
MP3_LEVEL = 0.9  # of compression, 0 to 1


def notation_svg(score: Score, labels: Mapping[int, str] | None = None) -> str:
    """Four voices on two staves, else a staff each; labels: step -> the name of a chord. Raises
    GenwrightError without verovio, and for a score that is empty or too long."""
    xml = to_musicxml(score, closed=True, labels=labels)
    # a letter needs no font of music
    xml = re.sub("<metronome>.*?<per-minute>(.*?)</.*?</metronome>", r"<words>♩ = \1</words>", xml)
    verovio = optional("verovio", "drawing notes needs verovio", "music")
    verovio.enableLog(verovio.LOG_OFF)
    engraver = verovio.toolkit()
    engraver.setOptions(OPTIONS)
    if not engraver.loadData(xml) or engraver.getPageCount() != 1:
        raise GenwrightError(
            f"the score is too long to draw ({len(edges(score)) - 1} bars)",
            "draw some hundred bars at a time",
        )
    svg = engraver.renderToSVG(1)
    root = re.findall(' id="([^"]+)"', svg)[0]
    own = f"music-{zlib.crc32(xml.encode()):08x}"
    # of notes: nothing refers to them
    svg = re.sub(rf'(<[a-z]+[^<>]*?) id="(?!{root}")[a-z0-9]+"', r"\1", svg).replace(root, own)
    # groups of nothing else
    svg = re.sub(
        r'<g class="(?:stem|dots|flag)">((?:<(?:use|path|ellipse) [^>]*/>)+)</g>', r"\1", svg
    )
    # which a page's rule for paths cannot change
    svg = re.sub(r'(<path [^>]*?)stroke-width="(\d+)"', r'\1style="stroke-width:\2"', svg)
    svg = svg.replace(
        "</style>", f"#{own} path{{fill:inherit}} #{own} .harm tspan{{font-size:290px}}</style>", 1
    )
    return svg.replace(
        "<svg ", f'<svg role="img" aria-label="notation" style="{PAPER}" ', 1
    ).replace(' color="black"', "")


def piano_roll_svg(score: Score, marks: Iterable[tuple[int, Sequence[int], str]] = ()) -> str:
    """Time to the right, pitch upwards, a colour a voice. marks: (step, voices, text) of faults and
    the like, ringed, with the text under the pointer; no voices: all. Raises GenwrightError for an
    empty score."""
    pitches = [n.pitch for voice in checked(score).voices for n in voice] or [60]
    top = max(pitches) + 2
    bars = edges(score)
    left = 34
    above = 34
    row = 6
    step = max(926 / bars[-1], 10 / score.per_quarter)  # pixels; a long piece is scrolled
    width = left + step * bars[-1] + 2
    below = above + row * (top - min(pitches) + 3)

    def boxes(notes: Iterable[Note]) -> str:
        size = ((n, max(1.5, step * n.length - 1)) for n in notes)
        place = f'<rect x="{{:.1f}}" y="{{}}" width="{{:.1f}}" height="{row}" rx="1.5"/>'
        return "".join(
            place.format(left + step * n.start, above + row * (top - n.pitch), wide)
            for n, wide in size
        )

    def label(
        x: float, y: float, text: str, ink: str = "--soft,#626b76", anchor: str = "start"
    ) -> str:
        style = f"font:11px system-ui,sans-serif;fill:var({ink})"
        return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" style="{style}">{escape(text)}</text>'

    parts = []
    x = float(left)
    lines = [
        (f"M{left + step * start:.1f} {above}V{below}", i % 4 == 0) for i, start in enumerate(bars)
    ]
    for octave in range(-(-min(pitches) // 12), top // 12 + 1):
        y = above + row * (top - 12 * octave + 1)
        lines.append((f"M{left} {y}H{width - 2:.1f}", True))
        parts.append(label(left - 5, y, f"C{octave - 1}", anchor="end"))
    parts += [
        f'<path d="{d}" style="stroke:var({"--line,#d3d7dc" if s else "--grid,#eceef0"});stroke-width:1"/>'
        for d, s in lines
    ]
    parts += [
        label(left + step * bars[i] + 2, above - 4, str(i + first_number(score)))
        for i in range(0, len(bars) - 1, 4)
    ]
    for v, voice in enumerate(score.voices):
        name = names(score)[v] or f"Voice {v + 1}"
        ink = f"--c{v % len(INKS)},#{INKS[v % len(INKS)]}"
        parts += [
            f'<g style="fill:var({ink});fill-opacity:.85"><title>{escape(name)}</title>{boxes(apart(voice))}</g>',
            label(x, 14, name, ink),
        ]
        x += 7 * len(name) + 16
    for when, voices, text in marks:
        rings = boxes(
            n
            for v in voices or range(len(score.voices))
            for n in score.voices[v]
            if n.start <= when < n.start + n.length
        )
        spot = f'<circle cx="{left + step * when:.1f}" cy="{above}" r="4" style="fill:#dc2626"/>'
        parts.append(
            f'<g style="fill:transparent;stroke:#dc2626;stroke-width:2"><title>{escape(text)}</title>{rings}{spot}</g>'
        )
    size = f'viewBox="0 0 {width:.0f} {below + 4}" style="{PAPER};min-width:{width * (width > 980):.0f}px"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="piano roll" {size}>{"".join(parts)}</svg>'


@cache
def _cycles(hertz: float, rate: int) -> np.ndarray:
    """(2, CYCLE) float32: one period of what is held, and of what fades after the attack. Nothing
    above the rate's half."""
    n = np.arange(1, 11)[np.arange(1, 11) * hertz < rate / 2.2, None]
    waves = np.sin(2 * np.pi * n * np.arange(CYCLE) / CYCLE)
    return np.stack([(waves * n**-2.2).sum(0), (waves * n**-1.2).sum(0)]).astype(np.float32) * min(
        1.5, (260 / hertz) ** 0.4
    )


def _tone(pitch: int, seconds: float, rate: int) -> np.ndarray:
    """float32 samples of one note, loudness about 1, and RELEASE more."""
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    held = int(seconds * rate)
    time = np.arange(held + int(RELEASE * rate), dtype=np.float32) / rate
    place = (np.arange(len(time)) * (CYCLE * hertz / rate)).astype(np.int64) % CYCLE
    fade = np.exp(time * -(1.0 + pitch / 40))
    sustained, plucked = (cycle[place] for cycle in _cycles(hertz, rate))
    out = sustained * (0.35 + 0.35 * fade) + plucked * (0.5 * fade)
    out *= np.minimum(1, time / 0.008)
    out[held:] *= np.linspace(1, 0, len(out) - held, dtype=np.float32) ** 2
    return out


def _synthesised(score: Score, rate: int) -> np.ndarray:
    times = seconds_of(score)
    out = np.zeros(int((times[-1] + 0.5) * rate) + 1, np.float32)
    tone = cache(lambda pitch, lasts: _tone(pitch, lasts, rate))
    for note in (note for voice in score.voices for note in apart(voice)):
        begin = times[note.start]
        end = times[note.start + note.length]
        made = tone(note.pitch, round(float(end - begin), 6))
        start = int(begin * rate)
        out[start : start + len(made)] += made * np.float32(note.velocity / 127)
    return out


def _rendered(score: Score, soundfont: str | Path, rate: int) -> np.ndarray:
    symusic = optional("symusic", "a SoundFont is played by symusic", "music")
    try:
        synthesiser = symusic.Synthesizer(str(soundfont), rate, 0)
        return np.asarray(
            synthesiser.render(symusic.Score.from_midi(to_midi(score)), False), np.float32
        ).reshape(-1)
    except TypeError:  # its array of samples has no Python type
        raise GenwrightError(
            "this version of symusic cannot play (0.6.0 cannot)", "pip install 'symusic==0.5.9'"
        ) from None
    except RuntimeError as problem:
        what = f"the SoundFont {soundfont} cannot be read: {str(problem).splitlines()[0]}"
        raise GenwrightError(what, "give a whole .sf2 file") from None


def _waveform(score: Score, rate: int, soundfont: str | Path | None = None) -> np.ndarray:
    """(samples,) float32, at most 0.8 loud. Raises GenwrightError for what cannot be played."""
    seconds = seconds_of(checked(score))[-1]
    if seconds > LONGEST:
        raise GenwrightError(
            f"the piece lasts {seconds / 60:.0f} minutes",
            "sound is made of at most 60: cut it, or raise its tempo",
        )
    x = _synthesised(score, rate) if soundfont is None else _rendered(score, soundfont, rate)
    return x * np.float32(0.8 / max(1e-9, np.abs(x).max(initial=0)))


def to_wav(
    score: Score, soundfont: str | Path | None = None, rate: int = 22_050, bits: int = 16
) -> bytes:
    """A mono WAV file. rate: samples a second. bits: 16 or 8 of a sample. Raises GenwrightError for
    an empty score, a tempo that cannot be played, more than an hour of music, and a SoundFont that
    cannot be read."""
    from scipy.io import wavfile

    x = _waveform(score, rate, soundfont)
    whole = (
        np.round(x * 32767).astype("<i2")
        if bits == 16
        else np.round(x * 127 + 128).astype(np.uint8)
    )
    wavfile.write(file := io.BytesIO(), rate, whole)
    return file.getvalue()


def to_mp3(score: Score, rate: int = 16_000) -> bytes:
    """A mono MP3 file, a seventh of an 8-bit WAV of that rate. Raises GenwrightError without
    soundfile, and as `to_wav` does."""
    soundfile = optional("soundfile", "making MP3 files needs soundfile", "music")
    soundfile.write(
        file := io.BytesIO(),
        _waveform(score, rate),
        rate,
        format="MP3",
        compression_level=MP3_LEVEL,
    )
    return file.getvalue()


def player(score: Score) -> str:
    """An <audio> element that holds its sound: every browser plays MP3; without soundfile, a WAV as
    small as a telephone's. The page's Content-Security-Policy needs `media-src data:`."""
    checked(score)
    try:
        kind = "mpeg"
        data = to_mp3(score)
    except (GenwrightError, OSError):  # OSError: a soundfile without its library
        kind = "wav"
        data = to_wav(score, rate=8_000, bits=8)
    return f'<audio controls preload="none" src="data:audio/{kind};base64,{base64.b64encode(data).decode()}"></audio>'


def files_of(
    score: Score, folder: Path, stem: str, soundfont: str | Path | None = None
) -> list[Path]:
    """Writes .mid, .musicxml, .svg (notation), -roll.svg and .wav. Raises GenwrightError before
    anything is written."""
    made = {
        ".mid": to_midi(score),
        ".musicxml": to_musicxml(score).encode(),
        ".svg": notation_svg(score).encode(),
        "-roll.svg": piano_roll_svg(score).encode(),
        ".wav": to_wav(score, soundfont),
    }
    return [write(folder / f"{stem}{ending}", data) for ending, data in made.items()]
