"""A score as sound, a WAV or an MP3: by symusic with a SoundFont of the user's, else by a
synthesiser of our own: listening needs nothing.

Our synthesiser mixes two periods of ten harmonics: one is held, the brighter one fades, as if a
plucked string were also blown. Equal notes are made once. Sound is mono, and the loudest moment of
a piece is always 0.8, so that nothing clips.
"""

import base64
import io
import wave
from functools import cache
from pathlib import Path

import numpy as np

from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.score import Score, apart, seconds
from genwright.contents.music.write import checked
from genwright.core.errors import GenwrightError, optional

LONGEST = 3600  # seconds of a piece
LOUDEST = 0.8  # of what a sample can hold
ATTACK = 0.008  # seconds until a note is as loud as it gets
RELEASE = 0.12  # seconds that a note sounds on
TAIL = 0.5  # seconds after the last note
CYCLE = 4096  # samples of a table
HARMONICS = 10
MP3_LEVEL = 0.9  # of compression, 0 to 1


@cache
def _cycles(hertz: float, rate: int) -> np.ndarray:
    """(2, CYCLE) float32: one period of what is held, and of what fades after the attack. Nothing
    above the rate's half."""
    harmonics = np.arange(1, HARMONICS + 1)
    harmonics = harmonics[harmonics * hertz < rate / 2.2, None]  # (harmonics, 1)
    waves = np.sin(2 * np.pi * harmonics * np.arange(CYCLE) / CYCLE)  # (harmonics, CYCLE)
    held = (waves * harmonics**-2.2).sum(0)
    plucked = (waves * harmonics**-1.2).sum(0)
    louder_below = min(1.5, (260 / hertz) ** 0.4)  # low notes sound softer to the ear
    return np.stack([held, plucked]).astype(np.float32) * louder_below


def _tone(pitch: int, lasts: float, rate: int) -> np.ndarray:
    """float32 samples of one note of so many seconds, loudness about 1, and RELEASE more."""
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    held = int(lasts * rate)  # samples
    time = np.arange(held + int(RELEASE * rate), dtype=np.float32) / rate
    phase = np.arange(len(time)) * (CYCLE * hertz / rate)
    place = phase.astype(np.int64) % CYCLE
    fade = np.exp(time * -(1.0 + pitch / 40))
    sustained, plucked = _cycles(hertz, rate)[:, place]
    samples = sustained * (0.35 + 0.35 * fade) + plucked * (0.5 * fade)
    samples *= np.minimum(1, time / ATTACK)
    samples[held:] *= np.linspace(1, 0, len(samples) - held, dtype=np.float32) ** 2
    return samples


def _synthesised(score: Score, rate: int) -> np.ndarray:
    """(samples,) float32 by our own synthesiser."""
    times = seconds(score)  # of each step
    sound = np.zeros(int((times[-1] + TAIL) * rate) + 1, np.float32)
    tones: dict[tuple[int, float], np.ndarray] = {}  # of (pitch, seconds)
    for voice in score.voices:
        for note in apart(voice):
            begin = times[note.start]
            end = times[note.start + note.length]
            which = (note.pitch, round(float(end - begin), 6))
            if which not in tones:
                tones[which] = _tone(*which, rate)
            tone = tones[which]
            first = int(begin * rate)
            sound[first : first + len(tone)] += tone * np.float32(note.velocity / 127)
    return sound


def _rendered(score: Score, soundfont: str | Path, rate: int) -> np.ndarray:
    """(samples,) float32 by a SoundFont. Raises GenwrightError."""
    symusic = optional("symusic", "a SoundFont is played by symusic", "music")
    try:
        synthesiser = symusic.Synthesizer(str(soundfont), rate, 0)
        played = synthesiser.render(symusic.Score.from_midi(to_midi(score)), False)
        return np.asarray(played, np.float32).reshape(-1)
    except TypeError:  # its array of samples has no Python type
        raise GenwrightError(
            "this version of symusic cannot play (0.6.0 cannot)", "pip install 'symusic==0.5.9'"
        ) from None
    except RuntimeError as problem:
        first_line = str(problem).splitlines()[0]
        raise GenwrightError(
            f"the SoundFont {soundfont} cannot be read: {first_line}", "give a whole .sf2 file"
        ) from None


def _waveform(score: Score, rate: int, soundfont: str | Path | None = None) -> np.ndarray:
    """(samples,) float32, at most LOUDEST. Raises GenwrightError for what cannot be played."""
    lasts = seconds(checked(score))[-1]
    if lasts > LONGEST:
        raise GenwrightError(
            f"the piece lasts {lasts / 60:.0f} minutes",
            "sound is made of at most 60: cut it, or raise its tempo",
        )
    if soundfont is None:
        samples = _synthesised(score, rate)
    else:
        samples = _rendered(score, soundfont, rate)
    loudest = max(1e-9, np.abs(samples).max(initial=0))
    return samples * np.float32(LOUDEST / loudest)


def to_wav(
    score: Score, soundfont: str | Path | None = None, rate: int = 22_050, bits: int = 16
) -> bytes:
    """A mono WAV file. rate: samples a second. bits: 16 or 8 of a sample. Raises GenwrightError for
    an empty score, a tempo that cannot be played, more than an hour of music, and a SoundFont that
    cannot be read."""
    samples = _waveform(score, rate, soundfont)
    if bits == 16:
        whole = np.round(samples * 32767).astype("<i2")
    else:
        whole = np.round(samples * 127 + 128).astype(np.uint8)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(bits // 8)
        out.setframerate(rate)
        out.writeframes(whole.tobytes())
    return file.getvalue()


def to_mp3(score: Score, rate: int = 16_000) -> bytes:
    """A mono MP3 file, a seventh of an 8-bit WAV of that rate. Raises GenwrightError without
    soundfile, and as `to_wav` does."""
    soundfile = optional("soundfile", "making MP3 files needs soundfile", "music")
    samples = _waveform(score, rate)
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format="MP3", compression_level=MP3_LEVEL)
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
    encoded = base64.b64encode(data).decode()
    return f'<audio controls preload="none" src="data:audio/{kind};base64,{encoded}"></audio>'
