"""Where music comes from: a person's MIDI, MusicXML, ABC, **kern and JSB json, or collections of
music21, read where that package is installed, without its cache of pickles; nothing of it is
copied.

A file that cannot be read is no reason to stop: each piece is a score, or the error that says why
there is none.
"""

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from genwright.contents.music import abc_file, abc_reader, formats, midi, musicxml
from genwright.contents.music.documents import draft_of
from genwright.contents.music.draft import BadMusic, Draft, lost_of
from genwright.contents.music.score import Score
from genwright.core.errors import GenwrightError
from genwright.core.files import irregular
from genwright.data.selection import SELECTION, corpus_of, selected_bytes, selections
from genwright.data.source_files import SourceFile, collect
from genwright.data.workers import Work, at_file

log = logging.getLogger(__name__)


class Collection(NamedTuple):
    """patterns: which files of music21's corpus; licence: what they may be used for."""

    patterns: tuple[str, ...]
    licence: str


_CORPUS_LICENCE = (
    "music21's corpus/license.txt: \"Some encodings included in the corpus may not be used for "
    'commercial uses"'
)
COLLECTIONS = {
    "chorales": Collection(
        ("bach/*.mxl",),
        f"Bach: public domain; encodings by M. Greentree and others. {_CORPUS_LICENCE}",
    ),
    "folk-tunes": Collection(
        ("airdsAirs/*.abc", "oneills1850/*.abc", "ryansMammoth/*.abc"),
        "tunes: traditional; transcriptions by J. Campin, N. Paap, J. Chambers and others. "
        f"{_CORPUS_LICENCE}",
    ),
    "palestrina": Collection(
        ("palestrina/*.krn",),
        "encodings: copyright 2000 John Miller, rights to derivative formats reserved. "
        f"{_CORPUS_LICENCE}",
    ),
}
# suffix -> what reads a file of one piece
_READERS: dict[str, Callable[[bytes], Draft]] = {
    ".xml": musicxml.read,
    ".musicxml": musicxml.read,
    ".mxl": musicxml.read,
    ".mid": midi.read,
    ".midi": midi.read,
    ".krn": formats.kern,
}
SUFFIXES = (*sorted(_READERS), ".abc")  # of a folder; a JSB json is read where it is named

Result = TypeVar("Result")


class Piece(NamedTuple):
    """score: or the error that says why there is none. counts: how many notes there were, and how
    many the grid moved, merged or dropped, or the reader left out, by kind."""

    name: str
    score: Score | GenwrightError
    counts: Counter[str]


class _Unread(NamedTuple):
    """A piece of a file, which `read` reads."""

    name: str
    read: Callable[[], Draft]


def licence(source: str) -> str:
    """What the music of a source may be used for."""
    if source in COLLECTIONS:
        return COLLECTIONS[source].licence
    return "the user's own files"


def find(source: str, paths: tuple[str, ...] = ()) -> list[SourceFile]:
    """The files of a collection, or else of `paths`, by name; of a corpus the selections of its
    mix. Raises GenwrightError."""
    found: list[SourceFile] = []
    if source in COLLECTIONS:
        found = list(_of_collection(source))
    elif corpus_of(paths):
        for path in selections(corpus_of(paths)):
            found.append(SourceFile(str(path), f"{path.parent.name}/{path.name}"))
    elif paths:
        found = list(collect(paths, lambda path: path.lower().endswith(SUFFIXES)))
        if not found:
            raise GenwrightError(
                f"there is no music in {', '.join(paths)}",
                f"give a path that holds {', '.join(SUFFIXES)} files",
            )
    else:
        raise GenwrightError(
            "data.path is not set", "give a folder of MIDI, MusicXML or ABC, as in data.path=tunes/"
        )
    return sorted(found, key=lambda file: file.name)


def _of_collection(source: str) -> Iterator[SourceFile]:
    """The files of a collection of music21. Raises GenwrightError without music21."""
    spec = find_spec("music21")
    if spec is None or spec.origin is None:
        raise GenwrightError(
            f"data.source={source} needs music21, which is not installed",
            "pip install 'genwright[music]'",
        )
    corpus = Path(spec.origin).parent / "corpus"
    for pattern in COLLECTIONS[source].patterns:
        for path in corpus.glob(pattern):
            yield SourceFile(str(path), f"{path.parent.name}/{path.name}")


def pieces(source: str, files: list[SourceFile], per_quarter: int) -> Iterator[Piece]:
    """What the files hold, a bad piece as its error; of `chorales` those of four voices."""
    for position, file in enumerate(files):
        at_file(position)
        unread = guarded(file.name, partial(_list_pieces, file))
        if isinstance(unread, GenwrightError):
            yield Piece(file.name, unread, Counter())
            continue
        for one in unread:
            piece = _read_piece(one, source, file, per_quarter)
            score = piece.score
            unwanted = isinstance(score, Score) and len(score.voices) != 4
            if source != "chorales" or not unwanted:
                yield piece


