"""A score for the ears, as a WAV: by symusic with a SoundFont of the user's, else by a synthesiser of our own: listening needs nothing.

Ours mixes two periods of ten harmonics: one is held, the brighter one fades, as if a plucked string were also blown. Equal notes are made
once. Sound is mono, and the loudest moment of a piece is always 0.8, so that nothing clips.
"""

import base64
import io
from functools import cache
from pathlib import Path

import numpy as np
from scipy.io import wavfile

from genwright.errors import GenwrightError
from genwright.music.draw import notation_svg, piano_roll_svg
from genwright.music.score import Score, edges
from genwright.music.write import checked, to_midi, to_musicxml
from genwright.reporting.pictures import write

LONGEST = 3600  # seconds
RELEASE = 0.12  # seconds that a note sounds on
CYCLE = 4096  # samples of a table


@cache
def _cycles(hertz: float, rate: int) -> np.ndarray:
    """(2, CYCLE) float32: one period of what is held, and of what fades after the attack. Nothing above the rate's half."""
    n = np.arange(1, 11)[np.arange(1, 11) * hertz < rate / 2.2, None]
    waves = np.sin(2 * np.pi * n * np.arange(CYCLE) / CYCLE)
    return np.stack([(waves * n**-2.2).sum(0), (waves * n**-1.2).sum(0)]).astype(np.float32) * min(1.5, (260 / hertz) ** 0.4)


def _tone(pitch: int, seconds: float, rate: int) -> np.ndarray:
    """float32 samples of one note, loudness about 1, and RELEASE more."""
    hertz, held = 440 * 2 ** ((pitch - 69) / 12), int(seconds * rate)
    time = np.arange(held + int(RELEASE * rate), dtype=np.float32) / rate
    place = (np.arange(len(time)) * (CYCLE * hertz / rate)).astype(np.int64) % CYCLE
    fade = np.exp(time * -(1.0 + pitch / 40))
    sustained, plucked = (cycle[place] for cycle in _cycles(hertz, rate))
    out = sustained * (0.35 + 0.35 * fade) + plucked * (0.5 * fade)
    out *= np.minimum(1, time / 0.008)
    out[held:] *= np.linspace(1, 0, len(out) - held, dtype=np.float32) ** 2
    return out


def _synthesised(score: Score, rate: int) -> np.ndarray:
    step = 60 / score.tempo / score.per_quarter
    out = np.zeros(int((edges(score)[-1] * step + 0.5) * rate) + 1, np.float32)
    tone = cache(lambda pitch, length: _tone(pitch, length * step, rate))
    for note in (note for voice in score.voices for note in voice):
        made, start = tone(note.pitch, note.length), int(note.start * step * rate)
        out[start : start + len(made)] += made * np.float32(note.velocity / 127)
    return out


def _rendered(score: Score, soundfont: str | Path, rate: int) -> np.ndarray:
    try:
        import symusic

        synthesiser = symusic.Synthesizer(str(soundfont), rate, 0)
        return np.asarray(synthesiser.render(symusic.Score.from_midi(to_midi(score)), False), np.float32).reshape(-1)
    except ImportError:
        raise GenwrightError("a SoundFont is played by symusic, which is not installed", "pip install 'genwright[music]'") from None
    except TypeError:  # its array of samples has no Python type
        raise GenwrightError("this version of symusic cannot play (0.6.0 cannot)", "pip install 'symusic==0.5.9'") from None
    except RuntimeError as problem:
        what = f"the SoundFont {soundfont} cannot be read: {str(problem).splitlines()[0]}"
        raise GenwrightError(what, "give a whole .sf2 file") from None


def to_wav(score: Score, soundfont: str | Path | None = None, rate: int = 22_050, bits: int = 16) -> bytes:
    """A mono WAV file. rate: samples a second. bits: 16 or 8 of a sample. Raises GenwrightError for an empty score, a tempo that cannot be
    played, more than an hour of music, and a SoundFont that cannot be read."""
    seconds = edges(checked(score))[-1] * 60 / score.tempo / score.per_quarter
    if seconds > LONGEST:
        raise GenwrightError(f"the piece lasts {seconds / 60:.0f} minutes", "sound is made of at most 60: cut it, or raise its tempo")
    x = _synthesised(score, rate) if soundfont is None else _rendered(score, soundfont, rate)
    x = x * np.float32(0.8 / max(1e-9, np.abs(x).max(initial=0)))
    whole = np.round(x * 32767).astype("<i2") if bits == 16 else np.round(x * 127 + 128).astype(np.uint8)
    wavfile.write(file := io.BytesIO(), rate, whole)
    return file.getvalue()


def player(score: Score) -> str:
    """An <audio> element that holds its sound. The page's Content-Security-Policy needs `media-src data:`."""
    data = base64.b64encode(to_wav(score, rate=16_000, bits=8)).decode()
    return f'<audio controls preload="none" src="data:audio/wav;base64,{data}"></audio>'


def files_of(score: Score, folder: Path, stem: str, soundfont: str | Path | None = None) -> list[Path]:
    """Writes .mid, .musicxml, .svg (notation), -roll.svg and .wav. Raises GenwrightError before anything is written."""
    made = {
        ".mid": to_midi(score), ".musicxml": to_musicxml(score).encode(), ".svg": notation_svg(score).encode(),
        "-roll.svg": piano_roll_svg(score).encode(), ".wav": to_wav(score, soundfont),
    }  # fmt: skip
    return [write(folder / f"{stem}{ending}", data) for ending, data in made.items()]
