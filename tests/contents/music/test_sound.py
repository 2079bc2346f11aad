import base64
import io
import re
import struct
import sys
import time
import wave

import numpy as np
import pytest

from genwright.contents.music.score import Meter, Note, Score
from genwright.contents.music.shown import files_of
from genwright.contents.music.sound import player, to_mp3, to_wav
from genwright.core.errors import GenwrightError

A = Score(((Note(0, 4, 69),),), 4, tempo=60)  # a second of 440 Hz


def heard(wav):
    """(samples in [-1, 1], rate) of a mono WAV file."""
    with wave.open(io.BytesIO(wav)) as file:
        assert file.getnchannels() == 1
        data, width = file.readframes(file.getnframes()), file.getsampwidth()
        x = (
            np.frombuffer(data, "<i2") / 32768
            if width == 2
            else (np.frombuffer(data, np.uint8) - 128.0) / 128
        )
        return x, file.getframerate()


def pitches(x, rate, count=1):
    """The strongest frequencies among fundamentals, in Hz."""
    spectrum = abs(np.fft.rfft(x * np.hanning(len(x))))
    found = []
    for _ in range(count):
        top = int(spectrum.argmax())
        found.append(top * rate / len(x))
        spectrum[max(0, top - 30) : top + 30] = 0
    return sorted(found)


def test_a_wav_needs_no_scipy(monkeypatch):
    """And is a header of 44 bytes with the samples behind it."""
    monkeypatch.setitem(sys.modules, "scipy", None)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    for bits in (8, 16):
        wav = to_wav(A, rate=8_000, bits=bits)
        form = struct.unpack("<4sI4s4sIHHIIHH4sI", wav[:44])
        size = len(wav) - 44
        width = bits // 8
        assert form[:4] == (b"RIFF", 36 + size, b"WAVE", b"fmt ")
        assert form[4:] == (16, 1, 1, 8_000, 8_000 * width, width, bits, b"data", size)


def test_a_note_has_its_pitch_its_place_and_its_length():
    score = Score(((Note(4, 4, 69), Note(8, 4, 57)),), 16, tempo=60)
    x, rate = heard(to_wav(score))
    assert rate == 22_050 and len(x) == pytest.approx(4.5 * rate, abs=2)
    loud = [np.abs(x[int(a * rate) : int((a + 0.9) * rate)]).max() for a in (0, 1, 2, 3.2)]
    assert loud[0] == loud[3] == 0 and min(loud[1:3]) > 0.3
    assert pitches(x[rate : 2 * rate], rate) == [pytest.approx(440, abs=2)]
    assert pitches(x[2 * rate : 3 * rate], rate) == [pytest.approx(220, abs=2)]


def test_voices_and_chords_sound_together_without_clipping():
    chord = Score(
        ((Note(0, 8, 60), Note(0, 8, 76)), (Note(0, 8, 67),)) + ((Note(0, 8, 60, 127),),) * 12, 8
    )
    x, rate = heard(to_wav(chord))
    assert np.abs(x).max() == pytest.approx(0.8, abs=1e-3)
    three = Score(((Note(0, 8, 60), Note(0, 8, 67), Note(0, 8, 76)),), 8)
    x, rate = heard(to_wav(three))
    assert pitches(x[: int(1.1 * rate)], rate, 3) == [
        pytest.approx(f, abs=3) for f in (261.6, 392.0, 659.3)
    ]


def test_repeated_notes_are_heard_apart_and_velocity_is_loudness():
    x, rate = heard(to_wav(Score(((Note(0, 4, 60, 120), Note(4, 4, 60, 30)),), 8, tempo=60)))
    first, second = (np.abs(x[int(a * rate) : int((a + 0.5) * rate)]).max() for a in (0, 1.2))
    assert first / second == pytest.approx(4, rel=0.5)
    edge = np.abs(x[rate - 20 : rate + 2000])
    assert edge.max() < 0.9 * np.abs(x).max(), "a new attack, no jump"