def _read_piece(unread: _Unread, source: str, file: SourceFile, per_quarter: int) -> Piece:
    """Reads a piece and puts it on the grid."""
    draft = guarded(unread.name, unread.read)
    if isinstance(draft, GenwrightError):
        return Piece(unread.name, draft, Counter())
    if source in COLLECTIONS:
        draft.facts["collection"] = file.name.split("/")[0]
        draft.facts["licence"] = licence(source)
    placed = guarded(unread.name, partial(draft.score, per_quarter))
    if isinstance(placed, GenwrightError):
        return Piece(unread.name, placed, Counter())
    score, counts = placed
    return Piece(unread.name, score, counts)


def file_of(piece: str, files: Mapping[str, Any]) -> str:
    """The name of the file that a piece was read from, as `pieces` names them: NAME, NAME#2 of an
    abc file of several tunes, NAME:ROW of a selection of a corpus, NAME/PIECE of a JSB json; ""
    where there is none. files: by name."""
    if piece in files:
        return piece
    for place in range(len(piece) - 1, 0, -1):
        if piece[place] in "#/:" and piece[:place] in files:
            return piece[:place]
    return ""


def read(source: str, files: list, per_quarter: int) -> list:
    """A worker's job: [name, the fields of the score or None, why there is none, what the grid
    lost] of each piece, which JSON can hold. files: (path, name) of each."""
    found = pieces(source, [SourceFile(*file) for file in files], per_quarter)
    rows: list[list[Any]] = []
    for name, score, counts in found:
        if isinstance(score, GenwrightError):
            rows.append([name, None, score.what, counts])
        else:
            rows.append([name, score.__dict__, "", counts])
    return rows


def _files_of(job: dict[str, Any]) -> list[str]:
    return [path for path, _ in job["files"]]


READ = Work(read, "reading music", _files_of)


def read_file(path: str, per_quarter: int) -> list[Score]:
    """The pieces of one file; what the grid loses of them is logged. Raises
    GenwrightError for the first that is none."""
    if not os.path.exists(path):
        raise GenwrightError(
            f"{path} does not exist", "give a MIDI, MusicXML or ABC file that is there"
        )
    scores: list[Score] = []
    counts: Counter[str] = Counter()
    file = SourceFile(path, os.path.basename(path))
    for piece in list(pieces("files", [file], per_quarter)):
        if isinstance(piece.score, GenwrightError):
            raise piece.score
        scores.append(piece.score)
        counts += piece.counts
    lost = lost_of(counts, per_quarter)
    if lost:
        log.info(f"{path}, {lost}")
    return scores


def _list_pieces(file: SourceFile) -> list[_Unread]:
    """The pieces of a file, by name, unread where its kind allows that. Raises BadMusic."""
    suffix = Path(file.path).suffix.lower()
    if suffix not in (*SUFFIXES, ".json", SELECTION):
        raise BadMusic(f"is of no known type: known are {', '.join(SUFFIXES)} and .json")
    if suffix == SELECTION:
        return list(_selected(file))
    problem = irregular(file.path)  # to open a pipe would wait for ever
    if problem:
        raise BadMusic(problem)
    if os.path.getsize(file.path) > musicxml.LARGEST:
        raise BadMusic(f"is larger than {musicxml.LARGEST >> 20} MB")
    data = Path(file.path).read_bytes()
    if suffix in _READERS:
        return [_Unread(file.name, partial(_READERS[suffix], data))]
    if suffix == ".json":
        return [
            _Unread(f"{file.name}/{name}", partial(_as_it_is, draft))
            for name, draft in formats.jsb(data)
        ]
    tunes = abc_file.tunes(data)
    if len(tunes) == 1:
        return [_Unread(file.name, partial(abc_reader.read, tunes[0]))]
    return [
        _Unread(f"{file.name}#{number}", partial(abc_reader.read, tune))
        for number, tune in enumerate(tunes, 1)
    ]


def _selected(file: SourceFile) -> Iterator[_Unread]:
    """The pieces that a selection of a corpus takes, by their rows."""
    for chosen in selected_bytes(file.path):
        entry = chosen.place.removeprefix("entry ")
        below = entry if entry != chosen.place else chosen.file
        folder = below.rpartition("/")[0]
        yield _Unread(f"{file.name}:{chosen.row}", partial(_of_corpus, chosen.data, folder))


def _of_corpus(data: bytes, folder: str) -> Draft:
    """The piece of a document. folder: that its file is in, below its source."""
    draft = draft_of(data)
    if folder:
        draft.facts["folder"] = folder
    return draft


def _as_it_is(draft: Draft) -> Draft:
    return draft


def guarded(name: str, work: Callable[[], Result]) -> Result | GenwrightError:
    """What `work` gives, or the GenwrightError that says why it cannot. name: of the piece."""
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
