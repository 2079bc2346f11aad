"""Where music comes from: a person's MIDI, MusicXML, ABC, **kern and JSB json, or collections of
music21, read where that package is installed, without its cache of pickles; nothing of it is
copied."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from genwright.contents.music import abc_file, abc_reader, formats, midi, musicxml
from genwright.contents.music.draft import BadMusic, Draft, lost_of
from genwright.contents.music.score import Score
from genwright.core.errors import GenwrightError
from genwright.core.files import irregular
from genwright.data.source_files import SourceFile, collect
from genwright.data.workers import Work, at_file

_SAYS = 'music21\'s corpus/license.txt: "Some encodings included in the corpus may not be used for commercial uses"'
COLLECTIONS = {  # source -> what of music21's corpus it reads, licence
    "chorales": (
        ("bach/*.mxl",),
        f"Bach: public domain; encodings by M. Greentree and others. {_SAYS}",
    ),
    "folk-tunes": (
        ("airdsAirs/*.abc", "oneills1850/*.abc", "ryansMammoth/*.abc"),
        f"tunes: traditional; transcriptions by J. Campin, N. Paap, J. Chambers and others. {_SAYS}",
    ),
    "palestrina": (
        ("palestrina/*.krn",),
        f"encodings: copyright 2000 John Miller, rights to derivative formats reserved. {_SAYS}",
    ),
}
_ONE: dict[str, Callable[[bytes], Draft]] = dict.fromkeys(
    (".xml", ".musicxml", ".mxl"), musicxml.read
)
_ONE |= {".mid": midi.read, ".midi": midi.read, ".krn": formats.kern}
SUFFIXES = (*sorted(_ONE), ".abc")  # of a folder; a JSB json is read where it is named


class Piece(NamedTuple):
    """counts: how many notes there were, and how many the grid moved, merged or dropped, or the
    reader left out, by kind."""

    name: str
    score: Score | GenwrightError
    counts: Counter[str]


def licence(source: str) -> str:
    return COLLECTIONS[source][1] if source in COLLECTIONS else "the user's own files"


def find(source: str, paths: tuple[str, ...] = ()) -> list[SourceFile]:
    """The files of a collection, or else of `paths`, by name. Raises GenwrightError."""
    if source in COLLECTIONS:
        if (spec := find_spec("music21")) is None or spec.origin is None:
            raise GenwrightError(
                f"data.source={source} needs music21, which is not installed",
                "pip install 'genwright[music]'",
            )
        corpus = Path(spec.origin).parent / "corpus"
        found = (path for pattern in COLLECTIONS[source][0] for path in corpus.glob(pattern))
        return sorted(
            (SourceFile(str(path), f"{path.parent.name}/{path.name}") for path in found),
            key=lambda file: file.name,
        )
    if not paths:
        raise GenwrightError(
            "data.path is not set", "give a folder of MIDI, MusicXML or ABC, as in data.path=tunes/"
        )
    if not (files := collect(paths, lambda path: path.lower().endswith(SUFFIXES))):
        raise GenwrightError(
            f"there is no music in {', '.join(paths)}",
            f"give a path that holds {', '.join(SUFFIXES)} files",
        )
    return sorted(files, key=lambda file: file.name)


def pieces(source: str, files: list[SourceFile], per_quarter: int) -> Iterator[Piece]:
    """What the files hold, a bad piece as its error; of `chorales` those of four voices."""
    for position, file in enumerate(files):
        at_file(position)
        makers = _guarded(file.name, lambda: list(_makers(file)))  # noqa: B023
        for name, make in makers if isinstance(makers, list) else [(file.name, lambda: makers)]:  # noqa: B023
            draft = _guarded(name, make)
            if isinstance(draft, Draft) and source in COLLECTIONS:
                draft.facts |= {"collection": file.name.split("/")[0], "licence": licence(source)}
            made = (
                _guarded(name, lambda: draft.score(per_quarter))  # noqa: B023
                if isinstance(draft, Draft)
                else (draft, Counter())
            )
            piece = Piece(name, *(made if isinstance(made, tuple) else (made, Counter[str]())))
            if (
                source != "chorales"
                or not isinstance(piece.score, Score)
                or len(piece.score.voices) == 4
            ):
                yield piece


def file_of(piece: str, files: Mapping[str, Any]) -> str:
    """The name of the file that a piece was read from, as `pieces` names them: NAME, NAME#2 of an
    abc file of several tunes, NAME/PIECE of a JSB json; "" where there is none. files: by name."""
    if piece in files:
        return piece
    for place in range(len(piece) - 1, 0, -1):
        if piece[place] in "#/" and piece[:place] in files:
            return piece[:place]
    return ""


def read(source: str, files: list, per_quarter: int) -> list:
    """A worker's job: (name, the piece or None, why there is none, what the grid lost) of each
    piece, as JSON."""
    found = pieces(source, [SourceFile(*file) for file in files], per_quarter)

    def split(score):
        return (None, score.what) if isinstance(score, GenwrightError) else (score.__dict__, "")

    return [[piece.name, *split(piece.score), piece.counts] for piece in found]


def _files_of(job: dict[str, Any]) -> list[str]:
    return [path for path, _ in job["files"]]


READ = Work(read, "reading music", _files_of)


def read_file(path: str, per_quarter: int) -> list[Score]:
    """The pieces of one file; what the grid loses of them is said on standard error. Raises
    GenwrightError for the first that is none."""
    if not os.path.exists(path):
        raise GenwrightError(
            f"{path} does not exist", "give a MIDI, MusicXML or ABC file that is there"
        )
    found = list(pieces("files", [SourceFile(path, os.path.basename(path))], per_quarter))
    for error in (piece.score for piece in found if isinstance(piece.score, GenwrightError)):
        raise error
    lost = sum((piece.counts for piece in found), Counter[str]())
    if said := lost_of(lost, per_quarter):
        print(f"note: {path}, {said}", file=sys.stderr)
    return [piece.score for piece in found if isinstance(piece.score, Score)]


def _makers(file: SourceFile) -> Iterator[tuple[str, Callable[[], Draft]]]:
    """(a piece's name, what reads it)."""
    suffix = Path(file.path).suffix.lower()
    if suffix not in (*SUFFIXES, ".json"):
        raise BadMusic(f"is of no known type: known are {', '.join(SUFFIXES)} and .json")
    if what := irregular(file.path):  # to open a pipe would wait for ever
        raise BadMusic(what)
    if os.path.getsize(file.path) > musicxml.LARGEST:
        raise BadMusic(f"is larger than {musicxml.LARGEST >> 20} MB")
    data = Path(file.path).read_bytes()
    if suffix in _ONE:
        yield file.name, partial(_ONE[suffix], data)
    elif suffix == ".json":
        yield from (
            (f"{file.name}/{name}", partial(lambda draft: draft, draft))
            for name, draft in formats.jsb(data)
        )
    else:
        tunes = abc_file.tunes(data)
        for i, tune in enumerate(tunes, 1):
            yield (
                f"{file.name}#{i}" if len(tunes) > 1 else file.name,
                partial(abc_reader.read, tune),
            )


def _guarded(name: str, work: Callable[[], Any]) -> Any:
    """What `work` gives, or the GenwrightError that says why it cannot."""
    try:
        return work()
    except BadMusic as problem:
        return GenwrightError(f"{name} {problem}", problem.remedy)
    except ImportError as error:
        return GenwrightError(
            f"{name} needs a package that is not installed: {error.name}",
            "pip install 'genwright[music]'",
        )
    except Exception as error:  # readers trip over damaged files in many ways
        return GenwrightError(
            f"{name} cannot be read ({str(error).strip() or type(error).__name__})",
            "mend the file, or go without it",
        )