@pytest.mark.parametrize(
    ("pitch", "rate"), [(0, 22_050), (127, 22_050), (127, 16_000), (60, 8_000)]
)
def test_the_whole_range_sounds_and_nothing_folds_back(pitch, rate):
    x, _ = heard(to_wav(Score(((Note(0, 8, pitch),),), 8, tempo=60), rate=rate))
    hertz = 440 * 2 ** ((pitch - 69) / 12)
    spectrum = abs(np.fft.rfft(x[: 2 * rate] * np.hanning(2 * rate))) ** 2
    places = np.arange(len(spectrum)) / 2
    near = np.abs(places / hertz - np.round(places / hertz)) * hertz < max(4.0, hertz * 0.02)
    if hertz < rate / 2.2:
        assert spectrum[near].sum() > 0.98 * spectrum.sum(), (
            "harmonics of the note and nothing else"
        )
    else:
        assert not spectrum.any(), "above what the rate can hold"


def test_it_is_deterministic_and_silence_is_silent():
    assert to_wav(A) == to_wav(A)
    assert not heard(to_wav(Score(((), ()), 16)))[0].any()


def test_sixteen_pieces_take_little_time():
    rng = np.random.default_rng(0)
    starts = range(0, 240, 2)
    pieces = [
        Score(
            tuple(tuple(Note(i, 2, int(rng.integers(48, 80))) for i in starts) for _ in range(4)),
            240,
        )
        for _ in range(4)
    ]
    begun = time.process_time()
    for piece in pieces:
        to_wav(piece)
    assert time.process_time() - begun < 3, "a quarter of the sixteen, with room for slow machines"


def sound_of(html, kind):
    found = re.fullmatch(
        f'<audio controls preload="none" src="data:audio/{kind};base64,([A-Za-z0-9+/=]+)"></audio>',
        html,
    )
    return base64.b64decode(found[1])


def test_a_player_holds_its_own_sound():
    soundfile = pytest.importorskip("soundfile")
    data = sound_of(player(A), "mpeg")
    x, rate = soundfile.read(io.BytesIO(data))
    assert rate == 16_000 and pitches(x[4000:rate].astype(np.float32), rate) == [
        pytest.approx(440, abs=2)
    ]
    minute = Score(
        tuple(
            tuple(Note(4 * i, 4, pitch + i % 5) for i in range(100)) for pitch in (48, 55, 60, 67)
        ),
        400,
    )
    assert len(player(minute)) < 60 * 4500, "four voices, a minute: a third of a byte a sample"


