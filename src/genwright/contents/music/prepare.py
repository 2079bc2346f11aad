"""Makes pieces of music into what a dataset is opened from (`data`).

1. Worker processes read the files; a piece that cannot be read is kept as a sentence about it.
2. What enough pieces have in common with others (a key, a metre, a type of tune) becomes an
   attribute that they may be conditioned on.
3. The codec is learned from all pieces, and each is encoded.
4. Tokens, codec and facts are written into one folder.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pydantic import TypeAdapter

from genwright.contents.music.codec import MusicCodec, MusicSettings
from genwright.contents.music.codec_tokens import key_name
from genwright.contents.music.likeness import fingerprint
from genwright.contents.music.score import Score
from genwright.contents.music.sources import READ
from genwright.core.errors import GenwrightError
from genwright.core.files import check_unchanged, json_text
from genwright.data.selection import side_of
from genwright.data.source_files import SourceFile
from genwright.data.workers import parallel

TOKENS = "tokens.npy"
PIECES = "pieces.json"
FILES_AT_ONCE = 8  # files that one job reads
SCORE = TypeAdapter(Score)
# facts of a piece that it may be conditioned on
CONDITIONED_ON = ("type", "composer", "collection")

Known = dict[str, str]  # attribute -> value, of one piece


class Preparation(NamedTuple):
    """How to prepare. source: see `MusicData`. minimum: pieces that a value of an attribute needs.
    workers: processes, 0 for one a core. skip: pass over what cannot be used, while there is
    anything else."""

    source: str
    minimum: int
    workers: int
    skip: bool


class Readings(NamedTuple):
    """What the files hold. pieces: (name, score). bad: sentences about what cannot be used. counts:
    notes, and what became of them (`Draft.score`)."""

    pieces: list[tuple[str, Score]]
    bad: list[str]
    counts: Counter[str]


def check_bad(bad: Sequence[str], good: int, skip: bool) -> None:
    """Raises GenwrightError where pieces cannot be used, unless those are passed over and others
    are left. bad: a sentence about each; good: how many can be used."""
    if not bad or (good and skip):
        return
    named = "; ".join(bad[:3])
    if len(bad) > 3:
        named += f"; and {len(bad) - 3} more"
    remedy = "give other files"
    if good:
        remedy = "mend or leave out the files, or set data.on_bad_file=skip"
    raise GenwrightError(f"{len(bad)} of {len(bad) + good} pieces cannot be used: {named}", remedy)


def write_prepared(
    how: Preparation,
    codec_settings: MusicSettings,
    files: Sequence[SourceFile],
    stamps: Mapping[str, list[int]],
    folder: Path,
) -> None:
    """Reads all pieces, makes their codec, writes codec, TOKENS and PIECES into the folder. stamps:
    see `check_unchanged`. Raises GenwrightError for a piece that cannot be used, unless those are
    passed over."""
    readings = _read(how, codec_settings.per_quarter, files)
    check_unchanged(stamps)
    if not readings.pieces:
        check_bad(readings.bad, 0, how.skip)
    known = [_known_of(name, score, how.source) for name, score in readings.pieces]
    often: Counter[tuple[str, str]] = Counter()
    for values in known:
        often.update(values.items())
    attributes = _attributes_of(often, how.minimum)
    codec = codec_settings.learn((score for _, score in readings.pieces), attributes)
    tokens, facts = _encoded(codec, readings, known)
    facts["rare"] = sum(count < how.minimum for count in often.values())
    check_bad(facts["bad"], len(tokens), how.skip)
    codec.save(folder)
    np.save(folder / TOKENS, np.concatenate(tokens))
    (folder / PIECES).write_text(json_text(facts), encoding="utf-8")


def _read(how: Preparation, per_quarter: int, files: Sequence[SourceFile]) -> Readings:
    """All pieces of the files, in their order."""
    jobs = []
    for first in range(0, len(files), FILES_AT_ONCE):
        some = files[first : first + FILES_AT_ONCE]
        jobs.append({"files": some, "source": how.source, "per_quarter": per_quarter})
    workers = how.workers or os.cpu_count() or 1
    results = dict(parallel(READ, jobs, workers))  # in the order in which jobs are done
    readings = Readings([], [], Counter())
    for job in range(len(jobs)):
        for name, score, problem, counts in results[job]:
            readings.counts.update(counts)
            if problem:
                readings.bad.append(problem)
            else:
                readings.pieces.append((name, SCORE.validate_python(score)))
    return readings


def _known_of(name: str, score: Score, source: str) -> Known:
    """What a piece may be conditioned on."""
    known = {fact: score.facts[fact] for fact in CONDITIONED_ON if score.facts.get(fact)}
    if score.keys:
        known["key"] = key_name(score.keys[0])
    if score.meters:
        known["metre"] = f"{score.meters[0].beats}/{score.meters[0].unit}"
    has_own_split = "split" in score.facts
    if side_of(name.rpartition(":")[0]) is not None:  # of a corpus: its folders are no music's
        folder = score.facts.get("folder", "")
    elif source == "files" and not has_own_split:
        folder = name.rpartition("/")[0]
    else:
        folder = ""
    if folder:
        known["folder"] = folder
    return known


def _attributes_of(
    often: Mapping[tuple[str, str], int], minimum: int
) -> dict[str, tuple[str, ...]]:
    """attribute -> its values, those that `minimum` pieces have. An attribute of one value asks for
    nothing, and is left out. often: (attribute, value) -> how many pieces have it."""
    values: dict[str, list[str]] = {}
    for (name, value), count in sorted(often.items()):
        if count >= minimum:
            values.setdefault(name, []).append(value)
    return {name: tuple(found) for name, found in values.items() if len(found) > 1}


def _encoded(
    codec: MusicCodec, readings: Readings, known: Sequence[Known]
) -> tuple[list[np.ndarray], dict[str, Any]]:
    """The tokens of each piece that the codec can encode, and the facts of the file PIECES."""
    tokens: list[np.ndarray] = []
    rows: list[list[Any]] = []
    scores: list[Score] = []
    bad = list(readings.bad)
    counts = readings.counts
    for (name, score), values in zip(readings.pieces, known, strict=True):
        try:
            encoded = codec.encode(score)
        except GenwrightError as problem:
            bad.append(f"{name}: {problem.what}")
            continue
        counts["notes that the codec loses"] += codec.lost_notes(score, encoded)
        room = codec.transposition_range(score)
        tokens.append(np.array(encoded, np.int32))
        rows.append([name, len(encoded), room, dict(_taken(values, codec))])
        scores.append(score)
    facts = {
        "pieces": rows,
        "tunes": [fingerprint(score) for score in scores],
        "quarters": [score.length / score.per_quarter for score in scores],
        "notes": [sum(len(voice) for voice in score.voices) for score in scores],
        "own": [score.facts.get("split", "") for score in scores],
        "bad": bad,
        "counts": counts,
    }
    return tokens, facts


def _taken(known: Known, codec: MusicCodec) -> Iterator[tuple[str, str]]:
    """Of what is known of a piece, what the codec has an attribute for."""
    for name, value in known.items():
        if value in codec.learned.attributes.get(name, ()):
            yield name, value
