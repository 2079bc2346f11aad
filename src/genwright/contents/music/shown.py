"""The files that a person gets of a score: for other programs (MIDI, MusicXML), for the eyes
(notation, piano roll) and for the ears (WAV)."""

from pathlib import Path

from genwright.contents.music.engraving import notation_svg
from genwright.contents.music.midi_write import to_midi
from genwright.contents.music.piano_roll import piano_roll_svg
from genwright.contents.music.score import Score
from genwright.contents.music.sound import to_wav
from genwright.contents.music.write import to_musicxml
from genwright.reporting.png import write


def files_of(
    score: Score, folder: Path, stem: str, soundfont: str | Path | None = None
) -> list[Path]:
    """Writes .mid, .musicxml, .svg (notation), -roll.svg and .wav. Raises GenwrightError before
    anything is written."""
    contents = {
        ".mid": to_midi(score),
        ".musicxml": to_musicxml(score).encode(),
        ".svg": notation_svg(score).encode(),
        "-roll.svg": piano_roll_svg(score).encode(),
        ".wav": to_wav(score, soundfont),
    }
    return [write(folder / f"{stem}{ending}", data) for ending, data in contents.items()]