def test_without_soundfile_a_player_holds_a_small_wav(monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    html = player(A)
    x, rate = heard(sound_of(html, "wav"))
    assert rate == 8_000 and pitches(x[:rate], rate) == [pytest.approx(440, abs=2)]
    assert len(html) < 1.4 * 1.5 * 8_000 + 200, "a byte a sample"
    with pytest.raises(GenwrightError, match="soundfile"):
        to_mp3(A)


def test_files_of_writes_all_five(tmp_path):
    pytest.importorskip("verovio")
    paths = files_of(A, tmp_path / "new", "piece-01")
    assert [p.name for p in paths] == [
        f"piece-01{end}" for end in (".mid", ".musicxml", ".svg", "-roll.svg", ".wav")
    ]
    assert [p.read_bytes()[:4] for p in paths] == [b"MThd", b"<?xm", b"<svg", b"<svg", b"RIFF"]
    assert len(list((tmp_path / "new").iterdir())) == 5


def test_nothing_is_written_of_what_cannot_be_played(tmp_path):
    pytest.importorskip("verovio")
    with pytest.raises(
        GenwrightError,
        match=(
            "a tempo of 0 quarter notes a minute cannot be played; "
            "give one from 4 to 10000, such as 80"
        ),
    ):
        files_of(Score(((Note(0, 4, 60),),), 4, tempo=0.0), tmp_path, "x")
    with pytest.raises(
        GenwrightError,
        match=(
            "the piece lasts 200 minutes; sound is made of at most 60: cut it, or raise its tempo"
        ),
    ):
        files_of(Score(((Note(0, 4, 60),),), 4 * 4 * 200, tempo=4.0), tmp_path, "x")
    with pytest.raises(GenwrightError, match="the score is empty"):
        to_wav(Score((), 0))
    with pytest.raises(GenwrightError, match="3/3 is no metre"):
        player(Score(((Note(0, 4, 60),),), 4, meters=(Meter(0, 3, 3),)))
    assert not list(tmp_path.iterdir())


# ---- SoundFonts


def chunk(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def soundfont():
    """A SoundFont 2 of one preset: a second of a sine at 440 Hz, over and over."""
    rate = 22_050
    sine = (
        np.round(20_000 * np.sin(2 * np.pi * 440 * np.arange(rate) / rate)).astype("<i2").tobytes()
    )

    def named(name, form, *values):
        return name.encode().ljust(20, b"\0") + struct.pack("<" + form, *values)

    articles = {
        b"phdr": named("one", "3H3I", 0, 0, 0, 0, 0, 0) + named("EOP", "3H3I", 0, 0, 1, 0, 0, 0),
        b"pbag": struct.pack("<4H", 0, 0, 1, 0),
        b"pmod": bytes(10),
        b"pgen": struct.pack("<4H", 41, 0, 0, 0),
        b"inst": named("one", "H", 0) + named("EOI", "H", 1),
        b"ibag": struct.pack("<4H", 0, 0, 2, 0),
        b"imod": bytes(10),
        b"igen": struct.pack("<6H", 54, 1, 53, 0, 0, 0),
        b"shdr": named("sine", "5IBbHH", 0, rate, 0, rate, rate, 69, 0, 0, 1)
        + named("EOS", "5IBbHH", *[0] * 9),
    }
    parts = (
        b"INFO"
        + chunk(b"ifil", struct.pack("<2H", 2, 1))
        + chunk(b"isng", b"EMU8000\0")
        + chunk(b"INAM", b"one\0"),
        b"sdta" + chunk(b"smpl", sine + bytes(92)),
        b"pdta" + b"".join(chunk(kind, data) for kind, data in articles.items()),
    )
    return chunk(b"RIFF", b"sfbk" + b"".join(chunk(b"LIST", part) for part in parts))


@pytest.fixture
def font(tmp_path):
    path = tmp_path / "one.sf2"
    path.write_bytes(soundfont())
    return path


def test_a_soundfont_is_played_or_the_version_that_cannot_is_named(font):
    symusic = pytest.importorskip("symusic")
    if symusic.__version__ == "0.6.0":
        with pytest.raises(
            GenwrightError,
            match=(
                r"this version of symusic cannot play \(0.6.0 cannot\); "
                r"pip install 'symusic==0.5.9'"
            ),
        ):
            to_wav(A, font)
    else:
        x, rate = heard(to_wav(A, font))
        assert pitches(x[: rate // 2], rate) == [pytest.approx(440, abs=3)] and np.abs(
            x
        ).max() == pytest.approx(0.8, abs=1e-3)
        assert to_wav(A, font) == to_wav(A, str(font))


@pytest.mark.parametrize("keep", [0, 4, 100, 20_000, -60])
def test_a_damaged_soundfont_is_said(font, keep):
    pytest.importorskip("symusic")
    font.write_bytes(font.read_bytes()[:keep])
    with pytest.raises(
        GenwrightError,
        match=r"the SoundFont .*one\.sf2 cannot be read: .*; give a whole \.sf2 file",
    ):
        to_wav(A, font)


def test_a_missing_soundfont_is_said(tmp_path):
    pytest.importorskip("symusic")
    for path in (tmp_path / "none.sf2", tmp_path):
        with pytest.raises(GenwrightError, match="the SoundFont .* cannot be read"):
            to_wav(A, path)
